// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Minimal proxies, each for one work
/// @notice As ERC-1167, with two differences: a call without data ends at once, so that a payer who allows 2,300 gas
/// can pay; a plain proxy needs 2,600 to reach its implementation. And the work's id follows the code.
/// @dev The code: if there is no calldata, stop; else copy it, delegate the call, copy what it returns, and return it or
/// revert with it.
library TillClones {
    /// @dev Bytes of code before the work's id.
    uint256 private constant CODE_SIZE = 0x33;

    /// @notice The proxy could not be created.
    error CreationFailed();

    /// @notice Create a work's proxy, at `addressOf`.
    /// @param implementation The code that it runs.
    /// @param work The work.
    function create(address implementation, uint256 work) internal {
        bytes memory creation = creationCode(implementation, work);
        address made;
        assembly ("memory-safe") {
            made := create2(0, add(creation, 0x20), mload(creation), 0)
        }
        if (made == address(0)) revert CreationFailed();
    }

    /// @notice The address of a work's proxy, which this contract creates or has created.
    /// @param implementation The code that it runs.
    /// @param work The work.
    function addressOf(address implementation, uint256 work) internal view returns (address) {
        bytes32 digest = keccak256(creationCode(implementation, work));
        return address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), bytes32(0), digest)))));
    }

    /// @notice The work that a proxy belongs to; zero for other accounts of another size.
    /// @param proxy The proxy.
    function workOf(address proxy) internal view returns (uint256 work) {
        assembly ("memory-safe") {
            extcodecopy(proxy, 0, CODE_SIZE, 0x20)
            work := mload(0)
        }
    }

    /// @notice The code that creates a work's proxy.
    /// @param implementation The code that it runs.
    /// @param work The work.
    function creationCode(address implementation, uint256 work) internal pure returns (bytes memory) {
        return abi.encodePacked(
            // return the 0x53 bytes after these 9
            hex"60538060095f395ff3",
            // 00 CALLDATASIZE PUSH1 05 JUMPI STOP; 05 JUMPDEST, copy the calldata; out, in
            hex"36600557005b365f5f375f5f365f73",
            implementation,
            // GAS DELEGATECALL; copy the returned data; PUSH1 2f JUMPI, revert; 2f JUMPDEST, return
            hex"5af43d5f5f3e602f57" hex"3d5ffd" hex"5b3d5ff3",
            work
        );
    }
}
