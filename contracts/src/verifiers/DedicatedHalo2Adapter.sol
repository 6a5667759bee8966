// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IHalo2Dedicated} from "../interfaces/IHalo2.sol";
import {IInferenceVerifier, KeyFacts} from "../interfaces/IInferenceVerifier.sol";
import {Canonical} from "../libraries/Canonical.sol";
import {CodeStore} from "../libraries/CodeStore.sol";
import {EzklKeys} from "../libraries/EzklKeys.sol";

/// @title A verifier generated for one circuit: its key is compiled in, so that a proof costs less gas to check
/// @notice That the code was generated from the key named here, no contract can check. Who adds this adapter to a
/// router must have made the code again; its hash is pinned, and lies open.
contract DedicatedHalo2Adapter is IInferenceVerifier {
    /// @inheritdoc IInferenceVerifier
    bytes4 public immutable override selector;
    /// @notice The generated verifier.
    IHalo2Dedicated public immutable HALO2;
    /// @notice The digest of the one key that proofs are checked under.
    bytes32 public immutable KEY_DIGEST;

    /// @notice The contract has another code than was said.
    error WrongCode(bytes32 expected, bytes32 actual);

    /// @param halo2 The generated verifier.
    /// @param codeHash keccak256 of its deployed code.
    /// @param keyDigest The digest of the key that it was generated from.
    constructor(address halo2, bytes32 codeHash, bytes32 keyDigest) {
        if (halo2.codehash != codeHash || halo2.code.length == 0) revert WrongCode(codeHash, halo2.codehash);
        HALO2 = IHalo2Dedicated(halo2);
        KEY_DIGEST = keyDigest;
        selector = bytes4(keccak256(abi.encode("ezkl-23.0.5-halo2-kzg-bn254-dedicated-v1", keyDigest)));
    }

    /// @inheritdoc IInferenceVerifier
    function verify(bytes32 keyDigest, address, bytes calldata proof, uint256[] calldata instances)
        external
        view
        override
    {
        Canonical.require_(proof, instances, 0x80);
        if (keyDigest != KEY_DIGEST) revert KeyMismatch(keyDigest, KEY_DIGEST);
        // The generated code compares the length of the proof and the number of public values itself.
        try HALO2.verifyProof(proof, instances) returns (bool success) {
            if (!success) revert ProofRejected();
        } catch {
            revert ProofRejected();
        }
    }

    /// @inheritdoc IInferenceVerifier
    function prepare(address key) external view override {
        inspect(key);
    }

    /// @inheritdoc IInferenceVerifier
    function live() external pure override returns (bool) {
        return true;
    }

    /// @inheritdoc IInferenceVerifier
    function inspect(address key) public view override returns (KeyFacts memory facts) {
        bool ok;
        (ok, facts) = EzklKeys.read(CodeStore.read(key));
        if (!ok) revert MalformedKey();
        if (facts.digest != KEY_DIGEST) revert KeyMismatch(KEY_DIGEST, facts.digest);
    }
}
