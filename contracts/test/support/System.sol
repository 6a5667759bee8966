// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {InferenceLedger} from "../../src/InferenceLedger.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {Request} from "../../src/interfaces/IInferenceLedger.sol";
import {Registration} from "../../src/interfaces/IModelRegistry.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {Contexts} from "../../src/libraries/Contexts.sol";
import {Setups} from "../../src/libraries/Setups.sol";
import {Visibility} from "../../src/libraries/Slots.sol";
import {ANY_INPUT} from "../../src/libraries/Statements.sol";
import {EmergencyStop} from "../../src/verifiers/EmergencyStop.sol";
import {VerifierRouter} from "../../src/verifiers/VerifierRouter.sol";
import {BindingVerifier} from "./BindingVerifier.sol";
import {Test} from "./Test.sol";

/// @notice All contracts around a verifier whose proofs tests can make: a model of two inputs and two outputs.
abstract contract System is Test {
    address internal constant TIMELOCK = address(0x7153);
    address internal constant GUARDIAN = address(0x9a8d);
    address internal constant PUBLISHER = address(0x9ab1);
    address internal constant PROVER = address(0x9807);
    address internal constant CONSUMER = address(0xc0);
    uint256 internal constant NOW = 1_900_000_000;
    uint96 internal constant OWNER_FEE = 3;
    uint96 internal constant PROVER_FEE = 5;
    uint256 internal constant COUNT = 9;

    BindingVerifier internal binding;
    EmergencyStop internal stop;
    VerifierRouter internal router;
    ModelRegistry internal registry;
    InferenceLedger internal ledger;
    bytes32 internal listing;
    bytes32 internal keyDigest;

    function setUp() public virtual {
        vm.warp(NOW);
        binding = new BindingVerifier();
        stop = new EmergencyStop(binding, GUARDIAN, address(0), 0);
        IInferenceVerifier[] memory first = new IInferenceVerifier[](1);
        first[0] = stop;
        router = new VerifierRouter(TIMELOCK, first);
        registry = new ModelRegistry(router, false);
        ledger = new InferenceLedger(registry, router);
        listing = registerModel(Visibility.Public, 2, 2);
        keyDigest = registry.programOf(listing).keyDigest;
        vm.deal(ALICE, 1 ether);
        vm.deal(BOB, 1 ether);
    }

    function bindingKey(uint256 count, bytes32 setup) internal pure returns (bytes32[] memory key) {
        key = new bytes32[](2);
        (key[0], key[1]) = (bytes32(count), setup);
    }

    function registration(Visibility visibility, uint32 inputs, uint32 outputs)
        internal
        view
        returns (Registration memory)
    {
        return Registration({
            onnxDigest: sha256("model"),
            selector: binding.selector(),
            visibility: visibility,
            inputs: inputs,
            outputs: outputs,
            fee: OWNER_FEE,
            uri: "ipfs://model"
        });
    }

    function registerModel(Visibility visibility, uint32 inputs, uint32 outputs) internal returns (bytes32) {
        uint256 count = 5 + uint256(inputs) + outputs + (visibility == Visibility.Hashed ? 1 : 0);
        Registration memory wanted = registration(visibility, inputs, outputs);
        vm.prank(PUBLISHER);
        return registry.register(wanted, bindingKey(count, Setups.HERMEZ));
    }

    /// @dev Alice's request about the input (20, 21).
    function question(uint256 salt) internal view returns (Request memory) {
        return Request({
            listing: listing,
            inputCommitment: keccak256(abi.encode(uint256(20), uint256(21))),
            consumer: CONSUMER,
            requester: ALICE,
            expiry: uint64(NOW + 1 hours),
            prover: PROVER,
            proverFee: PROVER_FEE,
            refundTo: BOB,
            ownerFee: OWNER_FEE,
            salt: bytes32(salt)
        });
    }

    function freeQuestion(uint256 salt) internal view returns (Request memory asked) {
        asked = question(salt);
        (asked.proverFee, asked.ownerFee, asked.prover, asked.refundTo) = (0, 0, address(0), address(0));
    }

    function fees(Request memory asked) internal pure returns (uint256) {
        return uint256(asked.proverFee) + asked.ownerFee;
    }

    function ask(Request memory asked) internal returns (bytes32 id) {
        vm.deal(asked.requester, asked.requester.balance + fees(asked));
        vm.prank(asked.requester);
        return ledger.request{value: fees(asked)}(asked);
    }

    /// @dev The public values of a proof that answers a request: context, input, outputs 40 and 41.
    function instancesFor(Request memory asked) internal view returns (uint256[] memory instances) {
        instances = new uint256[](COUNT);
        bytes32 context = ledger.contextOf(asked);
        for (uint256 i = 0; i < 5; ++i) {
            instances[i] = Contexts.limb(context, i);
        }
        (instances[5], instances[6], instances[7], instances[8]) = (20, 21, 40, 41);
    }

    function answers() internal pure returns (uint256[] memory values) {
        values = new uint256[](2);
        (values[0], values[1]) = (40, 41);
    }

    function prove(uint256[] memory instances) internal view returns (bytes memory) {
        return abi.encode(binding.proofOf(keyDigest, instances));
    }

    function answer(Request memory asked) internal returns (bytes32 id) {
        uint256[] memory instances = instancesFor(asked);
        return ledger.record(asked, prove(instances), instances);
    }

    function anyInput() internal pure returns (bytes32) {
        return ANY_INPUT;
    }
}
