// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title A contract that computes a model's inputs from what is on the chain
/// @notice With it, nobody has to be trusted about the inputs of a feed.
interface IFeedSource {
    /// @notice The inputs of a round; reverts if the source has none for it, or the hint is not the only right one.
    /// @dev At most one hint may succeed for a round, or the caller could choose among inputs.
    /// @param recipe The digest of the document that says how data becomes inputs, as the feed names it.
    /// @param round The round.
    /// @param hint What the source cannot find by itself; checked by it.
    /// @return inputCommitment keccak256 over the packed inputs.
    /// @return observedAt The time that the inputs describe, in Unix seconds.
    function inputsAt(bytes32 recipe, uint40 round, bytes calldata hint)
        external
        view
        returns (bytes32 inputCommitment, uint40 observedAt);
}
