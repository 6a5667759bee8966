// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The context that binds a proof to one request
/// @dev Must agree with zkinfer.circuits.statement; shared test vectors check both.
library RequestContext {
    /// @notice The context that a proof must be made for.
    /// @param chainId The chain.
    /// @param consumer The contract that will act on the answer.
    /// @param requestId The request.
    /// @param requester The account that made the request.
    /// @param expiry The last time at which the answer can be recorded, in Unix seconds.
    function digest(uint256 chainId, address consumer, bytes32 requestId, address requester, uint64 expiry)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(chainId, consumer, requestId, requester, expiry));
    }
}
