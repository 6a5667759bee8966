// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceVerifier, KeyFacts} from "../../interfaces/IInferenceVerifier.sol";
import {CodeStore} from "../../libraries/CodeStore.sol";
import {Layout} from "../../libraries/StatementLayout.sol";

/// @notice A key that was read. Pointers are places in memory.
/// @param words Pointer to word 0 of the key.
/// @param mode What a proof reveals about the input: 0 public, 1 hashed, 2 private.
/// @param n log2 of the cube of cells.
/// @param nT log2 of the cube of table rows.
/// @param nB log2 of the cube of committed entries.
/// @param c log2 of the size of a chunk.
/// @param S The largest shift.
/// @param tables Number of tables.
/// @param hidden Number of hidden blocks.
/// @param constraints Number of hidden blocks and outputs.
/// @param chunksF Chunks of the weights, in the key.
/// @param chunksX Chunks of a hashed input, in the proof.
/// @param chunksP Chunks of cells and multiplicities, in the proof.
/// @param chunksH Chunks of the helpers of the lookups, in the proof.
/// @param pointers Pointer to a list of pointers to the records INPUT, HIDDEN, OUTPUT, in this order.
/// @param spans Pointer to a list with a word for each term, in order: the bytes of the spans in each of its tiles.
/// @param tablesAt Pointer to the first TABLE record.
/// @param roundsA Rounds of the first sumcheck.
/// @param coordinates Coordinates of tau.
/// @param inputWidth Bytes of each integer or digest of `inputs`.
/// @param inputs Integers or digests in `inputs`.
/// @param outputs Integers of all outputs.
/// @param signed 1 if public inputs are in two's complement, else 0.
/// @param padded 1 if the padding cells of the input have to be proven 0, else 0.
/// @param stored 1 if a table is stored, else 0.
struct AshlarKey {
    uint256 words;
    uint256 mode;
    uint256 n;
    uint256 nT;
    uint256 nB;
    uint256 c;
    uint256 S;
    uint256 tables;
    uint256 hidden;
    uint256 constraints;
    uint256 chunksF;
    uint256 chunksX;
    uint256 chunksP;
    uint256 chunksH;
    uint256 pointers;
    uint256 spans;
    uint256 tablesAt;
    uint256 roundsA;
    uint256 coordinates;
    uint256 inputWidth;
    uint256 inputs;
    uint256 outputs;
    uint256 signed;
    uint256 padded;
    uint256 stored;
}

