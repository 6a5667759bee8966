// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice An amount of a token.
struct Asset {
    address assetAddress;
    uint256 amount;
}

/// @title What consumers of Data Streams and of APRO ask before they verify a report
/// @dev Declared anew from the published interface; names and selectors are theirs.
interface IFeeManager {
    /// @notice The fee of a report, its reward, and the subscriber's discount.
    /// @param subscriber The consumer.
    /// @param report The report.
    /// @param quote The token to pay with.
    function getFeeAndReward(address subscriber, bytes memory report, address quote)
        external
        returns (Asset memory fee, Asset memory reward, uint256 discount);

    /// @notice The token LINK.
    function i_linkAddress() external view returns (address);

    /// @notice The wrapped native token.
    function i_nativeAddress() external view returns (address);

    /// @notice The contract that collects fees.
    function i_rewardManager() external view returns (address);
}
