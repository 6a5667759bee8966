// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Words stored as the code of a contract
/// @notice The code is a STOP byte, so that it cannot be run, and then the words. The address follows from the
/// words and the creator, so the same words are stored once.
library CodeStore {
    /// @notice A contract's code has at most 24,576 bytes (EIP-170).
    uint256 internal constant MOST_WORDS = 767;

    /// @notice There are no words, or more than fit into one contract.
    error SizeOutOfRange(uint256 words);
    /// @notice The contract could not be created.
    error StoreFailed();
    /// @notice There is no code of this form at the address.
    error NothingStored(address pointer);

    /// @notice Store words, unless this contract stored them before.
    /// @param words The words.
    /// @return pointer The contract that holds them.
    function write(bytes32[] memory words) internal returns (address pointer) {
        if (words.length == 0 || words.length > MOST_WORDS) revert SizeOutOfRange(words.length);
        bytes memory creation = initCode(words);
        bytes32 hash = keccak256(abi.encodePacked(bytes1(0xff), address(this), bytes32(0), keccak256(creation)));
        pointer = address(uint160(uint256(hash)));
        if (pointer.code.length != 0) return pointer;
        address made;
        assembly ("memory-safe") {
            made := create2(0, add(creation, 0x20), mload(creation), 0)
        }
        if (made != pointer) revert StoreFailed();
    }

    /// @notice The code that creates such a contract.
    /// @param words The words that it stores.
    function initCode(bytes32[] memory words) internal pure returns (bytes memory) {
        // PUSH2 size, DUP1, PUSH1 10, RETURNDATASIZE, CODECOPY, RETURNDATASIZE, RETURN; then the code.
        return abi.encodePacked(hex"61", uint16(1 + 32 * words.length), hex"80600a3d393df3", hex"00", words);
    }

    /// @notice Read all words.
    /// @param pointer The contract that holds them.
    function read(address pointer) internal view returns (bytes32[] memory words) {
        uint256 size = pointer.code.length;
        if (size < 33 || size % 32 != 1) revert NothingStored(pointer);
        assembly ("memory-safe") {
            words := mload(0x40)
            let length := sub(size, 1)
            mstore(0x40, add(words, add(length, 0x20)))
            mstore(words, shr(5, length))
            extcodecopy(pointer, add(words, 0x20), 1, length)
        }
    }

    /// @notice keccak256 over words.
    /// @param words The words.
    function digest(bytes32[] memory words) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            hash := keccak256(add(words, 0x20), shl(5, mload(words)))
        }
    }
}
