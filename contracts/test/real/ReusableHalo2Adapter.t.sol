// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IEzklReusableVerifier} from "../../src/verifiers/ezkl/IEzklHalo2Verifier.sol";
import {Canary, IInferenceVerifier, KeyFacts} from "../../src/interfaces/IInferenceVerifier.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {TrustedSetups} from "../../src/libraries/TrustedSetups.sol";
import {EzklVerifierCodeHash} from "../../src/verifiers/ezkl/EzklVerifierCodeHash.sol";
import {ReusableHalo2Adapter} from "../../src/verifiers/ezkl/ReusableHalo2Adapter.sol";
import {BadProofs} from "../support/BadProofs.sol";
import {Statement} from "../support/BindingVerifier.sol";

contract ReusableHalo2AdapterTest is BadProofs {
    function verifier() internal view override returns (IInferenceVerifier) {
        return adapter;
    }

    function generated() internal view override returns (address) {
        return halo2;
    }

    function generatedCall(uint256[] memory instances_) internal view override returns (bytes memory) {
        return abi.encodeCall(IEzklReusableVerifier.verifyProof, (proof, instances_, CodeStore.read(key)));
    }

    function test_selector_isStable() external view {
        vm.assertEq(bytes32(adapter.selector()), bytes32(bytes4(keccak256("ezkl-23.0.5-halo2-kzg-bn254-v1"))));
    }

    function test_constructor_otherCode_reverts() external {
        vm.expectRevert(
            abi.encodeWithSelector(
                ReusableHalo2Adapter.WrongCode.selector, EzklVerifierCodeHash.CODE_HASH, address(adapter).codehash
            )
        );
        new ReusableHalo2Adapter(address(adapter), canaryKey, canaryDigest);
    }

    function test_constructor_otherDigestOfTheCanary_reverts() external {
        vm.expectRevert(ReusableHalo2Adapter.NotACanary.selector);
        new ReusableHalo2Adapter(halo2, canaryKey, 0);
    }

    function test_constructor_keyOfAnotherCircuit_reverts() external {
        vm.expectRevert(ReusableHalo2Adapter.NotACanary.selector);
        new ReusableHalo2Adapter(halo2, key, keyDigest);
    }

    function test_constructor_malformedCanary_reverts() external {
        bytes32[] memory bad = new bytes32[](40);
        address pointer = CodeStore.write(bad);
        vm.expectRevert(ReusableHalo2Adapter.NotACanary.selector);
        new ReusableHalo2Adapter(halo2, pointer, CodeStore.digest(bad));
    }

    function test_canary_realProof_isAccepted() external {
        Canary memory watched = adapter.canary();
        (bytes memory canaryProof, Statement memory said) = proofAt(".canary");
        adapter.prepare(watched.key);
        adapter.verify(
            watched.keyDigest,
            watched.key,
            watched.statementLayout,
            said.context,
            said.inputs,
            said.outputs,
            canaryProof
        );
        vm.assertTrue(adapter.inspect(watched.key, watched.statementLayout).fits);
    }

    function testFuzz_isImpossible_exceptTheMaximum(int64 x, int256 y) external view {
        bytes memory inputs = abi.encodePacked(x);
        vm.assertEq(adapter.isImpossible(inputs, one(y)), y != (x > 0 ? x : int256(0)));
        vm.assertFalse(adapter.isImpossible(inputs, one(x > 0 ? x : int256(0))));
    }

    function test_isImpossible_otherSizes_isFalse() external view {
        vm.assertTrue(adapter.isImpossible(new bytes(8), one(1)));
        vm.assertFalse(adapter.isImpossible(new bytes(7), one(1)));
        vm.assertFalse(adapter.isImpossible(new bytes(8), new int256[](2)));
    }

    function one(int256 value) private pure returns (int256[] memory outputs) {
        outputs = new int256[](1);
        outputs[0] = value;
    }

    function test_inspect_realKey_agreesWithPython() external view {
        KeyFacts memory facts = adapter.inspect(key, form);
        vm.assertEq(facts.digest, keyDigest);
        vm.assertTrue(facts.fits);
        vm.assertEq(facts.setup, TrustedSetups.HERMEZ);
    }

    function test_inspect_layoutOfAnotherCount_doesNotFit() external {
        form.outputs = 11;
        vm.assertFalse(adapter.inspect(key, form).fits);
        form.outputs = 9;
        vm.assertFalse(adapter.inspect(key, form).fits);
        Statement memory bad = statement;
        bad.outputs = resized(bad.outputs, 9);
        refusesStatement(bad, IInferenceVerifier.LayoutMismatch.selector);
    }

    function test_inspect_everyCeremony_isRecognised() external {
        string memory values = vectors("values");
        checkSetup(values, "hermez", TrustedSetups.HERMEZ);
        checkSetup(values, "perpetual-powers-of-tau", TrustedSetups.PERPETUAL_POWERS_OF_TAU);
        checkSetup(values, "insecure-dev", TrustedSetups.INSECURE_DEV);
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
        adapter.verify(
            CodeStore.digest(other), pointer, form, statement.context, statement.inputs, statement.outputs, proof
        );
    }

    function test_verify_otherDigest_isRefused() external {
        vm.expectRevert(abi.encodeWithSelector(IInferenceVerifier.KeyMismatch.selector, bytes32(0), keyDigest));
        adapter.verify(bytes32(0), key, form, statement.context, statement.inputs, statement.outputs, proof);
    }

    /// @dev A key that differs in one word is another key, even if an attacker registered it.
    function test_verify_everyWordOfTheKeyChanged_isRefused() external {
        for (uint256 place = 0; place < 187; ++place) {
            bytes32[] memory other = words(".model.key");
            other[place] ^= bytes32(uint256(1));
            address pointer = CodeStore.write(other);
            IEzklReusableVerifier(halo2).registerVka(other);
            (bool success,) = address(adapter).staticcall{gas: 3_000_000}(
                abi.encodeCall(
                    IInferenceVerifier.verify,
                    (keyDigest, pointer, form, statement.context, statement.inputs, statement.outputs, proof)
                )
            );
            vm.assertFalse(success, vm.toString(place));
        }
    }

    function test_verify_malformedKey_isRefused() external {
        address bad = CodeStore.write(new bytes32[](20));
        vm.expectRevert(IInferenceVerifier.MalformedKey.selector);
        adapter.verify(keyDigest, bad, form, statement.context, statement.inputs, statement.outputs, proof);
    }

    function test_verify_noKey_isRefused() external {
        vm.expectRevert(abi.encodeWithSelector(CodeStore.NothingStored.selector, ALICE));
        adapter.verify(keyDigest, ALICE, form, statement.context, statement.inputs, statement.outputs, proof);
    }

    function test_generated_shiftedKey_isRefusedOrHarmless() external view {
        // The key is decoded by the compiler's own code and named by its digest, so its position does not matter.
        bytes memory probe = shifted(generatedCall(instances()), 2, 32 * 187);
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
        vm.assertEq(adapter.inspect(CodeStore.write(other), form).setup, expected);
        vm.assertEq(vm.parseJsonBytes32(values, string.concat(path, ".id")), expected);
    }

    function refusesKey(bytes32[] memory bad) private {
        address pointer = CodeStore.write(bad);
        vm.expectRevert(IInferenceVerifier.MalformedKey.selector);
        adapter.inspect(pointer, form);
    }
}
