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

/// @notice The axes of a term whose weights a tile cuts: EQ axes. Walks are never cut.
/// @param list Pointer to an entry for each: the range of tau or rho, that of rho if there are both, else 0, and the bits.
/// @param end Where the list ends.
/// @param walks How many walks have weights.
/// @param walked How many coordinates of sigma they have.
struct AshlarWeighted {
    uint256 list;
    uint256 end;
    uint256 walks;
    uint256 walked;
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
    uint256 private constant ENTRY = 0x60; // of AshlarWeighted
    uint256 private constant WALKS_AT = 0x300; // in free memory, behind eight entries
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
                uint256 here = AshlarKernels.selected(1, points.rho + 32 * bits, key.n - bits, offset >> bits);
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

    function _constraints(AshlarKey memory key, AshlarPoints memory points, AshlarValues memory values) private pure {
        unchecked {
            uint256 biases;
            for (uint256 number = 0; number != key.constraints; ++number) {
                uint256 ptr = _load(key.pointers + 32 * (number + 1));
                uint256 word = _load(ptr);
                uint256 weight = _load(points.gammas + 32 * number);
                uint256 count = _byte(word, 1);
                if (number < key.hidden) {
                    weight = times(weight, 1 << (key.S - _byte(word, 2)));
                    count = _byte(word, 3);
                    ptr += HIDDEN_BYTES;
                } else {
                    ptr += OUTPUT_BYTES + DIM_BYTES * _byte(word, 2);
                }
                for (; count != 0; --count) {
                    uint256 kind = _byte(_load(ptr), 0);
                    uint256 value;
                    (ptr, value) = term(key, points, ptr, weight);
                    if (kind == CELLS) values.linear = plus(values.linear, value);
                    else if (kind == BIAS) biases = plus(biases, value);
                    else values.weights = plus(values.weights, value);
                }
            }
            values.weights = plus(values.weights, times(_load(points.deltas + 32), biases));
        }
    }

