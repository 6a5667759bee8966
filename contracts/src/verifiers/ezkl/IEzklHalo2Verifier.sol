// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The reliable part of the interface of the reusable verifier that ezkl generates
/// @notice It takes the key with every proof, and reverts without data on failure. What it returns beyond the first
/// two values is not valid ABI and overflows, so it is not declared. It writes nothing, so it is declared as view.
interface IEzklReusableVerifier {
    /// @notice Check a proof under a key that was registered before.
    /// @param proof The proof.
    /// @param instances The public values.
    /// @param vka The words of the key.
    /// @return success True, or the call reverts.
    /// @return vkaDigest The keccak256 of the key that was used: success means nothing unless it is the expected one.
    function verifyProof(bytes calldata proof, uint256[] calldata instances, bytes32[] memory vka)
        external
        view
        returns (bool success, bytes32 vkaDigest);

    /// @notice Register a key. Open to everyone, for any words.
    /// @param vka The words of the key.
    /// @return vkaDigest Their keccak256.
    function registerVka(bytes32[] memory vka) external returns (bytes32 vkaDigest);
}
