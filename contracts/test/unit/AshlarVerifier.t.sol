// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceVerifier, KeyFacts} from "../../src/interfaces/IInferenceVerifier.sol";
import {CanonicalCalldata} from "../../src/libraries/CanonicalCalldata.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {Layout, StatementLayout, Visibility} from "../../src/libraries/StatementLayout.sol";
import {TrustedSetups} from "../../src/libraries/TrustedSetups.sol";
import {EmergencyStop} from "../../src/verifiers/EmergencyStop.sol";
import {VerifierRouter} from "../../src/verifiers/VerifierRouter.sol";
import {AshlarProofs} from "../support/AshlarProofs.sol";
import {Statement} from "../support/BindingVerifier.sol";

contract AshlarVerifierTest is AshlarProofs {
    uint256 private constant R = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;
    uint256 private constant Q = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;
    bytes4 private constant REJECTED = IInferenceVerifier.ProofRejected.selector;

    function test_selector_isStable() external view {
        vm.assertEq(bytes32(verifier.selector()), bytes32(bytes4(keccak256("ashlar-1-kzg-bn254"))));
    }

    function test_verify_everyVector_isAccepted() external {
        string[] memory paths = vectorFiles();
        for (uint256 i = 0; i < paths.length; ++i) {
            loadFile(paths[i]);
            (bool success, bytes memory why) = address(verifier).staticcall(call(statement, proof));
            vm.assertTrue(success, string.concat(paths[i], vm.toString(bytes32(why))));
        }
        vm.assertTrue(paths.length >= 8);
    }

    function test_verify_behindStopAndRouter_isAccepted() external {
        IInferenceVerifier[] memory first = new IInferenceVerifier[](1);
        first[0] = new EmergencyStop(verifier, ALICE);
        VerifierRouter router = new VerifierRouter(address(this), first);
        (bytes32 context, bytes memory inputs, int256[] memory outputs) =
            (statement.context, statement.inputs, statement.outputs);
        router.verify(verifier.selector(), keyDigest, key, form, context, inputs, outputs, proof);
    }

    function test_verify_otherDigest_isAKeyMismatch() external {
        bytes32 actual = keyDigest;
        keyDigest = bytes32(uint256(actual) ^ 1);
        refuses(statement, proof, IInferenceVerifier.KeyMismatch.selector, "");
    }

    function test_verify_keyOfAnotherMode_isRefused() external {
        (bytes memory other, Statement memory said) = (proof, statement);
        load("mlp_private_1");
        (form.visibility, form.inputWidth, form.inputs) = (Visibility.Public, 1, 6);
        refuses(said, other, IInferenceVerifier.LayoutMismatch.selector, "");
    }

    function test_verify_noKey_isRefused() external {
        key = address(0x1234);
        refuses(statement, proof, CodeStore.NothingStored.selector, "");
    }

    function test_verify_layoutOfAnotherKey_isRefused() external {
        Layout memory own = form;
        (form.visibility, form.inputWidth, form.inputs) = (Visibility.Hashed, 32, 1);
        refuses(statement, proof, IInferenceVerifier.LayoutMismatch.selector, "visibility");
        form = own;
        form.inputWidth = 2;
        refuses(statement, proof, IInferenceVerifier.LayoutMismatch.selector, "inputWidth");
        form = own;
        form.inputs -= 1;
        refuses(statement, proof, IInferenceVerifier.LayoutMismatch.selector, "inputs");
        form = own;
        form.outputs += 1;
        refuses(statement, proof, IInferenceVerifier.LayoutMismatch.selector, "outputs");
    }

    function test_verify_otherNumberOfOutputs_isRefused() external view {
        Statement memory bad = statement;
        bad.outputs = resized(statement.outputs, statement.outputs.length + 1);
        refuses(bad, proof, StatementLayout.OutputCountMismatch.selector, "more");
        bad.outputs = resized(statement.outputs, statement.outputs.length - 1);
        refuses(bad, proof, StatementLayout.OutputCountMismatch.selector, "less");
    }

    function test_verify_otherNumberOfInputBytes_isRefused() external {
        string[3] memory names = ["mlp_public_1", "mlp_committed_1", "mlp_private_1"];
        for (uint256 i = 0; i < 3; ++i) {
            load(names[i]);
            Statement memory bad = statement;
            bad.inputs = resized(bad.inputs, bad.inputs.length + 1);
            refuses(bad, proof, StatementLayout.InputLengthMismatch.selector, names[i]);
            if (i == 2) continue;
            bad.inputs = resized(bad.inputs, bad.inputs.length - 2);
            refuses(bad, proof, StatementLayout.InputLengthMismatch.selector, names[i]);
        }
    }

    function test_verify_outputOutOfRange_isRefused() external view {
        int256 v = statement.outputs[1];
        int256[6] memory bad =
            [int256(1 << 60), -(1 << 60), v + int256(R), v - int256(R), type(int256).max, type(int256).min];
        for (uint256 i = 0; i < bad.length; ++i) {
            refuses(withOutput(1, bad[i]), proof, IInferenceVerifier.OutputOutOfRange.selector, vm.toString(i));
        }
        refuses(withOutput(1, (1 << 60) - 1), proof, REJECTED, "most");
        refuses(withOutput(1, 1 - (1 << 60)), proof, REJECTED, "least");
    }

    function test_verify_everyOutputChanged_isRefused() external {
        load("wide_public_1");
        for (uint256 i = 0; i < statement.outputs.length; ++i) {
            refuses(withOutput(i, statement.outputs[i] + 1), proof, REJECTED, vm.toString(i));
        }
    }

    function test_verify_everyBitOfTheContextChanged_isRefused() external view {
        for (uint256 bit = 0; bit < 256; ++bit) {
            Statement memory bad = statement;
            bad.context ^= bytes32(1 << bit);
            refuses(bad, proof, REJECTED, vm.toString(bit));
        }
    }

    function test_verify_everyByteOfTheInputsChanged_isRefused() external {
        string[4] memory names = ["mlp_public_1", "mlp_committed_1", "cnn_public_1", "tall_public_1"];
        for (uint256 k = 0; k < names.length; ++k) {
            load(names[k]);
            for (uint256 i = 0; i < statement.inputs.length; ++i) {
                Statement memory bad = statement;
                bad.inputs = copyOf(bad.inputs);
                bad.inputs[i] ^= 0x01;
                refuses(bad, proof, REJECTED, names[k]);
            }
        }
    }

    function test_verify_everyWordMangled_isRefused() external {
        string[3] memory names = ["mlp_public_1", "cnn_committed_1", "wide_public_1"];
        for (uint256 k = 0; k < names.length; ++k) {
            load(names[k]);
            for (uint256 i = 0; i < proof.length / 32; ++i) {
                this.refusesWord(i);
            }
        }
    }

    /// @dev In a call of its own, whose memory is given back.
    function refusesWord(uint256 place) external view {
        uint256 word = readWord(proof, place);
        uint256[7] memory bad = [word ^ 1, word + R, word + Q, R - word, Q - word, type(uint256).max, 0];
        for (uint256 way = 0; way < bad.length; ++way) {
            if (bad[way] != word) refusesProof(withWord(place, bad[way]), vm.toString(place));
        }
    }

    function test_verify_everyPairOfWordsSwapped_isRefused() external {
        load("mlp_committed_1");
        for (uint256 i = 1; i < proof.length / 32; ++i) {
            bytes memory bad = withWord(i, readWord(proof, i - 1));
            writeWord(bad, i - 1, readWord(proof, i));
            if (keccak256(bad) != keccak256(proof)) refusesProof(bad, vm.toString(i));
        }
    }

    function test_verify_otherLengthOfTheProof_isRefused() external view {
        bytes memory shorter = copyOf(proof);
        uint256[4] memory sizes = [uint256(0), 32, proof.length - 32, proof.length - 1];
        for (uint256 i = 0; i < sizes.length; ++i) {
            refusesProof(resized(shorter, sizes[i]), vm.toString(sizes[i]));
        }
        refusesProof(abi.encodePacked(proof, bytes1(0)), "a byte more");
        refusesProof(abi.encodePacked(proof, bytes32(0)), "a word more");
        refusesProof(abi.encodePacked(proof, proof), "twice");
    }

    function test_verify_shiftedArguments_areRefused() external view {
        bytes memory data = call(statement, proof);
        bytes4 expected = CanonicalCalldata.NonCanonicalCalldata.selector;
        refusesCall(shifted(data, 7, 32), expected, "inputs");
        refusesCall(shifted(data, 8, 32 * statement.outputs.length), expected, "outputs");
        refusesCall(shifted(data, 9, proof.length), expected, "proof");
    }

    function test_verify_swappedOffsets_areRefused() external view {
        bytes memory data = call(statement, proof);
        for (uint256 place = 7; place < 9; ++place) {
            bytes memory bad = copyOf(data);
            (uint256 left, uint256 right) = (argument(data, place), argument(data, place + 1));
            setArgument(bad, place, right);
            setArgument(bad, place + 1, left);
            (bool success,) = address(verifier).staticcall{gas: 1_000_000}(bad);
            vm.assertFalse(success);
        }
    }

    function test_verify_paddingOfTheInputsNotZero_isRefused() external view {
        bytes memory data = call(statement, proof);
        for (uint256 i = statement.inputs.length; i < 32; ++i) {
            bytes memory bad = copyOf(data);
            bad[0x164 + i] = 0x01;
            refusesCall(bad, CanonicalCalldata.NonCanonicalCalldata.selector, vm.toString(i));
        }
    }

    function test_verify_bytesBehindTheProof_areRefused() external view {
        bytes memory data = call(statement, proof);
        refusesCall(abi.encodePacked(data, bytes1(0)), CanonicalCalldata.NonCanonicalCalldata.selector, "byte");
        refusesCall(abi.encodePacked(data, bytes32(0)), CanonicalCalldata.NonCanonicalCalldata.selector, "word");
    }

    /// @dev A precompile's call can fail, or succeed without an answer where there is none. Then the memory of the answer
    /// holds what was there before.
    function test_verify_precompileFails_isRefused() external {
        for (uint160 precompile = 6; precompile <= 8; ++precompile) {
            vm.mockCallRevert(address(precompile), "", "");
            refusesProof(proof, "reverts");
            vm.clearMockedCalls();
            vm.mockCall(address(precompile), "", "");
            refusesProof(proof, "returns nothing");
            vm.clearMockedCalls();
        }
        vm.mockCall(address(8), "", abi.encode(uint256(0)));
        refusesProof(proof, "no pairing");
        vm.mockCall(address(8), "", abi.encode(uint256(2)));
        refusesProof(proof, "another number");
        vm.clearMockedCalls();
        accepts();
    }

    /// @dev Each amount of gas ends another call.
    function test_verify_tooLittleGas_isRefused() external view {
        bytes memory data = call(statement, proof);
        for (uint256 gas_ = 5_000; gas_ < 240_000; gas_ += 2_500) {
            (bool success,) = address(verifier).staticcall{gas: gas_}(data);
            vm.assertFalse(success, vm.toString(gas_));
        }
    }

    function test_inspect_everyVector_statesTheKey() external {
        string[] memory paths = vectorFiles();
        for (uint256 i = 0; i < paths.length; ++i) {
            loadFile(paths[i]);
            KeyFacts memory facts = verifier.inspect(key, form);
            vm.assertEq(facts.digest, vm.parseJsonBytes32(json, ".vkDigest"), paths[i]);
            vm.assertEq(facts.setup, TrustedSetups.INSECURE_DEV, paths[i]);
            vm.assertTrue(facts.fits, paths[i]);
        }
    }

    function test_inspect_otherLayout_doesNotFit() external {
        form.outputs += 1;
        vm.assertFalse(verifier.inspect(key, form).fits);
    }

    function test_prepare_key_isRead() external {
        verifier.prepare(key);
        useKey(abi.encodePacked(keyBytes, bytes32(0)));
        vm.expectRevert(IInferenceVerifier.MalformedKey.selector);
        verifier.prepare(key);
    }

    function test_canary_otherStatements_areImpossible() external view {
        for (uint256 x = 0; x < 256; ++x) {
            int256 y = x < 128 ? int256(x) : int256(0);
            int256[] memory outputs = new int256[](1);
            outputs[0] = y;
            vm.assertFalse(verifier.isImpossible(abi.encodePacked(uint8(x)), outputs));
            outputs[0] = y + 1;
            vm.assertTrue(verifier.isImpossible(abi.encodePacked(uint8(x)), outputs));
        }
    }

    function test_canary_statementsOfOthers_arePossible() external view {
        vm.assertFalse(verifier.isImpossible(statement.inputs, statement.outputs));
        vm.assertFalse(verifier.isImpossible(hex"01", statement.outputs));
    }

    function test_canary_key_isOfARealCeremony() external view {
        Layout memory own = verifier.canary().statementLayout;
        KeyFacts memory facts = verifier.inspect(verifier.canary().key, own);
        vm.assertEq(facts.digest, verifier.canary().keyDigest);
        vm.assertEq(facts.setup, TrustedSetups.HERMEZ);
        vm.assertTrue(facts.fits);
    }

    function test_stopByProof_trueAnswer_isNotImpossible() external {
        load("costs/canary");
        vm.assertEq(keyDigest, verifier.canary().keyDigest);
        accepts();
        EmergencyStop stop = new EmergencyStop(verifier, ALICE);
        Statement memory said = statement;
        bytes memory answer = proof;
        vm.expectRevert(EmergencyStop.NotImpossible.selector);
        stop.stopByProof(said.context, said.inputs, said.outputs, answer);
    }

    function test_stopByProof_falseAnswer_isRefusedByTheVerifier() external {
        load("costs/canary");
        EmergencyStop stop = new EmergencyStop(verifier, ALICE);
        Statement memory said = withOutput(0, 8);
        bytes memory answer = proof;
        vm.expectRevert(REJECTED);
        stop.stopByProof(said.context, said.inputs, said.outputs, answer);
        vm.assertTrue(stop.live());
    }

    /// @dev Whole transactions, and what they may take: of three networks 10 % above section 7.5 of docs/ashlar.
    /// forge-config: default.isolate = true
    function test_gas() external {
        string[5] memory names = ["mlp_64", "mlp_784", "lenet", "resnet_20", "mlp_14"];
        uint256[5] memory most = [uint256(323_400), 348_700, 416_900, 620_000, 570_000];
        for (uint256 i = 0; i < names.length; ++i) {
            load(string.concat("costs/", names[i]));
            (bytes32 context, bytes memory inputs, int256[] memory outputs) =
                (statement.context, statement.inputs, statement.outputs);
            verifier.verify(keyDigest, key, form, context, inputs, outputs, proof);
            uint256 gas_ = vm.snapshotGasLastCall("ashlar", names[i]) + intrinsic(call(statement, proof));
            vm.snapshotValue("ashlar", string.concat(names[i], ", transaction"), gas_);
            vm.assertLe(gas_, most[i]);
        }
    }

    function withOutput(uint256 place, int256 value) private view returns (Statement memory bad) {
        bad = statement;
        bad.outputs = copyOf(bad.outputs);
        bad.outputs[place] = value;
    }

    function withWord(uint256 place, uint256 word) private view returns (bytes memory bad) {
        bad = copyOf(proof);
        writeWord(bad, place, word);
    }

    function argument(bytes memory data, uint256 place) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(data, 0x24), shl(5, place)))
        }
    }

    function setArgument(bytes memory data, uint256 place, uint256 value) private pure {
        assembly ("memory-safe") {
            mstore(add(add(data, 0x24), shl(5, place)), value)
        }
    }
}
