// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice The rule of ImageCode again, with a sort.
library ImageCodes {
    /// @dev The bits and the sure bits of coefficients; `defined` is false if there is a tie in the middle of a block.
    function read(int256[] memory values, uint256 margin)
        internal
        pure
        returns (uint256 bits, uint256 sure, bool defined)
    {
        defined = true;
        for (uint256 start = 0; start < 256; start += 64) {
            int256[] memory ranked = sorted(values, start);
            (int256 high, int256 low) = (ranked[31], ranked[32]);
            if (low == high) defined = false;
            for (uint256 i = start; i < start + 64; ++i) {
                int256 away = 2 * values[i] - low - high;
                bits = (bits << 1) | (values[i] > high ? 1 : 0);
                sure = (sure << 1) | (uint256(away < 0 ? -away : away) > 2 * margin ? 1 : 0);
            }
        }
    }

    /// @dev 256 coefficients from a seed, of at most this magnitude.
    function random(uint256 seed, uint256 most) internal pure returns (int256[] memory values) {
        values = new int256[](256);
        for (uint256 i = 0; i < 256; ++i) {
            values[i] = int256(uint256(keccak256(abi.encode(seed, i))) % (2 * most + 1)) - int256(most);
        }
    }

    /// @dev Coefficients with exactly this code: a set one is `gap` above, an unset one `gap` below zero.
    function having(uint256 bits, int256 gap) internal pure returns (int256[] memory values) {
        values = new int256[](256);
        for (uint256 i = 0; i < 256; ++i) {
            values[i] = (bits >> (255 - i)) & 1 == 1 ? gap : -gap;
        }
    }

    /// @dev 64 values from `start` on, in ascending order.
    function sorted(int256[] memory values, uint256 start) private pure returns (int256[] memory ranked) {
        ranked = new int256[](64);
        for (uint256 i = 0; i < 64; ++i) {
            uint256 place = i;
            for (; place > 0 && ranked[place - 1] > values[start + i]; --place) {
                ranked[place] = ranked[place - 1];
            }
            ranked[place] = values[start + i];
        }
    }
}
