// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {FeedHub} from "../../src/feeds/FeedHub.sol";
import {IFeedHub, Level, Round, Spec} from "../../src/interfaces/IFeedHub.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {Registration} from "../../src/interfaces/IModelRegistry.sol";
import {Layout, Visibility} from "../../src/libraries/StatementLayout.sol";
import {EmergencyStop} from "../../src/verifiers/EmergencyStop.sol";
import {VerifierRouter} from "../../src/verifiers/VerifierRouter.sol";
import {FeedVectors} from "../support/FeedVectors.sol";
import {Test} from "../support/Test.sol";

/// @notice The hub with proofs of the engine, and payloads that Python signed and encoded.
contract FeedHubProofsTest is Test {
    address private constant GUARDIAN = address(0x9a8d);

    string private json;
    IInferenceVerifier private verifier;
    EmergencyStop private stop;
    VerifierRouter private router;
    FeedHub private hub;
    bytes32 private feedId;
    uint40 private round;

    function setUp() external {
        json = vm.readFile("../tests/vectors/feed_proofs.json");
        vm.warp(vm.parseJsonUint(json, ".observedAt") + 90);
        verifier = IInferenceVerifier(create(vm.getCode("AshlarVerifier.sol:AshlarVerifier")));
        stop = new EmergencyStop(verifier, GUARDIAN);
        IInferenceVerifier[] memory first = new IInferenceVerifier[](1);
        first[0] = stop;
        router = new VerifierRouter(address(this), first);
        hub = deployOn(router);
        round = uint40(vm.parseJsonUint(json, ".observedAt") / spec().tick);
    }

    function test_create_theFeedThatPythonNamed() external view {
        vm.assertEq(feedId, vm.parseJsonBytes32(json, ".spec.feedId"));
    }

    function test_verify_attestedThenProven_isStored() external {
        hub.verify(payload("attested"), "");
        hub.verify(payload("proven"), "");
        Round memory found = hub.requireRound(feedId, round, Level.Proven);
        vm.assertEq(int256(found.answer), 900);
        vm.assertEq(found.observedAt, vm.parseJsonUint(json, ".observedAt"));
    }

    /// @dev The same bytes, on a hub at another address of another chain.
    function test_verify_onAnotherChain_isStored() external {
        hub.verify(payload("proven"), "");
        vm.chainId(10);
        FeedHub other = deployOn(router);
        vm.assertFalse(address(other) == address(hub));
        other.verify(payload("proven"), "");
        vm.assertEq(int256(other.requireAt(feedId, round, Level.Proven)), 900);
    }

    function test_verify_contradiction_closesTheAttestedLevel() external {
        hub.verify(payload("lie"), "");
        vm.assertEq(int256(hub.requireAt(feedId, round + 1, Level.Attested)), 903);
        vm.assertEq(hub.verify(payload("contradiction"), ""), "");
        vm.assertTrue(hub.isContradicted(feedId));
        vm.expectRevert(abi.encodeWithSelector(IFeedHub.FeedContradicted.selector, feedId));
        hub.requireAt(feedId, round + 1, Level.Attested);
    }

    function test_verify_stoppedVerifier_isRefused() external {
        vm.prank(GUARDIAN);
        stop.stop();
        bytes memory proven = payload("proven");
        vm.expectRevert(EmergencyStop.Stopped.selector);
        hub.verify(proven, "");
    }

    function test_verify_everyWordOfTheProofMangled_isRefused() external {
        bytes memory good = payload("proven");
        uint256 size = 2176 / 32;
        uint256 words = good.length / 32;
        for (uint256 i = 0; i < size; ++i) {
            bytes memory bad = copyOf(good);
            writeWord(bad, words - 1 - i, readWord(bad, words - 1 - i) ^ (1 << (i * 37 % 250)));
            (bool success, bytes memory why) = address(hub).call{gas: 1_000_000}(abi.encodeCall(hub.verify, (bad, "")));
            vm.assertFalse(success, vm.toString(i));
            vm.assertEq(bytes32(bytes4(why)), bytes32(IInferenceVerifier.ProofRejected.selector));
        }
        hub.verify(good, "");
    }

    /// @dev Of whole transactions with three signatures; nothing was read before, in the test's own transaction.
    function test_verify_gasOfAnAttestedRound_isBelowTheLimit() external {
        bytes memory posted = payload("attested");
        hub.verify(posted, "");
        vm.assertLe(snapshot("attested round", posted), 100_000);
    }

    function test_verify_gasOfAProvenRound_isBelowTheLimit() external {
        bytes memory posted = payload("proven");
        hub.verify(posted, "");
        vm.assertLe(snapshot("proven round", posted), 420_000);
    }

    function test_requireRound_gas_isRecorded() external {
        hub.verify(payload("proven"), "");
        this.readCold(Level.Attested, "read, attested");
        this.readCold(Level.Proven, "read, proven");
    }

    function readCold(Level level, string calldata name) external {
        address[5] memory used =
            [address(hub), address(hub.REGISTRY()), address(router), address(stop), address(verifier)];
        for (uint256 i = 0; i < 5; ++i) {
            vm.cool(used[i]);
        }
        hub.requireRound(feedId, round, level);
        vm.snapshotGasLastCall("feeds", name);
    }

    /// @dev The gas of the last call as a transaction; recorded.
    function snapshot(string memory name, bytes memory posted) private returns (uint256 gas_) {
        gas_ = vm.snapshotGasLastCall("feeds", string.concat(name, ", call"))
            + intrinsic(abi.encodeCall(hub.verify, (posted, "")));
        vm.snapshotValue("feeds", string.concat(name, ", transaction"), gas_);
    }

    function deployOn(VerifierRouter routes) private returns (FeedHub made) {
        ModelRegistry registry = new ModelRegistry(routes, true);
        Registration memory declared = Registration({
            onnxDigest: vm.parseJsonBytes32(json, ".model.onnxDigest"),
            selector: verifier.selector(),
            statementLayout: Layout(
                Visibility(number(".model.layout.visibility")),
                uint8(number(".model.layout.inputWidth")),
                uint32(number(".model.layout.inputs")),
                uint32(number(".model.layout.outputs"))
            ),
            fee: 0,
            uri: ""
        });
        bytes32[] memory key = wordsOf(vm.parseJsonBytes(json, ".model.key"));
        vm.prank(vm.parseJsonAddress(json, ".model.publisher"));
        vm.assertEq(registry.register(declared, key), vm.parseJsonBytes32(json, ".model.listing"));
        made = new FeedHub(registry, routes);
        Spec memory wanted = spec();
        bytes32 config = made.configure(signers(), uint8(number(".config.threshold")));
        vm.prank(wanted.owner);
        feedId = made.create(wanted, config);
    }

    function spec() private view returns (Spec memory) {
        return FeedVectors.read(vm, json, ".spec");
    }

    function signers() private view returns (address[] memory accounts) {
        accounts = new address[](5);
        for (uint256 i = 0; i < 5; ++i) {
            accounts[i] = vm.parseJsonAddress(json, string.concat(".config.signers[", vm.toString(i), "]"));
        }
    }

    function payload(string memory name) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, string.concat(".payloads.", name));
    }

    function number(string memory path) private view returns (uint256) {
        return vm.parseJsonUint(json, path);
    }
}
