// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The generated reusable verifier that this release pins
/// @dev Written by build.py, which generates the verifier again and fails if anything differs.
library EzklVerifierCodeHash {
    /// @notice The engine that wrote the source.
    string internal constant ENGINE = "ezkl/23.0.5";
    /// @notice keccak256 of the deployed code.
    bytes32 internal constant CODE_HASH = 0xa3b664610d5421411ef6e13ae223a82c1411045240f0f2f18c94c0853172ad94;
}
