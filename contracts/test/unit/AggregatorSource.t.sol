// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {AggregatorSource, Form} from "../../src/feeds/AggregatorSource.sol";
import {ScriptedAggregator} from "../support/ScriptedAggregator.sol";
import {Test} from "../support/Test.sol";

contract AggregatorSourceTest is Test {
    bytes32 private constant RECIPE = keccak256("recipe");
    uint32 private constant TICK = 60;
    uint32 private constant MAX_AGE = 3600;
    uint40 private constant ROUND = 1000;
    uint256 private constant TIME = uint256(ROUND) * TICK;
    uint80 private constant PHASE = 3 << 64;

    ScriptedAggregator private prices;
    AggregatorSource private levels;
    AggregatorSource private returns_;

    function setUp() external {
        vm.warp(TIME + 10 * TICK);
        prices = new ScriptedAggregator(8);
        levels = source(2, 4, 2, Form.Level);
        returns_ = source(2, 8, 2, Form.Return);
        prices.set(PHASE | 1, 100e8, TIME - 300);
        prices.set(PHASE | 2, 110e8, TIME - 200);
        prices.set(PHASE | 3, 99.5e8, TIME);
        prices.set(PHASE | 4, 120e8, TIME + 1);
    }

    function test_inputsAt_levels_areTheLastAnswers() external view {
        // 110 and 99.5, times 16
        vm.assertEq(levels.inputsOf(PHASE | 3, TIME), abi.encodePacked(int16(1760), int16(1592)));
        (bytes32 commitment, uint40 observedAt) = levels.inputsAt(RECIPE, ROUND, hint(PHASE | 3));
        vm.assertEq(commitment, keccak256(abi.encodePacked(int16(1760), int16(1592))));
        vm.assertEq(observedAt, TIME);
    }

    function test_inputsOf_levels_areRoundedDown() external {
        prices.set(PHASE | 3, 99.99e8, TIME); // 1599.84
        vm.assertEq(levels.inputsOf(PHASE | 3, TIME), abi.encodePacked(int16(1760), int16(1599)));
    }

    /// @dev Towards minus infinity, also of negative numbers: 10 / 100 and -10.5 / 110, times 256.
    function test_inputsOf_returns_areRoundedDown() external view {
        vm.assertEq(returns_.inputsOf(PHASE | 3, TIME), abi.encodePacked(int16(25), int16(-25)));
    }

    function test_inputsOf_exactNegativeReturn_isNotLowered() external {
        prices.set(PHASE | 3, 55e8, TIME); // exactly half
        vm.assertEq(returns_.inputsOf(PHASE | 3, TIME), abi.encodePacked(int16(25), int16(-128)));
    }

    function test_inputsOf_everyWidth_isPacked() external {
        vm.assertEq(source(2, 0, 1, Form.Level).inputsOf(PHASE | 3, TIME), abi.encodePacked(int8(110), int8(99)));
        vm.assertEq(source(1, 0, 4, Form.Level).inputsOf(PHASE | 3, TIME), abi.encodePacked(int32(99)));
        vm.assertEq(source(1, 32, 8, Form.Level).inputsOf(PHASE | 3, TIME), abi.encodePacked(int64(199 << 31)));
    }

    function test_inputsAt_newestOfAll_isAccepted() external {
        levels.inputsAt(RECIPE, ROUND + 1, hint(PHASE | 4));
        refuses(PHASE | 3, abi.encodeWithSelector(AggregatorSource.NotTheLast.selector, PHASE | 4, TIME + 1), 1);
    }

    function test_inputsAt_otherHints_areRefused() external {
        refuses(PHASE | 4, abi.encodeWithSelector(AggregatorSource.NotYet.selector, PHASE | 4, TIME + 1), 0);
        refuses(PHASE | 2, abi.encodeWithSelector(AggregatorSource.NotTheLast.selector, PHASE | 3, TIME), 0);
        refuses(PHASE | 9, abi.encodeWithSelector(ScriptedAggregator.NoRound.selector, PHASE | 9), 0);
    }

    /// @dev A missing round could hide one that was updated in time.
    function test_inputsAt_gapAfterTheHint_isRefused() external {
        prices.set(PHASE | 6, 100e8, TIME + 2);
        prices.set(PHASE | 4, 0, 0);
        refuses(PHASE | 3, abi.encodeWithSelector(ScriptedAggregator.NoRound.selector, PHASE | 4), 0);
    }

    function test_inputsAt_gapBeforeTheHint_isRefused() external {
        prices.set(PHASE | 2, 0, 0);
        refuses(PHASE | 3, abi.encodeWithSelector(ScriptedAggregator.NoRound.selector, PHASE | 2), 0);
    }

    function test_inputsAt_malformedHint_isRefused() external {
        bytes[3] memory bad = [bytes(""), abi.encode(uint256(1) << 80), abi.encode(PHASE | 3, 0)];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(AggregatorSource.BadHint.selector);
            levels.inputsAt(RECIPE, ROUND, bad[i]);
        }
    }

    /// @dev Another answer could still come in the block of that time, and give the poster a choice.
    function test_inputsAt_timeThatIsNotPast_isRefused() external {
        vm.warp(TIME);
        refuses(PHASE | 3, abi.encodeWithSelector(AggregatorSource.TooEarly.selector, TIME), 0);
        vm.warp(TIME + 1);
        levels.inputsAt(RECIPE, ROUND, hint(PHASE | 3));
        uint256 last = uint256(type(uint40).max) * TICK;
        vm.expectRevert(abi.encodeWithSelector(AggregatorSource.TooEarly.selector, last));
        levels.inputsAt(RECIPE, type(uint40).max, hint(PHASE | 3));
    }

    function test_inputsAt_anotherRecipe_isRefused() external {
        vm.expectRevert(abi.encodeWithSelector(AggregatorSource.WrongRecipe.selector, RECIPE, bytes32(0)));
        levels.inputsAt(0, ROUND, hint(PHASE | 3));
    }

    function test_inputsAt_laterPhaseWithAnAnswerInTime_isRefused() external {
        uint80 next = (4 << 64) | 1;
        prices.set(next, 100e8, TIME);
        refuses(PHASE | 3, abi.encodeWithSelector(AggregatorSource.NotTheLast.selector, next, TIME), 0);
        refuses(next, abi.encodeWithSelector(AggregatorSource.PhaseTooShort.selector, next), 0);
        prices.set(next, 100e8, TIME + 1);
        levels.inputsAt(RECIPE, ROUND, hint(PHASE | 3));
        prices.set((5 << 64) | 1, 100e8, TIME); // not only the next one
        refuses(PHASE | 3, abi.encodeWithSelector(AggregatorSource.NotTheLast.selector, (5 << 64) | 1, TIME), 0);
    }

    /// @dev Nobody can know that the phase ended.
    function test_inputsAt_lastOfAnEarlierPhase_isRefused() external {
        prices.set((4 << 64) | 1, 100e8, TIME + 100);
        refuses(PHASE | 4, abi.encodeWithSelector(ScriptedAggregator.NoRound.selector, PHASE | 5), 1);
    }

    function test_inputsOf_tooFewAnswers_areRefused() external {
        AggregatorSource[2] memory longer = [source(4, 0, 2, Form.Level), source(3, 0, 2, Form.Return)];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(abi.encodeWithSelector(AggregatorSource.PhaseTooShort.selector, PHASE | 3));
            longer[i].inputsOf(PHASE | 3, TIME);
        }
    }

    function test_inputsOf_unusableAnswers_areRefused() external {
        int256[3] memory bad = [int256(0), -1, 1 << 127];
        for (uint256 i = 0; i < 3; ++i) {
            prices.set(PHASE | 2, bad[i], TIME - 200);
            refuses(PHASE | 3, abi.encodeWithSelector(AggregatorSource.NoAnswer.selector, PHASE | 2, bad[i]), 0);
        }
    }

    function test_inputsOf_numberBeyondTheWidth_isRefused() external {
        AggregatorSource bytes_ = source(1, 0, 1, Form.Level);
        prices.set(PHASE | 3, 127.9e8, TIME);
        vm.assertEq(bytes_.inputsOf(PHASE | 3, TIME), hex"7f");
        prices.set(PHASE | 3, 128e8, TIME);
        vm.expectRevert(abi.encodeWithSelector(AggregatorSource.DoesNotFit.selector, int256(128)));
        bytes_.inputsOf(PHASE | 3, TIME);
    }

    /// @dev The largest answers and scales do not overflow.
    function testFuzz_inputsOf_anyAnswers_areTheFloorOrDoNotFit(uint128 first, uint128 second, uint8 scale) external {
        scale = scale % 65;
        int256 a = int256(uint256(first) % (1 << 127));
        int256 b = int256(uint256(second) % (1 << 127));
        vm.assume(a > 0 && b > 0);
        prices.set(PHASE | 2, a, TIME - 200);
        prices.set(PHASE | 3, b, TIME);
        AggregatorSource one = source(1, scale, 8, Form.Return);
        try one.inputsOf(PHASE | 3, TIME) returns (bytes memory packed) {
            int256 number = int64(uint64(bytes8(packed)));
            int256 numerator = (b - a) * int256(1 << uint256(scale));
            vm.assertTrue(number * a <= numerator && numerator < (number + 1) * a);
        } catch (bytes memory why) {
            vm.assertEq(bytes32(bytes4(why)), bytes32(AggregatorSource.DoesNotFit.selector));
        }
    }

    /// @dev An aggregator that stopped would give old answers the time of each new round.
    function test_inputsAt_lastAnswerTooOld_isRefused() external {
        uint40 rounds = uint40(MAX_AGE / TICK);
        vm.warp(TIME + 2 * MAX_AGE);
        prices.set(PHASE | 4, 120e8, TIME);
        levels.inputsAt(RECIPE, ROUND + rounds, hint(PHASE | 4));
        refuses(PHASE | 4, abi.encodeWithSelector(AggregatorSource.TooOld.selector, PHASE | 4, TIME), rounds + 1);
        vm.expectRevert(abi.encodeWithSelector(AggregatorSource.ImpossibleSource.selector, "maxAge"));
        new AggregatorSource(prices, RECIPE, TICK, 0, 1, 0, 1, Form.Level);
    }

    function test_constructor_impossibleArguments_areRefused() external {
        refusesSource("count", TICK, 0, 0, 1);
        refusesSource("count", TICK, 513, 0, 1);
        refusesSource("tick", 0, 1, 0, 1);
        refusesSource("scale", TICK, 1, 65, 1);
        uint8[4] memory widths = [0, 3, 16, 32];
        for (uint256 i = 0; i < 4; ++i) {
            refusesSource("width", TICK, 1, 0, widths[i]);
        }
        prices = new ScriptedAggregator(39);
        refusesSource("aggregator", TICK, 1, 0, 1);
    }

    function source(uint16 count, uint8 scale, uint8 width, Form form) private returns (AggregatorSource) {
        return new AggregatorSource(prices, RECIPE, TICK, MAX_AGE, count, scale, width, form);
    }

    function hint(uint80 roundId) private pure returns (bytes memory) {
        return abi.encode(roundId);
    }

    function refuses(uint80 roundId, bytes memory why, uint40 later) private {
        vm.expectRevert(why);
        levels.inputsAt(RECIPE, ROUND + later, hint(roundId));
    }

    function refusesSource(string memory argument, uint32 tick, uint16 count, uint8 scale, uint8 width) private {
        vm.expectRevert(abi.encodeWithSelector(AggregatorSource.ImpossibleSource.selector, argument));
        new AggregatorSource(prices, RECIPE, tick, MAX_AGE, count, scale, width, Form.Level);
    }
}
