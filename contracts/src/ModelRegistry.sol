// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IInferenceVerifier, KeyFacts} from "./interfaces/IInferenceVerifier.sol";
import {IModelRegistry, Model, Program, Registration, Status} from "./interfaces/IModelRegistry.sol";
import {IVerifierRouter} from "./interfaces/IVerifierRouter.sol";
import {CodeStore} from "./libraries/CodeStore.sol";
import {Layout, StatementLayout} from "./libraries/StatementLayout.sol";
import {TrustedSetups} from "./libraries/TrustedSetups.sol";

/// @title Listings of models
/// @notice The fields that identify a model never change. There is no administrator: only its owner has power over a
/// listing. The trusted setups are part of the code.
contract ModelRegistry is IModelRegistry, IERC165 {
    /// @dev The first three words are all that recording an answer needs. The visibility follows from the width.
    struct Listing {
        Status status;
        bytes4 selector;
        address owner;
        uint8 inputWidth;
        uint24 inputs;
        uint24 outputs;
        address key;
        uint96 fee;
        bytes32 keyDigest;
        bytes32 modelId;
        bytes32 onnxDigest;
        bytes32 setup;
        address publisher;
        address pendingOwner;
        string uri;
    }

    /// @notice The router that maps selectors to verifiers.
    IVerifierRouter public immutable ROUTER;
    /// @notice Whether this is a deployment for tests, which accepts the setup `insecure-dev`, under which anyone can
    /// forge proofs.
    bool public immutable TEST_DEPLOYMENT;

    mapping(bytes32 listing => Listing) private _listings;

    modifier onlyOwnerOf(bytes32 listing) {
        if (_existing(listing).owner != msg.sender) revert NotOwner(listing, msg.sender);
        _;
    }

    /// @param router Maps selectors to verifiers.
    /// @param testDeployment Whether `insecure-dev` is accepted.
    constructor(IVerifierRouter router, bool testDeployment) {
        ROUTER = router;
        TEST_DEPLOYMENT = testDeployment;
    }

    /// @inheritdoc IModelRegistry
    function register(Registration calldata registration, bytes32[] calldata key)
        external
        override
        returns (bytes32 listing)
    {
        bytes32 keyDigest = CodeStore.digest(key);
        bytes32 modelId = keccak256(abi.encode(registration.onnxDigest, keyDigest));
        listing = listingOf(modelId, msg.sender, registration.selector, registration.statementLayout);
        Listing storage entry = _listings[listing];
        if (entry.status != Status.Unknown) revert AlreadyRegistered(listing);
        StatementLayout.requirePossible(registration.statementLayout);
        // Everything but the setup, which the verifier reads, is written before the verifier is called.
        entry.status = Status.Active;
        entry.selector = registration.selector;
        entry.owner = msg.sender;
        entry.inputWidth = registration.statementLayout.inputWidth;
        entry.inputs = uint24(registration.statementLayout.inputs); // both are at most StatementLayout.MAX_VALUES
        entry.outputs = uint24(registration.statementLayout.outputs);
        entry.key = CodeStore.write(key);
        entry.fee = registration.fee;
        entry.keyDigest = keyDigest;
        entry.modelId = modelId;
        entry.onnxDigest = registration.onnxDigest;
        entry.publisher = msg.sender;
        entry.uri = registration.uri;
        entry.setup = _prepare(registration.selector, entry.key, keyDigest, registration.statementLayout);
        emit ModelRegistered(listing, modelId, msg.sender, keyDigest, entry.key, entry.setup, registration);
    }

    /// @inheritdoc IModelRegistry
    function deprecate(bytes32 listing, bytes32 successor) external override onlyOwnerOf(listing) {
        if (successor != 0) _existing(successor);
        _advance(listing, Status.Deprecated, successor);
    }

    /// @inheritdoc IModelRegistry
    function revoke(bytes32 listing) external override onlyOwnerOf(listing) {
        _advance(listing, Status.Revoked, 0);
    }

    /// @inheritdoc IModelRegistry
    function setFee(bytes32 listing, uint96 fee) external override onlyOwnerOf(listing) {
        _listings[listing].fee = fee;
        emit FeeChanged(listing, fee);
    }

    /// @inheritdoc IModelRegistry
    function setUri(bytes32 listing, string calldata uri) external override onlyOwnerOf(listing) {
        _listings[listing].uri = uri;
        emit UriChanged(listing, uri);
    }

    /// @inheritdoc IModelRegistry
    function offerOwnership(bytes32 listing, address newOwner) external override onlyOwnerOf(listing) {
        _listings[listing].pendingOwner = newOwner;
        emit OwnershipOffered(listing, msg.sender, newOwner);
    }

    /// @inheritdoc IModelRegistry
    function acceptOwnership(bytes32 listing) external override {
        Listing storage entry = _existing(listing);
        if (entry.pendingOwner != msg.sender) revert NotPendingOwner(listing, msg.sender);
        emit OwnershipTransferred(listing, entry.owner, msg.sender);
        entry.owner = msg.sender;
        entry.pendingOwner = address(0);
    }

    /// @inheritdoc IModelRegistry
    function modelOf(bytes32 listing) external view override returns (Model memory) {
        Listing storage entry = _existing(listing);
        return Model({
            modelId: entry.modelId,
            onnxDigest: entry.onnxDigest,
            keyDigest: entry.keyDigest,
            key: entry.key,
            setup: entry.setup,
            selector: entry.selector,
            statementLayout: _layoutOf(entry),
            status: entry.status,
            publisher: entry.publisher,
            owner: entry.owner,
            pendingOwner: entry.pendingOwner,
            fee: entry.fee,
            uri: entry.uri
        });
    }

    /// @inheritdoc IModelRegistry
    function programOf(bytes32 listing) external view override returns (Program memory) {
        Listing storage entry = _existing(listing);
        return Program({
            status: entry.status,
            selector: entry.selector,
            owner: entry.owner,
            statementLayout: _layoutOf(entry),
            key: entry.key,
            fee: entry.fee,
            keyDigest: entry.keyDigest
        });
    }

    /// @inheritdoc IModelRegistry
    function statusOf(bytes32 listing) external view override returns (Status) {
        return _listings[listing].status;
    }

    /// @inheritdoc IModelRegistry
    function ownerOf(bytes32 listing) external view override returns (address) {
        return _existing(listing).owner;
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure override returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IModelRegistry).interfaceId;
    }

    /// @inheritdoc IModelRegistry
    function listingOf(bytes32 modelId, address publisher, bytes4 selector, Layout calldata layout_)
        public
        pure
        override
        returns (bytes32)
    {
        return keccak256(abi.encode(modelId, publisher, selector, layout_));
    }

    /// @dev Steps: (1) a verifier of this proving system is routed and live; (2) it reads the key, and computes the
    /// same digest; (3) the layout fits the key; (4) its setup is trusted.
    function _prepare(bytes4 selector, address key, bytes32 keyDigest, Layout calldata layout_)
        private
        returns (bytes32)
    {
        // (1)
        IInferenceVerifier verifier = ROUTER.verifierOf(selector);
        verifier.prepare(key);
        // (2)
        KeyFacts memory facts = verifier.inspect(key, layout_);
        if (facts.digest != keyDigest) revert KeyDigestMismatch(keyDigest, facts.digest);
        // (3)
        if (!facts.fits) revert LayoutDoesNotFit();
        // (4)
        _requireTrusted(facts.setup);
        return facts.setup;
    }

    function _advance(bytes32 listing, Status wanted, bytes32 successor) private {
        Listing storage entry = _listings[listing];
        if (wanted <= entry.status) revert StatusNeverReturns(entry.status, wanted);
        entry.status = wanted;
        emit StatusChanged(listing, wanted, successor);
    }

    function _requireTrusted(bytes32 setup) private view {
        if (setup == TrustedSetups.INSECURE_DEV) {
            if (!TEST_DEPLOYMENT) revert InsecureSetup();
        } else if (setup != TrustedSetups.HERMEZ && setup != TrustedSetups.PERPETUAL_POWERS_OF_TAU) {
            revert UntrustedSetup(setup);
        }
    }

    function _layoutOf(Listing storage entry) private view returns (Layout memory) {
        uint8 width = entry.inputWidth;
        return Layout(StatementLayout.visibilityOf(width), width, entry.inputs, entry.outputs);
    }

    function _existing(bytes32 listing) private view returns (Listing storage entry) {
        entry = _listings[listing];
        if (entry.status == Status.Unknown) revert UnknownListing(listing);
    }
}
