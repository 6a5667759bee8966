// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {ERC7992Adapter} from "../../src/adapters/ERC7992Adapter.sol";
import {ERC8004Validator} from "../../src/adapters/ERC8004Validator.sol";
import {LedgerResolver} from "../../src/adapters/LedgerResolver.sol";
import {Attestation} from "../../src/interfaces/IEAS.sol";
import {IERC7992Verifier, ModelCommitment} from "../../src/interfaces/IERC7992.sol";
import {IERC8004Validation} from "../../src/interfaces/IERC8004.sol";
import {IInferenceLedger, Request} from "../../src/interfaces/IInferenceLedger.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {IModelRegistry, Registration} from "../../src/interfaces/IModelRegistry.sol";
import {CanonicalCalldata} from "../../src/libraries/CanonicalCalldata.sol";
import {RequestContext} from "../../src/libraries/RequestContext.sol";
import {TrustedSetups} from "../../src/libraries/TrustedSetups.sol";
import {Visibility} from "../../src/libraries/StatementLayout.sol";
import {InferenceProof} from "../../src/libraries/InferenceProof.sol";
import {Statement} from "../support/BindingVerifier.sol";
import {System} from "../support/System.sol";

/// @notice A mock of the registries of agents and of validations, as seen by a validator.
contract Validations is IERC8004Validation {
    mapping(bytes32 hash => uint8) public responseOf;
    mapping(bytes32 hash => bytes32) public hashOf;
    mapping(bytes32 hash => address) public validatorOf;
    mapping(bytes32 hash => string) public tagOf;
    mapping(bytes32 hash => uint256) public agentOf;
    mapping(uint256 agentId => address) public ownerOf;

    /// @dev Register an agent that the caller owns.
    function join(uint256 agentId) external {
        ownerOf[agentId] = msg.sender;
    }

    function validationRequest(address validator, uint256 agentId, string calldata, bytes32 requestHash) external {
        require(ownerOf[agentId] == msg.sender, "not the agent's owner");
        (validatorOf[requestHash], agentOf[requestHash]) = (validator, agentId);
    }

    function getValidationStatus(bytes32 requestHash) external view returns (address, uint256) {
        return (validatorOf[requestHash], agentOf[requestHash]);
    }

    function getIdentityRegistry() external view returns (address) {
        return address(this);
    }

    function validationResponse(
        bytes32 requestHash,
        uint8 response,
        string calldata,
        bytes32 responseHash,
        string calldata tag
    ) external {
        require(validatorOf[requestHash] == msg.sender, "not the validator");
        (responseOf[requestHash], hashOf[requestHash]) = (response, responseHash);
        tagOf[requestHash] = tag;
    }
}

