// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IModelRegistry} from "./IModelRegistry.sol";
import {IVerifierProxy} from "./IVerifierProxy.sol";
import {IVerifierRouter} from "./IVerifierRouter.sol";

/// @notice How far an answer is vouched for.
/// @dev Attested: enough signers signed the inputs and the answer. Proven: a proof shows that the model gives the
/// answer on inputs that enough signers signed, or that an on-chain source computed.
enum Level {
    None,
    Attested,
    Proven
}

/// @notice What a feed is. Nothing of it ever changes, and its id is a hash of it.
/// @param listing The model, as the registry lists it.
/// @param recipe keccak256 of the document that says how data becomes the model's inputs.
/// @param owner Creates the feed on a hub, and chooses its signers; best a timelock.
/// @param source Computes the inputs on the chain; zero if signers vouch for them.
/// @param output Which of the model's outputs is the answer.
/// @param scale The power of two by which that output was multiplied, from the model's manifest; at most 64.
/// @param decimals How many decimals an answer has; at most 18.
/// @param least The least answer that is accepted.
/// @param most The greatest answer that is accepted.
/// @param tolerance How far a proven answer may lie from the signed one. It must cover the freedom that the proving
/// system leaves to a prover: a proof beyond it contradicts the signers.
/// @param tick Seconds of a round; round = observedAt / tick.
/// @param heartbeat A new answer is expected at least every so many seconds; the daemons' promise, not enforced.
/// @param maxAge A report cannot start a round when it is more seconds old than this.
/// @param description What the answers are about.
struct Spec {
    bytes32 listing;
    bytes32 recipe;
    address owner;
    address source;
    uint24 output;
    uint8 scale;
    uint8 decimals;
    int192 least;
    int192 most;
    uint64 tolerance;
    uint32 tick;
    uint32 heartbeat;
    uint32 maxAge;
    string description;
}

/// @notice The one answer of a round; one word of storage. The time is that of the observation, not of the report.
struct Round {
    int192 answer;
    uint40 observedAt;
    Level level;
}

/// @notice What changes about a feed.
/// @param latest The newest round with an answer of any level.
/// @param latestProven The newest round with a proven answer.
/// @param doubtedBelow Answers of rounds below this rest on their proofs alone: signers who were contradicted signed them.
/// @param contradicted Whether a proof contradicted the present signers.
/// @param sourced Whether an on-chain source computes the inputs: then there are no signers, and all depends on proofs.
struct FeedState {
    uint40 latest;
    uint40 latestProven;
    uint40 doubtedBelow;
    bool contradicted;
    bool sourced;
}

/// @title Answers of models as data feeds
/// @notice Anybody posts reports; a report carries everything that decides whether it is accepted. A round has one
/// answer for ever; its level only rises. There is no administrator, no pause and no upgrade.
///
/// What signers sign: keccak256(keccak256(report) ‖ context), where context is [config, round, keccak256(abi.encode(
/// sourceDigest, keccak256(inputs)))] and the report holds feed, time and answer. So a signature serves one feed, one
/// round, one answer and one input; on every hub that has the feed, which is meant: a feed's answer is the same on all
/// chains. For the same reason the context of a proof names no chain and no consumer. A proof can be posted again
/// without harm, since a round is written once; and no ledger accepts it, since a ledger's contexts name its chain.
///
/// Contradiction: a payload whose signatures hold, and whose proof, about the very inputs and source that were signed,
/// gives an answer further than `tolerance` from the signed one. It needs no second payload, and a proof about other
/// inputs is none: signers answer for the inputs they signed. Whether the round is on record does not matter, nor how
/// old it is. It ends reading as attested until the owner chooses other signers; rounds up to then that were not proven
/// are never read as attested again, and those that were only as long as the verifier is live. Proven answers stay: they
/// do not rest on the signers' arithmetic, only on their observation. Evidence counts against the feed's present signers only, so that leaked keys of former ones can do no
/// harm. Where a report is on record as proven, `verify` checks no further proof of it; `prove` does, since they may have
/// signed the same answer for other inputs, for which it is false.
///
/// A payload is abi.encode(bytes32[3] context, bytes report, bytes32[] rs, bytes32[] ss, bytes32 rawVs, bytes32
/// sourceDigest, bytes inputs, int256[] outputs, bytes proof) in the canonical encoding; outputs and proof are both
/// empty where there is no proof. Byte i of rawVs is v - 27 of signature i; signers ascend. The report is abi.encode(
/// feedId, observedAt, observedAt, 0, 0, observedAt + maxAge, answer, answer, answer), as Data Streams' schema 3.
interface IFeedHub is IVerifierProxy {
    /// @notice A feed was created.
    event FeedCreated(bytes32 indexed feedId, Spec spec);
    /// @notice A set of signers can be chosen by feeds.
    event ConfigSet(bytes32 indexed configDigest, address[] signers, uint8 threshold);
    /// @notice A feed has other signers.
    event ConfigChosen(bytes32 indexed feedId, bytes32 indexed configDigest);
    /// @notice A round has an answer, or its level rose.
    event RoundReported(
        bytes32 indexed feedId,
        uint40 indexed round,
        int192 answer,
        uint40 observedAt,
        Level level,
        bytes32 sourceDigest,
        bytes32 inputCommitment
    );
    /// @notice A proof gives another answer than these signers signed, for the inputs they signed.
    event Contradicted(bytes32 indexed feedId, uint40 indexed round, int192 signed, int192 proven, address[] signers);

