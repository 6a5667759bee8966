// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Outputs} from "../../src/libraries/Outputs.sol";
import {Test} from "../support/Test.sol";

contract OutputsTest is Test {
    int256 private constant LIMIT = 2 ** 127;

    function requireBelow(int256 value, uint256 limit) external pure {
        Outputs.requireBelow(value, limit);
    }

    function isAtLeast(int256 value, uint8 scale, int256 numerator, uint256 denominator) external pure returns (bool) {
        return Outputs.isAtLeast(value, scale, numerator, denominator);
    }

    function toDecimals(int256 value, uint8 scale, uint8 places) external pure returns (int256) {
        return Outputs.toDecimals(value, scale, places);
    }

    function argmax(int256[] memory values) external pure returns (uint256) {
        return Outputs.argmax(values);
    }

    function argmaxWithMargin(int256[] memory values, uint256 margin) external pure returns (uint256, bool) {
        return Outputs.argmaxWithMargin(values, margin);
    }

    function commitment(int256[] calldata words) external pure returns (bytes32) {
        return Outputs.commitment(words);
    }

    function test_toDecimals_vectors_agreeWithPython() external view {
        string memory json = vectors("values");
        for (uint256 i = 0; i < 8; ++i) {
            string memory at_ = string.concat(".decimals[", vm.toString(i), "]");
            int256 value = vm.parseJsonInt(json, string.concat(at_, ".value"));
            uint8 scale = uint8(vm.parseJsonUint(json, string.concat(at_, ".scale")));
            uint8 places = uint8(vm.parseJsonUint(json, string.concat(at_, ".decimals")));
            vm.assertEq(this.toDecimals(value, scale, places), vm.parseJsonInt(json, string.concat(at_, ".result")));
        }
    }

    function testFuzz_requireBelow_below_passes(int128 value) external view {
        vm.assume(value > type(int128).min);
        this.requireBelow(value, uint256(LIMIT));
    }

    function test_requireBelow_atTheLimit_reverts() external {
        this.requireBelow(-99, 100);
        vm.expectRevert(abi.encodeWithSelector(Outputs.OutOfBounds.selector, int256(-100), uint256(100)));
        this.requireBelow(-100, 100);
    }

    function test_requireBelow_minimumInteger_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(Outputs.OutOfBounds.selector, type(int256).min, uint256(LIMIT)));
        this.requireBelow(type(int256).min, uint256(LIMIT));
    }

    function test_isAtLeast_negativeNumbers_areSmaller() external view {
        vm.assertFalse(this.isAtLeast(-1, 0, 0, 1));
        vm.assertTrue(this.isAtLeast(-2, 1, -1, 1));
        vm.assertFalse(this.isAtLeast(-3, 1, -1, 1));
    }

    /// @dev Compares with long division, rounded up.
    function testFuzz_isAtLeast_everyPair_comparesExactly(int128 value, uint8 scale, int128 numerator, uint96 below)
        external
        view
    {
        vm.assume(value > type(int128).min && numerator > type(int128).min && below > 0);
        scale %= 65;
        int256 wanted = int256(numerator) << scale;
        int256 least = wanted / int256(uint256(below));
        if (wanted > 0 && wanted % int256(uint256(below)) != 0) ++least;
        vm.assertEq(this.isAtLeast(value, scale, numerator, below), int256(value) >= least);
    }

    function test_isAtLeast_withoutDenominator_reverts() external {
        vm.expectRevert(Outputs.NotComparable.selector);
        this.isAtLeast(1, 0, 1, 0);
    }

    function test_isAtLeast_withLargeDenominator_reverts() external {
        vm.expectRevert(Outputs.NotComparable.selector);
        this.isAtLeast(1, 0, 1, 2 ** 96 + 1);
    }

    function test_isAtLeast_withLargeScale_reverts() external {
        vm.expectRevert(Outputs.NotComparable.selector);
        this.isAtLeast(1, 65, 1, 1);
    }

    function test_isAtLeast_withLargeNumber_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(Outputs.OutOfBounds.selector, LIMIT, uint256(LIMIT)));
        this.isAtLeast(1, 0, LIMIT, 1);
    }

    function test_toDecimals_withManyDecimals_reverts() external {
        vm.expectRevert(Outputs.NotComparable.selector);
        this.toDecimals(1, 0, 19);
    }

    function test_argmax_tie_isTheFirst() external view {
        int256[] memory values = new int256[](4);
        (values[0], values[1], values[2], values[3]) = (-5, 7, 7, -9);
        vm.assertEq(this.argmax(values), 1);
    }

    function test_argmax_empty_reverts() external {
        vm.expectRevert(Outputs.NoValues.selector);
        this.argmax(new int256[](0));
    }

    function test_argmaxWithMargin_leadOfTheMargin_isClear() external view {
        (uint256 place, bool clear) = this.argmaxWithMargin(three(-5, 7, 3), 4);
        vm.assertEq(place, 1);
        vm.assertTrue(clear);
    }

    function test_argmaxWithMargin_leadBelowTheMargin_isNotClear() external view {
        (uint256 place, bool clear) = this.argmaxWithMargin(three(7, -5, 3), 5);
        vm.assertEq(place, 0);
        vm.assertFalse(clear);
        (, clear) = this.argmaxWithMargin(three(-5, 3, 7), 5);
        vm.assertFalse(clear);
    }

    function test_argmaxWithMargin_tie_isNotClear() external view {
        (uint256 place, bool clear) = this.argmaxWithMargin(three(7, 0, 7), 1);
        vm.assertEq(place, 0);
        vm.assertFalse(clear);
    }

    function test_argmaxWithMargin_singleValue_isClear() external view {
        (uint256 place, bool clear) = this.argmaxWithMargin(new int256[](1), type(uint256).max);
        vm.assertEq(place, 0);
        vm.assertTrue(clear);
    }

    function test_argmaxWithMargin_empty_reverts() external {
        vm.expectRevert(Outputs.NoValues.selector);
        this.argmaxWithMargin(new int256[](0), 1);
    }

    function test_argmaxWithMargin_valueAtTheLimit_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(Outputs.OutOfBounds.selector, -LIMIT, uint256(LIMIT)));
        this.argmaxWithMargin(three(0, -LIMIT, 0), 1);
    }

    function testFuzz_argmaxWithMargin_clear_isStableWithinTheTolerance(int64[4] memory from, uint32 most, uint8 signs)
        external
        view
    {
        int256 move = int256(uint256(most));
        int256[] memory values = new int256[](4);
        for (uint256 i = 0; i < 4; ++i) {
            values[i] = from[i];
        }
        (uint256 place, bool clear) = this.argmaxWithMargin(values, 2 * uint256(most) + 1);
        for (uint256 i = 0; i < 4; ++i) {
            values[i] += (signs >> i) & 1 == 0 ? move : -move; // a prover may raise some and lower others at once
        }
        if (clear) vm.assertEq(this.argmax(values), place);
    }

    function three(int256 a, int256 b, int256 c) private pure returns (int256[] memory values) {
        values = new int256[](3);
        (values[0], values[1], values[2]) = (a, b, c);
    }

    function testFuzz_commitment_isHashOfWords(int256[] calldata words) external view {
        vm.assertEq(this.commitment(words), keccak256(abi.encodePacked(words)));
    }
}