    /// @notice The value of a term, and where the next one starts.
    /// @param key The key.
    /// @param points The points.
    /// @param ptr The record.
    /// @param weight A factor of the value.
    function term(AshlarKey memory key, AshlarPoints memory points, uint256 ptr, uint256 weight)
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
            next = ptr + TERM_BYTES + AXIS_BYTES * _byte(word, 1);
            AshlarWeighted memory weighted;
            value = _axes(points, weighted, ptr + TERM_BYTES, next, weight);
            if (kind != CELLS) return _tiles(key, points, weighted, next, value);
            // A coefficient of 32 bits, in two's complement.
            value = times(value, uint256(int256(int32(uint32(word >> 192)))) + ORDER);
        }
    }

    /// @dev `value` times the axes that do not differ between tiles: all but EQ axes with weights, which are listed. From
    /// the last to the first, so that the coordinates of sigma are counted from the lowest.
    function _axes(
        AshlarPoints memory points,
        AshlarWeighted memory weighted,
        uint256 start,
        uint256 end,
        uint256 value
    ) private pure returns (uint256) {
        unchecked {
            weighted.list = _free();
            weighted.end = weighted.list;
            while (end != start) {
                end -= AXIS_BYTES;
                uint256 fields = _load(end);
                uint256 kind = _byte(fields, 0);
                uint256 o = points.tau + 32 * _byte(fields, 1);
                uint256 i = points.rho + 32 * _byte(fields, 3);
                if (kind == EQ) {
                    if (_byte(fields, 5) != 0) {
                        _list(weighted.end, fields, o, i);
                        weighted.end += ENTRY;
                    } else if (o == points.tau && i == points.rho) {
                        // The low ends of both are in the list of products already.
                        value = times(value, _load(points.equalRho + 32 * _byte(fields, 2)));
                    } else {
                        value = AshlarKernels.equal(value, o, i, _byte(fields, 2));
                    }
                } else if (kind == WALK) {
                    uint256 d = points.sigma + 32 * weighted.walked;
                    if (_byte(fields, 5) != 0) {
                        weighted.walked += _byte(fields, 5);
                        ++weighted.walks;
                    }
                    value = times(value, _walk(fields, i, o, d));
                } else if (kind == MASK) {
                    value = times(value, AshlarKernels.mask(o, _byte(fields, 2), uint32(fields >> 128)));
                } else if (kind == FIX) {
                    value = AshlarKernels.selected(value, i, _byte(fields, 4), uint32(fields >> 160));
                } else if (kind != FREE) {
                    revert IInferenceVerifier.MalformedKey();
                }
            }
            return value;
        }
    }

    function _list(uint256 entry, uint256 fields, uint256 o, uint256 i) private pure {
        assembly ("memory-safe") {
            let ofO := gt(byte(2, fields), 0)
            let ofI := gt(byte(4, fields), 0)
            mstore(entry, add(mul(o, ofO), mul(i, iszero(ofO))))
            mstore(add(entry, 0x20), mul(i, and(ofO, ofI)))
            mstore(add(entry, 0x40), byte(5, fields))
        }
    }

    /// @dev `d` is the range of sigma.
    function _walk(uint256 fields, uint256 i, uint256 o, uint256 d) private pure returns (uint256) {
        unchecked {
            uint256 bitsO = _byte(fields, 2);
            int256 g = int32(uint32(fields >> 160));
            uint256 bound = uint32(fields >> 128);
            if (g == 0 && bound >> bitsO != 0) {
                return AshlarKernels.walk(i, _byte(fields, 4), o, bitsO, d, _byte(fields, 5), _byte(fields, 6));
            }
            (uint256 rounds, uint256 list) = (_rounds(fields, g), _free() + WALKS_AT);
            if (bound >> bitsO != 0) {
                AshlarKernels.shiftedWeights(
                    list, rounds, i, _byte(fields, 4), o, bitsO, d, _byte(fields, 5), _byte(fields, 6)
                );
                return AshlarKernels.walkShifted(list, rounds, g);
            }
            AshlarKernels.boundedWeights(
                list, rounds, i, _byte(fields, 4), o, bitsO, d, _byte(fields, 5), _byte(fields, 6)
            );
            return AshlarKernels.walkBounded(list, rounds, g, bound << _byte(fields, 6));
        }
    }

    /// @dev How many bits a walk has to look at.
    function _rounds(uint256 fields, int256 g) private pure returns (uint256 rounds) {
        unchecked {
            rounds = _byte(fields, 2) + _byte(fields, 6);
            if (_byte(fields, 4) > rounds) rounds = _byte(fields, 4);
            if (_byte(fields, 5) > rounds) rounds = _byte(fields, 5);
            for (uint256 size = uint256(g < 0 ? -g : g); size >> rounds != 0;) {
                ++rounds;
            }
        }
    }

    /// @dev `value` times the sum over the tiles of their selectors and EQ axes. The last axis with weights has the lowest
    /// coordinates of sigma; above those of the tile, the bits of where it starts are constants.
    function _tiles(
        AshlarKey memory key,
        AshlarPoints memory points,
        AshlarWeighted memory weighted,
        uint256 ptr,
        uint256 value
    ) private pure returns (uint256 next, uint256) {
        unchecked {
            uint256 count = _load(ptr) >> 240;
            uint256 spans = SPAN_BYTES * ((weighted.end - weighted.list) / ENTRY);
            uint256 sum;
            for (ptr += 2; count != 0; --count) {
                uint256 offset = _load(ptr) >> 224;
                ptr += 4 + spans;
                (uint256 product, uint256 w) = _tile(points, weighted, ptr);
                uint256 low = (w - points.sigma) / 32;
                product = AshlarKernels.selected(product, w, key.nB - low, offset >> low);
                sum = plus(sum, product);
                ptr += SPAN_BYTES * weighted.walks;
            }
            return (ptr, times(value, sum));
        }
    }

    /// @dev The EQ axes of a tile, whose spans end at `ptr`, and the first coordinate of sigma that it leaves.
    function _tile(AshlarPoints memory points, AshlarWeighted memory weighted, uint256 ptr)
        private
        pure
        returns (uint256 value, uint256 w)
    {
        (uint256 entry, uint256 end) = (weighted.list, weighted.end);
        unchecked {
            w = points.sigma + 32 * weighted.walked;
        }
        assembly ("memory-safe") {
            value := 1
            for {} lt(entry, end) { entry := add(entry, ENTRY) } {
                ptr := sub(ptr, SPAN_BYTES)
                let span := mload(ptr)
                let a := mload(entry)
                let b := mload(add(entry, 0x20))
                let last := add(w, shl(5, byte(4, span)))
                let rest := sub(shl(5, mload(add(entry, 0x40))), sub(last, w))
                switch b
                case 0 {
                    if and(byte(4, span), 1) {
                        let factor := add(mulmod(mload(add(w, LIST)), mload(add(a, mul(2, LIST))), ORDER), mload(a))
                        value := mulmod(value, factor, ORDER)
                        a := add(a, 0x20)
                        w := add(w, 0x20)
                    }
                    for {} lt(w, last) { w := add(w, 0x40) } {
                        // 1 - a - w + 2 a w, for two coordinates
                        let factor := add(mulmod(mload(add(w, LIST)), mload(add(a, mul(2, LIST))), ORDER), mload(a))
                        value := mulmod(value, factor, ORDER)
                        a := add(a, 0x20)
                        factor := add(
                            mulmod(mload(add(w, add(LIST, 0x20))), mload(add(a, mul(2, LIST))), ORDER),
                            mload(a)
                        )
                        value := mulmod(value, factor, ORDER)
                        a := add(a, 0x20)
                    }
                }
                default {
                    for {} lt(w, last) { w := add(w, 0x20) } {
                        let ones := mulmod(mload(add(w, LIST)), mload(add(a, LIST)), ORDER)
                        let zeros := mulmod(mload(w), mload(a), ORDER)
                        ones := mulmod(ones, mload(add(b, LIST)), ORDER)
                        zeros := mulmod(zeros, mload(b), ORDER)
                        value := mulmod(value, add(ones, zeros), ORDER)
                        a := add(a, 0x20)
                        b := add(b, 0x20)
                    }
                }
                if rest {
                    let index := mul(LIST, shr(byte(4, span), shr(224, span)))
                    for { let until := add(a, rest) } lt(a, until) { a := add(a, 0x20) } {
                        value := mulmod(value, mload(add(a, and(index, LIST))), ORDER)
                        if b {
                            value := mulmod(value, mload(add(b, and(index, LIST))), ORDER)
                            b := add(b, 0x20)
                        }
                        index := shr(1, index)
                    }
                }
            }
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
                uint256 here = AshlarKernels.selected(1, points.rho + 32 * k, key.nT - k, offset >> k);
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
                uint256 inF = AshlarKernels.selected(1, points.sigma + 32 * k, key.nB - k, column >> k);
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
            uint256 zeros = AshlarKernels.selected(1, between, count, 0);
            y = times(top, most + times(zeros, low + ORDER - most));
            if (kind == CLAMP_U) return y;
            // Negative: the same with those bits 1, and the least.
            uint256 ones = AshlarKernels.selected(1, between, count, type(uint256).max);
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

    function _free() private pure returns (uint256 ptr) {
        assembly ("memory-safe") {
            ptr := mload(0x40)
        }
    }

    function _store(uint256 ptr, uint256 word) private pure {
        assembly ("memory-safe") {
            mstore(ptr, word)
        }
    }
}