/// @title Reading a verifying key of Ashlar: a header, tau*G2, commitments to the weights, and the program
/// @notice Sections 4.1 and 4.2 of docs/ashlar describe the bytes. Of the rules there this checks W1, W2 and W4, that
/// kinds are known, and that the program is read exactly to its end. The other rules are checked by whoever rebuilds a
/// key: only the rebuilt key shows which network it belongs to.
library AshlarKeys {
    uint256 private constant PLAIN = 0x7a6b696e6665722e6173686c61722e3101; // "zkinfer.ashlar.1", then the profile
    uint256 private constant HIDING = 0x7a6b696e6665722e6173686c61722e3102;
    uint256 private constant HASHED = 1;
    uint256 private constant MAX_WORDS = 768; // one more than fit into the code of a contract
    uint256 private constant HEAD_WORDS = 5; // header and tau*G2
    uint256 private constant MAX_RANK = 8;
    uint256 private constant MAX_BITS = 24; // of a box
    uint256 private constant INPUT_BYTES = 8;
    uint256 private constant TABLE_BYTES = 12;
    uint256 private constant HIDDEN_BYTES = 8;
    uint256 private constant OUTPUT_BYTES = 4;
    uint256 private constant DIM_BYTES = 5;
    uint256 private constant TERM_BYTES = 8;
    uint256 private constant AXIS_BYTES = 16;
    uint256 private constant KINDS_OF_TABLES = 5;
    uint256 private constant CLAMP_U = 1;
    uint256 private constant CLAMP_S = 2;
    uint256 private constant STORED = 3;

    /// @notice The key is of a profile that this contract does not verify: 2 hides inputs and activations.
    error ProfileUnsupported(uint256 profile);

    /// @notice The facts about a key; reverts with MalformedKey if it is not one.
    /// @param words The key.
    /// @param layout_ The layout to check the key against.
    function inspect(bytes32[] memory words, Layout calldata layout_) internal view returns (KeyFacts memory) {
        bool fits = isLayoutOf(parse(words), layout_);
        bytes32 setup;
        bool good;
        // SHA-256 of words 1 to 4, which every key that was parsed has.
        assembly ("memory-safe") {
            good := staticcall(gas(), 2, add(words, 0x40), 0x80, 0x00, 0x20)
            good := and(good, eq(returndatasize(), 0x20))
            setup := mload(0x00)
        }
        if (!good) revert IInferenceVerifier.MalformedKey();
        return KeyFacts({digest: CodeStore.digest(words), setup: setup, fits: fits});
    }

    /// @notice Whether the statements of a key have this layout.
    /// @param key The key.
    /// @param layout_ The layout.
    function isLayoutOf(AshlarKey memory key, Layout calldata layout_) internal pure returns (bool same) {
        (uint256 mode, uint256 width, uint256 inputs, uint256 outputs) =
            (key.mode, key.inputWidth, key.inputs, key.outputs);
        assembly ("memory-safe") {
            same := and(eq(calldataload(layout_), mode), eq(calldataload(add(layout_, 0x20)), width))
            same := and(same, eq(calldataload(add(layout_, 0x40)), inputs))
            same := and(same, eq(calldataload(add(layout_, 0x60)), outputs))
        }
    }

    /// @notice How many bytes every proof under a key has.
    /// @param key The key.
    function proofBytes(AshlarKey memory key) internal pure returns (uint256) {
        unchecked {
            uint256 points = key.chunksX + key.chunksP + key.chunksH + 3; // the opening has three
            uint256 scalars = 3 * key.roundsA + 2 * key.nB + 5 + valuesOf(key); // b*, and four of the opening
            return 64 * points + 32 * scalars;
        }
    }

    /// @notice How many values at rho every proof under a key has: q r y h1 h2 g m v*, and x and y* if there are such.
    /// @param key The key.
    function valuesOf(AshlarKey memory key) internal pure returns (uint256 count) {
        (uint256 mode, uint256 stored) = (key.mode, key.stored);
        assembly ("memory-safe") {
            count := add(add(8, eq(mode, HASHED)), stored)
        }
    }

    /// @notice Read a key; reverts with MalformedKey if it is not one.
    /// @param words The key.
    function parse(bytes32[] memory words) internal pure returns (AshlarKey memory key) {
        unchecked {
            (uint256 ptr, bool good) = _header(key, words);
            uint256 end = key.words + 32 * words.length;
            if (good) (ptr, good) = _input(key, ptr, end);
            if (good) (ptr, good) = _tables(key, ptr, end);
            uint256 pointer = key.pointers;
            uint256 outputsFrom = pointer + 32 * key.hidden;
            uint256 last = pointer + 32 * key.constraints;
            while (good && pointer != last) {
                pointer += 32;
                _store(pointer, ptr);
                if (pointer > outputsFrom) (ptr, good) = _output(key, ptr, end);
                else (ptr, good) = _hidden(ptr, end);
            }
            // What follows the last record is less than a word, and zero.
            assembly ("memory-safe") {
                let left := sub(end, ptr)
                good := and(good, and(lt(left, 0x20), iszero(shl(sub(256, shl(3, left)), mload(sub(end, 0x20))))))
            }
            if (!good) revert IInferenceVerifier.MalformedKey();
        }
    }

    /// @dev Rule W1, as far as it is about the header. Returns where the program starts.
    function _header(AshlarKey memory key, bytes32[] memory words) private pure returns (uint256 program, bool good) {
        unchecked {
            uint256 header = _load(_start(words));
            (uint256 n, uint256 nT, uint256 c) = (_byte(header, 18), _byte(header, 19), _byte(header, 21));
            (uint256 hidden, uint256 outputs) = (uint16(header >> 48), uint16(header >> 32));
            key.words = _start(words);
            (key.mode, key.n, key.nT) = (_byte(header, 17), n, nT);
            (key.nB, key.c, key.S) = (_byte(header, 20), c, _byte(header, 22));
            (key.tables, key.hidden, key.constraints) = (_byte(header, 23), hidden, hidden + outputs);
            key.chunksF = uint16(header >> 16);
            key.roundsA = n > nT ? n : nT;
            key.coordinates = key.roundsA;
            key.pointers = _allocate(32 * (1 + key.constraints));
            key.spans = _allocate(0);
            if (header >> 120 == HIDING) revert ProfileUnsupported(2);
            uint256 before = HEAD_WORDS + 2 * key.chunksF;
            program = key.words + 32 * before;
            before += uint16(header);
            assembly ("memory-safe") {
                good := and(eq(shr(120, header), PLAIN), eq(mload(words), before))
                good := and(good, and(gt(and(header, 0xffff), 0), lt(before, MAX_WORDS)))
                good := and(good, and(lt(byte(17, header), 3), lt(sub(byte(22, header), 1), 16)))
                good := and(good, and(lt(sub(n, 1), 24), lt(sub(nT, 1), 24)))
                good := and(good, and(lt(sub(c, 4), 21), lt(byte(20, header), 29)))
                good := and(good, and(gt(byte(23, header), 0), gt(outputs, 0)))
            }
        }
    }

    /// @dev The record INPUT; the number of chunks, and rule W2, which needs it.
    function _input(AshlarKey memory key, uint256 ptr, uint256 end) private pure returns (uint256 next, bool good) {
        unchecked {
            uint256 word = _load(ptr);
            _store(key.pointers, ptr);
            uint256 cells;
            (next, cells, good) = _dims(ptr + INPUT_BYTES, _byte(word, 2), _byte(word, 0));
            uint256 box = 1 << _byte(word, 0);
            uint256 need = (3 << key.n) + (1 << key.nT);
            uint256 rest = (1 << key.c) - 1;
            key.chunksP = (need + rest) >> key.c;
            key.chunksH = (need - (1 << key.n) + rest) >> key.c;
            if (key.chunksF << key.c > need) need = key.chunksF << key.c;
            if (key.mode == 0) {
                key.inputs = cells;
            } else {
                key.padded = cells == box ? 0 : 1;
                if (key.mode == HASHED) {
                    (key.inputs, key.inputWidth, key.chunksX) = (1, 32, (box + rest) >> key.c);
                    if (box > need) need = box;
                }
            }
            // The cube of committed entries is the least that holds them, from the size of a chunk on.
            (uint256 size, uint256 least) = (1 << key.nB, 1 << key.c);
            if (least < need) least = need;
            key.tablesAt = next;
            assembly ("memory-safe") {
                good := and(good, and(iszero(byte(3, word)), lt(next, end)))
                good := and(good, and(iszero(lt(size, least)), lt(shr(1, size), least)))
            }
        }
    }

    /// @dev The kinds of all tables, and the encoding of public inputs, which follows from the input's table.
    function _tables(AshlarKey memory key, uint256 ptr, uint256 end) private pure returns (uint256 last, bool good) {
        unchecked {
            uint256 ofInput = ptr + TABLE_BYTES * _byte(_load(_load(key.pointers)), 1);
            last = ptr + TABLE_BYTES * key.tables;
            uint256 stored;
            assembly ("memory-safe") {
                good := and(lt(last, end), lt(ofInput, last))
                for {} lt(ptr, last) { ptr := add(ptr, TABLE_BYTES) } {
                    let kind := byte(0, mload(ptr))
                    good := and(good, lt(kind, KINDS_OF_TABLES))
                    stored := or(stored, eq(kind, STORED))
                }
            }
            key.stored = stored;
            if (key.mode != 0) return (last, good);
            uint256 table = _load(ofInput);
            uint256 signed;
            uint256 width;
            assembly ("memory-safe") {
                let kind := byte(0, table)
                signed := eq(kind, CLAMP_S)
                let bits := add(byte(2, table), signed)
                // 1, 2, 4 or 8 bytes
                width := shl(add(gt(bits, 8), add(gt(bits, 16), gt(bits, 32))), 1)
                good := and(good, and(lt(bits, 65), or(signed, eq(kind, CLAMP_U))))
            }
            (key.signed, key.inputWidth) = (signed, width);
        }
    }

    function _hidden(uint256 ptr, uint256 end) private pure returns (uint256 next, bool good) {
        unchecked {
            uint256 word = _load(ptr);
            if (_byte(word, 0) <= MAX_BITS) (next, good) = _skipTerms(ptr + HIDDEN_BYTES, _byte(word, 3), end);
        }
    }

    function _output(AshlarKey memory key, uint256 ptr, uint256 end) private pure returns (uint256 next, bool good) {
        unchecked {
            uint256 word = _load(ptr);
            uint256 bits = _byte(word, 0);
            uint256 cells;
            (next, cells, good) = _dims(ptr + OUTPUT_BYTES, _byte(word, 2), bits);
            key.outputs += cells;
            if (bits > key.coordinates) key.coordinates = bits;
            if (good) (next, good) = _skipTerms(next, _byte(word, 1), end);
        }
    }

    /// @dev Rule W4, and the product of the sizes.
    function _dims(uint256 ptr, uint256 rank, uint256 bits)
        private
        pure
        returns (uint256 next, uint256 cells, bool good)
    {
        assembly ("memory-safe") {
            good := and(lt(sub(rank, 1), MAX_RANK), iszero(gt(bits, MAX_BITS)))
            next := add(ptr, mul(mul(rank, DIM_BYTES), good))
            cells := 1
            for {} lt(ptr, next) { ptr := add(ptr, DIM_BYTES) } {
                let word := mload(ptr)
                let size := shr(224, word)
                let own := byte(4, word)
                // The least number of bits that hold all indices.
                good := and(good, lt(sub(size, 1), shl(own, 1)))
                good := and(good, gt(add(size, size), shl(own, 1)))
                bits := sub(bits, own)
                cells := mul(cells, size)
            }
            good := and(good, iszero(bits))
        }
    }

    /// @dev The end of a list of terms, which starts before `end`, and whether their kinds are known. The bytes of the spans
    /// in a tile of each, 5 for each axis with weights, are added to the list of the key, which ends at the free memory.
    function _skipTerms(uint256 ptr, uint256 count, uint256 end) private pure returns (uint256 next, bool good) {
        assembly ("memory-safe") {
            let list := mload(0x40)
            good := lt(ptr, end)
            for {} count { count := sub(count, 1) } {
                if iszero(lt(ptr, end)) {
                    good := 0
                    break
                }
                let word := mload(ptr)
                good := and(good, lt(sub(byte(0, word), 1), 3))
                let axis := add(ptr, TERM_BYTES)
                ptr := add(axis, shl(4, byte(1, word)))
                let spans := 0
                if sub(byte(0, word), 2) {
                    if and(byte(1, word), 1) {
                        spans := gt(byte(5, mload(axis)), 0)
                        axis := add(axis, AXIS_BYTES)
                    }
                    for {} sub(ptr, axis) { axis := add(axis, 0x20) } {
                        word := mload(axis) // two axes
                        spans := add(spans, add(gt(byte(5, word), 0), gt(byte(21, word), 0)))
                    }
                    spans := mul(spans, 5)
                    // The number of tiles; a tile is an offset and spans.
                    ptr := add(add(ptr, 2), mul(shr(240, mload(ptr)), add(4, spans)))
                }
                mstore(list, spans)
                list := add(list, 0x20)
            }
            mstore(0x40, list)
            next := ptr
        }
    }

    function _start(bytes32[] memory words) private pure returns (uint256 ptr) {
        assembly ("memory-safe") {
            ptr := add(words, 0x20)
        }
    }

    function _byte(uint256 word, uint256 place) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := byte(place, word)
        }
    }

    function _load(uint256 ptr) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(ptr)
        }
    }

    function _store(uint256 ptr, uint256 word) private pure {
        assembly ("memory-safe") {
            mstore(ptr, word)
        }
    }

    /// @dev Not zeroed: every word is written before it is read.
    function _allocate(uint256 size) private pure returns (uint256 ptr) {
        assembly ("memory-safe") {
            ptr := mload(0x40)
            mstore(0x40, add(ptr, size))
        }
    }
}
