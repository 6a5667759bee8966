// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceVerifier} from "../../interfaces/IInferenceVerifier.sol";
import {LIST, ORDER, plus, times} from "./AshlarKernels.sol";
import {AshlarKey} from "./AshlarKeys.sol";
import {AshlarPoints} from "./AshlarProgram.sol";

/// @title Sums over the outputs and the public inputs of a statement
/// @notice Section 7.4 of docs/ashlar. A tensor lies in a box whose sides are powers of two; both sums go through its
/// dimensions from the innermost, so that the box is never made.
library AshlarStatement {
    uint256 private constant INPUT_BYTES = 8;
    uint256 private constant OUTPUT_BYTES = 4;
    uint256 private constant DIM_BYTES = 5;
    /// @dev Every output is below this in magnitude, so that each integer is one field element and no two are the same.
    int256 private constant LIMIT = 1 << 60;

    /// @notice The sum of gamma^l Out~_l(tau) over all outputs.
    /// @param key The key.
    /// @param points The points.
    /// @param outputs The outputs; their number is the key's.
    function outputSum(AshlarKey memory key, AshlarPoints memory points, int256[] calldata outputs)
        internal
        pure
        returns (uint256 sum)
    {
        uint256 from;
        assembly ("memory-safe") {
            from := outputs.offset
        }
        unchecked {
            uint256 record = key.pointers + 32 * key.hidden;
            for (uint256 number = key.hidden; number != key.constraints; ++number) {
                record += 32;
                uint256 value;
                (value, from) = _output(_load(record), from, points.tau);
                sum = plus(sum, times(value, _load(points.gammas + 32 * number)));
            }
        }
    }

    /// @notice The sum of t^i x_i over the public inputs, i their positions in the box.
    /// @param key The key.
    /// @param t The base.
    /// @param inputs The packed inputs; their length is the key's.
    function inputSum(AshlarKey memory key, uint256 t, bytes calldata inputs) internal pure returns (uint256) {
        unchecked {
            uint256 record = _load(key.pointers);
            uint256 dims = record + INPUT_BYTES;
            (uint256 dim, uint256 row, uint256 bits) = _row(dims, dims + DIM_BYTES * uint8(_load(record) >> 232));
            uint256 count = key.inputs / row;
            uint256 size = row * key.inputWidth;
            uint256 values = _free();
            uint256 from;
            assembly ("memory-safe") {
                from := inputs.offset
            }
            for (uint256 place = 0; place != count; ++place) {
                _store(values + 32 * place, _horner(from, size, key.inputWidth, key.signed, t));
                from += size;
            }
            while (count != 1) {
                t = _power(t, bits);
                (dim, row, bits) = _row(dims, dim);
                count /= row;
                for (uint256 place = 0; place != count; ++place) {
                    _store(values + 32 * place, _hornerOf(values + 32 * row * place, row, t));
                }
            }
            return _load(values);
        }
    }

    /// @dev The elements that lie at adjacent positions: of inner dimensions without padding, and of the next one. `dim` is
    /// the record where the remaining dimensions end.
    function _row(uint256 dims, uint256 end) private pure returns (uint256 dim, uint256 row, uint256 bits) {
        unchecked {
            row = 1;
            for (dim = end; dim != dims && row == 1 << bits;) {
                dim -= DIM_BYTES;
                uint256 word = _load(dim);
                row *= word >> 224;
                bits += uint8(word >> 216);
            }
        }
    }

    function _cells(uint256 dim, uint256 end) private pure returns (uint256 count) {
        unchecked {
            count = 1;
            for (; dim != end; dim += DIM_BYTES) {
                count *= _load(dim) >> 224;
            }
        }
    }

    /// @dev The base of the next dimension.
    function _power(uint256 t, uint256 bits) private pure returns (uint256) {
        unchecked {
            for (; bits != 0; --bits) {
                t = times(t, t);
            }
            return t;
        }
    }

    /// @dev Out~(tau) of the output whose values start at `from` in the calldata, and where the next one's start.
    function _output(uint256 record, uint256 from, uint256 tau) private pure returns (uint256 value, uint256 next) {
        unchecked {
            uint256 dims = record + OUTPUT_BYTES;
            uint256 end = dims + DIM_BYTES * uint8(_load(record) >> 232);
            uint256 count = _cells(dims, end);
            next = from + 32 * count;
            uint256 values = _free();
            _copy(from, next, values);
            value = _fold(values, count, dims, end, tau);
        }
    }

    /// @dev Outputs in memory, plus the order: `addmod` and `mulmod` would read a negative word as 2^256 - x.
    function _copy(uint256 from, uint256 end, uint256 to) private pure {
        int256 value;
        bool outside;
        assembly ("memory-safe") {
            for {} lt(from, end) { from := add(from, 0x20) } {
                value := calldataload(from)
                // One comparison for both signs, since the sum wraps.
                if iszero(lt(add(value, sub(LIMIT, 1)), sub(mul(2, LIMIT), 1))) {
                    outside := 1
                    break
                }
                mstore(to, add(value, ORDER))
                to := add(to, 0x20)
            }
        }
        if (outside) revert IInferenceVerifier.OutputOutOfRange(value);
    }

    /// @dev The multilinear extension of a tensor at tau. The values are below twice the order, and are overwritten.
    function _fold(uint256 ptr, uint256 count, uint256 dims, uint256 dim, uint256 tau) private pure returns (uint256) {
        unchecked {
            while (dim != dims) {
                dim -= DIM_BYTES;
                uint256 word = _load(dim);
                uint256 size = word >> 224;
                uint256 rows = count / size;
                for (uint256 bits = uint8(word >> 216); bits != 0; --bits) {
                    _halve(ptr, rows, size, tau);
                    size = (size + 1) >> 1;
                    tau += 32;
                }
                count = rows;
            }
            return _load(ptr);
        }
    }

    /// @dev In each row, put a + x (b - a) in the place of every pair; b is 0 if there is none.
    function _halve(uint256 ptr, uint256 rows, uint256 size, uint256 coordinate) private pure {
        assembly ("memory-safe") {
            let x := mload(add(coordinate, LIST))
            let pairs := shl(6, shr(1, size))
            let to := ptr
            for {} rows { rows := sub(rows, 1) } {
                for { let end := add(ptr, pairs) } lt(ptr, end) { ptr := add(ptr, 0x40) } {
                    let a := mload(ptr)
                    let difference := add(mload(add(ptr, 0x20)), sub(mul(2, ORDER), a))
                    mstore(to, addmod(a, mulmod(x, difference, ORDER), ORDER))
                    to := add(to, 0x20)
                }
                if and(size, 1) {
                    mstore(to, mulmod(mload(ptr), mload(coordinate), ORDER))
                    ptr := add(ptr, 0x20)
                    to := add(to, 0x20)
                }
            }
        }
    }

    /// @dev The sum of t^k x_k over a row of packed integers; below four times the order.
    function _horner(uint256 from, uint256 size, uint256 width, uint256 signed, uint256 t)
        private
        pure
        returns (uint256 sum)
    {
        assembly ("memory-safe") {
            let ptr := add(from, size)
            if and(eq(width, 1), iszero(signed)) {
                for {} iszero(lt(sub(ptr, from), 8)) {} {
                    ptr := sub(ptr, 8)
                    let word := calldataload(ptr)
                    sum := add(mulmod(sum, t, ORDER), byte(7, word))
                    sum := add(mulmod(sum, t, ORDER), byte(6, word))
                    sum := add(mulmod(sum, t, ORDER), byte(5, word))
                    sum := add(mulmod(sum, t, ORDER), byte(4, word))
                    sum := add(mulmod(sum, t, ORDER), byte(3, word))
                    sum := add(mulmod(sum, t, ORDER), byte(2, word))
                    sum := add(mulmod(sum, t, ORDER), byte(1, word))
                    sum := add(mulmod(sum, t, ORDER), byte(0, word))
                }
            }
            let shift := sub(256, shl(3, width))
            switch signed
            case 0 {
                for {} lt(from, ptr) {} {
                    ptr := sub(ptr, width)
                    sum := add(mulmod(sum, t, ORDER), shr(shift, calldataload(ptr)))
                }
            }
            default {
                for {} lt(from, ptr) {} {
                    ptr := sub(ptr, width)
                    sum := add(mulmod(sum, t, ORDER), add(ORDER, sar(shift, calldataload(ptr))))
                }
            }
        }
    }

    /// @dev The same over a row of values in memory.
    function _hornerOf(uint256 from, uint256 count, uint256 t) private pure returns (uint256 sum) {
        assembly ("memory-safe") {
            for { let ptr := add(from, shl(5, count)) } lt(from, ptr) {} {
                ptr := sub(ptr, 0x20)
                sum := add(mulmod(sum, t, ORDER), mod(mload(ptr), ORDER))
            }
        }
    }

    function _free() private pure returns (uint256 ptr) {
        assembly ("memory-safe") {
            ptr := mload(0x40)
        }
    }

    function _load(uint256 ptr) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(ptr)
        }
    }

    function _store(uint256 ptr, uint256 word) private pure {
        assembly ("memory-safe") {
            mstore(ptr, word)
        }
    }
}
