// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Layout} from "../libraries/StatementLayout.sol";
import {IInferenceVerifier} from "./IInferenceVerifier.sol";

/// @title The map from selectors to verifiers
interface IVerifierRouter {
    /// @notice A proving system was added.
    event VerifierAdded(bytes4 indexed selector, address indexed verifier);
    /// @notice A proving system was removed for ever.
    event VerifierRemoved(bytes4 indexed selector, address indexed verifier);

    /// @notice No verifier was ever added under this selector.
    error SelectorUnknown(bytes4 selector);
    /// @notice The verifier under this selector was removed; the selector is never used again.
    error SelectorRemoved(bytes4 selector);
    /// @notice A selector is used once.
    error SelectorInUse(bytes4 selector);
    /// @notice The verifier has another selector.
    error SelectorMismatch(bytes4 selector, bytes4 actual);

    /// @notice Check a proof with the verifier of a proving system; see IInferenceVerifier.verify.
    /// @param selector The proving system.
    /// @param keyDigest The digest of the verifying key that the caller relies on.
    /// @param key The contract whose code holds that key.
    /// @param layout_ The layout of the statement.
    /// @param context The context that the proof was made for.
    /// @param inputs The packed inputs.
    /// @param outputs The outputs.
    /// @param proof The proof.
    function verify(
        bytes4 selector,
        bytes32 keyDigest,
        address key,
        Layout calldata layout_,
        bytes32 context,
        bytes calldata inputs,
        int256[] calldata outputs,
        bytes calldata proof
    ) external view;

    /// @notice The verifier of a proving system; reverts if there is none, or it was removed.
    /// @param selector The proving system.
    /// @return verifier Its verifier. It may be stopped.
    function verifierOf(bytes4 selector) external view returns (IInferenceVerifier verifier);

    /// @notice Whether proofs of this system can still be accepted; false if it is unknown, removed or stopped.
    /// @param selector The proving system.
    function isLive(bytes4 selector) external view returns (bool);
}
