// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title One encoding of arguments, and no other
/// @notice The ABI lets a caller place dynamic arguments anywhere. Our contracts encode anew whatever they hand on, so
/// this makes no difference to what is verified; it is one more thing that whoever controls the calldata does not
/// control. What follows the arguments is not looked at: wallets put their marks there.
library Canonical {
    /// @notice The arguments are not where every ABI encoder puts them.
    error NonCanonicalCalldata();

    /// @notice Require that a proof and its public values are the only dynamic arguments, one after the other.
    /// @param proof The proof.
    /// @param instances Its public values.
    /// @param head How many bytes the heads of all arguments take.
    function require_(bytes calldata proof, uint256[] calldata instances, uint256 head) internal pure {
        uint256 place;
        assembly ("memory-safe") {
            place := instances.offset
        }
        _requireFollowing(proof, place, head);
    }

    /// @notice Require that two byte strings are the only dynamic arguments, one after the other.
    /// @param first The first.
    /// @param second The second.
    /// @param head How many bytes the heads of all arguments take.
    function requirePair(bytes calldata first, bytes calldata second, uint256 head) internal pure {
        uint256 place;
        assembly ("memory-safe") {
            place := second.offset
        }
        _requireFollowing(first, place, head);
    }

    /// @notice Require the same of lists of proofs and of public values that follow a list of static values.
    /// @param proofs The proofs.
    /// @param instances The public values of each.
    /// @param end Where the list before them ends.
    function requireBatch(bytes[] calldata proofs, uint256[][] calldata instances, uint256 end) internal pure {
        bool same;
        assembly ("memory-safe") {
            same := eq(proofs.offset, add(end, 0x20))
            let count := shl(5, proofs.length)
            let next := count
            for { let i := 0 } lt(i, count) { i := add(i, 0x20) } {
                same := and(same, eq(calldataload(add(proofs.offset, i)), next))
                let length := calldataload(add(proofs.offset, next))
                next := add(add(next, and(add(length, 0x1f), not(0x1f))), 0x20)
            }
            same := and(same, eq(instances.offset, add(add(proofs.offset, next), 0x20)))
            count := shl(5, instances.length)
            next := count
            for { let i := 0 } lt(i, count) { i := add(i, 0x20) } {
                same := and(same, eq(calldataload(add(instances.offset, i)), next))
                next := add(next, shl(5, add(calldataload(add(instances.offset, next)), 1)))
            }
        }
        if (!same) revert NonCanonicalCalldata();
    }

    function _requireFollowing(bytes calldata first, uint256 place, uint256 head) private pure {
        bool same;
        assembly ("memory-safe") {
            let start := add(head, 0x24) // after the selector and the first one's length
            let next := add(add(start, and(add(first.length, 0x1f), not(0x1f))), 0x20)
            same := and(eq(first.offset, start), eq(place, next))
        }
        if (!same) revert NonCanonicalCalldata();
    }
}
