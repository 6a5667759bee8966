// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IEzklReusableVerifier} from "./IEzklHalo2Verifier.sol";

/// @title Calls to ezkl's generated verifier
/// @notice The calldata is exactly what `abi.encodeCall` writes, as a fuzz test checks. The compiler copies an array
/// value by value; here each is copied in one step, which saves about 80 gas for every public value and word of a key.
library EzklCall {
    /// @notice Calldata for the reusable verifier.
    /// @param proof The Halo2 proof.
    /// @param instances The public values.
    /// @param vka The words of the key.
    function reusable(bytes calldata proof, uint256[] memory instances, bytes32[] memory vka)
        internal
        pure
        returns (bytes memory data)
    {
        bytes4 selector = IEzklReusableVerifier.verifyProof.selector;
        assembly ("memory-safe") {
            let proofSize := add(and(add(proof.length, 0x1f), not(0x1f)), 0x20)
            let valuesSize := shl(5, add(mload(instances), 1))
            let keySize := shl(5, add(mload(vka), 1))
            data := mload(0x40)
            let head := add(data, 0x24) // after the length and the selector
            let to := add(head, 0x60)
            mstore(add(data, 0x20), selector)
            mstore(head, 0x60)
            mstore(add(head, 0x20), add(0x60, proofSize))
            mstore(add(head, 0x40), add(add(0x60, proofSize), valuesSize))
            mstore(sub(add(to, proofSize), 0x20), 0) // the padding
            mstore(to, proof.length)
            calldatacopy(add(to, 0x20), proof.offset, proof.length)
            to := add(to, proofSize)
            mcopy(to, instances, valuesSize)
            to := add(to, valuesSize)
            mcopy(to, vka, keySize)
            to := add(to, keySize)
            mstore(data, sub(to, add(data, 0x20)))
            mstore(0x40, and(add(to, 0x1f), not(0x1f)))
        }
    }

    /// @notice Call a verifier, and read the first two words that it returns. The rest of what the reusable verifier
    /// returns is not valid ABI, so it is not copied.
    /// @param verifier The generated verifier; its code was checked.
    /// @param data The calldata.
    /// @return success Whether the call returned at least one word, and the first one is true.
    /// @return second The second word; zero if there is none.
    function send(address verifier, bytes memory data) internal view returns (bool success, bytes32 second) {
        assembly ("memory-safe") {
            mstore(0x20, 0)
            success := staticcall(gas(), verifier, add(data, 0x20), mload(data), 0x00, 0x40)
            success := and(success, and(gt(returndatasize(), 0x1f), eq(mload(0x00), 1)))
            second := mload(0x20)
        }
    }
}
