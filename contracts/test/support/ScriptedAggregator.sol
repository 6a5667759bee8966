// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {AggregatorV3Interface} from "../../src/interfaces/AggregatorV3Interface.sol";

/// @notice An aggregator, or a proxy of one, whose rounds a test writes.
contract ScriptedAggregator is AggregatorV3Interface {
    struct Data {
        int256 answer;
        uint256 updatedAt;
    }

    uint8 public immutable override decimals;
    uint256 public constant override version = 4;
    string public constant override description = "scripted";
    uint80 public newest;
    mapping(uint80 roundId => Data) private _rounds;

    error NoRound(uint80 roundId);

    constructor(uint8 decimals_) {
        decimals = decimals_;
    }

    /// @dev Of the newest round if its number is the greatest.
    function set(uint80 roundId, int256 answer, uint256 updatedAt) external {
        _rounds[roundId] = Data(answer, updatedAt);
        if (roundId > newest) newest = roundId;
    }

    function latestRoundData() external view override returns (uint80, int256, uint256, uint256, uint80) {
        return getRoundData(newest);
    }

    function getRoundData(uint80 roundId_) public view override returns (uint80, int256, uint256, uint256, uint80) {
        Data memory found = _rounds[roundId_];
        if (found.updatedAt == 0) revert NoRound(roundId_);
        return (roundId_, found.answer, found.updatedAt, found.updatedAt, roundId_);
    }
}
