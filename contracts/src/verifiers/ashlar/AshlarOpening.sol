// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceVerifier} from "../../interfaces/IInferenceVerifier.sol";
import {AshlarKernels, LIST, ORDER, plus, times} from "./AshlarKernels.sol";
import {AshlarKey} from "./AshlarKeys.sol";
import {AshlarPoints, AshlarProgram} from "./AshlarProgram.sol";
import {AshlarTranscript, Transcript} from "./AshlarTranscript.sol";

/// @notice What the two linear combinations need.
/// @param fixed_ K_F, the weight of the weights.
/// @param input K_X.
/// @param cells K_P.
/// @param helpers K_H.
struct Weights {
    uint256 fixed_;
    uint256 input;
    uint256 cells;
    uint256 helpers;
}

/// @title The opening of all commitments at one point
/// @notice Section 9 of docs/ashlar: a Laurent inner product, and one pairing.
library AshlarOpening {
    using AshlarTranscript for Transcript;

    uint256 private constant Q = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;
    uint256 private constant EC_ADD = 6;
    uint256 private constant EC_MUL = 7;
    uint256 private constant PAIRING = 8;
    /// @dev Where W and W' lie behind S: four scalars are between.
    uint256 private constant QUOTIENT = 0xc0;
    uint256 private constant QUOTIENT_2 = 0x100;
    uint256 private constant HEAD_WORDS = 5; // of the key: header and tau*G2
    uint256 private constant HASHED = 1;

    /// @notice Steps 10 to 15. The outcome is in the flag of the transcript; reverts with ProofRejected if a point is none.
    /// @param key The key.
    /// @param points The points.
    /// @param transcript The transcript, before message 7.
    /// @param fixed_ K_F(sigma).
    /// @param commitments Where the commitments start in the calldata.
    /// @param claim The last claim of the second sumcheck.
    function check(
        AshlarKey memory key,
        AshlarPoints memory points,
        Transcript memory transcript,
        uint256 fixed_,
        uint256 commitments,
        uint256 claim
    ) internal view {
        unchecked {
            uint256 messages = transcript.ptr;
            uint256 zeta = transcript.absorb(64);
            uint256 scalars = transcript.scalars(4);
            uint256 batch = transcript.absorb(32 * 4);
            uint256 z = transcript.absorb(64);
            (uint256 line, uint256 zeros) = _line(key, points, transcript, scalars, zeta, batch, z, claim);
            // The sum of step 14, from its last term.
            uint256 sum = AshlarTranscript.allocate(0x180);
            _first(sum, messages + QUOTIENT_2, z);
            _addFromCalldata(sum, messages + QUOTIENT, ORDER - zeros);
            _addFromCalldata(sum, messages, batch);
            _addPoint(sum, 1, 2, ORDER - line);
            _addChunks(key, points, sum, fixed_, commitments);
            if (!_pairing(sum, key.words + 0x20, messages + QUOTIENT_2)) transcript.good = false;
        }
    }

    /// @dev Steps 11 to 13: l_z and the zeros at z.
    function _line(
        AshlarKey memory key,
        AshlarPoints memory points,
        Transcript memory transcript,
        uint256 scalars,
        uint256 zeta,
        uint256 batch,
        uint256 z,
        uint256 claim
    ) private pure returns (uint256 line, uint256 zeros) {
        unchecked {
            uint256 hint = _load(scalars + 32 * 3);
            uint256 square = times(zeta, zeta);
            uint256 inverse = times(hint, square + ORDER - 1);
            if (times(inverse, zeta) != 1) transcript.good = false;
            (uint256 atInverse, uint256 atZeta) = _power(points.sigma, key.c, inverse, zeta);
            (uint256 f0, uint256 f1, uint256 s0) = (_load(scalars), _load(scalars + 32), _load(scalars + 64));
            uint256 s1 = plus(times(f0, atInverse), times(f1, atZeta));
            s1 = plus(s1, 2 * (ORDER - claim));
            s1 = times(zeta, s1 + ORDER - times(zeta, s0));
            uint256 y0 = plus(f0, times(batch, s0));
            uint256 y1 = plus(f1, times(batch, s1));
            uint256 slope = times(y0 + ORDER - y1, times(hint, square));
            uint256 distance = z + ORDER - zeta;
            line = plus(y0, times(slope, distance));
            zeros = times(distance, z + ORDER - inverse);
        }
    }

    /// @dev p at two places: the product of 1 - sigma_j + sigma_j x^(2^j).
    function _power(uint256 sigma, uint256 count, uint256 x, uint256 y) private pure returns (uint256 px, uint256 py) {
        assembly ("memory-safe") {
            px := 1
            py := 1
            for { let end := add(sigma, shl(5, count)) } lt(sigma, end) { sigma := add(sigma, 0x20) } {
                let zero := mload(sigma)
                let one := mload(add(sigma, LIST))
                px := mulmod(px, add(zero, mulmod(one, x, ORDER)), ORDER)
                py := mulmod(py, add(zero, mulmod(one, y, ORDER)), ORDER)
                x := mulmod(x, x, ORDER)
                y := mulmod(y, y, ORDER)
            }
        }
    }

    /// @dev Step 10: the weights of the committed polynomials.
    function _weights(AshlarKey memory key, AshlarPoints memory points, uint256 fixed_)
        private
        pure
        returns (Weights memory weights)
    {
        unchecked {
            (uint256 n, uint256 nT, uint256 deltas) = (key.n, key.nT, points.deltas);
            // The block of rows comes first if it is the largest, else last.
            bool rowsFirst = nT > n;
            uint256 place = rowsFirst ? 1 << (nT - n) : 0;
            uint256 high = points.sigma + 32 * n;
            uint256 count = key.nB - n;
            uint256 first = AshlarKernels.selected(high, count, place);
            uint256 second = AshlarKernels.selected(high, count, place + 1);
            uint256 third = AshlarKernels.selected(high, count, place + 2);
            uint256 cells = times(_load(deltas + 32 * 2), first);
            cells = plus(cells, times(_load(deltas + 32 * 3), second));
            cells = plus(cells, times(_load(deltas + 32 * 4), third));
            uint256 helpers = times(_load(deltas + 32 * 5), first);
            helpers = plus(helpers, times(_load(deltas + 32 * 6), second));
            uint256 equal = _load(points.equalSigma + 32 * n);
            (cells, helpers) = (times(cells, equal), times(helpers, equal));
            high = points.sigma + 32 * nT;
            count = key.nB - nT;
            equal = _load(points.equalSigma + 32 * nT);
            uint256 rows = times(_load(deltas + 32 * 8), equal);
            place = rowsFirst ? 0 : 3 << (n - nT);
            weights.cells = plus(cells, times(rows, AshlarKernels.selected(high, count, place)));
            rows = times(_load(deltas + 32 * 7), equal);
            place = rowsFirst ? 0 : 2 << (n - nT);
            weights.helpers = plus(helpers, times(rows, AshlarKernels.selected(high, count, place)));
            weights.fixed_ = fixed_;
            if (key.mode == HASHED) weights.input = _inputWeight(key, points);
        }
    }

    function _inputWeight(AshlarKey memory key, AshlarPoints memory points) private pure returns (uint256 weight) {
        unchecked {
            uint256 bits = _load(_load(key.pointers)) >> 248;
            weight = AshlarKernels.selected(points.sigma + 32 * bits, key.nB - bits, 0);
            weight = times(weight, _load(points.equalSigma + 32 * bits));
            weight = times(weight, _load(points.deltas + 32 * 9));
        }
    }

    /// @dev Add C_f: chunk k of a polynomial has its weight times eq(bits of k, the high coordinates of sigma).
    function _addChunks(
        AshlarKey memory key,
        AshlarPoints memory points,
        uint256 sum,
        uint256 fixed_,
        uint256 commitments
    ) private view {
        unchecked {
            Weights memory weights = _weights(key, points, fixed_);
            uint256 ofKey = key.words + 32 * HEAD_WORDS;
            uint256 ofCells = commitments + 64 * key.chunksX;
            uint256 ofHelpers = ofCells + 64 * key.chunksP;
            uint256 count = key.chunksP; // at least as many as helpers have
            if (key.chunksX > count) count = key.chunksX;
            if (key.chunksF > count) count = key.chunksF;
            for (uint256 chunk = 0; chunk != count; ++chunk) {
                uint256 equal = AshlarProgram.selectedAbove(points, key.c, key.nB, chunk << key.c);
                if (chunk < key.chunksF) {
                    (uint256 x, uint256 y) = (_load(ofKey + 64 * chunk), _load(ofKey + 64 * chunk + 32));
                    _addPoint(sum, x, y, times(weights.fixed_, equal));
                }
                if (chunk < key.chunksX) {
                    _addFromCalldata(sum, commitments + 64 * chunk, times(weights.input, equal));
                }
                if (chunk < key.chunksP) {
                    _addFromCalldata(sum, ofCells + 64 * chunk, times(weights.cells, equal));
                }
                if (chunk < key.chunksH) {
                    _addFromCalldata(sum, ofHelpers + 64 * chunk, times(weights.helpers, equal));
                }
            }
        }
    }

    /// @dev `sum` := scalar times a point of the calldata. A precompile that fails, or is missing, may leave the memory of
    /// its answer as it was, so the size of the answer is checked too. One that refuses a point uses up the gas it is given,
    /// nearly all: the rest suffices for the error, not to go on.
    function _first(uint256 sum, uint256 from, uint256 scalar) private view {
        bool good;
        assembly ("memory-safe") {
            calldatacopy(sum, from, 0x40)
            mstore(add(sum, 0x40), scalar)
            good := staticcall(gas(), EC_MUL, sum, 0x60, sum, 0x40)
            good := and(good, eq(returndatasize(), 0x40))
        }
        if (!good) revert IInferenceVerifier.ProofRejected();
    }

    function _addFromCalldata(uint256 sum, uint256 from, uint256 scalar) private view {
        uint256 x;
        uint256 y;
        assembly ("memory-safe") {
            x := calldataload(from)
            y := calldataload(add(from, 0x20))
        }
        _addPoint(sum, x, y, scalar);
    }

    /// @dev `sum` := sum + scalar (x, y).
    function _addPoint(uint256 sum, uint256 x, uint256 y, uint256 scalar) private view {
        bool good;
        assembly ("memory-safe") {
            let term := add(sum, 0x40)
            mstore(term, x)
            mstore(add(term, 0x20), y)
            mstore(add(term, 0x40), scalar)
            good := staticcall(gas(), EC_MUL, term, 0x60, term, 0x40)
            good := and(good, eq(returndatasize(), 0x40))
            good := and(good, staticcall(gas(), EC_ADD, sum, 0x80, sum, 0x40))
            good := and(good, eq(returndatasize(), 0x40))
        }
        if (!good) revert IInferenceVerifier.ProofRejected();
    }

    /// @dev e(sum, [1]_2) = e(W', [tau]_2). `sum` is followed by room for ten more words.
    function _pairing(uint256 sum, uint256 tau, uint256 quotient) private view returns (bool good) {
        assembly ("memory-safe") {
            mstore(add(sum, 0x40), 0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2)
            mstore(add(sum, 0x60), 0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed)
            mstore(add(sum, 0x80), 0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b)
            mstore(add(sum, 0xa0), 0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa)
            mstore(add(sum, 0xc0), calldataload(quotient))
            // The negative of infinity, which is 64 zero bytes, is infinity.
            let y := calldataload(add(quotient, 0x20))
            mstore(add(sum, 0xe0), mul(sub(Q, y), iszero(iszero(y))))
            mcopy(add(sum, 0x100), tau, 0x80)
            good := staticcall(gas(), PAIRING, sum, 0x180, sum, 0x20)
            good := and(good, eq(returndatasize(), 0x20))
            good := and(good, eq(mload(sum), 1))
        }
    }

    function _load(uint256 ptr) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(ptr)
        }
    }
}