    /// @notice There is no such feed.
    error UnknownFeed(bytes32 feedId);
    /// @notice The feed was created before.
    error FeedExists(bytes32 feedId);
    /// @notice Only the owner that the spec names may do this.
    error NotFeedOwner(address owner, address caller);
    /// @notice The named field of the spec is impossible, alone or with the model's layout.
    error ImpossibleSpec(string field);
    /// @notice The model takes no requests.
    error ListingNotActive(bytes32 listing);
    /// @notice Nobody has set this config.
    error UnknownConfig(bytes32 configDigest);
    /// @notice Signers must be 1 to 31 addresses, none zero, each greater than the one before.
    error SignersNotAscending();
    /// @notice The threshold is zero or more than there are signers.
    error ImpossibleThreshold(uint8 threshold, uint256 signers);
    /// @notice The inputs of this feed come from the chain, so it has no signers.
    error NoSigners(bytes32 feedId);
    /// @notice A proof contradicted these signers of this feed before.
    error ConfigContradicted(bytes32 feedId, bytes32 configDigest);
    /// @notice The payload was made for other signers than the feed's.
    error WrongConfig(bytes32 expected, bytes32 actual);
    /// @notice Fewer signatures than the threshold.
    error NotEnoughSigners(uint256 expected, uint256 actual);
    /// @notice A signature that cannot be recovered, or has a second form.
    error BadSignature(uint256 index);
    /// @notice Not one of the signers, or not in ascending order.
    error BadSigner(address signer);
    /// @notice The report is not the one that its feed, time and answer determine.
    error ReportMismatch(bytes32 expected, bytes32 actual);
    /// @notice The context was made for another source file or other inputs.
    error ExtraMismatch(bytes32 expected, bytes32 actual);
    /// @notice The round does not follow from the time.
    error WrongRound(uint256 expected, uint256 actual);
    /// @notice The source's time of this round is another.
    error WrongTime(uint40 expected, uint256 actual);
    /// @notice The observation is later than the block.
    error FromTheFuture(uint256 observedAt);
    /// @notice The observation is too old to start a round, or to be returned as a report.
    error TooOld(uint256 observedAt);
    /// @notice The answer lies outside the feed's bounds; it is never clamped.
    error OutOfBounds(int256 answer);
    /// @notice Without signers, a report needs a proof; and only one can raise a level.
    error ProofMissing(bytes32 feedId);
    /// @notice Without signers, the answer must be exactly the proven one.
    error AnswerMismatch(int192 proven, int256 reported);
    /// @notice The round has another answer, which never changes.
    error RoundHasAnswer(bytes32 feedId, uint40 round, int192 answer, uint40 observedAt);
    /// @notice Reports are free, and the hub holds no value.
    error ValueRefused();
    /// @notice There is no answer of that level.
    error NoData(bytes32 feedId);
    /// @notice A read must name a level.
    error LevelMissing();
    /// @notice The model was revoked, or its verifier stopped.
    error FeedStopped(bytes32 feedId);
    /// @notice A proof contradicted the feed's signers.
    error FeedContradicted(bytes32 feedId);

