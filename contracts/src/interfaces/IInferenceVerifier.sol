// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Layout} from "../libraries/StatementLayout.sol";

/// @notice Facts that a verifier reads from a verifying key.
/// @param digest The digest that identifies the key, and with it the circuit.
/// @param setup SHA-256 of tau*G2 as EIP-197 writes it: the trusted setup that the key was made under.
/// @param fits Whether proofs under this key can be about statements of the layout that was asked for.
struct KeyFacts {
    bytes32 digest;
    bytes32 setup;
    bool fits;
}

/// @notice A circuit whose outputs a contract can compute, so that a proof of other outputs refutes its verifier.
/// @param keyDigest The digest of its key.
/// @param key The contract whose code holds that key; zero if the verifier has no canary.
/// @param statementLayout The layout of its statements.
struct Canary {
    bytes32 keyDigest;
    address key;
    Layout statementLayout;
}

/// @title One proving system, in one version
/// @notice Every verifier has this interface: the adapters of proving systems, and the emergency stop around them. A
/// statement is a context, packed inputs and outputs. How a proving system spreads it over the public values of a
/// proof is internal to its adapter. Keys lie in the code of contracts (see CodeStore).
interface IInferenceVerifier {
    /// @notice The proof is invalid, or not in canonical form.
    error ProofRejected();
    /// @notice The key at the given address is not the one that was asked for.
    error KeyMismatch(bytes32 expected, bytes32 actual);
    /// @notice The code at the given address is not a key of this proving system.
    error MalformedKey();
    /// @notice No proof under this key is about a statement of this layout.
    error LayoutMismatch();
    /// @notice The magnitude of an output reaches the limit of the proving system, which is 2^63 at most.
    error OutputOutOfRange(int256 value);

    /// @notice Return if the proof of the statement is valid; revert in every other case.
    /// @dev Implementations reject inputs of another length and outputs of another number than the layout's, outputs
    /// that are out of range, a layout that does not fit the key, and any other length of proof than the key's. A
    /// statement may have several valid proofs, so never use the hash of a proof as a key.
    /// @param keyDigest The digest of the verifying key that the caller relies on.
    /// @param key The contract whose code holds that key.
    /// @param layout_ The layout of the statement.
    /// @param context The context that the proof was made for; see RequestContext.
    /// @param inputs Public: all integers row-major, big-endian, `inputWidth` bytes each, in two's complement unless
    /// the key's program has unsigned inputs. Hashed: the digest of each tensor. Private: empty.
    /// @param outputs The integers of all outputs; each below 2^63 in magnitude.
    /// @param proof The proof, with nothing before it and nothing after.
    function verify(
        bytes32 keyDigest,
        address key,
        Layout calldata layout_,
        bytes32 context,
        bytes calldata inputs,
        int256[] calldata outputs,
        bytes calldata proof
    ) external view;

    /// @notice Read the facts about a key; reverts with MalformedKey if it is not a key of this system.
    /// @dev A well-formed key can be crafted to accept anything. Only rebuilding it from the model shows which circuit
    /// it belongs to, so a key must be named by the digest of a rebuilt one.
    /// @param key The contract whose code holds the key.
    /// @param layout_ The layout to check the key against.
    /// @return facts The facts.
    function inspect(address key, Layout calldata layout_) external view returns (KeyFacts memory facts);

    /// @notice Register a key, if the proving system needs that before the first proof. Open to everyone.
    /// @param key The contract whose code holds the key.
    function prepare(address key) external;

    /// @notice Whether `verify` can still succeed; false is final.
    function live() external view returns (bool);

    /// @notice Names the proving system and its version: the first four bytes of the keccak256 of its name.
    function selector() external view returns (bytes4);

    /// @notice The canary of this proving system; its key is zero if there is none.
    function canary() external view returns (Canary memory);

    /// @notice Whether the canary never gives these outputs for these inputs. False for statements that are not about
    /// the canary.
    /// @param inputs The packed inputs.
    /// @param outputs The outputs.
    function isImpossible(bytes calldata inputs, int256[] calldata outputs) external view returns (bool);
}
