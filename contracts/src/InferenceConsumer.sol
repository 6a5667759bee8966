// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceLedger, Request, State} from "./interfaces/IInferenceLedger.sol";
import {CanonicalCalldata} from "./libraries/CanonicalCalldata.sol";

/// @title Base contract for acting on the answers of one model
/// @notice `_ask` opens a request in this contract's name. `_answer` takes a proof of the answer, records it unless it
/// is on record already, and returns if the outputs may be acted on; once for each request. Store what you need to know
/// about a request under its id. `_answer` rejects requests that this contract did not make, and records from before the
/// model was revoked or its verifier stopped: those may be forged.
/// Some proving systems leave a tolerance in the outputs, within which the prover chooses: read the adapter of the
/// model's system, and keep a margin (see Outputs.argmaxWithMargin).
/// The owner of the listing can revoke it between a record and `_answer`, which then reverts for ever. So offer users
/// a way out after the expiry, and keep expiries short.
abstract contract InferenceConsumer {
    /// @notice Where answers are recorded.
    IInferenceLedger public immutable LEDGER;
    /// @notice The one model that this contract relies on.
    bytes32 public immutable LISTING;

    uint256 private _asked;
    mapping(bytes32 id => bool) private _answered;

    /// @notice The request is to another model, or from another contract.
    error ForeignRequest();
    /// @notice This contract has acted on the answer before.
    error AlreadyAnswered(bytes32 id);
    /// @notice The value does not cover the model's fee.
    error ValueBelowFee(uint256 fee, uint256 value);

    /// @param ledger Where answers are recorded.
    /// @param listing The model, as the ledger's registry lists it. Its key and its layout never change.
    constructor(IInferenceLedger ledger, bytes32 listing) {
        ledger.REGISTRY().programOf(listing); // reverts if there is no such listing
        LEDGER = ledger;
        LISTING = listing;
    }

    /// @notice Open a request.
    /// @param inputCommitment keccak256 over the packed inputs, or ANY_INPUT.
    /// @param expiry The last time at which the answer can be recorded, in Unix seconds.
    /// @param prover Paid for the proof.
    /// @param value Wei to spend from this contract's balance: the model's fee, and the rest for the prover.
    /// @param refundTo Is credited the value if there is no answer.
    /// @return id The request's id.
    /// @return request The request. It is also in the ledger's event; `_answer` needs it.
    function _ask(bytes32 inputCommitment, uint64 expiry, address prover, uint256 value, address refundTo)
        internal
        returns (bytes32 id, Request memory request)
    {
        uint96 fee = LEDGER.REGISTRY().programOf(LISTING).fee;
        if (value < fee) revert ValueBelowFee(fee, value);
        request = Request({
            listing: LISTING,
            inputCommitment: inputCommitment,
            consumer: address(this),
            requester: address(this),
            expiry: expiry,
            prover: prover,
            proverFee: uint96(value - fee), // if this truncates, the ledger rejects the value
            refundTo: refundTo,
            ownerFee: fee,
            salt: bytes32(_asked++)
        });
        id = LEDGER.request{value: value}(request);
    }

    /// @notice Return if the outputs are the proven answer to a request of this contract; revert if not.
    /// @dev The external function that calls this must have exactly these four parameters: dynamic arguments elsewhere
    /// in the calldata are rejected.
    /// @param request The request.
    /// @param inputs The packed inputs; ignored if the answer is on record.
    /// @param outputs The outputs: signed integers; see Outputs for comparing them.
    /// @param proof The proof; ignored if the answer is on record.
    /// @return id The request's id.
    function _answer(Request calldata request, bytes calldata inputs, int256[] calldata outputs, bytes calldata proof)
        internal
        returns (bytes32 id)
    {
        CanonicalCalldata.requireStatement(inputs, outputs, proof, 0x1a0);
        if (request.requester != address(this) || request.listing != LISTING) revert ForeignRequest();
        id = LEDGER.idOf(request);
        if (_answered[id]) revert AlreadyAnswered(id);
        _answered[id] = true;
        // A request that was never made must not be opened here, in this contract's name.
        if (LEDGER.entryOf(id).state == State.Open) LEDGER.record(request, inputs, outputs, proof);
        LEDGER.requireSound(request, outputs);
    }
}
