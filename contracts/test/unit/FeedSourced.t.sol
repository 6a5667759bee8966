// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {AggregatorSource, Form} from "../../src/feeds/AggregatorSource.sol";
import {FeedHub} from "../../src/feeds/FeedHub.sol";
import {IFeedHub, Level, Spec} from "../../src/interfaces/IFeedHub.sol";
import {InferenceProof} from "../../src/libraries/InferenceProof.sol";
import {Draft, Feeds} from "../support/Feeds.sol";
import {ScriptedAggregator} from "../support/ScriptedAggregator.sol";

/// @notice A source that answers as it should, after a try to post something else meanwhile.
contract ReentrantSource {
    FeedHub private immutable HUB;
    bytes private _other;
    bytes32 private immutable COMMITMENT;
    bool public tried;

    constructor(FeedHub hub, bytes32 commitment) {
        (HUB, COMMITMENT) = (hub, commitment);
    }

    function carry(bytes calldata other) external {
        _other = other;
    }

    function inputsAt(bytes32, uint40 round, bytes calldata) external returns (bytes32, uint40) {
        tried = true;
        HUB.verify(_other, "");
        return (COMMITMENT, round * 60);
    }
}

/// @notice A feed whose inputs a contract computes from another aggregator: nobody signs.
contract FeedSourcedTest is Feeds {
    uint256 private constant TIME = NOW / TICK * TICK;
    uint40 private constant ROUND = uint40(NOW / TICK);

    ScriptedAggregator private prices;
    AggregatorSource private source;

    function setUp() public override {
        super.setUp();
        prices = new ScriptedAggregator(0);
        source = new AggregatorSource(prices, keccak256("recipe"), TICK, 3600, 2, 0, 1, Form.Level);
        prices.set(6, 20, TIME - 120); // INPUTS: 20 and 21
        prices.set(7, 21, TIME - 60);
        Spec memory wanted = spec();
        wanted.source = address(source);
        feedId = createFeed(wanted, 0);
        config = 0;
    }

    function test_verify_proof_isStored() external {
        vm.assertEq(post(sourced()), reportOf(feedId, TIME, ANSWER));
        requireStored(ROUND, ANSWER, TIME, Level.Proven);
        vm.assertTrue(hub.stateOf(feedId).sourced);
        vm.assertEq(int256(hub.requireAt(feedId, ROUND, Level.Attested)), ANSWER);
        post(sourced());
    }

    function test_verify_withoutAProof_isRefused() external {
        Draft memory made = sourced();
        (made.outputs, made.proof) = (new int256[](0), "");
        refuses(made, error_(IFeedHub.ProofMissing.selector));
    }

    function test_verify_withASignature_isRefused() external {
        Draft memory made = sourced();
        made.keys = firstKeys(3);
        refuses(made, error_(IFeedHub.NoSigners.selector));
    }

    /// @dev No contract holds an unknown config, and none holds the signers of this feed.
    function test_verify_anyConfig_isRefused() external {
        Draft memory made = sourced();
        made.config = keccak256("unknown");
        refuses(made, abi.encodeWithSelector(IFeedHub.WrongConfig.selector, 0, made.config));
        made.config = hub.configure(addressesOf(keys), 3);
        refuses(made, abi.encodeWithSelector(IFeedHub.WrongConfig.selector, 0, made.config));
    }

    function test_verify_otherInputs_areRefused() external {
        Draft memory made = withInputs(hex"1416");
        refuses(
            made,
            abi.encodeWithSelector(InferenceProof.InputMismatch.selector, keccak256(INPUTS), keccak256(made.inputs))
        );
    }

    function test_verify_otherTimeOfTheRound_isRefused() external {
        Draft memory made = draftAt(TIME + 1, bytes32(uint256(7)), INPUTS, ANSWER);
        refuses(made, abi.encodeWithSelector(IFeedHub.WrongTime.selector, uint40(TIME), TIME + 1));
    }

    function test_verify_otherHint_isRefused() external {
        Draft memory made = draftAt(TIME, bytes32(uint256(6)), INPUTS, ANSWER);
        refuses(made, abi.encodeWithSelector(AggregatorSource.NotTheLast.selector, 7, TIME - 60));
    }

    /// @dev Nobody signed the answer, so the poster has no tolerance.
    function test_verify_answerBesideTheProvenOne_isRefused() external {
        Draft memory made = draftAt(TIME, bytes32(uint256(7)), INPUTS, ANSWER + 1);
        refuses(made, abi.encodeWithSelector(IFeedHub.AnswerMismatch.selector, int192(ANSWER), ANSWER + 1));
        vm.assertFalse(hub.isContradicted(feedId));
    }

    function test_read_verifierStopped_stopsBothLevels() external {
        post(sourced());
        vm.prank(GUARDIAN);
        stop.stop();
        vm.expectRevert(error_(IFeedHub.FeedStopped.selector));
        hub.requireAt(feedId, ROUND, Level.Attested);
        vm.expectRevert(error_(IFeedHub.FeedStopped.selector));
        hub.requireAt(feedId, ROUND, Level.Proven);
    }

    /// @dev Sources are called statically, so they change nothing, here or elsewhere.
    function test_verify_sourceThatPostsMeanwhile_isRefused() external {
        bytes memory other = encode(sourced());
        ReentrantSource bad = new ReentrantSource(hub, keccak256(INPUTS));
        bad.carry(other);
        Spec memory wanted = hub.specOf(feedId);
        wanted.source = address(bad);
        feedId = createFeed(wanted, 0);
        bytes memory payload = encode(sourced());
        (bool success,) = address(hub).call{gas: 2_000_000}(abi.encodeCall(hub.verify, (payload, "")));
        vm.assertFalse(success);
        vm.assertFalse(bad.tried());
        requireStored(ROUND, 0, 0, Level.None);
    }

    function test_choose_signers_isRefused() external {
        bytes32 digest = hub.configure(addressesOf(keys), 3);
        vm.expectRevert(error_(IFeedHub.NoSigners.selector));
        vm.prank(OWNER);
        hub.choose(feedId, digest);
    }

    function test_create_withSigners_isRefused() external {
        Spec memory wanted = hub.specOf(feedId);
        wanted.description = "another";
        bytes32 digest = hub.configure(addressesOf(keys), 3);
        uint256 hash = uint256(keccak256(abi.encode(wanted)));
        bytes32 id = bytes32((uint256(3) << 240) | (hash & ((1 << 240) - 1)));
        vm.expectRevert(abi.encodeWithSelector(IFeedHub.NoSigners.selector, id));
        createFeed(wanted, digest);
    }

    function sourced() private view returns (Draft memory) {
        return draftAt(TIME, bytes32(uint256(7)), INPUTS, ANSWER);
    }

    function withInputs(bytes memory inputs) private view returns (Draft memory) {
        return draftAt(TIME, bytes32(uint256(7)), inputs, ANSWER);
    }

    function draftAt(uint256 time, bytes32 hint, bytes memory inputs, int256 answer)
        private
        view
        returns (Draft memory made)
    {
        made = attested(time, answer);
        (made.inputs, made.sourceDigest, made.keys) = (inputs, hint, new uint256[](0));
        made.extra = keccak256(abi.encode(hint, keccak256(inputs)));
        made.outputs = answers();
        made.proof = proofOf(made);
    }
}
