// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {InferenceLedger} from "../../src/InferenceLedger.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {Request} from "../../src/interfaces/IInferenceLedger.sol";
import {IModelRegistry} from "../../src/interfaces/IModelRegistry.sol";
import {IVerifierRouter} from "../../src/interfaces/IVerifierRouter.sol";
import {Contexts} from "../../src/libraries/Contexts.sol";
import {SlotOrder, Slots, Visibility} from "../../src/libraries/Slots.sol";
import {Requests} from "../support/Requests.sol";
import {Test} from "../support/Test.sol";

/// @notice What Python and Solidity must compute alike.
contract IdentifiersTest is Test {
    string private json;

    function setUp() external {
        json = vectors("values");
    }

    function requireContext(bytes32 context, uint256[] calldata instances, uint256 start) external pure {
        Contexts.require_(context, instances, start);
    }

    function slotsFrom(Visibility visibility, uint32 inputs, uint32 outputs) external pure returns (Slots memory) {
        return SlotOrder.from(visibility, inputs, outputs);
    }

    function test_context_vectors_agreeWithPython() external view {
        for (uint256 i = 0; i < 8; ++i) {
            uint256[] memory limbs = vm.parseJsonUintArray(json, key("contexts", i, "limbs"));
            this.requireContext(contextAt(i), limbs, 0);
        }
    }

    function test_context_everyLimbChanged_reverts() external {
        uint256[] memory limbs = vm.parseJsonUintArray(json, key("contexts", 1, "limbs"));
        for (uint256 i = 0; i < 5; ++i) {
            limbs[i] ^= 1;
            vm.expectRevert(Contexts.ContextMismatch.selector);
            this.requireContext(contextAt(1), limbs, 0);
            limbs[i] ^= 1;
        }
    }

    function testFuzz_context_limbs_makeUpItsTopBits(bytes32 context) external pure {
        uint256 top;
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertLe(Contexts.limb(context, i), 2 ** 26 - 1);
            top = top << 26 | Contexts.limb(context, i);
        }
        vm.assertEq(top, uint256(context) >> 126);
    }

    function test_listing_vectors_agreeWithPython() external {
        ModelRegistry registry = new ModelRegistry(IVerifierRouter(address(0)), false);
        for (uint256 i = 0; i < 4; ++i) {
            bytes32 onnx = vm.parseJsonBytes32(json, key("models", i, "onnxDigest"));
            bytes32 digest = vm.parseJsonBytes32(json, key("models", i, "keyDigest"));
            bytes32 modelId = vm.parseJsonBytes32(json, key("models", i, "modelId"));
            vm.assertEq(keccak256(abi.encode(onnx, digest)), modelId);
            address publisher = vm.parseJsonAddress(json, key("models", i, "publisher"));
            bytes32 listing = vm.parseJsonBytes32(json, key("models", i, "listing"));
            vm.assertEq(listingAt(registry, i, modelId, publisher), listing);
        }
    }

    function test_requestId_vectors_agreeWithPython() external {
        address where = vm.parseJsonAddress(vectors("digits"), ".addresses.ledger");
        vm.chainId(31337);
        deployAt(
            where,
            abi.encodePacked(
                type(InferenceLedger).creationCode, abi.encode(IModelRegistry(address(0)), IVerifierRouter(address(0)))
            )
        );
        for (uint256 i = 0; i < 4; ++i) {
            string memory path = string.concat(".requests[", vm.toString(i), "]");
            Request memory question = Requests.read(vm, json, path);
            vm.assertEq(InferenceLedger(where).idOf(question), vm.parseJsonBytes32(json, key("requests", i, "id")));
        }
    }

    function test_slots_vectors_agreeWithPython() external view {
        for (uint256 i = 0; i < 4; ++i) {
            Slots memory slots = this.slotsFrom(
                Visibility(number("layouts", i, "visibility")),
                uint32(number("layouts", i, "inputs")),
                uint32(number("layouts", i, "outputs"))
            );
            vm.assertEq(slots.contextAt, number("layouts", i, "contextAt"));
            vm.assertEq(slots.inputAt, number("layouts", i, "inputAt"));
            vm.assertEq(slots.outputAt, number("layouts", i, "outputAt"));
            vm.assertEq(slots.instanceCount, number("layouts", i, "instanceCount"));
        }
    }

    function test_slots_withoutOutputs_revert() external {
        vm.expectRevert(SlotOrder.ImpossibleSlots.selector);
        this.slotsFrom(Visibility.Public, 1, 0);
    }

    function test_slots_publicWithoutInputs_revert() external {
        vm.expectRevert(SlotOrder.ImpossibleSlots.selector);
        this.slotsFrom(Visibility.Public, 0, 1);
    }

    function test_slots_privateWithInputs_revert() external {
        vm.expectRevert(SlotOrder.ImpossibleSlots.selector);
        this.slotsFrom(Visibility.Private, 1, 1);
    }

    function test_slots_tooMany_revert() external {
        vm.expectRevert(SlotOrder.ImpossibleSlots.selector);
        this.slotsFrom(Visibility.Public, SlotOrder.MOST + 1, 1);
    }

    function test_slots_tooManyOutputs_revert() external {
        vm.expectRevert(SlotOrder.ImpossibleSlots.selector);
        this.slotsFrom(Visibility.Public, 1, type(uint32).max);
    }

    function listingAt(ModelRegistry registry, uint256 i, bytes32 modelId, address publisher)
        private
        view
        returns (bytes32)
    {
        return registry.listingOf(
            modelId,
            publisher,
            bytes4(vm.parseJsonBytes32(json, key("models", i, "selector"))),
            Visibility(number("models", i, "visibility")),
            uint32(number("models", i, "inputs")),
            uint32(number("models", i, "outputs"))
        );
    }

    function contextAt(uint256 i) private view returns (bytes32) {
        return Contexts.digest(
            number("contexts", i, "chainId"),
            vm.parseJsonAddress(json, key("contexts", i, "consumer")),
            vm.parseJsonBytes32(json, key("contexts", i, "requestId")),
            vm.parseJsonAddress(json, key("contexts", i, "requester")),
            uint64(number("contexts", i, "expiry"))
        );
    }

    function number(string memory list, uint256 i, string memory name) private view returns (uint256) {
        return vm.parseJsonUint(json, key(list, i, name));
    }

    function key(string memory list, uint256 i, string memory name) private pure returns (string memory) {
        return string.concat(".", list, "[", vm.toString(i), "].", name);
    }
}
