// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

/// @title A contract to which the forwarder of the Chainlink Runtime Environment delivers reports
/// @dev Declared anew from the published interface.
interface IReceiver is IERC165 {
    /// @notice Take a report.
    /// @param metadata workflow id (32 bytes), workflow name (10), workflow owner (20), report name (2).
    /// @param report What the workflow sends.
    function onReport(bytes calldata metadata, bytes calldata report) external;
}
