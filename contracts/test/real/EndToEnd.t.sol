// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {InferenceLedger} from "../../src/InferenceLedger.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {ERC7992Adapter} from "../../src/adapters/ERC7992Adapter.sol";
import {DigitLock} from "../../src/examples/DigitLock.sol";
import {IEzklReusableVerifier} from "../../src/verifiers/ezkl/IEzklHalo2Verifier.sol";
import {Request} from "../../src/interfaces/IInferenceLedger.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {IModelRegistry, Registration} from "../../src/interfaces/IModelRegistry.sol";
import {IVerifierRouter} from "../../src/interfaces/IVerifierRouter.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {InferenceProof} from "../../src/libraries/InferenceProof.sol";
import {Outputs} from "../../src/libraries/Outputs.sol";
import {Layout, Visibility} from "../../src/libraries/StatementLayout.sol";
import {EmergencyStop} from "../../src/verifiers/EmergencyStop.sol";
import {VerifierRouter} from "../../src/verifiers/VerifierRouter.sol";
import {Statement} from "../support/BindingVerifier.sol";
import {RealProofs} from "../support/RealProofs.sol";

/// @notice All contracts together, with real proofs.
contract EndToEndTest is RealProofs {
    uint256 private constant NOW = 1_999_996_400; // an hour before the requests expire
    uint96 private constant FEE = 1e15;
    uint256 private constant MARGIN = 1 << 10; // a quarter, at the circuit's scale of 12

    address private publisher;
    bytes32 private onnxDigest;
    EmergencyStop private stop;
    VerifierRouter private router;
    ModelRegistry private registry;
    InferenceLedger private ledger;
    bytes32 private listing;

    function setUp() public override {
        super.setUp();
        vm.warp(NOW);
        publisher = addressOf("publisher");
        onnxDigest = vm.parseJsonBytes32(json, ".model.onnxDigest");
        adapter.prepare(canaryKey);
        stop = new EmergencyStop(adapter, ALICE);
        router = new VerifierRouter(address(this), new IInferenceVerifier[](0));
        router.addVerifier(adapter.selector(), stop);
        deploy(adapter.selector());
    }

    function test_register_isTheListingOfTheStoredProofs() external view {
        vm.assertEq(listing, vm.parseJsonBytes32(json, ".model.listing"));
        vm.assertEq(registry.modelOf(listing).modelId, vm.parseJsonBytes32(json, ".model.modelId"));
    }

    function test_record_realProof_isRecorded() external {
        Request memory asked = ask(0);
        bytes32 id = record(asked, proof, statement);
        vm.assertEq(id, vm.parseJsonBytes32(json, ".batch[0].id"));
        ledger.requireRecorded(asked, statement.outputs);
        vm.assertEq(ledger.creditOf(addressOf("prover")), asked.proverFee);
        vm.assertEq(ledger.creditOf(publisher), FEE);
    }

    function test_record_proofOfAnotherRequest_isRefused() external {
        Request memory asked = ask(0);
        (bytes memory other, Statement memory said) = proofAt(".batch[1]");
        vm.expectRevert(
            abi.encodeWithSelector(InferenceProof.InputMismatch.selector, asked.inputCommitment, keccak256(said.inputs))
        );
        record(asked, other, said);
    }

    function test_record_proofOfAnotherRequestAboutOurInputs_isRefused() external {
        Request memory asked = ask(0);
        (bytes memory other,) = proofAt(".batch[1]");
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        record(asked, other, statement);
    }

    /// @dev After a stop, the publisher lists the same ONNX file, compiled for another engine, as the successor.
    function test_register_afterTheStop_goesOnUnderAnotherEngine() external {
        IInferenceVerifier other = IInferenceVerifier(create(vm.getCode("AshlarVerifier.sol:AshlarVerifier")));
        router.addVerifier(other.selector(), new EmergencyStop(other, ALICE));
        registry = new ModelRegistry(router, true); // the vectors are under the setup for tests
        register(adapter.selector());
        vm.prank(ALICE);
        stop.stop();
        json = vm.readFile("../tests/vectors/ashlar/mlp_public_1.json");
        form = Layout(Visibility.Public, 1, 6, 3);
        bytes32 second = register(other.selector(), words(".key"));
        vm.prank(publisher);
        registry.deprecate(listing, second);
        vm.assertFalse(router.isLive(registry.programOf(listing).selector));
        vm.assertTrue(router.isLive(registry.programOf(second).selector));
    }

    function test_digitLock_realProof_opensForThePlayer() external {
        deployAt(
            addressOf("lock"),
            abi.encodePacked(type(DigitLock).creationCode, abi.encode(ledger, listing, digitOfLock(), MARGIN))
        );
        DigitLock lock = DigitLock(addressOf("lock"));
        Request memory asked = requestAt(".lock");
        address player = asked.refundTo;
        vm.deal(player, 1 ether);
        vm.prank(player);
        bytes32 id = lock.play{value: asked.proverFee + FEE}(asked.inputCommitment, asked.prover);
        vm.assertEq(id, vm.parseJsonBytes32(json, ".lock.id"));
        (bytes memory answer, Statement memory said) = proofAt(".lock");
        lock.settle(asked, said.inputs, said.outputs, answer);
        vm.assertEq(lock.winner(), player);
    }

    function test_erc7992_realProof_isVerifiedForItsCallerOnly() external {
        deployAt(
            addressOf("adapter"), abi.encodePacked(type(ERC7992Adapter).creationCode, abi.encode(registry, router))
        );
        ERC7992Adapter erc = ERC7992Adapter(addressOf("adapter"));
        (bytes memory answer, Statement memory said) = proofAt(".caller");
        bytes memory output = abi.encodePacked(said.outputs);
        bytes32 commitment = vm.parseJsonBytes32(json, ".caller.inputCommitment");
        vm.prank(addressOf("requester"));
        erc.verifyInference(uint256(listing), commitment, output, abi.encode(said.inputs, answer));
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        vm.prank(MALLORY);
        erc.verifyInference(uint256(listing), commitment, output, abi.encode(said.inputs, answer));
    }

    function test_stopByProof_trueAnswer_isNotImpossible() external {
        (bytes memory answer, Statement memory said) = proofAt(".canary");
        vm.expectRevert(EmergencyStop.NotImpossible.selector);
        stop.stopByProof(said.context, said.inputs, said.outputs, answer);
    }

    function test_stopByProof_falseAnswer_isRefusedByTheVerifier() external {
        (bytes memory answer, Statement memory said) = proofAt(".canary");
        said.outputs[0] = 12;
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        stop.stopByProof(said.context, said.inputs, said.outputs, answer);
    }

    /// @dev Each call is a separate transaction, so its calldata and cold storage access count.
    /// forge-config: default.isolate = true
    function test_gas() external {
        vm.deal(ALICE, 1 ether);
        bytes32[] memory vka = CodeStore.read(key);
        uint256[] memory values = instances();
        IEzklReusableVerifier(halo2).verifyProof(proof, values, vka);
        vm.snapshotGasLastCall("verify", "1 generated verifier, key in calldata");
        check(adapter);
        vm.snapshotGasLastCall("verify", "2 adapter, key in code");
        check(stop);
        vm.snapshotGasLastCall("verify", "3 emergency stop");
        route(adapter.selector());
        vm.snapshotGasLastCall("verify", "4 router");
    }

    /// forge-config: default.isolate = true
    function test_gas_ledger() external {
        Request memory asked = ask(0);
        record(asked, proof, statement);
        vm.snapshotGasLastCall("ledger", "record");
        ask(1);
        vm.snapshotGasLastCall("ledger", "request");
        vm.warp(asked.expiry + 1);
        ledger.refund(requestAt(".batch[1]"));
        vm.snapshotGasLastCall("ledger", "refund");
        vm.prank(addressOf("prover"));
        ledger.withdraw(payable(BOB));
        vm.snapshotGasLastCall("ledger", "withdraw");
    }

    /// forge-config: default.isolate = true
    function test_gas_batchOfTen() external {
        (Request[] memory requests, bytes[] memory inputs, int256[][] memory outputs, bytes[] memory proofs) =
            (new Request[](10), new bytes[](10), new int256[][](10), new bytes[](10));
        for (uint256 i = 0; i < 10; ++i) {
            requests[i] = ask(i);
            Statement memory said;
            (proofs[i], said) = proofAt(string.concat(".batch[", vm.toString(i), "]"));
            (inputs[i], outputs[i]) = (said.inputs, said.outputs);
        }
        vm.assertEq(ledger.recordBatch(requests, inputs, outputs, proofs), 10);
        vm.snapshotGasLastCall("ledger", "recordBatch of ten");
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

    function ask(uint256 number) private returns (Request memory asked) {
        return askAt(string.concat(".batch[", vm.toString(number), "]"));
    }

    function askAt(string memory path) private returns (Request memory asked) {
        asked = requestAt(path);
        vm.deal(asked.requester, 1 ether);
        vm.prank(asked.requester);
        ledger.request{value: uint256(asked.proverFee) + asked.ownerFee}(asked);
    }

    function register(bytes4 selector) private returns (bytes32) {
        return register(selector, words(".model.key"));
    }

    function register(bytes4 selector, bytes32[] memory key_) private returns (bytes32) {
        Registration memory wanted = Registration({
            onnxDigest: onnxDigest, selector: selector, statementLayout: form, fee: FEE, uri: "ipfs://digits"
        });
        vm.prank(publisher);
        return registry.register(wanted, key_);
    }

    function record(Request memory asked, bytes memory proof_, Statement memory said) private returns (bytes32) {
        return ledger.record(asked, said.inputs, said.outputs, proof_);
    }

    function check(IInferenceVerifier verifier) private view {
        (bytes32 context, bytes memory inputs, int256[] memory outputs) =
            (statement.context, statement.inputs, statement.outputs);
        verifier.verify(keyDigest, key, form, context, inputs, outputs, proof);
    }

    function route(bytes4 selector) private view {
        (bytes32 context, bytes memory inputs, int256[] memory outputs) =
            (statement.context, statement.inputs, statement.outputs);
        router.verify(selector, keyDigest, key, form, context, inputs, outputs, proof);
    }

    function digitOfLock() private view returns (uint256) {
        (, Statement memory said) = proofAt(".lock");
        return Outputs.argmax(said.outputs);
    }
}
