// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {CreditDesk} from "../src/CreditDesk.sol";
import {InferenceConsumer} from "zkinfer/src/InferenceConsumer.sol";
import {IInferenceVerifier} from "zkinfer/src/interfaces/IInferenceVerifier.sol";
import {IInferenceLedger, Request} from "zkinfer/src/interfaces/IInferenceLedger.sol";
import {System} from "zkinfer/test/support/System.sol";

/// @notice `System` deploys registry, ledger and a model of two inputs and two outputs. Its verifier takes proofs that
/// a test can make with `prove`; they bind the public values, so what is changed afterwards is refused.
contract CreditDeskTest is System {
    uint256 private constant SCORE = 7; // where the first output lies: after 5 of the context and 2 inputs

    CreditDesk private desk;

    function setUp() public override {
        super.setUp();
        desk = new CreditDesk(ledger, listing);
    }

    function test_decide_goodScore_givesCredit() external {
        Request memory asked = applyAsAlice();
        uint256[] memory values = withScore(asked, 26); // 24/32 is three quarters, and two units of margin
        desk.decide(asked, prove(values), values);
        vm.assertTrue(desk.hasCredit(ALICE));
    }

    /// @dev A score that the prover's choice of rounding may have lifted over the threshold.
    function test_decide_scoreWithinTheMargin_givesNothing() external {
        Request memory asked = applyAsAlice();
        uint256[] memory values = withScore(asked, 25);
        desk.decide(asked, prove(values), values);
        vm.assertFalse(desk.hasCredit(ALICE));
    }

    function test_decide_scoreChangedAfterProving_reverts() external {
        Request memory asked = applyAsAlice();
        bytes memory proof = prove(withScore(asked, 23));
        uint256[] memory values = withScore(asked, 26);
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        desk.decide(asked, proof, values);
    }

    /// @dev What was recorded before the verifier was stopped may be forged.
    function test_decide_recordedBeforeTheStop_reverts() external {
        Request memory asked = applyAsAlice();
        uint256[] memory values = withScore(asked, 26);
        ledger.record(asked, prove(values), values);
        vm.prank(GUARDIAN);
        stop.stop();
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.VerifierNotLive.selector, binding.selector()));
        desk.decide(asked, "", values);
        vm.assertFalse(desk.hasCredit(ALICE));
    }

    function test_decide_twice_reverts() external {
        Request memory asked = applyAsAlice();
        uint256[] memory values = withScore(asked, 26);
        bytes memory proof = prove(values);
        desk.decide(asked, proof, values);
        bytes32 id = ledger.idOf(asked);
        vm.expectRevert(abi.encodeWithSelector(InferenceConsumer.AlreadyAnswered.selector, id));
        desk.decide(asked, proof, values);
    }

    /// @dev The desk's own request, as the ledger's event tells it.
    function applyAsAlice() private returns (Request memory asked) {
        asked = question(0);
        (asked.consumer, asked.requester, asked.refundTo) = (address(desk), address(desk), ALICE);
        vm.prank(ALICE);
        bytes32 id = desk.applyFor{value: PROVER_FEE + OWNER_FEE}(asked.inputCommitment, PROVER);
        vm.assertEq(id, ledger.idOf(asked));
    }

    function withScore(Request memory asked, uint256 score) private view returns (uint256[] memory values) {
        values = instancesFor(asked);
        values[SCORE] = score;
    }
}
