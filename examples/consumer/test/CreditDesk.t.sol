// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {CreditDesk} from "../src/CreditDesk.sol";
import {InferenceConsumer} from "zkinfer/src/InferenceConsumer.sol";
import {IInferenceVerifier} from "zkinfer/src/interfaces/IInferenceVerifier.sol";
import {IInferenceLedger, Request} from "zkinfer/src/interfaces/IInferenceLedger.sol";
import {Statement} from "zkinfer/test/support/BindingVerifier.sol";
import {System} from "zkinfer/test/support/System.sol";

/// @notice `System` deploys registry, ledger and a model of two inputs and two outputs. Its verifier takes proofs that
/// a test can make with `prove`; they bind the statement, so later changes are rejected.
contract CreditDeskTest is System {
    CreditDesk private desk;

    function setUp() public override {
        super.setUp();
        desk = new CreditDesk(ledger, listing);
    }

    function test_decide_goodScore_givesCredit() external {
        Request memory asked = applyAsAlice();
        Statement memory said = withScore(asked, 26); // 24/32 is three quarters, and two units of margin
        desk.decide(asked, said.inputs, said.outputs, prove(said));
        vm.assertTrue(desk.hasCredit(ALICE));
    }

    /// @dev A score that the tolerance of the proving system may have lifted over the threshold.
    function test_decide_scoreWithinTheMargin_givesNothing() external {
        Request memory asked = applyAsAlice();
        Statement memory said = withScore(asked, 25);
        desk.decide(asked, said.inputs, said.outputs, prove(said));
        vm.assertFalse(desk.hasCredit(ALICE));
    }

    function test_decide_scoreChangedAfterProving_reverts() external {
        Request memory asked = applyAsAlice();
        bytes memory proof = prove(withScore(asked, 23));
        Statement memory said = withScore(asked, 26);
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        desk.decide(asked, said.inputs, said.outputs, proof);
    }

    /// @dev A record from before a stop may be forged.
    function test_decide_recordedBeforeTheStop_reverts() external {
        Request memory asked = applyAsAlice();
        Statement memory said = withScore(asked, 26);
        ledger.record(asked, said.inputs, said.outputs, prove(said));
        vm.prank(GUARDIAN);
        stop.stop();
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.VerifierNotLive.selector, binding.selector()));
        desk.decide(asked, "", said.outputs, "");
        vm.assertFalse(desk.hasCredit(ALICE));
    }

    function test_decide_twice_reverts() external {
        Request memory asked = applyAsAlice();
        Statement memory said = withScore(asked, 26);
        bytes memory proof = prove(said);
        desk.decide(asked, said.inputs, said.outputs, proof);
        bytes32 id = ledger.idOf(asked);
        vm.expectRevert(abi.encodeWithSelector(InferenceConsumer.AlreadyAnswered.selector, id));
        desk.decide(asked, said.inputs, said.outputs, proof);
    }

    /// @dev The desk's own request, as the ledger's event tells it.
    function applyAsAlice() private returns (Request memory asked) {
        asked = requestOf(0);
        (asked.consumer, asked.requester, asked.refundTo) = (address(desk), address(desk), ALICE);
        vm.prank(ALICE);
        bytes32 id = desk.applyFor{value: PROVER_FEE + OWNER_FEE}(asked.inputCommitment, PROVER);
        vm.assertEq(id, ledger.idOf(asked));
    }

    function withScore(Request memory asked, int256 score) private view returns (Statement memory said) {
        said = statementFor(asked);
        said.outputs[0] = score;
    }
}
