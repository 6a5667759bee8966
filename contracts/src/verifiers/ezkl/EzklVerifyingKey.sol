// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceVerifier, KeyFacts} from "../../interfaces/IInferenceVerifier.sol";
import {CodeStore} from "../../libraries/CodeStore.sol";
import {Layout} from "../../libraries/StatementLayout.sol";
import {InstanceLayout} from "./InstanceLayout.sol";

/// @title Reading a verifying key artifact (VKA) of ezkl
/// @dev The layout is that of zkinfer.circuits.engines.ezkl.artifacts.
library EzklVerifyingKey {
    uint256 private constant INSTANCES = 2;
    uint256 private constant EVALUATIONS = 3;
    uint256 private constant GENERATORS_AT = 14;
    uint256 private constant NEGATED_TAU_G2 = 20;
    uint256 private constant PHASES = 33;
    uint256 private constant MAX_COUNT = 1 << 20;
    uint256 private constant Q = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;
    /// @dev keccak256 over EIP-197's generators of G1 and G2. Under other generators tau*G2 has no meaning.
    bytes32 private constant GENERATORS = 0x730792bc8e23a24142495d77d62d22713f03bd3171abbe79e41eed071b064347;

    /// @notice The facts about a key; reverts with MalformedKey if it is not one.
    /// @param words The key.
    /// @param layout_ The layout to check the key against.
    function inspect(bytes32[] memory words, Layout calldata layout_) internal pure returns (KeyFacts memory) {
        if (!isWellFormed(words)) revert IInferenceVerifier.MalformedKey();
        bool fits = instanceCount(words) == InstanceLayout.count(layout_);
        return KeyFacts({digest: CodeStore.digest(words), setup: setup(words), fits: fits});
    }

    /// @notice Whether the words have the structure and the constants of a key.
    /// @param words The key.
    function isWellFormed(bytes32[] memory words) internal pure returns (bool) {
        return _holdsPhases(words) && uint256(words[INSTANCES]) <= MAX_COUNT
            && _hash(words, GENERATORS_AT, 6) == GENERATORS && uint256(words[NEGATED_TAU_G2 + 2]) <= Q
            && uint256(words[NEGATED_TAU_G2 + 3]) <= Q;
    }

    /// @notice How many public values every proof under a well-formed key has.
    /// @param words The key.
    function instanceCount(bytes32[] memory words) internal pure returns (uint256) {
        return uint256(words[INSTANCES]);
    }

    /// @notice SHA-256 of tau*G2, of which a well-formed key holds the negative: the same x, and q - y.
    /// @param words The key.
    function setup(bytes32[] memory words) internal pure returns (bytes32) {
        return sha256(
            abi.encodePacked(
                words[NEGATED_TAU_G2],
                words[NEGATED_TAU_G2 + 1],
                Q - uint256(words[NEGATED_TAU_G2 + 2]),
                Q - uint256(words[NEGATED_TAU_G2 + 3])
            )
        );
    }

    /// @notice The exact length of every proof under a key: commitments of every phase, all evaluations, the opening.
    /// @dev The generated reusable verifier accepts longer ones.
    /// @param words The key.
    /// @return size The length in bytes; 0 if there are too few words.
    function proofBytes(bytes32[] memory words) internal pure returns (uint256 size) {
        if (!_holdsPhases(words)) return 0;
        size = 32 * uint256(words[EVALUATIONS]) + 128;
        uint256 group = uint256(words[PHASES]);
        uint256 following = uint8(group);
        group >>= 8;
        for (uint256 place = 1; place <= following; ++place) {
            // 16 bits of length in bytes, then 8 bits that count challenges
            for (; group != 0; group >>= 24) {
                size += uint16(group);
            }
            if (place < following) group = uint256(words[PHASES + place]);
        }
    }

    function _holdsPhases(bytes32[] memory words) private pure returns (bool) {
        return words.length > PHASES && words.length > PHASES + uint8(uint256(words[PHASES]))
            && uint256(words[EVALUATIONS]) <= MAX_COUNT;
    }

    function _hash(bytes32[] memory words, uint256 from, uint256 count) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            hash := keccak256(add(words, shl(5, add(from, 1))), shl(5, count))
        }
    }
}
