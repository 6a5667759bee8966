// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IInferenceVerifier, KeyFacts} from "../interfaces/IInferenceVerifier.sol";
import {Canonical} from "../libraries/Canonical.sol";
import {PublicValues} from "../libraries/PublicValues.sol";

/// @title A verifier that can be stopped, once and for ever
/// @notice The guardian can stop it, and so can anybody who shows that it is broken. For that there is a canary: the
/// circuit of y = max(x, 0) for one number, whose answer this contract knows. A proof of any other answer that the
/// verifier accepts is a proof against the verifier. Nobody can start it again; a sound one gets a new selector.
contract EmergencyStop is IInferenceVerifier, Ownable2Step {
    uint256 private constant CANARY_VALUES = 7;

    /// @notice The verifier that is watched.
    IInferenceVerifier public immutable VERIFIER;
    /// @notice The contract whose code holds the canary's key; zero where there is no canary.
    address public immutable CANARY;
    /// @notice The digest of the canary's key.
    bytes32 public immutable CANARY_DIGEST;

    /// @notice Whether the verifier was stopped.
    bool public stopped;

    /// @notice The verifier was stopped, by its guardian or (`proven`) by a proof of the impossible.
    event VerifierStopped(address indexed by, bool proven);

    /// @notice The verifier was stopped for ever.
    error Stopped();
    /// @notice This verifier knows one circuit only, and so no canary.
    error NoCanary();
    /// @notice What is proven is true, so it says nothing against the verifier.
    error NotImpossible();
    /// @notice The canary has one input and one output, and its key the digest that was named.
    error NotACanary();
    /// @notice Without a guardian nobody could stop the verifier in time.
    error RenouncingRefused();

    /// @param verifier The verifier to watch.
    /// @param guardian Who may stop it without a proof.
    /// @param canary The contract whose code holds the canary's key; zero for a verifier that knows another key only.
    /// @param canaryDigest The digest of that key.
    constructor(IInferenceVerifier verifier, address guardian, address canary, bytes32 canaryDigest) Ownable(guardian) {
        if (canary != address(0)) {
            KeyFacts memory facts = verifier.inspect(canary);
            if (facts.digest != canaryDigest || facts.instanceCount != CANARY_VALUES) revert NotACanary();
        }
        VERIFIER = verifier;
        CANARY = canary;
        CANARY_DIGEST = canaryDigest;
    }

    /// @notice Stop the verifier; only the guardian may.
    function stop() external onlyOwner {
        _stop(false);
    }

    /// @notice Stop the verifier by a proof of the impossible; anybody may. There is nothing to gain by copying it.
    /// @param proof A proof of the canary that the verifier accepts.
    /// @param instances Its public values: five of context, which may be any, then x, then y, and y != max(x, 0).
    function stopByProof(bytes calldata proof, uint256[] calldata instances) external {
        Canonical.require_(proof, instances, 0x40);
        if (CANARY == address(0)) revert NoCanary();
        if (instances.length != CANARY_VALUES || !_isImpossible(instances)) revert NotImpossible();
        VERIFIER.verify(CANARY_DIGEST, CANARY, proof, instances);
        _stop(true);
    }

    /// @inheritdoc IInferenceVerifier
    function verify(bytes32 keyDigest, address key, bytes calldata proof, uint256[] calldata instances)
        external
        view
        override
    {
        Canonical.require_(proof, instances, 0x80);
        if (stopped) revert Stopped();
        VERIFIER.verify(keyDigest, key, proof, instances);
    }

    /// @inheritdoc IInferenceVerifier
    function prepare(address key) external override {
        if (stopped) revert Stopped();
        VERIFIER.prepare(key);
    }

    /// @inheritdoc IInferenceVerifier
    function inspect(address key) external view override returns (KeyFacts memory) {
        return VERIFIER.inspect(key);
    }

    /// @inheritdoc IInferenceVerifier
    function live() external view override returns (bool) {
        return !stopped && VERIFIER.live();
    }

    /// @inheritdoc IInferenceVerifier
    function selector() external view override returns (bytes4) {
        return VERIFIER.selector();
    }

    /// @notice Refused; hand the ownership over instead.
    function renounceOwnership() public pure override {
        revert RenouncingRefused();
    }

    function _stop(bool proven) private {
        if (stopped) revert Stopped();
        stopped = true;
        emit VerifierStopped(msg.sender, proven);
    }

    /// @dev Of an input that is no integer of a circuit nothing is claimed; a verifier that is broken in general
    /// accepts false answers to proper ones too.
    function _isImpossible(uint256[] calldata instances) private pure returns (bool) {
        int256 x = PublicValues.decode(instances[5]);
        return instances[6] != PublicValues.encode(x > 0 ? x : int256(0));
    }
}
