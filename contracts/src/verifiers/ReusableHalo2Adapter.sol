// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IHalo2Reusable} from "../interfaces/IHalo2.sol";
import {IInferenceVerifier, KeyFacts} from "../interfaces/IInferenceVerifier.sol";
import {Canonical} from "../libraries/Canonical.sol";
import {CodeStore} from "../libraries/CodeStore.sol";
import {EzklKeys} from "../libraries/EzklKeys.sol";
import {GeneratedVerifier} from "./GeneratedVerifier.sol";

/// @title One generated verifier for all circuits of ezkl
/// @notice Reads the key from code, hands it over with a typed call, which encodes everything anew, and compares the
/// digest of the key that was used with the one that was asked for.
contract ReusableHalo2Adapter is IInferenceVerifier {
    /// @inheritdoc IInferenceVerifier
    bytes4 public constant override selector = bytes4(keccak256("ezkl-23.0.5-halo2-kzg-bn254-v1"));

    /// @notice The generated verifier.
    IHalo2Reusable public immutable HALO2;

    /// @notice The contract is not the generated verifier that this release pins.
    error WrongCode(bytes32 expected, bytes32 actual);

    /// @param halo2 The generated verifier.
    constructor(address halo2) {
        if (halo2.codehash != GeneratedVerifier.CODE_HASH) {
            revert WrongCode(GeneratedVerifier.CODE_HASH, halo2.codehash);
        }
        HALO2 = IHalo2Reusable(halo2);
    }

    /// @inheritdoc IInferenceVerifier
    function verify(bytes32 keyDigest, address key, bytes calldata proof, uint256[] calldata instances)
        external
        view
        override
    {
        Canonical.require_(proof, instances, 0x80);
        bytes32[] memory words = CodeStore.read(key);
        uint256 size = EzklKeys.proofBytes(words);
        if (size == 0) revert MalformedKey();
        if (proof.length != size) revert ProofRejected();
        try HALO2.verifyProof(proof, instances, words) returns (bool success, bytes32 actual) {
            if (!success) revert ProofRejected();
            if (actual != keyDigest) revert KeyMismatch(keyDigest, actual);
        } catch {
            revert ProofRejected();
        }
    }

    /// @inheritdoc IInferenceVerifier
    function prepare(address key) external override {
        bytes32[] memory words = CodeStore.read(key);
        _facts(words);
        HALO2.registerVka(words);
    }

    /// @inheritdoc IInferenceVerifier
    function inspect(address key) external view override returns (KeyFacts memory) {
        return _facts(CodeStore.read(key));
    }

    /// @inheritdoc IInferenceVerifier
    function live() external pure override returns (bool) {
        return true;
    }

    function _facts(bytes32[] memory words) private pure returns (KeyFacts memory facts) {
        bool ok;
        (ok, facts) = EzklKeys.read(words);
        if (!ok) revert MalformedKey();
    }
}
