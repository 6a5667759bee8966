// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceLedger} from "./IInferenceLedger.sol";
import {IMarket} from "./IMarket.sol";
import {IModelRegistry} from "./IModelRegistry.sol";

/// @title The account of a work, for payers that know nothing of works
/// @notice Every work has one, at an address that is known before it is opened. It receives royalties of marketplaces
/// and, as the owner of a model's listing, the fees of its answers; and pays all of it to the work, which shares it.
/// Coin that has not been paid in when the token is sold goes with the token.
interface ITill {
    /// @notice Only the owner of the work may do this.
    error NotOwner(address caller);
    /// @notice There is nothing to pay in.
    error NothingToSweep();

    /// @notice Pay everything that this till holds to its work; anybody may.
    /// @return amount How much, in wei.
    function sweep() external returns (uint256 amount);

    /// @notice Withdraw the fees that a ledger has credited to this till, and pay them to its work; anybody may.
    /// @param ledger The ledger.
    /// @return amount How much was paid in, in wei, with what the till held before.
    function collect(IInferenceLedger ledger) external returns (uint256 amount);

    /// @notice Accept the ownership of a listing that was offered to this till, as the owner of the work.
    /// @param registry The listing's registry.
    /// @param listing The listing.
    function accept(IModelRegistry registry, bytes32 listing) external;

    /// @notice Change the price of an answer, as the owner of the work; see IModelRegistry.
    /// @param registry The listing's registry.
    /// @param listing The listing.
    /// @param fee The least fee, in wei.
    function setFee(IModelRegistry registry, bytes32 listing, uint96 fee) external;

    /// @notice Change a listing's URI, as the owner of the work; see IModelRegistry.
    /// @param registry The listing's registry.
    /// @param listing The listing.
    /// @param uri The new URI.
    function setUri(IModelRegistry registry, bytes32 listing, string calldata uri) external;

    /// @notice Take no more requests, as the owner of the work; see IModelRegistry.
    /// @param registry The listing's registry.
    /// @param listing The listing.
    /// @param successor The listing to use instead, or zero.
    function deprecate(IModelRegistry registry, bytes32 listing, bytes32 successor) external;

    /// @notice Revoke a listing, as the owner of the work; see IModelRegistry.
    /// @param registry The listing's registry.
    /// @param listing The listing.
    function revoke(IModelRegistry registry, bytes32 listing) external;

    /// @notice Name a new owner of a listing, as the owner of the work. What the listing earns after that reaches this
    /// work and its parents no more: who relies on a share looks at the listing's owner.
    /// @param registry The listing's registry.
    /// @param listing The listing.
    /// @param newOwner The account that is to own it.
    function offerOwnership(IModelRegistry registry, bytes32 listing, address newOwner) external;

    /// @notice Where income is shared.
    // forge-lint: disable-next-line(mixed-case-function)
    function MARKET() external view returns (IMarket);

    /// @notice The work that this till belongs to.
    function workId() external view returns (uint256 work);
}
