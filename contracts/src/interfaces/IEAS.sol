// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice An attestation of the Ethereum Attestation Service.
struct Attestation {
    bytes32 uid;
    bytes32 schema;
    uint64 time;
    uint64 expirationTime;
    uint64 revocationTime;
    bytes32 refUID;
    address recipient;
    address attester;
    bool revocable;
    bytes data;
}

/// @title The hooks that the service calls before it stores or revokes an attestation
interface ISchemaResolver {
    /// @notice Whether attestations may carry value.
    function isPayable() external pure returns (bool);

    /// @notice Whether an attestation may be made.
    /// @param attestation The attestation.
    function attest(Attestation calldata attestation) external payable returns (bool);

    /// @notice Whether several attestations may be made.
    /// @param attestations The attestations.
    /// @param values The value of each, in wei.
    function multiAttest(Attestation[] calldata attestations, uint256[] calldata values) external payable returns (bool);

    /// @notice Whether an attestation may be revoked.
    /// @param attestation The attestation.
    function revoke(Attestation calldata attestation) external payable returns (bool);

    /// @notice Whether several attestations may be revoked.
    /// @param attestations The attestations.
    /// @param values The value of each, in wei.
    function multiRevoke(Attestation[] calldata attestations, uint256[] calldata values) external payable returns (bool);
}