contract ERC8004ValidatorTest is System {
    uint256 private constant AGENT = 7;
    uint256 private constant THIEF = 8;
    Validations private validations;
    ERC8004Validator private validator;

    function setUp() public override {
        super.setUp();
        validations = new Validations();
        validator = new ERC8004Validator(ledger, validations, listing);
        vm.prank(PROVER);
        validations.join(AGENT);
        vm.prank(MALLORY);
        validations.join(THIEF);
    }

    function test_respond_recorded_answersHundred() external {
        bytes32 id = ask(requestOf(0));
        answer(requestOf(0));
        requestValidation(PROVER, AGENT, id);
        validator.respond(requestOf(0), answers());
        vm.assertEq(validations.responseOf(id), 100);
        vm.assertEq(validations.hashOf(id), keccak256(abi.encodePacked(answers())));
        vm.assertEq(validations.validatorOf(id), address(validator));
        vm.assertEq(validations.tagOf(id), "zkinfer-v1");
    }

    /// @dev Mallory's agent claims an answer that another prover proved.
    function test_respond_agentOfAnother_reverts() external {
        bytes32 id = ask(requestOf(0));
        answer(requestOf(0));
        requestValidation(MALLORY, THIEF, id);
        vm.expectRevert(abi.encodeWithSelector(ERC8004Validator.NotTheAgentsProof.selector, THIEF, MALLORY, PROVER));
        vm.prank(MALLORY);
        validator.respond(requestOf(0), answers());
        vm.assertEq(validations.responseOf(id), 0);
    }

    function test_respond_neverRequested_reverts() external {
        ask(requestOf(0));
        answer(requestOf(0));
        vm.expectRevert(abi.encodeWithSelector(ERC8004Validator.NotTheAgentsProof.selector, 0, address(0), PROVER));
        validator.respond(requestOf(0), answers());
    }

    /// @dev Mallory registers a model with a crafted key, which accepts any answer.
    function test_respond_anotherModel_reverts() external {
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        vm.prank(MALLORY);
        bytes32 other = registry.register(wanted, bindingKey(COUNT, TrustedSetups.HERMEZ));
        Request memory asked = requestOf(0);
        (asked.listing, asked.prover) = (other, MALLORY);
        bytes32 id = ask(asked);
        answer(asked);
        requestValidation(MALLORY, THIEF, id);
        vm.expectRevert(abi.encodeWithSelector(ERC8004Validator.ForeignListing.selector, other));
        validator.respond(asked, answers());
    }

    function test_respond_recordedBeforeTheStop_reverts() external {
        bytes32 id = ask(requestOf(0));
        answer(requestOf(0));
        requestValidation(PROVER, AGENT, id);
        vm.prank(GUARDIAN);
        stop.stop();
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.VerifierNotLive.selector, binding.selector()));
        validator.respond(requestOf(0), answers());
    }

    function test_respond_notRecorded_reverts() external {
        bytes32 id = ask(requestOf(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        validator.respond(requestOf(0), answers());
    }

    function test_respond_otherOutputs_reverts() external {
        bytes32 id = ask(requestOf(0));
        answer(requestOf(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        validator.respond(requestOf(0), new int256[](2));
    }

    function requestValidation(address owner, uint256 agentId, bytes32 id) private {
        vm.prank(owner);
        validations.validationRequest(address(validator), agentId, "", id);
    }
}

contract LedgerResolverTest is System {
    address private constant EAS = address(0xea5);
    LedgerResolver private resolver;

    function setUp() public override {
        super.setUp();
        resolver = new LedgerResolver(ledger, EAS, listing);
        vm.deal(EAS, 1 ether);
    }

    function test_attest_recorded_passes() external {
        ask(requestOf(0));
        answer(requestOf(0));
        vm.prank(EAS);
        vm.assertTrue(resolver.attest(attestation(requestOf(0), answers())));
    }

    function test_attest_notRecorded_reverts() external {
        bytes32 id = ask(requestOf(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        vm.prank(EAS);
        resolver.attest(attestation(requestOf(0), answers()));
    }

    function test_attest_anotherModel_reverts() external {
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        vm.prank(MALLORY);
        bytes32 other = registry.register(wanted, bindingKey(COUNT, TrustedSetups.HERMEZ));
        Request memory asked = requestOf(0);
        asked.listing = other;
        ask(asked);
        answer(asked);
        refuses(attestation(asked, answers()), abi.encodeWithSelector(LedgerResolver.ForeignListing.selector, other));
    }

    function test_attest_trailingData_reverts() external {
        ask(requestOf(0));
        answer(requestOf(0));
        Attestation memory made = attestation(requestOf(0), answers());
        made.data = abi.encodePacked(made.data, bytes32(0));
        refuses(made, abi.encodeWithSelector(LedgerResolver.NonCanonicalData.selector));
    }

    /// @dev The offset points to an identical copy of the outputs at the end.
    function test_attest_shiftedOutputs_reverts() external {
        ask(requestOf(0));
        answer(requestOf(0));
        Attestation memory made = attestation(requestOf(0), answers());
        bytes memory moved = shifted(abi.encodePacked(bytes4(0), made.data), 10, 64);
        made.data = new bytes(moved.length - 4);
        for (uint256 i = 0; i < made.data.length; ++i) {
            made.data[i] = moved[4 + i];
        }
        (, int256[] memory outputs) = abi.decode(made.data, (Request, int256[]));
        vm.assertEq(outputs[1], -41);
        refuses(made, abi.encodeWithSelector(LedgerResolver.NonCanonicalData.selector));
    }

    function test_attest_recordedBeforeTheStop_reverts() external {
        ask(requestOf(0));
        answer(requestOf(0));
        vm.prank(GUARDIAN);
        stop.stop();
        bytes memory why = abi.encodeWithSelector(IInferenceLedger.VerifierNotLive.selector, binding.selector());
        refuses(attestation(requestOf(0), answers()), why);
    }

    function test_attest_recordedBeforeTheRevocation_reverts() external {
        ask(requestOf(0));
        answer(requestOf(0));
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        bytes memory why = abi.encodeWithSelector(IInferenceLedger.ModelRevoked.selector, listing);
        refuses(attestation(requestOf(0), answers()), why);
    }

    function test_attest_toAnother_reverts() external {
        ask(requestOf(0));
        answer(requestOf(0));
        Attestation memory wrong = attestation(requestOf(0), answers());
        wrong.recipient = MALLORY;
        vm.expectRevert(abi.encodeWithSelector(LedgerResolver.WrongRecipient.selector, ALICE, MALLORY));
        vm.prank(EAS);
        resolver.attest(wrong);
    }

    function test_attest_byAnotherAccount_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(LedgerResolver.NotEAS.selector, MALLORY));
        vm.prank(MALLORY);
        resolver.attest(attestation(requestOf(0), answers()));
    }

    function test_attest_withValue_reverts() external {
        vm.expectRevert(LedgerResolver.ValueRefused.selector);
        vm.prank(EAS);
        resolver.attest{value: 1}(attestation(requestOf(0), answers()));
    }

    function test_multiAttest_oneNotRecorded_reverts() external {
        ask(requestOf(0));
        answer(requestOf(0));
        Attestation[] memory several = new Attestation[](2);
        several[0] = attestation(requestOf(0), answers());
        several[1] = attestation(requestOf(1), answers());
        bytes32 id = ledger.idOf(requestOf(1));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        vm.prank(EAS);
        resolver.multiAttest(several, new uint256[](2));
        several[1] = several[0];
        vm.prank(EAS);
        vm.assertTrue(resolver.multiAttest(several, new uint256[](2)));
    }

    function test_revoke_byTheService_passes() external {
        vm.startPrank(EAS);
        vm.assertTrue(resolver.revoke(attestation(requestOf(0), answers())));
        vm.assertTrue(resolver.multiRevoke(new Attestation[](1), new uint256[](1)));
        vm.assertFalse(resolver.isPayable());
    }

    function test_revoke_byAnotherAccount_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(LedgerResolver.NotEAS.selector, address(this)));
        resolver.revoke(attestation(requestOf(0), answers()));
    }

    function refuses(Attestation memory made, bytes memory why) private {
        vm.expectRevert(why);
        vm.prank(EAS);
        resolver.attest(made);
    }

    function attestation(Request memory asked, int256[] memory values) private pure returns (Attestation memory made) {
        made.recipient = asked.requester;
        made.data = abi.encode(asked, values);
    }
}

contract ERC7992AdapterTest is System {
    ERC7992Adapter private erc;
    uint256 private modelId;
    bytes32 private commitment;

    function setUp() public override {
        super.setUp();
        erc = new ERC7992Adapter(registry, router);
        modelId = uint256(listing);
        commitment = requestOf(0).inputCommitment;
    }

    function test_verifyInference_goodProof_emits() external {
        bytes memory output = abi.encodePacked(answers());
        bytes memory proof = proofFor(ALICE);
        vm.expectEmit(address(erc));
        emit IERC7992Verifier.InferenceVerified(modelId, commitment, output, ALICE);
        vm.prank(ALICE);
        erc.verifyInference(modelId, commitment, output, proof);
    }

    function test_verifyInference_proofOfAnotherCaller_reverts() external {
        refuses(MALLORY, proofFor(ALICE), abi.encodeWithSelector(IInferenceVerifier.ProofRejected.selector));
    }

    function test_verifyInference_otherOutput_reverts() external {
        refusesOutput(abi.encode(41, -41), abi.encodeWithSelector(IInferenceVerifier.ProofRejected.selector));
    }

    function test_verifyInference_outputOfPartialWord_reverts() external {
        bytes memory output = abi.encodePacked(answers(), bytes1(0));
        refusesOutput(output, abi.encodeWithSelector(IERC7992Verifier.OutputMismatch.selector));
    }

    function test_verifyInference_otherInput_reverts() external {
        commitment = "other";
        bytes memory proof = proofFor(ALICE);
        bytes32 actual = requestOf(0).inputCommitment;
        refuses(ALICE, proof, abi.encodeWithSelector(InferenceProof.InputMismatch.selector, commitment, actual));
    }

    function test_verifyInference_badProof_reverts() external {
        bytes memory proof = abi.encode(INPUTS, bytes("bad"));
        refuses(ALICE, proof, abi.encodeWithSelector(IInferenceVerifier.ProofRejected.selector));
    }

    function test_verifyInference_deprecated_reverts() external {
        bytes memory proof = proofFor(ALICE);
        vm.prank(PUBLISHER);
        registry.deprecate(listing, 0);
        bytes memory why =
            abi.encodeWithSelector(IERC7992Verifier.VerificationRefused_ModelDeprecated.selector, modelId);
        refuses(ALICE, proof, why);
    }

    function test_verifyInference_stopped_reverts() external {
        bytes memory proof = proofFor(ALICE);
        vm.prank(GUARDIAN);
        stop.stop();
        bytes memory why = abi.encodeWithSelector(IERC7992Verifier.UnsupportedProofSystem.selector, binding.selector());
        refuses(ALICE, proof, why);
    }

    function test_verifyInference_unknownModel_reverts() external {
        bytes memory proof = proofFor(ALICE);
        modelId = 1;
        refuses(ALICE, proof, abi.encodeWithSelector(IModelRegistry.UnknownListing.selector, bytes32(uint256(1))));
    }

    function test_verifyInference_otherEncodingOfTheProof_reverts() external {
        bytes memory proof = abi.encodePacked(proofFor(ALICE), bytes32(0));
        refuses(ALICE, proof, abi.encodeWithSelector(CanonicalCalldata.NonCanonicalCalldata.selector));
    }

    function test_check_shiftedProof_reverts() external view {
        bytes memory proof = prove(statementBy(ALICE));
        bytes memory call_ =
            abi.encodeCall(ERC7992Adapter.check, (modelId, commitment, ALICE, INPUTS, answers(), proof));
        (bool success, bytes memory why) = address(erc).staticcall(shifted(call_, 3, 32));
        vm.assertFalse(success);
        vm.assertEq(bytes32(why), bytes32(CanonicalCalldata.NonCanonicalCalldata.selector));
    }

    function test_verifyInference_shiftedArguments_reverts() external {
        bytes memory output = abi.encodePacked(answers());
        bytes memory call_ =
            abi.encodeCall(IERC7992Verifier.verifyInference, (modelId, commitment, output, proofFor(ALICE)));
        refusesCall(shifted(call_, 2, 64));
        refusesCall(shifted(call_, 3, proofFor(ALICE).length));
        vm.prank(ALICE);
        (bool success,) = address(erc).call(call_);
        vm.assertTrue(success);
    }

    function test_getModel_agreesWithTheRegistry() external view {
        (ModelCommitment memory found, bool deprecated, address owner) = erc.getModel(modelId);
        vm.assertEq(found.modelHash, sha256("model"));
        vm.assertEq(found.vkHash, keyDigest);
        vm.assertEq(found.circuitHash, keyDigest);
        vm.assertEq(bytes32(found.proofSystemId), bytes32(erc.proofSystemOf(modelId)));
        vm.assertEq(found.uri, "ipfs://model");
        vm.assertFalse(deprecated);
        vm.assertEq(owner, PUBLISHER);
        vm.assertEq(erc.registry(), address(erc));
    }

    /// @dev 0x5df65472 is the interface id in the draft.
    function test_supportsInterface_ownAndERC165_only() external view {
        vm.assertEq(bytes32(type(IERC7992Verifier).interfaceId), bytes32(bytes4(0x5df65472)));
        vm.assertTrue(erc.supportsInterface(0x5df65472));
        vm.assertTrue(erc.supportsInterface(type(IERC165).interfaceId));
        vm.assertFalse(erc.supportsInterface(0xffffffff));
    }

    function statementBy(address caller) private view returns (Statement memory) {
        bytes32 asked = keccak256(abi.encode(modelId, commitment));
        return Statement(RequestContext.digest(block.chainid, address(erc), asked, caller, 0), INPUTS, answers());
    }

    function proofFor(address caller) private view returns (bytes memory) {
        return abi.encode(INPUTS, prove(statementBy(caller)));
    }

    function refusesOutput(bytes memory output, bytes memory why) private {
        bytes memory proof = proofFor(ALICE);
        vm.expectRevert(why);
        vm.prank(ALICE);
        erc.verifyInference(modelId, commitment, output, proof);
    }

    function refusesCall(bytes memory call_) private {
        vm.prank(ALICE);
        (bool success, bytes memory why) = address(erc).call(call_);
        vm.assertFalse(success);
        vm.assertEq(bytes32(why), bytes32(CanonicalCalldata.NonCanonicalCalldata.selector));
    }

    function refuses(address caller, bytes memory proof, bytes memory why) private {
        vm.expectRevert(why);
        vm.prank(caller);
        erc.verifyInference(modelId, commitment, abi.encodePacked(answers()), proof);
    }
}
