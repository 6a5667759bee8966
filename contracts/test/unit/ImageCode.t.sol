// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ImageCode} from "../../src/libraries/ImageCode.sol";
import {Outputs} from "../../src/libraries/Outputs.sol";
import {ImageCodes} from "../support/ImageCodes.sol";
import {Test} from "../support/Test.sol";

contract ImageCodeTest is Test {
    int256 private constant LARGEST = (1 << 60) - 1;
    /// @dev The upper half of each block.
    uint256 private constant HALVES = 0xffffffff00000000ffffffff00000000ffffffff00000000ffffffff00000000;

    function test_sureOf_sharedVectors_areAsInPython() external {
        string memory json = vm.readFile("../tests/vectors/prints.json");
        uint256 margin = vm.parseJsonUint(json, ".margin");
        uint256 refused;
        for (uint256 i = 0; vm.keyExistsJson(json, item(i, "name")); ++i) {
            int256[] memory values = vm.parseJsonIntArray(json, item(i, "outputs"));
            uint256 bits = uint256(vm.parseJsonBytes32(json, item(i, "bits")));
            string memory name = vm.parseJsonString(json, item(i, "name"));
            if (bytes(vm.parseJsonString(json, item(i, "refused"))).length != 0) {
                (bits,,) = ImageCodes.read(values, margin);
                (bool accepted,) = address(this).call(abi.encodeCall(this.sureOf, (values, bits, margin)));
                vm.assertFalse(accepted, name);
                ++refused;
                continue;
            }
            vm.assertEq(bytes32(this.sureOf(values, bits, margin)), vm.parseJsonBytes32(json, item(i, "sure")), name);
        }
        vm.assertTrue(refused > 1);
    }

    /// @dev Small coefficients tie often, large ones never.
    function testFuzz_sureOf_randomCoefficients_agreesWithASort(uint256 seed, uint8 magnitude, uint256 margin)
        external
    {
        uint256 most = uint256(1) << (magnitude % 60);
        margin = 1 + margin % most;
        int256[] memory values = ImageCodes.random(seed, most - 1);
        (uint256 bits, uint256 sure, bool defined) = ImageCodes.read(values, margin);
        (bool accepted, bytes memory result) = address(this).call(abi.encodeCall(this.sureOf, (values, bits, margin)));
        vm.assertEq(accepted, defined);
        if (accepted) vm.assertEq(abi.decode(result, (bytes32)), bytes32(sure));
        else vm.assertEq(bytes32(bytes4(result)), bytes32(ImageCode.NotTheMedian.selector));
    }

    /// @dev The code is the only one that is accepted: here two bits of a block are exchanged.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_sureOf_exchangedBits_areRefused(uint256 seed, uint8 one, uint8 other) external {
        int256[] memory values = ImageCodes.random(seed, uint256(LARGEST));
        (uint256 bits,,) = ImageCodes.read(values, 1);
        uint256 second = (uint256(one) & 0xc0) | (other & 0x3f);
        vm.assume((bits >> one) & 1 != (bits >> second) & 1);
        vm.expectRevert(abi.encodeWithSelector(ImageCode.NotTheMedian.selector, 3 - uint256(one) / 64));
        this.sureOf(values, bits ^ (1 << one) ^ (1 << second), 1);
    }

    /// @dev Nor one with a bit more or less.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_sureOf_flippedBit_isRefused(uint256 seed, uint8 place) external {
        int256[] memory values = ImageCodes.random(seed, uint256(LARGEST));
        (uint256 bits,,) = ImageCodes.read(values, 1);
        vm.expectRevert(abi.encodeWithSelector(ImageCode.NotTheMedian.selector, 3 - uint256(place) / 64));
        this.sureOf(values, bits ^ (1 << place), 1);
    }

    /// @dev Whatever a prover adds to the coefficients within half of the margin, sure bits stay.
    function testFuzz_sureOf_roundingWithinHalfOfTheMargin_movesNoSureBit(uint256 seed, uint32 half) external pure {
        int256[] memory values = ImageCodes.random(seed, 1 << 34);
        int256[] memory noise = ImageCodes.random(~seed, half);
        (uint256 bits, uint256 sure, bool defined) = ImageCodes.read(values, 2 * uint256(half));
        for (uint256 i = 0; i < 256; ++i) {
            values[i] += noise[i];
        }
        (uint256 moved,, bool still) = ImageCodes.read(values, 0);
        vm.assertEq(bytes32((bits ^ moved) & sure), bytes32(0));
        vm.assertTrue(defined && still);
    }

    function test_sureOf_exactlyAMarginAway_isNotSure() external view {
        vm.assertEq(this.sureOf(ImageCodes.having(HALVES, 7), HALVES, 7), 0);
        vm.assertEq(this.sureOf(ImageCodes.having(HALVES, 8), HALVES, 7), type(uint256).max);
    }

    /// @dev The threshold is half-way between two integers.
    function test_sureOf_oddSum_isNotRounded() external view {
        int256[] memory values = ImageCodes.having(HALVES, 10);
        for (uint256 i = 32; i < 64; ++i) {
            values[i] = -9; // the threshold is 0.5
        }
        vm.assertEq(this.sureOf(values, HALVES, 9), type(uint256).max);
        vm.assertEq(this.sureOf(values, HALVES, 10), 0);
    }

    function test_sureOf_largest_areSure() external view {
        vm.assertEq(this.sureOf(ImageCodes.having(HALVES, LARGEST), HALVES, uint256(LARGEST) - 1), type(uint256).max);
        vm.assertEq(this.sureOf(ImageCodes.having(HALVES, LARGEST), HALVES, uint256(LARGEST)), 0);
    }

    function test_sureOf_tooLarge_isRefused() external {
        int256[6] memory extremes =
            [LARGEST + 1, -LARGEST - 1, 1 << 127, type(int256).max, type(int256).min, type(int256).min + 1];
        for (uint256 i = 0; i < 6; ++i) {
            int256[] memory values = ImageCodes.having(HALVES, 1);
            values[200 + i] = extremes[i];
            vm.expectRevert(abi.encodeWithSelector(Outputs.OutOfBounds.selector, extremes[i], uint256(LARGEST) + 1));
            this.sureOf(values, HALVES, 1);
        }
    }

    function test_sureOf_flat_isRefused() external {
        vm.expectRevert(abi.encodeWithSelector(ImageCode.NotTheMedian.selector, 0));
        this.sureOf(new int256[](256), HALVES, 1);
    }

    function test_sureOf_tieInTheLastBlock_isRefused() external {
        int256[] memory values = ImageCodes.having(HALVES, 5);
        values[255] = 5;
        vm.expectRevert(abi.encodeWithSelector(ImageCode.NotTheMedian.selector, 3));
        this.sureOf(values, HALVES, 1);
    }

    function test_sureOf_zeroBits_isRefused() external {
        vm.expectRevert(abi.encodeWithSelector(ImageCode.NotTheMedian.selector, 0));
        this.sureOf(ImageCodes.having(HALVES, 5), 0, 1);
    }

    function test_sureOf_otherLength_isRefused() external {
        uint256[4] memory lengths = [uint256(0), 64, 255, 257];
        for (uint256 i = 0; i < 4; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ImageCode.WrongLength.selector, lengths[i]));
            this.sureOf(new int256[](lengths[i]), HALVES, 1);
        }
    }

    function testFuzz_count_agreesWithALoop(uint256 word) external pure {
        uint256 expected;
        for (uint256 i = 0; i < 256; ++i) {
            expected += (word >> i) & 1;
        }
        vm.assertEq(ImageCode.count(word), expected);
    }

    function test_count_allAndNone() external pure {
        vm.assertEq(ImageCode.count(type(uint256).max), 256);
        vm.assertEq(ImageCode.count(0), 0);
        vm.assertEq(ImageCode.count(1 << 255), 1);
    }

    function test_distance_ofTheComparedBitsOnly() external pure {
        vm.assertEq(ImageCode.distance(0xff, 0x0f, 0x3c), 2);
        vm.assertEq(ImageCode.distance(HALVES, ~HALVES, type(uint256).max), 256);
    }

    function sureOf(int256[] calldata values, uint256 bits, uint256 margin) external pure returns (uint256) {
        return ImageCode.sureOf(values, bits, margin);
    }

    function item(uint256 number, string memory field) private pure returns (string memory) {
        return string.concat(".cases[", vm.toString(number), "].", field);
    }
}
