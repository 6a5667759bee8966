// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {Layout, StatementLayout, Visibility} from "../../src/libraries/StatementLayout.sol";
import {InstanceLayout} from "../../src/verifiers/ezkl/InstanceLayout.sol";
import {Test} from "../support/Test.sol";

/// @notice The derivation of ezkl's public values from a statement.
contract InstanceLayoutTest is Test {
    uint256 private constant R = InstanceLayout.MODULUS;
    Layout private bytes_ = Layout(Visibility.Public, 1, 1, 1);

    function instancesOf(
        Layout calldata layout_,
        bytes32 context,
        bytes calldata inputs,
        int256[] calldata outputs,
        bytes calldata proof
    ) external pure returns (uint256[] memory) {
        return InstanceLayout.instancesOf(layout_, context, inputs, outputs, proof);
    }

    function halo2Proof(Layout calldata layout_, bytes calldata proof) external pure returns (bytes memory) {
        return InstanceLayout.halo2Proof(layout_, proof);
    }

    function test_instances_vectors_agreeWithPython() external view {
        string memory json = vectors("values");
        for (uint256 i = 0; i < 6; ++i) {
            string memory path = string.concat(".statements[", vm.toString(i), "]");
            Layout memory form = layoutAt(json, path);
            bytes memory proof = vm.parseJsonBytes(json, string.concat(path, ".proof"));
            uint256[] memory found = this.instancesOf(
                form,
                vm.parseJsonBytes32(json, string.concat(path, ".context")),
                vm.parseJsonBytes(json, string.concat(path, ".inputs")),
                vm.parseJsonIntArray(json, string.concat(path, ".outputs")),
                proof
            );
            vm.assertEq(abi.encode(found), abi.encode(vm.parseJsonUintArray(json, string.concat(path, ".instances"))));
            vm.assertEq(this.halo2Proof(form, proof), vm.parseJsonBytes(json, string.concat(path, ".halo2")));
        }
    }

    function testFuzz_limbs_joined_areTheTopBitsOfTheContext(bytes32 context) external pure {
        uint256 top;
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertLe(InstanceLayout.limb(context, i), 2 ** 26 - 1);
            top = top << 26 | InstanceLayout.limb(context, i);
        }
        vm.assertEq(top, uint256(context) >> 126);
    }

    function testFuzz_inputs_areReadAsTwosComplement(int64 value, uint8 choice) external view {
        uint8 width = uint8(1) << (choice % 4);
        int256 kept = int256(value) << (256 - 8 * width) >> (256 - 8 * width);
        bytes memory packed = lastBytes(abi.encode(kept), width);
        uint256[] memory found = this.instancesOf(Layout(Visibility.Public, width, 1, 1), 0, packed, one(0), "");
        vm.assertEq(found[5], kept < 0 ? R - uint256(-kept) : uint256(kept));
    }

    function testFuzz_outputs_below63Bits_areFieldElements(int64 value) external view {
        vm.assume(value > type(int64).min);
        uint256[] memory found = this.instancesOf(bytes_, 0, hex"00", one(value), "");
        vm.assertEq(found[6], value < 0 ? R - uint256(-int256(value)) : uint256(int256(value)));
    }

    function testFuzz_outputs_of64BitsOrMore_revert(int256 value) external {
        if (value > -(2 ** 63) && value < 2 ** 63) value += value < 0 ? -(2 ** 63) : int256(2 ** 63);
        vm.expectRevert(abi.encodeWithSelector(IInferenceVerifier.OutputOutOfRange.selector, value));
        this.instancesOf(bytes_, 0, hex"00", one(value), "");
    }

    function test_outputs_atTheLimit_revert() external {
        int256[2] memory edges = [int256(2 ** 63), -(2 ** 63)];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IInferenceVerifier.OutputOutOfRange.selector, edges[i]));
            this.instancesOf(bytes_, 0, hex"00", one(edges[i]), "");
        }
    }

    function test_outputs_ofTheModulus_revert() external {
        vm.expectRevert(abi.encodeWithSelector(IInferenceVerifier.OutputOutOfRange.selector, int256(R) + 1));
        this.instancesOf(bytes_, 0, hex"00", one(int256(R) + 1), "");
    }

    function test_inputs_ofWrongLength_revert() external {
        vm.expectRevert(abi.encodeWithSelector(StatementLayout.InputLengthMismatch.selector, 1, 0));
        this.instancesOf(bytes_, 0, "", one(0), "");
        vm.expectRevert(abi.encodeWithSelector(StatementLayout.InputLengthMismatch.selector, 1, 2));
        this.instancesOf(bytes_, 0, hex"0000", one(0), "");
    }

    function test_outputs_ofWrongCount_revert() external {
        vm.expectRevert(abi.encodeWithSelector(StatementLayout.OutputCountMismatch.selector, 1, 0));
        this.instancesOf(bytes_, 0, hex"00", new int256[](0), "");
        vm.expectRevert(abi.encodeWithSelector(StatementLayout.OutputCountMismatch.selector, 1, 2));
        this.instancesOf(bytes_, 0, hex"00", new int256[](2), "");
    }

    function test_layout_invalidWidth_reverts() external {
        vm.expectRevert(StatementLayout.ImpossibleLayout.selector);
        this.instancesOf(Layout(Visibility.Public, 3, 1, 1), 0, hex"000000", one(0), "");
    }

    function testFuzz_digests_notBelowTheModulus_revert(uint256 digest) external {
        if (digest < R) digest += R;
        bytes memory why = abi.encodeWithSelector(InstanceLayout.NotCanonical.selector, digest);
        Layout memory hashed = Layout(Visibility.Hashed, 32, 1, 1);
        vm.expectRevert(why);
        this.instancesOf(hashed, 0, abi.encode(digest), one(0), abi.encode(1));
        vm.expectRevert(why);
        this.instancesOf(hashed, 0, abi.encode(1), one(0), abi.encode(digest));
    }

    function test_digestOfTheContext_missing_reverts() external {
        Layout memory hashed = Layout(Visibility.Hashed, 32, 1, 1);
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        this.instancesOf(hashed, 0, abi.encode(1), one(0), new bytes(31));
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        this.halo2Proof(hashed, new bytes(31));
    }

    function one(int256 value) private pure returns (int256[] memory outputs) {
        outputs = new int256[](1);
        outputs[0] = value;
    }

    /// @dev The last `count` bytes.
    function lastBytes(bytes memory data, uint256 count) private pure returns (bytes memory end) {
        end = new bytes(count);
        for (uint256 i = 0; i < count; ++i) {
            end[i] = data[data.length - count + i];
        }
    }

    function layoutAt(string memory json, string memory path) private pure returns (Layout memory) {
        return Layout(
            Visibility(vm.parseJsonUint(json, string.concat(path, ".layout.visibility"))),
            uint8(vm.parseJsonUint(json, string.concat(path, ".layout.inputWidth"))),
            uint32(vm.parseJsonUint(json, string.concat(path, ".layout.inputs"))),
            uint32(vm.parseJsonUint(json, string.concat(path, ".layout.outputs")))
        );
    }
}
