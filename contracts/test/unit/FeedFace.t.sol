// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {FeedFace} from "../../src/feeds/FeedFace.sol";
import {IFeedHub, Level} from "../../src/interfaces/IFeedHub.sol";
import {Feeds} from "../support/Feeds.sol";

/// @notice Reads, of the hub and of the faces of one feed.
contract FeedFaceTest is Feeds {
    uint40 private constant ROUND = uint40(NOW / TICK);

    FeedFace private signed;
    FeedFace private proof;

    function setUp() public override {
        super.setUp();
        signed = new FeedFace(hub, feedId, Level.Attested);
        proof = new FeedFace(hub, feedId, Level.Proven);
    }

    function test_face_facts_areTheFeeds() external view {
        vm.assertEq(signed.decimals(), 1);
        vm.assertEq(signed.description(), "volatility");
        vm.assertEq(signed.version(), 1);
    }

    function test_constructor_noLevelOrNoFeed_isRefused() external {
        vm.expectRevert(IFeedHub.LevelMissing.selector);
        new FeedFace(hub, feedId, Level.None);
        vm.expectRevert(abi.encodeWithSelector(IFeedHub.UnknownFeed.selector, config));
        new FeedFace(hub, config, Level.Proven);
    }

    function test_latest_nothingPosted_isRefused() external {
        refusesLatest(signed, IFeedHub.NoData.selector);
        refusesLatest(proof, IFeedHub.NoData.selector);
    }

    function test_latest_eachFace_hasItsLevel() external {
        post(proven(NOW - TICK));
        post(attested(NOW, ANSWER + 1));
        requireLatest(signed, ROUND, ANSWER + 1, NOW);
        requireLatest(proof, ROUND - 1, ANSWER, NOW - TICK);
    }

    /// @dev `updatedAt` is when the data was observed, not when it was posted.
    function test_latest_postedLate_hasTheTimeOfTheObservation() external {
        post(proven(NOW - MAX_AGE));
        requireLatest(proof, (NOW - MAX_AGE) / TICK, ANSWER, NOW - MAX_AGE);
    }

    function test_getRoundData_thatRound_orNone() external {
        post(attested(NOW, ANSWER));
        (uint80 round, int256 answer,, uint256 updatedAt, uint80 answeredIn) = signed.getRoundData(ROUND);
        vm.assertEq(answer, ANSWER);
        vm.assertEq(updatedAt, NOW);
        vm.assertTrue(round == ROUND && answeredIn == ROUND);
        refusesRound(signed, ROUND - 1, IFeedHub.NoData.selector);
        refusesRound(signed, ROUND + 1, IFeedHub.NoData.selector);
        refusesRound(signed, ROUND + (1 << 40), IFeedHub.NoData.selector); // the same in 40 bits
        refusesRound(proof, ROUND, IFeedHub.NoData.selector);
    }

    function test_read_verifierStopped_stopsProvenAnswersOnly() external {
        post(proven(NOW));
        vm.prank(GUARDIAN);
        stop.stop();
        requireStoppedProofs();
    }

    function test_read_routeRemoved_stopsProvenAnswersOnly() external {
        post(proven(NOW));
        bytes4 selector = binding.selector();
        vm.prank(TIMELOCK);
        router.removeVerifier(selector);
        requireStoppedProofs();
    }

    function test_read_modelRevoked_stopsProvenAnswersOnly() external {
        post(proven(NOW));
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        requireStoppedProofs();
        refuses(proven(NOW - TICK), error_(IFeedHub.FeedStopped.selector));
    }

    function test_read_modelDeprecated_goesOn() external {
        vm.prank(PUBLISHER);
        registry.deprecate(listing, 0);
        post(proven(NOW));
        requireLatest(proof, ROUND, ANSWER, NOW);
    }

    function test_requireAt_theRoundThatIsNeeded() external {
        post(attested(NOW, ANSWER));
        vm.assertEq(int256(hub.requireAt(feedId, ROUND, Level.Attested)), ANSWER);
        vm.expectRevert(error_(IFeedHub.NoData.selector));
        hub.requireAt(feedId, ROUND, Level.Proven);
        vm.expectRevert(IFeedHub.LevelMissing.selector);
        hub.requireAt(feedId, ROUND, Level.None);
        vm.expectRevert(abi.encodeWithSelector(IFeedHub.UnknownFeed.selector, config));
        hub.requireAt(config, ROUND, Level.Attested);
    }

    /// @dev What is on record as proven is not returned as a report either.
    function requireStoppedProofs() private {
        refusesLatest(proof, IFeedHub.FeedStopped.selector);
        refusesRound(proof, ROUND, IFeedHub.FeedStopped.selector);
        requireLatest(signed, ROUND, ANSWER, NOW);
        refuses(proven(NOW), error_(IFeedHub.FeedStopped.selector));
        post(attested(NOW, ANSWER));
    }

    function requireLatest(FeedFace face, uint256 round, int256 answer, uint256 time) private view {
        (uint80 found, int256 value, uint256 startedAt, uint256 updatedAt, uint80 answeredIn) = face.latestRoundData();
        vm.assertEq(found, round);
        vm.assertEq(value, answer);
        vm.assertTrue(startedAt == time && updatedAt == time && answeredIn == round);
    }

    function refusesLatest(FeedFace face, bytes4 why) private {
        vm.expectRevert(error_(why));
        face.latestRoundData();
    }

    function refusesRound(FeedFace face, uint80 round, bytes4 why) private {
        vm.expectRevert(error_(why));
        face.getRoundData(round);
    }
}
