// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IFeedHub} from "../interfaces/IFeedHub.sol";
import {IReceiver} from "../interfaces/IReceiver.sol";

/// @title The hub for workflows of the Chainlink Runtime Environment
/// @notice The forwarder delivers a payload as a workflow's report. Anybody may post to the hub, so this guards nothing
/// that the hub relies on: it lets a workflow's owner see that only that workflow is served here. A delivery that the
/// hub refuses reverts, and the forwarder may retry it.
contract CreDoor is IReceiver {
    /// @notice The hub.
    IFeedHub public immutable HUB;
    /// @notice The forwarder of this chain.
    address public immutable FORWARDER;
    /// @notice The owner of the workflows that are served.
    address public immutable WORKFLOW_OWNER;
    // The owner's bytes in the metadata: after the id of 32 bytes and the name of 10.
    uint256 private constant OWNER_FROM = 42;
    uint256 private constant OWNER_TO = 62;

    /// @notice The constructor's arguments must name a forwarder and an owner: zero would let everybody in.
    error AddressMissing();
    /// @notice Only the forwarder delivers reports.
    error NotForwarder(address caller);
    /// @notice The metadata is too short to name an owner.
    error MetadataTooShort(uint256 size);
    /// @notice The report is from a workflow of another owner.
    error NotWorkflowOwner(address owner);

    /// @param hub The hub.
    /// @param forwarder The forwarder of this chain.
    /// @param workflowOwner The owner of the workflows that are served.
    constructor(IFeedHub hub, address forwarder, address workflowOwner) {
        if (forwarder == address(0) || workflowOwner == address(0)) revert AddressMissing();
        HUB = hub;
        FORWARDER = forwarder;
        WORKFLOW_OWNER = workflowOwner;
    }

    /// @inheritdoc IReceiver
    function onReport(bytes calldata metadata, bytes calldata report) external override {
        if (msg.sender != FORWARDER) revert NotForwarder(msg.sender);
        if (metadata.length < OWNER_TO) revert MetadataTooShort(metadata.length);
        address owner = address(bytes20(metadata[OWNER_FROM:OWNER_TO]));
        if (owner != WORKFLOW_OWNER) revert NotWorkflowOwner(owner);
        HUB.verify(report, "");
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure override returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IReceiver).interfaceId;
    }
}
