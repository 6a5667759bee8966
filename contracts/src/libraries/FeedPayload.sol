// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice The fixed-size parts of a payload, and where the others begin.
/// @param configDigest The signers that it was made for.
/// @param round The round; not checked.
/// @param extra Commits to source file and inputs.
/// @param feedId The feed.
/// @param observedAt The time of the observation; not checked.
/// @param answer The signed answer; not checked.
/// @param signatures How many there are; 31 at most.
/// @param rawVs Their recovery bits.
/// @param sourceDigest Names the source file.
/// @param inputs Where the length of the inputs is.
/// @param outputs Where the number of outputs is.
/// @param proof Where the length of the proof is.
struct Payload {
    bytes32 configDigest;
    uint256 round;
    bytes32 extra;
    bytes32 feedId;
    uint256 observedAt;
    int256 answer;
    uint256 signatures;
    bytes32 rawVs;
    bytes32 sourceDigest;
    uint256 inputs;
    uint256 outputs;
    uint256 proof;
}

/// @title The encoding of a report with its signatures and its proof
/// @notice abi.encode(bytes32[3] context, bytes report, bytes32[] rs, bytes32[] ss, bytes32 rawVs, bytes32 sourceDigest,
/// bytes inputs, int256[] outputs, bytes proof). Each payload has one encoding: this is read in place, every offset,
/// length and padding is compared, and nothing may follow. Decoders of the first five elements do not see the rest.
library FeedPayload {
    /// @notice A report of schema 3 has nine words.
    uint256 internal constant REPORT_SIZE = 0x120;
    /// @notice The most signers of a config, so the most signatures: each has a byte of one word.
    uint256 internal constant MAX_SIGNATURES = 31;
    // The heads, the report with its length, then the signatures.
    uint256 private constant HEADS = 0x160;
    uint256 private constant REPORT = HEADS + 0x20;
    uint256 private constant RS = REPORT + REPORT_SIZE;
    // Five empty tails after the report: the lengths of rs, ss, inputs, outputs and proof.
    uint256 private constant LEAST = RS + 5 * 0x20;

    /// @notice The bytes are not the canonical encoding of a payload.
    error NonCanonicalPayload();

    /// @notice Read a payload; reverts with NonCanonicalPayload.
    /// @param payload The bytes.
    function read(bytes calldata payload) internal pure returns (Payload memory part) {
        if (payload.length < LEAST) revert NonCanonicalPayload();
        uint256 count = uint256(_word(payload, RS));
        if (count > MAX_SIGNATURES) revert NonCanonicalPayload();
        unchecked {
            uint256 ss = RS + 0x20 + 0x20 * count;
            part.signatures = count;
            part.inputs = ss + 0x20 + 0x20 * count;
            part.outputs = _after(payload, part.inputs, 0);
            part.proof = _after(payload, part.outputs, 5);
            part.rawVs = _word(payload, 0xc0);
            bool same = _after(payload, part.proof, 0) == payload.length && _is(payload, 0x60, HEADS)
                && _is(payload, HEADS, REPORT_SIZE) && _is(payload, 0x80, RS) && _is(payload, 0xa0, ss)
                && _is(payload, ss, count) && _is(payload, 0x100, part.inputs) && _is(payload, 0x120, part.outputs)
                && _is(payload, 0x140, part.proof) && part.rawVs << (8 * count) == 0 && _isPadded(payload, part.inputs)
                && _isPadded(payload, part.proof) && _is(payload, part.outputs, 0) == _is(payload, part.proof, 0);
            if (!same) revert NonCanonicalPayload();
        }
        part.configDigest = _word(payload, 0);
        part.round = uint256(_word(payload, 0x20));
        part.extra = _word(payload, 0x40);
        part.sourceDigest = _word(payload, 0xe0);
        part.feedId = _word(payload, REPORT);
        part.observedAt = uint256(_word(payload, REPORT + 0x40));
        part.answer = int256(uint256(_word(payload, REPORT + 0xc0)));
    }

    /// @notice The report.
    function report(bytes calldata payload) internal pure returns (bytes calldata) {
        return payload[REPORT:RS];
    }

    /// @notice What signers sign: keccak256(keccak256(report) ‖ context).
    function digest(bytes calldata payload) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(keccak256(report(payload)), payload[:0x60]));
    }

    /// @notice A signature; its index is below `signatures`.
    function signature(bytes calldata payload, Payload memory part, uint256 index)
        internal
        pure
        returns (uint8 bit, bytes32 r, bytes32 s)
    {
        unchecked {
            r = _word(payload, RS + 0x20 + 0x20 * index);
            s = _word(payload, RS + 0x40 + 0x20 * (part.signatures + index));
            bit = uint8(uint256(part.rawVs) >> (248 - 8 * index));
        }
    }

    /// @notice The packed inputs.
    function inputs(bytes calldata payload, Payload memory part) internal pure returns (bytes calldata) {
        return payload[part.inputs + 0x20:part.inputs + 0x20 + uint256(_word(payload, part.inputs))];
    }

    /// @notice The proof; empty if there is none.
    function proof(bytes calldata payload, Payload memory part) internal pure returns (bytes calldata) {
        return payload[part.proof + 0x20:part.proof + 0x20 + uint256(_word(payload, part.proof))];
    }

    /// @notice The outputs; empty if there is no proof.
    function outputs(bytes calldata payload, Payload memory part) internal pure returns (int256[] calldata values) {
        uint256 place = part.outputs;
        assembly ("memory-safe") {
            values.length := calldataload(add(payload.offset, place))
            values.offset := add(add(payload.offset, place), 0x20)
        }
    }

    /// @notice Whether the payload has a proof.
    function hasProof(Payload memory part) internal pure returns (bool) {
        return part.proof - part.outputs != 0x20;
    }

    /// @notice The request that a proof answers: part of its context.
    function requestId(Payload memory part, uint40 round) internal pure returns (bytes32) {
        return keccak256(abi.encode("zkinfer.feed.1", part.feedId, round, uint40(part.observedAt), part.sourceDigest));
    }

    /// @dev Where the tail at `place` ends, as elements of 2^unit bytes. The place and the length are bounded by the
    /// payload's length, and that by the gas for calldata, before they are added: nothing overflows.
    function _after(bytes calldata payload, uint256 place, uint256 unit) private pure returns (uint256) {
        unchecked {
            if (place + 0x20 > payload.length) revert NonCanonicalPayload();
            uint256 length = uint256(_word(payload, place));
            if (length > payload.length) revert NonCanonicalPayload();
            return place + 0x20 + (((length << unit) + 0x1f) & ~uint256(0x1f));
        }
    }

    /// @dev Whether the bytes between a tail's content and the next word are zero; its length was bounded before.
    function _isPadded(bytes calldata payload, uint256 place) private pure returns (bool) {
        unchecked {
            uint256 length = uint256(_word(payload, place));
            uint256 rest = length & 0x1f;
            return rest == 0 || uint256(_word(payload, place + 0x20 + length - rest)) << (8 * rest) == 0;
        }
    }

    function _is(bytes calldata payload, uint256 place, uint256 value) private pure returns (bool) {
        return uint256(_word(payload, place)) == value;
    }

    function _word(bytes calldata payload, uint256 place) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := calldataload(add(payload.offset, place))
        }
    }
}
