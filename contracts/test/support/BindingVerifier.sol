// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceVerifier, KeyFacts} from "../../src/interfaces/IInferenceVerifier.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {PublicValues} from "../../src/libraries/PublicValues.sol";

/// @notice A verifier for tests. Anybody can make its proofs, but they bind: a proof is a hash of the key and of the
/// public values, so that every change is noticed, in microseconds. A key is (number of public values, setup, ...).
contract BindingVerifier is IInferenceVerifier {
    /// @dev For tests of who watches a verifier: accept whatever comes.
    bool public broken;

    function selector() external pure virtual override returns (bytes4) {
        return bytes4(keccak256("binding-v1"));
    }

    function breakIt() external {
        broken = true;
    }

    function verify(bytes32 keyDigest, address key, bytes calldata proof, uint256[] calldata instances)
        external
        view
        override
    {
        bytes32[] memory words = CodeStore.read(key);
        if (CodeStore.digest(words) != keyDigest) revert KeyMismatch(keyDigest, CodeStore.digest(words));
        if (broken) return;
        if (instances.length != uint256(words[0])) revert ProofRejected();
        for (uint256 i = 0; i < instances.length; ++i) {
            if (instances[i] >= PublicValues.MODULUS) revert ProofRejected();
        }
        if (keccak256(proof) != keccak256(abi.encode(proofOf(keyDigest, instances)))) revert ProofRejected();
    }

    function prepare(address) external override {}

    function inspect(address key) external view override returns (KeyFacts memory) {
        bytes32[] memory words = CodeStore.read(key);
        return KeyFacts({digest: CodeStore.digest(words), instanceCount: uint256(words[0]), setup: words[1]});
    }

    function live() external pure override returns (bool) {
        return true;
    }

    function proofOf(bytes32 keyDigest, uint256[] memory instances) public pure returns (bytes32) {
        return keccak256(abi.encode("binding", keyDigest, instances));
    }
}
