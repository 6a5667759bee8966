// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IFeedHub, Level, Round, Spec} from "../interfaces/IFeedHub.sol";
import {Asset, IFeeManager} from "../interfaces/IFeeManager.sol";
import {IVerifierProxy} from "../interfaces/IVerifierProxy.sol";

/// @notice A price as APRO's readers expect it.
struct Price {
    uint192 value;
    int8 decimal;
    uint32 observeAt;
    uint32 expireAt;
}

/// @title The hub for consumers written for APRO
/// @notice They always ask a fee manager, and read prices from the address that verifies, so this is all three: it
/// forwards reports to the hub, answers that they are free, and reads the hub's proven answers. Consumers of Data
/// Streams use the hub itself, which has no fee manager. It has no storage and no owner.
contract AproDoor is IVerifierProxy, IFeeManager {
    /// @notice The hub.
    IFeedHub public immutable HUB;
    /// @inheritdoc IFeeManager
    address public constant override i_linkAddress = address(0);
    /// @inheritdoc IFeeManager
    address public constant override i_nativeAddress = address(0);
    /// @inheritdoc IFeeManager
    address public constant override i_rewardManager = address(0);

    /// @notice The newest answer is older than the caller accepts; its age in seconds.
    error TooOldToRead(uint256 age);
    /// @notice The answer is negative, which these readers cannot express.
    error NegativeAnswer(int192 answer);

    /// @param hub The hub.
    constructor(IFeedHub hub) {
        HUB = hub;
    }

    /// @inheritdoc IVerifierProxy
    /// @dev Any value is refused, by the hub.
    function verify(bytes calldata payload, bytes calldata parameterPayload)
        external
        payable
        override
        returns (bytes memory)
    {
        return HUB.verify{value: msg.value}(payload, parameterPayload);
    }

    /// @inheritdoc IVerifierProxy
    function verifyBulk(bytes[] calldata payloads, bytes calldata parameterPayload)
        external
        payable
        override
        returns (bytes[] memory)
    {
        return HUB.verifyBulk{value: msg.value}(payloads, parameterPayload);
    }

    /// @notice The newest proven answer; reverts with TooOldToRead if it is older than the caller accepts, and as
    /// `getPriceUnsafe`.
    /// @param feedId The feed.
    /// @param age The most seconds since its observation.
    function getPriceNoOlderThan(bytes32 feedId, uint256 age) external view returns (Price memory price) {
        price = getPriceUnsafe(feedId);
        uint256 actual = block.timestamp - price.observeAt;
        if (actual > age) revert TooOldToRead(actual);
    }

    /// @inheritdoc IVerifierProxy
    function s_feeManager() external view override returns (address) {
        return address(this);
    }

    /// @inheritdoc IFeeManager
    /// @dev Every report is free.
    function getFeeAndReward(address, bytes memory, address quote)
        external
        pure
        override
        returns (Asset memory fee, Asset memory reward, uint256 discount)
    {
        return (Asset(quote, 0), Asset(quote, 0), 0);
    }

    /// @notice The newest proven answer, of any age; reverts as IFeedHub.latest.
    /// @param feedId The feed.
    function getPriceUnsafe(bytes32 feedId) public view returns (Price memory) {
        (, Round memory data) = HUB.latest(feedId, Level.Proven);
        if (data.answer < 0) revert NegativeAnswer(data.answer);
        Spec memory spec = HUB.specOf(feedId);
        // Both times fit: the report held them in 32 bits.
        return Price({
            value: uint192(data.answer),
            decimal: int8(spec.decimals),
            observeAt: uint32(data.observedAt),
            expireAt: uint32(data.observedAt) + spec.maxAge
        });
    }
}
