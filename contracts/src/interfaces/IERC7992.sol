// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice A model, as the draft ERC-7992 commits to it.
struct ModelCommitment {
    bytes32 modelHash;
    bytes32 circuitHash;
    bytes32 vkHash;
    bytes4 proofSystemId;
    string uri;
}

/// @title The verifier of the draft ERC-7992
/// @dev Its registry interface, as drafted, declares an event and an error of one name and does not compile.
interface IERC7992Verifier {
    /// @notice A proof was verified.
    event InferenceVerified(
        uint256 indexed modelId, bytes32 indexed inputCommitment, bytes output, address indexed caller
    );

    /// @notice The proof is invalid.
    error InvalidProof();
    /// @notice The proof is of another model.
    error ModelMismatch();
    /// @notice The proof is about another input.
    error InputCommitmentMismatch();
    /// @notice The proof is of another output.
    error OutputMismatch();
    /// @notice There is no live verifier of this proving system.
    error UnsupportedProofSystem(bytes4 proofSystemId);
    /// @notice The model's owner deprecated or revoked it.
    error VerificationRefused_ModelDeprecated(uint256 modelId);

    /// @notice Revert unless the proof shows that the model gives this output on this input.
    /// @param modelId The model.
    /// @param inputCommitment The input.
    /// @param output The output.
    /// @param proof The proof, in the proving system's own encoding.
    function verifyInference(uint256 modelId, bytes32 inputCommitment, bytes calldata output, bytes calldata proof)
        external;

    /// @notice The proving system of a model.
    /// @param modelId The model.
    function proofSystemOf(uint256 modelId) external view returns (bytes4);

    /// @notice Where models are registered.
    function registry() external view returns (address);
}

/// @title The read-only part of the draft's registry
interface IERC7992Models {
    /// @notice A model and its owner.
    /// @param modelId The model.
    function getModel(uint256 modelId)
        external
        view
        returns (ModelCommitment memory commitment, bool deprecated, address owner);
}
