// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IFeedHub} from "../interfaces/IFeedHub.sol";
import {FeedPayload, Payload} from "../libraries/FeedPayload.sol";

/// @title Sets of signers, and the check of their signatures
/// @notice A config is named by a hash of its content, so it never changes, and anybody may set it: naming signers says
/// nothing about a feed. Only a feed's owner chooses a config.
abstract contract FeedSigners is IFeedHub {
    bytes32 private constant TAG = keccak256("zkinfer.feed-config.1");

    mapping(bytes32 configDigest => uint8) private _thresholds;
    mapping(bytes32 configDigest => mapping(address account => bool)) private _signers;

    /// @inheritdoc IFeedHub
    function configure(address[] calldata signers, uint8 threshold) external override returns (bytes32 configDigest) {
        uint256 count = signers.length;
        if (count == 0 || count > FeedPayload.MAX_SIGNATURES) revert SignersNotAscending();
        if (threshold == 0 || threshold > count) revert ImpossibleThreshold(threshold, count);
        configDigest = keccak256(abi.encode(TAG, signers, threshold));
        if (_thresholds[configDigest] != 0) return configDigest;
        address last;
        for (uint256 i = 0; i < count; ++i) {
            if (signers[i] <= last) revert SignersNotAscending();
            last = signers[i];
            _signers[configDigest][last] = true;
        }
        _thresholds[configDigest] = threshold;
        emit ConfigSet(configDigest, signers, threshold);
    }

    /// @inheritdoc IFeedHub
    function isSigner(bytes32 configDigest, address account) external view override returns (bool) {
        return _signers[configDigest][account];
    }

    /// @inheritdoc IFeedHub
    function thresholdOf(bytes32 configDigest) public view override returns (uint8) {
        return _thresholds[configDigest];
    }

    /// @dev The accounts that signed a payload; reverts unless they are enough signers of the config, each once. They
    /// ascend and every s is in the lower half, so one set of signatures has one encoding.
    function _requireSigned(bytes calldata payload, Payload memory part) internal view returns (address[] memory by) {
        uint256 threshold = _thresholds[part.configDigest];
        if (part.signatures < threshold) revert NotEnoughSigners(threshold, part.signatures);
        bytes32 digest = FeedPayload.digest(payload);
        by = new address[](part.signatures);
        address last;
        for (uint256 i = 0; i < by.length; ++i) {
            by[i] = _signerOf(digest, payload, part, i);
            if (by[i] <= last || !_signers[part.configDigest][by[i]]) revert BadSigner(by[i]);
            last = by[i];
        }
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
