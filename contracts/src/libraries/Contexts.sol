// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title What a proof was made for
/// @dev The same as zkinfer.circuits.context; shared vectors hold both to it.
library Contexts {
    uint256 private constant LIMBS = 5;
    uint256 private constant LIMB_BITS = 26;
    uint256 private constant LIMB_MASK = 0x3ffffff;

    /// @notice The proof was made for another request, requester, consumer, chain or time.
    error ContextMismatch();

    /// @notice The hash whose first 130 bits are among a proof's public values.
    /// @param chainId The chain.
    /// @param consumer The contract that will act on the answer.
    /// @param requestId The request.
    /// @param requester Who asked.
    /// @param expiry Until when, in Unix seconds.
    function digest(uint256 chainId, address consumer, bytes32 requestId, address requester, uint64 expiry)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(chainId, consumer, requestId, requester, expiry));
    }

    /// @notice One of the five limbs of a context, most significant first.
    /// @param context The hash.
    /// @param place Which, from 0.
    function limb(bytes32 context, uint256 place) internal pure returns (uint256) {
        return (uint256(context) >> (256 - LIMB_BITS * (place + 1))) & LIMB_MASK;
    }

    /// @notice Revert unless the public values carry this context.
    /// @param context The hash.
    /// @param instances The public values; there must be five from `start` on.
    /// @param start Where the limbs begin.
    function require_(bytes32 context, uint256[] calldata instances, uint256 start) internal pure {
        for (uint256 place = 0; place < LIMBS; ++place) {
            if (instances[start + place] != limb(context, place)) revert ContextMismatch();
        }
    }
}
