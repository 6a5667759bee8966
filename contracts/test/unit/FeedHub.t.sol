// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {FeedState, IFeedHub, Level, Spec} from "../../src/interfaces/IFeedHub.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {IVerifierProxy} from "../../src/interfaces/IVerifierProxy.sol";
import {FeedPayload} from "../../src/libraries/FeedPayload.sol";
import {StatementLayout} from "../../src/libraries/StatementLayout.sol";
import {Draft, Feeds} from "../support/Feeds.sol";

/// @notice What the hub accepts and refuses, with a verifier whose proofs tests can make.
contract FeedHubTest is Feeds {
    uint40 private constant ROUND = uint40(NOW / TICK);

    function test_verify_attested_isStoredAndReturned() external {
        vm.expectEmit(address(hub));
        emit IFeedHub.RoundReported(
            feedId, ROUND, int192(ANSWER), uint40(NOW), Level.Attested, SOURCE_DIGEST, keccak256(INPUTS)
        );
        bytes memory report = post(attested(NOW, ANSWER));
        vm.assertEq(report, reportOf(feedId, NOW, ANSWER));
        requireStored(ROUND, ANSWER, NOW, Level.Attested);
        FeedState memory state = hub.stateOf(feedId);
        vm.assertEq(state.latest, ROUND);
        vm.assertEq(state.latestProven, 0);
    }

    function test_verify_proven_isStored() external {
        vm.assertEq(post(proven(NOW)), reportOf(feedId, NOW, ANSWER));
        requireStored(ROUND, ANSWER, NOW, Level.Proven);
        vm.assertEq(hub.stateOf(feedId).latestProven, ROUND);
    }

    function test_verify_proofAfterAttestation_raisesTheLevel() external {
        post(attested(NOW, ANSWER));
        post(proven(NOW));
        requireStored(ROUND, ANSWER, NOW, Level.Proven);
    }

    function test_verify_attestationAfterProof_changesNothing() external {
        post(proven(NOW));
        vm.recordLogs();
        vm.assertEq(post(attested(NOW, ANSWER)), reportOf(feedId, NOW, ANSWER));
        vm.assertEq(vm.getRecordedLogs().length, 0);
        requireStored(ROUND, ANSWER, NOW, Level.Proven);
    }

    function test_verify_again_changesNothing() external {
        bytes memory first = post(proven(NOW));
        vm.recordLogs();
        vm.assertEq(post(proven(NOW)), first);
        vm.assertEq(vm.getRecordedLogs().length, 0);
    }

    function test_verify_moreSignersThanNeeded_isStored() external {
        Draft memory made = attested(NOW, ANSWER);
        made.keys = firstKeys(5);
        post(made);
        requireStored(ROUND, ANSWER, NOW, Level.Attested);
    }

    function test_verify_answerWithinTheTolerance_keepsTheSignedOne() external {
        post(provenOutput(NOW, ANSWER + int64(TOLERANCE), 40));
        requireStored(ROUND, ANSWER + int64(TOLERANCE), NOW, Level.Proven);
    }

    function test_verify_boundsAndAge_areInclusive() external {
        post(attested(NOW, 1000));
        post(attested(NOW - TICK, -1000));
        post(attested(NOW - MAX_AGE, ANSWER));
        requireStored(ROUND, 1000, NOW, Level.Attested);
        requireStored(uint40((NOW - MAX_AGE) / TICK), ANSWER, NOW - MAX_AGE, Level.Attested);
    }

    function test_verify_olderRoundAfterANewerOne_leavesTheLatest() external {
        post(proven(NOW));
        post(attested(NOW - TICK, ANSWER));
        vm.assertEq(hub.stateOf(feedId).latest, ROUND);
        requireStored(ROUND - 1, ANSWER, NOW - TICK, Level.Attested);
    }

    function test_verifyBulk_returnsEveryReport() external {
        bytes[] memory payloads = new bytes[](2);
        (payloads[0], payloads[1]) = (encode(attested(NOW - TICK, ANSWER)), encode(proven(NOW)));
        bytes[] memory reports = hub.verifyBulk(payloads, "");
        vm.assertEq(reports[0], reportOf(feedId, NOW - TICK, ANSWER));
        vm.assertEq(reports[1], reportOf(feedId, NOW, ANSWER));
        payloads[1] = encode(attested(NOW, ANSWER + 1));
        vm.expectRevert(taken(ANSWER, NOW));
        hub.verifyBulk(payloads, "");
    }

    /// @dev What matters is the payload's bytes, not where they lie.
    function test_verify_payloadElsewhereInTheCalldata_isTheSame() external {
        bytes memory payload = encode(proven(NOW));
        bytes memory call_ = abi.encodeCall(hub.verify, (payload, ""));
        (bool success, bytes memory answer) = address(hub).call(shifted(call_, 0, payload.length));
        vm.assertTrue(success);
        vm.assertEq(abi.decode(answer, (bytes)), reportOf(feedId, NOW, ANSWER));
        requireStored(ROUND, ANSWER, NOW, Level.Proven);
    }

    function test_verify_value_isRefused() external {
        bytes memory payload = encode(attested(NOW, ANSWER));
        vm.deal(address(this), 2);
        vm.expectRevert(IFeedHub.ValueRefused.selector);
        hub.verify{value: 1}(payload, "");
        vm.expectRevert(IFeedHub.ValueRefused.selector);
        hub.verifyBulk{value: 1}(new bytes[](0), "");
    }

    function test_verify_otherAnswerOfTheRound_isRefused() external {
        post(attested(NOW, ANSWER));
        refuses(attested(NOW, ANSWER + 1), taken(ANSWER, NOW));
        refuses(attested(NOW - 1, ANSWER), taken(ANSWER, NOW)); // the same minute
        refuses(provenOutput(NOW, ANSWER + 1, 40), taken(ANSWER, NOW));
        post(proven(NOW));
        refuses(provenOutput(NOW, ANSWER + 1, 40), taken(ANSWER, NOW));
    }

    function test_verify_unknownFeed_isRefused() external {
        Draft memory made = attested(NOW, ANSWER);
        bytes32 other = bytes32(uint256(feedId) ^ 1);
        made.report = reportOf(other, NOW, ANSWER);
        refuses(made, abi.encodeWithSelector(IFeedHub.UnknownFeed.selector, other));
    }

    function test_verify_anotherConfig_isRefused() external {
        Draft memory made = attested(NOW, ANSWER);
        made.config = hub.configure(addressesOf(keys), 1);
        refuses(made, abi.encodeWithSelector(IFeedHub.WrongConfig.selector, config, made.config));
        made.config = 0;
        refuses(made, abi.encodeWithSelector(IFeedHub.WrongConfig.selector, config, 0));
    }

    /// @dev The feed's id is in the report, so in what is signed.
    function test_verify_signaturesOfAnotherFeed_areRefused() external {
        Spec memory other = spec();
        other.description = "another";
        bytes32 otherId = createFeed(other, config);
        Draft memory made = attested(NOW, ANSWER);
        bytes memory payload = encode(made);
        hub.verify(payload, "");
        for (uint256 i = 0; i < 32; ++i) {
            payload[0x180 + i] = otherId[i];
        }
        (bool success, bytes memory why) = address(hub).call(abi.encodeCall(IVerifierProxy.verify, (payload, "")));
        vm.assertFalse(success);
        vm.assertEq(bytes32(bytes4(why)), bytes32(IFeedHub.BadSigner.selector));
    }

    function test_verify_tooFewSigners_isRefused() external {
        Draft memory made = attested(NOW, ANSWER);
        made.keys = firstKeys(2);
        refuses(made, abi.encodeWithSelector(IFeedHub.NotEnoughSigners.selector, 3, 2));
        made.keys = firstKeys(0);
        refuses(made, abi.encodeWithSelector(IFeedHub.NotEnoughSigners.selector, 3, 0));
        made = proven(NOW); // a proof does not show where the inputs come from
        made.keys = firstKeys(0);
        refuses(made, abi.encodeWithSelector(IFeedHub.NotEnoughSigners.selector, 3, 0));
    }

    function test_verify_sameSignerTwice_isRefused() external {
        Draft memory made = attested(NOW, ANSWER);
        made.keys[2] = made.keys[1];
        refuses(made, abi.encodeWithSelector(IFeedHub.BadSigner.selector, vm.addr(keys[1])));
    }

    function test_verify_signersOutOfOrder_areRefused() external {
        Draft memory made = attested(NOW, ANSWER);
        (made.keys[0], made.keys[1]) = (made.keys[1], made.keys[0]);
        refuses(made, abi.encodeWithSelector(IFeedHub.BadSigner.selector, vm.addr(keys[0])));
    }

    function test_verify_stranger_isRefused() external {
        Draft memory made = attested(NOW, ANSWER);
        made.keys = keysFrom(0xbad, 3);
        refuses(made, abi.encodeWithSelector(IFeedHub.BadSigner.selector, vm.addr(made.keys[0])));
    }

    function test_verify_malleatedSignature_isRefused() external {
        Draft memory made = attested(NOW, ANSWER);
        (bytes32[] memory rs, bytes32[] memory ss, bytes32 rawVs) = signatures(made);
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        ss[1] = bytes32(order - uint256(ss[1]));
        rawVs ^= bytes32(bytes1(0x01)) >> 8;
        refusesBytes(encodeWith(made, rs, ss, rawVs), abi.encodeWithSelector(IFeedHub.BadSignature.selector, 1));
    }

    function test_verify_recoveryBitsOfNoSignature_areRefused() external {
        Draft memory made = attested(NOW, ANSWER);
        (bytes32[] memory rs, bytes32[] memory ss, bytes32 rawVs) = signatures(made);
        bytes memory why = abi.encodeWithSelector(FeedPayload.NonCanonicalPayload.selector);
        refusesBytes(encodeWith(made, rs, ss, rawVs | bytes32(uint256(1))), why);
        refusesBytes(encodeWith(made, rs, ss, rawVs | (bytes32(bytes1(0x01)) >> 24)), why);
        why = abi.encodeWithSelector(IFeedHub.BadSignature.selector, 0);
        refusesBytes(encodeWith(made, rs, ss, rawVs | bytes32(bytes1(0x02))), why);
        refusesBytes(encodeWith(made, rs, ss, rawVs | bytes32(bytes1(0xff))), why);
        rs[0] = 0;
        refusesBytes(encodeWith(made, rs, ss, rawVs), why);
    }

    function test_verify_wrongRound_isRefused() external {
        Draft memory made = attested(NOW, ANSWER);
        made.round = ROUND + 1;
        refuses(made, abi.encodeWithSelector(IFeedHub.WrongRound.selector, ROUND, ROUND + 1));
        made.round = ROUND + (1 << 40); // the same in 40 bits
        refuses(made, abi.encodeWithSelector(IFeedHub.WrongRound.selector, ROUND, made.round));
    }

    function test_verify_future_isRefused() external {
        refuses(attested(NOW + 1, ANSWER), abi.encodeWithSelector(IFeedHub.FromTheFuture.selector, NOW + 1));
        Draft memory made = attested(NOW, ANSWER);
        uint256 time = type(uint256).max - MAX_AGE;
        made.report = reportOf(feedId, time, ANSWER);
        refuses(made, abi.encodeWithSelector(IFeedHub.FromTheFuture.selector, time));
    }

    /// @dev In 2106 reports stop, instead of overflowing.
    function test_verify_timeBeyond32Bits_isRefused() external {
        uint256 last = type(uint32).max - MAX_AGE;
        vm.warp(last + 1);
        post(attested(last, ANSWER));
        refuses(attested(last + 1, ANSWER), abi.encodeWithSelector(IFeedHub.FromTheFuture.selector, last + 1));
    }

    function test_verify_tooOld_isRefused() external {
        uint256 time = NOW - MAX_AGE - 1;
        bytes memory why = abi.encodeWithSelector(IFeedHub.TooOld.selector, time);
        refuses(attested(time, ANSWER), why);
        refuses(proven(time), why);
        vm.warp(time);
        post(attested(time, ANSWER));
        vm.warp(NOW); // what is on record is not returned as a report for ever
        refuses(attested(time, ANSWER), why);
        refuses(proven(time), why);
    }

    function test_verify_outOfBounds_isRefused() external {
        refuses(attested(NOW, 1001), abi.encodeWithSelector(IFeedHub.OutOfBounds.selector, int256(1001)));
        refuses(attested(NOW, -1001), abi.encodeWithSelector(IFeedHub.OutOfBounds.selector, int256(-1001)));
        int256 wide = ANSWER + (1 << 192); // the same in 192 bits
        refuses(attested(NOW, wide), abi.encodeWithSelector(IFeedHub.OutOfBounds.selector, wide));
    }

    function test_verify_anyOtherReport_isRefused() external {
        bytes32 expected = keccak256(reportOf(feedId, NOW, ANSWER));
        uint8[6] memory words = [1, 3, 4, 5, 7, 8];
        for (uint256 i = 0; i < words.length; ++i) {
            Draft memory made = attested(NOW, ANSWER);
            writeWord(made.report, words[i], readWord(made.report, words[i]) + 1);
            refuses(made, abi.encodeWithSelector(IFeedHub.ReportMismatch.selector, expected, keccak256(made.report)));
        }
    }

    function test_verify_otherInputsOrSource_areRefused() external {
        Draft memory made = attested(NOW, ANSWER);
        made.inputs = hex"1416";
        refuses(made, extraMismatch(SOURCE_DIGEST, made.inputs, made.extra));
        made = attested(NOW, ANSWER);
        made.sourceDigest = keccak256("other");
        refuses(made, extraMismatch(made.sourceDigest, INPUTS, made.extra));
        made = attested(NOW, ANSWER);
        made.extra = bytes32(uint256(made.extra) ^ 1);
        refuses(made, extraMismatch(SOURCE_DIGEST, INPUTS, made.extra));
    }

    /// @dev An answer about inputs of another size could never be proven, nor contradicted.
    function test_verify_inputsOfAnotherSize_areRefused() external {
        Draft memory made = attested(NOW, ANSWER);
        made.inputs = hex"141500";
        made.extra = keccak256(abi.encode(SOURCE_DIGEST, keccak256(made.inputs)));
        refuses(made, abi.encodeWithSelector(StatementLayout.InputLengthMismatch.selector, 2, 3));
        made.inputs = "";
        refuses(made, abi.encodeWithSelector(StatementLayout.InputLengthMismatch.selector, 2, 0));
    }

    function test_verify_proofOfAnotherStatement_isRefused() external {
        bytes memory why = abi.encodeWithSelector(IInferenceVerifier.ProofRejected.selector);
        Draft memory made = proven(NOW);
        made.outputs[1] += 1;
        refuses(made, why);
        made = proven(NOW);
        made.proof = proven(NOW - 1).proof; // of the same round, at another time
        refuses(made, why);
        made = proven(NOW);
        made.sourceDigest = keccak256("other");
        made.proof = proofOf(made);
        made.sourceDigest = SOURCE_DIGEST;
        refuses(made, why);
    }

    function test_verify_proofOfAnotherFeed_isRefused() external {
        Draft memory made = proven(NOW);
        made.report = reportOf(bytes32(uint256(feedId) ^ 1), NOW, ANSWER);
        made.proof = proofOf(made);
        made.report = reportOf(feedId, NOW, ANSWER);
        refuses(made, abi.encodeWithSelector(IInferenceVerifier.ProofRejected.selector));
    }

    function test_verify_proofForAChain_isRefused() external {
        Draft memory made = proven(NOW);
        made.proof = prove(statementFor(requestOf(1)));
        refuses(made, abi.encodeWithSelector(IInferenceVerifier.ProofRejected.selector));
    }

    function test_prove_lateProof_raisesTheLevel() external {
        post(attested(NOW, ANSWER));
        Draft memory made = proven(NOW);
        vm.warp(NOW + 10 days);
        hub.prove(encode(made));
        requireStored(ROUND, ANSWER, NOW, Level.Proven);
        vm.assertEq(hub.stateOf(feedId).latestProven, ROUND);
        hub.prove(encode(made)); // again
    }

    function test_prove_lateForAnEmptyRound_isRefused() external {
        bytes memory payload = encode(proven(NOW));
        vm.warp(NOW + MAX_AGE + 1);
        vm.expectRevert(abi.encodeWithSelector(IFeedHub.TooOld.selector, NOW));
        hub.prove(payload);
    }

    function test_prove_withoutAProof_isRefused() external {
        bytes memory payload = encode(attested(NOW, ANSWER));
        vm.expectRevert(error_(IFeedHub.ProofMissing.selector));
        hub.prove(payload);
    }

    function test_prove_freshReport_isStored() external {
        hub.prove(encode(proven(NOW)));
        requireStored(ROUND, ANSWER, NOW, Level.Proven);
    }

    function test_supportsInterface_itsOwn_only() external view {
        vm.assertTrue(hub.supportsInterface(type(IERC165).interfaceId));
        vm.assertTrue(hub.supportsInterface(type(IVerifierProxy).interfaceId));
        vm.assertTrue(hub.supportsInterface(type(IFeedHub).interfaceId));
        vm.assertFalse(hub.supportsInterface(0xffffffff));
    }

    function signatures(Draft memory made)
        private
        pure
        returns (bytes32[] memory rs, bytes32[] memory ss, bytes32 rawVs)
    {
        (,, rs, ss, rawVs) = abi.decode(encode(made), (bytes32[3], bytes, bytes32[], bytes32[], bytes32));
    }

    function extraMismatch(bytes32 source, bytes memory inputs, bytes32 actual) private pure returns (bytes memory) {
        bytes32 expected = keccak256(abi.encode(source, keccak256(inputs)));
        return abi.encodeWithSelector(IFeedHub.ExtraMismatch.selector, expected, actual);
    }

    function taken(int256 answer, uint256 observedAt) private view returns (bytes memory) {
        return
            abi.encodeWithSelector(IFeedHub.RoundHasAnswer.selector, feedId, ROUND, int192(answer), uint40(observedAt));
    }
}
