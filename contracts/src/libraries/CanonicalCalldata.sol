// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Acceptance of only the canonical encoding of arguments
/// @notice The ABI lets a caller place dynamic arguments anywhere. These contracts encode again whatever they pass on,
/// so this changes nothing about what is verified; it removes one degree of freedom from the sender of the calldata.
/// Bytes after the arguments are ignored: wallets append tags there.
library CanonicalCalldata {
    /// @notice The arguments are not where every ABI encoder puts them.
    error NonCanonicalCalldata();

    /// @notice Require that inputs, outputs and proof are the only dynamic arguments, one after the other.
    /// @param inputs The packed inputs.
    /// @param outputs The outputs.
    /// @param proof The proof.
    /// @param head The size of the heads of all arguments, in bytes.
    function requireStatement(bytes calldata inputs, int256[] calldata outputs, bytes calldata proof, uint256 head)
        internal
        pure
    {
        bool same;
        assembly ("memory-safe") {
            let next := add(head, 0x24) // after the selector and the length of the inputs
            same := eq(inputs.offset, next)
            next := add(add(next, and(add(inputs.length, 0x1f), not(0x1f))), 0x20)
            same := and(same, eq(outputs.offset, next))
            next := add(add(next, shl(5, outputs.length)), 0x20)
            same := and(same, eq(proof.offset, next))
        }
        if (!same) revert NonCanonicalCalldata();
    }

    /// @notice Require the same, that the padding of the inputs is zero, and that the calldata ends with the proof.
    /// @param inputs The packed inputs.
    /// @param outputs The outputs.
    /// @param proof The proof.
    /// @param head The size of the heads of all arguments, in bytes.
    function requireWhole(bytes calldata inputs, int256[] calldata outputs, bytes calldata proof, uint256 head)
        internal
        pure
    {
        bool same;
        assembly ("memory-safe") {
            let next := add(head, 0x24)
            same := eq(inputs.offset, next)
            next := add(next, inputs.length)
            let padding := and(sub(0, inputs.length), 0x1f)
            // The bytes up to the next word; none if there is no padding.
            same := and(same, iszero(shr(sub(256, shl(3, padding)), calldataload(next))))
            next := add(add(next, padding), 0x20)
            same := and(same, eq(outputs.offset, next))
            next := add(add(next, shl(5, outputs.length)), 0x20)
            same := and(same, eq(proof.offset, next))
            next := add(add(next, proof.length), and(sub(0, proof.length), 0x1f))
            same := and(same, eq(calldatasize(), next))
        }
        if (!same) revert NonCanonicalCalldata();
    }

    /// @notice Require that two byte strings are the only dynamic arguments, one after the other.
    /// @param first The first.
    /// @param second The second.
    /// @param head The size of the heads of all arguments, in bytes.
    function requirePair(bytes calldata first, bytes calldata second, uint256 head) internal pure {
        bool same;
        assembly ("memory-safe") {
            let start := add(head, 0x24) // after the selector and the first one's length
            let next := add(add(start, and(add(first.length, 0x1f), not(0x1f))), 0x20)
            same := and(eq(first.offset, start), eq(second.offset, next))
        }
        if (!same) revert NonCanonicalCalldata();
    }

    /// @notice Require the same of lists of inputs, outputs and proofs that follow a list of static values.
    /// @param inputs The packed inputs of each statement.
    /// @param outputs The outputs of each.
    /// @param proofs The proofs.
    /// @param end Where the list before them ends.
    function requireBatch(bytes[] calldata inputs, int256[][] calldata outputs, bytes[] calldata proofs, uint256 end)
        internal
        pure
    {
        bool same;
        assembly ("memory-safe") {
            /// Whether the heads of a list point to one item after the other, and where the list ends.
            /// `unit` is the log2 of the size of an item's element in bytes: 0 for bytes, 5 for words.
            function walk(offset, length, unit) -> ordered, after_ {
                ordered := 1
                let count := shl(5, length)
                let next := count
                for { let i := 0 } lt(i, count) { i := add(i, 0x20) } {
                    ordered := and(ordered, eq(calldataload(add(offset, i)), next))
                    let size := shl(unit, calldataload(add(offset, next)))
                    next := add(add(next, and(add(size, 0x1f), not(0x1f))), 0x20)
                }
                after_ := add(offset, next)
            }
            let ordered, next := walk(inputs.offset, inputs.length, 0)
            same := and(eq(inputs.offset, add(end, 0x20)), ordered)
            same := and(same, eq(outputs.offset, add(next, 0x20)))
            ordered, next := walk(outputs.offset, outputs.length, 5)
            same := and(same, ordered)
            same := and(same, eq(proofs.offset, add(next, 0x20)))
            ordered, next := walk(proofs.offset, proofs.length, 0)
            same := and(same, ordered)
        }
        if (!same) revert NonCanonicalCalldata();
    }
}
