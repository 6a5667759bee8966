// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {InferenceConsumer} from "zkinfer/src/InferenceConsumer.sol";
import {IInferenceLedger, Request} from "zkinfer/src/interfaces/IInferenceLedger.sol";
import {Outputs} from "zkinfer/src/libraries/Outputs.sol";

/// @title A desk that grants credit to applicants whom the model clearly scores at three quarters or above
contract CreditDesk is InferenceConsumer {
    /// @notice The scale of the model's output, from its manifest: the score is the integer over 2^SCALE.
    uint8 public constant SCALE = 5;
    /// @notice The margin by which a score must exceed the threshold. Two units are an example: compute yours from the
    /// weights of your model, as docs/guides/contracts.md describes.
    int256 public constant MARGIN = 2;
    mapping(bytes32 id => address) public applicantOf;
    mapping(address applicant => bool) public hasCredit;

    constructor(IInferenceLedger ledger, bytes32 listing) InferenceConsumer(ledger, listing) {}

    /// @param application keccak256 of the packed inputs for the model to score.
    function applyFor(bytes32 application, address prover) external payable returns (bytes32 id) {
        (id,) = _ask(application, uint64(block.timestamp + 1 hours), prover, msg.value, msg.sender);
        applicantOf[id] = msg.sender;
    }

    function decide(Request calldata request, bytes calldata inputs, int256[] calldata scores, bytes calldata proof)
        external
    {
        bytes32 id = _answer(request, inputs, scores, proof);
        if (Outputs.isAtLeast(scores[0] - MARGIN, SCALE, 3, 4)) hasCredit[applicantOf[id]] = true;
    }
}
