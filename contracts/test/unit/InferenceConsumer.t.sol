// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {InferenceConsumer} from "../../src/InferenceConsumer.sol";
import {DigitLock} from "../../src/examples/DigitLock.sol";
import {IInferenceLedger, Request, State} from "../../src/interfaces/IInferenceLedger.sol";
import {IModelRegistry} from "../../src/interfaces/IModelRegistry.sol";
import {CanonicalCalldata} from "../../src/libraries/CanonicalCalldata.sol";
import {Statement} from "../support/BindingVerifier.sol";
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

    /// @dev The right digit leads, but only by as much as a prover could have given it.
    function test_settle_leadWithinTheMargin_opensNothing() external {
        play(PROVER_FEE + OWNER_FEE);
        Statement memory said = leadingBy(asked(0, PROVER_FEE), MARGIN - 1);
        bytes memory proof = prove(said);
        vm.expectEmit(address(lock));
        emit DigitLock.Read(ALICE, 1, false);
        lock.settle(asked(0, PROVER_FEE), said.inputs, said.outputs, proof);
        vm.assertEq(lock.winner(), address(0));
    }

    /// @dev The record may have been forged with the bug that caused the stop.
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
        Statement memory said = leadingBy(asked(0, PROVER_FEE), MARGIN);
        bytes memory call_ =
            abi.encodeCall(DigitLock.settle, (asked(0, PROVER_FEE), said.inputs, said.outputs, prove(said)));
        refusesCall(shifted(call_, 10, 32)); // padded to a word
        refusesCall(shifted(call_, 11, 64));
        refusesCall(shifted(call_, 12, 32));
        (bool success,) = address(lock).call(call_);
        vm.assertTrue(success);
    }

    /// @dev Another account's record does no harm: the lock reads it from the ledger.
    function test_settle_recordedByAnother_opens() external {
        play(PROVER_FEE + OWNER_FEE);
        Request memory made = asked(0, PROVER_FEE);
        Statement memory said = leadingBy(made, MARGIN);
        bytes memory proof = prove(said);
        vm.prank(MALLORY);
        ledger.record(made, said.inputs, said.outputs, proof);
        lock.settle(made, said.inputs, said.outputs, "");
        vm.assertEq(lock.winner(), ALICE);
    }

    function test_settle_recordedByAnotherButOtherOutputs_reverts() external {
        play(PROVER_FEE + OWNER_FEE);
        answer(asked(0, PROVER_FEE));
        Statement memory said = statementFor(asked(0, PROVER_FEE));
        said.outputs[1] = 1;
        bytes32 id = ledger.idOf(asked(0, PROVER_FEE));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        lock.settle(asked(0, PROVER_FEE), said.inputs, said.outputs, "");
    }

    function test_settle_twice_reverts() external {
        play(PROVER_FEE + OWNER_FEE);
        settle(asked(0, PROVER_FEE));
        bytes32 id = ledger.idOf(asked(0, PROVER_FEE));
        Statement memory said = statementFor(asked(0, PROVER_FEE));
        vm.expectRevert(abi.encodeWithSelector(InferenceConsumer.AlreadyAnswered.selector, id));
        lock.settle(asked(0, PROVER_FEE), said.inputs, said.outputs, "");
    }

    /// @dev An attacker makes up a request in the lock's name, with an input of its choice.
    function test_settle_neverOpened_reverts() external {
        vm.prank(PUBLISHER);
        registry.setFee(listing, 0);
        Request memory made = asked(0, 0);
        (made.ownerFee, made.inputCommitment) = (0, anyInput());
        Statement memory said = statementFor(made);
        bytes memory proof = prove(said);
        bytes32 id = ledger.idOf(made);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        lock.settle(made, said.inputs, said.outputs, proof);
    }

    function test_settle_requestOfAnother_reverts() external {
        Request memory foreign = requestOf(0);
        ask(foreign);
        Statement memory said = statementFor(foreign);
        bytes memory proof = prove(said);
        vm.expectRevert(InferenceConsumer.ForeignRequest.selector);
        lock.settle(foreign, said.inputs, said.outputs, proof);
    }

    function test_settle_anotherModel_reverts() external {
        Request memory foreign = asked(0, PROVER_FEE);
        foreign.listing = "other";
        vm.expectRevert(InferenceConsumer.ForeignRequest.selector);
        lock.settle(foreign, "", new int256[](2), "");
    }

    function test_settle_missingOutput_reverts() external {
        bytes32 id = play(PROVER_FEE + OWNER_FEE);
        answer(asked(0, PROVER_FEE));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        lock.settle(asked(0, PROVER_FEE), "", new int256[](1), "");
    }

    function test_constructor_unknownListing_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownListing.selector, bytes32("none")));
        new DigitLock(ledger, "none", 1, MARGIN);
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
        bytes32 image = keccak256(INPUTS);
        vm.prank(ALICE);
        return lock.play{value: value}(image, PROVER);
    }

    function asked(uint256 salt, uint96 proverFee) private view returns (Request memory made) {
        made = requestOf(salt);
        (made.consumer, made.requester, made.refundTo) = (address(lock), address(lock), ALICE);
        made.proverFee = proverFee;
    }

    function settle(Request memory made) private {
        Statement memory said = leadingBy(made, MARGIN);
        lock.settle(made, said.inputs, said.outputs, prove(said));
    }

    function leadingBy(Request memory made, uint256 margin) private view returns (Statement memory said) {
        said = statementFor(made);
        said.outputs[1] = said.outputs[0] + int256(margin);
    }

    function recordFor(Request memory made) private {
        Statement memory said = leadingBy(made, MARGIN);
        ledger.record(made, said.inputs, said.outputs, prove(said));
    }

    function refuses(bytes memory why) private {
        Statement memory said = leadingBy(asked(0, PROVER_FEE), MARGIN);
        Request memory made = asked(0, PROVER_FEE);
        bytes memory proof = prove(said);
        vm.expectRevert(why);
        lock.settle(made, said.inputs, said.outputs, proof);
        vm.assertEq(lock.winner(), address(0));
    }

    function refusesCall(bytes memory call_) private {
        (bool success, bytes memory why) = address(lock).call(call_);
        vm.assertFalse(success);
        vm.assertEq(bytes32(why), bytes32(CanonicalCalldata.NonCanonicalCalldata.selector));
    }
}
