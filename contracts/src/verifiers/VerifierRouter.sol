// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IInferenceVerifier} from "../interfaces/IInferenceVerifier.sol";
import {IVerifierRouter} from "../interfaces/IVerifierRouter.sol";
import {Canonical} from "../libraries/Canonical.sol";

/// @title The one place that names verifiers
/// @notice It only grows: a selector is used once, and one that was removed is never used again, so that no listing
/// changes its meaning. Its owner is a timelock, which everybody can watch; what must be fast, the emergency stop of
/// each verifier does.
contract VerifierRouter is IVerifierRouter, IERC165, Ownable2Step {
    struct Route {
        IInferenceVerifier verifier;
        bool removed;
    }

    mapping(bytes4 selector => Route) private _routes;

    /// @notice Without an owner no verifier could be added or removed any more.
    error RenouncingRefused();

    /// @param timelock Who adds and removes verifiers.
    /// @param first The verifiers to begin with, each under the selector that it names.
    constructor(address timelock, IInferenceVerifier[] memory first) Ownable(timelock) {
        for (uint256 i = 0; i < first.length; ++i) {
            _add(first[i].selector(), first[i]);
        }
    }

    /// @notice Add a proving system; only the owner may.
    /// @param selector Its selector, which was never used before.
    /// @param verifier Its verifier, inside an emergency stop.
    function addVerifier(bytes4 selector, IInferenceVerifier verifier) external onlyOwner {
        bytes4 actual = verifier.selector();
        if (actual != selector) revert SelectorMismatch(selector, actual);
        _add(selector, verifier);
    }

    /// @notice Remove a proving system for ever; only the owner may.
    /// @param selector Its selector.
    function removeVerifier(bytes4 selector) external onlyOwner {
        IInferenceVerifier verifier = verifierOf(selector);
        _routes[selector].removed = true;
        emit VerifierRemoved(selector, address(verifier));
    }

    /// @inheritdoc IVerifierRouter
    function verify(bytes4 selector, bytes32 keyDigest, address key, bytes calldata proof, uint256[] calldata instances)
        external
        view
        override
    {
        Canonical.require_(proof, instances, 0xa0);
        verifierOf(selector).verify(keyDigest, key, proof, instances);
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

    /// @notice Refused; hand the ownership over instead.
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
