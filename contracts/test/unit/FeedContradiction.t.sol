// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IFeedHub, Level} from "../../src/interfaces/IFeedHub.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {Draft, Feeds} from "../support/Feeds.sol";

/// @notice What a proof does to signers who signed another answer.
contract FeedContradictionTest is Feeds {
    uint40 private constant ROUND = uint40(NOW / TICK);
    /// @dev Further from ANSWER than TOLERANCE.
    int256 private constant LIE = ANSWER + 3;

    bytes32 private other;

    function setUp() public override {
        super.setUp();
        other = hub.configure(addressesOf(firstKeys(4)), 2);
    }

    function test_verify_contradiction_isRecordedAndReturnsNoReport() external {
        post(attested(NOW, LIE));
        expectContradiction(int192(ANSWER));
        vm.assertEq(post(lie()), "");
        vm.assertTrue(hub.isContradicted(feedId));
        requireStored(ROUND, LIE, NOW, Level.Attested);
        vm.assertEq(hub.stateOf(feedId).latestProven, 0);
    }

    function test_verify_contradictionOnBothSides_isRecorded() external {
        expectContradiction(97); // floor(39 * 10 / 4)
        vm.assertEq(post(provenOutput(NOW, ANSWER, 39)), "");
    }

    function test_verify_contradictionOfAnUnpostedReport_writesNoRound() external {
        post(lie());
        vm.assertTrue(hub.isContradicted(feedId));
        requireStored(ROUND, 0, 0, Level.None);
    }

    /// @dev They signed two reports for one round; the one that was not posted is false.
    function test_verify_contradictionOfASecondReport_isRecorded() external {
        post(attested(NOW, ANSWER));
        vm.assertEq(post(lie()), "");
        vm.assertTrue(hub.isContradicted(feedId));
        requireStored(ROUND, ANSWER, NOW, Level.Attested);
    }

    function test_prove_contradictionOfAnyAge_isRecorded() external {
        Draft memory made = lie();
        vm.warp(NOW + 1000 days);
        hub.prove(encode(made));
        vm.assertTrue(hub.isContradicted(feedId));
    }

    function test_verify_secondContradiction_changesNothing() external {
        post(lie());
        vm.recordLogs();
        vm.assertEq(post(lie()), "");
        vm.assertEq(post(provenOutput(NOW - TICK, LIE, 40)), "");
        vm.assertEq(vm.getRecordedLogs().length, 0);
    }

    /// @dev The signers signed other inputs, and their answer for those may be right.
    function test_verify_proofAboutOtherInputs_isNoContradiction() external {
        Draft memory made = attested(NOW, LIE);
        made.outputs = answers();
        made.inputs = hex"1416";
        made.proof = proofOf(made);
        made.inputs = INPUTS;
        refuses(made, abi.encodeWithSelector(IInferenceVerifier.ProofRejected.selector));
        made.inputs = hex"1416";
        bytes32 expected = keccak256(abi.encode(SOURCE_DIGEST, keccak256(made.inputs)));
        refuses(made, abi.encodeWithSelector(IFeedHub.ExtraMismatch.selector, expected, made.extra));
        vm.assertFalse(hub.isContradicted(feedId));
    }

    function test_verify_contradictionWithTooFewSignatures_isRefused() external {
        Draft memory made = lie();
        made.keys = firstKeys(2);
        refuses(made, abi.encodeWithSelector(IFeedHub.NotEnoughSigners.selector, 3, 2));
    }

    function test_verify_proofContradictingAProvenReport_changesNothing() external {
        post(proven(NOW));
        vm.assertEq(post(provenOutput(NOW, ANSWER, 39)), reportOf(feedId, NOW, ANSWER));
        vm.assertFalse(hub.isContradicted(feedId));
    }

    /// @dev They signed the answer for the true inputs, for which it is false, and for made-up ones, for which it is right.
    function test_prove_contradictionBehindAProvenReport_isRecorded() external {
        Draft memory cover = provenOutput(NOW, LIE, 40);
        cover.inputs = hex"1416";
        cover.outputs[0] = 42; // 105 lies within the tolerance of the lie
        cover.extra = keccak256(abi.encode(SOURCE_DIGEST, keccak256(cover.inputs)));
        cover.proof = proofOf(cover);
        post(cover);
        requireStored(ROUND, LIE, NOW, Level.Proven);
        hub.prove(encode(lie()));
        vm.assertTrue(hub.isContradicted(feedId));
    }

    function test_verify_attestationWhileContradicted_isRefused() external {
        post(attested(NOW - TICK, ANSWER));
        post(lie());
        refuses(attested(NOW, ANSWER), error_(IFeedHub.FeedContradicted.selector));
        refuses(attested(NOW - TICK, ANSWER), error_(IFeedHub.FeedContradicted.selector));
    }

    function test_verify_proofWhileContradicted_isStored() external {
        post(lie());
        post(proven(NOW - TICK));
        hub.requireAt(feedId, ROUND - 1, Level.Proven);
        refusesRead(ROUND - 1, Level.Attested);
    }

    function test_read_attestedWhileContradicted_isRefused() external {
        post(proven(NOW - TICK));
        post(attested(NOW, LIE));
        post(lie());
        refusesRead(ROUND, Level.Attested);
        refusesRead(ROUND - 1, Level.Attested);
        vm.expectRevert(error_(IFeedHub.FeedContradicted.selector));
        hub.latest(feedId, Level.Attested);
        (uint40 round,) = hub.latest(feedId, Level.Proven);
        vm.assertEq(round, ROUND - 1);
    }

    /// @dev What liars signed and nobody proved is not read again, whoever signs now.
    function test_choose_otherSigners_opensLaterRoundsOnly() external {
        post(proven(NOW - 2 * TICK));
        post(attested(NOW - TICK, ANSWER));
        post(attested(NOW, LIE));
        post(lie());
        choose(other);
        vm.assertFalse(hub.isContradicted(feedId));
        refusesRead(ROUND, Level.Attested);
        refusesRead(ROUND - 1, Level.Attested);
        vm.assertEq(int256(hub.requireAt(feedId, ROUND - 2, Level.Attested)), ANSWER);
        config = other;
        vm.warp(NOW + TICK);
        post(attested(NOW + TICK, ANSWER));
        (uint40 round,) = hub.latest(feedId, Level.Attested);
        vm.assertEq(round, ROUND + 1);
    }

    /// @dev Only a proof vouches for what contradicted signers signed, and one of a stopped verifier vouches for nothing.
    function test_read_provenByContradictedSignersAndVerifierStopped_isRefused() external {
        post(proven(NOW - TICK));
        post(lie());
        post(proven(NOW));
        choose(other);
        vm.assertEq(int256(hub.requireAt(feedId, ROUND, Level.Attested)), ANSWER);
        vm.prank(GUARDIAN);
        stop.stop();
        for (uint40 round = ROUND - 1; round <= ROUND; ++round) {
            vm.expectRevert(error_(IFeedHub.FeedStopped.selector));
            hub.requireAt(feedId, round, Level.Attested);
        }
    }

    function test_choose_contradictedSigners_isRefused() external {
        post(lie());
        bytes memory why = abi.encodeWithSelector(IFeedHub.ConfigContradicted.selector, feedId, config);
        refusesChoice(why);
        choose(other);
        refusesChoice(why);
    }

    function test_choose_otherSigners_makesFormerEvidenceVoid() external {
        choose(other);
        refuses(lie(), abi.encodeWithSelector(IFeedHub.WrongConfig.selector, other, config));
    }

    function lie() private view returns (Draft memory) {
        return provenOutput(NOW, LIE, 40);
    }

    function choose(bytes32 wanted) private {
        vm.prank(OWNER);
        hub.choose(feedId, wanted);
    }

    function refusesChoice(bytes memory why) private {
        vm.expectRevert(why);
        choose(config);
    }

    function refusesRead(uint40 round, Level least) private {
        vm.expectRevert(error_(IFeedHub.FeedContradicted.selector));
        hub.requireRound(feedId, round, least);
    }

    function expectContradiction(int192 shown) private {
        vm.expectEmit(address(hub));
        int192 signed = shown == int192(ANSWER) ? int192(LIE) : int192(ANSWER);
        emit IFeedHub.Contradicted(feedId, ROUND, signed, shown, addressesOf(firstKeys(THRESHOLD)));
    }
}
