// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IInferenceVerifier} from "../interfaces/IInferenceVerifier.sol";
import {IVerifierRouter} from "../interfaces/IVerifierRouter.sol";
import {CanonicalCalldata} from "../libraries/CanonicalCalldata.sol";
import {Layout} from "../libraries/StatementLayout.sol";

/// @title The registry of verifiers
/// @notice It only grows: a selector is used once, and a removed one is never used again, so that no listing changes its
/// meaning. Its owner is a timelock, so every change is announced; the emergency stop of each verifier acts at once.
contract VerifierRouter is IVerifierRouter, IERC165, Ownable2Step {
    struct Route {
        IInferenceVerifier verifier;
        bool removed;
    }

    mapping(bytes4 selector => Route) private _routes;

    /// @notice Without an owner no verifier could be added or removed.
    error RenouncingRefused();

    /// @param timelock Adds and removes verifiers.
    /// @param first The initial verifiers, each added under its own selector.
    constructor(address timelock, IInferenceVerifier[] memory first) Ownable(timelock) {
        for (uint256 i = 0; i < first.length; ++i) {
            _add(first[i].selector(), first[i]);
        }
    }

    /// @notice Add a proving system, as the owner.
    /// @param selector Its selector, never used before.
    /// @param verifier Its verifier, inside an emergency stop.
    function addVerifier(bytes4 selector, IInferenceVerifier verifier) external onlyOwner {
        bytes4 actual = verifier.selector();
        if (actual != selector) revert SelectorMismatch(selector, actual);
        _add(selector, verifier);
    }

    /// @notice Remove a proving system for ever, as the owner.
    /// @param selector Its selector.
    function removeVerifier(bytes4 selector) external onlyOwner {
        IInferenceVerifier verifier = verifierOf(selector);
        _routes[selector].removed = true;
        emit VerifierRemoved(selector, address(verifier));
    }

    /// @inheritdoc IVerifierRouter
    function verify(
        bytes4 selector,
        bytes32 keyDigest,
        address key,
        Layout calldata layout_,
        bytes32 context,
        bytes calldata inputs,
        int256[] calldata outputs,
        bytes calldata proof
    ) external view override {
        CanonicalCalldata.requireStatement(inputs, outputs, proof, 0x160);
        verifierOf(selector).verify(keyDigest, key, layout_, context, inputs, outputs, proof);
    }

    /// @inheritdoc IVerifierRouter
    function isLive(bytes4 selector) external view override returns (bool) {
        Route memory route = _routes[selector];
        return address(route.verifier) != address(0) && !route.removed && route.verifier.live();
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure override returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IVerifierRouter).interfaceId;
    }

    /// @notice Always reverts; transfer the ownership instead.
    function renounceOwnership() public pure override {
        revert RenouncingRefused();
    }

    /// @inheritdoc IVerifierRouter
    function verifierOf(bytes4 selector) public view override returns (IInferenceVerifier) {
        Route memory route = _routes[selector];
        if (route.removed) revert SelectorRemoved(selector);
        if (address(route.verifier) == address(0)) revert SelectorUnknown(selector);
        return route.verifier;
    }

    function _add(bytes4 selector, IInferenceVerifier verifier) private {
        if (selector == 0) revert SelectorUnknown(selector);
        if (address(_routes[selector].verifier) != address(0)) revert SelectorInUse(selector);
        _routes[selector].verifier = verifier;
        emit VerifierAdded(selector, address(verifier));
    }
}
