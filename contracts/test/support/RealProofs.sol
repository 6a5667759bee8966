// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Request} from "../../src/interfaces/IInferenceLedger.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {ReusableHalo2Adapter} from "../../src/verifiers/ReusableHalo2Adapter.sol";
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
    uint256[] internal instances;

    function setUp() public virtual {
        json = vectors("digits");
        vm.chainId(vm.parseJsonUint(json, ".chainId"));
        halo2 = create(vm.parseJsonBytes(artifact("Halo2VerifierReusable"), ".bytecode"));
        adapter = new ReusableHalo2Adapter(halo2);
        keyDigest = vm.parseJsonBytes32(json, ".model.keyDigest");
        key = CodeStore.write(words(".model.key"));
        adapter.prepare(key);
        (proof, instances) = proofAt(".batch[0]");
    }

    function proofAt(string memory path) internal view returns (bytes memory, uint256[] memory) {
        return (
            vm.parseJsonBytes(json, string.concat(path, ".proof")),
            vm.parseJsonUintArray(json, string.concat(path, ".instances"))
        );
    }

    function questionAt(string memory path) internal view returns (Request memory) {
        return Requests.read(vm, json, string.concat(path, ".request"));
    }

    function addressOf(string memory name) internal view returns (address) {
        return vm.parseJsonAddress(json, string.concat(".addresses.", name));
    }

    function words(string memory path) internal view returns (bytes32[] memory) {
        return wordsOf(vm.parseJsonBytes(json, path));
    }
}
