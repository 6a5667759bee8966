// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {Layout, Visibility} from "../../src/libraries/StatementLayout.sol";
import {Statement} from "./BindingVerifier.sol";
import {Test, Vm} from "./Test.sol";

/// @notice The verifier of Ashlar, and the vectors that all its implementations share.
abstract contract AshlarProofs is Test {
    string internal constant VECTORS = "../tests/vectors/ashlar/";

    IInferenceVerifier internal verifier;
    string internal json;
    bytes internal keyBytes;
    bytes32 internal keyDigest;
    address internal key;
    bytes internal proof;
    Layout internal form;
    Statement internal statement;

    function setUp() public virtual {
        verifier = IInferenceVerifier(create(vm.getCode("AshlarVerifier.sol:AshlarVerifier")));
        load("mlp_public_1");
    }

    /// @dev The files of all vectors that hold.
    function vectorFiles() internal view returns (string[] memory paths) {
        Vm.DirEntry[] memory entries = vm.readDir(VECTORS);
        paths = new string[](entries.length);
        uint256 count;
        for (uint256 i = 0; i < entries.length; ++i) {
            if (!entries[i].isDir) paths[count++] = entries[i].path;
        }
        assembly ("memory-safe") {
            mstore(paths, count)
        }
    }

    function load(string memory name) internal {
        loadFile(string.concat(VECTORS, name, ".json"));
    }

    function loadFile(string memory path) internal {
        json = vm.readFile(path);
        keyBytes = vm.parseJsonBytes(json, ".key");
        useKey(keyBytes);
        proof = vm.parseJsonBytes(json, ".proof");
        form = Layout(
            Visibility(vm.parseJsonUint(json, ".layout.visibility")),
            uint8(vm.parseJsonUint(json, ".layout.inputWidth")),
            uint32(vm.parseJsonUint(json, ".layout.inputs")),
            uint32(vm.parseJsonUint(json, ".layout.outputs"))
        );
        statement = Statement(
            vm.parseJsonBytes32(json, ".context"),
            vm.parseJsonBytes(json, ".inputs"),
            vm.parseJsonIntArray(json, ".outputs")
        );
    }

    function call(Statement memory said, bytes memory proof_) internal view returns (bytes memory) {
        return abi.encodeCall(
            IInferenceVerifier.verify, (keyDigest, key, form, said.context, said.inputs, said.outputs, proof_)
        );
    }

    function accepts() internal view {
        (bool success, bytes memory why) = address(verifier).staticcall{gas: 1_000_000}(call(statement, proof));
        vm.assertTrue(success, vm.toString(bytes32(why)));
    }

    function refuses(Statement memory said, bytes memory proof_, bytes4 expected, string memory about) internal view {
        refusesCall(call(said, proof_), expected, about);
    }

    function refusesProof(bytes memory bad, string memory about) internal view {
        refuses(statement, bad, IInferenceVerifier.ProofRejected.selector, about);
    }

    function refusesCall(bytes memory data, bytes4 expected, string memory about) internal view {
        (bool success, bytes memory why) = address(verifier).staticcall{gas: 1_000_000}(data);
        vm.assertFalse(success, about);
        vm.assertEq(bytes32(bytes4(why)), bytes32(expected), about);
    }

    function useKey(bytes memory packed) internal {
        keyDigest = keccak256(packed);
        key = address(uint160(uint256(keyDigest)));
        vm.etch(key, abi.encodePacked(bytes1(0), packed)); // of any length, as CodeStore.write does not store it
    }
}
