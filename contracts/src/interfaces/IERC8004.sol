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
}
