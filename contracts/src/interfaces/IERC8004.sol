// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The validation registry of the draft ERC-8004, as far as a validator needs it
interface IERC8004Validation {
    /// @notice Answer a request for validation, as the validator that it names.
    /// @param requestHash The request.
    /// @param response From 0 to 100.
    /// @param responseURI The location of further information.
    /// @param responseHash The hash of the validated result.
    /// @param tag The kind of response.
    function validationResponse(
        bytes32 requestHash,
        uint8 response,
        string calldata responseURI,
        bytes32 responseHash,
        string calldata tag
    ) external;

    /// @notice The validator of a request and the agent that asked. Further return values are not declared here.
    /// @param requestHash The request.
    function getValidationStatus(bytes32 requestHash) external view returns (address validator, uint256 agentId);

    /// @notice The registry of agents.
    function getIdentityRegistry() external view returns (address identityRegistry);
}

/// @title The registry of agents of the draft ERC-8004, an ERC-721
interface IERC8004Identity {
    /// @notice The owner of an agent; reverts if there is no such agent.
    /// @param agentId The agent.
    function ownerOf(uint256 agentId) external view returns (address owner);
}
