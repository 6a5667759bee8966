// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IFeedHub, Spec} from "../interfaces/IFeedHub.sol";
import {Layout, Visibility} from "./StatementLayout.sol";

/// @title The identity of feeds
library FeedSpecs {
    /// @notice The schema of reports, as the first two bytes of an id.
    uint256 private constant SCHEMA = 3;
    uint256 private constant MAX_SCALE = 64;
    uint256 private constant MAX_DECIMALS = 18;
    uint256 private constant MAX_DESCRIPTION = 200;

    /// @notice A feed's id: 0x0003, then the last 30 bytes of keccak256(abi.encode(spec)). It names no chain and no hub,
    /// so a feed has the same id everywhere.
    /// @param spec The feed.
    function id(Spec calldata spec) internal pure returns (bytes32) {
        return bytes32((SCHEMA << 240) | (uint256(keccak256(abi.encode(spec))) & (type(uint256).max >> 16)));
    }

    /// @notice Revert with ImpossibleSpec unless a feed can have this spec.
    /// @dev Private inputs are refused: the proof would not show that they are those that were signed.
    /// @param spec The feed.
    /// @param layout_ The layout of statements about its model.
    function requirePossible(Spec calldata spec, Layout memory layout_) internal view {
        if (layout_.visibility == Visibility.Private) revert IFeedHub.ImpossibleSpec("listing");
        if (spec.output >= layout_.outputs) revert IFeedHub.ImpossibleSpec("output");
        if (spec.scale > MAX_SCALE) revert IFeedHub.ImpossibleSpec("scale");
        if (spec.decimals > MAX_DECIMALS) revert IFeedHub.ImpossibleSpec("decimals");
        if (spec.least > spec.most) revert IFeedHub.ImpossibleSpec("least");
        if (spec.tick == 0) revert IFeedHub.ImpossibleSpec("tick");
        if (spec.heartbeat < spec.tick) revert IFeedHub.ImpossibleSpec("heartbeat");
        // A report says in 32 bits until when it can be posted, so with a greater age there would never be one.
        if (spec.maxAge < spec.tick || spec.maxAge + block.timestamp > type(uint32).max) {
            revert IFeedHub.ImpossibleSpec("maxAge");
        }
        if (spec.source != address(0) && spec.source.code.length == 0) revert IFeedHub.ImpossibleSpec("source");
        if (bytes(spec.description).length > MAX_DESCRIPTION) revert IFeedHub.ImpossibleSpec("description");
    }
}
