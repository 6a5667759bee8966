// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IFeedHub} from "../interfaces/IFeedHub.sol";
import {CodeStore} from "../libraries/CodeStore.sol";
import {FeedPayload, Payload} from "../libraries/FeedPayload.sol";

/// @title Sets of signers, and the check of their signatures
/// @notice A config is named by a hash of its content, so it never changes, and anybody may set it: naming signers says
/// nothing about a feed. Only a feed's owner chooses a config.
abstract contract FeedSigners is IFeedHub {
    bytes32 private constant TAG = keccak256("zkinfer.feed-config.1");

    /// @dev A contract whose code is the threshold and the signers, as words: it is read at once, for less than the
    /// storage of two signers. One config has one such contract.
    mapping(bytes32 configDigest => address pointer) private _configs;

    /// @inheritdoc IFeedHub
    function configure(address[] calldata signers, uint8 threshold) external override returns (bytes32 configDigest) {
        uint256 count = signers.length;
        if (count == 0 || count > FeedPayload.MAX_SIGNATURES) revert SignersNotAscending();
        if (threshold == 0 || threshold > count) revert ImpossibleThreshold(threshold, count);
        configDigest = keccak256(abi.encode(TAG, signers, threshold));
        if (_configs[configDigest] != address(0)) return configDigest;
        bytes32[] memory words = new bytes32[](1 + count);
        words[0] = bytes32(uint256(threshold));
        address last;
        for (uint256 i = 0; i < count; ++i) {
            if (signers[i] <= last) revert SignersNotAscending();
            last = signers[i];
            words[1 + i] = bytes32(uint256(uint160(last)));
        }
        _configs[configDigest] = CodeStore.write(words);
        emit ConfigSet(configDigest, signers, threshold);
    }

    /// @inheritdoc IFeedHub
    function signersOf(bytes32 configDigest)
        external
        view
        override
        returns (address[] memory signers, uint8 threshold)
    {
        address pointer = _pointerOf(configDigest);
        if (pointer == address(0)) return (signers, 0);
        bytes32[] memory words = CodeStore.read(pointer);
        signers = new address[](words.length - 1);
        for (uint256 i = 0; i < signers.length; ++i) {
            signers[i] = _account(words[1 + i]);
        }
        return (signers, uint8(uint256(words[0])));
    }

    /// @dev The contract that holds a config; zero if nobody has set it.
    function _pointerOf(bytes32 configDigest) internal view returns (address) {
        return _configs[configDigest];
    }

    /// @dev The accounts that signed a payload; reverts unless they are enough signers of the config, each once. They
    /// ascend and every s is in the lower half, so one set of signatures has one encoding.
    function _requireSigned(address pointer, bytes calldata payload, Payload memory part)
        internal
        view
        returns (address[] memory by)
    {
        bytes32[] memory words = CodeStore.read(pointer);
        if (part.signatures < uint256(words[0])) revert NotEnoughSigners(uint256(words[0]), part.signatures);
        bytes32 digest = FeedPayload.digest(payload);
        by = new address[](part.signatures);
        uint256 place; // of the last signer that was found; both lists ascend
        for (uint256 i = 0; i < by.length; ++i) {
            address signer = _signerOf(digest, payload, part, i);
            do {
                if (++place == words.length) revert BadSigner(signer);
            } while (_account(words[place]) != signer);
            by[i] = signer;
        }
    }

    function _account(bytes32 word) private pure returns (address) {
        return address(uint160(uint256(word)));
    }

    function _signerOf(bytes32 digest, bytes calldata payload, Payload memory part, uint256 index)
        private
        pure
        returns (address)
    {
        (uint8 bit, bytes32 r, bytes32 s) = FeedPayload.signature(payload, part, index);
        if (bit > 1) revert BadSignature(index);
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecover(digest, 27 + bit, r, s);
        if (failure != ECDSA.RecoverError.NoError) revert BadSignature(index);
        return signer;
    }
}
