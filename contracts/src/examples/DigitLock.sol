// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {InferenceConsumer} from "../InferenceConsumer.sol";
import {IInferenceLedger, Request} from "../interfaces/IInferenceLedger.sol";
import {Outputs} from "../libraries/Outputs.sol";

/// @title A lock that opens for the first image that the model clearly reads as the right digit
contract DigitLock is InferenceConsumer {
    /// @notice The digit that opens the lock.
    uint256 public immutable DIGIT;
    /// @notice By how much the digit's score must lead: more than the tolerance of the proving system can move the
    /// difference of two scores.
    uint256 public immutable MARGIN;
    /// @notice The player who opened it.
    address public winner;
    /// @notice The player who showed an image, by request.
    mapping(bytes32 id => address) public playerOf;

    /// @notice An image was read.
    event Read(address indexed player, uint256 digit, bool clear);

    /// @param ledger Where answers are recorded.
    /// @param listing The model that reads digits.
    /// @param digit The digit that opens the lock.
    /// @param margin By how much its score must lead, in units of the model's output.
    constructor(IInferenceLedger ledger, bytes32 listing, uint256 digit, uint256 margin)
        InferenceConsumer(ledger, listing)
    {
        DIGIT = digit;
        MARGIN = margin;
    }

    /// @notice Show an image; the value pays for reading it.
    /// @param image keccak256 over its packed pixels.
    /// @param prover Paid for the proof.
    function play(bytes32 image, address prover) external payable returns (bytes32 id) {
        (id,) = _ask(image, uint64(block.timestamp + 1 hours), prover, msg.value, msg.sender);
        playerOf[id] = msg.sender;
    }

    /// @notice Deliver the proven scores of an image.
    /// @param request The request that `play` made.
    /// @param inputs The packed pixels.
    /// @param scores The outputs.
    /// @param proof The proof.
    function settle(Request calldata request, bytes calldata inputs, int256[] calldata scores, bytes calldata proof)
        external
    {
        bytes32 id = _answer(request, inputs, scores, proof);
        (uint256 digit, bool clear) = Outputs.argmaxWithMargin(scores, MARGIN);
        if (clear && digit == DIGIT && winner == address(0)) winner = playerOf[id];
        emit Read(playerOf[id], digit, clear);
    }
}
