// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Canary, IInferenceVerifier, KeyFacts} from "../../interfaces/IInferenceVerifier.sol";
import {CanonicalCalldata} from "../../libraries/CanonicalCalldata.sol";
import {CodeStore} from "../../libraries/CodeStore.sol";
import {Layout} from "../../libraries/StatementLayout.sol";
import {EzklCall} from "./EzklCall.sol";
import {EzklVerifyingKey} from "./EzklVerifyingKey.sol";
import {IEzklDedicatedVerifier} from "./IEzklHalo2Verifier.sol";
import {InstanceLayout} from "./InstanceLayout.sol";

/// @title A verifier generated for one circuit: its key is compiled in, so that checking a proof costs less gas
/// @notice No contract can check that the code was generated from the key with this digest. Regenerate the code and
/// compare it before adding this adapter to a router; its hash is pinned.
/// It binds the first 130 bits of the context. Its outputs have a tolerance: see InstanceLayout.
contract DedicatedHalo2Adapter is IInferenceVerifier {
    /// @inheritdoc IInferenceVerifier
    bytes4 public immutable override selector;
    /// @notice The generated verifier.
    IEzklDedicatedVerifier public immutable HALO2;
    /// @notice The digest of the one key that proofs are checked under.
    bytes32 public immutable KEY_DIGEST;

    /// @notice The code of the contract does not have the given hash.
    error WrongCode(bytes32 expected, bytes32 actual);

    /// @param halo2 The generated verifier.
    /// @param codeHash keccak256 of its deployed code.
    /// @param keyDigest The digest of the key that it was generated from.
    constructor(address halo2, bytes32 codeHash, bytes32 keyDigest) {
        if (halo2.codehash != codeHash || halo2.code.length == 0) revert WrongCode(codeHash, halo2.codehash);
        HALO2 = IEzklDedicatedVerifier(halo2);
        KEY_DIGEST = keyDigest;
        selector = bytes4(keccak256(abi.encode("ezkl-23.0.5-halo2-kzg-bn254-dedicated-v1", keyDigest)));
    }

    /// @inheritdoc IInferenceVerifier
    function verify(
        bytes32 keyDigest,
        address,
        Layout calldata layout_,
        bytes32 context,
        bytes calldata inputs,
        int256[] calldata outputs,
        bytes calldata proof
    ) external view override {
        CanonicalCalldata.requireStatement(inputs, outputs, proof, 0x140);
        if (keyDigest != KEY_DIGEST) revert KeyMismatch(keyDigest, KEY_DIGEST);
        uint256[] memory instances = InstanceLayout.instancesOf(layout_, context, inputs, outputs, proof);
        // The generated code compares the length of the proof and the number of public values itself.
        bytes memory data = EzklCall.dedicated(InstanceLayout.halo2Proof(layout_, proof), instances);
        (bool success,) = EzklCall.send(address(HALO2), data);
        if (!success) revert ProofRejected();
    }

    /// @inheritdoc IInferenceVerifier
    function prepare(address key) external view override {
        bytes32[] memory words = CodeStore.read(key);
        if (!EzklVerifyingKey.isWellFormed(words)) revert MalformedKey();
        _requireOwn(CodeStore.digest(words));
    }

    /// @inheritdoc IInferenceVerifier
    function inspect(address key, Layout calldata layout_) external view override returns (KeyFacts memory facts) {
        facts = EzklVerifyingKey.inspect(CodeStore.read(key), layout_);
        _requireOwn(facts.digest);
    }

    /// @inheritdoc IInferenceVerifier
    function canary() external pure override returns (Canary memory none) {}

    /// @inheritdoc IInferenceVerifier
    function live() external pure override returns (bool) {
        return true;
    }

    /// @inheritdoc IInferenceVerifier
    function isImpossible(bytes calldata, int256[] calldata) external pure override returns (bool) {
        return false;
    }

    function _requireOwn(bytes32 digest) private view {
        if (digest != KEY_DIGEST) revert KeyMismatch(KEY_DIGEST, digest);
    }
}
