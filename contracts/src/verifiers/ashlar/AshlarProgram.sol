// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceVerifier} from "../../interfaces/IInferenceVerifier.sol";
import {AshlarKernels, LIST, ORDER, plus, times} from "./AshlarKernels.sol";
import {AshlarKey} from "./AshlarKeys.sol";

/// @notice The points and powers at which a program is evaluated; all but `alpha` and `t` are pointers to memory.
/// @param tau Point that binds the places of constraints.
/// @param rho Point that the first sumcheck ends in.
/// @param sigma Point that the second sumcheck ends in.
/// @param equalRho eq(tau, rho) on the low 0, 1, 2, .. coordinates.
/// @param equalSigma eq(sigma, rho) on the low 0, 1, 2, .. coordinates.
/// @param lows Sums of 2^j rho_j over the low 0, 1, 2, .. coordinates.
/// @param gammas Powers of gamma.
/// @param deltas Powers of delta.
/// @param selectors Of each block, at rho.
/// @param kernels Slots of kernels that were evaluated; 0 if none are kept.
/// @param parts The selectors at sigma of all values of the highest bits of an index.
/// @param below How many bits are below those.
/// @param alpha Batches the columns of lookups.
/// @param t Batches the cells of the input.
struct AshlarPoints {
    uint256 tau;
    uint256 rho;
    uint256 sigma;
    uint256 equalRho;
    uint256 equalSigma;
    uint256 lows;
    uint256 gammas;
    uint256 deltas;
    uint256 selectors;
    uint256 kernels;
    uint256 parts;
    uint256 below;
    uint256 alpha;
    uint256 t;
}

/// @notice What the verifier evaluates itself.
/// @param cells E(rho): the weights of the requantisation of all cells.
/// @param linear Lin(rho): terms without weights.
/// @param tag The tag at rho.
/// @param row The fingerprint of the table row at rho, without stored tables.
/// @param given In(rho): the weights of the input's cells.
/// @param same Same(rho): the weights of a hashed input.
/// @param weights K_F(sigma), for the weights.
struct AshlarValues {
    uint256 cells;
    uint256 linear;
    uint256 tag;
    uint256 row;
    uint256 given;
    uint256 same;
    uint256 weights;
}

/// @notice Sums over terms, and where the next term's word is in the list `spans` of the key.
/// @param cells Of those without weights.
/// @param weights Of those with weights.
/// @param biases Of biases.
/// @param spans Pointer into the list.
/// @param total The number of coordinates of sigma.
struct AshlarSums {
    uint256 cells;
    uint256 weights;
    uint256 biases;
    uint256 spans;
    uint256 total;
}

