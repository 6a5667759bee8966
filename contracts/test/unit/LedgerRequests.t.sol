// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IInferenceLedger, Request, State} from "../../src/interfaces/IInferenceLedger.sol";
import {IModelRegistry} from "../../src/interfaces/IModelRegistry.sol";
import {Visibility} from "../../src/libraries/StatementLayout.sol";
import {System} from "../support/System.sol";

/// @notice Requests, refunds and withdrawals.
contract LedgerRequestsTest is System {
    function test_request_opensAndHoldsTheFees() external {
        Request memory asked = requestOf(0);
        bytes32 id = ledger.idOf(asked);
        vm.expectEmit(address(ledger));
        emit IInferenceLedger.Requested(id, listing, CONSUMER, asked);
        vm.assertEq(ask(asked), id);
        vm.assertEq(uint256(ledger.entryOf(id).state), uint256(State.Open));
        vm.assertEq(address(ledger).balance, fees(asked));
    }

    function test_request_byAnotherAccount_reverts() external {
        Request memory asked = requestOf(0);
        vm.deal(MALLORY, 1 ether);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRequester.selector, ALICE, MALLORY));
        vm.prank(MALLORY);
        ledger.request{value: fees(asked)}(asked);
    }

    function testFuzz_request_otherValue_reverts(uint64 value) external {
        Request memory asked = requestOf(0);
        vm.assume(value != fees(asked));
        vm.deal(ALICE, value);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.WrongValue.selector, fees(asked), value));
        vm.prank(ALICE);
        ledger.request{value: value}(asked);
    }

    function test_request_twice_reverts() external {
        bytes32 id = ask(requestOf(0));
        refuses(requestOf(0), abi.encodeWithSelector(IInferenceLedger.AlreadyRequested.selector, id));
    }

    function test_request_again_afterRefund_reverts() external {
        bytes32 id = ask(requestOf(0));
        vm.warp(requestOf(0).expiry + 1);
        ledger.refund(requestOf(0));
        vm.warp(NOW);
        refuses(requestOf(0), abi.encodeWithSelector(IInferenceLedger.AlreadyRequested.selector, id));
    }

    function test_request_ofUnknownListing_reverts() external {
        Request memory asked = requestOf(0);
        asked.listing = "none";
        refuses(asked, abi.encodeWithSelector(IModelRegistry.UnknownListing.selector, bytes32("none")));
    }

    function test_request_ofDeprecatedModel_reverts() external {
        vm.prank(PUBLISHER);
        registry.deprecate(listing, 0);
        refuses(requestOf(0), abi.encodeWithSelector(IInferenceLedger.ModelNotActive.selector, listing));
    }

    function test_request_ofRevokedModel_reverts() external {
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        refuses(requestOf(0), abi.encodeWithSelector(IInferenceLedger.ModelNotActive.selector, listing));
    }

    function test_request_belowTheModelsFee_reverts() external {
        Request memory asked = requestOf(0);
        asked.ownerFee = OWNER_FEE - 1;
        refuses(asked, abi.encodeWithSelector(IInferenceLedger.FeeTooLow.selector, OWNER_FEE, OWNER_FEE - 1));
    }

    function test_request_thatHasExpired_reverts() external {
        Request memory asked = requestOf(0);
        asked.expiry = uint64(NOW - 1);
        refuses(asked, abi.encodeWithSelector(IInferenceLedger.Expired.selector, NOW - 1));
    }

    /// @dev Without an expiry the fees could be held for ever.
    function test_request_withoutExpiry_reverts() external {
        Request memory asked = requestOf(0);
        asked.expiry = 0;
        refuses(asked, abi.encodeWithSelector(IInferenceLedger.Expired.selector, 0));
    }

    function test_request_withoutConsumer_reverts() external {
        Request memory asked = requestOf(0);
        asked.consumer = address(0);
        refuses(asked, abi.encodeWithSelector(IInferenceLedger.AddressMissing.selector, "consumer"));
    }

    function test_request_withProverFeeButNoProver_reverts() external {
        Request memory asked = requestOf(0);
        asked.prover = address(0);
        refuses(asked, abi.encodeWithSelector(IInferenceLedger.AddressMissing.selector, "prover"));
    }

    function test_request_withFeesButNoRefundAddress_reverts() external {
        Request memory asked = requestOf(0);
        asked.refundTo = address(0);
        refuses(asked, abi.encodeWithSelector(IInferenceLedger.AddressMissing.selector, "refundTo"));
    }

    function test_request_withoutInputCommitment_reverts() external {
        Request memory asked = requestOf(0);
        asked.inputCommitment = 0;
        refuses(asked, abi.encodeWithSelector(IInferenceLedger.InputCommitmentMissing.selector));
    }

    function test_request_ofPrivateInputs_acceptsOnlyAnyInput() external {
        Request memory asked = requestOf(0);
        asked.listing = registerModel(Visibility.Private, 0, 2);
        refuses(asked, abi.encodeWithSelector(IInferenceLedger.InputsArePrivate.selector, asked.listing));
        asked.inputCommitment = anyInput();
        ask(asked);
    }

    function testFuzz_id_dependsOnEveryField(uint8 field, bytes32 other) external view {
        Request memory asked = requestOf(0);
        Request memory changed = requestOf(0);
        field %= 10;
        assembly ("memory-safe") {
            let place := add(changed, shl(5, field))
            let mask := 0xffffffffffffffffffffffff
            if lt(field, 2) { mask := not(0) }
            if eq(field, 9) { mask := not(0) }
            if eq(field, 4) { mask := 0xffffffffffffffff }
            mstore(place, and(other, mask))
        }
        vm.assume(keccak256(abi.encode(asked)) != keccak256(abi.encode(changed)));
        vm.assertTrue(ledger.idOf(asked) != ledger.idOf(changed));
    }

    function test_refund_afterExpiry_credits() external {
        Request memory asked = requestOf(0);
        bytes32 id = ask(asked);
        vm.warp(asked.expiry + 1);
        vm.expectEmit(address(ledger));
        emit IInferenceLedger.Refunded(id, BOB, fees(asked));
        ledger.refund(asked);
        vm.assertEq(ledger.creditOf(BOB), fees(asked));
        vm.assertEq(uint256(ledger.entryOf(id).state), uint256(State.Refunded));
    }

    function test_refund_atExpiry_reverts() external {
        bytes32 id = ask(requestOf(0));
        vm.warp(requestOf(0).expiry);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRefundable.selector, id));
        ledger.refund(requestOf(0));
    }

    function test_refund_twice_reverts() external {
        bytes32 id = ask(requestOf(0));
        vm.warp(requestOf(0).expiry + 1);
        ledger.refund(requestOf(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotOpen.selector, id, State.Refunded));
        ledger.refund(requestOf(0));
    }

    function test_refund_neverOpened_reverts() external {
        bytes32 id = ledger.idOf(requestOf(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotOpen.selector, id, State.None));
        ledger.refund(requestOf(0));
    }

    function test_refund_recorded_reverts() external {
        bytes32 id = ask(requestOf(0));
        answer(requestOf(0));
        vm.warp(requestOf(0).expiry + 1);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotOpen.selector, id, State.Recorded));
        ledger.refund(requestOf(0));
    }

    /// @dev Owner and requester cannot collude to withdraw the fee while a proof is pending.
    function test_refund_ofRevokedModel_mustWait() external {
        bytes32 id = ask(requestOf(0));
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRefundable.selector, id));
        ledger.refund(requestOf(0));
        vm.warp(requestOf(0).expiry + 1);
        ledger.refund(requestOf(0));
        vm.assertEq(ledger.creditOf(BOB), fees(requestOf(0)));
    }

    function test_refund_paid_reverts() external {
        bytes32 id = ask(requestOf(0));
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        answer(requestOf(0));
        vm.warp(requestOf(0).expiry + 1);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotOpen.selector, id, State.Paid));
        ledger.refund(requestOf(0));
    }

    function test_refund_ofDeprecatedModel_mustWait() external {
        bytes32 id = ask(requestOf(0));
        vm.prank(PUBLISHER);
        registry.deprecate(listing, 0);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRefundable.selector, id));
        ledger.refund(requestOf(0));
    }

    function test_refund_ofStoppedVerifier_isImmediate() external {
        ask(requestOf(0));
        vm.prank(GUARDIAN);
        stop.stop();
        ledger.refund(requestOf(0));
        vm.assertEq(ledger.creditOf(BOB), fees(requestOf(0)));
    }

    function test_refund_ofRemovedVerifier_isImmediate() external {
        ask(requestOf(0));
        bytes4 selector = binding.selector();
        vm.prank(TIMELOCK);
        router.removeVerifier(selector);
        ledger.refund(requestOf(0));
        vm.assertEq(ledger.creditOf(BOB), fees(requestOf(0)));
    }

    /// @dev Ids do not change when the chain splits, so fees can be refunded on both sides.
    function test_refund_onAForkWithAnotherChainId_passes() external {
        ask(requestOf(0));
        vm.chainId(999);
        vm.warp(requestOf(0).expiry + 1);
        ledger.refund(requestOf(0));
        vm.assertEq(ledger.creditOf(BOB), fees(requestOf(0)));
    }

    function test_withdraw_paysOnce() external {
        ask(requestOf(0));
        answer(requestOf(0));
        vm.expectEmit(address(ledger));
        emit IInferenceLedger.Withdrawn(PROVER, BOB, PROVER_FEE);
        uint256 before_ = BOB.balance;
        vm.startPrank(PROVER);
        ledger.withdraw(payable(BOB));
        vm.assertEq(BOB.balance - before_, PROVER_FEE);
        vm.expectRevert(IInferenceLedger.NothingToWithdraw.selector);
        ledger.withdraw(payable(BOB));
    }

    function test_withdraw_toZeroAddress_reverts() external {
        ask(requestOf(0));
        answer(requestOf(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.AddressMissing.selector, "to"));
        vm.prank(PROVER);
        ledger.withdraw(payable(address(0)));
    }

    function test_withdraw_toAContractThatRejectsPayment_revertsAndKeepsTheCredit() external {
        ask(requestOf(0));
        answer(requestOf(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.PaymentFailed.selector, address(router)));
        vm.prank(PROVER);
        ledger.withdraw(payable(address(router)));
        vm.assertEq(ledger.creditOf(PROVER), PROVER_FEE);
    }

    function test_withdraw_reentrant_paysOnce() external {
        Reentrant thief = new Reentrant(ledger);
        Request memory asked = requestOf(0);
        asked.prover = address(thief);
        ask(asked);
        ask(requestOf(1));
        answer(asked);
        thief.steal();
        vm.assertEq(address(thief).balance, PROVER_FEE);
        vm.assertEq(address(ledger).balance, OWNER_FEE + fees(requestOf(1)));
    }

    function test_supportsInterface_ownAndERC165_only() external view {
        vm.assertTrue(ledger.supportsInterface(type(IERC165).interfaceId));
        vm.assertTrue(ledger.supportsInterface(type(IInferenceLedger).interfaceId));
        vm.assertFalse(ledger.supportsInterface(0xffffffff));
    }

    function refuses(Request memory asked, bytes memory why) private {
        vm.deal(asked.requester, 1 ether);
        vm.expectRevert(why);
        vm.prank(asked.requester);
        ledger.request{value: fees(asked)}(asked);
    }
}

/// @notice Tries to withdraw again while it is being paid.
contract Reentrant {
    IInferenceLedger private immutable LEDGER;

    constructor(IInferenceLedger ledger) {
        LEDGER = ledger;
    }

    receive() external payable {
        try LEDGER.withdraw(payable(address(this))) {} catch {}
    }

    function steal() external {
        LEDGER.withdraw(payable(address(this)));
    }
}
