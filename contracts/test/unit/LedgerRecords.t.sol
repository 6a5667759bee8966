// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Entry, IInferenceLedger, Request, State} from "../../src/interfaces/IInferenceLedger.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {IModelRegistry, Registration} from "../../src/interfaces/IModelRegistry.sol";
import {IVerifierRouter} from "../../src/interfaces/IVerifierRouter.sol";
import {InferenceLedger} from "../../src/InferenceLedger.sol";
import {CanonicalCalldata} from "../../src/libraries/CanonicalCalldata.sol";
import {TrustedSetups} from "../../src/libraries/TrustedSetups.sol";
import {StatementLayout, Visibility} from "../../src/libraries/StatementLayout.sol";
import {InferenceProof} from "../../src/libraries/InferenceProof.sol";
import {EmergencyStop} from "../../src/verifiers/EmergencyStop.sol";
import {Statement} from "../support/BindingVerifier.sol";
import {System} from "../support/System.sol";

/// @notice Recording answers.
contract LedgerRecordsTest is System {
    function test_record_goodProof_isRecordedAndPaid() external {
        Request memory asked = requestOf(0);
        bytes32 id = ask(asked);
        vm.expectEmit(address(ledger));
        emit IInferenceLedger.Recorded(id, listing, CONSUMER, address(this), answers());
        answer(asked);
        Entry memory entry = ledger.entryOf(id);
        vm.assertEq(uint256(entry.state), uint256(State.Recorded));
        vm.assertEq(entry.recordedAt, NOW);
        vm.assertEq(entry.outputDigest, bytes26(keccak256(abi.encodePacked(answers()))));
        vm.assertEq(ledger.creditOf(PROVER), PROVER_FEE);
        vm.assertEq(ledger.creditOf(PUBLISHER), OWNER_FEE);
        vm.assertEq(ledger.requireRecorded(asked, answers()), id);
    }

    /// @dev Copying a pending proof gains nothing: the prover that the request names is paid.
    function test_record_copiedByAnother_paysTheNamedProver() external {
        ask(requestOf(0));
        Statement memory said = statementFor(requestOf(0));
        bytes memory proof = prove(said);
        vm.prank(MALLORY);
        ledger.record(requestOf(0), said.inputs, said.outputs, proof);
        vm.assertEq(ledger.creditOf(MALLORY), 0);
        vm.assertEq(ledger.creditOf(PROVER), PROVER_FEE);
    }

    /// @dev A copy cannot name another prover: that is another request, which was never opened.
    function test_record_withTheProverReplaced_reverts() external {
        ask(requestOf(0));
        Statement memory said = statementFor(requestOf(0));
        Request memory changed = requestOf(0);
        changed.prover = MALLORY;
        refuses(changed, said, notOpen(changed, State.None));
    }

    function test_record_twice_reverts() external {
        ask(requestOf(0));
        answer(requestOf(0));
        refuses(requestOf(0), statementFor(requestOf(0)), notOpen(requestOf(0), State.Recorded));
    }

    function test_record_afterRefund_reverts() external {
        ask(requestOf(0));
        vm.warp(requestOf(0).expiry + 1);
        ledger.refund(requestOf(0));
        refuses(requestOf(0), statementFor(requestOf(0)), notOpen(requestOf(0), State.Refunded));
    }

    function test_record_neverOpened_reverts() external {
        refuses(requestOf(0), statementFor(requestOf(0)), notOpen(requestOf(0), State.None));
    }

    function test_record_atExpiry_passes() external {
        ask(requestOf(0));
        vm.warp(requestOf(0).expiry);
        answer(requestOf(0));
    }

    function test_record_afterExpiry_reverts() external {
        ask(requestOf(0));
        vm.warp(requestOf(0).expiry + 1);
        uint64 expiry = requestOf(0).expiry;
        refuses(
            requestOf(0), statementFor(requestOf(0)), abi.encodeWithSelector(IInferenceLedger.Expired.selector, expiry)
        );
    }

    function test_record_ofDeprecatedModel_passes() external {
        ask(requestOf(0));
        vm.prank(PUBLISHER);
        registry.deprecate(listing, 0);
        answer(requestOf(0));
    }

    /// @dev The prover keeps the fee despite the revocation; the owner gets nothing for such an answer.
    function test_record_ofModelRevokedMeanwhile_paysTheProverOnly() external {
        bytes32 id = ask(requestOf(0));
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        vm.expectEmit(address(ledger));
        emit IInferenceLedger.PaidUnrecorded(id, listing, CONSUMER, address(this));
        answer(requestOf(0));
        Entry memory entry = ledger.entryOf(id);
        vm.assertEq(uint256(entry.state), uint256(State.Paid));
        vm.assertEq(entry.recordedAt, 0);
        vm.assertEq(entry.outputDigest, bytes26(0));
        vm.assertEq(ledger.creditOf(PROVER), PROVER_FEE);
        vm.assertEq(ledger.creditOf(PUBLISHER), 0);
        vm.assertEq(ledger.creditOf(BOB), OWNER_FEE);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        ledger.requireRecorded(requestOf(0), answers());
    }

    function test_record_ofModelRevokedMeanwhile_twice_reverts() external {
        ask(requestOf(0));
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        answer(requestOf(0));
        refuses(requestOf(0), statementFor(requestOf(0)), notOpen(requestOf(0), State.Paid));
    }

    function test_record_ofModelRevokedMeanwhile_badProof_reverts() external {
        ask(requestOf(0));
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        Statement memory said = statementFor(requestOf(0));
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        ledger.record(requestOf(0), said.inputs, said.outputs, "bad");
    }

    function test_record_unopenedOfRevokedModel_reverts() external {
        vm.startPrank(PUBLISHER);
        registry.setFee(listing, 0);
        registry.revoke(listing);
        vm.stopPrank();
        Request memory asked = freeRequest(0);
        Statement memory said = statementFor(asked);
        bytes memory proof = prove(said);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.ModelNotActive.selector, listing));
        vm.prank(ALICE);
        ledger.record(asked, said.inputs, said.outputs, proof);
    }

    function test_record_withAStoppedVerifier_reverts() external {
        ask(requestOf(0));
        vm.prank(GUARDIAN);
        stop.stop();
        refuses(requestOf(0), statementFor(requestOf(0)), abi.encodeWithSelector(EmergencyStop.Stopped.selector));
    }

    function test_record_withARemovedVerifier_reverts() external {
        ask(requestOf(0));
        bytes4 selector = binding.selector();
        vm.prank(TIMELOCK);
        router.removeVerifier(selector);
        bytes memory why = abi.encodeWithSelector(IVerifierRouter.SelectorRemoved.selector, selector);
        refuses(requestOf(0), statementFor(requestOf(0)), why);
    }

    function testFuzz_record_anyBitOfTheContextChanged_reverts(uint8 bit) external {
        ask(requestOf(0));
        Statement memory said = statementFor(requestOf(0));
        said.context ^= bytes32(uint256(2) ** bit);
        refuses(requestOf(0), said, abi.encodeWithSelector(IInferenceVerifier.ProofRejected.selector));
    }

    function test_record_onAnotherChain_reverts() external {
        ask(requestOf(0));
        Statement memory said = statementFor(requestOf(0));
        vm.chainId(999);
        refuses(requestOf(0), said, abi.encodeWithSelector(IInferenceVerifier.ProofRejected.selector));
    }

    function test_record_proofOfAnotherRequest_reverts() external {
        ask(requestOf(0));
        ask(requestOf(1));
        refuses(
            requestOf(1), statementFor(requestOf(0)), abi.encodeWithSelector(IInferenceVerifier.ProofRejected.selector)
        );
    }

    function test_record_proofForAnotherLedger_reverts() external {
        InferenceLedger other = new InferenceLedger(registry, router);
        vm.prank(ALICE);
        other.request{value: fees(requestOf(0))}(requestOf(0));
        Statement memory said = statementFor(requestOf(0));
        bytes memory proof = prove(said);
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        other.record(requestOf(0), said.inputs, said.outputs, proof);
    }

    function test_record_anotherInput_reverts() external {
        ask(requestOf(0));
        Statement memory said = statementFor(requestOf(0));
        said.inputs = hex"6315"; // 99 and 21
        bytes32 actual = keccak256(hex"6315");
        bytes memory why =
            abi.encodeWithSelector(InferenceProof.InputMismatch.selector, requestOf(0).inputCommitment, actual);
        refuses(requestOf(0), said, why);
    }

    function test_record_anyInput_passes() external {
        Request memory asked = requestOf(0);
        asked.inputCommitment = anyInput();
        ask(asked);
        Statement memory said = statementFor(asked);
        said.inputs = hex"6315"; // 99 and 21
        ledger.record(asked, said.inputs, said.outputs, prove(said));
    }

    function test_record_otherOutputs_reverts() external {
        ask(requestOf(0));
        Statement memory said = statementFor(requestOf(0));
        bytes memory proof = prove(said);
        said.outputs[0] = 42;
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        ledger.record(requestOf(0), said.inputs, said.outputs, proof);
    }

    function test_record_missingOutput_reverts() external {
        refusesOutputs(1);
    }

    function test_record_extraOutput_reverts() external {
        refusesOutputs(3);
    }

    function test_record_wrongInputLength_reverts() external {
        Request memory asked = requestOf(0);
        asked.inputCommitment = anyInput();
        ask(asked);
        Statement memory said = statementFor(asked);
        said.inputs = hex"14";
        refuses(asked, said, abi.encodeWithSelector(StatementLayout.InputLengthMismatch.selector, 2, 1));
        said.inputs = hex"141516";
        refuses(asked, said, abi.encodeWithSelector(StatementLayout.InputLengthMismatch.selector, 2, 3));
    }

    function test_record_hashedInputs_comparesTheirDigests() external {
        Request memory asked = requestOf(0);
        asked.listing = registerModel(Visibility.Hashed, 1, 2);
        asked.inputCommitment = keccak256(abi.encode(77));
        ask(asked);
        keyDigest = registry.programOf(asked.listing).keyDigest;
        Statement memory said = statementFor(asked);
        bytes memory proof = prove(said);
        vm.expectRevert(
            abi.encodeWithSelector(
                InferenceProof.InputMismatch.selector, asked.inputCommitment, keccak256(abi.encode(78))
            )
        );
        ledger.record(asked, abi.encode(78), said.outputs, proof);
        said.inputs = abi.encode(77);
        ledger.record(asked, said.inputs, said.outputs, prove(said));
        ledger.requireRecorded(asked, answers());
    }

    function test_record_privateInputs_mustBeEmpty() external {
        Request memory asked = requestOf(0);
        asked.listing = registerModel(Visibility.Private, 0, 2);
        asked.inputCommitment = anyInput();
        ask(asked);
        keyDigest = registry.programOf(asked.listing).keyDigest;
        Statement memory said = statementFor(asked);
        refuses(asked, said, abi.encodeWithSelector(StatementLayout.InputLengthMismatch.selector, 0, 2));
        said.inputs = "";
        ledger.record(asked, said.inputs, said.outputs, prove(said));
        ledger.requireRecorded(asked, answers());
    }

    function test_record_unopenedByItsRequester_passes() external {
        vm.prank(PUBLISHER);
        registry.setFee(listing, 0);
        Request memory asked = freeRequest(0);
        Statement memory said = statementFor(asked);
        bytes memory proof = prove(said);
        vm.expectEmit(address(ledger));
        emit IInferenceLedger.Requested(ledger.idOf(asked), listing, CONSUMER, asked);
        vm.prank(ALICE);
        ledger.record(asked, said.inputs, said.outputs, proof);
        ledger.requireRecorded(asked, answers());
    }

    function test_record_unopenedByAnother_reverts() external {
        vm.prank(PUBLISHER);
        registry.setFee(listing, 0);
        Request memory asked = freeRequest(0);
        refuses(asked, statementFor(asked), notOpen(asked, State.None));
    }

    function test_record_unopenedWithFees_reverts() external {
        Request memory asked = requestOf(0);
        Statement memory said = statementFor(asked);
        bytes memory proof = prove(said);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.WrongValue.selector, 0, fees(asked)));
        vm.prank(ALICE);
        ledger.record(asked, said.inputs, said.outputs, proof);
    }

    function test_record_unopenedBelowTheModelsFee_reverts() external {
        Request memory asked = freeRequest(0);
        Statement memory said = statementFor(asked);
        bytes memory proof = prove(said);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.FeeTooLow.selector, OWNER_FEE, 0));
        vm.prank(ALICE);
        ledger.record(asked, said.inputs, said.outputs, proof);
    }

    function test_record_unknownListing_reverts() external {
        Request memory asked = requestOf(0);
        asked.listing = "none";
        bytes memory why = abi.encodeWithSelector(IModelRegistry.UnknownListing.selector, asked.listing);
        refuses(asked, statementFor(requestOf(0)), why);
    }

    function test_record_shiftedProof_reverts() external {
        ask(requestOf(0));
        Statement memory said = statementFor(requestOf(0));
        bytes memory call_ =
            abi.encodeCall(IInferenceLedger.record, (requestOf(0), said.inputs, said.outputs, prove(said)));
        refusesCall(shifted(call_, 10, 32)); // padded to a word
        refusesCall(shifted(call_, 11, 64));
        refusesCall(shifted(call_, 12, 32));
        (bool success,) = address(ledger).call(call_);
        vm.assertTrue(success);
    }

    function test_requireRecorded_otherOutputs_reverts() external {
        bytes32 id = ask(requestOf(0));
        answer(requestOf(0));
        int256[] memory other = answers();
        other[0] = 41;
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        ledger.requireRecorded(requestOf(0), other);
    }

    function test_requireRecorded_onlyOpen_reverts() external {
        bytes32 id = ask(requestOf(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        ledger.requireRecorded(requestOf(0), new int256[](0));
    }

    function test_requireSound_recorded_passes() external {
        bytes32 id = ask(requestOf(0));
        answer(requestOf(0));
        vm.assertEq(ledger.requireSound(requestOf(0), answers()), id);
        vm.prank(PUBLISHER);
        registry.deprecate(listing, 0);
        vm.assertEq(ledger.requireSound(requestOf(0), answers()), id);
    }

    function test_requireSound_notRecorded_reverts() external {
        bytes32 id = ask(requestOf(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        ledger.requireSound(requestOf(0), answers());
    }

    function test_requireSound_otherOutputs_reverts() external {
        bytes32 id = ask(requestOf(0));
        answer(requestOf(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        ledger.requireSound(requestOf(0), new int256[](2));
    }

    /// @dev The answer stays on record, but must not be acted on any more.
    function test_requireSound_stopped_reverts() external {
        ask(requestOf(0));
        answer(requestOf(0));
        vm.prank(GUARDIAN);
        stop.stop();
        ledger.requireRecorded(requestOf(0), answers());
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.VerifierNotLive.selector, binding.selector()));
        ledger.requireSound(requestOf(0), answers());
    }

    function test_requireSound_removed_reverts() external {
        ask(requestOf(0));
        answer(requestOf(0));
        bytes4 selector = binding.selector();
        vm.prank(TIMELOCK);
        router.removeVerifier(selector);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.VerifierNotLive.selector, selector));
        ledger.requireSound(requestOf(0), answers());
    }

    function test_requireSound_revoked_reverts() external {
        ask(requestOf(0));
        answer(requestOf(0));
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        ledger.requireRecorded(requestOf(0), answers());
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.ModelRevoked.selector, listing));
        ledger.requireSound(requestOf(0), answers());
    }

    function test_recordBatch_goodProofs_areRecorded() external {
        Batch memory all = batch(3);
        vm.assertEq(recordAll(all), 3);
        for (uint256 i = 0; i < 3; ++i) {
            ledger.requireRecorded(all.requests[i], answers());
        }
        vm.assertEq(ledger.creditOf(PROVER), 3 * uint256(PROVER_FEE));
    }

    /// @dev Posting a part of another account's batch first does not make the batch fail.
    function test_recordBatch_withOneRecordedAlready_recordsTheRest() external {
        Batch memory all = batch(3);
        answer(all.requests[1]);
        vm.assertEq(recordAll(all), 2);
        vm.assertEq(ledger.creditOf(PROVER), 3 * uint256(PROVER_FEE));
    }

    /// @dev Nor does a refund, once a request has expired.
    function test_recordBatch_withOneRefunded_recordsTheRest() external {
        Batch memory all = batchWithOneExpired();
        ledger.refund(all.requests[1]);
        vm.assertEq(recordAll(all), 2);
        vm.assertEq(uint256(ledger.entryOf(ledger.idOf(all.requests[1])).state), uint256(State.Refunded));
    }

    function test_recordBatch_withOneExpired_recordsTheRest() external {
        Batch memory all = batchWithOneExpired();
        vm.assertEq(recordAll(all), 2);
        vm.assertEq(uint256(ledger.entryOf(ledger.idOf(all.requests[1])).state), uint256(State.Open));
        vm.assertEq(ledger.creditOf(PROVER), 2 * uint256(PROVER_FEE));
    }

    function test_recordBatch_withOneModelRevoked_recordsTheRestAndPaysForAll() external {
        Batch memory all = batch(2);
        bytes32 first = listing;
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        vm.prank(MALLORY);
        all.requests[1].listing = registry.register(wanted, bindingKey(COUNT, TrustedSetups.HERMEZ));
        ask(all.requests[1]);
        fill(all, 1);
        vm.prank(MALLORY);
        registry.revoke(all.requests[1].listing);
        vm.assertEq(recordAll(all), 2);
        vm.assertEq(all.requests[0].listing, first);
        ledger.requireSound(all.requests[0], answers());
        vm.assertEq(uint256(ledger.entryOf(ledger.idOf(all.requests[1])).state), uint256(State.Paid));
        vm.assertEq(ledger.creditOf(PROVER), 2 * uint256(PROVER_FEE));
        vm.assertEq(ledger.creditOf(MALLORY), 0);
        vm.assertEq(recordAll(all), 0);
    }

    function test_recordBatch_oneNeverOpened_revertsAll() external {
        Batch memory all = batch(2);
        all.requests[1].salt = "never";
        bytes memory why = notOpen(all.requests[1], State.None);
        vm.expectRevert(why);
        recordAll(all);
    }

    function test_recordBatch_sameRequestTwice_isRecordedOnce() external {
        Batch memory all = batch(2);
        (all.requests[1], all.proofs[1]) = (all.requests[0], all.proofs[0]);
        vm.assertEq(recordAll(all), 1);
        vm.assertEq(ledger.creditOf(PROVER), PROVER_FEE);
    }

    function test_recordBatch_oneBadProof_revertsAll() external {
        Batch memory all = batch(2);
        all.proofs[1] = all.proofs[0];
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        recordAll(all);
    }

    function test_recordBatch_empty_reverts() external {
        vm.expectRevert(IInferenceLedger.BatchMismatch.selector);
        ledger.recordBatch(new Request[](0), new bytes[](0), new int256[][](0), new bytes[](0));
    }

    function test_recordBatch_otherLengths_reverts() external {
        Batch memory all = batch(2);
        vm.expectRevert(IInferenceLedger.BatchMismatch.selector);
        ledger.recordBatch(all.requests, new bytes[](1), all.outputs, all.proofs);
        vm.expectRevert(IInferenceLedger.BatchMismatch.selector);
        ledger.recordBatch(all.requests, all.inputs, new int256[][](1), all.proofs);
        vm.expectRevert(IInferenceLedger.BatchMismatch.selector);
        ledger.recordBatch(all.requests, all.inputs, all.outputs, new bytes[](1));
    }

    /// @dev Both offsets point to one proof, which the ABI allows.
    function test_recordBatch_sharedProof_reverts() external {
        Batch memory all = batch(2);
        bytes memory call_ =
            abi.encodeCall(IInferenceLedger.recordBatch, (all.requests, all.inputs, all.outputs, all.proofs));
        uint256 list = 4 + readWordAt(call_, 4 + 96) + 32;
        uint256 first = readWordAt(call_, list);
        assembly ("memory-safe") {
            mstore(add(add(call_, 0x40), list), first)
        }
        refusesCall(call_);
    }

    function testFuzz_recordBatch_anyOffsetMoved_reverts(uint8 which, uint256 other) external {
        Batch memory all = batch(2);
        bytes memory call_ =
            abi.encodeCall(IInferenceLedger.recordBatch, (all.requests, all.inputs, all.outputs, all.proofs));
        uint256[10] memory places;
        for (uint256 i = 0; i < 4; ++i) {
            places[i] = 4 + 32 * i;
            if (i == 0) continue;
            uint256 list = 4 + readWordAt(call_, places[i]) + 32;
            (places[2 * i + 2], places[2 * i + 3]) = (list, list + 32);
        }
        uint256 place = places[which % 10];
        vm.assume(readWordAt(call_, place) != other);
        assembly ("memory-safe") {
            mstore(add(add(call_, 0x20), place), other)
        }
        (bool success,) = address(ledger).call(call_);
        vm.assertFalse(success);
    }

    struct Batch {
        Request[] requests;
        bytes[] inputs;
        int256[][] outputs;
        bytes[] proofs;
    }

    function batch(uint256 count) private returns (Batch memory all) {
        all = Batch(new Request[](count), new bytes[](count), new int256[][](count), new bytes[](count));
        for (uint256 i = 0; i < count; ++i) {
            all.requests[i] = requestOf(i);
            ask(all.requests[i]);
            fill(all, i);
        }
    }

    function batchWithOneExpired() private returns (Batch memory all) {
        all = batch(3);
        all.requests[1].expiry = uint64(NOW + 1);
        ask(all.requests[1]);
        fill(all, 1);
        vm.warp(NOW + 2);
    }

    function fill(Batch memory all, uint256 place) private view {
        Statement memory said = statementFor(all.requests[place]);
        (all.inputs[place], all.outputs[place], all.proofs[place]) = (said.inputs, said.outputs, prove(said));
    }

    function recordAll(Batch memory all) private returns (uint256) {
        return ledger.recordBatch(all.requests, all.inputs, all.outputs, all.proofs);
    }

    function refusesOutputs(uint256 count) private {
        ask(requestOf(0));
        Statement memory said = statementFor(requestOf(0));
        said.outputs = resized(said.outputs, count);
        bytes memory why = abi.encodeWithSelector(StatementLayout.OutputCountMismatch.selector, 2, count);
        refuses(requestOf(0), said, why);
    }

    function readWordAt(bytes memory data, uint256 place) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), place))
        }
    }

    function notOpen(Request memory asked, State state) private view returns (bytes memory) {
        return abi.encodeWithSelector(IInferenceLedger.NotOpen.selector, ledger.idOf(asked), state);
    }

    function refuses(Request memory asked, Statement memory said, bytes memory why) private {
        bytes memory proof = prove(said);
        vm.expectRevert(why);
        ledger.record(asked, said.inputs, said.outputs, proof);
    }

    function refusesCall(bytes memory call_) private {
        (bool success, bytes memory why) = address(ledger).call(call_);
        vm.assertFalse(success);
        vm.assertEq(bytes32(why), bytes32(CanonicalCalldata.NonCanonicalCalldata.selector));
    }
}