/// @title Evaluating the program in a key
/// @notice Section 6.2 of docs/ashlar defines the values, section 4.1 the records.
library AshlarProgram {
    uint256 private constant HIDDEN_BYTES = 8;
    uint256 private constant INPUT_BYTES = 8;
    uint256 private constant OUTPUT_BYTES = 4;
    uint256 private constant DIM_BYTES = 5;
    uint256 private constant TABLE_BYTES = 12;
    uint256 private constant TERM_BYTES = 8;
    uint256 private constant AXIS_BYTES = 16;
    uint256 private constant SPAN_BYTES = 5;
    uint256 private constant SLOTS = 32; // of kept kernels; each has two words
    uint256 private constant MOST_KEPT = 24; // so that a search ends
    uint256 private constant DEEP = 6; // networks of fewer hidden blocks hardly repeat a kernel
    uint256 private constant LEAST_PARTS = 4; // bits of an index; those of sigma are as many at least
    uint256 private constant MOST_PARTS = 5;
    uint256 private constant CELLS = 2; // the kinds of terms; 1 is weights times cells
    uint256 private constant BIAS = 3;
    uint256 private constant EQ = 1; // the kinds of axes
    uint256 private constant WALK = 2;
    uint256 private constant MASK = 3;
    uint256 private constant FREE = 4;
    uint256 private constant FIX = 5;
    uint256 private constant RANGE = 0; // the kinds of tables
    uint256 private constant CLAMP_U = 1;
    uint256 private constant CLAMP_S = 2;
    uint256 private constant STORED = 3;
    uint256 private constant Y_STORED = 10; // the power of delta

    /// @notice Prepare what terms share: parts of selectors, and no kernels yet.
    /// @param key The key.
    /// @param points The points.
    function prepare(AshlarKey memory key, AshlarPoints memory points) internal pure {
        unchecked {
            // Those of the chunks are needed anyway. In deep networks there are many tiles.
            bool deep = key.hidden >= DEEP;
            uint256 bits = key.nB - key.c;
            if (deep && bits < LEAST_PARTS) bits = LEAST_PARTS;
            if (bits > MOST_PARTS) bits = MOST_PARTS;
            (points.below, points.parts) = (key.nB - bits, _allocate(32 << bits));
            AshlarKernels.allSelectors(points.sigma + 32 * points.below, bits, points.parts);
            if (!deep) return;
            uint256 kernels = _allocate(64 * SLOTS + 32);
            points.kernels = kernels;
            assembly ("memory-safe") {
                calldatacopy(kernels, calldatasize(), shl(6, SLOTS))
                mstore(add(kernels, shl(6, SLOTS)), MOST_KEPT)
            }
        }
    }

    /// @notice The selector at sigma of the bits of an index from one on.
    /// @param points The points.
    /// @param first The first bit.
    /// @param total The number of coordinates of sigma.
    /// @param index The index; its lower bits are 0.
    function selectedAbove(AshlarPoints memory points, uint256 first, uint256 total, uint256 index)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            uint256 below = points.below;
            uint256 part = 1;
            if (first <= below) {
                part = _load(points.parts + 32 * (index >> below));
                total = below;
            }
            if (first == total) return part;
            return times(part, AshlarKernels.selected(points.sigma + 32 * first, total - first, index >> first));
        }
    }

    /// @notice Evaluate everything.
    /// @param key The key.
    /// @param points The points.
    function evaluate(AshlarKey memory key, AshlarPoints memory points)
        internal
        pure
        returns (AshlarValues memory values)
    {
        _blocks(key, points, values);
        _constraints(key, points, values);
        tables(key, points, values);
        _input(key, points, values);
    }

    /// @dev The selectors of all blocks, their tags, and E.
    function _blocks(AshlarKey memory key, AshlarPoints memory points, AshlarValues memory values) private pure {
        unchecked {
            uint256 tag = 1;
            uint256 cells;
            uint256 end = key.hidden + 1;
            for (uint256 block_ = 0; block_ != end; ++block_) {
                uint256 word = _load(_load(key.pointers + 32 * block_)); // INPUT and HIDDEN start alike
                uint256 bits = _byte(word, 0);
                uint256 offset = (word >> 192) & 0xffffffff;
                uint256 here = AshlarKernels.selected(points.rho + 32 * bits, key.n - bits, offset >> bits);
                _store(points.selectors + 32 * block_, here);
                tag += times(here, _byte(word, 1) + ORDER - 1);
                if (tag >= ORDER) tag -= ORDER;
                if (block_ == 0) continue;
                uint256 local = times(here, _load(points.equalRho + 32 * bits));
                cells = plus(cells, times(local, _load(points.gammas + 32 * (block_ - 1))));
            }
            (values.tag, values.cells) = (tag, cells);
        }
    }

    /// @dev Lin, and K_V and K_b.
    function _constraints(AshlarKey memory key, AshlarPoints memory points, AshlarValues memory values) private pure {
        unchecked {
            AshlarSums memory sums;
            (sums.spans, sums.total) = (key.spans, key.nB);
            uint256 pointer = key.pointers;
            uint256 gamma = points.gammas;
            for (uint256 end = pointer + 32 * key.hidden; pointer != end;) {
                pointer += 32;
                uint256 ptr = _load(pointer);
                uint256 word = _load(ptr);
                uint256 weight = times(_load(gamma), 1 << (key.S - _byte(word, 2)));
                _terms(points, sums, ptr + HIDDEN_BYTES, _byte(word, 3), weight);
                gamma += 32;
            }
            for (uint256 end = points.gammas + 32 * key.constraints; gamma != end;) {
                pointer += 32;
                uint256 ptr = _load(pointer);
                uint256 word = _load(ptr);
                ptr += OUTPUT_BYTES + DIM_BYTES * _byte(word, 2);
                _terms(points, sums, ptr, _byte(word, 1), _load(gamma));
                gamma += 32;
            }
            values.linear = sums.cells;
            values.weights = plus(sums.weights, times(_load(points.deltas + 32), sums.biases));
        }
    }

    /// @dev Add the values of `count` terms.
    function _terms(AshlarPoints memory points, AshlarSums memory sums, uint256 ptr, uint256 count, uint256 weight)
        private
        pure
    {
        unchecked {
            for (; count != 0; --count) {
                uint256 kind = _byte(_load(ptr), 0);
                uint256 value;
                (ptr, value) = term(points, ptr, weight, _load(sums.spans), sums.total);
                sums.spans += 32;
                if (kind == CELLS) sums.cells = plus(sums.cells, value);
                else if (kind == BIAS) sums.biases = plus(sums.biases, value);
                else sums.weights = plus(sums.weights, value);
            }
        }
    }

    /// @notice The value of a term, and where the next one starts.
    /// @param points The points.
    /// @param ptr The record.
    /// @param weight A factor of the value.
    /// @param spans The bytes of the spans in each tile.
    /// @param total The number of coordinates of sigma.
    function term(AshlarPoints memory points, uint256 ptr, uint256 weight, uint256 spans, uint256 total)
        internal
        pure
        returns (uint256 next, uint256 value)
    {
        unchecked {
            uint256 word = _load(ptr);
            uint256 kind = _byte(word, 0);
            if (kind != BIAS) {
                weight = times(weight, _load(points.selectors + 32 * ((word >> 224) & 0xffff)));
            }
            uint256 start = ptr + TERM_BYTES;
            next = start + AXIS_BYTES * _byte(word, 1);
            if (kind == CELLS) {
                // A coefficient of 32 bits, in two's complement.
                weight = times(weight, uint256(int256(int32(uint32(word >> 192)))) + ORDER);
                for (uint256 axis = start; axis != next; axis += AXIS_BYTES) {
                    weight = _axis(points, weight, _load(axis), total);
                }
                return (next, weight);
            }
            return _tiles(points, start, next, spans, weight, total);
        }
    }

    /// @dev `weight` times the sum over the tiles of their selectors and kernels. The last axis with weights has the lowest
    /// coordinates of sigma.
    function _tiles(
        AshlarPoints memory points,
        uint256 start,
        uint256 end,
        uint256 spans,
        uint256 weight,
        uint256 total
    ) private pure returns (uint256 ptr, uint256 sum) {
        unchecked {
            ptr = end + 2;
            for (uint256 count = _load(end) >> 240; count != 0; --count) {
                uint256 offset = _load(ptr) >> 224;
                ptr += 4 + spans;
                uint256 kernel;
                uint256 bits;
                if (points.kernels == 0) {
                    (kernel, bits) = _weighted(points, start, end, ptr);
                    offset = AshlarKernels.selected(points.sigma + 32 * bits, total - bits, offset >> bits);
                } else {
                    (kernel, bits) = _kernel(points, start, end, ptr - spans, ptr);
                    offset = selectedAbove(points, bits, total, offset);
                }
                sum = plus(sum, times(kernel, offset));
            }
            sum = times(weight, sum);
        }
    }

    /// @dev _weighted for a tile whose spans are between `spans` and `last`. Layers of the same form have the same axes, so what
    /// was evaluated is kept, in slots of two words: a hash of the bytes whose low byte is the number of coordinates, and the
    /// product.
    function _kernel(AshlarPoints memory points, uint256 start, uint256 end, uint256 spans, uint256 last)
        private
        pure
        returns (uint256 value, uint256 bits)
    {
        uint256 kernels = points.kernels;
        uint256 id;
        uint256 slot;
        assembly ("memory-safe") {
            let to := mload(0x40)
            let size := sub(end, start)
            mcopy(to, start, size)
            mcopy(add(to, size), spans, sub(last, spans))
            id := shl(8, keccak256(to, add(size, sub(last, spans))))
            slot := add(kernels, and(shr(2, id), shl(6, sub(SLOTS, 1))))
            for {} 1 {} {
                let found := mload(slot)
                bits := xor(found, id)
                if or(iszero(found), lt(bits, 0x100)) { break }
                slot := add(kernels, and(add(sub(slot, kernels), 0x40), shl(6, sub(SLOTS, 1))))
            }
            value := mload(add(slot, 0x20))
        }
        if (_load(slot) != 0) return (value, bits);
        (value, bits) = _weighted(points, start, end, last);
        assembly ("memory-safe") {
            let room := add(kernels, shl(6, SLOTS))
            if mload(room) {
                mstore(room, sub(mload(room), 1))
                mstore(slot, add(id, bits))
                mstore(add(slot, 0x20), value)
            }
        }
    }

    /// @dev The product of the axes from `start` to `end`, from the last to the first, so that the coordinates of sigma are
    /// counted from the lowest; and how many of these there are. The spans of those with weights end at `span`.
    function _weighted(AshlarPoints memory points, uint256 start, uint256 end, uint256 span)
        private
        pure
        returns (uint256 value, uint256 bits)
    {
        unchecked {
            value = 1;
            while (end != start) {
                end -= AXIS_BYTES;
                uint256 fields = _load(end);
                uint256 weights = _byte(fields, 5);
                if (weights != 0 && _byte(fields, 0) == EQ) {
                    span -= SPAN_BYTES;
                    (value, bits) = _cut(points, value, fields, bits, _load(span));
                } else {
                    value = _axis(points, value, fields, bits);
                    if (weights != 0) span -= SPAN_BYTES;
                    bits += weights;
                }
            }
        }
    }

    /// @dev `value` times an EQ axis with weights, in a tile that has the low coordinates of the weight index, those of sigma
    /// from `first` on; those above are the bits of where it starts. And the coordinate that follows.
    function _cut(AshlarPoints memory points, uint256 value, uint256 fields, uint256 first, uint256 span)
        private
        pure
        returns (uint256 product, uint256 last)
    {
        unchecked {
            uint256 bits = _byte(span, 4);
            last = first + bits;
            first = points.sigma + 32 * first;
            uint256 a = points.rho + 32 * _byte(fields, 3);
            uint256 i = _byte(fields, 4);
            if (_byte(fields, 2) != 0) {
                if (i != 0) i = a;
                a = points.tau + 32 * _byte(fields, 1);
            } else {
                i = 0;
            }
            product =
                i == 0 ? AshlarKernels.equal(value, first, a, bits) : AshlarKernels.equal3(value, first, a, i, bits);
            uint256 rest = _byte(fields, 5) - bits;
            if (rest != 0) {
                span = (span >> 224) >> bits;
                if (i != 0) product = times(product, AshlarKernels.selected(i + 32 * bits, rest, span));
                product = times(product, AshlarKernels.selected(a + 32 * bits, rest, span));
            }
        }
    }

    /// @dev `value` times an axis that no tile cuts; its weights, if it has any, are at sigma from `first` on.
    function _axis(AshlarPoints memory points, uint256 value, uint256 fields, uint256 first)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256 kind = _byte(fields, 0);
            if (kind == FREE) return value;
            uint256 o = points.tau + 32 * _byte(fields, 1);
            uint256 i = points.rho + 32 * _byte(fields, 3);
            if (kind == EQ) {
                // The low ends of both are in the list of products already.
                if (o == points.tau && i == points.rho) {
                    return times(value, _load(points.equalRho + 32 * _byte(fields, 2)));
                }
                return AshlarKernels.equal(value, o, i, _byte(fields, 2));
            }
            if (kind == FIX) return times(value, AshlarKernels.selected(i, _byte(fields, 4), uint32(fields >> 160)));
            if (kind == MASK) return times(value, AshlarKernels.mask(o, _byte(fields, 2), uint32(fields >> 128)));
            if (kind != WALK) revert IInferenceVerifier.MalformedKey();
            return times(value, _walk(fields, i, o, points.sigma + 32 * first));
        }
    }

    /// @dev `d` is the range of sigma.
    function _walk(uint256 fields, uint256 i, uint256 o, uint256 d) private pure returns (uint256) {
        unchecked {
            (uint256 ptr, uint256 size) = _bits(fields, i, o, d);
            uint256 bound = uint32(fields >> 128);
            if (bound >> _byte(fields, 2) != 0) return AshlarKernels.walk(ptr, size);
            AshlarKernels.boundedWeights(ptr + 4 * LIST, ptr, size);
            int256 g = int32(uint32(fields >> 160));
            return AshlarKernels.walkBounded(ptr + 4 * LIST, size / 32, g, bound << _byte(fields, 6));
        }
    }

    /// @dev The lists that a walk needs, in free memory. Bits outside of their ranges are 0.
    function _bits(uint256 fields, uint256 i, uint256 o, uint256 d) private pure returns (uint256 ptr, uint256 size) {
        assembly ("memory-safe") {
            ptr := mload(0x40)
            let bitsD := shl(5, byte(5, fields))
            let shift := shl(5, byte(6, fields))
            size := add(shl(5, byte(2, fields)), shift)
            let bitsI := shl(5, byte(4, fields))
            if gt(bitsI, size) { size := bitsI }
            // The last list, as far as d or g has bits.
            let g := signextend(3, shr(160, fields))
            let one := add(1, slt(g, 0))
            if slt(g, 0) { g := sub(0, g) }
            let list := add(ptr, mul(3, LIST))
            let first := 0
            for {} or(lt(first, bitsD), g) { first := add(first, 0x20) } {
                mstore(add(list, first), add(1, mul(and(g, 1), one)))
                g := shr(1, g)
            }
            switch gt(first, size)
            case 0 { calldatacopy(add(list, first), calldatasize(), sub(size, first)) }
            default { size := first }
            calldatacopy(ptr, calldatasize(), size)
            mcopy(ptr, add(i, LIST), bitsI)
            calldatacopy(add(ptr, LIST), calldatasize(), size)
            mcopy(add(add(ptr, LIST), shift), add(o, LIST), shl(5, byte(2, fields)))
            calldatacopy(add(ptr, mul(2, LIST)), calldatasize(), size)
            mcopy(add(ptr, mul(2, LIST)), add(d, LIST), bitsD)
        }
    }

    /// @notice The fingerprint of the row at rho, and the part of K_F for stored tables.
    /// @param key The key.
    /// @param points The points.
    /// @param values Where to put them.
    function tables(AshlarKey memory key, AshlarPoints memory points, AshlarValues memory values) internal pure {
        unchecked {
            uint256 row;
            uint256 columns;
            uint256 squared = times(points.alpha, points.alpha);
            for (uint256 number = 0; number != key.tables; ++number) {
                uint256 word = _load(key.tablesAt + TABLE_BYTES * number);
                uint256 kind = _byte(word, 0);
                uint256 k = _byte(word, 1);
                uint256 offset = (word >> 192) & 0xffffffff;
                uint256 here = AshlarKernels.selected(points.rho + 32 * k, key.nT - k, offset >> k);
                uint256 first = _load(points.lows + 32 * k);
                if (kind != RANGE) {
                    first += ORDER - (1 << (k - 1));
                    uint256 y = kind == STORED ? 0 : _clamped(points, kind, k, _byte(word, 2), first);
                    first = plus(first, times(points.alpha, y));
                }
                first = plus(first, times(squared, number));
                row = plus(row, times(here, first));
                if (kind != STORED) continue;
                uint256 column = (word >> 160) & 0xffffffff;
                uint256 inF = AshlarKernels.selected(points.sigma + 32 * k, key.nB - k, column >> k);
                inF = times(inF, _load(points.equalSigma + 32 * k));
                columns = plus(columns, times(here, inF));
            }
            values.row = row;
            columns = times(columns, _load(points.deltas + 32 * Y_STORED));
            values.weights = plus(values.weights, columns);
        }
    }

    /// @dev y of a clamp, or what it takes away from q.
    function _clamped(AshlarPoints memory points, uint256 kind, uint256 k, uint256 b, uint256 q)
        private
        pure
        returns (uint256 y)
    {
        unchecked {
            uint256 rho = points.rho;
            uint256 low = _load(points.lows + 32 * b);
            uint256 between = rho + 32 * b;
            uint256 count = k - 1 - b;
            uint256 most = (1 << b) - 1;
            uint256 top = _load(rho + LIST + 32 * (k - 1));
            // Not negative: the low bits where those between them and the sign are 0, else the most.
            uint256 zeros = AshlarKernels.selected(between, count, 0);
            y = times(top, most + times(zeros, low + ORDER - most));
            if (kind == CLAMP_U) return y;
            // Negative: the same with those bits 1, and the least.
            uint256 ones = AshlarKernels.selected(between, count, type(uint256).max);
            uint256 negative = times(ones, low) + ORDER - (most + 1);
            y = plus(y, times(_load(rho + 32 * (k - 1)), negative));
            if (kind != CLAMP_S) y = plus(q, ORDER - y);
        }
    }

    /// @dev In and Same.
    function _input(AshlarKey memory key, AshlarPoints memory points, AshlarValues memory values) private pure {
        unchecked {
            uint256 ptr = _load(key.pointers);
            uint256 rank = _byte(_load(ptr), 2);
            ptr += INPUT_BYTES + DIM_BYTES * rank;
            uint256 every = 1;
            uint256 valid = 1;
            uint256 step = points.t;
            uint256 coordinate = points.rho;
            for (; rank != 0; --rank) {
                ptr -= DIM_BYTES;
                uint256 word = _load(ptr);
                uint256 bits = _byte(word, 4);
                // Only the check of padding needs the bound.
                uint256 bound = key.padded != 0 ? word >> 224 : 1 << bits;
                uint256 all;
                uint256 below;
                (all, below, step) = AshlarKernels.power(coordinate, bits, bound, step);
                every = times(every, all);
                valid = times(valid, below);
                coordinate += 32 * bits;
            }
            uint256 here = _load(points.selectors);
            uint256 powers = points.gammas + 32 * key.constraints;
            uint256 same = key.mode == 2 ? 0 : times(_load(powers), every);
            uint256 padding = key.padded != 0 ? times(_load(powers + 32), every + ORDER - valid) : 0;
            values.given = times(here, same + padding);
            if (key.mode == 1) values.same = times(here, same);
        }
    }

    function _byte(uint256 word, uint256 place) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := byte(place, word)
        }
    }

    function _load(uint256 ptr) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(ptr)
        }
    }

    /// @dev Not zeroed.
    function _allocate(uint256 size) private pure returns (uint256 ptr) {
        assembly ("memory-safe") {
            ptr := mload(0x40)
            mstore(0x40, add(ptr, size))
        }
    }

    function _store(uint256 ptr, uint256 word) private pure {
        assembly ("memory-safe") {
            mstore(ptr, word)
        }
    }
}
