// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IHalo2Reusable} from "../../src/interfaces/IHalo2.sol";
import {IInferenceVerifier, KeyFacts} from "../../src/interfaces/IInferenceVerifier.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {Setups} from "../../src/libraries/Setups.sol";
import {GeneratedVerifier} from "../../src/verifiers/GeneratedVerifier.sol";
import {ReusableHalo2Adapter} from "../../src/verifiers/ReusableHalo2Adapter.sol";
import {BadProofs} from "../support/BadProofs.sol";

contract ReusableHalo2AdapterTest is BadProofs {
    function verifier() internal view override returns (IInferenceVerifier) {
        return adapter;
    }

    function generated() internal view override returns (address) {
        return halo2;
    }

    function generatedCall() internal view override returns (bytes memory) {
        return abi.encodeCall(IHalo2Reusable.verifyProof, (proof, instances, CodeStore.read(key)));
    }

    function test_selector_isStable() external view {
        vm.assertEq(bytes32(adapter.selector()), bytes32(bytes4(keccak256("ezkl-23.0.5-halo2-kzg-bn254-v1"))));
    }

    function test_constructor_otherCode_reverts() external {
        vm.expectRevert(
            abi.encodeWithSelector(
                ReusableHalo2Adapter.WrongCode.selector, GeneratedVerifier.CODE_HASH, address(adapter).codehash
            )
        );
        new ReusableHalo2Adapter(address(adapter));
    }

    function test_inspect_realKey_saysWhatThePythonSideSays() external view {
        KeyFacts memory facts = adapter.inspect(key);
        vm.assertEq(facts.digest, keyDigest);
        vm.assertEq(facts.instanceCount, instances.length);
        vm.assertEq(facts.setup, Setups.HERMEZ);
    }

    function test_inspect_everyCeremony_isRecognised() external {
        string memory values = vectors("values");
        checkSetup(values, "hermez", Setups.HERMEZ);
        checkSetup(values, "perpetual-powers-of-tau", Setups.PERPETUAL_POWERS_OF_TAU);
        checkSetup(values, "insecure-dev", Setups.INSECURE_DEV);
    }

    function test_inspect_tooFewWords_reverts() external {
        refusesKey(new bytes32[](33));
    }

    function test_inspect_phasesBeyondTheEnd_reverts() external {
        bytes32[] memory bad = words(".model.key");
        bad[33] = bytes32(uint256(255));
        refusesKey(bad);
    }

    function test_inspect_manyInstances_reverts() external {
        bytes32[] memory bad = words(".model.key");
        bad[2] = bytes32(uint256(2 ** 20 + 1));
        refusesKey(bad);
    }

    function test_inspect_manyEvaluations_reverts() external {
        bytes32[] memory bad = words(".model.key");
        bad[3] = bytes32(type(uint256).max);
        refusesKey(bad);
    }

    function test_inspect_otherGenerators_reverts() external {
        for (uint256 place = 14; place < 20; ++place) {
            bytes32[] memory bad = words(".model.key");
            bad[place] ^= bytes32(uint256(1));
            refusesKey(bad);
        }
    }

    function test_inspect_coordinateBeyondTheField_reverts() external {
        bytes32[] memory bad = words(".model.key");
        bad[22] = bytes32(type(uint256).max);
        refusesKey(bad);
        bad = words(".model.key");
        bad[23] = bytes32(type(uint256).max);
        refusesKey(bad);
    }

    function test_prepare_malformedKey_reverts() external {
        address bad = CodeStore.write(new bytes32[](40));
        vm.expectRevert(IInferenceVerifier.MalformedKey.selector);
        adapter.prepare(bad);
    }

    function test_verify_unpreparedKey_isRefused() external {
        bytes32[] memory other = words(".model.key");
        other[186] ^= bytes32(uint256(1));
        address pointer = CodeStore.write(other);
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        adapter.verify(CodeStore.digest(other), pointer, proof, instances);
    }

    function test_verify_otherDigest_isRefused() external {
        vm.expectRevert(abi.encodeWithSelector(IInferenceVerifier.KeyMismatch.selector, bytes32(0), keyDigest));
        adapter.verify(bytes32(0), key, proof, instances);
    }

    /// @dev A key that differs in one word, prepared by anybody, is another key.
    function test_verify_everyWordOfTheKeyChanged_isRefused() external {
        for (uint256 place = 0; place < 187; ++place) {
            bytes32[] memory other = words(".model.key");
            other[place] ^= bytes32(uint256(1));
            address pointer = CodeStore.write(other);
            IHalo2Reusable(halo2).registerVka(other);
            (bool success,) = address(adapter).staticcall{gas: 3_000_000}(
                abi.encodeCall(IInferenceVerifier.verify, (keyDigest, pointer, proof, instances))
            );
            vm.assertFalse(success, vm.toString(place));
        }
    }

    function test_verify_malformedKey_isRefused() external {
        address bad = CodeStore.write(new bytes32[](20));
        vm.expectRevert(IInferenceVerifier.MalformedKey.selector);
        adapter.verify(keyDigest, bad, proof, instances);
    }

    function test_verify_noKey_isRefused() external {
        vm.expectRevert(abi.encodeWithSelector(CodeStore.NothingStored.selector, ALICE));
        adapter.verify(keyDigest, ALICE, proof, instances);
    }

    function test_generated_shiftedKey_isRefusedOrHarmless() external view {
        // The key is decoded by the compiler's own code and named by its digest, so where it lies changes nothing.
        bytes memory probe = shifted(generatedCall(), 2, 32 * 187);
        (bool success, bytes memory answer) = halo2.staticcall(probe);
        if (success) vm.assertEq(bytes32(readWord(answer, 1)), keyDigest);
    }

    function checkSetup(string memory values, string memory name, bytes32 expected) private {
        bytes32[] memory other = words(".model.key");
        string memory path = string.concat(".setups['", name, "']");
        bytes32[] memory negated = vm.parseJsonBytes32Array(values, string.concat(path, ".negated"));
        for (uint256 i = 0; i < 4; ++i) {
            other[20 + i] = negated[i];
        }
        vm.assertEq(adapter.inspect(CodeStore.write(other)).setup, expected);
        vm.assertEq(vm.parseJsonBytes32(values, string.concat(path, ".id")), expected);
    }

    function refusesKey(bytes32[] memory bad) private {
        address pointer = CodeStore.write(bad);
        vm.expectRevert(IInferenceVerifier.MalformedKey.selector);
        adapter.inspect(pointer);
    }
}
