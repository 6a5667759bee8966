// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC2981} from "@openzeppelin/contracts/interfaces/IERC2981.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

/// @notice A marketplace as many are: it knows ERC-721 and ERC-2981, sends plain coin with 2,300 gas, and knows nothing
/// of works.
contract RoyaltyMarket {
    struct Listed {
        address seller;
        uint256 price;
    }

    mapping(IERC721 collection => mapping(uint256 token => Listed)) public listed;

    function list(IERC721 collection, uint256 token, uint256 price) external {
        require(collection.ownerOf(token) == msg.sender, "not yours");
        listed[collection][token] = Listed(msg.sender, price);
    }

    function buy(IERC721 collection, uint256 token) external payable {
        Listed memory item = listed[collection][token];
        require(item.seller != address(0) && msg.value == item.price, "not for sale at this price");
        delete listed[collection][token];
        (address receiver, uint256 royalty) = IERC2981(address(collection)).royaltyInfo(token, item.price);
        collection.safeTransferFrom(item.seller, msg.sender, token);
        send(receiver, royalty);
        send(item.seller, item.price - royalty);
    }

    function send(address to, uint256 amount) private {
        (bool success,) = to.call{value: amount, gas: 2300}("");
        require(success, "not paid");
    }
}
