// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {CanonicalCalldata} from "../../src/libraries/CanonicalCalldata.sol";
import {InstanceLayout} from "../../src/verifiers/ezkl/InstanceLayout.sol";
import {Layout, StatementLayout, Visibility} from "../../src/libraries/StatementLayout.sol";
import {Statement} from "./BindingVerifier.sol";
import {RealProofs} from "./RealProofs.sol";

/// @notice Proofs and statements that every verifier of real proofs must reject.
abstract contract BadProofs is RealProofs {
    uint256 private constant Q = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;

    function verifier() internal view virtual returns (IInferenceVerifier);

    function generated() internal view virtual returns (address);

    /// @dev The generated verifier's own call.
    function generatedCall(uint256[] memory instances_) internal view virtual returns (bytes memory);

    function test_verify_honestProof_isAccepted() external view {
        accepts(statement);
    }

    function test_verify_everyWordOfTheProofWithABitFlipped_isRefused() external {
        for (uint256 i = 0; i < proof.length / 32; ++i) {
            bytes memory bad = copyOf(proof);
            writeWord(bad, i, readWord(bad, i) ^ (1 << (i * 37 % 250)));
            refuses(bad);
        }
    }

    function test_verify_everyWordOfTheProofZeroed_isRefused() external {
        for (uint256 i = 0; i < proof.length / 32; ++i) {
            bytes memory bad = copyOf(proof);
            if (readWord(bad, i) == 0) continue; // an evaluation that is zero
            writeWord(bad, i, 0);
            refuses(bad);
        }
    }

    /// @dev The non-canonical form of every coordinate and evaluation: a verifier must not reduce modulo the order.
    function test_verify_everyWordOfTheProofPlusAModulus_isRefused() external {
        for (uint256 i = 0; i < proof.length / 32; ++i) {
            bytes memory bad = copyOf(proof);
            uint256 word = readWord(bad, i);
            writeWord(bad, i, word + InstanceLayout.MODULUS);
            refuses(bad);
            writeWord(bad, i, word + Q);
            refuses(bad);
        }
    }

    function test_verify_everyPointAtInfinity_isRefused() external {
        for (uint256 i = 0; i + 1 < proof.length / 32; i += 2) {
            bytes memory bad = copyOf(proof);
            writeWord(bad, i, 0);
            writeWord(bad, i + 1, 0);
            refuses(bad);
        }
    }

    function testFuzz_verify_anyBoundBitOfTheContext_isRefused(uint256 bit) external view {
        Statement memory bad = statement;
        bad.context ^= bytes32(uint256(2) ** (126 + bit % 130));
        refusesStatement(bad, IInferenceVerifier.ProofRejected.selector);
    }

    /// @dev ezkl binds only the first 130 bits.
    function testFuzz_verify_anyOtherBitOfTheContext_isAccepted(uint256 bit) external view {
        Statement memory same = statement;
        same.context ^= bytes32(uint256(2) ** (bit % 126));
        accepts(same);
    }

    function test_verify_everyByteOfTheInputsChanged_isRefused() external view {
        for (uint256 i = 0; i < statement.inputs.length; ++i) {
            Statement memory bad = statement;
            bad.inputs = copyOf(bad.inputs);
            bad.inputs[i] ^= 0x01;
            refusesStatement(bad, IInferenceVerifier.ProofRejected.selector);
        }
    }

    function test_verify_everyOutputChanged_isRefused() external view {
        for (uint256 i = 0; i < statement.outputs.length; ++i) {
            Statement memory bad = statement;
            bad.outputs = copyOf(bad.outputs);
            ++bad.outputs[i];
            refusesStatement(bad, IInferenceVerifier.ProofRejected.selector);
        }
    }

    /// @dev Another integer that is the same field element.
    function test_verify_everyOutputPlusTheModulus_isRefused() external view {
        for (uint256 i = 0; i < statement.outputs.length; ++i) {
            Statement memory bad = statement;
            bad.outputs = copyOf(bad.outputs);
            bad.outputs[i] += int256(InstanceLayout.MODULUS);
            refusesStatement(bad, IInferenceVerifier.OutputOutOfRange.selector);
        }
    }

    function test_verify_twoOutputsSwapped_isRefused() external view {
        Statement memory bad = statement;
        bad.outputs = copyOf(bad.outputs);
        (bad.outputs[0], bad.outputs[1]) = (bad.outputs[1], bad.outputs[0]);
        refusesStatement(bad, IInferenceVerifier.ProofRejected.selector);
    }

    function test_verify_wrongOutputCount_isRefused() external view {
        Statement memory bad = statement;
        bad.outputs = resized(bad.outputs, 9);
        refusesStatement(bad, StatementLayout.OutputCountMismatch.selector);
        bad.outputs = resized(bad.outputs, 11);
        refusesStatement(bad, StatementLayout.OutputCountMismatch.selector);
        bad.outputs = new int256[](0);
        refusesStatement(bad, StatementLayout.OutputCountMismatch.selector);
    }

    function test_verify_wrongInputLength_isRefused() external view {
        Statement memory bad = statement;
        bad.inputs = resized(bad.inputs, bad.inputs.length - 1);
        refusesStatement(bad, StatementLayout.InputLengthMismatch.selector);
        bad.inputs = resized(bad.inputs, statement.inputs.length + 1);
        refusesStatement(bad, StatementLayout.InputLengthMismatch.selector);
        bad.inputs = "";
        refusesStatement(bad, StatementLayout.InputLengthMismatch.selector);
    }

    /// @dev The same public values, split differently into inputs and outputs.
    function test_verify_layoutWithAnOutputAsInput_isRefused() external {
        (uint8 width, uint32 inputs) = (form.inputWidth, form.inputs);
        form = Layout(Visibility.Public, width, inputs + 1, 9);
        Statement memory bad = statement;
        bad.inputs = resized(bad.inputs, uint256(inputs + 1) * width);
        bad.outputs = resized(bad.outputs, 9);
        refusesStatement(bad, IInferenceVerifier.ProofRejected.selector);
    }

    function test_verify_privateLayoutOfAPublicCircuit_isRefused() external {
        form = Layout(Visibility.Private, 0, 0, form.inputs + form.outputs);
        Statement memory bad = statement;
        (bad.inputs, bad.outputs) = ("", resized(bad.outputs, form.outputs));
        refusesStatement(bad, IInferenceVerifier.ProofRejected.selector);
    }

    function test_verify_statementOfAnotherProof_isRefused() external view {
        (, Statement memory other) = proofAt(".batch[1]");
        refusesStatement(other, IInferenceVerifier.ProofRejected.selector);
    }

    function test_verify_truncatedProof_isRefused() external {
        bytes memory bad = copyOf(proof);
        for (uint256 cut = 1; cut <= 64; cut += 21) {
            assembly ("memory-safe") {
                mstore(bad, sub(mload(bad), 21))
            }
            refuses(bad);
        }
    }

    function test_verify_emptyProof_isRefused() external {
        refuses("");
    }

    function test_verify_extendedProof_isRefused() external {
        refuses(abi.encodePacked(proof, bytes1(0)));
        refuses(abi.encodePacked(proof, bytes32(0)));
        refuses(abi.encodePacked(proof, proof));
    }

    function test_verify_anotherModelsProof_isRefused() external {
        (bytes memory other,) = proofAt(".canary");
        refuses(other);
    }

    /// forge-config: default.fuzz.runs = 32
    /// forge-config: nightly.fuzz.runs = 2000
    function testFuzz_verify_anyWordReplaced_isRefused(uint256 place, uint256 word) external {
        place %= proof.length / 32;
        bytes memory bad = copyOf(proof);
        vm.assume(readWord(bad, place) != word);
        writeWord(bad, place, word);
        refuses(bad);
    }

    /// forge-config: default.fuzz.runs = 32
    /// forge-config: nightly.fuzz.runs = 2000
    function testFuzz_verify_anyOutputReplaced_isRefused(uint256 place, int64 value) external view {
        place %= statement.outputs.length;
        vm.assume(statement.outputs[place] != value && value > type(int64).min);
        Statement memory bad = statement;
        bad.outputs = copyOf(bad.outputs);
        bad.outputs[place] = value;
        refusesStatement(bad, IInferenceVerifier.ProofRejected.selector);
    }

    function test_verify_shiftedArguments_areRefused() external view {
        bytes memory call_ = verifyCall(statement, proof);
        uint256 padded = (statement.inputs.length + 31) / 32 * 32;
        refusesCall(shifted(call_, 7, padded));
        refusesCall(shifted(call_, 8, 32 * statement.outputs.length));
        refusesCall(shifted(call_, 9, proof.length));
        (bool success,) = address(verifier()).staticcall(call_);
        vm.assertTrue(success);
    }

    function test_generated_canonicalCall_isAccepted() external view {
        (bool success,) = generated().staticcall(generatedCall(instances()));
        vm.assertTrue(success);
    }

    function test_generated_shiftedProof_isRefused() external view {
        (bool success,) = generated().staticcall(shifted(generatedCall(instances()), 0, proof.length));
        vm.assertFalse(success);
    }

    function test_generated_shiftedInstances_isRefused() external view {
        (bool success,) = generated().staticcall(shifted(generatedCall(instances()), 1, 32 * instances().length));
        vm.assertFalse(success);
    }

    /// @dev The verifier must not reduce: each value has one canonical form.
    function test_generated_everyInstancePlusTheModulus_isRefused() external view {
        uint256 count = instances().length;
        for (uint256 i = 0; i < count; ++i) {
            uint256[] memory bad = instances();
            bad[i] += InstanceLayout.MODULUS;
            (bool success,) = generated().staticcall{gas: 3_000_000}(generatedCall(bad));
            vm.assertFalse(success, vm.toString(i));
        }
    }

    function accepts(Statement memory said) internal view {
        verifier().verify(keyDigest, key, form, said.context, said.inputs, said.outputs, proof);
    }

    function refuses(bytes memory badProof) internal {
        IInferenceVerifier target = verifier();
        (bytes32 context, bytes memory inputs, int256[] memory outputs) =
            (statement.context, statement.inputs, statement.outputs);
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        target.verify{gas: 3_000_000}(keyDigest, key, form, context, inputs, outputs, badProof);
    }

    function refusesStatement(Statement memory said, bytes4 expected) internal view {
        (bool success, bytes memory why) = address(verifier()).staticcall{gas: 3_000_000}(verifyCall(said, proof));
        vm.assertFalse(success);
        vm.assertEq(bytes32(bytes4(why)), bytes32(expected));
    }

    function verifyCall(Statement memory said, bytes memory proof_) internal view returns (bytes memory) {
        return abi.encodeCall(
            IInferenceVerifier.verify, (keyDigest, key, form, said.context, said.inputs, said.outputs, proof_)
        );
    }

    function refusesCall(bytes memory call_) internal view {
        (bool success, bytes memory answer) = address(verifier()).staticcall(call_);
        vm.assertFalse(success);
        vm.assertEq(bytes32(answer), bytes32(CanonicalCalldata.NonCanonicalCalldata.selector));
    }
}
