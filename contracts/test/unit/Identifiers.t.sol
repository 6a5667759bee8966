// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {InferenceLedger} from "../../src/InferenceLedger.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {Request} from "../../src/interfaces/IInferenceLedger.sol";
import {IModelRegistry} from "../../src/interfaces/IModelRegistry.sol";
import {IVerifierRouter} from "../../src/interfaces/IVerifierRouter.sol";
import {RequestContext} from "../../src/libraries/RequestContext.sol";
import {Layout, StatementLayout, Visibility} from "../../src/libraries/StatementLayout.sol";
import {Requests} from "../support/Requests.sol";
import {Test} from "../support/Test.sol";

/// @notice Identifiers that Python and Solidity must compute alike.
contract IdentifiersTest is Test {
    string private json;

    function setUp() external {
        json = vectors("values");
    }

    function requirePossible(Layout calldata layout_) external pure {
        StatementLayout.requirePossible(layout_);
    }

    function test_context_vectors_agreeWithPython() external view {
        for (uint256 i = 0; i < 8; ++i) {
            vm.assertEq(contextAt(i), vm.parseJsonBytes32(json, key("contexts", i, "hash")));
        }
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
            Request memory request = Requests.read(vm, json, path);
            vm.assertEq(InferenceLedger(where).idOf(request), vm.parseJsonBytes32(json, key("requests", i, "id")));
        }
    }

    function test_layout_vectors_arePossible() external view {
        for (uint256 i = 0; i < 6; ++i) {
            this.requirePossible(layoutAt("statements", i));
        }
    }

    function test_layout_withoutOutputs_reverts() external {
        refuses(Layout(Visibility.Public, 1, 1, 0));
    }

    function test_layout_publicWithoutInputs_reverts() external {
        refuses(Layout(Visibility.Public, 1, 0, 1));
    }

    function test_layout_hashedWithoutInputs_reverts() external {
        refuses(Layout(Visibility.Hashed, 32, 0, 1));
    }

    function test_layout_privateWithInputs_reverts() external {
        refuses(Layout(Visibility.Private, 0, 1, 1));
        refuses(Layout(Visibility.Private, 1, 0, 1));
    }

    function test_layout_tooMany_reverts() external {
        uint32 most = StatementLayout.MAX_VALUES;
        this.requirePossible(Layout(Visibility.Public, 1, most, most));
        refuses(Layout(Visibility.Public, 1, most + 1, 1));
        refuses(Layout(Visibility.Public, 1, 1, most + 1));
        refuses(Layout(Visibility.Public, 1, 1, type(uint32).max));
    }

    function testFuzz_layout_onlyWidthsOfItsVisibility_arePossible(uint8 width) external {
        bool isPublic = width == 1 || width == 2 || width == 4 || width == 8;
        if (isPublic) this.requirePossible(Layout(Visibility.Public, width, 1, 1));
        else refuses(Layout(Visibility.Public, width, 1, 1));
        if (width == 32) this.requirePossible(Layout(Visibility.Hashed, width, 1, 1));
        else refuses(Layout(Visibility.Hashed, width, 1, 1));
        if (width == 0) this.requirePossible(Layout(Visibility.Private, width, 0, 1));
        else refuses(Layout(Visibility.Private, width, 0, 1));
    }

    function refuses(Layout memory layout_) private {
        vm.expectRevert(StatementLayout.ImpossibleLayout.selector);
        this.requirePossible(layout_);
    }

    function listingAt(ModelRegistry registry, uint256 i, bytes32 modelId, address publisher)
        private
        view
        returns (bytes32)
    {
        return registry.listingOf(
            modelId, publisher, bytes4(vm.parseJsonBytes32(json, key("models", i, "selector"))), layoutAt("models", i)
        );
    }

    function layoutAt(string memory list, uint256 i) private view returns (Layout memory) {
        return Layout(
            Visibility(number(list, i, "layout.visibility")),
            uint8(number(list, i, "layout.inputWidth")),
            uint32(number(list, i, "layout.inputs")),
            uint32(number(list, i, "layout.outputs"))
        );
    }

    function contextAt(uint256 i) private view returns (bytes32) {
        return RequestContext.digest(
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
