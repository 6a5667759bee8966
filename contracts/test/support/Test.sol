// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice The cheatcodes of forge that these tests use.
interface Vm {
    struct DirEntry {
        string errorMessage;
        string path;
        uint64 depth;
        bool isDir;
        bool isSymlink;
    }

    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function addr(uint256 key) external pure returns (address);
    function assertEq(uint256 left, uint256 right) external pure;
    function assertEq(uint256 left, uint256 right, string calldata why) external pure;
    function assertEq(int256 left, int256 right) external pure;
    function assertEq(bytes32 left, bytes32 right) external pure;
    function assertEq(bytes32 left, bytes32 right, string calldata why) external pure;
    function assertEq(address left, address right) external pure;
    function assertEq(bool left, bool right) external pure;
    function assertEq(bool left, bool right, string calldata why) external pure;
    function assertEq(string calldata left, string calldata right) external pure;
    function assertEq(bytes calldata left, bytes calldata right) external pure;
    function assertLe(uint256 left, uint256 right) external pure;
    function assertTrue(bool condition) external pure;
    function assertTrue(bool condition, string calldata why) external pure;
    function assertFalse(bool condition) external pure;
    function assertFalse(bool condition, string calldata why) external pure;
    function assume(bool condition) external pure;
    function chainId(uint256 id) external;
    function clearMockedCalls() external;
    function cool(address account) external;
    function deal(address account, uint256 balance) external;
    function etch(address target, bytes calldata code) external;
    function expectEmit(address emitter) external;
    function expectRevert(bytes4 selector) external;
    function expectRevert(bytes calldata data) external;
    function getCode(string calldata name) external view returns (bytes memory);
    function getRecordedLogs() external returns (Log[] memory);
    function keyExistsJson(string calldata json, string calldata key) external view returns (bool);
    function mockCall(address target, bytes calldata data, bytes calldata answer) external;
    function mockCallRevert(address target, bytes calldata data, bytes calldata answer) external;
    function parseJsonAddress(string calldata json, string calldata key) external pure returns (address);
    function parseJsonBool(string calldata json, string calldata key) external pure returns (bool);
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);
    function parseJsonBytes32(string calldata json, string calldata key) external pure returns (bytes32);
    function parseJsonBytes32Array(string calldata json, string calldata key) external pure returns (bytes32[] memory);
    function parseJsonInt(string calldata json, string calldata key) external pure returns (int256);
    function parseJsonIntArray(string calldata json, string calldata key) external pure returns (int256[] memory);
    function parseJsonString(string calldata json, string calldata key) external pure returns (string memory);
    function parseJsonTypeArray(string calldata json, string calldata key, string calldata kind)
        external
        pure
        returns (bytes memory);
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256);
    function parseJsonUintArray(string calldata json, string calldata key) external pure returns (uint256[] memory);
    function prank(address sender) external;
    function readDir(string calldata path) external view returns (DirEntry[] memory entries);
    function readFile(string calldata path) external view returns (string memory);
    function recordLogs() external;
    function revertToState(uint256 id) external returns (bool);
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function snapshotGasLastCall(string calldata group, string calldata name) external returns (uint256);
    function snapshotState() external returns (uint256 id);
    function snapshotValue(string calldata group, string calldata name, uint256 value) external;
    function startPrank(address sender) external;
    function stopPrank() external;
    function toString(bytes32 value) external pure returns (string memory);
    function toString(uint256 value) external pure returns (string memory);
    function warp(uint256 time) external;
}

/// @notice The base of every test.
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    /// @dev Marks a test contract for forge.
    bool public constant IS_TEST = true;

    address internal constant ALICE = address(0xa11ce);
    address internal constant BOB = address(0xb0b);
    address internal constant MALLORY = address(0xbad);

    /// @dev Deploy a contract at a chosen address, running its constructor there.
    function deployAt(address where, bytes memory creation) internal {
        vm.etch(where, creation);
        (bool success, bytes memory code) = where.call("");
        require(success, "the constructor reverted");
        vm.etch(where, code);
    }

    function create(bytes memory creation) internal returns (address made) {
        assembly ("memory-safe") {
            made := create(0, add(creation, 0x20), mload(creation))
        }
        require(made != address(0), "the constructor reverted");
    }

    /// @dev `path` is relative to the artifacts that the Python package ships.
    function artifact(string memory path) internal view returns (string memory) {
        return vm.readFile(string.concat("zkinfer/contracts/compiled/", path, ".json"));
    }

    function vectors(string memory path) internal view returns (string memory) {
        return vm.readFile(string.concat("../tests/vectors/chain/", path, ".json"));
    }

    /// @dev What a transaction costs before it runs.
    function intrinsic(bytes memory data) internal pure returns (uint256 gas_) {
        gas_ = 21_000;
        for (uint256 i = 0; i < data.length; ++i) {
            gas_ += data[i] == 0 ? 4 : 16;
        }
    }

    function wordsOf(bytes memory packed) internal pure returns (bytes32[] memory words) {
        words = new bytes32[](packed.length / 32);
        for (uint256 i = 0; i < words.length; ++i) {
            assembly ("memory-safe") {
                mstore(add(add(words, 0x20), shl(5, i)), mload(add(add(packed, 0x20), shl(5, i))))
            }
        }
    }

    function copyOf(bytes memory data) internal pure returns (bytes memory) {
        return abi.encodePacked(data);
    }

    function copyOf(int256[] memory values) internal pure returns (int256[] memory) {
        return resized(values, values.length);
    }

    /// @dev The same values, truncated or padded with zeros.
    function resized(int256[] memory values, uint256 count) internal pure returns (int256[] memory some) {
        some = new int256[](count);
        for (uint256 i = 0; i < count && i < values.length; ++i) {
            some[i] = values[i];
        }
    }

    /// @dev The same bytes, truncated or padded with zeros.
    function resized(bytes memory data, uint256 count) internal pure returns (bytes memory some) {
        some = new bytes(count);
        for (uint256 i = 0; i < count && i < data.length; ++i) {
            some[i] = data[i];
        }
    }

    function readWord(bytes memory data, uint256 place) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), shl(5, place)))
        }
    }

    function writeWord(bytes memory data, uint256 place, uint256 word) internal pure {
        assembly ("memory-safe") {
            mstore(add(add(data, 0x20), shl(5, place)), word)
        }
    }

    /// @dev The same call, with head `place` pointing to an identical copy of its dynamic argument at the end.
    function shifted(bytes memory call_, uint256 place, uint256 size) internal pure returns (bytes memory probe) {
        uint256 head = 4 + 32 * place;
        uint256 offset;
        assembly ("memory-safe") {
            offset := mload(add(add(call_, 0x20), head))
        }
        probe = new bytes(call_.length + 32 + size);
        for (uint256 i = 0; i < call_.length; ++i) {
            probe[i] = call_[i];
        }
        for (uint256 i = 0; i < 32 + size; ++i) {
            probe[call_.length + i] = call_[4 + offset + i];
        }
        uint256 moved = call_.length - 4;
        assembly ("memory-safe") {
            mstore(add(add(probe, 0x20), head), moved)
        }
    }
}
