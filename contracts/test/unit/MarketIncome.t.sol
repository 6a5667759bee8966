// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IMarket} from "../../src/interfaces/IMarket.sol";
import {Refuser, WorksSystem} from "../support/WorksSystem.sol";

/// @notice What works receive, share and pay out.
contract MarketIncomeTest is WorksSystem {
    uint256 private parent;
    uint256 private other;
    uint256 private child;

    function setUp() public override {
        super.setUp();
        parent = registerAs(ALICE, "parent");
        other = registerAs(CAROL, "other");
        child = derivedFrom(BOB, "child", list(offerOf(parent, 0, 1000, REMIX), offerOf(other, 0, 333, REMIX)));
    }

    function test_settle_childrenFirst_paysAll() external {
        payWork(child, 10_000);
        vm.expectEmit(address(market));
        emit IMarket.Paid(parent, address(market), 1000);
        vm.expectEmit(address(market));
        emit IMarket.Paid(other, address(market), 333);
        vm.expectEmit(address(market));
        emit IMarket.Settled(child, 1333, 8667, BOB);
        market.settle(list(child, parent));
        settle(other);
        requireCredits(1000, 8667, 333);
        vm.assertEq(market.pendingOf(child) + market.pendingOf(parent) + market.pendingOf(other), 0);
    }

    function test_settle_parentFirst_leavesTheShareForLater() external {
        payWork(child, 10_000);
        market.settle(list(parent, child));
        vm.assertEq(market.pendingOf(parent), 1000);
        settle(parent);
        requireCredits(1000, 8667, 0);
    }

    function test_settle_nothingNew_changesNothing() external {
        payWork(child, 10_000);
        settle(child);
        settle(child);
        market.settle(list(child, child));
        market.settle(new uint256[](0));
        requireCredits(0, 8667, 0);
    }

    function test_settle_unknownWork_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IMarket.UnknownWork.selector, 7));
        market.settle(list(child, 7));
    }

    /// @dev A share of a share: a tenth of the parent's own income, not of the grandchild's.
    function test_settle_chain_sharesThePartsIncome() external {
        uint256 grandchild = derivedFrom(CAROL, "grandchild", list(offerOf(child, 0, 5000, REMIX)));
        payWork(grandchild, 100_000);
        market.settle(list(grandchild, child));
        settle(parent);
        settle(other);
        vm.assertEq(market.creditOf(CAROL), 50_000 + 1665);
        requireCredits(5000, 50_000 - 6665, 50_000 + 1665);
    }

    /// @dev Wei by wei or at once: the same credits, to the wei.
    function testFuzz_settle_portions_creditTheSame(uint64[5] calldata amounts, uint8 pauses) external {
        uint256 sum;
        for (uint256 i = 0; i < 5; ++i) {
            payWork(child, amounts[i]);
            sum += amounts[i];
            if (pauses >> i & 1 == 1) market.settle(list(child, parent));
        }
        market.settle(list(child, parent));
        settle(other);
        requireCredits(sum / 10, sum * 8667 / 10_000, sum * 333 / 10_000);
        uint256 rest = market.pendingOf(child);
        vm.assertLe(rest, 2);
        vm.assertEq(market.creditOf(ALICE) + market.creditOf(BOB) + market.creditOf(CAROL) + rest, sum);
        vm.assertEq(market.receivedOf(child), sum);
    }

    function test_settle_singleWei_neverPaysMoreThanCameIn() external {
        for (uint256 i = 1; i <= 40; ++i) {
            payWork(child, 1);
            market.settle(list(child, parent));
            settle(other);
            uint256 credits = market.creditOf(ALICE) + market.creditOf(BOB) + market.creditOf(CAROL);
            vm.assertEq(credits + market.pendingOf(child), i);
        }
        requireCredits(4, 34, 1);
    }

    function test_pay_unknownWork_reverts() external {
        vm.deal(address(this), 1);
        vm.expectRevert(abi.encodeWithSelector(IMarket.UnknownWork.selector, 7));
        market.pay{value: 1}(7);
    }

    function test_pay_plainCoin_isRefused() external {
        vm.deal(address(this), 1);
        (bool success,) = address(market).call{value: 1}("");
        vm.assertFalse(success);
        (success,) = address(works).call{value: 1}("");
        vm.assertFalse(success);
    }

    function test_pay_beyondTheLimit_reverts() external {
        uint256 most = type(uint120).max;
        payWork(child, most);
        vm.deal(address(this), 1);
        vm.expectRevert(abi.encodeWithSignature("SafeCastOverflowedUintDowncast(uint8,uint256)", uint8(120), most + 1));
        market.pay{value: 1}(child);
        settle(child);
        vm.assertEq(market.creditOf(BOB), most * 8667 / 10_000);
    }

    function test_transfer_pendingIncome_staysWithTheSeller() external {
        payWork(child, 10_000);
        vm.prank(BOB);
        works.transferFrom(BOB, MALLORY, child);
        payWork(child, 10_000);
        settle(child);
        vm.assertEq(market.creditOf(BOB), 8667);
        vm.assertEq(market.creditOf(MALLORY), 8667);
    }

    function test_transfer_safe_settlesToo() external {
        payWork(parent, 7);
        vm.prank(ALICE);
        works.safeTransferFrom(ALICE, MALLORY, parent);
        vm.assertEq(market.creditOf(ALICE), 7);
    }

    function test_transfer_byAStranger_revertsAndSettlesNothing() external {
        payWork(parent, 7);
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSignature("ERC721InsufficientApproval(address,uint256)", MALLORY, parent));
        works.transferFrom(ALICE, MALLORY, parent);
        vm.assertEq(market.pendingOf(parent), 7);
    }

    function test_withdraw_credit_isPaid() external {
        payWork(parent, 7);
        settle(parent);
        vm.expectEmit(address(market));
        emit IMarket.Withdrawn(ALICE, MALLORY, 7);
        vm.prank(ALICE);
        vm.assertEq(market.withdraw(payable(MALLORY)), 7);
        vm.assertEq(MALLORY.balance, 7);
        vm.assertEq(market.creditOf(ALICE), 0);
    }

    function test_withdraw_nothing_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IMarket.NothingToWithdraw.selector));
        market.withdraw(payable(ALICE));
    }

    function test_withdraw_toNobody_reverts() external {
        payWork(parent, 7);
        settle(parent);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IMarket.AddressMissing.selector, "to"));
        market.withdraw(payable(address(0)));
    }

    function test_withdraw_receiverThatRefuses_keepsTheCredit() external {
        payWork(parent, 7);
        settle(parent);
        address refuser = address(new Refuser());
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IMarket.PaymentFailed.selector, refuser));
        market.withdraw(payable(refuser));
        vm.assertEq(market.creditOf(ALICE), 7);
    }

    /// @dev Nobody else is blocked by an owner that refuses coin.
    function test_settle_ownerThatRefuses_isCredited() external {
        address refuser = address(new Refuser());
        vm.prank(BOB);
        works.transferFrom(BOB, refuser, child);
        payWork(child, 10_000);
        market.settle(list(child, parent));
        vm.assertEq(market.creditOf(refuser), 8667);
        vm.assertEq(market.creditOf(ALICE), 1000);
    }

    function requireCredits(uint256 alice, uint256 bob, uint256 carol) private view {
        vm.assertEq(market.creditOf(ALICE), alice);
        vm.assertEq(market.creditOf(BOB), bob);
        vm.assertEq(market.creditOf(CAROL), carol);
    }
}
