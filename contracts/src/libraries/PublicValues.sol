// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Reading the public values of a proof
/// @notice Circuits compute on signed integers of less than 127 bits, which stand for real numbers times a power of
/// two, the scale. In a proof a negative integer -n is the field element r - n. Compare integers, never field
/// elements: as a field element every negative number is larger than every positive one.
/// The last units of an answer are the prover's choice: a circuit takes the floor of a division as well as its ceiling.
/// So keep a margin around whatever you compare with.
/// @dev Decoding is the same as in zkinfer.circuits.field; shared vectors hold both to it.
library PublicValues {
    /// @notice The order of the scalar field of BN254.
    uint256 internal constant MODULUS = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;
    uint256 private constant HALF = 1 << 127;
    uint256 private constant MOST_SCALE = 64;
    uint256 private constant MOST_DECIMALS = 18;

    /// @notice The word is not below the modulus, so it is not the one form of any value.
    error NotCanonical(uint256 word);
    /// @notice The field element is no integer of a circuit: its magnitude reaches 2^127.
    error NotAnInteger(uint256 word);
    /// @notice The magnitude of the integer reaches the limit.
    error OutOfBounds(int256 value, uint256 limit);
    /// @notice The number to compare with, or its scale, is too large to compare without overflow.
    error NotComparable();
    /// @notice There is no largest of no values.
    error NoValues();

    /// @notice The signed integer of one public value.
    /// @param word The public value.
    /// @return value The integer; its magnitude is below 2^127.
    function decode(uint256 word) internal pure returns (int256 value) {
        if (word >= MODULUS) revert NotCanonical(word);
        // Both casts are of numbers below 2^127.
        if (word < HALF) return int256(word);
        uint256 magnitude = MODULUS - word;
        if (magnitude >= HALF) revert NotAnInteger(word);
        return -int256(magnitude);
    }

    /// @notice The signed integer of one public value, if its magnitude is below a limit.
    /// @param word The public value.
    /// @param limit The limit, which a sound use of the answer never reaches.
    function decodeBounded(uint256 word, uint256 limit) internal pure returns (int256 value) {
        value = decode(word);
        uint256 magnitude = value < 0 ? uint256(-value) : uint256(value);
        if (magnitude >= limit) revert OutOfBounds(value, limit);
    }

    /// @notice The signed integers of several public values.
    /// @param words The public values.
    function decodeAll(uint256[] calldata words) internal pure returns (int256[] memory values) {
        values = new int256[](words.length);
        for (uint256 i = 0; i < words.length; ++i) {
            values[i] = decode(words[i]);
        }
    }

    /// @notice The field element of a signed integer.
    /// @param value An integer of magnitude below 2^127.
    function encode(int256 value) internal pure returns (uint256 word) {
        uint256 magnitude = value < 0 ? uint256(-(value + 1)) + 1 : uint256(value);
        if (magnitude >= HALF) revert OutOfBounds(value, HALF);
        return value < 0 ? MODULUS - magnitude : magnitude;
    }

    /// @notice keccak256 over public values as words; it commits to an input or an output.
    /// @param words The public values.
    function commitment(uint256[] calldata words) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            let size := shl(5, words.length)
            calldatacopy(free, words.offset, size)
            digest := keccak256(free, size)
        }
    }

    /// @notice Whether value / 2^scale >= numerator / denominator, without rounding.
    /// @param value The quantised number.
    /// @param scale The power of two by which it was multiplied, from the model's manifest; at most 64.
    /// @param numerator Of the number to compare with; magnitude below 2^127.
    /// @param denominator Of the number to compare with; from 1 to 2^96.
    function isAtLeast(int256 value, uint8 scale, int256 numerator, uint256 denominator) internal pure returns (bool) {
        if (scale > MOST_SCALE || denominator == 0 || denominator > 1 << 96) revert NotComparable();
        encode(numerator);
        encode(value);
        // The products are below 2^127 * 2^96 and 2^127 * 2^64.
        return value * int256(denominator) >= numerator << scale;
    }

    /// @notice floor(value * 10^decimals / 2^scale): the number as contracts of money write it.
    /// @param value The quantised number.
    /// @param scale The power of two by which it was multiplied, from the model's manifest; at most 64.
    /// @param decimals How many decimals to keep; at most 18.
    function toDecimals(int256 value, uint8 scale, uint8 decimals) internal pure returns (int256) {
        if (scale > MOST_SCALE || decimals > MOST_DECIMALS) revert NotComparable();
        encode(value);
        // An arithmetic shift rounds towards minus infinity. The product is below 2^127 * 2^60.
        return (value * int256(10 ** uint256(decimals))) >> scale;
    }

    /// @notice Where the largest value is, and whether it leads by a margin. Rounding is the prover's choice: it can
    /// raise one value and lower another at once. Where it moves no difference of two by `margin` or more, it has not
    /// made another one the largest.
    /// @param values The integers; one at least.
    /// @param margin How many units the largest must be above every other: it bounds how far the difference of two
    /// values moves, which may be twice as far as one value does.
    /// @return place Where the largest value is; of equal ones the first.
    /// @return clear Whether every other value is at least `margin` below it. Do not act on `place` where it is not.
    function argmaxWithMargin(int256[] memory values, uint256 margin)
        internal
        pure
        returns (uint256 place, bool clear)
    {
        place = argmax(values);
        for (uint256 i = 0; i < values.length; ++i) {
            encode(values[i]); // so that the difference cannot overflow
            if (i != place && uint256(values[place] - values[i]) < margin) return (place, false);
        }
        return (place, true);
    }

    /// @notice Where the largest value is; of equal ones the first, as numpy and onnxruntime have it. Where a prover may
    /// gain by it, use argmaxWithMargin.
    /// @param values The integers; one at least.
    function argmax(int256[] memory values) internal pure returns (uint256 place) {
        if (values.length == 0) revert NoValues();
        for (uint256 i = 1; i < values.length; ++i) {
            if (values[i] > values[place]) place = i;
        }
    }
}
