// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Layout} from "../libraries/StatementLayout.sol";

/// @notice How far a model may be relied on. It only ever advances.
/// @dev Active: requests are taken and answers recorded. Deprecated: answers to open requests are still recorded.
/// Revoked: neither, and answers recorded before must not be acted on.
enum Status {
    Unknown,
    Active,
    Deprecated,
    Revoked
}

/// @notice What a publisher declares about a model.
/// @param onnxDigest SHA-256 of the ONNX file.
/// @param selector The proving system, as the router knows it.
/// @param statementLayout The layout of statements about the model.
/// @param fee The least price of an answer, in wei, for the listing's owner. It may be changed.
/// @param uri Where to find the ONNX file, the manifest and the terms. It may be changed.
struct Registration {
    bytes32 onnxDigest;
    bytes4 selector;
    Layout statementLayout;
    uint96 fee;
    string uri;
}

/// @notice A registered model.
struct Model {
    bytes32 modelId;
    bytes32 onnxDigest;
    bytes32 keyDigest;
    address key;
    bytes32 setup;
    bytes4 selector;
    Layout statementLayout;
    Status status;
    address publisher;
    address owner;
    address pendingOwner;
    uint96 fee;
    string uri;
}

/// @notice The part of a model that recording an answer needs. Three words of storage hold it.
struct Program {
    Status status;
    bytes4 selector;
    address owner;
    Layout statementLayout;
    address key;
    uint96 fee;
    bytes32 keyDigest;
}

/// @title Listings of models
/// @notice A listing is one publisher's registration of one model. Its name is a hash of everything that never changes:
/// the model, the publisher, the selector and the layout. So a name cannot be taken before its publisher uses it. If
/// a verifier is stopped or a layout was wrong, the publisher lists the same model again, under another selector or
/// layout, and names the new listing as the successor.
/// A consumer that pins a listing relies on its publisher for two things that no contract can check: that the key was
/// made from the ONNX file, and that the layout is the circuit's. Checking a key's form, its fit to the layout and its
/// setup catches honest mistakes; a key can be crafted that passes and accepts any answer. That harms only those who
/// rely on that listing. Check both with the file before pinning: `zkinfer chain verify-listing`.
/// A consumer also relies on the listing's owner not to revoke between a record and its use, which makes requireSound
/// refuse that answer for ever; an owner who is also the prover can collect fees even then.
interface IModelRegistry {
    /// @notice A model was registered.
    event ModelRegistered(
        bytes32 indexed listing,
        bytes32 indexed modelId,
        address indexed publisher,
        bytes32 keyDigest,
        address key,
        bytes32 setup,
        Registration registration
    );
    /// @notice A model's status changed; `successor` is the listing to use instead, or zero.
    event StatusChanged(bytes32 indexed listing, Status status, bytes32 successor);
    /// @notice A model's fee changed.
    event FeeChanged(bytes32 indexed listing, uint96 fee);
    /// @notice A model's URI changed.
    event UriChanged(bytes32 indexed listing, string uri);
    /// @notice A new owner was named and has not accepted yet.
    event OwnershipOffered(bytes32 indexed listing, address indexed owner, address indexed newOwner);
    /// @notice The new owner accepted.
    event OwnershipTransferred(bytes32 indexed listing, address indexed owner, address indexed newOwner);

    /// @notice The publisher registered this model before, under this selector and layout.
    error AlreadyRegistered(bytes32 listing);
    /// @notice There is no such listing.
    error UnknownListing(bytes32 listing);
    /// @notice Only the listing's owner may do this.
    error NotOwner(bytes32 listing, address caller);
    /// @notice Only the account named as the new owner may accept.
    error NotPendingOwner(bytes32 listing, address caller);
    /// @notice A status only advances.
    error StatusNeverReturns(Status current, Status wanted);
    /// @notice Proofs under the setup `insecure-dev` can be forged by anyone.
    error InsecureSetup();
    /// @notice The key was made under a setup of no known ceremony.
    error UntrustedSetup(bytes32 setup);
    /// @notice Proofs under the key cannot be about statements of the registered layout.
    error LayoutDoesNotFit();
    /// @notice The verifier's digest of the stored key is not its keccak256.
    error KeyDigestMismatch(bytes32 expected, bytes32 actual);

    /// @notice Register a model for the caller.
    /// @param registration What the caller declares.
    /// @param key The words of its verifying key; stored once, as the code of a contract.
    /// @return listing The name that requests and records use.
    function register(Registration calldata registration, bytes32[] calldata key) external returns (bytes32 listing);

    /// @notice Take no more requests for this model; answers to open requests may still be recorded.
    /// @param listing The caller's listing.
    /// @param successor The listing to use instead, or zero.
    function deprecate(bytes32 listing, bytes32 successor) external;

    /// @notice Stop this model's answers from being recorded or acted on. A proof for an open request still earns its
    /// prover the fee; without one, fees go back after the expiry.
    /// @param listing The caller's listing.
    function revoke(bytes32 listing) external;

    /// @notice Change the price of an answer, for future requests.
    /// @param listing The caller's listing.
    /// @param fee The least fee, in wei.
    function setFee(bytes32 listing, uint96 fee) external;

    /// @notice Change the URI.
    /// @param listing The caller's listing.
    /// @param uri The new URI.
    function setUri(bytes32 listing, string calldata uri) external;

    /// @notice Name a new owner, who must accept; the zero address withdraws an offer.
    /// @param listing The caller's listing.
    /// @param newOwner The account that is to own it.
    function offerOwnership(bytes32 listing, address newOwner) external;

    /// @notice Accept the ownership that was offered to the caller.
    /// @param listing The listing.
    function acceptOwnership(bytes32 listing) external;

    /// @notice The listing of a publisher's registration of a model.
    /// @param modelId keccak256(abi.encode(sha256 of the ONNX file, digest of the verifying key)).
    /// @param publisher The account that registered it.
    /// @param selector The proving system.
    /// @param layout_ The layout of statements about the model.
    function listingOf(bytes32 modelId, address publisher, bytes4 selector, Layout calldata layout_)
        external
        pure
        returns (bytes32 listing);

    /// @notice Everything stored about a listing; reverts if there is none.
    /// @param listing The listing.
    function modelOf(bytes32 listing) external view returns (Model memory model);

    /// @notice What recording an answer needs; reverts if there is no such listing.
    /// @param listing The listing.
    function programOf(bytes32 listing) external view returns (Program memory program);

    /// @notice How far a listing may be relied on; Unknown if there is none.
    /// @param listing The listing.
    function statusOf(bytes32 listing) external view returns (Status status);

    /// @notice The owner of a listing; reverts if there is none.
    /// @param listing The listing.
    function ownerOf(bytes32 listing) external view returns (address owner);
}
