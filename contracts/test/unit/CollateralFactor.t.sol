// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {CollateralFactor} from "../../src/examples/CollateralFactor.sol";
import {FeedFace} from "../../src/feeds/FeedFace.sol";
import {IFeedHub, Level} from "../../src/interfaces/IFeedHub.sol";
import {Feeds} from "../support/Feeds.sol";

contract CollateralFactorTest is Feeds {
    uint40 private constant ROUND = uint40(NOW / TICK);

    CollateralFactor private factor;

    function setUp() public override {
        super.setUp();
        factor = new CollateralFactor(new FeedFace(hub, feedId, Level.Proven), hub, feedId);
    }

    function test_current_provenAnswer_isUsed() external {
        post(proven(NOW)); // 100: one percent
        vm.assertEq(factor.current(), 7600);
        vm.warp(NOW + 1 hours + 1);
        vm.expectRevert(abi.encodeWithSelector(CollateralFactor.TooOld.selector, 3601));
        factor.current();
    }

    function test_current_attestedAnswer_isNotUsed() external {
        post(attested(NOW, ANSWER));
        vm.expectRevert(error_(IFeedHub.NoData.selector));
        factor.current();
    }

    function test_settled_thatRound_only() external {
        post(proven(NOW));
        vm.assertEq(factor.settled(ROUND), 7600);
        vm.expectRevert(error_(IFeedHub.NoData.selector));
        factor.settled(ROUND + 1);
    }
}
