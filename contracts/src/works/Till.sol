// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceLedger} from "../interfaces/IInferenceLedger.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {ITill} from "../interfaces/ITill.sol";
import {TillClones} from "../libraries/TillClones.sol";

/// @title The account of a work, for payers that know nothing of works
/// @notice This is the code that all tills run; see TillClones. It stores nothing. Ledgers and registries are named by
/// the caller: a till has power over its listings and its coin alone, and its coin goes nowhere but to its work.
contract Till is ITill {
    /// @inheritdoc ITill
    IMarket public immutable override MARKET;

    modifier onlyOwner() {
        if (MARKET.WORKS().ownerOf(workId()) != msg.sender) revert NotOwner(msg.sender);
        _;
    }

    /// @param market Where income is shared.
    constructor(IMarket market) {
        MARKET = market;
    }

    /// @inheritdoc ITill
    function collect(IInferenceLedger ledger) external override returns (uint256 amount) {
        ledger.withdraw(payable(address(this)));
        return sweep();
    }

    /// @inheritdoc ITill
    function accept(IModelRegistry registry, bytes32 listing) external override onlyOwner {
        registry.acceptOwnership(listing);
    }

    /// @inheritdoc ITill
    function setFee(IModelRegistry registry, bytes32 listing, uint96 fee) external override onlyOwner {
        registry.setFee(listing, fee);
    }

    /// @inheritdoc ITill
    function setUri(IModelRegistry registry, bytes32 listing, string calldata uri) external override onlyOwner {
        registry.setUri(listing, uri);
    }

    /// @inheritdoc ITill
    function deprecate(IModelRegistry registry, bytes32 listing, bytes32 successor) external override onlyOwner {
        registry.deprecate(listing, successor);
    }

    /// @inheritdoc ITill
    function revoke(IModelRegistry registry, bytes32 listing) external override onlyOwner {
        registry.revoke(listing);
    }

    /// @inheritdoc ITill
    function offerOwnership(IModelRegistry registry, bytes32 listing, address newOwner) external override onlyOwner {
        registry.offerOwnership(listing, newOwner);
    }

    /// @inheritdoc ITill
    function sweep() public override returns (uint256 amount) {
        amount = address(this).balance;
        if (amount == 0) revert NothingToSweep();
        MARKET.pay{value: amount}(workId());
    }

    /// @inheritdoc ITill
    function workId() public view override returns (uint256) {
        return TillClones.workOf(address(this));
    }
}
