// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {InferenceLedger} from "../../src/InferenceLedger.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {ERC7992Adapter} from "../../src/adapters/ERC7992Adapter.sol";
import {DigitLock} from "../../src/examples/DigitLock.sol";
import {IHalo2Dedicated, IHalo2Reusable} from "../../src/interfaces/IHalo2.sol";
import {Request} from "../../src/interfaces/IInferenceLedger.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {IModelRegistry, Registration} from "../../src/interfaces/IModelRegistry.sol";
import {IVerifierRouter} from "../../src/interfaces/IVerifierRouter.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {Contexts} from "../../src/libraries/Contexts.sol";
import {PublicValues} from "../../src/libraries/PublicValues.sol";
import {Visibility} from "../../src/libraries/Slots.sol";
import {DedicatedHalo2Adapter} from "../../src/verifiers/DedicatedHalo2Adapter.sol";
import {EmergencyStop} from "../../src/verifiers/EmergencyStop.sol";
import {VerifierRouter} from "../../src/verifiers/VerifierRouter.sol";
import {RealProofs} from "../support/RealProofs.sol";

/// @notice All contracts together, with real proofs.
contract EndToEndTest is RealProofs {
    uint256 private constant NOW = 1_999_996_400; // an hour before the requests expire
    uint96 private constant FEE = 1e15;
    uint256 private constant MARGIN = 1 << 10; // a quarter, at the circuit's scale of 12

    address private publisher;
    EmergencyStop private stop;
    VerifierRouter private router;
    ModelRegistry private registry;
    InferenceLedger private ledger;
    bytes32 private listing;
    address private canary;

    function setUp() public override {
        super.setUp();
        vm.warp(NOW);
        publisher = addressOf("publisher");
        canary = CodeStore.write(wordsOf(vm.parseJsonBytes(artifact("canary"), ".key")));
        adapter.prepare(canary);
        stop = new EmergencyStop(adapter, ALICE, canary, vm.parseJsonBytes32(artifact("canary"), ".keyDigest"));
        router = new VerifierRouter(address(this), new IInferenceVerifier[](0));
        router.addVerifier(adapter.selector(), stop);
        deploy(adapter.selector());
    }

    function test_register_isTheListingThatProofsWereMadeFor() external view {
        vm.assertEq(listing, vm.parseJsonBytes32(json, ".model.listing"));
        vm.assertEq(registry.modelOf(listing).modelId, vm.parseJsonBytes32(json, ".model.modelId"));
    }

    function test_record_realProof_isRecorded() external {
        Request memory question = ask(0);
        bytes32 id = ledger.record(question, proof, instances);
        vm.assertEq(id, vm.parseJsonBytes32(json, ".batch[0].id"));
        ledger.requireRecorded(question, slice(instances, 69, 10));
        vm.assertEq(ledger.creditOf(addressOf("prover")), question.proverFee);
        vm.assertEq(ledger.creditOf(publisher), FEE);
    }

    function test_record_everyInstancePlusTheModulus_isRefused() external {
        Request memory question = ask(0);
        for (uint256 i = 0; i < instances.length; ++i) {
            uint256[] memory bad = copyOf(instances);
            bad[i] += PublicValues.MODULUS;
            (bool success,) =
                address(ledger).call{gas: 3_000_000}(abi.encodeCall(ledger.record, (question, proof, bad)));
            vm.assertFalse(success, vm.toString(i));
        }
    }

    function test_record_proofOfAnotherRequest_isRefused() external {
        Request memory question = ask(0);
        (bytes memory other, uint256[] memory values) = proofAt(".batch[1]");
        vm.expectRevert(Contexts.ContextMismatch.selector);
        ledger.record(question, other, values);
    }

    function test_record_proofOfAnotherRequestUnderOurContext_isRefused() external {
        Request memory question = ask(0);
        (bytes memory other,) = proofAt(".batch[1]");
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        ledger.record(question, other, instances);
    }

    function test_record_dedicatedVerifier_accepts() external {
        (, DedicatedHalo2Adapter dedicated) = routeDedicated();
        router.verify(dedicated.selector(), keyDigest, key, proof, instances);
    }

    /// @dev The same publisher, model and key: where a verifier is stopped, this is the way on.
    function test_register_again_afterTheStop_isRecordedUnderAnotherVerifier() external {
        vm.prank(ALICE);
        stop.stop();
        (, DedicatedHalo2Adapter dedicated) = routeDedicated();
        bytes32 second = register(dedicated.selector());
        vm.assertTrue(second != listing);
        vm.assertEq(bytes32(registry.programOf(second).selector), bytes32(dedicated.selector()));
        vm.prank(publisher);
        registry.deprecate(listing, second);
        Request memory question = askAt(".onDedicated");
        vm.assertEq(question.listing, second);
        (proof, instances) = proofAt(".onDedicated");
        ledger.record(question, proof, instances);
    }

    function test_digitLock_realProof_opensForThePlayer() external {
        deployAt(
            addressOf("lock"),
            abi.encodePacked(type(DigitLock).creationCode, abi.encode(ledger, listing, digitOfLock(), MARGIN))
        );
        DigitLock lock = DigitLock(addressOf("lock"));
        Request memory question = questionAt(".lock");
        address player = question.refundTo;
        vm.deal(player, 1 ether);
        vm.prank(player);
        bytes32 id = lock.play{value: question.proverFee + FEE}(question.inputCommitment, question.prover);
        vm.assertEq(id, vm.parseJsonBytes32(json, ".lock.id"));
        (bytes memory answer, uint256[] memory values) = proofAt(".lock");
        lock.settle(question, answer, values);
        vm.assertEq(lock.winner(), player);
    }

    function test_erc7992_realProof_isVerifiedForItsCallerOnly() external {
        deployAt(
            addressOf("adapter"), abi.encodePacked(type(ERC7992Adapter).creationCode, abi.encode(registry, router))
        );
        ERC7992Adapter erc = ERC7992Adapter(addressOf("adapter"));
        (bytes memory answer, uint256[] memory values) = proofAt(".caller");
        bytes memory output = abi.encodePacked(slice(values, 69, 10));
        bytes32 commitment = vm.parseJsonBytes32(json, ".caller.inputCommitment");
        vm.prank(addressOf("requester"));
        erc.verifyInference(uint256(listing), commitment, output, abi.encode(answer, values));
        vm.expectRevert(Contexts.ContextMismatch.selector);
        vm.prank(MALLORY);
        erc.verifyInference(uint256(listing), commitment, output, abi.encode(answer, values));
    }

    function test_stopByProof_trueAnswer_isNotImpossible() external {
        (bytes memory answer, uint256[] memory values) = proofAt(".canary");
        stop.verify(stop.CANARY_DIGEST(), canary, answer, values);
        vm.expectRevert(EmergencyStop.NotImpossible.selector);
        stop.stopByProof(answer, values);
    }

    function test_stopByProof_falseAnswer_isRefusedByTheVerifier() external {
        (bytes memory answer, uint256[] memory values) = proofAt(".canary");
        values[6] = 12;
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        stop.stopByProof(answer, values);
    }

    /// @dev Each call as a transaction of its own, so with its calldata and cold storage.
    /// forge-config: default.isolate = true
    function test_gas() external {
        vm.deal(ALICE, 1 ether);
        bytes32[] memory vka = CodeStore.read(key);
        IHalo2Reusable(halo2).verifyProof(proof, instances, vka);
        vm.snapshotGasLastCall("verify", "1 generated verifier, key in calldata");
        adapter.verify(keyDigest, key, proof, instances);
        vm.snapshotGasLastCall("verify", "2 adapter, key in code");
        stop.verify(keyDigest, key, proof, instances);
        vm.snapshotGasLastCall("verify", "3 emergency stop");
        router.verify(adapter.selector(), keyDigest, key, proof, instances);
        vm.snapshotGasLastCall("verify", "4 router");
        (address code, DedicatedHalo2Adapter dedicated) = routeDedicated();
        IHalo2Dedicated(code).verifyProof(proof, instances);
        vm.snapshotGasLastCall("verify", "5 dedicated verifier");
        dedicated.verify(keyDigest, key, proof, instances);
        vm.snapshotGasLastCall("verify", "6 dedicated adapter");
    }

    /// forge-config: default.isolate = true
    function test_gas_ledger() external {
        Request memory question = ask(0);
        ledger.record(question, proof, instances);
        vm.snapshotGasLastCall("ledger", "record");
        ask(1);
        vm.snapshotGasLastCall("ledger", "request");
        vm.warp(question.expiry + 1);
        ledger.refund(questionAt(".batch[1]"));
        vm.snapshotGasLastCall("ledger", "refund");
        vm.prank(addressOf("prover"));
        ledger.withdraw(payable(BOB));
        vm.snapshotGasLastCall("ledger", "withdraw");
    }

    /// forge-config: default.isolate = true
    function test_gas_batchOfTen() external {
        (Request[] memory questions, bytes[] memory proofs, uint256[][] memory values) =
            (new Request[](10), new bytes[](10), new uint256[][](10));
        for (uint256 i = 0; i < 10; ++i) {
            questions[i] = ask(i);
            (proofs[i], values[i]) = proofAt(string.concat(".batch[", vm.toString(i), "]"));
        }
        vm.assertEq(ledger.recordBatch(questions, proofs, values), 10);
        vm.snapshotGasLastCall("ledger", "recordBatch of ten");
    }

    /// forge-config: default.isolate = true
    function test_gas_dedicated() external {
        (, DedicatedHalo2Adapter dedicated) = routeDedicated();
        register(dedicated.selector());
        Request memory question = askAt(".onDedicated");
        (proof, instances) = proofAt(".onDedicated");
        ledger.record(question, proof, instances);
        vm.snapshotGasLastCall("ledger", "record, dedicated verifier");
    }

    /// forge-config: default.isolate = true
    function test_gas_register() external {
        publisher = BOB;
        register(adapter.selector());
        vm.snapshotGasLastCall("registry", "register, key known already");
    }

    function deploy(bytes4 selector) private {
        registry = new ModelRegistry(router, false);
        deployAt(
            addressOf("ledger"), abi.encodePacked(type(InferenceLedger).creationCode, abi.encode(registry, router))
        );
        ledger = InferenceLedger(addressOf("ledger"));
        listing = register(selector);
    }

    function ask(uint256 number) private returns (Request memory question) {
        return askAt(string.concat(".batch[", vm.toString(number), "]"));
    }

    function askAt(string memory path) private returns (Request memory question) {
        question = questionAt(path);
        vm.deal(question.requester, 1 ether);
        vm.prank(question.requester);
        ledger.request{value: uint256(question.proverFee) + question.ownerFee}(question);
    }

    function register(bytes4 selector) private returns (bytes32) {
        Registration memory wanted = Registration({
            onnxDigest: vm.parseJsonBytes32(json, ".model.onnxDigest"),
            selector: selector,
            visibility: Visibility.Public,
            inputs: uint32(vm.parseJsonUint(json, ".model.inputs")),
            outputs: uint32(vm.parseJsonUint(json, ".model.outputs")),
            fee: FEE,
            uri: "ipfs://digits"
        });
        bytes32[] memory words_ = words(".model.key");
        vm.prank(publisher);
        return registry.register(wanted, words_);
    }

    function routeDedicated() private returns (address code, DedicatedHalo2Adapter dedicated) {
        code = create(vm.parseJsonBytes(json, ".dedicated"));
        dedicated = new DedicatedHalo2Adapter(code, code.codehash, keyDigest);
        router.addVerifier(dedicated.selector(), new EmergencyStop(dedicated, ALICE, address(0), 0));
    }

    function digitOfLock() private view returns (uint256 digit) {
        (, uint256[] memory values) = proofAt(".lock");
        for (uint256 i = 1; i < 10; ++i) {
            if (PublicValues.decode(values[69 + i]) > PublicValues.decode(values[69 + digit])) digit = i;
        }
    }
}
