// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IModelRegistry} from "./IModelRegistry.sol";

/// @notice A request for an answer of a model. Its hash is its id, so the proof of the answer binds every field.
/// @param listing The model, as the registry lists it.
/// @param inputCommitment keccak256 over the packed inputs; or ANY_INPUT, to let the prover choose.
/// @param consumer The contract that will act on the answer.
/// @param requester The account that makes the request, and the only one that can open it.
/// @param expiry The last time at which the answer can be recorded, in Unix seconds.
/// @param prover Paid `proverFee`, no matter which account posts the proof.
/// @param proverFee Paid to the prover for a valid proof, in wei.
/// @param refundTo Is credited both fees if there is no answer.
/// @param ownerFee Paid to the model's owner for a valid proof, in wei; at least the listing's fee.
/// @param salt Any word that the requester has not used for an otherwise equal request.
struct Request {
    bytes32 listing;
    bytes32 inputCommitment;
    address consumer;
    address requester;
    uint64 expiry;
    address prover;
    uint96 proverFee;
    address refundTo;
    uint96 ownerFee;
    bytes32 salt;
}

/// @notice The life of a request: None, Open, then one of Recorded, Refunded and Paid, each for ever.
/// @dev Paid: the answer was proven after the model was revoked, so its prover was paid and nothing recorded.
enum State {
    None,
    Open,
    Recorded,
    Refunded,
    Paid
}

/// @notice The ledger's entry of a request: one word of storage.
/// @param state The state of the request.
/// @param recordedAt When the answer was recorded, in Unix seconds.
/// @param outputDigest The first 208 bits of the keccak256 over the outputs as words; finding two lists of outputs
/// with the same digest takes 2^104 hashes.
struct Entry {
    State state;
    uint40 recordedAt;
    bytes26 outputDigest;
}

/// @title Proven answers, each recorded once
/// @notice Fees are in the chain's native currency; there are no tokens. All payments are pulled by `withdraw`.
interface IInferenceLedger {
    /// @notice A request was opened, and its fees are held.
    event Requested(bytes32 indexed id, bytes32 indexed listing, address indexed consumer, Request request);
    /// @notice A proven answer was recorded. Together with `Requested` it holds everything that the ledger knows.
    event Recorded(
        bytes32 indexed id, bytes32 indexed listing, address indexed consumer, address poster, int256[] outputs
    );
    /// @notice An answer was proven after the model was revoked: the prover was paid, the owner's fee went back to
    /// `refundTo`, and nothing was recorded.
    event PaidUnrecorded(bytes32 indexed id, bytes32 indexed listing, address indexed consumer, address poster);
    /// @notice The fees of a request without an answer were credited back.
    event Refunded(bytes32 indexed id, address indexed refundTo, uint256 amount);
    /// @notice An account withdrew its credit.
    event Withdrawn(address indexed account, address indexed to, uint256 amount);

    /// @notice Only the requester named in a request can open it.
    error NotRequester(address requester, address caller);
    /// @notice A required address is zero.
    error AddressMissing(string field);
    /// @notice The value sent is not the sum of both fees.
    error WrongValue(uint256 expected, uint256 actual);
    /// @notice The offered fee is below the model's.
    error FeeTooLow(uint256 asked, uint256 offered);
    /// @notice The model does not take requests any more.
    error ModelNotActive(bytes32 listing);
    /// @notice The model was revoked, so its answers must not be acted on.
    error ModelRevoked(bytes32 listing);
    /// @notice The verifier that accepted the answer was stopped or removed, so the answer must not be acted on.
    error VerifierNotLive(bytes4 selector);
    /// @notice A commitment to the input is missing; see ANY_INPUT.
    error InputCommitmentMissing();
    /// @notice Proofs of this model keep the inputs private, so only ANY_INPUT can be requested.
    error InputsArePrivate(bytes32 listing);
    /// @notice The request has expired.
    error Expired(uint64 expiry);
    /// @notice The request was opened before.
    error AlreadyRequested(bytes32 id);
    /// @notice The request is not open.
    error NotOpen(bytes32 id, State state);
    /// @notice Fees are given back only after the expiry, or once no proof can be accepted any more.
    error NotRefundable(bytes32 id);
    /// @notice The lists of a batch differ in length, or are empty.
    error BatchMismatch();
    /// @notice Nothing was recorded under this id, or other outputs were.
    error NotRecorded(bytes32 id);
    /// @notice There is nothing to withdraw.
    error NothingToWithdraw();
    /// @notice The receiver rejected the payment.
    error PaymentFailed(address to);

