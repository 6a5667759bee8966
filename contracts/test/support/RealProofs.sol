// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Request} from "../../src/interfaces/IInferenceLedger.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {InstanceLayout} from "../../src/verifiers/ezkl/InstanceLayout.sol";
import {ReusableHalo2Adapter} from "../../src/verifiers/ezkl/ReusableHalo2Adapter.sol";
import {Layout, Visibility} from "../../src/libraries/StatementLayout.sol";
import {Statement} from "./BindingVerifier.sol";
import {Requests} from "./Requests.sol";
import {Test} from "./Test.sol";

/// @notice The generated verifier, and proofs that the engine made for contracts at fixed addresses.
abstract contract RealProofs is Test {
    string internal json;
    address internal halo2;
    ReusableHalo2Adapter internal adapter;
    bytes32 internal keyDigest;
    address internal key;
    bytes internal proof;
    Layout internal form;
    Statement internal statement;
    address internal canaryKey;
    bytes32 internal canaryDigest;

    function setUp() public virtual {
        json = vectors("digits");
        vm.chainId(vm.parseJsonUint(json, ".chainId"));
        halo2 = create(vm.parseJsonBytes(artifact("Halo2VerifierReusable"), ".bytecode"));
        canaryKey = CodeStore.write(wordsOf(vm.parseJsonBytes(artifact("canary"), ".key")));
        canaryDigest = vm.parseJsonBytes32(artifact("canary"), ".keyDigest");
        adapter = new ReusableHalo2Adapter(halo2, canaryKey, canaryDigest);
        keyDigest = vm.parseJsonBytes32(json, ".model.keyDigest");
        key = CodeStore.write(words(".model.key"));
        adapter.prepare(key);
        form = Layout(Visibility.Public, uint8(modelNumber("inputWidth")), uint32(modelNumber("inputs")), 10);
        (proof, statement) = proofAt(".batch[0]");
    }

    function proofAt(string memory path) internal view returns (bytes memory, Statement memory) {
        return (
            vm.parseJsonBytes(json, string.concat(path, ".proof")),
            Statement(
                vm.parseJsonBytes32(json, string.concat(path, ".context")),
                vm.parseJsonBytes(json, string.concat(path, ".inputs")),
                vm.parseJsonIntArray(json, string.concat(path, ".outputs"))
            )
        );
    }

    /// @dev The public values of the proof.
    function instances() internal view returns (uint256[] memory) {
        return this.instancesOf(form, statement.context, statement.inputs, statement.outputs, proof);
    }

    function instancesOf(
        Layout calldata layout_,
        bytes32 context,
        bytes calldata inputs,
        int256[] calldata outputs,
        bytes calldata proof_
    ) external pure returns (uint256[] memory) {
        return InstanceLayout.instancesOf(layout_, context, inputs, outputs, proof_);
    }

    function modelNumber(string memory name) internal view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(".model.layout.", name));
    }

    function requestAt(string memory path) internal view returns (Request memory) {
        return Requests.read(vm, json, string.concat(path, ".request"));
    }

    function addressOf(string memory name) internal view returns (address) {
        return vm.parseJsonAddress(json, string.concat(".addresses.", name));
    }

    function words(string memory path) internal view returns (bytes32[] memory) {
        return wordsOf(vm.parseJsonBytes(json, path));
    }
}
