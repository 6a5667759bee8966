// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {FeedState, IFeedHub, Level, Round, Spec} from "../interfaces/IFeedHub.sol";
import {IFeedSource} from "../interfaces/IFeedSource.sol";
import {IModelRegistry, Program, Status} from "../interfaces/IModelRegistry.sol";
import {IVerifierProxy} from "../interfaces/IVerifierProxy.sol";
import {IVerifierRouter} from "../interfaces/IVerifierRouter.sol";
import {FeedPayload, Payload} from "../libraries/FeedPayload.sol";
import {FeedSpecs} from "../libraries/FeedSpecs.sol";
import {ANY_INPUT, InferenceProof} from "../libraries/InferenceProof.sol";
import {Outputs} from "../libraries/Outputs.sol";
import {RequestContext} from "../libraries/RequestContext.sol";
import {StatementLayout} from "../libraries/StatementLayout.sol";
import {FeedSigners} from "./FeedSigners.sol";

/// @title Answers of models as data feeds
/// @notice Every call to another contract is a static call, to the registry, a routed verifier, or the source that the
/// feed's owner named: none can re-enter. Where a payload lies in the calldata does not matter: all that is read of it is
/// read in place, and passed on in a new encoding.
contract FeedHub is FeedSigners, IERC165 {
    /// @dev All that accepting a payload reads about a feed, in three words.
    struct Rules {
        int192 least;
        uint64 tolerance;
        int192 most;
        uint32 tick;
        uint32 maxAge;
        address source;
        uint24 output;
        uint8 scale;
        uint8 decimals;
        bytes4 selector;
        uint24 inputSize;
    }

    /// @dev All that accepting a payload changes, and the contract that holds the signers; one word.
    struct Head {
        uint40 latest;
        uint40 latestProven;
        address signers;
        bool contradicted;
        bool sourced;
    }

    struct Feed {
        Rules rules;
        Head head;
        bytes32 listing;
        bytes32 config;
        bytes32 recipe;
        address owner;
        uint32 heartbeat;
        uint40 doubtedBelow;
        string description;
    }

    /// @dev A payload on its way: what was read from storage, and what was found.
    struct Posting {
        uint40 round;
        uint40 observedAt;
        int192 answer;
        bytes32 inputCommitment;
        bool expired;
        bool late;
        Level level;
        Round known;
        address[] signers;
    }

    /// @inheritdoc IFeedHub
    IModelRegistry public immutable override REGISTRY;
    /// @inheritdoc IFeedHub
    IVerifierRouter public immutable override ROUTER;
    /// @inheritdoc IVerifierProxy
    address public constant override s_feeManager = address(0);

    mapping(bytes32 feedId => Feed) private _feeds;
    mapping(bytes32 feedId => mapping(uint40 round => Round)) private _rounds;
    mapping(bytes32 feedId => mapping(bytes32 configDigest => bool)) private _contradicted;

    modifier withoutValue() {
        if (msg.value != 0) revert ValueRefused();
        _;
    }

    /// @param registry The listings of models.
    /// @param router Maps selectors to verifiers.
    constructor(IModelRegistry registry, IVerifierRouter router) {
        REGISTRY = registry;
        ROUTER = router;
    }

    /// @inheritdoc IFeedHub
    function create(Spec calldata spec, bytes32 configDigest) external override returns (bytes32 feedId) {
        // Nobody else can create it, so nobody can give it other signers first.
        if (spec.owner != msg.sender) revert NotFeedOwner(spec.owner, msg.sender);
        feedId = FeedSpecs.id(spec);
        Feed storage feed = _feeds[feedId];
        if (feed.rules.tick != 0) revert FeedExists(feedId);
        Program memory program = REGISTRY.programOf(spec.listing);
        if (program.status != Status.Active) revert ListingNotActive(spec.listing);
        FeedSpecs.requirePossible(spec, program.statementLayout);
        feed.rules = Rules({
            least: spec.least,
            tolerance: spec.tolerance,
            most: spec.most,
            tick: spec.tick,
            maxAge: spec.maxAge,
            source: spec.source,
            output: spec.output,
            scale: spec.scale,
            decimals: spec.decimals,
            selector: program.selector,
            // At most StatementLayout.MAX_VALUES of 32 bytes.
            inputSize: uint24(uint256(program.statementLayout.inputs) * program.statementLayout.inputWidth)
        });
        (feed.listing, feed.recipe) = (spec.listing, spec.recipe);
        (feed.owner, feed.heartbeat, feed.description) = (spec.owner, spec.heartbeat, spec.description);
        emit FeedCreated(feedId, spec);
        if (spec.source == address(0)) _choose(feedId, feed, configDigest);
        else if (configDigest != 0) revert NoSigners(feedId);
        else feed.head.sourced = true;
    }

    /// @inheritdoc IFeedHub
    function choose(bytes32 feedId, bytes32 configDigest) external override {
        Feed storage feed = _existing(feedId);
        if (feed.owner != msg.sender) revert NotFeedOwner(feed.owner, msg.sender);
        if (feed.head.sourced) revert NoSigners(feedId);
        _choose(feedId, feed, configDigest);
    }

    /// @notice Check a payload, write what is new, and return its report. Posting again changes nothing and does not
    /// revert, so that daemons and users do not hinder each other. Any value is refused.
    /// @dev Returns nothing if the payload contradicts its signers: that is recorded, and a consumer that decodes the
    /// report reverts.
    /// @param payload The payload.
    /// @return report The report.
    function verify(bytes calldata payload, bytes calldata)
        external
        payable
        override
        withoutValue
        returns (bytes memory report)
    {
        return _post(payload, false);
    }

    /// @notice The same for several payloads; if one is refused, all are.
    /// @param payloads The payloads.
    /// @return reports The reports, in order.
    function verifyBulk(bytes[] calldata payloads, bytes calldata)
        external
        payable
        override
        withoutValue
        returns (bytes[] memory reports)
    {
        reports = new bytes[](payloads.length);
        for (uint256 i = 0; i < payloads.length; ++i) {
            reports[i] = _post(payloads[i], false);
        }
    }

    /// @inheritdoc IFeedHub
    function prove(bytes calldata payload) external override {
        _post(payload, true);
    }

    /// @inheritdoc IFeedHub
    function specOf(bytes32 feedId) external view override returns (Spec memory) {
        Feed storage feed = _existing(feedId);
        Rules memory rules = feed.rules;
        return Spec({
            listing: feed.listing,
            recipe: feed.recipe,
            owner: feed.owner,
            source: rules.source,
            output: rules.output,
            scale: rules.scale,
            decimals: rules.decimals,
            least: rules.least,
            most: rules.most,
            tolerance: rules.tolerance,
            tick: rules.tick,
            heartbeat: feed.heartbeat,
            maxAge: rules.maxAge,
            description: feed.description
        });
    }

    /// @inheritdoc IFeedHub
    function configOf(bytes32 feedId) external view override returns (bytes32) {
        return _feeds[feedId].config;
    }

    /// @inheritdoc IFeedHub
    function stateOf(bytes32 feedId) external view override returns (FeedState memory) {
        Feed storage feed = _feeds[feedId];
        Head memory head = feed.head;
        return FeedState(head.latest, head.latestProven, feed.doubtedBelow, head.contradicted, head.sourced);
    }

    /// @inheritdoc IFeedHub
    function isContradicted(bytes32 feedId) external view override returns (bool) {
        return _feeds[feedId].head.contradicted;
    }

    /// @inheritdoc IFeedHub
    function roundOf(bytes32 feedId, uint40 round) external view override returns (Round memory) {
        return _rounds[feedId][round];
    }

    /// @inheritdoc IFeedHub
    function requireAt(bytes32 feedId, uint40 round, Level least) external view override returns (int192) {
        return requireRound(feedId, round, least).answer;
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure override returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IVerifierProxy).interfaceId
            || interfaceId == type(IFeedHub).interfaceId;
    }

    /// @inheritdoc IFeedHub
    function latest(bytes32 feedId, Level least) public view override returns (uint40 round, Round memory data) {
        Head storage head = _existing(feedId).head;
        round = least == Level.Proven ? head.latestProven : head.latest;
        data = requireRound(feedId, round, least);
    }

    /// @inheritdoc IFeedHub
    function requireRound(bytes32 feedId, uint40 round, Level least) public view override returns (Round memory data) {
        if (least == Level.None) revert LevelMissing();
        Feed storage feed = _existing(feedId);
        Head memory head = feed.head;
        data = _rounds[feedId][round];
        if (data.level < least) revert NoData(feedId);
        bool signed = least == Level.Attested && !head.sourced;
        if (signed && head.contradicted) revert FeedContradicted(feedId);
        bool doubted = signed && round < feed.doubtedBelow;
        if (doubted && data.level == Level.Attested) revert FeedContradicted(feedId);
        if (!signed || doubted) _requireLive(feedId, feed); // the answer rests on its proof
    }

    /// @dev Steps: (1) the payload is in the canonical encoding; (2) the feed exists, and the payload is for its signers;
    /// (3) the report is the one that feed, time and answer determine, and the context commits to round, source file and
    /// inputs; (4) it is not from the future, nor too old; (5) the answer is within bounds, the inputs have the model's
    /// size; (6) enough signers signed, unless a source computes the inputs; (7) what the proof shows; (8) the round is
    /// new or its level rises. A round with another answer is refused, so that a caller cannot choose among reports.
    function _post(bytes calldata payload, bool late) private returns (bytes memory) {
        // (1)
        Payload memory part = FeedPayload.read(payload);
        // (2)
        bytes32 feedId = part.feedId;
        Feed storage feed = _existing(feedId);
        Head memory head = feed.head;
        // A config is held by one contract, and zero, the config of feeds without signers, by none.
        if (_pointerOf(part.configDigest) != head.signers || (head.sourced && part.configDigest != 0)) {
            revert WrongConfig(feed.config, part.configDigest);
        }
        Rules memory rules = feed.rules;
        // (3), (4), (5)
        Posting memory post = _requireConsistent(payload, part, rules);
        post.late = late;
        if (post.expired && !late) revert TooOld(part.observedAt);
        post.known = _rounds[feedId][post.round];
        post.level = FeedPayload.hasProof(part) ? Level.Proven : Level.Attested;
        // (6)
        if (!head.sourced) post.signers = _requireSigned(head.signers, payload, part);
        else if (part.signatures != 0) revert NoSigners(feedId);
        // (7)
        if (post.level == Level.Proven) {
            if (!_requireTrue(payload, part, post, feed, rules)) return "";
        } else if (head.sourced || late) {
            revert ProofMissing(feedId);
        } else if (head.contradicted) {
            revert FeedContradicted(feedId);
        }
        // (8)
        _write(part, post, feed.head);
        return FeedPayload.report(payload);
    }

    /// @dev Steps (3) to (5) of `_post`.
    function _requireConsistent(bytes calldata payload, Payload memory part, Rules memory rules)
        private
        view
        returns (Posting memory post)
    {
        uint256 time = part.observedAt;
        // From here on it fits 32 bits, as long as the time does; a report cannot express later ones.
        if (time > block.timestamp || time > type(uint32).max - rules.maxAge) revert FromTheFuture(time);
        int256 answer = part.answer;
        if (answer < rules.least || answer > rules.most) revert OutOfBounds(answer);
        bytes32 expected = keccak256(
            abi.encode(part.feedId, time, time, uint256(0), uint256(0), time + rules.maxAge, answer, answer, answer)
        );
        bytes32 actual = keccak256(FeedPayload.report(payload));
        if (actual != expected) revert ReportMismatch(expected, actual);
        if (part.round != time / rules.tick) revert WrongRound(time / rules.tick, part.round);
        bytes calldata inputs = FeedPayload.inputs(payload, part);
        if (inputs.length != rules.inputSize) {
            revert StatementLayout.InputLengthMismatch(rules.inputSize, inputs.length);
        }
        post.inputCommitment = keccak256(inputs);
        expected = keccak256(abi.encode(part.sourceDigest, post.inputCommitment));
        if (part.extra != expected) revert ExtraMismatch(expected, part.extra);
        (post.round, post.observedAt, post.answer) = (uint40(part.round), uint40(time), int192(answer));
        post.expired = block.timestamp - time > rules.maxAge;
    }

    /// @dev Whether the proof confirms the answer; false if it contradicted the signers. Reverts if the proof does not
    /// hold, or the source computes other inputs. What is on record as proven is not checked again by `verify`: feed,
    /// time and answer determine the report, so it is the one that was proven. It is by `prove`, or signers could hide
    /// a false answer behind a proof about other inputs for which it is right.
    function _requireTrue(
        bytes calldata payload,
        Payload memory part,
        Posting memory post,
        Feed storage feed,
        Rules memory rules
    ) private returns (bool) {
        if (!post.late && post.known.level == Level.Proven && _isKnown(post)) {
            _requireLive(part.feedId, feed);
            return true;
        }
        if (rules.source != address(0)) _requireFromSource(part, post, feed.recipe, rules.source);
        int192 proven = _provenAnswer(payload, part, post.round, feed.listing, rules);
        if (rules.source != address(0)) {
            if (proven != post.answer) revert AnswerMismatch(proven, post.answer);
            return true;
        }
        int256 distance = int256(proven) - post.answer;
        if (uint256(distance < 0 ? -distance : distance) <= rules.tolerance) return true;
        _contradict(part, post, proven, feed);
        return false;
    }

    function _requireFromSource(Payload memory part, Posting memory post, bytes32 recipe, address source) private view {
        (bytes32 commitment, uint40 observedAt) =
            IFeedSource(source).inputsAt(recipe, post.round, abi.encode(part.sourceDigest));
        if (commitment != post.inputCommitment) {
            revert InferenceProof.InputMismatch(commitment, post.inputCommitment);
        }
        if (observedAt != post.observedAt) revert WrongTime(observedAt, post.observedAt);
    }

    /// @dev The answer that the proof shows. Outputs are below 2^63 and decimals at most 18, so it fits.
    function _provenAnswer(
        bytes calldata payload,
        Payload memory part,
        uint40 round,
        bytes32 listing,
        Rules memory rules
    ) private view returns (int192) {
        Program memory program = REGISTRY.programOf(listing);
        if (program.status == Status.Revoked) revert FeedStopped(part.feedId);
        bytes32 context = RequestContext.digest(0, address(0), FeedPayload.requestId(part, round), address(0), 0);
        _requireProof(payload, part, context, program);
        return int192(Outputs.toDecimals(FeedPayload.outputs(payload, part)[rules.output], rules.scale, rules.decimals));
    }

    function _requireProof(bytes calldata payload, Payload memory part, bytes32 context, Program memory program)
        private
        view
    {
        _requireValid(
            program,
            context,
            FeedPayload.inputs(payload, part),
            FeedPayload.outputs(payload, part),
            FeedPayload.proof(payload, part)
        );
    }

    /// @dev The inputs are those that the context of the payload commits to, compared in step (3).
    function _requireValid(
        Program memory program,
        bytes32 context,
        bytes calldata inputs,
        int256[] calldata outputs,
        bytes calldata proof
    ) private view {
        InferenceProof.requireValid(ROUTER, program, context, ANY_INPUT, inputs, outputs, proof);
    }

    /// @dev Step (8) of `_post`.
    function _write(Payload memory part, Posting memory post, Head storage head) private {
        bytes32 feedId = part.feedId;
        if (post.known.level != Level.None) {
            if (!_isKnown(post)) {
                revert RoundHasAnswer(feedId, post.round, post.known.answer, post.known.observedAt);
            }
            if (post.level <= post.known.level) return;
        } else if (post.expired) {
            revert TooOld(post.observedAt);
        }
        _rounds[feedId][post.round] = Round(post.answer, post.observedAt, post.level);
        if (post.round > head.latest) head.latest = post.round;
        if (post.level == Level.Proven && post.round > head.latestProven) head.latestProven = post.round;
        emit RoundReported(
            feedId, post.round, post.answer, post.observedAt, post.level, part.sourceDigest, post.inputCommitment
        );
    }

    /// @dev Only the first contradiction of a feed's signers is recorded; more would say the same about them.
    function _contradict(Payload memory part, Posting memory post, int192 proven, Feed storage feed) private {
        if (feed.head.contradicted) return;
        (feed.head.contradicted, feed.doubtedBelow) = (true, feed.head.latest + 1);
        _contradicted[part.feedId][part.configDigest] = true;
        emit Contradicted(part.feedId, post.round, post.answer, proven, post.signers);
    }

    function _choose(bytes32 feedId, Feed storage feed, bytes32 configDigest) private {
        address pointer = _pointerOf(configDigest);
        if (pointer == address(0)) revert UnknownConfig(configDigest);
        if (_contradicted[feedId][configDigest]) revert ConfigContradicted(feedId, configDigest);
        // What was proven since the contradiction was signed by them, too.
        if (feed.head.contradicted) feed.doubtedBelow = feed.head.latest + 1;
        feed.config = configDigest;
        (feed.head.signers, feed.head.contradicted) = (pointer, false);
        emit ConfigChosen(feedId, configDigest);
    }

    function _requireLive(bytes32 feedId, Feed storage feed) private view {
        if (REGISTRY.statusOf(feed.listing) == Status.Revoked || !ROUTER.isLive(feed.rules.selector)) {
            revert FeedStopped(feedId);
        }
    }

    function _existing(bytes32 feedId) private view returns (Feed storage feed) {
        feed = _feeds[feedId];
        if (feed.rules.tick == 0) revert UnknownFeed(feedId);
    }

    function _isKnown(Posting memory post) private pure returns (bool) {
        return post.known.answer == post.answer && post.known.observedAt == post.observedAt;
    }
}
