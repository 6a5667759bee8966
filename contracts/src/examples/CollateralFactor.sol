// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {AggregatorV3Interface} from "../interfaces/AggregatorV3Interface.sol";
import {IFeedHub, Level} from "../interfaces/IFeedHub.sol";

/// @title How much may be borrowed against an asset, by a model's forecast of its volatility
/// @notice An example. It reads the newest proven answer through a face of the feed, and settles by the answer of a
/// round that was fixed before.
contract CollateralFactor {
    /// @notice The face of the feed, at the level Proven.
    AggregatorV3Interface public immutable FACE;
    /// @notice The hub behind it.
    IFeedHub public immutable HUB;
    /// @notice The feed.
    bytes32 public immutable FEED_ID;
    /// @notice Answers that are older than this, in seconds, are not used.
    uint256 public constant MAX_AGE = 1 hours;
    /// @notice The factor of an asset that does not move; in basis points.
    uint256 public constant MOST = 8000;

    /// @notice The newest answer is too old; its age in seconds.
    error TooOld(uint256 age);

    /// @param face The face of the feed, at the level Proven.
    /// @param hub The hub behind it.
    /// @param feedId The feed: volatility of a day, with four decimals.
    constructor(AggregatorV3Interface face, IFeedHub hub, bytes32 feedId) {
        (FACE, HUB, FEED_ID) = (face, hub, feedId);
    }

    /// @notice The factor now, in basis points.
    function current() external view returns (uint256) {
        (, int256 volatility,, uint256 updatedAt,) = FACE.latestRoundData();
        uint256 age = block.timestamp - updatedAt;
        if (age > MAX_AGE) revert TooOld(age);
        return _factor(volatility);
    }

    /// @notice The factor of a round, whoever posted it: nobody can choose another answer for it.
    /// @param round The time of settlement divided by the feed's tick.
    function settled(uint40 round) external view returns (uint256) {
        return _factor(HUB.requireAt(FEED_ID, round, Level.Proven));
    }

    function _factor(int256 volatility) private pure returns (uint256) {
        // Four decimals are basis points. The feed's bounds exclude negative answers.
        uint256 risk = 4 * uint256(volatility);
        return risk < MOST ? MOST - risk : 0;
    }
}
