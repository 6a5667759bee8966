// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {InferenceLedger} from "../../src/InferenceLedger.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {Request} from "../../src/interfaces/IInferenceLedger.sol";
import {Registration} from "../../src/interfaces/IModelRegistry.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {TrustedSetups} from "../../src/libraries/TrustedSetups.sol";
import {Layout, Visibility} from "../../src/libraries/StatementLayout.sol";
import {ANY_INPUT} from "../../src/libraries/InferenceProof.sol";
import {EmergencyStop} from "../../src/verifiers/EmergencyStop.sol";
import {VerifierRouter} from "../../src/verifiers/VerifierRouter.sol";
import {BindingVerifier, Statement} from "./BindingVerifier.sol";
import {Test} from "./Test.sol";

/// @notice All contracts, with a verifier whose proofs tests can make, and a model of two inputs and two outputs.
abstract contract System is Test {
    address internal constant TIMELOCK = address(0x7153);
    address internal constant GUARDIAN = address(0x9a8d);
    address internal constant PUBLISHER = address(0x9ab1);
    address internal constant PROVER = address(0x9807);
    address internal constant CONSUMER = address(0xc0);
    uint256 internal constant NOW = 1_900_000_000;
    uint96 internal constant OWNER_FEE = 3;
    uint96 internal constant PROVER_FEE = 5;
    /// @dev Inputs and outputs of the model together.
    uint256 internal constant COUNT = 4;
    bytes internal constant INPUTS = hex"1415"; // 20 and 21, one byte each

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
        stop = new EmergencyStop(binding, GUARDIAN);
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
            statementLayout: layoutOf(visibility, inputs, outputs),
            fee: OWNER_FEE,
            uri: "ipfs://model"
        });
    }

    function layoutOf(Visibility visibility, uint32 inputs, uint32 outputs) internal pure returns (Layout memory) {
        uint8[3] memory widths = [1, 32, 0];
        return Layout(visibility, widths[uint256(visibility)], inputs, outputs);
    }

    function registerModel(Visibility visibility, uint32 inputs, uint32 outputs) internal returns (bytes32) {
        Registration memory wanted = registration(visibility, inputs, outputs);
        vm.prank(PUBLISHER);
        return registry.register(wanted, bindingKey(uint256(inputs) + outputs, TrustedSetups.HERMEZ));
    }

    /// @dev Alice's request about the input (20, 21).
    function requestOf(uint256 salt) internal view returns (Request memory) {
        return Request({
            listing: listing,
            inputCommitment: keccak256(INPUTS),
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

    function freeRequest(uint256 salt) internal view returns (Request memory asked) {
        asked = requestOf(salt);
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

    /// @dev The statement of a proof that answers a request: inputs 20 and 21, outputs 40 and -41.
    function statementFor(Request memory asked) internal view returns (Statement memory) {
        return Statement(ledger.contextOf(asked), INPUTS, answers());
    }

    function answers() internal pure returns (int256[] memory values) {
        values = new int256[](2);
        (values[0], values[1]) = (40, -41);
    }

    function prove(Statement memory statement) internal view returns (bytes memory) {
        return abi.encode(binding.proofOf(keyDigest, statement));
    }

    function answer(Request memory asked) internal returns (bytes32 id) {
        Statement memory statement = statementFor(asked);
        return ledger.record(asked, statement.inputs, statement.outputs, prove(statement));
    }

    function anyInput() internal pure returns (bytes32) {
        return ANY_INPUT;
    }
}
