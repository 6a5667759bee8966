// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {FeedFace} from "../../src/feeds/FeedFace.sol";
import {FeedProxy} from "../../src/feeds/FeedProxy.sol";
import {AggregatorV3Interface} from "../../src/interfaces/AggregatorV3Interface.sol";
import {IFeedHub, Level, Spec} from "../../src/interfaces/IFeedHub.sol";
import {Feeds} from "../support/Feeds.sol";
import {ScriptedAggregator} from "../support/ScriptedAggregator.sol";

contract FeedProxyTest is Feeds {
    uint40 private constant ROUND = uint40(NOW / TICK);
    uint256 private constant DELAY = 2 days;

    FeedProxy private proxy;
    FeedFace private first;
    FeedFace private second;

    function setUp() public override {
        super.setUp();
        first = new FeedFace(hub, feedId, Level.Proven);
        proxy = new FeedProxy(first, OWNER, DELAY);
        second = new FeedFace(hub, feedId, Level.Attested);
    }

    function test_facts_areTheFaces() external view {
        vm.assertEq(proxy.decimals(), 1);
        vm.assertEq(proxy.description(), "volatility");
        vm.assertEq(proxy.version(), 1);
        vm.assertEq(address(proxy.aggregator()), address(first));
        vm.assertEq(proxy.phaseId(), 1);
        vm.assertEq(address(proxy.phaseAggregators(1)), address(first));
    }

    function test_confirm_afterTheDelay_changesTheFaceAndKeepsTheRounds() external {
        post(proven(NOW));
        propose(second);
        vm.warp(NOW + DELAY);
        vm.expectEmit(address(proxy));
        emit FeedProxy.AggregatorConfirmed(address(first), address(second), 2);
        confirm(second);
        vm.assertEq(address(proxy.proposedAggregator()), address(0));
        (uint80 latest,,,, uint80 answeredIn) = proxy.latestRoundData();
        vm.assertTrue(latest == numbered(2, ROUND) && answeredIn == latest);
        (uint80 id, int256 answer,, uint256 updatedAt, uint80 in_) = proxy.getRoundData(numbered(1, ROUND));
        vm.assertEq(answer, ANSWER);
        vm.assertEq(updatedAt, NOW);
        vm.assertTrue(id == numbered(1, ROUND) && in_ == id);
    }

    function test_confirm_early_isRefused() external {
        propose(second);
        vm.warp(NOW + DELAY - 1);
        vm.expectRevert(abi.encodeWithSelector(FeedProxy.TooEarly.selector, NOW + DELAY));
        confirm(second);
    }

    /// @dev An owner could keep a proposal for the day on which nobody looks.
    function test_confirm_afterTheWindow_isRefused() external {
        propose(second);
        uint256 until = NOW + DELAY + proxy.WINDOW();
        vm.warp(until + 1);
        vm.expectRevert(abi.encodeWithSelector(FeedProxy.TooLate.selector, until));
        confirm(second);
        vm.warp(until);
        confirm(second);
    }

    function test_confirm_faceWhoseDecimalsChanged_isRefused() external {
        ScriptedAggregator other = new ScriptedAggregator(1);
        propose(other);
        vm.warp(NOW + DELAY);
        vm.mockCall(address(other), abi.encodeWithSignature("decimals()"), abi.encode(8));
        vm.expectRevert(abi.encodeWithSelector(FeedProxy.DecimalsDiffer.selector, 1, 8));
        confirm(other);
    }

    function test_propose_again_beginsAnewWithTheDelay() external {
        propose(second);
        vm.warp(NOW + DELAY - 1);
        propose(second);
        vm.warp(NOW + DELAY);
        vm.expectRevert(abi.encodeWithSelector(FeedProxy.TooEarly.selector, NOW + 2 * DELAY - 1));
        confirm(second);
    }

    function test_confirm_whatIsNotProposed_isRefused() external {
        refusesConfirmation(first, address(0));
        refusesConfirmation(AggregatorV3Interface(address(0)), address(0));
        propose(second);
        vm.warp(NOW + DELAY);
        refusesConfirmation(first, address(second));
        propose(AggregatorV3Interface(address(0))); // withdrawn
        vm.warp(NOW + 2 * DELAY);
        refusesConfirmation(second, address(0));
        refusesConfirmation(AggregatorV3Interface(address(0)), address(0));
    }

    function test_confirm_twice_isRefused() external {
        propose(second);
        vm.warp(NOW + DELAY);
        confirm(second);
        refusesConfirmation(second, address(0));
    }

    function test_propose_otherDecimals_isRefused() external {
        ScriptedAggregator other = new ScriptedAggregator(8);
        vm.expectRevert(abi.encodeWithSelector(FeedProxy.DecimalsDiffer.selector, 1, 8));
        propose(other);
    }

    function test_change_byAnybodyElse_isRefused() external {
        bytes memory why = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, MALLORY);
        vm.startPrank(MALLORY);
        vm.expectRevert(why);
        proxy.proposeAggregator(second);
        vm.expectRevert(why);
        proxy.confirmAggregator(second);
        vm.stopPrank();
        vm.expectRevert(FeedProxy.RenouncingRefused.selector);
        vm.prank(OWNER);
        proxy.renounceOwnership();
    }

    function test_getRoundData_unknownPhaseOrRound_isRefused() external {
        vm.expectRevert(abi.encodeWithSelector(FeedProxy.UnknownPhase.selector, 0));
        proxy.getRoundData(ROUND);
        vm.expectRevert(abi.encodeWithSelector(FeedProxy.UnknownPhase.selector, 2));
        proxy.getRoundData(numbered(2, ROUND));
        vm.expectRevert(error_(IFeedHub.NoData.selector));
        proxy.getRoundData(numbered(1, ROUND));
    }

    function propose(AggregatorV3Interface face) private {
        vm.prank(OWNER);
        proxy.proposeAggregator(face);
    }

    function confirm(AggregatorV3Interface face) private {
        vm.prank(OWNER);
        proxy.confirmAggregator(face);
    }

    function refusesConfirmation(AggregatorV3Interface face, address proposed) private {
        vm.expectRevert(abi.encodeWithSelector(FeedProxy.NotProposed.selector, proposed, address(face)));
        confirm(face);
    }

    function numbered(uint16 phase, uint80 round) private pure returns (uint80) {
        return (uint80(phase) << 64) | round;
    }
}
