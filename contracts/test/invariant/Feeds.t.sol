// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {FeedState, Level, Round} from "../../src/interfaces/IFeedHub.sol";
import {Draft, Feeds} from "../support/Feeds.sol";

/// @notice Posts payloads, true and false, in any order, and keeps its own accounts.
contract Poster is Feeds {
    uint40[] public rounds;
    uint256 public accepted;
    uint256 public contradictions;
    bool public broken;
    mapping(uint40 round => Round) private _seen;
    FeedState private _before;

    function attest(uint16 age, uint8 answer) external {
        _post(attested(_time(age), int256(ANSWER) + int8(answer % 4)), false);
    }

    function confirm(uint16 age, uint8 answer, bool late) external {
        _post(provenOutput(_time(age), int256(ANSWER) + int8(answer % 4), 40), late);
    }

    function forge(uint16 age, uint256 place, bytes1 noise) external {
        bytes memory payload = encode(proven(_time(age)));
        if (payload[place % payload.length] == noise) return;
        payload[place % payload.length] = noise;
        (bool success,) = address(hub).call{gas: 500_000}(abi.encodeCall(hub.verify, (payload, "")));
        broken = broken || (success && hub.roundOf(feedId, uint40(_time(age) / TICK)).level != Level.Proven);
        _compare();
    }

    function wait(uint16 time) external {
        vm.warp(block.timestamp + time % 300);
    }

    function rotate(uint8 threshold) external {
        bytes32 wanted = hub.configure(addressesOf(keys), 1 + threshold % 3);
        vm.prank(OWNER);
        try hub.choose(feedId, wanted) {
            config = wanted;
        } catch {}
    }

    function stopVerifier(uint8 chance) external {
        if (chance != 9 || stop.stopped()) return;
        vm.prank(GUARDIAN);
        stop.stop();
    }

    function count() external view returns (uint256) {
        return rounds.length;
    }

    function _time(uint16 age) private view returns (uint256) {
        return block.timestamp - age % (MAX_AGE + 60);
    }

    function _post(Draft memory made, bool late) private {
        bytes memory payload = encode(made);
        bool open = !hub.isContradicted(feedId);
        (bool success,) =
            address(hub).call(late ? abi.encodeCall(hub.prove, (payload)) : abi.encodeCall(hub.verify, (payload, "")));
        if (success) ++accepted;
        if (open && hub.isContradicted(feedId)) ++contradictions;
        uint40 round = uint40(made.round);
        if (hub.roundOf(feedId, round).level != Level.None && _seen[round].level == Level.None) rounds.push(round);
        _compare();
    }

    /// @dev After every call: levels never fall, answers never change, the latest rounds never go back.
    function _compare() private {
        for (uint256 i = 0; i < rounds.length; ++i) {
            Round memory now_ = hub.roundOf(feedId, rounds[i]);
            Round memory then = _seen[rounds[i]];
            broken = broken || now_.level < then.level || now_.observedAt / TICK != rounds[i];
            if (then.level != Level.None) {
                broken = broken || now_.answer != then.answer || now_.observedAt != then.observedAt;
            }
            _seen[rounds[i]] = now_;
        }
        FeedState memory state = hub.stateOf(feedId);
        broken = broken || state.latest < _before.latest || state.latestProven < _before.latestProven;
        broken = broken || state.doubtedBelow < _before.doubtedBelow || state.latestProven > state.latest;
        _before = state;
    }
}

/// @notice Invariants that hold after any sequence of payloads.
contract FeedInvariants is Feeds {
    Poster private poster;

    function setUp() public override {
        poster = new Poster();
        poster.setUp();
    }

    function targetContracts() external view returns (address[] memory contracts) {
        contracts = new address[](1);
        contracts[0] = address(poster);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetSelectors() external view returns (FuzzSelector[] memory wanted) {
        bytes4[] memory selectors = new bytes4[](6);
        selectors[0] = Poster.attest.selector;
        selectors[1] = Poster.confirm.selector;
        selectors[2] = Poster.forge.selector;
        selectors[3] = Poster.wait.selector;
        selectors[4] = Poster.rotate.selector;
        selectors[5] = Poster.stopVerifier.selector;
        wanted = new FuzzSelector[](1);
        wanted[0] = FuzzSelector(address(poster), selectors);
    }

    /// @dev The poster's calls do succeed, and its lies are found.
    function test_poster_attestsProvesAndContradicts() external {
        poster.attest(0, 0);
        poster.confirm(0, 0, false);
        poster.attest(120, 1);
        vm.assertEq(poster.accepted(), 3);
        vm.assertEq(poster.count(), 2);
        poster.confirm(240, 3, true);
        vm.assertEq(poster.contradictions(), 1);
        vm.assertFalse(poster.broken());
    }

    function invariant_rounds_onlyRise() external view {
        vm.assertFalse(poster.broken());
    }
}
