// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {InferenceConsumer} from "../InferenceConsumer.sol";
import {IInferenceLedger, Request} from "../interfaces/IInferenceLedger.sol";
import {PublicValues} from "../libraries/PublicValues.sol";

/// @title A lock that opens for the first picture which the model clearly reads as the right digit
contract DigitLock is InferenceConsumer {
    /// @notice The digit that opens the lock.
    uint256 public immutable DIGIT;
    /// @notice By how much the digit's score must lead: more than a prover can move the difference of two scores by
    /// rounding, which raises one and lowers the other.
    uint256 public immutable MARGIN;
    /// @notice Who opened it.
    address public winner;
    /// @notice Who showed a picture, by request.
    mapping(bytes32 id => address) public playerOf;

    /// @notice A picture was read.
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

    /// @notice Show a picture; the value pays for reading it.
    /// @param picture keccak256 over its quantised pixels.
    /// @param prover Who is to read it.
    function play(bytes32 picture, address prover) external payable returns (bytes32 id) {
        (id,) = _ask(picture, uint64(block.timestamp + 1 hours), prover, msg.value, msg.sender);
        playerOf[id] = msg.sender;
    }

    /// @notice Bring the proof of what was read.
    /// @param question The request that `play` made.
    /// @param proof The proof.
    /// @param instances Its public values.
    function settle(Request calldata question, bytes calldata proof, uint256[] calldata instances) external {
        (bytes32 id, int256[] memory scores) = _answer(question, proof, instances);
        (uint256 digit, bool clear) = PublicValues.argmaxWithMargin(scores, MARGIN);
        if (clear && digit == DIGIT && winner == address(0)) winner = playerOf[id];
        emit Read(playerOf[id], digit, clear);
    }
}
