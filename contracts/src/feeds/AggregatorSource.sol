// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {AggregatorV3Interface} from "../interfaces/AggregatorV3Interface.sol";
import {IFeedSource} from "../interfaces/IFeedSource.sol";

/// @notice What the model's inputs are. Level: the answers. Return: the relative change from each answer to the next.
enum Form {
    Level,
    Return
}

/// @title The last answers of another aggregator as a model's inputs
/// @notice The inputs of a round are about the time round * TICK: the last answer at or before it, and those before that
/// one, oldest first. The hint is abi.encode(the foreign round to end with), which is checked: it was updated at or
/// before that time, and the next one was not. So there is one series for each round, whoever posts it; in the block of
/// that time there is none, since another answer may follow in it. If that answer is older than MAX_AGE at the time, the
/// foreign aggregator has stopped and there are no inputs: else old answers would get the feed's new time.
///
/// Numbers: a level is floor(answer * 2^SCALE / 10^decimals); a return is floor((answer - previous) * 2^SCALE /
/// previous). Each takes WIDTH bytes, big-endian, in two's complement. Answers that are not positive, and numbers that
/// do not fit the width, are refused.
///
/// Rounds of the foreign aggregator must be numbered one after the other. All answers are of one phase of a proxy (phase
/// << 64 | round), because no contract can know where a phase ended. After a change of phase there are no inputs until
/// the new phase has enough answers. A hint is refused if a later phase had an answer at or before the time; and if the
/// round after it is missing, unless it is the newest of all: so no gap can hide a later answer.
///
/// The time of a foreign answer must be that of the block which brought it, as it is with Chainlink's aggregators. If it
/// is earlier, as it is with a FeedFace, a later block may bring an answer of the same moment, and a caller could choose
/// between the series before and after. The owner of the foreign aggregator is trusted: whoever can replace it can make
/// any series.
contract AggregatorSource is IFeedSource {
    /// @notice The foreign aggregator, or a proxy of it.
    AggregatorV3Interface public immutable AGGREGATOR;
    /// @notice The digest of the recipe that describes this series.
    bytes32 public immutable RECIPE;
    /// @notice Seconds of a round.
    uint32 public immutable TICK;
    /// @notice The most seconds from the last answer to the time; the foreign aggregator's heartbeat and some slack.
    uint32 public immutable MAX_AGE;
    /// @notice How many numbers the inputs have.
    uint16 public immutable COUNT;
    /// @notice The power of two by which the model's inputs are multiplied.
    uint8 public immutable SCALE;
    /// @notice Bytes of each number: 1, 2, 4 or 8.
    uint8 public immutable WIDTH;
    /// @notice What the numbers are.
    Form public immutable FORM;
    /// @notice 10^decimals of the foreign answers.
    int256 public immutable UNIT;

    uint256 private constant PHASE_OFFSET = 64;
    uint256 private constant MAX_COUNT = 512;
    uint256 private constant MAX_SCALE = 64;
    uint256 private constant MAX_DECIMALS = 38;
    // So that products with 2^64 do not overflow; a price with 18 decimals stays far below.
    int256 private constant ANSWER_LIMIT = 1 << 127;

    /// @notice The named argument of the constructor is impossible.
    error ImpossibleSource(string argument);
    /// @notice The feed names another recipe than this source follows.
    error WrongRecipe(bytes32 expected, bytes32 actual);
    /// @notice The hint is not the number of a round.
    error BadHint();
    /// @notice The time is not past, so that a later answer of the same time could still come.
    error TooEarly(uint256 time);
    /// @notice The hint's round was updated after the time.
    error NotYet(uint80 roundId, uint256 updatedAt);
    /// @notice The last answer was older than MAX_AGE at the time.
    error TooOld(uint80 roundId, uint256 updatedAt);
    /// @notice A later round was updated at or before the time.
    error NotTheLast(uint80 roundId, uint256 updatedAt);
    /// @notice The phase of the hint has too few answers before it.
    error PhaseTooShort(uint80 roundId);
    /// @notice The foreign aggregator has no usable answer for this round.
    error NoAnswer(uint80 roundId, int256 answer);
    /// @notice The number does not fit the width.
    error DoesNotFit(int256 number);

    /// @param aggregator The foreign aggregator, or a proxy of it.
    /// @param recipe The digest of the recipe that describes this series.
    /// @param tick Seconds of a round, as in the feed.
    /// @param maxAge The most seconds from the last answer to the time; one at least.
    /// @param count How many numbers the inputs have; 512 at most.
    /// @param scale The power of two by which the model's inputs are multiplied; 64 at most.
    /// @param width Bytes of each number.
    /// @param form What the numbers are.
    constructor(
        AggregatorV3Interface aggregator,
        bytes32 recipe,
        uint32 tick,
        uint32 maxAge,
        uint16 count,
        uint8 scale,
        uint8 width,
        Form form
    ) {
        uint8 decimals = aggregator.decimals();
        if (decimals > MAX_DECIMALS) revert ImpossibleSource("aggregator");
        if (tick == 0) revert ImpossibleSource("tick");
        if (maxAge == 0) revert ImpossibleSource("maxAge");
        if (count == 0 || count > MAX_COUNT) revert ImpossibleSource("count");
        if (scale > MAX_SCALE) revert ImpossibleSource("scale");
        if (width == 0 || width > 8 || width & (width - 1) != 0) revert ImpossibleSource("width");
        AGGREGATOR = aggregator;
        RECIPE = recipe;
        TICK = tick;
        MAX_AGE = maxAge;
        COUNT = count;
        SCALE = scale;
        WIDTH = width;
        FORM = form;
        UNIT = int256(10 ** uint256(decimals));
    }

    /// @inheritdoc IFeedSource
    function inputsAt(bytes32 recipe, uint40 round, bytes calldata hint)
        external
        view
        override
        returns (bytes32 inputCommitment, uint40 observedAt)
    {
        if (recipe != RECIPE) revert WrongRecipe(RECIPE, recipe);
        if (hint.length != 32 || uint256(bytes32(hint)) > type(uint80).max) revert BadHint();
        uint256 time = uint256(round) * TICK;
        if (time >= block.timestamp) revert TooEarly(time);
        return (keccak256(inputsOf(uint80(uint256(bytes32(hint))), time)), uint40(time));
    }

    /// @notice The packed inputs about a time.
    /// @param last The foreign round to end with.
    /// @param time The time, in Unix seconds.
    function inputsOf(uint80 last, uint256 time) public view returns (bytes memory packed) {
        _requireLast(last, time);
        uint256 answers = FORM == Form.Return ? uint256(COUNT) + 1 : COUNT;
        // Numbers of a phase begin at 1.
        if (uint64(last) < answers) revert PhaseTooShort(last);
        packed = new bytes(uint256(COUNT) * WIDTH);
        uint80 first = last - uint80(answers - 1);
        int256 previous = FORM == Form.Return ? _answerOf(first++) : UNIT;
        for (uint256 i = 0; i < COUNT; ++i) {
            int256 answer = _answerOf(first + uint80(i));
            _pack(packed, i, _number(answer, previous));
            if (FORM == Form.Return) previous = answer;
        }
    }

    /// @dev Steps: (1) the round was updated at or before the time, and not too long before; (2) it is the newest of all, or the next one of its
    /// phase was updated after the time; (3) so was the first one of every later phase.
    function _requireLast(uint80 last, uint256 time) private view {
        // (1)
        (,,, uint256 updatedAt,) = AGGREGATOR.getRoundData(last);
        if (updatedAt == 0 || updatedAt > time) revert NotYet(last, updatedAt);
        if (time - updatedAt > MAX_AGE) revert TooOld(last, updatedAt);
        // (2)
        (uint80 newest,,,,) = AGGREGATOR.latestRoundData();
        if (last != newest) _requireLater(last + 1, time);
        // (3)
        for (uint256 phase = (last >> PHASE_OFFSET) + 1; phase <= newest >> PHASE_OFFSET; ++phase) {
            _requireLater(uint80((phase << PHASE_OFFSET) | 1), time);
        }
    }

    function _requireLater(uint80 roundId, uint256 time) private view {
        (, int256 answer,, uint256 updatedAt,) = AGGREGATOR.getRoundData(roundId);
        if (updatedAt == 0) revert NoAnswer(roundId, answer);
        if (updatedAt <= time) revert NotTheLast(roundId, updatedAt);
    }

    function _answerOf(uint80 roundId) private view returns (int256 answer) {
        uint256 updatedAt;
        (, answer,, updatedAt,) = AGGREGATOR.getRoundData(roundId);
        if (updatedAt == 0 || answer <= 0 || answer >= ANSWER_LIMIT) revert NoAnswer(roundId, answer);
    }

    /// @dev `base` is the previous answer, or the unit of answers. It is positive, and so a division rounds towards
    /// zero: for negative numerators that are no multiple, one less is the floor.
    function _number(int256 answer, int256 base) private view returns (int256 number) {
        int256 numerator = (FORM == Form.Return ? answer - base : answer) * int256(1 << uint256(SCALE));
        number = numerator / base;
        if (numerator < 0 && numerator % base != 0) --number;
        int256 limit = int256(1 << (8 * uint256(WIDTH) - 1));
        if (number < -limit || number >= limit) revert DoesNotFit(number);
    }

    function _pack(bytes memory packed, uint256 index, int256 number) private view {
        uint256 width = WIDTH;
        for (uint256 i = 0; i < width; ++i) {
            packed[index * width + i] = bytes1(uint8(uint256(number) >> (8 * (width - 1 - i))));
        }
    }
}
