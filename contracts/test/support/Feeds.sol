// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {FeedHub} from "../../src/feeds/FeedHub.sol";
import {IFeedHub, Level, Round, Spec} from "../../src/interfaces/IFeedHub.sol";
import {RequestContext} from "../../src/libraries/RequestContext.sol";
import {Statement} from "./BindingVerifier.sol";
import {System} from "./System.sol";

/// @notice The content of a payload, before it is signed and encoded.
struct Draft {
    bytes32 config;
    uint256 round;
    bytes32 extra;
    bytes report;
    bytes32 sourceDigest;
    bytes inputs;
    int256[] outputs;
    bytes proof;
    uint256[] keys;
}

/// @notice A hub, a feed of the model of System, and five signers of whom three must sign.
abstract contract Feeds is System {
    address internal constant OWNER = address(0x0fee);
    uint32 internal constant TICK = 60;
    uint32 internal constant MAX_AGE = 600;
    uint64 internal constant TOLERANCE = 2;
    bytes32 internal constant SOURCE_DIGEST = keccak256("source");
    uint8 internal constant THRESHOLD = 3;
    /// @dev Output 0 of the model is 40, at scale 2 and with one decimal.
    int256 internal constant ANSWER = 100;

    FeedHub internal hub;
    uint256[] internal keys;
    bytes32 internal config;
    bytes32 internal feedId;

    function setUp() public virtual override {
        super.setUp();
        hub = new FeedHub(registry, router);
        keys = keysFrom(0x5107, 5);
        config = hub.configure(addressesOf(keys), THRESHOLD);
        feedId = createFeed(spec(), config);
    }

    function spec() internal view returns (Spec memory) {
        return Spec({
            listing: listing,
            recipe: keccak256("recipe"),
            owner: OWNER,
            source: address(0),
            output: 0,
            scale: 2,
            decimals: 1,
            least: -1000,
            most: 1000,
            tolerance: TOLERANCE,
            tick: TICK,
            heartbeat: 3600,
            maxAge: MAX_AGE,
            description: "volatility"
        });
    }

    function createFeed(Spec memory wanted, bytes32 digest) internal returns (bytes32) {
        vm.prank(wanted.owner);
        return hub.create(wanted, digest);
    }

    /// @dev Keys whose addresses ascend.
    function keysFrom(uint256 first, uint256 count) internal pure returns (uint256[] memory sorted) {
        sorted = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            sorted[i] = first + i;
            for (uint256 j = i; j > 0 && vm.addr(sorted[j]) < vm.addr(sorted[j - 1]); --j) {
                (sorted[j], sorted[j - 1]) = (sorted[j - 1], sorted[j]);
            }
        }
    }

    function addressesOf(uint256[] memory some) internal pure returns (address[] memory accounts) {
        accounts = new address[](some.length);
        for (uint256 i = 0; i < some.length; ++i) {
            accounts[i] = vm.addr(some[i]);
        }
    }

    /// @dev Signers 0, 1 and so on, below `count`.
    function firstKeys(uint256 count) internal view returns (uint256[] memory some) {
        some = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            some[i] = keys[i];
        }
    }

    function reportOf(bytes32 id, uint256 observedAt, int256 answer) internal pure returns (bytes memory) {
        return
            abi.encode(id, observedAt, observedAt, uint256(0), uint256(0), observedAt + MAX_AGE, answer, answer, answer);
    }

    /// @dev What three signers would sign about an observation; without a proof.
    function attested(uint256 observedAt, int256 answer) internal view returns (Draft memory) {
        return Draft({
            config: config,
            round: observedAt / TICK,
            extra: keccak256(abi.encode(SOURCE_DIGEST, keccak256(INPUTS))),
            report: reportOf(feedId, observedAt, answer),
            sourceDigest: SOURCE_DIGEST,
            inputs: INPUTS,
            outputs: new int256[](0),
            proof: "",
            keys: firstKeys(THRESHOLD)
        });
    }

    /// @dev The same with a proof that output 0 of the model is `output`.
    function provenOutput(uint256 observedAt, int256 answer, int256 output) internal view returns (Draft memory made) {
        made = attested(observedAt, answer);
        made.outputs = answers();
        made.outputs[0] = output;
        made.proof = proofOf(made);
    }

    function proven(uint256 observedAt) internal view returns (Draft memory) {
        return provenOutput(observedAt, ANSWER, 40);
    }

    /// @dev The proof of a draft's inputs and outputs, in the context that its other fields determine.
    function proofOf(Draft memory made) internal view returns (bytes memory) {
        (bytes32 id,, uint256 observedAt) = abi.decode(made.report, (bytes32, uint256, uint256));
        bytes32 requestId =
            keccak256(abi.encode("zkinfer.feed.1", id, uint40(made.round), uint40(observedAt), made.sourceDigest));
        bytes32 context = RequestContext.digest(0, address(0), requestId, address(0), 0);
        return prove(Statement(context, made.inputs, made.outputs));
    }

    function digestOf(Draft memory made) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(keccak256(made.report), made.config, made.round, made.extra));
    }

    function encode(Draft memory made) internal pure returns (bytes memory) {
        bytes32[] memory rs = new bytes32[](made.keys.length);
        bytes32[] memory ss = new bytes32[](made.keys.length);
        bytes32 rawVs;
        bytes32 digest = digestOf(made);
        for (uint256 i = 0; i < rs.length; ++i) {
            uint8 v;
            (v, rs[i], ss[i]) = vm.sign(made.keys[i], digest);
            rawVs |= bytes32(bytes1(v - 27)) >> (8 * i);
        }
        return encodeWith(made, rs, ss, rawVs);
    }

    function encodeWith(Draft memory made, bytes32[] memory rs, bytes32[] memory ss, bytes32 rawVs)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encode(
            [made.config, bytes32(made.round), made.extra],
            made.report,
            rs,
            ss,
            rawVs,
            made.sourceDigest,
            made.inputs,
            made.outputs,
            made.proof
        );
    }

    function post(Draft memory made) internal returns (bytes memory) {
        return hub.verify(encode(made), "");
    }

    function refuses(Draft memory made, bytes memory why) internal {
        refusesBytes(encode(made), why);
    }

    function refusesBytes(bytes memory payload, bytes memory why) internal {
        vm.expectRevert(why);
        hub.verify(payload, "");
    }

    function requireStored(uint40 round, int256 answer, uint256 observedAt, Level level) internal view {
        Round memory found = hub.roundOf(feedId, round);
        vm.assertEq(int256(found.answer), answer);
        vm.assertEq(uint256(found.observedAt), observedAt);
        vm.assertEq(uint256(found.level), uint256(level));
    }

    function error_(bytes4 selector) internal view returns (bytes memory) {
        return abi.encodeWithSelector(selector, feedId);
    }
}
