// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {InferenceConsumer} from "../../src/InferenceConsumer.sol";
import {DigitLock} from "../../src/examples/DigitLock.sol";
import {IInferenceLedger, Request, State} from "../../src/interfaces/IInferenceLedger.sol";
import {Canonical} from "../../src/libraries/Canonical.sol";
import {System} from "../support/System.sol";

contract InferenceConsumerTest is System {
    uint256 private constant MARGIN = 10;

    DigitLock private lock;

    function setUp() public override {
        super.setUp();
        lock = new DigitLock(ledger, listing, 1, MARGIN);
    }

    function test_settle_rightAnswer_opens() external {
        play(PROVER_FEE + OWNER_FEE);
        vm.expectEmit(address(lock));
        emit DigitLock.Read(ALICE, 1, true);
        settle(asked(0, PROVER_FEE));
        vm.assertEq(lock.winner(), ALICE);
        vm.assertEq(ledger.creditOf(PROVER), PROVER_FEE);
        vm.assertEq(ledger.creditOf(PUBLISHER), OWNER_FEE);
    }

    /// @dev The right digit leads, but by no more than a prover can give it.
    function test_settle_leadWithinTheMargin_opensNothing() external {
        play(PROVER_FEE + OWNER_FEE);
        uint256[] memory values = leadingBy(asked(0, PROVER_FEE), MARGIN - 1);
        bytes memory proof = prove(values);
        vm.expectEmit(address(lock));
        emit DigitLock.Read(ALICE, 1, false);
        lock.settle(asked(0, PROVER_FEE), proof, values);
        vm.assertEq(lock.winner(), address(0));
    }

    /// @dev The record may have been forged by the bug that the verifier was stopped for.
    function test_settle_recordedBeforeTheStop_reverts() external {
        play(PROVER_FEE + OWNER_FEE);
        recordFor(asked(0, PROVER_FEE));
        vm.prank(GUARDIAN);
        stop.stop();
        refuses(abi.encodeWithSelector(IInferenceLedger.VerifierNotLive.selector, binding.selector()));
    }

    function test_settle_recordedBeforeTheVerifierWasRemoved_reverts() external {
        play(PROVER_FEE + OWNER_FEE);
        recordFor(asked(0, PROVER_FEE));
        bytes4 selector = binding.selector();
        vm.prank(TIMELOCK);
        router.removeVerifier(selector);
        refuses(abi.encodeWithSelector(IInferenceLedger.VerifierNotLive.selector, selector));
    }

    function test_settle_recordedBeforeTheRevocation_reverts() external {
        play(PROVER_FEE + OWNER_FEE);
        recordFor(asked(0, PROVER_FEE));
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        refuses(abi.encodeWithSelector(IInferenceLedger.ModelRevoked.selector, listing));
    }

    /// @dev The prover is paid, and the lock does not act.
    function test_settle_provenAfterTheRevocation_reverts() external {
        bytes32 id = play(PROVER_FEE + OWNER_FEE);
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        refuses(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        recordFor(asked(0, PROVER_FEE));
        vm.assertEq(ledger.creditOf(PROVER), PROVER_FEE);
        refuses(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
    }

    function test_settle_deprecated_opens() external {
        play(PROVER_FEE + OWNER_FEE);
        vm.prank(PUBLISHER);
        registry.deprecate(listing, 0);
        settle(asked(0, PROVER_FEE));
        vm.assertEq(lock.winner(), ALICE);
    }

    function test_settle_shiftedArguments_reverts() external {
        play(PROVER_FEE + OWNER_FEE);
        uint256[] memory values = leadingBy(asked(0, PROVER_FEE), MARGIN);
        bytes memory call_ = abi.encodeCall(DigitLock.settle, (asked(0, PROVER_FEE), prove(values), values));
        refusesCall(shifted(call_, 10, 32));
        refusesCall(shifted(call_, 11, 32 * COUNT));
        (bool success,) = address(lock).call(call_);
        vm.assertTrue(success);
    }

    /// @dev Whoever records the answer first spoils nothing: the lock takes it from the ledger.
    function test_settle_recordedByAnother_opens() external {
        play(PROVER_FEE + OWNER_FEE);
        Request memory question_ = asked(0, PROVER_FEE);
        uint256[] memory values = leadingBy(question_, MARGIN);
        bytes memory proof = prove(values);
        vm.prank(MALLORY);
        ledger.record(question_, proof, values);
        lock.settle(question_, "", values);
        vm.assertEq(lock.winner(), ALICE);
    }

    function test_settle_recordedByAnotherButOtherOutputs_reverts() external {
        play(PROVER_FEE + OWNER_FEE);
        answer(asked(0, PROVER_FEE));
        uint256[] memory values = instancesFor(asked(0, PROVER_FEE));
        values[8] = 1;
        bytes32 id = ledger.idOf(asked(0, PROVER_FEE));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        lock.settle(asked(0, PROVER_FEE), "", values);
    }

    function test_settle_twice_reverts() external {
        play(PROVER_FEE + OWNER_FEE);
        settle(asked(0, PROVER_FEE));
        bytes32 id = ledger.idOf(asked(0, PROVER_FEE));
        uint256[] memory values = instancesFor(asked(0, PROVER_FEE));
        vm.expectRevert(abi.encodeWithSelector(InferenceConsumer.AlreadyAnswered.selector, id));
        lock.settle(asked(0, PROVER_FEE), "", values);
    }

    /// @dev A stranger makes up a request in the lock's name, with an input of his choice.
    function test_settle_neverAsked_reverts() external {
        vm.prank(PUBLISHER);
        registry.setFee(listing, 0);
        Request memory made = asked(0, 0);
        (made.ownerFee, made.inputCommitment) = (0, anyInput());
        uint256[] memory values = instancesFor(made);
        bytes memory proof = prove(values);
        bytes32 id = ledger.idOf(made);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        lock.settle(made, proof, values);
    }

    function test_settle_requestOfAnother_reverts() external {
        Request memory foreign = question(0);
        ask(foreign);
        uint256[] memory values = instancesFor(foreign);
        bytes memory proof = prove(values);
        vm.expectRevert(InferenceConsumer.ForeignQuestion.selector);
        lock.settle(foreign, proof, values);
    }

    function test_settle_anotherModel_reverts() external {
        Request memory foreign = asked(0, PROVER_FEE);
        foreign.listing = "other";
        vm.expectRevert(InferenceConsumer.ForeignQuestion.selector);
        lock.settle(foreign, "", new uint256[](COUNT));
    }

    function test_settle_fewInstances_reverts() external {
        play(PROVER_FEE + OWNER_FEE);
        vm.expectRevert(abi.encodeWithSelector(InferenceConsumer.TooFewInstances.selector, COUNT, COUNT - 1));
        lock.settle(asked(0, PROVER_FEE), "", new uint256[](COUNT - 1));
    }

    function test_play_belowFee_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(InferenceConsumer.ValueBelowFee.selector, OWNER_FEE, OWNER_FEE - 1));
        play(OWNER_FEE - 1);
    }

    function test_play_twice_makesTwoRequests() external {
        vm.assertTrue(play(OWNER_FEE) != play(OWNER_FEE));
    }

    function test_play_withoutAnswer_refundsThePlayer() external {
        bytes32 id = play(PROVER_FEE + OWNER_FEE);
        vm.warp(NOW + 1 hours + 1);
        ledger.refund(asked(0, PROVER_FEE));
        vm.assertEq(uint256(ledger.entryOf(id).state), uint256(State.Refunded));
        vm.assertEq(ledger.creditOf(ALICE), PROVER_FEE + OWNER_FEE);
    }

    function play(uint256 value) private returns (bytes32) {
        bytes32 picture = keccak256(abi.encode(uint256(20), uint256(21)));
        vm.prank(ALICE);
        return lock.play{value: value}(picture, PROVER);
    }

    function asked(uint256 salt, uint96 proverFee) private view returns (Request memory made) {
        made = question(salt);
        (made.consumer, made.requester, made.refundTo) = (address(lock), address(lock), ALICE);
        made.proverFee = proverFee;
    }

    function settle(Request memory question_) private {
        uint256[] memory values = leadingBy(question_, MARGIN);
        lock.settle(question_, prove(values), values);
    }

    function leadingBy(Request memory question_, uint256 margin) private view returns (uint256[] memory values) {
        values = instancesFor(question_);
        values[8] = values[7] + margin;
    }

    function recordFor(Request memory question_) private {
        uint256[] memory values = leadingBy(question_, MARGIN);
        ledger.record(question_, prove(values), values);
    }

    function refuses(bytes memory why) private {
        uint256[] memory values = leadingBy(asked(0, PROVER_FEE), MARGIN);
        Request memory question_ = asked(0, PROVER_FEE);
        bytes memory proof = prove(values);
        vm.expectRevert(why);
        lock.settle(question_, proof, values);
        vm.assertEq(lock.winner(), address(0));
    }

    function refusesCall(bytes memory call_) private {
        (bool success, bytes memory why) = address(lock).call(call_);
        vm.assertFalse(success);
        vm.assertEq(bytes32(why), bytes32(Canonical.NonCanonicalCalldata.selector));
    }
}
