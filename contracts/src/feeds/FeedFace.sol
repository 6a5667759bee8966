// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {AggregatorV3Interface} from "../interfaces/AggregatorV3Interface.sol";
import {IFeedHub, Level, Round} from "../interfaces/IFeedHub.sol";

/// @title One feed at one level, as an aggregator
/// @notice A round's number is observedAt / tick, so numbers have gaps where there was no answer: a number without one
/// reverts, and none is answered with another round's data. `updatedAt` is the time of the observation; consumers
/// compare it with the age they accept. Reads revert with a named error if the feed was stopped or contradicted, see
/// IFeedHub.requireRound; consumers that must go on without an answer catch it.
contract FeedFace is AggregatorV3Interface {
    /// @notice The hub.
    IFeedHub public immutable HUB;
    /// @notice The feed.
    bytes32 public immutable FEED_ID;
    /// @notice The level that every answer read here has at least.
    Level public immutable LEAST;
    /// @inheritdoc AggregatorV3Interface
    uint8 public immutable override decimals;
    /// @inheritdoc AggregatorV3Interface
    uint256 public constant override version = 1;

    /// @param hub The hub.
    /// @param feedId A feed of it.
    /// @param least Attested or Proven.
    constructor(IFeedHub hub, bytes32 feedId, Level least) {
        if (least == Level.None) revert IFeedHub.LevelMissing();
        HUB = hub;
        FEED_ID = feedId;
        LEAST = least;
        decimals = hub.specOf(feedId).decimals; // reverts if there is no such feed
    }

    /// @inheritdoc AggregatorV3Interface
    function description() external view override returns (string memory) {
        return HUB.specOf(FEED_ID).description;
    }

    /// @inheritdoc AggregatorV3Interface
    function getRoundData(uint80 roundId_) external view override returns (uint80, int256, uint256, uint256, uint80) {
        if (roundId_ > type(uint40).max) revert IFeedHub.NoData(FEED_ID);
        return _answer(roundId_, HUB.requireRound(FEED_ID, uint40(roundId_), LEAST));
    }

    /// @inheritdoc AggregatorV3Interface
    function latestRoundData() external view override returns (uint80, int256, uint256, uint256, uint80) {
        (uint40 round, Round memory data) = HUB.latest(FEED_ID, LEAST);
        return _answer(round, data);
    }

    function _answer(uint80 round, Round memory data)
        private
        pure
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        return (round, data.answer, data.observedAt, data.observedAt, round);
    }
}
