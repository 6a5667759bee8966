// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceVerifier} from "../../interfaces/IInferenceVerifier.sol";
import {Layout, StatementLayout, Visibility} from "../../libraries/StatementLayout.sol";

/// @title How ezkl spreads a statement over the public values (instances) of a Halo2 proof
/// @notice Public inputs: context, inputs, outputs. Hashed inputs: digest of the context, digest of each input, outputs,
/// context. Private inputs: outputs, context. The context is the first 130 bits of the statement's, as five limbs of 26
/// bits. A negative integer -n is the field element r - n; public inputs are read in two's complement.
/// A circuit with hashed inputs also hashes the context, by Poseidon, which is too expensive on a chain. Its digest is
/// the first 32 bytes of the proof; the circuit itself binds the digest to the limbs.
/// The last unit of a division is the prover's choice: the constraints accept the floor as well as the ceiling, and
/// later layers multiply that unit. Act on an output only if it is further from a threshold than a prover can move it;
/// see Outputs.argmaxWithMargin.
/// @dev Must agree with zkinfer.circuits.engines.ezkl.instances; shared test vectors check both.
library InstanceLayout {
    /// @notice The order of the scalar field of BN254.
    uint256 internal constant MODULUS = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;
    uint256 internal constant LIMBS = 5;
    uint256 private constant LIMB_BITS = 26;
    uint256 private constant LIMB_MASK = 0x3ffffff;
    uint256 private constant DIGEST_BYTES = 32;

    /// @notice The digest is not below the modulus, so it is not a canonical field element.
    error NotCanonical(uint256 digest);

    /// @notice How many public values every proof of a layout has.
    /// @param layout_ The layout.
    function count(Layout calldata layout_) internal pure returns (uint256) {
        uint256 own = layout_.visibility == Visibility.Hashed ? LIMBS + 1 : LIMBS;
        return own + layout_.inputs + layout_.outputs;
    }

    /// @notice The Halo2 proof without the digest of the context, which the proof of a hashed circuit starts with.
    /// @param layout_ The layout.
    /// @param proof The proof as `verify` takes it.
    function halo2Proof(Layout calldata layout_, bytes calldata proof) internal pure returns (bytes calldata) {
        if (layout_.visibility != Visibility.Hashed) return proof;
        if (proof.length < DIGEST_BYTES) revert IInferenceVerifier.ProofRejected();
        return proof[DIGEST_BYTES:];
    }

    /// @notice The public values of a proof of a statement, in the order of the transcript.
    /// @param layout_ The layout of the statement.
    /// @param context The context.
    /// @param inputs The packed inputs; the layout's length.
    /// @param outputs The outputs; the layout's number.
    /// @param proof The proof as `verify` takes it, for the digest of the context.
    function instancesOf(
        Layout calldata layout_,
        bytes32 context,
        bytes calldata inputs,
        int256[] calldata outputs,
        bytes calldata proof
    ) internal pure returns (uint256[] memory instances) {
        StatementLayout.requirePossible(layout_);
        StatementLayout.requireSizes(layout_, inputs, outputs);
        instances = _allocate(count(layout_));
        uint256 outputsAt;
        uint256 contextAt;
        if (layout_.visibility == Visibility.Public) {
            _writeIntegers(instances, LIMBS, inputs, layout_.inputWidth);
            outputsAt = LIMBS + layout_.inputs;
        } else if (layout_.visibility == Visibility.Hashed) {
            if (proof.length < DIGEST_BYTES) revert IInferenceVerifier.ProofRejected();
            _writeDigests(instances, 0, proof[:DIGEST_BYTES]);
            _writeDigests(instances, 1, inputs);
            outputsAt = 1 + layout_.inputs;
            contextAt = outputsAt + layout_.outputs;
        } else {
            contextAt = layout_.outputs;
        }
        _writeOutputs(instances, outputsAt, outputs);
        _writeLimbs(instances, contextAt, context);
    }

    /// @notice One of the five limbs of a context, most significant first.
    /// @param context The context.
    /// @param place Its index, from 0.
    function limb(bytes32 context, uint256 place) internal pure returns (uint256) {
        unchecked {
            return (uint256(context) >> (256 - LIMB_BITS * (place + 1))) & LIMB_MASK; // `place` is below five
        }
    }

    /// @dev Skips the compiler's zeroing: every value is written later.
    function _allocate(uint256 length) private pure returns (uint256[] memory values) {
        assembly ("memory-safe") {
            values := mload(0x40)
            mstore(values, length)
            mstore(0x40, add(values, shl(5, add(length, 1))))
        }
    }

    function _writeLimbs(uint256[] memory instances, uint256 start, bytes32 context) private pure {
        unchecked {
            for (uint256 place = 0; place < LIMBS; ++place) {
                instances[start + place] = limb(context, place);
            }
        }
    }

    function _writeIntegers(uint256[] memory instances, uint256 start, bytes calldata inputs, uint256 width)
        private
        pure
    {
        uint256 modulus = MODULUS;
        assembly ("memory-safe") {
            let to := add(instances, shl(5, add(start, 1)))
            let shift := sub(256, shl(3, width))
            let end := add(inputs.offset, inputs.length)
            for { let from := inputs.offset } lt(from, end) { from := add(from, width) } {
                let value := sar(shift, calldataload(from))
                mstore(to, add(value, mul(modulus, slt(value, 0))))
                to := add(to, 0x20)
            }
        }
    }

    function _writeOutputs(uint256[] memory instances, uint256 start, int256[] calldata outputs) private pure {
        int256 limit = StatementLayout.OUTPUT_LIMIT;
        uint256 modulus = MODULUS;
        int256 value;
        bool outside;
        assembly ("memory-safe") {
            let to := add(instances, shl(5, add(start, 1)))
            let end := add(outputs.offset, shl(5, outputs.length))
            for { let from := outputs.offset } lt(from, end) { from := add(from, 0x20) } {
                value := calldataload(from)
                if iszero(and(slt(value, limit), sgt(value, sub(0, limit)))) {
                    outside := 1
                    break
                }
                mstore(to, add(value, mul(modulus, slt(value, 0))))
                to := add(to, 0x20)
            }
        }
        if (outside) revert IInferenceVerifier.OutputOutOfRange(value);
    }

    function _writeDigests(uint256[] memory instances, uint256 start, bytes calldata digests) private pure {
        for (uint256 from = 0; from < digests.length; from += DIGEST_BYTES) {
            uint256 digest = uint256(bytes32(digests[from:from + DIGEST_BYTES]));
            if (digest >= MODULUS) revert NotCanonical(digest);
            instances[start++] = digest;
        }
    }
}
