// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The validation registry of the draft ERC-8004, as far as a validator needs it
interface IERC8004Validation {
    /// @notice Answer a request for validation; only the validator that it names may.
    /// @param requestHash The request.
    /// @param response From 0 to 100.
    /// @param responseURI Where to read more.
    /// @param responseHash What was found.
    /// @param tag What kind of answer it is.
    function validationResponse(
        bytes32 requestHash,
        uint8 response,
        string calldata responseURI,
        bytes32 responseHash,
        string calldata tag
    ) external;

    /// @notice Who is to validate a request, and the agent that asked; more follows that is not read here.
    /// @param requestHash The request.
    function getValidationStatus(bytes32 requestHash) external view returns (address validator, uint256 agentId);

    /// @notice The registry that agents are numbered in.
    function getIdentityRegistry() external view returns (address identityRegistry);
}

/// @title The registry of agents of the draft ERC-8004, an ERC-721
interface IERC8004Identity {
    /// @notice Who owns an agent; reverts where there is none.
    /// @param agentId The agent.
    function ownerOf(uint256 agentId) external view returns (address owner);
}
