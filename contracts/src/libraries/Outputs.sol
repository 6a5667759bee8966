// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Working with the outputs of a model
/// @notice Outputs are signed integers that stand for real numbers times a power of two, the scale.
/// @dev The arithmetic agrees with Python's; shared test vectors check both.
library Outputs {
    uint256 private constant LIMIT = 1 << 127;
    uint256 private constant MAX_SCALE = 64;
    uint256 private constant MAX_DECIMALS = 18;

    /// @notice The magnitude of the integer reaches the limit.
    error OutOfBounds(int256 value, uint256 limit);
    /// @notice The number to compare with, or its scale, is too large to compare without overflow.
    error NotComparable();
    /// @notice An empty list has no largest value.
    error NoValues();

    /// @notice Revert unless the magnitude of an integer is below a limit.
    /// @param value The integer.
    /// @param limit The limit.
    function requireBelow(int256 value, uint256 limit) internal pure {
        uint256 magnitude = value < 0 ? uint256(-(value + 1)) + 1 : uint256(value);
        if (magnitude >= limit) revert OutOfBounds(value, limit);
    }

    /// @notice keccak256 over outputs as words of two's complement.
    /// @param outputs The outputs.
    function commitment(int256[] calldata outputs) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            let size := shl(5, outputs.length)
            calldatacopy(free, outputs.offset, size)
            digest := keccak256(free, size)
        }
    }

    /// @notice Whether value / 2^scale >= numerator / denominator, without rounding.
    /// @param value The quantised number.
    /// @param scale The power of two by which it was multiplied, from the model's manifest; at most 64.
    /// @param numerator Numerator of the number to compare with; magnitude below 2^127.
    /// @param denominator Its denominator; from 1 to 2^96.
    function isAtLeast(int256 value, uint8 scale, int256 numerator, uint256 denominator) internal pure returns (bool) {
        if (scale > MAX_SCALE || denominator == 0 || denominator > 1 << 96) revert NotComparable();
        requireBelow(numerator, LIMIT);
        requireBelow(value, LIMIT);
        // The products are below 2^127 * 2^96 and 2^127 * 2^64.
        return value * int256(denominator) >= numerator << scale;
    }

    /// @notice floor(value * 10^decimals / 2^scale): fixed-point decimals, as tokens use them.
    /// @param value The quantised number.
    /// @param scale The power of two by which it was multiplied, from the model's manifest; at most 64.
    /// @param decimals How many decimals to keep; at most 18.
    function toDecimals(int256 value, uint8 scale, uint8 decimals) internal pure returns (int256) {
        if (scale > MAX_SCALE || decimals > MAX_DECIMALS) revert NotComparable();
        requireBelow(value, LIMIT);
        // An arithmetic shift rounds towards minus infinity. The product is below 2^127 * 2^60.
        return (value * int256(10 ** uint256(decimals))) >> scale;
    }

    /// @notice The index of the largest value, and whether it leads by a margin. Some proving systems leave a tolerance
    /// in the outputs, within which the prover can choose; see the adapter of the system.
    /// @param values The integers; one at least.
    /// @param margin The lead that the largest value needs over every other. Choose more than the tolerance can
    /// move the difference of two values, which may be twice as much as it moves one.
    /// @return place The index of the largest value; of equal ones the first.
    /// @return clear Whether every other value is at least `margin` below it. Do not act on `place` if not.
    function argmaxWithMargin(int256[] memory values, uint256 margin)
        internal
        pure
        returns (uint256 place, bool clear)
    {
        place = argmax(values);
        for (uint256 i = 0; i < values.length; ++i) {
            requireBelow(values[i], LIMIT); // so that the difference cannot overflow
            if (i != place && uint256(values[place] - values[i]) < margin) return (place, false);
        }
        return (place, true);
    }

    /// @notice The index of the largest value; of equal ones the first, as numpy and onnxruntime define it. If a
    /// prover could profit from a tolerance, use argmaxWithMargin.
    /// @param values The integers; one at least.
    function argmax(int256[] memory values) internal pure returns (uint256 place) {
        if (values.length == 0) revert NoValues();
        for (uint256 i = 1; i < values.length; ++i) {
            if (values[i] > values[place]) place = i;
        }
    }
}
