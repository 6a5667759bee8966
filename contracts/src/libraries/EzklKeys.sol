// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {KeyFacts} from "../interfaces/IInferenceVerifier.sol";
import {CodeStore} from "./CodeStore.sol";

/// @title Reading a verifying key artifact (VKA) of ezkl
/// @dev The layout is that of zkinfer.circuits.engines.ezkl.artifacts.
library EzklKeys {
    uint256 private constant INSTANCES = 2;
    uint256 private constant EVALUATIONS = 3;
    uint256 private constant GENERATORS_AT = 14;
    uint256 private constant NEGATED_TAU_G2 = 20;
    uint256 private constant PHASES = 33;
    uint256 private constant MOST = 1 << 20;
    uint256 private constant Q = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;
    /// @dev keccak256 over the generators of G1 and G2 as EIP-197 has them. Under other ones tau*G2 says nothing.
    bytes32 private constant GENERATORS = 0x730792bc8e23a24142495d77d62d22713f03bd3171abbe79e41eed071b064347;

    /// @notice What a key says about itself; `ok` is false where its layout or its constants make no sense.
    /// @param words The key.
    function read(bytes32[] memory words) internal pure returns (bool ok, KeyFacts memory facts) {
        if (!_holdsPhases(words)) return (false, facts);
        if (uint256(words[INSTANCES]) > MOST) return (false, facts);
        if (_hash(words, GENERATORS_AT, 6) != GENERATORS) return (false, facts);
        if (uint256(words[NEGATED_TAU_G2 + 2]) > Q || uint256(words[NEGATED_TAU_G2 + 3]) > Q) return (false, facts);
        facts.digest = CodeStore.digest(words);
        facts.instanceCount = uint256(words[INSTANCES]);
        facts.setup = _setup(words);
        return (true, facts);
    }

    /// @notice The exact length of every proof under a key: commitments of every phase, all evaluations, the opening.
    /// @dev The generated verifier for all circuits accepts more than that.
    /// @param words The key; for words too few to be one the answer is 0.
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
            && uint256(words[EVALUATIONS]) <= MOST;
    }

    /// @dev SHA-256 of tau*G2, of which the key holds the negative: the same x, and q - y.
    function _setup(bytes32[] memory words) private pure returns (bytes32) {
        return sha256(
            abi.encodePacked(
                words[NEGATED_TAU_G2],
                words[NEGATED_TAU_G2 + 1],
                Q - uint256(words[NEGATED_TAU_G2 + 2]),
                Q - uint256(words[NEGATED_TAU_G2 + 3])
            )
        );
    }

    function _hash(bytes32[] memory words, uint256 from, uint256 count) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            hash := keccak256(add(words, shl(5, add(from, 1))), shl(5, count))
        }
    }
}
