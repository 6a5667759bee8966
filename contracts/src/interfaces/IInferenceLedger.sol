// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IModelRegistry} from "./IModelRegistry.sol";

/// @notice A question to a model. Its hash is its id, so every field is bound by the proof of the answer.
/// @param listing The model, as the registry lists it.
/// @param inputCommitment keccak256 over the inputs' public values as words; or ANY_INPUT, where the prover chooses.
/// @param consumer The contract that will act on the answer.
/// @param requester Who asks. Only this address can open the request.
/// @param expiry Until when, in Unix seconds, the answer can be recorded.
/// @param prover Who is paid `proverFee`, whoever posts the proof.
/// @param proverFee What the prover is paid on a valid proof, in wei.
/// @param refundTo Who gets both fees back where there is no answer.
/// @param ownerFee What the model's owner is paid on a valid proof, in wei; at least the listing's fee.
/// @param salt Any number that the requester has not used for the same question.
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

/// @notice What is stored of a request, in one word.
/// @param state Where it is in its life.
/// @param recordedAt When the answer was recorded, in Unix seconds.
/// @param outputDigest The first 208 bits of the keccak256 over the outputs' public values as words; two lists of
/// outputs with the same ones take 2^104 hashes to find.
struct Entry {
    State state;
    uint40 recordedAt;
    bytes26 outputDigest;
}

/// @title Proven answers, each recorded once
/// @notice Fees are in the chain's own coin; there are no tokens. All payments are pulled by `withdraw`.
interface IInferenceLedger {
    /// @notice A request was opened, and its fees are held.
    event Requested(bytes32 indexed id, bytes32 indexed listing, address indexed consumer, Request question);
    /// @notice A proven answer was recorded. With `Requested` it says everything that the ledger knows.
    event Recorded(
        bytes32 indexed id, bytes32 indexed listing, address indexed consumer, address poster, uint256[] outputs
    );
    /// @notice An answer was proven after the model was revoked: the prover was paid, the owner's fee went back to
    /// `refundTo`, and nothing was recorded.
    event PaidUnrecorded(bytes32 indexed id, bytes32 indexed listing, address indexed consumer, address poster);
    /// @notice The fees of a request without an answer were credited back.
    event Refunded(bytes32 indexed id, address indexed refundTo, uint256 amount);
    /// @notice An account took what was credited to it.
    event Withdrawn(address indexed account, address indexed to, uint256 amount);

    /// @notice Only the requester named in a request can open it.
    error NotRequester(address requester, address caller);
    /// @notice An address is needed here.
    error AddressMissing(string field);
    /// @notice The value sent is not the sum of both fees.
    error WrongValue(uint256 expected, uint256 actual);
    /// @notice The model's owner asks for more.
    error FeeTooLow(uint256 asked, uint256 offered);
    /// @notice The model takes no more requests.
    error ModelNotActive(bytes32 listing);
    /// @notice The model was revoked, so its answers are not to be acted on.
    error ModelRevoked(bytes32 listing);
    /// @notice The verifier that accepted the answer was stopped or removed, so it is not to be acted on.
    error VerifierNotLive(bytes4 selector);
    /// @notice A commitment to the input is missing; see ANY_INPUT.
    error InputCommitmentMissing();
    /// @notice A proof of this model tells nothing of its inputs, so only ANY_INPUT can be asked.
    error InputsArePrivate(bytes32 listing);
    /// @notice The request's time is over, or it has none.
    error Expired(uint64 expiry);
    /// @notice The request was opened before.
    error AlreadyRequested(bytes32 id);
    /// @notice The request is not open.
    error NotOpen(bytes32 id, State state);
    /// @notice Fees are given back only after the expiry, or once no proof can be accepted any more.
    error NotRefundable(bytes32 id);
    /// @notice A batch names as many requests as proofs and lists of public values, and at least one.
    error BatchMismatch();
    /// @notice Nothing was recorded under this id, or other outputs.
    error NotRecorded(bytes32 id);
    /// @notice There is nothing to take.
    error NothingToWithdraw();
    /// @notice The receiver refused the payment.
    error PaymentFailed(address to);

    /// @notice Ask, and put both fees into escrow.
    /// @param question The request. The caller must be its requester.
    /// @return id Its hash, which names it.
    function request(Request calldata question) external payable returns (bytes32 id);

    /// @notice Record a proven answer; anybody may post it, and the prover that the request names is paid.
    /// @dev A request that was never opened can be recorded by its requester alone, if it holds no fees. Where the model
    /// was revoked since it was asked, the prover is paid all the same, so that no owner can take an answer and not pay
    /// for it; nothing is recorded then.
    /// @param question The request.
    /// @param proof The proof.
    /// @param instances The proof's public values.
    /// @return id The request's id.
    function record(Request calldata question, bytes calldata proof, uint256[] calldata instances)
        external
        returns (bytes32 id);

    /// @notice Record several answers. What is over already (recorded, refunded, paid) or has expired is passed over,
    /// so that nobody can spoil a batch by ending one of its requests first; any other failure reverts all.
    /// @param questions The requests.
    /// @param proofs Their proofs.
    /// @param instances The proofs' public values.
    /// @return recorded How many were recorded, or paid, by this call.
    function recordBatch(Request[] calldata questions, bytes[] calldata proofs, uint256[][] calldata instances)
        external
        returns (uint256 recorded);

    /// @notice Credit the fees of an open request to `refundTo`; anybody may, after the expiry, or once the model's
    /// verifier was stopped or removed. A revocation opens no way round a prover who is at work.
    /// @param question The request.
    /// @return id The request's id.
    function refund(Request calldata question) external returns (bytes32 id);

    /// @notice Pay out everything that is credited to the caller.
    /// @param to Who is to receive it.
    /// @return amount How much, in wei.
    function withdraw(address payable to) external returns (uint256 amount);

    /// @notice The registry that listings are looked up in.
    // forge-lint: disable-next-line(mixed-case-function)
    function REGISTRY() external view returns (IModelRegistry);

    /// @notice What an account can withdraw, in wei.
    /// @param account The account.
    function creditOf(address account) external view returns (uint256);

    /// @notice The id of a request: a hash of the chain that this ledger was deployed on, the ledger, and all fields.
    /// @param question The request.
    function idOf(Request calldata question) external view returns (bytes32 id);

    /// @notice The hash whose first 130 bits a proof must carry to answer this request on this chain.
    /// @param question The request.
    function contextOf(Request calldata question) external view returns (bytes32 context);

    /// @notice What is stored under an id.
    /// @param id The request's id.
    function entryOf(bytes32 id) external view returns (Entry memory entry);

    /// @notice Return if exactly these outputs may be acted on now: they were recorded for this request, and neither was
    /// the model revoked since, nor the verifier that accepted them stopped or removed. Revert if not.
    /// @dev What was recorded before a stop may have been forged by the very bug that it was stopped for.
    /// @param question The request.
    /// @param outputs The outputs' public values.
    /// @return id The request's id.
    function requireSound(Request calldata question, uint256[] calldata outputs) external view returns (bytes32 id);

    /// @notice Return if exactly these outputs were recorded for this request; revert with NotRecorded if not.
    /// @dev It tells history, and goes on doing so after a stop or a revocation. To act on an answer ask requireSound.
    /// @param question The request.
    /// @param outputs The outputs' public values.
    /// @return id The request's id.
    function requireRecorded(Request calldata question, uint256[] calldata outputs) external view returns (bytes32 id);
}
