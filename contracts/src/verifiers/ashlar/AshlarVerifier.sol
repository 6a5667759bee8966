// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Canary, IInferenceVerifier, KeyFacts} from "../../interfaces/IInferenceVerifier.sol";
import {CanonicalCalldata} from "../../libraries/CanonicalCalldata.sol";
import {CodeStore} from "../../libraries/CodeStore.sol";
import {Layout, StatementLayout, Visibility} from "../../libraries/StatementLayout.sol";
import {AshlarCanary} from "./AshlarCanary.sol";
import {AshlarKernels, ORDER, POINT, plus, times} from "./AshlarKernels.sol";
import {AshlarKey, AshlarKeys} from "./AshlarKeys.sol";
import {AshlarOpening} from "./AshlarOpening.sol";
import {AshlarPoints, AshlarProgram, AshlarValues} from "./AshlarProgram.sol";
import {AshlarStatement} from "./AshlarStatement.sol";
import {AshlarTranscript, Transcript} from "./AshlarTranscript.sol";

/// @title The verifier of Ashlar, for all networks
/// @notice EXPERIMENTAL: Ashlar is an experimental proof system. It has not been audited. Do not let value depend on it
/// alone. Proofs of its plain profile, the only one that this contract verifies, are not zero-knowledge: weights, inputs
/// and intermediate values can be learned from them.
/// It reads the program from the key, and interprets it. All bits of the context are bound. Outputs are exact: rounding is
/// part of the proven function, so a prover has no choice in the last bit.
/// @dev docs/ashlar is the specification; steps are those of its section 7.1. One flag is combined with every check of
/// the proof, and read once at the end.
contract AshlarVerifier is IInferenceVerifier {
    using AshlarTranscript for Transcript;

    /// @inheritdoc IInferenceVerifier
    bytes4 public constant override selector = bytes4(keccak256("ashlar-1-kzg-bn254"));

    uint256 private constant HASHED = 1;
    uint256 private constant CLAIMS = 11; // of the second sumcheck

    /// @notice The contract whose code holds the canary's key.
    address public immutable CANARY_KEY;
    /// @notice The digest of the canary's key.
    bytes32 public immutable CANARY_DIGEST;

    /// @notice Stores the canary's key.
    constructor() {
        bytes32[] memory words = AshlarCanary.key();
        (CANARY_KEY, CANARY_DIGEST) = (CodeStore.write(words), CodeStore.digest(words));
    }

    /// @inheritdoc IInferenceVerifier
    function verify(
        bytes32 keyDigest,
        address key,
        Layout calldata layout_,
        bytes32 context,
        bytes calldata inputs,
        int256[] calldata outputs,
        bytes calldata proof
    ) external view override {
        CanonicalCalldata.requireWhole(inputs, outputs, proof, 0x140);
        bytes32[] memory words = CodeStore.read(key);
        bytes32 actual = CodeStore.digest(words);
        if (actual != keyDigest) revert KeyMismatch(keyDigest, actual);
        AshlarKey memory parsed = AshlarKeys.parse(words);
        if (!AshlarKeys.isLayoutOf(parsed, layout_)) revert LayoutMismatch();
        _requireSizes(parsed, inputs, outputs);
        if (proof.length != AshlarKeys.proofBytes(parsed)) revert ProofRejected();
        Transcript memory transcript = AshlarTranscript.start(proof, _longest(parsed, inputs, outputs));
        transcript.seed(keyDigest, context, inputs, outputs);
        _verify(parsed, transcript, inputs, outputs);
        if (!transcript.good) revert ProofRejected();
    }

    /// @inheritdoc IInferenceVerifier
    function prepare(address key) external view override {
        AshlarKeys.parse(CodeStore.read(key));
    }

    /// @inheritdoc IInferenceVerifier
    function inspect(address key, Layout calldata layout_) external view override returns (KeyFacts memory) {
        return AshlarKeys.inspect(CodeStore.read(key), layout_);
    }

    /// @inheritdoc IInferenceVerifier
    function canary() external view override returns (Canary memory) {
        return Canary(CANARY_DIGEST, CANARY_KEY, Layout(Visibility.Public, 1, 1, 1));
    }

    /// @inheritdoc IInferenceVerifier
    function live() external pure override returns (bool) {
        return true;
    }

    /// @inheritdoc IInferenceVerifier
    function isImpossible(bytes calldata inputs, int256[] calldata outputs) external pure override returns (bool) {
        return AshlarCanary.isImpossible(inputs, outputs);
    }

    /// @dev StatementLayout.requireSizes for the layout of the key.
    function _requireSizes(AshlarKey memory key, bytes calldata inputs, int256[] calldata outputs) private pure {
        unchecked {
            uint256 size = key.inputs * key.inputWidth;
            if (inputs.length != size) revert StatementLayout.InputLengthMismatch(size, inputs.length);
            if (outputs.length != key.outputs) {
                revert StatementLayout.OutputCountMismatch(key.outputs, outputs.length);
            }
        }
    }

    function _verify(
        AshlarKey memory key,
        Transcript memory transcript,
        bytes calldata inputs,
        int256[] calldata outputs
    ) private view {
        unchecked {
            AshlarPoints memory points;
            uint256 commitments = transcript.ptr;
            uint256 beta = _commitments(key, points, transcript, inputs);
            // Step 6: message 3 is the sum of the biases.
            uint256 bStar = transcript.scalar(0);
            transcript.absorb(32);
            uint256 claim = _firstClaim(key, points, bStar, inputs, outputs);
            // Step 7
            points.rho = AshlarTranscript.allocate(POINT);
            claim = transcript.rounds(points.rho, key.roundsA, true, claim);
            // Steps 8 and 9: message 5 is the values at rho.
            uint256 count = AshlarKeys.valuesOf(key);
            uint256 values = transcript.scalars(count);
            points.deltas = AshlarTranscript.powers(transcript.absorb(32 * count), CLAIMS);
            uint256 second = _secondClaim(key, points, bStar, values);
            points.sigma = AshlarTranscript.allocate(POINT);
            second = transcript.rounds(points.sigma, key.nB, false, second);
            _prefixes(key, points);
            AshlarValues memory evaluated = AshlarProgram.evaluate(key, points);
            if (claim != _finalValue(key, points, evaluated, beta, values)) transcript.good = false;
            // Steps 10 to 15
            AshlarOpening.check(key, points, transcript, evaluated.weights, commitments, second);
        }
    }

    /// @dev Step 5: messages 1 and 2, the commitments; what they determine.
    function _commitments(
        AshlarKey memory key,
        AshlarPoints memory points,
        Transcript memory transcript,
        bytes calldata inputs
    ) private pure returns (uint256 beta) {
        unchecked {
            if (key.mode == HASHED && transcript.hash(64 * key.chunksX) != uint256(bytes32(inputs))) {
                transcript.good = false;
            }
            points.alpha = transcript.absorb(64 * (key.chunksX + key.chunksP));
            beta = transcript.next();
            uint256 gamma = transcript.absorb(64 * key.chunksH);
            points.gammas = AshlarTranscript.powers(gamma, key.constraints + 6);
            points.tau = AshlarTranscript.allocate(POINT);
            uint256 end = points.tau + 32 * key.coordinates;
            for (uint256 ptr = points.tau; ptr != end; ptr += 32) {
                AshlarKernels.setCoordinate(ptr, transcript.next());
            }
            points.t = transcript.next();
        }
    }

    /// @dev The claim of the first sumcheck.
    function _firstClaim(
        AshlarKey memory key,
        AshlarPoints memory points,
        uint256 bStar,
        bytes calldata inputs,
        int256[] calldata outputs
    ) private pure returns (uint256 claim) {
        unchecked {
            uint256 gammas = points.gammas;
            uint256 hidden;
            uint256 end = gammas + 32 * key.hidden;
            for (uint256 ptr = gammas; ptr != end; ptr += 32) {
                hidden = plus(hidden, _load(ptr));
            }
            claim = plus(bStar, times(hidden, 1 << (key.S - 1)));
            claim = plus(claim, ORDER - AshlarStatement.outputSum(key, points, outputs));
            gammas += 32 * key.constraints;
            if (key.mode == 0) {
                uint256 given = AshlarStatement.inputSum(key, points.t, inputs);
                claim = plus(claim, times(_load(gammas), given));
            }
            claim = plus(claim, _load(gammas + 32 * 3) + _load(gammas + 32 * 4));
        }
    }

    /// @dev The claim of the second sumcheck: v*, b*, the seven columns, and x and y* if there are such.
    function _secondClaim(AshlarKey memory key, AshlarPoints memory points, uint256 bStar, uint256 values)
        private
        pure
        returns (uint256 claim)
    {
        unchecked {
            uint256 deltas = points.deltas;
            claim = plus(_load(values + 32 * 7), times(_load(deltas + 32), bStar));
            for (uint256 place = 0; place != 7; ++place) {
                uint256 power = _load(deltas + 32 * (place + 2));
                claim = plus(claim, times(power, _load(values + 32 * place)));
            }
            values += 32 * 8;
            if (key.mode == HASHED) {
                claim = plus(claim, times(_load(deltas + 32 * 9), _load(values)));
                values += 32;
            }
            if (key.stored != 0) claim = plus(claim, times(_load(deltas + 32 * 10), _load(values)));
        }
    }

    /// @dev Products and sums over the low coordinates that several formulas share.
    function _prefixes(AshlarKey memory key, AshlarPoints memory points) private pure {
        unchecked {
            uint256 count = key.roundsA;
            points.equalRho = AshlarTranscript.allocate(32 * (count + 1));
            AshlarKernels.equalPrefixes(points.rho, points.tau, count, points.equalRho);
            points.equalSigma = AshlarTranscript.allocate(32 * (count + 1));
            AshlarKernels.equalPrefixes(points.rho, points.sigma, count, points.equalSigma);
            count = key.nT < 16 ? key.nT : 16;
            points.lows = AshlarTranscript.allocate(32 * (count + 1));
            AshlarKernels.lowSums(points.rho, count, points.lows);
            points.selectors = AshlarTranscript.allocate(32 * (key.hidden + 1));
            AshlarProgram.prepare(key, points);
        }
    }

    /// @dev What the last claim of the first sumcheck has to be.
    function _finalValue(
        AshlarKey memory key,
        AshlarPoints memory points,
        AshlarValues memory evaluated,
        uint256 beta,
        uint256 values
    ) private pure returns (uint256) {
        unchecked {
            uint256 gammas = points.gammas + 32 * (key.constraints + 2);
            uint256 cells = _cellsValue(key, points, evaluated, beta, values, gammas);
            // g (beta - T) - m
            uint256 row = evaluated.row;
            if (key.stored != 0) {
                uint256 y = _load(values + (key.mode == HASHED ? 32 * 9 : 32 * 8));
                row = plus(row, times(points.alpha, y));
            }
            uint256 g = _load(values + 32 * 5);
            row = times(g, beta + ORDER - row) + ORDER - _load(values + 32 * 6);
            uint256 factor = times(_load(gammas + 32 * 3), _load(points.equalRho + 32 * key.nT));
            uint256 rows = plus(times(factor, row), ORDER - times(_load(gammas), g));
            // Each part lives on the cube that it needs.
            uint256 rounds = key.roundsA;
            cells = times(cells, AshlarKernels.selected(points.rho + 32 * key.n, rounds - key.n, 0));
            rows = times(rows, AshlarKernels.selected(points.rho + 32 * key.nT, rounds - key.nT, 0));
            return plus(cells, rows);
        }
    }

    /// @dev G_X; `gammas` points to the power for the sum of the lookups.
    function _cellsValue(
        AshlarKey memory key,
        AshlarPoints memory points,
        AshlarValues memory evaluated,
        uint256 beta,
        uint256 values,
        uint256 gammas
    ) private pure returns (uint256 cells) {
        unchecked {
            (uint256 q, uint256 r, uint256 y) = (_load(values), _load(values + 32), _load(values + 64));
            (uint256 h1, uint256 h2) = (_load(values + 32 * 3), _load(values + 32 * 4));
            cells = times(evaluated.cells, plus(times(q, 1 << key.S), r));
            uint256 factor = plus(evaluated.given, 2 * ORDER - _load(values + 32 * 7) - evaluated.linear);
            cells = plus(cells, times(factor, y));
            if (key.mode == HASHED) {
                factor = times(evaluated.same, _load(values + 32 * 8));
                cells = plus(cells, ORDER - factor);
            }
            cells = plus(cells, times(_load(gammas), h1 + h2));
            // 1 / h1 and 1 / h2 are the fingerprints of the two lookups, subtracted from beta.
            uint256 print = times(points.alpha, plus(y, times(points.alpha, evaluated.tag)));
            factor = times(h1, beta + 2 * ORDER - q - print);
            uint256 lookups = times(_load(gammas + 32), factor);
            factor = times(h2, beta + ORDER - r);
            lookups = plus(lookups, times(_load(gammas + 64), factor));
            cells = plus(cells, times(_load(points.equalRho + 32 * key.n), lookups));
        }
    }

    /// @dev The size of the longest message, or of the statement.
    function _longest(AshlarKey memory key, bytes calldata inputs, int256[] calldata outputs)
        private
        pure
        returns (uint256)
    {
        unchecked {
            return 64 * (key.chunksX + key.chunksP) + 32 * outputs.length + inputs.length + 0x200;
        }
    }

    function _load(uint256 ptr) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(ptr)
        }
    }
}
