// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceLedger, Request} from "../interfaces/IInferenceLedger.sol";
import {DERIVATIVES} from "../interfaces/IMarket.sol";
import {IModelRegistry, Program, Status} from "../interfaces/IModelRegistry.sol";
import {Flag, ISimilarity, Print, Stage} from "../interfaces/ISimilarity.sol";
import {IVerifierRouter} from "../interfaces/IVerifierRouter.sol";
import {IWorks, Standing, Work} from "../interfaces/IWorks.sol";
import {ImageCode} from "../libraries/ImageCode.sol";
import {ANY_INPUT} from "../libraries/InferenceProof.sol";
import {Layout, Visibility} from "../libraries/StatementLayout.sol";

/// @notice The part of InferenceLedger that its interface lacks.
interface IRoutedLedger is IInferenceLedger {
    /// @notice The router that maps selectors to verifiers.
    // forge-lint: disable-next-line(mixed-case-function)
    function ROUTER() external view returns (IVerifierRouter);
}

/// @title Flags on works whose pictures are nearly those of older works
/// @notice There is no administrator. The arbiter decides on contested flags and can end any; it cannot flag. Who relies
/// on flags relies on the publisher of the pinned listing, as every consumer of the ledger does.
contract Similarity is ISimilarity {
    /// @notice Fingerprints that differ in at most so many bits are evidence of one picture, see the measurements.
    uint256 public constant LIMIT = 24;
    /// @notice So many bits must be sure in both.
    uint256 public constant LEAST = 224;
    /// @notice By how many seconds the older work must be older.
    uint256 public constant LEAD = 1 days;
    /// @notice How long the younger work's owner may answer, in seconds.
    uint256 public constant ANSWER_TIME = 14 days;

    /// @inheritdoc ISimilarity
    IWorks public immutable override WORKS;
    /// @inheritdoc ISimilarity
    IInferenceLedger public immutable override LEDGER;
    /// @inheritdoc ISimilarity
    bytes32 public immutable override LISTING;
    /// @inheritdoc ISimilarity
    uint256 public immutable override MARGIN;
    /// @inheritdoc ISimilarity
    address public immutable override ARBITER;

    IModelRegistry private immutable REGISTRY;
    IVerifierRouter private immutable ROUTER;
    bytes4 private immutable SELECTOR;

    mapping(uint256 work => Print) private _prints;
    mapping(uint256 younger => mapping(uint256 older => Flag)) private _flags;
    mapping(uint256 younger => mapping(Stage => uint256)) private _counts;

    /// @dev The contract of the works creates this one, so that both know each other.
    /// @param ledger Where fingerprints are recorded.
    /// @param listing The one model whose answers are fingerprints.
    /// @param margin By how much rounding can change a coefficient's distance from the median, in units of the outputs:
    /// twice the bound of one coefficient's error, as the median moves, too.
    /// @param arbiter Decides on contested flags; zero: nobody does, so a contested flag is never upheld.
    constructor(IRoutedLedger ledger, bytes32 listing, uint256 margin, address arbiter) {
        (WORKS, LEDGER, REGISTRY, ROUTER) = (IWorks(msg.sender), ledger, ledger.REGISTRY(), ledger.ROUTER());
        (LISTING, MARGIN, ARBITER) = (listing, margin, arbiter);
        Program memory program = REGISTRY.programOf(listing); // reverts if there is no such listing
        SELECTOR = program.selector;
        Layout memory form = program.statementLayout;
        if (form.outputs != ImageCode.LENGTH || form.visibility == Visibility.Private) revert UnfitListing(listing);
        if (margin == 0 || margin >= ImageCode.LIMIT) revert UnfitMargin(margin);
    }

    /// @inheritdoc ISimilarity
    function print(uint256 work, Request calldata request, int256[] calldata outputs, uint256 bits) external override {
        if (request.listing != LISTING) revert ForeignListing(request.listing);
        bytes32 pixels = WORKS.workOf(work).pixels;
        // A work that names ANY_INPUT as its pixels would have any picture's print.
        bool committed = pixels != 0 && pixels != ANY_INPUT && request.inputCommitment == pixels;
        if (!committed) revert PixelsMismatch(pixels, request.inputCommitment);
        bytes32 record = LEDGER.requireSound(request, outputs);
        uint256 sure = ImageCode.sureOf(outputs, bits, MARGIN);
        if (_prints[work].bits != 0 && ImageCode.count(sure) <= ImageCode.count(_prints[work].sure)) {
            revert AlreadyPrinted(work);
        }
        _prints[work] = Print(bits, sure);
        emit Printed(work, bits, sure, record);
    }

    /// @inheritdoc ISimilarity
    /// @dev Steps: (1) the caller owns the older work; (2) the older one flagged this one never before; (3) the evidence
    /// may be acted on, and (4) shows that the pictures are nearly the same; (5) one is older; (6) nothing declared
    /// explains it.
    function flag(uint256 younger, uint256 older) external override {
        // (1)
        _requireOwner(older);
        // (2)
        if (_flags[younger][older].stage != Stage.None) revert AlreadyFlagged(younger, older);
        // (3)
        _requireGrounds(older);
        // (4)
        (uint16 differ, uint16 compared) = distance(younger, older);
        if (differ > LIMIT || compared < LEAST) revert TooFar(differ, compared);
        // (5)
        (uint40 first, uint40 second) = (WORKS.workOf(older).since, WORKS.workOf(younger).since);
        if (first + LEAD > second) revert NotOlder(first, second);
        // (6)
        if (WORKS.ownerOf(younger) == msg.sender || _isParent(younger, older) || _isParent(older, younger)) {
            revert Related(younger, older);
        }
        uint40 answerBy = uint40(block.timestamp + ANSWER_TIME);
        _flags[younger][older].answerBy = answerBy;
        emit Flagged(younger, older, differ, compared, answerBy);
        _move(younger, older, Stage.Flagged);
    }

    /// @inheritdoc ISimilarity
    function acknowledge(uint256 younger, uint256 older, uint256 licence) external override {
        _requireOwner(younger);
        _requirePending(younger, older);
        if (!WORKS.MARKET().covers(licence, older, msg.sender, DERIVATIVES)) revert NotLicensed(licence);
        emit Acknowledged(younger, older, licence);
        _release(younger, older);
    }

    /// @inheritdoc ISimilarity
    function contest(uint256 younger, uint256 older, string calldata uri) external override {
        bool may = msg.sender == WORKS.ownerOf(younger) || msg.sender == WORKS.workOf(younger).creator;
        if (!may) revert NotYours(msg.sender);
        _requirePending(younger, older);
        if (_flags[younger][older].contested) revert AlreadyContested(younger, older);
        _flags[younger][older].contested = true;
        emit Contested(younger, older, uri);
        _move(younger, older, Stage.Contested);
    }

    /// @inheritdoc ISimilarity
    function uphold(uint256 younger, uint256 older) external override {
        Flag memory held = _flags[younger][older];
        if (held.stage == Stage.Flagged) {
            if (block.timestamp <= held.answerBy) revert TooEarly(held.answerBy);
        } else if (held.stage == Stage.Contested) {
            if (msg.sender != ARBITER) revert NotYours(msg.sender);
        } else {
            revert WrongStage(held.stage);
        }
        _requireGrounds(older);
        emit Upheld(younger, older);
        _move(younger, older, Stage.Upheld);
    }

    /// @inheritdoc ISimilarity
    function release(uint256 younger, uint256 older) external override {
        _requirePending(younger, older);
        bool may = msg.sender == ARBITER || msg.sender == WORKS.ownerOf(older) || !isSound();
        if (!may) revert NotYours(msg.sender);
        _release(younger, older);
    }

    /// @inheritdoc ISimilarity
    function dismiss(uint256 younger, uint256 older, uint256[] calldata path) external override {
        _requirePending(younger, older);
        if (path.length < 2) revert NotAPath();
        (uint256 first, uint256 last) = (path[0], path[path.length - 1]);
        if (!(first == younger && last == older) && !(first == older && last == younger)) revert NotAPath();
        for (uint256 i = 1; i < path.length; ++i) {
            if (!_isParent(path[i - 1], path[i])) revert NotAPath();
        }
        _release(younger, older);
    }

    /// @inheritdoc ISimilarity
    function printOf(uint256 work) external view override returns (Print memory) {
        return _prints[work];
    }

    /// @inheritdoc ISimilarity
    function flagOf(uint256 younger, uint256 older) external view override returns (Flag memory) {
        return _flags[younger][older];
    }

    /// @inheritdoc ISimilarity
    function distance(uint256 a, uint256 b) public view override returns (uint16, uint16) {
        (Print memory one, Print memory other) = (_requirePrint(a), _requirePrint(b));
        uint256 compared = one.sure & other.sure;
        return (uint16(ImageCode.distance(one.bits, other.bits, compared)), uint16(ImageCode.count(compared)));
    }

    /// @inheritdoc ISimilarity
    function isSound() public view override returns (bool) {
        return REGISTRY.statusOf(LISTING) != Status.Revoked && ROUTER.isLive(SELECTOR);
    }

    function _release(uint256 younger, uint256 older) private {
        emit Released(younger, older, msg.sender);
        _move(younger, older, Stage.Released);
    }

    function _move(uint256 younger, uint256 older, Stage to) private {
        Standing before = _standingOf(younger);
        Stage from = _flags[younger][older].stage;
        _flags[younger][older].stage = to;
        if (from != Stage.None) --_counts[younger][from];
        if (to != Stage.Released) ++_counts[younger][to];
        Standing standing = _standingOf(younger);
        if (standing != before) WORKS.setStanding(younger, standing, older);
    }

    /// @dev All prints are of one listing, so what the ledger's `requireSound` asks of each record is asked of it once.
    function _requireGrounds(uint256 older) private view {
        if (!isSound()) revert EvidenceVoid();
        if (WORKS.standingOf(older) == Standing.Upheld) revert OlderIsUpheld(older);
    }

    function _requireOwner(uint256 work) private view {
        if (WORKS.ownerOf(work) != msg.sender) revert NotYours(msg.sender);
    }

    function _requirePending(uint256 younger, uint256 older) private view {
        Stage stage = _flags[younger][older].stage;
        if (stage == Stage.None || stage == Stage.Released) revert WrongStage(stage);
    }

    /// @dev No code is zero: half of its bits are set.
    function _requirePrint(uint256 work) private view returns (Print memory found) {
        found = _prints[work];
        if (found.bits == 0) revert NotPrinted(work);
    }

    function _isParent(uint256 child, uint256 parent) private view returns (bool) {
        (uint256[] memory parents,) = WORKS.parentsOf(child);
        for (uint256 i = 0; i < parents.length; ++i) {
            if (parents[i] == parent) return true;
        }
        return false;
    }

    /// @dev A work's standing is that of its worst flag; one that waits for an answer is worse than a contested one.
    function _standingOf(uint256 younger) private view returns (Standing) {
        mapping(Stage => uint256) storage counts = _counts[younger];
        if (counts[Stage.Upheld] != 0) return Standing.Upheld;
        if (counts[Stage.Flagged] != 0) return Standing.Flagged;
        return counts[Stage.Contested] != 0 ? Standing.Contested : Standing.Clear;
    }
}
