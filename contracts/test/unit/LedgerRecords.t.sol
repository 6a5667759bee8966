// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Entry, IInferenceLedger, Request, State} from "../../src/interfaces/IInferenceLedger.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {IModelRegistry, Registration} from "../../src/interfaces/IModelRegistry.sol";
import {IVerifierRouter} from "../../src/interfaces/IVerifierRouter.sol";
import {InferenceLedger} from "../../src/InferenceLedger.sol";
import {Canonical} from "../../src/libraries/Canonical.sol";
import {Contexts} from "../../src/libraries/Contexts.sol";
import {Setups} from "../../src/libraries/Setups.sol";
import {Visibility} from "../../src/libraries/Slots.sol";
import {Statements} from "../../src/libraries/Statements.sol";
import {EmergencyStop} from "../../src/verifiers/EmergencyStop.sol";
import {System} from "../support/System.sol";

/// @notice Recording answers.
contract LedgerRecordsTest is System {
    function test_record_goodProof_isRecordedAndPaid() external {
        Request memory asked = question(0);
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
        ask(question(0));
        uint256[] memory values = instancesFor(question(0));
        bytes memory proof = prove(values);
        vm.prank(MALLORY);
        ledger.record(question(0), proof, values);
        vm.assertEq(ledger.creditOf(MALLORY), 0);
        vm.assertEq(ledger.creditOf(PROVER), PROVER_FEE);
    }

    /// @dev Nor can the copy name another prover: that is another request, which nobody asked.
    function test_record_withTheProverReplaced_reverts() external {
        ask(question(0));
        uint256[] memory values = instancesFor(question(0));
        Request memory changed = question(0);
        changed.prover = MALLORY;
        refuses(changed, values, notOpen(changed, State.None));
    }

    function test_record_twice_reverts() external {
        ask(question(0));
        answer(question(0));
        refuses(question(0), instancesFor(question(0)), notOpen(question(0), State.Recorded));
    }

    function test_record_afterRefund_reverts() external {
        ask(question(0));
        vm.warp(question(0).expiry + 1);
        ledger.refund(question(0));
        refuses(question(0), instancesFor(question(0)), notOpen(question(0), State.Refunded));
    }

    function test_record_neverAsked_reverts() external {
        refuses(question(0), instancesFor(question(0)), notOpen(question(0), State.None));
    }

    function test_record_atExpiry_passes() external {
        ask(question(0));
        vm.warp(question(0).expiry);
        answer(question(0));
    }

    function test_record_afterExpiry_reverts() external {
        ask(question(0));
        vm.warp(question(0).expiry + 1);
        uint64 expiry = question(0).expiry;
        refuses(
            question(0), instancesFor(question(0)), abi.encodeWithSelector(IInferenceLedger.Expired.selector, expiry)
        );
    }

    function test_record_ofDeprecatedModel_passes() external {
        ask(question(0));
        vm.prank(PUBLISHER);
        registry.deprecate(listing, 0);
        answer(question(0));
    }

    /// @dev The prover did the work, so no revocation takes the fee; the owner gets nothing for such an answer.
    function test_record_ofModelRevokedMeanwhile_paysTheProverAndRecordsNothing() external {
        bytes32 id = ask(question(0));
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        vm.expectEmit(address(ledger));
        emit IInferenceLedger.PaidUnrecorded(id, listing, CONSUMER, address(this));
        answer(question(0));
        Entry memory entry = ledger.entryOf(id);
        vm.assertEq(uint256(entry.state), uint256(State.Paid));
        vm.assertEq(entry.recordedAt, 0);
        vm.assertEq(entry.outputDigest, bytes26(0));
        vm.assertEq(ledger.creditOf(PROVER), PROVER_FEE);
        vm.assertEq(ledger.creditOf(PUBLISHER), 0);
        vm.assertEq(ledger.creditOf(BOB), OWNER_FEE);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        ledger.requireRecorded(question(0), answers());
    }

    function test_record_ofModelRevokedMeanwhile_twice_reverts() external {
        ask(question(0));
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        answer(question(0));
        refuses(question(0), instancesFor(question(0)), notOpen(question(0), State.Paid));
    }

    function test_record_ofModelRevokedMeanwhile_badProof_reverts() external {
        ask(question(0));
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        uint256[] memory values = instancesFor(question(0));
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        ledger.record(question(0), "bad", values);
    }

    function test_record_atOnceOfARevokedModel_reverts() external {
        vm.startPrank(PUBLISHER);
        registry.setFee(listing, 0);
        registry.revoke(listing);
        vm.stopPrank();
        Request memory asked = freeQuestion(0);
        uint256[] memory values = instancesFor(asked);
        bytes memory proof = prove(values);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.ModelNotActive.selector, listing));
        vm.prank(ALICE);
        ledger.record(asked, proof, values);
    }

    function test_record_withAStoppedVerifier_reverts() external {
        ask(question(0));
        vm.prank(GUARDIAN);
        stop.stop();
        refuses(question(0), instancesFor(question(0)), abi.encodeWithSelector(EmergencyStop.Stopped.selector));
    }

    function test_record_withARemovedVerifier_reverts() external {
        ask(question(0));
        bytes4 selector = binding.selector();
        vm.prank(TIMELOCK);
        router.removeVerifier(selector);
        bytes memory why = abi.encodeWithSelector(IVerifierRouter.SelectorRemoved.selector, selector);
        refuses(question(0), instancesFor(question(0)), why);
    }

    function test_record_everyContextLimbChanged_reverts() external {
        ask(question(0));
        for (uint256 i = 0; i < 5; ++i) {
            uint256[] memory values = instancesFor(question(0));
            values[i] ^= 1;
            refuses(question(0), values, abi.encodeWithSelector(Contexts.ContextMismatch.selector));
        }
    }

    function test_record_onAnotherChain_reverts() external {
        ask(question(0));
        uint256[] memory values = instancesFor(question(0));
        vm.chainId(999);
        refuses(question(0), values, abi.encodeWithSelector(Contexts.ContextMismatch.selector));
    }

    function test_record_proofOfAnotherRequest_reverts() external {
        ask(question(0));
        ask(question(1));
        refuses(question(1), instancesFor(question(0)), abi.encodeWithSelector(Contexts.ContextMismatch.selector));
    }

    function test_record_proofForAnotherLedger_reverts() external {
        InferenceLedger other = new InferenceLedger(registry, router);
        vm.prank(ALICE);
        other.request{value: fees(question(0))}(question(0));
        uint256[] memory values = instancesFor(question(0));
        bytes memory proof = prove(values);
        vm.expectRevert(Contexts.ContextMismatch.selector);
        other.record(question(0), proof, values);
    }

    function test_record_anotherInput_reverts() external {
        ask(question(0));
        uint256[] memory values = instancesFor(question(0));
        values[5] = 99;
        bytes32 actual = keccak256(abi.encode(uint256(99), uint256(21)));
        bytes memory why =
            abi.encodeWithSelector(Statements.InputMismatch.selector, question(0).inputCommitment, actual);
        refuses(question(0), values, why);
    }

    function test_record_anyInput_passes() external {
        Request memory asked = question(0);
        asked.inputCommitment = anyInput();
        ask(asked);
        uint256[] memory values = instancesFor(asked);
        values[5] = 99;
        ledger.record(asked, prove(values), values);
    }

    function test_record_otherOutputs_reverts() external {
        ask(question(0));
        uint256[] memory values = instancesFor(question(0));
        bytes memory proof = prove(values);
        values[7] = 42;
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        ledger.record(question(0), proof, values);
    }

    function test_record_missingInstance_reverts() external {
        ask(question(0));
        uint256[] memory values = slice(instancesFor(question(0)), 0, COUNT - 1);
        bytes memory why = abi.encodeWithSelector(Statements.WrongInstanceCount.selector, COUNT, COUNT - 1);
        refuses(question(0), values, why);
    }

    function test_record_extraInstance_reverts() external {
        ask(question(0));
        uint256[] memory values = new uint256[](COUNT + 1);
        uint256[] memory good = instancesFor(question(0));
        for (uint256 i = 0; i < COUNT; ++i) {
            values[i] = good[i];
        }
        bytes memory why = abi.encodeWithSelector(Statements.WrongInstanceCount.selector, COUNT, COUNT + 1);
        refuses(question(0), values, why);
    }

    function test_record_hashedInputs_readsTheirDigests() external {
        Request memory asked = question(0);
        Registration memory wanted = registration(Visibility.Hashed, 1, 2);
        vm.prank(BOB);
        asked.listing = registry.register(wanted, bindingKey(COUNT, Setups.HERMEZ));
        asked.inputCommitment = keccak256(abi.encode(uint256(77)));
        ask(asked);
        // digest of the context, digest of the input, outputs, context
        uint256[] memory values = new uint256[](COUNT);
        (values[0], values[1], values[2], values[3]) = (1, 77, 40, 41);
        uint256[] memory plain = instancesFor(asked);
        for (uint256 i = 0; i < 5; ++i) {
            values[4 + i] = plain[i];
        }
        ledger.record(asked, prove(values), values);
        ledger.requireRecorded(asked, answers());
    }

    function test_record_atOnceByItsRequester_passes() external {
        vm.prank(PUBLISHER);
        registry.setFee(listing, 0);
        Request memory asked = freeQuestion(0);
        uint256[] memory values = instancesFor(asked);
        bytes memory proof = prove(values);
        vm.expectEmit(address(ledger));
        emit IInferenceLedger.Requested(ledger.idOf(asked), listing, CONSUMER, asked);
        vm.prank(ALICE);
        ledger.record(asked, proof, values);
        ledger.requireRecorded(asked, answers());
    }

    function test_record_atOnceByAnother_reverts() external {
        vm.prank(PUBLISHER);
        registry.setFee(listing, 0);
        Request memory asked = freeQuestion(0);
        refuses(asked, instancesFor(asked), notOpen(asked, State.None));
    }

    function test_record_atOnceWithFees_reverts() external {
        Request memory asked = question(0);
        uint256[] memory values = instancesFor(asked);
        bytes memory proof = prove(values);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.WrongValue.selector, 0, fees(asked)));
        vm.prank(ALICE);
        ledger.record(asked, proof, values);
    }

    function test_record_atOnceOfAModelThatCosts_reverts() external {
        Request memory asked = freeQuestion(0);
        uint256[] memory values = instancesFor(asked);
        bytes memory proof = prove(values);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.FeeTooLow.selector, OWNER_FEE, 0));
        vm.prank(ALICE);
        ledger.record(asked, proof, values);
    }

    function test_record_unknownListing_reverts() external {
        Request memory asked = question(0);
        asked.listing = "none";
        bytes memory why = abi.encodeWithSelector(IModelRegistry.UnknownListing.selector, asked.listing);
        refuses(asked, instancesFor(question(0)), why);
    }

    function test_record_shiftedProof_reverts() external {
        ask(question(0));
        uint256[] memory values = instancesFor(question(0));
        bytes memory call_ = abi.encodeCall(IInferenceLedger.record, (question(0), prove(values), values));
        refusesCall(shifted(call_, 10, 32));
        refusesCall(shifted(call_, 11, 32 * COUNT));
        (bool success,) = address(ledger).call(call_);
        vm.assertTrue(success);
    }

    function test_requireRecorded_otherOutputs_reverts() external {
        bytes32 id = ask(question(0));
        answer(question(0));
        uint256[] memory other = answers();
        other[0] = 41;
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        ledger.requireRecorded(question(0), other);
    }

    function test_requireRecorded_onlyOpen_reverts() external {
        bytes32 id = ask(question(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        ledger.requireRecorded(question(0), new uint256[](0));
    }

    function test_requireSound_recorded_passes() external {
        bytes32 id = ask(question(0));
        answer(question(0));
        vm.assertEq(ledger.requireSound(question(0), answers()), id);
        vm.prank(PUBLISHER);
        registry.deprecate(listing, 0);
        vm.assertEq(ledger.requireSound(question(0), answers()), id);
    }

    function test_requireSound_notRecorded_reverts() external {
        bytes32 id = ask(question(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        ledger.requireSound(question(0), answers());
    }

    function test_requireSound_otherOutputs_reverts() external {
        bytes32 id = ask(question(0));
        answer(question(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        ledger.requireSound(question(0), new uint256[](2));
    }

    /// @dev What was recorded stays on record; but nobody is to act on it any more.
    function test_requireSound_stopped_reverts() external {
        ask(question(0));
        answer(question(0));
        vm.prank(GUARDIAN);
        stop.stop();
        ledger.requireRecorded(question(0), answers());
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.VerifierNotLive.selector, binding.selector()));
        ledger.requireSound(question(0), answers());
    }

    function test_requireSound_removed_reverts() external {
        ask(question(0));
        answer(question(0));
        bytes4 selector = binding.selector();
        vm.prank(TIMELOCK);
        router.removeVerifier(selector);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.VerifierNotLive.selector, selector));
        ledger.requireSound(question(0), answers());
    }

    function test_requireSound_revoked_reverts() external {
        ask(question(0));
        answer(question(0));
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        ledger.requireRecorded(question(0), answers());
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.ModelRevoked.selector, listing));
        ledger.requireSound(question(0), answers());
    }

    function test_recordBatch_goodProofs_areRecorded() external {
        (Request[] memory asked, bytes[] memory proofs, uint256[][] memory values) = batch(3);
        vm.assertEq(ledger.recordBatch(asked, proofs, values), 3);
        for (uint256 i = 0; i < 3; ++i) {
            ledger.requireRecorded(asked[i], answers());
        }
        vm.assertEq(ledger.creditOf(PROVER), 3 * uint256(PROVER_FEE));
    }

    /// @dev Posting a part of somebody's batch first does not spoil it.
    function test_recordBatch_withOneRecordedAlready_recordsTheRest() external {
        (Request[] memory asked, bytes[] memory proofs, uint256[][] memory values) = batch(3);
        answer(asked[1]);
        vm.assertEq(ledger.recordBatch(asked, proofs, values), 2);
        vm.assertEq(ledger.creditOf(PROVER), 3 * uint256(PROVER_FEE));
    }

    /// @dev Nor does taking fees back, once a request has expired.
    function test_recordBatch_withOneRefunded_recordsTheRest() external {
        (Request[] memory asked, bytes[] memory proofs, uint256[][] memory values) = batchWithOneThatExpired();
        ledger.refund(asked[1]);
        vm.assertEq(ledger.recordBatch(asked, proofs, values), 2);
        vm.assertEq(uint256(ledger.entryOf(ledger.idOf(asked[1])).state), uint256(State.Refunded));
    }

    function test_recordBatch_withOneExpired_recordsTheRest() external {
        (Request[] memory asked, bytes[] memory proofs, uint256[][] memory values) = batchWithOneThatExpired();
        vm.assertEq(ledger.recordBatch(asked, proofs, values), 2);
        vm.assertEq(uint256(ledger.entryOf(ledger.idOf(asked[1])).state), uint256(State.Open));
        vm.assertEq(ledger.creditOf(PROVER), 2 * uint256(PROVER_FEE));
    }

    function test_recordBatch_withOneModelRevoked_recordsTheRestAndPaysForAll() external {
        (Request[] memory asked, bytes[] memory proofs, uint256[][] memory values) = batch(2);
        bytes32 first = listing;
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        vm.prank(MALLORY);
        asked[1].listing = registry.register(wanted, bindingKey(COUNT, Setups.HERMEZ));
        ask(asked[1]);
        values[1] = instancesFor(asked[1]);
        proofs[1] = prove(values[1]);
        vm.prank(MALLORY);
        registry.revoke(asked[1].listing);
        vm.assertEq(ledger.recordBatch(asked, proofs, values), 2);
        vm.assertEq(asked[0].listing, first);
        ledger.requireSound(asked[0], answers());
        vm.assertEq(uint256(ledger.entryOf(ledger.idOf(asked[1])).state), uint256(State.Paid));
        vm.assertEq(ledger.creditOf(PROVER), 2 * uint256(PROVER_FEE));
        vm.assertEq(ledger.creditOf(MALLORY), 0);
        vm.assertEq(ledger.recordBatch(asked, proofs, values), 0);
    }

    function test_recordBatch_oneNeverAsked_revertsAll() external {
        (Request[] memory asked, bytes[] memory proofs, uint256[][] memory values) = batch(2);
        asked[1].salt = "never";
        bytes memory why = notOpen(asked[1], State.None);
        vm.expectRevert(why);
        ledger.recordBatch(asked, proofs, values);
    }

    function test_recordBatch_sameRequestTwice_isRecordedOnce() external {
        (Request[] memory asked, bytes[] memory proofs, uint256[][] memory values) = batch(2);
        (asked[1], proofs[1], values[1]) = (asked[0], proofs[0], values[0]);
        vm.assertEq(ledger.recordBatch(asked, proofs, values), 1);
        vm.assertEq(ledger.creditOf(PROVER), PROVER_FEE);
    }

    function test_recordBatch_oneBadProof_revertsAll() external {
        (Request[] memory asked, bytes[] memory proofs, uint256[][] memory values) = batch(2);
        proofs[1] = proofs[0];
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        ledger.recordBatch(asked, proofs, values);
    }

    function test_recordBatch_empty_reverts() external {
        vm.expectRevert(IInferenceLedger.BatchMismatch.selector);
        ledger.recordBatch(new Request[](0), new bytes[](0), new uint256[][](0));
    }

    function test_recordBatch_otherLengths_reverts() external {
        (Request[] memory asked, bytes[] memory proofs, uint256[][] memory values) = batch(2);
        vm.expectRevert(IInferenceLedger.BatchMismatch.selector);
        ledger.recordBatch(asked, new bytes[](1), values);
        vm.expectRevert(IInferenceLedger.BatchMismatch.selector);
        ledger.recordBatch(asked, proofs, new uint256[][](1));
    }

    /// @dev Both proofs reached through one place, which the ABI allows.
    function test_recordBatch_sharedProof_reverts() external {
        (Request[] memory asked, bytes[] memory proofs, uint256[][] memory values) = batch(2);
        bytes memory call_ = abi.encodeCall(IInferenceLedger.recordBatch, (asked, proofs, values));
        uint256 list = 4 + readWordAt(call_, 4 + 32) + 32;
        uint256 first = readWordAt(call_, list);
        assembly ("memory-safe") {
            mstore(add(add(call_, 0x40), list), first)
        }
        refusesCall(call_);
    }

    function testFuzz_recordBatch_anyOffsetMoved_reverts(uint8 which, uint256 other) external {
        (Request[] memory asked, bytes[] memory proofs, uint256[][] memory values) = batch(2);
        bytes memory call_ = abi.encodeCall(IInferenceLedger.recordBatch, (asked, proofs, values));
        uint256 lists = 4 + readWordAt(call_, 36) + 32;
        uint256[7] memory places =
            [uint256(4), 36, 68, lists, lists + 32, 36 + readWordAt(call_, 68), 68 + readWordAt(call_, 68)];
        uint256 place = places[which % 7];
        vm.assume(readWordAt(call_, place) != other);
        assembly ("memory-safe") {
            mstore(add(add(call_, 0x20), place), other)
        }
        (bool success,) = address(ledger).call(call_);
        vm.assertFalse(success);
    }

    function batch(uint256 count)
        private
        returns (Request[] memory asked, bytes[] memory proofs, uint256[][] memory values)
    {
        (asked, proofs, values) = (new Request[](count), new bytes[](count), new uint256[][](count));
        for (uint256 i = 0; i < count; ++i) {
            asked[i] = question(i);
            ask(asked[i]);
            values[i] = instancesFor(asked[i]);
            proofs[i] = prove(values[i]);
        }
    }

    function batchWithOneThatExpired()
        private
        returns (Request[] memory asked, bytes[] memory proofs, uint256[][] memory values)
    {
        (asked, proofs, values) = batch(3);
        asked[1].expiry = uint64(NOW + 1);
        ask(asked[1]);
        values[1] = instancesFor(asked[1]);
        proofs[1] = prove(values[1]);
        vm.warp(NOW + 2);
    }

    function readWordAt(bytes memory data, uint256 place) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), place))
        }
    }

    function notOpen(Request memory asked, State state) private view returns (bytes memory) {
        return abi.encodeWithSelector(IInferenceLedger.NotOpen.selector, ledger.idOf(asked), state);
    }

    function refuses(Request memory asked, uint256[] memory values, bytes memory why) private {
        bytes memory proof = prove(values);
        vm.expectRevert(why);
        ledger.record(asked, proof, values);
    }

    function refusesCall(bytes memory call_) private {
        (bool success, bytes memory why) = address(ledger).call(call_);
        vm.assertFalse(success);
        vm.assertEq(bytes32(why), bytes32(Canonical.NonCanonicalCalldata.selector));
    }
}