    /// @notice Make a set of signers available to feeds. Open to everyone; nothing happens if it exists.
    /// @param signers Ascending addresses.
    /// @param threshold How many of them must sign.
    /// @return configDigest keccak256(abi.encode(keccak256("zkinfer.feed-config.1"), signers, threshold)).
    function configure(address[] calldata signers, uint8 threshold) external returns (bytes32 configDigest);

    /// @notice Create a feed, as its owner.
    /// @param spec The feed.
    /// @param configDigest Its signers; zero for a feed with an on-chain source.
    /// @return feedId 0x0003, then the last 30 bytes of keccak256(abi.encode(spec)).
    function create(Spec calldata spec, bytes32 configDigest) external returns (bytes32 feedId);

    /// @notice Give a feed other signers, as its owner.
    /// @param feedId The feed.
    /// @param configDigest The signers. Not those whom a proof contradicted in this feed.
    function choose(bytes32 feedId, bytes32 configDigest) external;

    /// @notice Accept a payload of any age about a round that is on record, if it raises its level; or that contradicts
    /// the signers. For proofs that take longer than a feed's `maxAge`. Gives no report, so that nobody takes an old
    /// one for fresh.
    /// @param payload The payload, with a proof.
    function prove(bytes calldata payload) external;

    /// @notice What the feed is; reverts if there is none.
    /// @param feedId The feed.
    function specOf(bytes32 feedId) external view returns (Spec memory spec);

    /// @notice The signers of a feed; zero if there is none, or it has an on-chain source.
    /// @param feedId The feed.
    function configOf(bytes32 feedId) external view returns (bytes32 configDigest);

    /// @notice A config; empty, with the threshold zero, if nobody has set it.
    /// @param configDigest The config.
    /// @return signers Ascending addresses.
    /// @return threshold How many of them must sign.
    function signersOf(bytes32 configDigest) external view returns (address[] memory signers, uint8 threshold);

    /// @notice What changes about a feed; zeros if there is none.
    /// @param feedId The feed.
    function stateOf(bytes32 feedId) external view returns (FeedState memory state);

    /// @notice Whether a proof contradicted the present signers of a feed.
    /// @param feedId The feed.
    function isContradicted(bytes32 feedId) external view returns (bool);

    /// @notice A round as it was stored; its level is None if there is no answer. To act on an answer, read it with
    /// `requireRound`: this does not tell whether the feed was stopped or contradicted.
    /// @param feedId The feed.
    /// @param round The round.
    function roundOf(bytes32 feedId, uint40 round) external view returns (Round memory);

    /// @notice The newest answer; reverts as `requireRound`. It may be old: compare its time.
    /// @param feedId The feed.
    /// @param least The level that the caller needs.
    /// @return round The round.
    /// @return data Its answer.
    function latest(bytes32 feedId, Level least) external view returns (uint40 round, Round memory data);

    /// @notice The answer of one round. Reverts with NoData if there is none of that level; FeedStopped if the answer
    /// rests on proofs, and the model was revoked or its verifier stopped; FeedContradicted if it rests on signers whom
    /// a proof contradicted.
    /// @param feedId The feed.
    /// @param round The round.
    /// @param least The level that the caller needs.
    function requireRound(bytes32 feedId, uint40 round, Level least) external view returns (Round memory data);

    /// @notice The answer alone; reverts as `requireRound`.
    /// @param feedId The feed.
    /// @param round The round that the caller needs: at / tick for a time. One answer exists for it, whoever posts it.
    /// @param least The level that the caller needs.
    function requireAt(bytes32 feedId, uint40 round, Level least) external view returns (int192 answer);

    /// @notice The listings of models.
    function REGISTRY() external view returns (IModelRegistry);

    /// @notice The router that maps selectors to verifiers.
    function ROUTER() external view returns (IVerifierRouter);
}
