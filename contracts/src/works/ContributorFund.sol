// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC721Receiver} from "@openzeppelin/contracts/token/ERC721/IERC721Receiver.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IMarket} from "../interfaces/IMarket.sol";

/// @title What a data set earns, for those who contributed to it
/// @notice It owns the token of the data set. Contributors and their weights are the leaves of a Merkle tree whose root
/// never changes; there is no operator, no minimum and no last pay-day. A new version of the data set is another work
/// with another fund. Nobody checks here that the weights sum up to the total: compare both with the manifest.
/// @dev A leaf is keccak256(bytes.concat(keccak256(abi.encode(account, uint128 weight)))), pairs are sorted, as in
/// OpenZeppelin's standard tree. Payments are booked by leaf, so an account with two different weights gets both;
/// two equal leaves count once.
contract ContributorFund is IERC721Receiver {
    /// @notice The root of the tree of contributors.
    bytes32 public immutable ROOT;
    /// @notice The sum of the contributors' weights.
    uint128 public immutable TOTAL_WEIGHT;
    /// @notice SHA-256 of the manifest, which lists contributors and assets.
    bytes32 public immutable MANIFEST;
    /// @notice Where the data set's income is credited.
    IMarket public immutable MARKET;
    /// @notice Where to find the manifest.
    string public uri;
    /// @notice What was paid out so far, in wei.
    uint256 public paidOut;

    mapping(bytes32 leaf => uint256) private _paid;

    /// @notice The fund was created.
    event FundCreated(bytes32 indexed root, uint128 totalWeight, bytes32 indexed manifest, string uri, address market);
    /// @notice A contributor was paid.
    event Claimed(address indexed account, uint128 weight, uint256 amount);

    /// @notice Anybody could make proofs for an empty root.
    error RootMissing();
    /// @notice The sum of the weights is zero.
    error WeightMissing();
    /// @notice The market has no code.
    error MarketMissing();
    /// @notice The tree has no such leaf.
    error NotAContributor(address account, uint128 weight);
    /// @notice Nothing came in since the contributor was paid.
    error NothingDue(address account);
    /// @notice The contributor's account rejected the payment; it stays due.
    error PaymentFailed(address account);

    /// @param root The root of the tree of contributors.
    /// @param totalWeight The sum of their weights.
    /// @param manifest SHA-256 of the manifest.
    /// @param uri_ Where to find the manifest.
    /// @param market Where the data set's income is credited.
    constructor(bytes32 root, uint128 totalWeight, bytes32 manifest, string memory uri_, IMarket market) {
        if (root == 0) revert RootMissing();
        if (totalWeight == 0) revert WeightMissing();
        if (address(market).code.length == 0) revert MarketMissing();
        ROOT = root;
        TOTAL_WEIGHT = totalWeight;
        MANIFEST = manifest;
        MARKET = market;
        uri = uri_;
        emit FundCreated(root, totalWeight, manifest, uri_, address(market));
    }

    /// @notice Whoever pays a fund pays its contributors.
    receive() external payable {}

    /// @notice Pay a contributor everything that is due; anybody may, and the contributor is paid. Settle the data set's
    /// work at the market first, or what it holds is paid the next time.
    /// @param account The contributor.
    /// @param weight Its weight.
    /// @param proof The siblings from its leaf to the root.
    /// @return amount How much, in wei.
    function claim(address account, uint128 weight, bytes32[] calldata proof) external returns (uint256 amount) {
        bytes32 leaf = leafOf(account, weight);
        if (!MerkleProof.verifyCalldata(proof, ROOT, leaf)) revert NotAContributor(account, weight);
        if (MARKET.creditOf(address(this)) != 0) MARKET.withdraw(payable(address(this)));
        amount = _due(leaf, weight, address(this).balance);
        if (amount == 0) revert NothingDue(account);
        _paid[leaf] += amount;
        paidOut += amount;
        emit Claimed(account, weight, amount);
        (bool success,) = account.call{value: amount}("");
        if (!success) revert PaymentFailed(account);
    }

    /// @notice Accept the token of a work. It cannot leave again.
    function onERC721Received(address, address, uint256, bytes calldata) external pure override returns (bytes4) {
        return IERC721Receiver.onERC721Received.selector;
    }

    /// @notice What a contributor was paid so far, in wei.
    /// @param account The contributor.
    /// @param weight Its weight.
    function paidTo(address account, uint128 weight) external view returns (uint256) {
        return _paid[leafOf(account, weight)];
    }

    /// @notice What a contributor would be paid now, in wei. Whether it is one is not checked.
    /// @param account The contributor.
    /// @param weight Its weight.
    function due(address account, uint128 weight) external view returns (uint256) {
        return _due(leafOf(account, weight), weight, address(this).balance + MARKET.creditOf(address(this)));
    }

    /// @notice A contributor's leaf in the tree.
    /// @param account The contributor.
    /// @param weight Its weight.
    function leafOf(address account, uint128 weight) public pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(account, weight))));
    }

    /// @dev A share of all that ever came in, rounded down, less what was paid. What came in never falls: coin leaves
    /// by claims alone.
    function _due(bytes32 leaf, uint128 weight, uint256 held) private view returns (uint256) {
        return Math.mulDiv(held + paidOut, weight, TOTAL_WEIGHT) - _paid[leaf];
    }
}
