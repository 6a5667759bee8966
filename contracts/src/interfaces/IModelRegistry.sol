// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Slots, Visibility} from "../libraries/Slots.sol";

/// @notice How far a model may be relied on. It only ever grows.
/// @dev Active: may be asked and recorded. Deprecated: what was asked may still be recorded. Revoked: neither, and what
/// was recorded before is not to be acted on any more.
enum Status {
    Unknown,
    Active,
    Deprecated,
    Revoked
}

/// @notice What a publisher says of a model.
/// @param onnxDigest SHA-256 of the ONNX file.
/// @param selector The proving system, as the router knows it.
/// @param visibility What a proof tells of the inputs.
/// @param inputs How many public values the inputs take: all numbers, or one digest a tensor, or none if private.
/// @param outputs How many numbers all outputs have together.
/// @param fee What an answer costs at least, in wei, for the publisher. It may be changed.
/// @param uri Where to read more: the ONNX file, the manifest, terms. It may be changed.
struct Registration {
    bytes32 onnxDigest;
    bytes4 selector;
    Visibility visibility;
    uint32 inputs;
    uint32 outputs;
    uint96 fee;
    string uri;
}

/// @notice A model as it is registered.
struct Model {
    bytes32 modelId;
    bytes32 onnxDigest;
    bytes32 keyDigest;
    address key;
    bytes32 setup;
    bytes4 selector;
    Visibility visibility;
    Slots slots;
    Status status;
    address publisher;
    address owner;
    address pendingOwner;
    uint96 fee;
    string uri;
}

/// @notice The part of a model that recording an answer takes. Three words of storage hold it.
struct Program {
    Status status;
    bytes4 selector;
    address owner;
    Slots slots;
    address key;
    uint96 fee;
    bytes32 keyDigest;
}

/// @title Which model is which
/// @notice A listing is one publisher's registration of one model. Its name is a hash of all that never changes: the
/// model, the publisher, the selector, and the layout of public values. So nobody can take a name before its publisher
/// does; and where a verifier is stopped, or a layout was wrong, the publisher lists the same model again, under the
/// sound verifier's selector or the right layout, and names the new listing as the successor.
/// A consumer that pins a listing relies on its publisher for two things that no contract can check: that the key was
/// made from the ONNX file, and where inputs end and outputs begin. Checking a key for its form, its number of values
/// and its setup catches mistakes of the honest; a key can be crafted that passes, and accepts any answer. That harms
/// whoever relies on that listing, and nobody else. Everybody can check both with the file before pinning:
/// `zkinfer chain verify-listing`.
/// It relies on the listing's owner for a third: not to revoke after an answer was recorded and before it was acted on,
/// which makes requireSound refuse that answer for ever; an owner who is the prover too can collect fees even then.
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
    /// @notice A model's address for reading changed.
    event UriChanged(bytes32 indexed listing, string uri);
    /// @notice A new owner was named, who has not accepted yet.
    event OwnershipOffered(bytes32 indexed listing, address indexed owner, address indexed newOwner);
    /// @notice The new owner accepted.
    event OwnershipTransferred(bytes32 indexed listing, address indexed owner, address indexed newOwner);

    /// @notice The publisher has registered this model already, under this selector and in this layout.
    error AlreadyRegistered(bytes32 listing);
    /// @notice There is no such listing.
    error UnknownListing(bytes32 listing);
    /// @notice Only the listing's owner may do this.
    error NotOwner(bytes32 listing, address caller);
    /// @notice Only who was named as the new owner may accept.
    error NotPendingOwner(bytes32 listing, address caller);
    /// @notice A status never goes back.
    error StatusNeverReturns(Status current, Status wanted);
    /// @notice Anybody can forge proofs under the setup `insecure-dev`.
    error InsecureSetup();
    /// @notice The key was made under a trusted setup of no known ceremony.
    error UntrustedSetup(bytes32 setup);
    /// @notice The inputs and outputs do not make up the key's number of public values.
    error SlotsMismatch(uint256 expected, uint256 actual);
    /// @notice The verifier does not name the stored key by its keccak256.
    error KeyDigestMismatch(bytes32 expected, bytes32 actual);

    /// @notice Register a model for the caller.
    /// @param registration What the caller says of it.
    /// @param key The words of its verifying key; stored once, as the code of a contract.
    /// @return listing The name under which the model is asked and recorded.
    function register(Registration calldata registration, bytes32[] calldata key) external returns (bytes32 listing);

    /// @notice Ask for no more answers of this model; what was asked may still be recorded.
    /// @param listing The caller's listing.
    /// @param successor The listing to use instead, or zero.
    function deprecate(bytes32 listing, bytes32 successor) external;

    /// @notice Let nothing of this model be recorded, or acted on, any more. A proof for a request that is open still
    /// earns its prover the fee; where none comes, fees go back after the expiry.
    /// @param listing The caller's listing.
    function revoke(bytes32 listing) external;

    /// @notice Change what an answer costs, for requests to come.
    /// @param listing The caller's listing.
    /// @param fee The least fee, in wei.
    function setFee(bytes32 listing, uint96 fee) external;

    /// @notice Change where to read more.
    /// @param listing The caller's listing.
    /// @param uri The new address.
    function setUri(bytes32 listing, string calldata uri) external;

    /// @notice Name a new owner, who must accept; the zero address takes an offer back.
    /// @param listing The caller's listing.
    /// @param newOwner Who is to own it.
    function offerOwnership(bytes32 listing, address newOwner) external;

    /// @notice Accept what was offered to the caller.
    /// @param listing The listing.
    function acceptOwnership(bytes32 listing) external;

    /// @notice The name of a publisher's registration of a model.
    /// @param modelId keccak256(abi.encode(sha256 of the ONNX file, digest of the verifying key)).
    /// @param publisher Who registered it.
    /// @param selector The proving system.
    /// @param visibility What a proof tells of the inputs.
    /// @param inputs How many public values the inputs take.
    /// @param outputs How many the outputs take.
    function listingOf(
        bytes32 modelId,
        address publisher,
        bytes4 selector,
        Visibility visibility,
        uint32 inputs,
        uint32 outputs
    ) external pure returns (bytes32 listing);

    /// @notice All that is known of a listing; reverts where there is none.
    /// @param listing The listing.
    function modelOf(bytes32 listing) external view returns (Model memory model);

    /// @notice What recording an answer takes; reverts where there is no such listing.
    /// @param listing The listing.
    function programOf(bytes32 listing) external view returns (Program memory program);

    /// @notice How far a listing may be relied on; Unknown where there is none.
    /// @param listing The listing.
    function statusOf(bytes32 listing) external view returns (Status status);

    /// @notice Who owns a listing; reverts where there is none.
    /// @param listing The listing.
    function ownerOf(bytes32 listing) external view returns (address owner);
}
