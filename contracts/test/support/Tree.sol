// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice Merkle trees of sorted pairs over any number of leaves. An odd node moves up as it is.
library Tree {
    function leaf(address account, uint128 weight) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(account, weight))));
    }

    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        bytes32[] memory level = leaves;
        while (level.length > 1) {
            level = above(level);
        }
        return level[0];
    }

    function proof(bytes32[] memory leaves, uint256 place) internal pure returns (bytes32[] memory path) {
        bytes32[] memory level = leaves;
        path = new bytes32[](0);
        while (level.length > 1) {
            if ((place ^ 1) < level.length) path = appended(path, level[place ^ 1]);
            level = above(level);
            place >>= 1;
        }
    }

    function above(bytes32[] memory level) private pure returns (bytes32[] memory next) {
        next = new bytes32[]((level.length + 1) / 2);
        for (uint256 i = 0; i < next.length; ++i) {
            next[i] = 2 * i + 1 < level.length ? pair(level[2 * i], level[2 * i + 1]) : level[2 * i];
        }
    }

    function pair(bytes32 a, bytes32 b) private pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    function appended(bytes32[] memory path, bytes32 node) private pure returns (bytes32[] memory longer) {
        longer = new bytes32[](path.length + 1);
        for (uint256 i = 0; i < path.length; ++i) {
            longer[i] = path[i];
        }
        longer[path.length] = node;
    }
}
