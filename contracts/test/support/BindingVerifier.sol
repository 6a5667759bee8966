// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Canary, IInferenceVerifier, KeyFacts} from "../../src/interfaces/IInferenceVerifier.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {Layout, StatementLayout, Visibility} from "../../src/libraries/StatementLayout.sol";

/// @notice The statement of a proof.
struct Statement {
    bytes32 context;
    bytes inputs;
    int256[] outputs;
}

/// @notice A verifier for tests. Anyone can make its proofs, but they are binding: a proof is a hash of the key and of the
/// statement, so any change is detected. A key is (number of inputs and outputs, setup, ...).
/// Its canary is the identity of one byte.
contract BindingVerifier is IInferenceVerifier {
    /// @dev For tests of the emergency stop: accept everything.
    bool public broken;
    Canary private _canary;

    function selector() external pure virtual override returns (bytes4) {
        return bytes4(keccak256("binding-v1"));
    }

    function breakIt() external {
        broken = true;
    }

    function setCanary(address key) external {
        bytes32 digest = CodeStore.digest(CodeStore.read(key));
        _canary = Canary(digest, key, Layout(Visibility.Public, 1, 1, 1));
    }

    function verify(
        bytes32 keyDigest,
        address key,
        Layout calldata layout_,
        bytes32 context,
        bytes calldata inputs,
        int256[] calldata outputs,
        bytes calldata proof
    ) external view override {
        bytes32[] memory words = CodeStore.read(key);
        if (CodeStore.digest(words) != keyDigest) revert KeyMismatch(keyDigest, CodeStore.digest(words));
        if (broken) return;
        StatementLayout.requireSizes(layout_, inputs, outputs);
        if (!_fits(words, layout_)) revert LayoutMismatch();
        bytes32 wanted = proofOf(keyDigest, Statement(context, inputs, outputs));
        if (keccak256(proof) != keccak256(abi.encode(wanted))) revert ProofRejected();
    }

    function prepare(address) external override {}

    function inspect(address key, Layout calldata layout_) external view override returns (KeyFacts memory) {
        bytes32[] memory words = CodeStore.read(key);
        return KeyFacts({digest: CodeStore.digest(words), setup: words[1], fits: _fits(words, layout_)});
    }

    function live() external pure override returns (bool) {
        return true;
    }

    function canary() external view override returns (Canary memory) {
        return _canary;
    }

    function isImpossible(bytes calldata inputs, int256[] calldata outputs) external pure override returns (bool) {
        return inputs.length == 1 && outputs.length == 1 && outputs[0] != int256(uint256(uint8(inputs[0])));
    }

    function proofOf(bytes32 keyDigest, Statement memory statement) public pure returns (bytes32) {
        return keccak256(abi.encode("binding", keyDigest, statement));
    }

    function _fits(bytes32[] memory words, Layout calldata layout_) private pure returns (bool) {
        return uint256(words[0]) == uint256(layout_.inputs) + layout_.outputs;
    }
}
