// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Outputs} from "./Outputs.sol";

/// @title The bits of an ISCC Image-Code, from the coefficients of a picture
/// @notice ISO 24138: the 256 coefficients are those of the lowest frequencies, in four blocks of 64. A bit is set if
/// its coefficient exceeds the median of its block, which lies half-way between the 32nd and the 33rd.
/// @dev Instead of a sort, the sender names the bits, and one pass shows that they are right: 32 in each block, and the
/// least set coefficient above the largest other. Shared test vectors check this and zkinfer.works.prints.
library ImageCode {
    uint256 internal constant LENGTH = 256;
    /// @dev No proof has a coefficient that reaches it, and below it nothing here can overflow.
    uint256 internal constant LIMIT = 1 << 60;

    uint256 private constant BLOCK = 64;
    uint256 private constant BLOCK_BITS = (1 << BLOCK) - 1;

    /// @notice There must be 256 coefficients.
    error WrongLength(uint256 length);
    /// @notice In this block, the bits are not those of the 32 largest coefficients. If the 32nd and the 33rd are equal,
    /// as in a flat picture, there is no code.
    error NotTheMedian(uint256 blockIndex);

    /// @notice Those bits that stay the same if every coefficient's distance from the median changes by up to a
    /// margin; reverts if the bits are not the code.
    /// @param values The coefficients, in the order of the bits.
    /// @param bits The code, most significant bit first.
    /// @param margin Below LIMIT, in units of the coefficients.
    /// @return sure The bits, in the same order.
    function sureOf(int256[] calldata values, uint256 bits, uint256 margin) internal pure returns (uint256 sure) {
        if (values.length != LENGTH) revert WrongLength(values.length);
        for (uint256 i = 0; i < LENGTH / BLOCK; ++i) {
            uint256 part = (bits >> (LENGTH - BLOCK * (i + 1))) & BLOCK_BITS;
            (int256 low, int256 high) = _middle(values, BLOCK * i, part);
            if (count(part) != BLOCK / 2 || low <= high) revert NotTheMedian(i);
            sure = (sure << BLOCK) | _sureOf(values, BLOCK * i, low, high, int256(margin));
        }
    }

    /// @notice In how many bits two codes differ, of those that are compared.
    /// @param one A code.
    /// @param other Another.
    /// @param compared Which bits to compare.
    function distance(uint256 one, uint256 other, uint256 compared) internal pure returns (uint256) {
        return count((one ^ other) & compared);
    }

    /// @notice How many bits of a word are set.
    /// @param word The word.
    function count(uint256 word) internal pure returns (uint256 total) {
        unchecked {
            word -= (word >> 1) & (type(uint256).max / 3); // in each pair of bits, how many are set
            word = (word & (type(uint256).max / 5)) + ((word >> 2) & (type(uint256).max / 5)); // in each four
            word = (word + (word >> 4)) & (type(uint256).max / 17); // in each byte
            word = (word & (type(uint256).max / 257)) + ((word >> 8) & (type(uint256).max / 257)); // in each two bytes
            total = (word * (type(uint256).max / 65535)) >> 240; // their sum, which does not fit into one byte
        }
    }

    /// @dev The least set coefficient of a block, and the largest other. `start` is the first one's place.
    function _middle(int256[] calldata values, uint256 start, uint256 bits)
        private
        pure
        returns (int256 low, int256 high)
    {
        (low, high) = (int256(LIMIT), -int256(LIMIT));
        int256 outside;
        assembly ("memory-safe") {
            let place := add(values.offset, shl(5, start))
            for { let mask := shl(sub(BLOCK, 1), 1) } mask { mask := shr(1, mask) } {
                let value := calldataload(place)
                place := add(place, 0x20)
                // In one unsigned comparison: whether the value is not between the negative limit and the limit.
                if iszero(lt(add(value, sub(LIMIT, 1)), sub(shl(1, LIMIT), 1))) { outside := value }
                switch and(bits, mask)
                case 0 { if sgt(value, high) { high := value } }
                default { if slt(value, low) { low := value } }
            }
        }
        if (outside != 0) revert Outputs.OutOfBounds(outside, LIMIT);
    }

    /// @dev With s = low + high, a coefficient v is sure if |2v - s| > 2 * margin: if v > floor(s / 2) + margin or
    /// v < ceil(s / 2) - margin.
    function _sureOf(int256[] calldata values, uint256 start, int256 low, int256 high, int256 margin)
        private
        pure
        returns (uint256 sure)
    {
        int256 sum = low + high;
        int256 above = (sum >> 1) + margin; // an arithmetic shift rounds down
        int256 below = -(-sum >> 1) - margin;
        assembly ("memory-safe") {
            let place := add(values.offset, shl(5, start))
            let end := add(place, shl(5, BLOCK))
            for {} lt(place, end) { place := add(place, 0x20) } {
                let value := calldataload(place)
                sure := or(shl(1, sure), or(sgt(value, above), slt(value, below)))
            }
        }
    }
}
