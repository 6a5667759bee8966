// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

/// @title Tokens of content whose generation can be verified, as ERC-7007 defines them
interface IERC7007 is IERC165, IERC721 {
    /// @notice The generation of a token's content was proven.
    event AigcData(uint256 indexed tokenId, bytes indexed prompt, bytes indexed aigcData, bytes proof);

    /// @notice Prove the generation of a token's content.
    /// @param tokenId The token.
    /// @param prompt What the model was asked.
    /// @param aigcData What it answered.
    /// @param proof That it did.
    function addAigcData(uint256 tokenId, bytes calldata prompt, bytes calldata aigcData, bytes calldata proof) external;

    /// @notice Whether an answer is the model's.
    /// @param prompt What the model was asked.
    /// @param aigcData What it answered.
    /// @param proof That it did.
    function verify(bytes calldata prompt, bytes calldata aigcData, bytes calldata proof)
        external
        view
        returns (bool success);
}
