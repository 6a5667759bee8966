// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The entry that consumers of Data Streams and of APRO's pull reports call
/// @dev Declared anew from the published interface; names and selectors are theirs.
interface IVerifierProxy {
    /// @notice Check a report.
    /// @param payload abi.encode(bytes32[3] context, bytes report, bytes32[] rs, bytes32[] ss, bytes32 rawVs), and what
    /// an implementation adds after these five.
    /// @param parameterPayload How fees are paid.
    /// @return verifierResponse The report.
    function verify(bytes calldata payload, bytes calldata parameterPayload)
        external
        payable
        returns (bytes memory verifierResponse);

    /// @notice Check several reports.
    /// @param payloads As of `verify`.
    /// @param parameterPayload How fees are paid.
    /// @return verifiedReports The reports, in order.
    function verifyBulk(bytes[] calldata payloads, bytes calldata parameterPayload)
        external
        payable
        returns (bytes[] memory verifiedReports);

    /// @notice The contract that asks fees for reports; zero if there are none.
    function s_feeManager() external view returns (address feeManager);
}
