// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {AggregatorV3Interface} from "../interfaces/AggregatorV3Interface.sol";

/// @title A stable address for a feed whose model may change
/// @notice Numbers are those of Chainlink's EACAggregatorProxy: phase << 64 | round, so that consumers which page back
/// find the rounds of earlier faces. The owner proposes a face; it can be confirmed only after a delay that is fixed
/// here, in which consumers can look at it and leave; and no later than WINDOW after that, so that no forgotten proposal
/// takes them by surprise. A face must have the decimals of the first. What a face answers is its own affair: whoever
/// reads here checks that a proposed one is a FeedFace, of which hub, feed and level.
contract FeedProxy is AggregatorV3Interface, Ownable2Step {
    /// @notice Seconds between a proposal and its confirmation.
    uint256 public immutable DELAY;
    /// @notice Seconds in which a proposal can be confirmed, after its delay.
    uint256 public constant WINDOW = 14 days;
    /// @inheritdoc AggregatorV3Interface
    uint8 public immutable override decimals;
    /// @notice The phase of the present face; the first is 1.
    uint16 public phaseId;
    /// @notice The face of each phase.
    mapping(uint16 phase => AggregatorV3Interface) public phaseAggregators;
    /// @notice The face that is proposed; zero if none is.
    AggregatorV3Interface public proposedAggregator;
    /// @notice When it can be confirmed, in Unix seconds.
    uint256 public confirmableAt;

    uint256 private constant PHASE_OFFSET = 64;

    /// @notice A face was proposed, or with zero a proposal withdrawn.
    event AggregatorProposed(address indexed current, address indexed proposed, uint256 confirmableAt);
    /// @notice A face was confirmed.
    event AggregatorConfirmed(address indexed previous, address indexed latest, uint16 phase);

    /// @notice The face has other decimals, so its answers would be misread.
    error DecimalsDiffer(uint8 expected, uint8 actual);
    /// @notice The face is not the one that is proposed.
    error NotProposed(address proposed, address face);
    /// @notice The delay has not passed.
    error TooEarly(uint256 confirmableAt);
    /// @notice The proposal is too old; it must be made anew.
    error TooLate(uint256 confirmableUntil);
    /// @notice There was no such phase.
    error UnknownPhase(uint256 phase);
    /// @notice Without an owner the model behind this address could never change.
    error RenouncingRefused();

    /// @param first The first face.
    /// @param owner_ Proposes and confirms; best a timelock or a multi-signature account.
    /// @param delay Seconds between a proposal and its confirmation.
    constructor(AggregatorV3Interface first, address owner_, uint256 delay) Ownable(owner_) {
        DELAY = delay;
        decimals = first.decimals();
        _enter(first);
    }

    /// @notice Propose a face, as the owner. It replaces an earlier proposal, and its delay begins anew; zero withdraws.
    /// @param face The face.
    function proposeAggregator(AggregatorV3Interface face) external onlyOwner {
        if (address(face) != address(0)) _requireDecimals(face);
        proposedAggregator = face;
        confirmableAt = block.timestamp + DELAY;
        emit AggregatorProposed(address(aggregator()), address(face), confirmableAt);
    }

    /// @notice Confirm the proposed face, as the owner, when its delay has passed and before the window has.
    /// @param face The face, which must be the proposed one.
    function confirmAggregator(AggregatorV3Interface face) external onlyOwner {
        address proposed = address(proposedAggregator);
        if (proposed == address(0) || address(face) != proposed) revert NotProposed(proposed, address(face));
        if (block.timestamp < confirmableAt) revert TooEarly(confirmableAt);
        if (block.timestamp > confirmableAt + WINDOW) revert TooLate(confirmableAt + WINDOW);
        _requireDecimals(face); // which other code than a FeedFace's may have changed since
        delete proposedAggregator;
        _enter(face);
    }

    /// @inheritdoc AggregatorV3Interface
    function description() external view override returns (string memory) {
        return aggregator().description();
    }

    /// @inheritdoc AggregatorV3Interface
    function version() external view override returns (uint256) {
        return aggregator().version();
    }

    /// @inheritdoc AggregatorV3Interface
    function getRoundData(uint80 roundId_)
        external
        view
        override
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        uint16 phase = uint16(roundId_ >> PHASE_OFFSET);
        AggregatorV3Interface face = phaseAggregators[phase];
        if (address(face) == address(0)) revert UnknownPhase(phase);
        (roundId, answer, startedAt, updatedAt, answeredInRound) = face.getRoundData(uint64(roundId_));
        return (_numbered(phase, roundId), answer, startedAt, updatedAt, _numbered(phase, answeredInRound));
    }

    /// @inheritdoc AggregatorV3Interface
    function latestRoundData()
        external
        view
        override
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        (roundId, answer, startedAt, updatedAt, answeredInRound) = aggregator().latestRoundData();
        return (_numbered(phaseId, roundId), answer, startedAt, updatedAt, _numbered(phaseId, answeredInRound));
    }

    /// @notice The present face.
    function aggregator() public view returns (AggregatorV3Interface) {
        return phaseAggregators[phaseId];
    }

    /// @notice Always reverts; transfer the ownership instead.
    function renounceOwnership() public pure override {
        revert RenouncingRefused();
    }

    function _enter(AggregatorV3Interface face) private {
        address previous = address(aggregator());
        phaseAggregators[++phaseId] = face;
        emit AggregatorConfirmed(previous, address(face), phaseId);
    }

    function _requireDecimals(AggregatorV3Interface face) private view {
        uint8 actual = face.decimals();
        if (actual != decimals) revert DecimalsDiffer(decimals, actual);
    }

    /// @dev A face's own numbers are below 2^64.
    function _numbered(uint16 phase, uint80 round) private pure returns (uint80) {
        return uint80((uint256(phase) << PHASE_OFFSET) | uint64(round));
    }
}
