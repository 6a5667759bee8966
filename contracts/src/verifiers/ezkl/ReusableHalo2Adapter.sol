// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Canary, IInferenceVerifier, KeyFacts} from "../../interfaces/IInferenceVerifier.sol";
import {CanonicalCalldata} from "../../libraries/CanonicalCalldata.sol";
import {CodeStore} from "../../libraries/CodeStore.sol";
import {Layout, Visibility} from "../../libraries/StatementLayout.sol";
import {EzklCall} from "./EzklCall.sol";
import {EzklVerifierCodeHash} from "./EzklVerifierCodeHash.sol";
import {EzklVerifyingKey} from "./EzklVerifyingKey.sol";
import {IEzklReusableVerifier} from "./IEzklHalo2Verifier.sol";
import {InstanceLayout} from "./InstanceLayout.sol";

/// @title One generated verifier for all circuits of ezkl
/// @notice Reads the key from code, builds the public values from the statement (see InstanceLayout), encodes both again
/// for the generated verifier, and compares the digest of the key that was used with the requested one.
/// It binds the first 130 bits of the context. Its outputs have a tolerance: see InstanceLayout.
/// @dev The canary is the circuit of y = max(x, 0) for one number. Its statements are written with eight bytes for x,
/// the widest: a key does not fix the width.
contract ReusableHalo2Adapter is IInferenceVerifier {
    /// @inheritdoc IInferenceVerifier
    bytes4 public constant override selector = bytes4(keccak256("ezkl-23.0.5-halo2-kzg-bn254-v1"));
    uint8 private constant CANARY_WIDTH = 8;

    /// @notice The generated verifier.
    IEzklReusableVerifier public immutable HALO2;
    /// @notice The contract whose code holds the canary's key.
    address public immutable CANARY_KEY;
    /// @notice The digest of the canary's key.
    bytes32 public immutable CANARY_DIGEST;

    /// @notice The contract is not the generated verifier that this release pins.
    error WrongCode(bytes32 expected, bytes32 actual);
    /// @notice The canary's key is malformed, has another digest, or is not of a circuit with one input and one output.
    error NotACanary();

    /// @param halo2 The generated verifier.
    /// @param canaryKey The contract whose code holds the canary's key.
    /// @param canaryDigest The digest of that key.
    constructor(address halo2, address canaryKey, bytes32 canaryDigest) {
        if (halo2.codehash != EzklVerifierCodeHash.CODE_HASH) {
            revert WrongCode(EzklVerifierCodeHash.CODE_HASH, halo2.codehash);
        }
        bytes32[] memory words = CodeStore.read(canaryKey);
        if (!EzklVerifyingKey.isWellFormed(words) || CodeStore.digest(words) != canaryDigest) revert NotACanary();
        if (EzklVerifyingKey.instanceCount(words) != InstanceLayout.LIMBS + 2) revert NotACanary();
        HALO2 = IEzklReusableVerifier(halo2);
        CANARY_KEY = canaryKey;
        CANARY_DIGEST = canaryDigest;
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
        CanonicalCalldata.requireStatement(inputs, outputs, proof, 0x140);
        uint256[] memory instances = InstanceLayout.instancesOf(layout_, context, inputs, outputs, proof);
        _verify(keyDigest, CodeStore.read(key), instances, InstanceLayout.halo2Proof(layout_, proof));
    }

    /// @inheritdoc IInferenceVerifier
    function prepare(address key) external override {
        bytes32[] memory words = CodeStore.read(key);
        if (!EzklVerifyingKey.isWellFormed(words)) revert MalformedKey();
        HALO2.registerVka(words);
    }

    /// @inheritdoc IInferenceVerifier
    function inspect(address key, Layout calldata layout_) external view override returns (KeyFacts memory) {
        return EzklVerifyingKey.inspect(CodeStore.read(key), layout_);
    }

    /// @inheritdoc IInferenceVerifier
    function canary() external view override returns (Canary memory) {
        return Canary(CANARY_DIGEST, CANARY_KEY, Layout(Visibility.Public, CANARY_WIDTH, 1, 1));
    }

    /// @inheritdoc IInferenceVerifier
    function live() external pure override returns (bool) {
        return true;
    }

    /// @inheritdoc IInferenceVerifier
    function isImpossible(bytes calldata inputs, int256[] calldata outputs) external pure override returns (bool) {
        if (inputs.length != CANARY_WIDTH || outputs.length != 1) return false;
        int256 x = int64(uint64(bytes8(inputs)));
        return outputs[0] != (x > 0 ? x : int256(0));
    }

    function _verify(bytes32 keyDigest, bytes32[] memory words, uint256[] memory instances, bytes calldata proof)
        private
        view
    {
        uint256 size = EzklVerifyingKey.proofBytes(words);
        if (size == 0) revert MalformedKey();
        if (EzklVerifyingKey.instanceCount(words) != instances.length) revert LayoutMismatch();
        if (proof.length != size) revert ProofRejected();
        (bool success, bytes32 actual) = EzklCall.send(address(HALO2), EzklCall.reusable(proof, instances, words));
        if (!success) revert ProofRejected();
        if (actual != keyDigest) revert KeyMismatch(keyDigest, actual);
    }
}
