// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The interface through which most contracts read prices
/// @dev Declared anew from the published interface; its name is what consumers import.
interface AggregatorV3Interface {
    /// @notice How many decimals an answer has.
    function decimals() external view returns (uint8);

    /// @notice What the answers are about.
    function description() external view returns (string memory);

    /// @notice The version of the aggregator.
    function version() external view returns (uint256);

    /// @notice One round; reverts if there is no answer.
    /// @param roundId_ The round.
    function getRoundData(uint80 roundId_)
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);

    /// @notice The newest round; reverts if there is no answer.
    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);
}
