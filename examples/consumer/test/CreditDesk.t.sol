// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {CreditDesk} from "../src/CreditDesk.sol";
import {InferenceConsumer} from "zkinfer/src/InferenceConsumer.sol";
import {IInferenceVerifier} from "zkinfer/src/interfaces/IInferenceVerifier.sol";
import {IInferenceLedger, Request} from "zkinfer/src/interfaces/IInferenceLedger.sol";
import {Statement} from "zkinfer/test/support/BindingVerifier.sol";
import {System} from "zkinfer/test/support/System.sol";

/// @notice `System` deploys registry and ledger and registers a model of two inputs and two outputs. Its verifier
/// accepts proofs that a test makes with `prove`; they bind the statement, so later changes are rejected.
contract CreditDeskTest is System {
    CreditDesk private desk;

    function setUp() public override {
        super.setUp();
        desk = new CreditDesk(ledger, listing);
    }

    function test_decide_goodScore_givesCredit() external {
        Request memory request = applyAsAlice();
        Statement memory statement = withScore(request, 26); // 24/32 is three quarters, and two units of margin
        desk.decide(request, statement.inputs, statement.outputs, prove(statement));
        vm.assertTrue(desk.hasCredit(ALICE));
    }

    /// @dev The prover's rounding choice may have lifted such a score over the threshold.
    function test_decide_scoreWithinTheMargin_givesNothing() external {
        Request memory request = applyAsAlice();
        Statement memory statement = withScore(request, 25);
        desk.decide(request, statement.inputs, statement.outputs, prove(statement));
        vm.assertFalse(desk.hasCredit(ALICE));
    }

    function test_decide_scoreChangedAfterProving_reverts() external {
        Request memory request = applyAsAlice();
        bytes memory proof = prove(withScore(request, 23));
        Statement memory statement = withScore(request, 26);
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        desk.decide(request, statement.inputs, statement.outputs, proof);
    }

    /// @dev A record from before a stop may be forged.
    function test_decide_recordedBeforeTheStop_reverts() external {
        Request memory request = applyAsAlice();
        Statement memory statement = withScore(request, 26);
        ledger.record(request, statement.inputs, statement.outputs, prove(statement));
        vm.prank(GUARDIAN);
        stop.stop();
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.VerifierNotLive.selector, binding.selector()));
        desk.decide(request, "", statement.outputs, "");
        vm.assertFalse(desk.hasCredit(ALICE));
    }

    function test_decide_twice_reverts() external {
        Request memory request = applyAsAlice();
        Statement memory statement = withScore(request, 26);
        bytes memory proof = prove(statement);
        desk.decide(request, statement.inputs, statement.outputs, proof);
        bytes32 id = ledger.idOf(request);
        vm.expectRevert(abi.encodeWithSelector(InferenceConsumer.AlreadyAnswered.selector, id));
        desk.decide(request, statement.inputs, statement.outputs, proof);
    }

    /// @dev The desk's request, as in the ledger's event.
    function applyAsAlice() private returns (Request memory request) {
        request = requestOf(0);
        (request.consumer, request.requester, request.refundTo) = (address(desk), address(desk), ALICE);
        vm.prank(ALICE);
        bytes32 id = desk.applyFor{value: PROVER_FEE + OWNER_FEE}(request.inputCommitment, PROVER);
        vm.assertEq(id, ledger.idOf(request));
    }

    function withScore(Request memory request, int256 score) private view returns (Statement memory statement) {
        statement = statementFor(request);
        statement.outputs[0] = score;
    }
}
