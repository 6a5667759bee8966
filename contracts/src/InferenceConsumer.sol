// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceLedger, Request, State} from "./interfaces/IInferenceLedger.sol";
import {Program} from "./interfaces/IModelRegistry.sol";
import {Canonical} from "./libraries/Canonical.sol";
import {PublicValues} from "./libraries/PublicValues.sol";

/// @title What a contract inherits to act on answers of one model
/// @notice `_ask` opens a request in this contract's name. `_answer` takes a proof of the answer, records it unless
/// somebody else did already, and gives the numbers; once for each request. Keep what you need to know about a request
/// under its id. Do not act on an id that you did not ask: `_answer` refuses those. It refuses too what was recorded
/// before the model was revoked or its verifier stopped: that may be forged.
/// The last units of the numbers are the prover's: where a circuit divides, its constraints take the floor as well as
/// the ceiling, and what follows multiplies that unit. So act on a number only where it is away from the threshold by
/// more than it can be moved, and on the largest of several only where it leads by more than the difference of two can
/// be moved: see PublicValues.argmaxWithMargin.
/// The owner of the listing can revoke it between a record and `_answer`, which then reverts for ever. So give an exit
/// to whoever waits for an answer beyond the expiry, and let requests expire soon.
abstract contract InferenceConsumer {
    /// @notice Where answers are recorded.
    IInferenceLedger public immutable LEDGER;
    /// @notice The one model that this contract relies on.
    bytes32 public immutable LISTING;

    uint256 private immutable _OUTPUT_AT;
    uint256 private immutable _OUTPUT_END;
    uint256 private _asked;
    mapping(bytes32 id => bool) private _answered;

    /// @notice The question is to another model, or of another contract.
    error ForeignQuestion();
    /// @notice This contract has acted on the answer already.
    error AlreadyAnswered(bytes32 id);
    /// @notice The value does not even pay the model's owner.
    error ValueBelowFee(uint256 fee, uint256 value);
    /// @notice The list of public values ends before the outputs do.
    error TooFewInstances(uint256 expected, uint256 actual);

    /// @param ledger Where answers are recorded.
    /// @param listing The model, as the ledger's registry lists it. Its key and its layout never change.
    constructor(IInferenceLedger ledger, bytes32 listing) {
        Program memory program = ledger.REGISTRY().programOf(listing);
        LEDGER = ledger;
        LISTING = listing;
        _OUTPUT_AT = program.slots.outputAt;
        _OUTPUT_END = program.slots.outputAt + program.slots.outputCount;
    }

    /// @notice Open a request.
    /// @param inputCommitment keccak256 over the input's public values as words, or ANY_INPUT.
    /// @param expiry Until when an answer is wanted, in Unix seconds.
    /// @param prover Who is paid for the proof.
    /// @param value What to spend in wei: the model's fee, and the rest for the prover. From this contract's balance.
    /// @param refundTo Who gets the value back where there is no answer.
    /// @return id The request's id.
    /// @return question The request; it is in the ledger's event too, and whoever answers must bring it.
    function _ask(bytes32 inputCommitment, uint64 expiry, address prover, uint256 value, address refundTo)
        internal
        returns (bytes32 id, Request memory question)
    {
        uint96 fee = LEDGER.REGISTRY().programOf(LISTING).fee;
        if (value < fee) revert ValueBelowFee(fee, value);
        question = Request({
            listing: LISTING,
            inputCommitment: inputCommitment,
            consumer: address(this),
            requester: address(this),
            expiry: expiry,
            prover: prover,
            proverFee: uint96(value - fee), // where this truncates, the ledger refuses the value
            refundTo: refundTo,
            ownerFee: fee,
            salt: bytes32(_asked++)
        });
        id = LEDGER.request{value: value}(question);
    }

    /// @notice Take the proven answer to a request of this contract.
    /// @dev The external function that calls this has exactly these three parameters: whatever lies elsewhere in the
    /// calldata is refused.
    /// @param question The request.
    /// @param proof The proof; not looked at where the answer is recorded already.
    /// @param instances The public values of the proof.
    /// @return id The request's id.
    /// @return outputs The model's answer as quantised integers; see PublicValues for comparing them.
    function _answer(Request calldata question, bytes calldata proof, uint256[] calldata instances)
        internal
        returns (bytes32 id, int256[] memory outputs)
    {
        Canonical.require_(proof, instances, 0x180);
        if (question.requester != address(this) || question.listing != LISTING) revert ForeignQuestion();
        if (instances.length < _OUTPUT_END) revert TooFewInstances(_OUTPUT_END, instances.length);
        id = LEDGER.idOf(question);
        if (_answered[id]) revert AlreadyAnswered(id);
        _answered[id] = true;
        // A request that was never asked must not be opened here, in this contract's name.
        if (LEDGER.entryOf(id).state == State.Open) LEDGER.record(question, proof, instances);
        uint256[] calldata words = instances[_OUTPUT_AT:_OUTPUT_END];
        LEDGER.requireSound(question, words);
        outputs = PublicValues.decodeAll(words);
    }
}
