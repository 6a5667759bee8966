// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {AshlarKernels, LIST, ORDER} from "./AshlarKernels.sol";

/// @notice The hash chain of a proof.
/// @param buffer Pointer to the state in memory, and behind it room for the longest message.
/// @param ptr Where in the calldata the next message starts.
/// @param good Whether all checks have passed so far.
struct Transcript {
    uint256 buffer;
    uint256 ptr;
    bool good;
}

/// @title Messages, challenges and sumchecks
/// @notice Section 5.2 of docs/ashlar. A message is copied once, to be hashed behind the state. Challenges are reduced
/// modulo the order of the scalar field.
library AshlarTranscript {
    /// @notice A transcript about a proof.
    /// @param proof The proof.
    /// @param longest Bytes of the longest message, or of the statement if that is longer.
    function start(bytes calldata proof, uint256 longest) internal pure returns (Transcript memory transcript) {
        uint256 ptr;
        assembly ("memory-safe") {
            ptr := proof.offset
        }
        transcript.buffer = allocate(32 + longest);
        transcript.ptr = ptr;
        transcript.good = true;
    }

    /// @notice Start the chain with the key and the statement. Their lengths follow from the key.
    function seed(
        Transcript memory transcript,
        bytes32 keyDigest,
        bytes32 context,
        bytes calldata inputs,
        int256[] calldata outputs
    ) internal pure {
        uint256 buffer = transcript.buffer;
        assembly ("memory-safe") {
            mstore(buffer, keyDigest)
            mstore(add(buffer, 0x20), context)
            calldatacopy(add(buffer, 0x40), inputs.offset, inputs.length)
            let size := shl(5, outputs.length)
            calldatacopy(add(add(buffer, 0x40), inputs.length), outputs.offset, size)
            mstore(buffer, keccak256(buffer, add(add(size, inputs.length), 0x40)))
        }
    }

    /// @notice Take the next message into the chain, and step over it.
    function absorb(Transcript memory transcript, uint256 size) internal pure returns (uint256 challenge) {
        (uint256 buffer, uint256 ptr) = (transcript.buffer, transcript.ptr);
        assembly ("memory-safe") {
            calldatacopy(add(buffer, 0x20), ptr, size)
            let state := keccak256(buffer, add(size, 0x20))
            mstore(buffer, state)
            challenge := mod(state, ORDER)
            ptr := add(ptr, size)
        }
        transcript.ptr = ptr;
    }

    /// @notice Another challenge without a message.
    function next(Transcript memory transcript) internal pure returns (uint256 challenge) {
        uint256 buffer = transcript.buffer;
        assembly ("memory-safe") {
            let state := keccak256(buffer, 0x20)
            mstore(buffer, state)
            challenge := mod(state, ORDER)
        }
    }

    /// @notice The hash of the next `size` bytes alone.
    function hash(Transcript memory transcript, uint256 size) internal pure returns (uint256 digest) {
        (uint256 buffer, uint256 ptr) = (transcript.buffer, transcript.ptr);
        assembly ("memory-safe") {
            calldatacopy(add(buffer, 0x20), ptr, size)
            digest := keccak256(add(buffer, 0x20), size)
        }
    }

    /// @notice Scalar number `place` of the next message. It has to be below the order.
    function scalar(Transcript memory transcript, uint256 place) internal pure returns (uint256 value) {
        uint256 ptr = transcript.ptr;
        assembly ("memory-safe") {
            value := calldataload(add(ptr, shl(5, place)))
        }
        if (value >= ORDER) transcript.good = false;
    }

    /// @notice The first `count` scalars of the next message, in memory. They have to be below the order.
    function scalars(Transcript memory transcript, uint256 count) internal pure returns (uint256 values) {
        values = allocate(32 * count);
        uint256 from = transcript.ptr;
        bool good = transcript.good;
        assembly ("memory-safe") {
            calldatacopy(values, from, shl(5, count))
            for { let ptr := values } lt(ptr, add(values, shl(5, count))) { ptr := add(ptr, 0x20) } {
                good := and(good, lt(mload(ptr), ORDER))
            }
        }
        transcript.good = good;
    }

    /// @notice The rounds of a sumcheck. A message has the coefficients of the round's polynomial but that of degree 1,
    /// which follows from the claim.
    /// @param point Where to put the challenges: the point that the sumcheck ends in.
    /// @param count The number of rounds.
    /// @param cubic Whether the polynomials have degree 3; else 2.
    /// @param claim The sum.
    /// @return last The claim about the value at the point.
    function rounds(Transcript memory transcript, uint256 point, uint256 count, bool cubic, uint256 claim)
        internal
        pure
        returns (uint256 last)
    {
        (uint256 buffer, uint256 ptr, bool good) = (transcript.buffer, transcript.ptr, transcript.good);
        uint256 size = cubic ? 0x60 : 0x40;
        assembly ("memory-safe") {
            for { let place := add(point, shl(5, count)) } gt(place, point) {} {
                place := sub(place, 0x20)
                let c0 := calldataload(ptr)
                let c2 := calldataload(add(ptr, 0x20))
                good := and(good, and(lt(c0, ORDER), lt(c2, ORDER)))
                // claim - 2 c0 - c2
                let c1 := add(add(claim, mul(2, sub(ORDER, c0))), sub(ORDER, c2))
                calldatacopy(add(buffer, 0x20), ptr, size)
                let state := keccak256(buffer, add(size, 0x20))
                mstore(buffer, state)
                let x := mod(state, ORDER)
                let high := c2
                if cubic {
                    let c3 := calldataload(add(ptr, 0x40))
                    good := and(good, lt(c3, ORDER))
                    c1 := add(c1, sub(ORDER, c3))
                    high := add(c2, mulmod(x, c3, ORDER))
                }
                claim := addmod(c0, mulmod(x, addmod(c1, mulmod(x, high, ORDER), ORDER), ORDER), ORDER)
                mstore(place, sub(add(ORDER, 1), x))
                mstore(add(place, LIST), x)
                mstore(add(place, mul(2, LIST)), addmod(x, add(x, sub(ORDER, 1)), ORDER))
                ptr := add(ptr, size)
            }
        }
        (transcript.ptr, transcript.good) = (ptr, good);
        return claim;
    }

    /// @notice The powers 0 to `count` - 1 of a challenge, in memory.
    function powers(uint256 base, uint256 count) internal pure returns (uint256 list) {
        list = allocate(32 * count);
        assembly ("memory-safe") {
            let power := 1
            for { let ptr := list } lt(ptr, add(list, shl(5, count))) { ptr := add(ptr, 0x20) } {
                mstore(ptr, power)
                power := mulmod(power, base, ORDER)
            }
        }
    }

    /// @notice Memory, not zeroed: every word is written before it is read.
    function allocate(uint256 size) internal pure returns (uint256 ptr) {
        assembly ("memory-safe") {
            ptr := mload(0x40)
            mstore(0x40, add(ptr, and(add(size, 0x1f), not(0x1f))))
        }
    }
}
