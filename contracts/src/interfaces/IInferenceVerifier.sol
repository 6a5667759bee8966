// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice What a verifying key says about itself.
/// @param digest The digest that names the key, and with it the circuit.
/// @param instanceCount How many public values every proof under this key has.
/// @param setup SHA-256 of tau*G2 as EIP-197 writes it: which trusted setup the key was made under.
struct KeyFacts {
    bytes32 digest;
    uint256 instanceCount;
    bytes32 setup;
}

/// @title One proving system, in one version
/// @notice Everything that checks proofs has this face: adapters of generated verifiers, the emergency stop around
/// them, and verifiers of engines to come. Keys lie in the code of contracts (see CodeStore).
interface IInferenceVerifier {
    /// @notice The proof does not hold, or it, or a public value, is not in its one canonical form.
    error ProofRejected();
    /// @notice The key lying at the given address is not the one that was asked for.
    error KeyMismatch(bytes32 expected, bytes32 actual);
    /// @notice What lies at the given address is not a key of this proving system.
    error MalformedKey();

    /// @notice Return if the proof holds; revert in every other case.
    /// @dev Implementations refuse public values that are not below the field's modulus, any other number of them
    /// than the key asks for, and any other length of proof than the key's. What a public value means, the caller
    /// must check. A proof may have several forms that hold, so nothing may be keyed by its hash.
    /// @param keyDigest The digest of the verifying key that the caller relies on.
    /// @param key The contract whose code holds that key.
    /// @param proof The proof, nothing before it and nothing after.
    /// @param instances The public values, in the order of the transcript.
    function verify(bytes32 keyDigest, address key, bytes calldata proof, uint256[] calldata instances) external view;

    /// @notice Read what a key says about itself; reverts with MalformedKey where it is none of this system.
    /// @dev A key that is well formed may still be made to accept anything: only who makes it again from the model
    /// knows what it is the key of. So it must be named by its digest by somebody who did.
    /// @param key The contract whose code holds the key.
    /// @return facts What the key says.
    function inspect(address key) external view returns (KeyFacts memory facts);

    /// @notice Make a key known to the verifier, where that is needed before the first proof; anybody may.
    /// @param key The contract whose code holds the key.
    function prepare(address key) external;

    /// @notice Whether `verify` can still succeed; false is final.
    function live() external view returns (bool);

    /// @notice Names the proving system and its version: the first four bytes of the keccak256 of its name.
    function selector() external view returns (bytes4);
}