    /// @notice Open a request, and put both fees into escrow.
    /// @param request_ The request. The caller must be its requester.
    /// @return id Its hash, which identifies it.
    function request(Request calldata request_) external payable returns (bytes32 id);

    /// @notice Record a proven answer. Open to everyone; the prover that the request names is paid.
    /// @dev A request that was never opened can be recorded by its requester alone, if it holds no fees. If the model
    /// was revoked since the request, the prover is paid all the same, so that an owner cannot take an answer without
    /// paying for it; nothing is recorded then.
    /// @param request The request.
    /// @param inputs The packed inputs, as the model's layout says; see IInferenceVerifier.verify.
    /// @param outputs The outputs.
    /// @param proof The proof.
    /// @return id The request's id.
    function record(Request calldata request, bytes calldata inputs, int256[] calldata outputs, bytes calldata proof)
        external
        returns (bytes32 id);

    /// @notice Record several answers. Requests that have ended (recorded, refunded, paid) or expired are skipped, so
    /// that ending one of them first does not spoil the batch; any other failure reverts all.
    /// @param requests The requests.
    /// @param inputs The packed inputs of each.
    /// @param outputs The outputs of each.
    /// @param proofs The proof of each.
    /// @return recorded How many were recorded, or paid, by this call.
    function recordBatch(
        Request[] calldata requests,
        bytes[] calldata inputs,
        int256[][] calldata outputs,
        bytes[] calldata proofs
    ) external returns (uint256 recorded);

    /// @notice Credit the fees of an open request to `refundTo`. Open to everyone after the expiry, or once the model's
    /// verifier was stopped or removed. A revocation alone does not allow it, so a prover at work keeps the fee.
    /// @param request The request.
    /// @return id The request's id.
    function refund(Request calldata request) external returns (bytes32 id);

    /// @notice Pay out everything that is credited to the caller.
    /// @param to The receiver.
    /// @return amount How much, in wei.
    function withdraw(address payable to) external returns (uint256 amount);

    /// @notice The registry that listings are looked up in.
    // forge-lint: disable-next-line(mixed-case-function)
    function REGISTRY() external view returns (IModelRegistry);

    /// @notice What an account can withdraw, in wei.
    /// @param account The account.
    function creditOf(address account) external view returns (uint256);

    /// @notice The id of a request: a hash of the chain that this ledger was deployed on, the ledger, and all fields.
    /// @param request The request.
    function idOf(Request calldata request) external view returns (bytes32 id);

    /// @notice The context that a proof must be made for to answer this request on this chain.
    /// @param request The request.
    function contextOf(Request calldata request) external view returns (bytes32 context);

    /// @notice The entry stored under an id.
    /// @param id The request's id.
    function entryOf(bytes32 id) external view returns (Entry memory entry);

    /// @notice Return if exactly these outputs may be acted on now: they were recorded for this request, the model was
    /// not revoked since, and the verifier that accepted them was neither stopped nor removed. Revert if not.
    /// @dev A record from before a stop may have been forged by the very bug that caused the stop.
    /// @param request The request.
    /// @param outputs The outputs.
    /// @return id The request's id.
    function requireSound(Request calldata request, int256[] calldata outputs) external view returns (bytes32 id);

    /// @notice Return if exactly these outputs were recorded for this request; revert with NotRecorded if not.
    /// @dev This is history: it stays true after a stop or a revocation. To act on an answer, call requireSound.
    /// @param request The request.
    /// @param outputs The outputs.
    /// @return id The request's id.
    function requireRecorded(Request calldata request, int256[] calldata outputs) external view returns (bytes32 id);
}
