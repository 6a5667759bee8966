// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Trusted setups, each named by the SHA-256 of its tau*G2, as in a circuit's manifest
/// @dev Must agree with zkinfer.circuits.srs.ceremonies; a test compares them. A key holds -tau*G2, from which a
/// verifier computes this digest. The check binds honestly made keys only.
library TrustedSetups {
    /// @notice Perpetual Powers of Tau, 71 contributions.
    bytes32 internal constant PERPETUAL_POWERS_OF_TAU =
        0xc7010d1285b773c1deba317308dda9be855683459037523eb13ac04fff864085;
    /// @notice Hermez (Polygon) phase 1: Perpetual Powers of Tau, 54 contributions and a beacon.
    bytes32 internal constant HERMEZ = 0x7f90e096d0c577cce01d51dc4696766a06e63bc50a73c2a6858b2f6ef61c47e7;
    /// @notice Its tau is public: anyone can forge proofs under it.
    bytes32 internal constant INSECURE_DEV = 0x9fa6933640d601fc9cbda6373f738881f94bba456c33b5b541a41ffb615fce5c;
}
