// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC721Receiver} from "@openzeppelin/contracts/token/ERC721/IERC721Receiver.sol";
import {ITill} from "../../src/interfaces/ITill.sol";
import {WorksSystem} from "../support/WorksSystem.sol";

/// @notice An account that makes prepared calls when it first receives coin or a token, and counts which succeed.
contract Reenterer is IERC721Receiver {
    address[] private _targets;
    bytes[] private _calls;
    uint256 public entered;
    uint256 public succeeded;

    receive() external payable {
        _reenter();
    }

    function prepare(address target, bytes calldata data) external {
        _targets.push(target);
        _calls.push(data);
    }

    function act(address target, bytes calldata data) external payable {
        (bool success,) = target.call{value: msg.value}(data);
        require(success, "the call failed");
    }

    function onERC721Received(address, address, uint256, bytes calldata) external override returns (bytes4) {
        _reenter();
        return IERC721Receiver.onERC721Received.selector;
    }

    function _reenter() private {
        if (entered++ != 0) return;
        for (uint256 i = 0; i < _calls.length; ++i) {
            (bool success,) = _targets[i].call(_calls[i]);
            if (success) ++succeeded;
        }
    }
}

/// @notice Receivers that call back gain nothing.
contract WorksReentrancyTest is WorksSystem {
    uint256 private parent;
    uint256 private child;
    Reenterer private attacker;

    /// @dev The attacker's child owes Alice's parent a tenth. The market holds 1,000 wei of others.
    function setUp() public override {
        super.setUp();
        attacker = new Reenterer();
        parent = registerAs(ALICE, "parent");
        child = derivedFrom(address(attacker), "child", list(offerOf(parent, 0, 1000, REMIX)));
        uint256 others = registerAs(CAROL, "others");
        payWork(others, 1000);
        settle(others);
    }

    function test_withdraw_reentered_paysOnce() external {
        earn(100);
        again(address(market), abi.encodeCall(market.withdraw, (payable(address(attacker)))));
        withdraw();
        requireOutcome({succeeded: 0, balance: 90});
    }

    function test_withdraw_settlingMeanwhile_paysTheRest() external {
        earn(100);
        payWork(child, 100);
        again(address(market), abi.encodeCall(market.settle, (list(child, parent))));
        again(address(market), abi.encodeCall(market.pay, (child)));
        again(address(market), abi.encodeCall(market.withdraw, (payable(address(attacker)))));
        withdraw();
        requireOutcome({succeeded: 3, balance: 180});
        vm.assertEq(market.creditOf(ALICE), 20);
    }

    function test_withdraw_transferringMeanwhile_creditsTheSellerOnce() external {
        earn(100);
        payWork(child, 50);
        again(address(works), abi.encodeCall(works.transferFrom, (address(attacker), BOB, child)));
        again(address(market), abi.encodeCall(market.settle, (list(child))));
        withdraw();
        requireOutcome({succeeded: 2, balance: 90});
        vm.assertEq(market.creditOf(address(attacker)), 45);
        vm.assertEq(market.creditOf(BOB), 0);
        vm.assertEq(works.ownerOf(child), BOB);
    }

    /// @dev The seller was credited before the receiver is told; the token is the receiver's to pass on.
    function test_safeTransfer_receiverThatReenters_gainsNothing() external {
        uint256 sold = registerAs(BOB, "sold");
        payWork(sold, 100);
        again(address(market), abi.encodeCall(market.settle, (list(sold))));
        again(address(market), abi.encodeCall(market.withdraw, (payable(address(attacker)))));
        again(address(works), abi.encodeCall(works.transferFrom, (address(attacker), ALICE, sold)));
        sell(sold);
        requireOutcome({succeeded: 2, balance: 0});
        vm.assertEq(market.creditOf(BOB), 100);
        vm.assertEq(works.ownerOf(sold), ALICE);
    }

    function test_safeTransfer_registeringMeanwhile_obeysTheRules() external {
        uint256 sold = registerAs(BOB, "sold");
        again(address(works), abi.encodeCall(works.register, (named("another"))));
        again(address(works), abi.encodeCall(works.register, (named("child"))));
        sell(sold);
        requireOutcome({succeeded: 1, balance: 0});
        vm.assertEq(works.balanceOf(address(attacker)), 3);
    }

    function test_register_creatorThatReenters_isNotCalled() external {
        again(address(market), abi.encodeCall(market.settle, (list(child))));
        attacker.act(address(works), abi.encodeCall(works.register, (named("another"))));
        vm.assertEq(attacker.entered(), 0);
    }

    function test_withdraw_sweepingMeanwhile_paysTheWork() external {
        ITill till = openTill(child);
        vm.deal(address(till), 100);
        earn(100);
        again(address(till), abi.encodeCall(till.sweep, ()));
        again(address(till), abi.encodeCall(till.sweep, ()));
        withdraw();
        requireOutcome({succeeded: 1, balance: 90});
        vm.assertEq(market.pendingOf(child), 100);
    }

    function earn(uint256 amount) private {
        payWork(child, amount);
        settle(child);
    }

    function withdraw() private {
        attacker.act(address(market), abi.encodeCall(market.withdraw, (payable(address(attacker)))));
    }

    function sell(uint256 work) private {
        vm.prank(BOB);
        works.safeTransferFrom(BOB, address(attacker), work);
    }

    function again(address target, bytes memory data) private {
        attacker.prepare(target, data);
    }

    /// @dev And the market holds exactly what it owes.
    function requireOutcome(uint256 succeeded, uint256 balance) private view {
        vm.assertTrue(attacker.entered() != 0);
        vm.assertEq(attacker.succeeded(), succeeded);
        vm.assertEq(address(attacker).balance, balance);
        uint256 owed = market.creditOf(ALICE) + market.creditOf(BOB) + market.creditOf(CAROL);
        owed += market.creditOf(address(attacker)) + market.pendingOf(child) + market.pendingOf(parent);
        vm.assertEq(address(market).balance, owed);
    }
}
