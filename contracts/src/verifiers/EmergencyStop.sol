// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Canary, IInferenceVerifier, KeyFacts} from "../interfaces/IInferenceVerifier.sol";
import {CanonicalCalldata} from "../libraries/CanonicalCalldata.sol";
import {Layout} from "../libraries/StatementLayout.sol";

/// @title A verifier that can be stopped, once and for ever
/// @notice The guardian can stop it, and so can anyone who proves that it is broken. The verifier names a canary, a
/// circuit whose outputs it can compute: if it accepts a proof of other outputs, that proof stops it. Nothing starts it
/// again; a sound verifier gets a new selector.
contract EmergencyStop is IInferenceVerifier, Ownable2Step {
    /// @notice The wrapped verifier.
    IInferenceVerifier public immutable VERIFIER;

    /// @notice Whether the verifier was stopped.
    bool public stopped;

    /// @notice The verifier was stopped, by its guardian or (`proven`) by a proof of a false statement.
    event VerifierStopped(address indexed by, bool proven);

    /// @notice The verifier was stopped for ever.
    error Stopped();
    /// @notice This verifier has no canary.
    error NoCanary();
    /// @notice The statement is true, or not about the canary, so it does not refute the verifier.
    error NotImpossible();
    /// @notice A verifier without a guardian could not be stopped in time.
    error RenouncingRefused();

    /// @param verifier The verifier to wrap.
    /// @param guardian May stop it without a proof.
    constructor(IInferenceVerifier verifier, address guardian) Ownable(guardian) {
        VERIFIER = verifier;
    }

    /// @notice Stop the verifier, as its guardian.
    function stop() external onlyOwner {
        _stop(false);
    }

    /// @notice Stop the verifier by a proof of a false statement. Open to everyone; copying the proof gains nothing.
    /// @param context Any context.
    /// @param inputs Packed inputs of the canary.
    /// @param outputs Outputs that the canary never gives for them.
    /// @param proof A proof of that statement which the verifier accepts.
    function stopByProof(bytes32 context, bytes calldata inputs, int256[] calldata outputs, bytes calldata proof)
        external
    {
        CanonicalCalldata.requireStatement(inputs, outputs, proof, 0x80);
        Canary memory watched = VERIFIER.canary();
        if (watched.key == address(0)) revert NoCanary();
        if (!VERIFIER.isImpossible(inputs, outputs)) revert NotImpossible();
        VERIFIER.verify(watched.keyDigest, watched.key, watched.statementLayout, context, inputs, outputs, proof);
        _stop(true);
    }

    /// @inheritdoc IInferenceVerifier
    function verify(
        bytes32 keyDigest,
        address key,
        Layout calldata layout_,
        bytes32 context,
        bytes calldata inputs,
        int256[] calldata outputs,
        bytes calldata proof
    ) external view override {
        CanonicalCalldata.requireStatement(inputs, outputs, proof, 0x140);
        if (stopped) revert Stopped();
        VERIFIER.verify(keyDigest, key, layout_, context, inputs, outputs, proof);
    }

    /// @inheritdoc IInferenceVerifier
    function prepare(address key) external override {
        if (stopped) revert Stopped();
        VERIFIER.prepare(key);
    }

    /// @inheritdoc IInferenceVerifier
    function inspect(address key, Layout calldata layout_) external view override returns (KeyFacts memory) {
        return VERIFIER.inspect(key, layout_);
    }

    /// @inheritdoc IInferenceVerifier
    function live() external view override returns (bool) {
        return !stopped && VERIFIER.live();
    }

    /// @inheritdoc IInferenceVerifier
    function selector() external view override returns (bytes4) {
        return VERIFIER.selector();
    }

    /// @inheritdoc IInferenceVerifier
    function canary() external view override returns (Canary memory) {
        return VERIFIER.canary();
    }

    /// @inheritdoc IInferenceVerifier
    function isImpossible(bytes calldata inputs, int256[] calldata outputs) external view override returns (bool) {
        return VERIFIER.isImpossible(inputs, outputs);
    }

    /// @notice Always reverts; transfer the ownership instead.
    function renounceOwnership() public pure override {
        revert RenouncingRefused();
    }

    function _stop(bool proven) private {
        if (stopped) revert Stopped();
        stopped = true;
        emit VerifierStopped(msg.sender, proven);
    }
}
