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
import {IModelRegistry} from "../../src/interfaces/IModelRegistry.sol";
import {Canonical} from "../../src/libraries/Canonical.sol";
import {Contexts} from "../../src/libraries/Contexts.sol";
import {Statements} from "../../src/libraries/Statements.sol";
import {System} from "../support/System.sol";

/// @notice What the validation registry keeps.
contract Validations is IERC8004Validation {
    mapping(bytes32 hash => uint8) public responseOf;
    mapping(bytes32 hash => bytes32) public hashOf;
    mapping(bytes32 hash => address) public validatorOf;
    mapping(bytes32 hash => string) public tagOf;

    function validationResponse(
        bytes32 requestHash,
        uint8 response,
        string calldata,
        bytes32 responseHash,
        string calldata tag
    ) external {
        (responseOf[requestHash], hashOf[requestHash]) = (response, responseHash);
        (validatorOf[requestHash], tagOf[requestHash]) = (msg.sender, tag);
    }
}

contract ERC8004ValidatorTest is System {
    Validations private validations;
    ERC8004Validator private validator;

    function setUp() public override {
        super.setUp();
        validations = new Validations();
        validator = new ERC8004Validator(ledger, validations);
    }

    function test_respond_recorded_answersHundred() external {
        bytes32 id = ask(question(0));
        answer(question(0));
        validator.respond(question(0), answers());
        vm.assertEq(validations.responseOf(id), 100);
        vm.assertEq(validations.hashOf(id), keccak256(abi.encodePacked(answers())));
        vm.assertEq(validations.validatorOf(id), address(validator));
        vm.assertEq(validations.tagOf(id), "zkinfer-v1");
    }

    function test_respond_notRecorded_reverts() external {
        bytes32 id = ask(question(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        validator.respond(question(0), answers());
    }

    function test_respond_otherOutputs_reverts() external {
        bytes32 id = ask(question(0));
        answer(question(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        validator.respond(question(0), new uint256[](2));
    }
}

contract LedgerResolverTest is System {
    address private constant EAS = address(0xea5);
    LedgerResolver private resolver;

    function setUp() public override {
        super.setUp();
        resolver = new LedgerResolver(ledger, EAS);
        vm.deal(EAS, 1 ether);
    }

    function test_attest_recorded_passes() external {
        ask(question(0));
        answer(question(0));
        vm.prank(EAS);
        vm.assertTrue(resolver.attest(attestation(question(0), answers())));
    }

    function test_attest_notRecorded_reverts() external {
        bytes32 id = ask(question(0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        vm.prank(EAS);
        resolver.attest(attestation(question(0), answers()));
    }

    function test_attest_toAnother_reverts() external {
        ask(question(0));
        answer(question(0));
        Attestation memory wrong = attestation(question(0), answers());
        wrong.recipient = MALLORY;
        vm.expectRevert(abi.encodeWithSelector(LedgerResolver.WrongRecipient.selector, ALICE, MALLORY));
        vm.prank(EAS);
        resolver.attest(wrong);
    }

    function test_attest_byAnybodyElse_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(LedgerResolver.NotEAS.selector, MALLORY));
        vm.prank(MALLORY);
        resolver.attest(attestation(question(0), answers()));
    }

    function test_attest_withValue_reverts() external {
        vm.expectRevert(LedgerResolver.ValueRefused.selector);
        vm.prank(EAS);
        resolver.attest{value: 1}(attestation(question(0), answers()));
    }

    function test_multiAttest_oneNotRecorded_reverts() external {
        ask(question(0));
        answer(question(0));
        Attestation[] memory several = new Attestation[](2);
        several[0] = attestation(question(0), answers());
        several[1] = attestation(question(1), answers());
        bytes32 id = ledger.idOf(question(1));
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        vm.prank(EAS);
        resolver.multiAttest(several, new uint256[](2));
        several[1] = several[0];
        vm.prank(EAS);
        vm.assertTrue(resolver.multiAttest(several, new uint256[](2)));
    }

    function test_revoke_byTheService_passes() external {
        vm.startPrank(EAS);
        vm.assertTrue(resolver.revoke(attestation(question(0), answers())));
        vm.assertTrue(resolver.multiRevoke(new Attestation[](1), new uint256[](1)));
        vm.assertFalse(resolver.isPayable());
    }

    function test_revoke_byAnybodyElse_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(LedgerResolver.NotEAS.selector, address(this)));
        resolver.revoke(attestation(question(0), answers()));
    }

    function attestation(Request memory asked, uint256[] memory values) private pure returns (Attestation memory made) {
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
        commitment = question(0).inputCommitment;
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
        refuses(MALLORY, proofFor(ALICE), abi.encodeWithSelector(Contexts.ContextMismatch.selector));
    }

    function test_verifyInference_otherOutput_reverts() external {
        bytes memory proof = proofFor(ALICE);
        vm.expectRevert(IERC7992Verifier.OutputMismatch.selector);
        vm.prank(ALICE);
        erc.verifyInference(modelId, commitment, abi.encode(uint256(41), uint256(41)), proof);
    }

    function test_verifyInference_otherInput_reverts() external {
        commitment = "other";
        bytes memory proof = proofFor(ALICE);
        bytes32 actual = question(0).inputCommitment;
        refuses(ALICE, proof, abi.encodeWithSelector(Statements.InputMismatch.selector, commitment, actual));
    }

    function test_verifyInference_badProof_reverts() external {
        bytes memory proof = abi.encode(bytes("bad"), values(ALICE));
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
        refuses(ALICE, proof, abi.encodeWithSelector(Canonical.NonCanonicalCalldata.selector));
    }

    function test_check_shiftedProof_reverts() external view {
        uint256[] memory public_ = values(ALICE);
        bytes memory call_ = abi.encodeCall(ERC7992Adapter.check, (modelId, commitment, ALICE, prove(public_), public_));
        (bool success, bytes memory why) = address(erc).staticcall(shifted(call_, 3, 32));
        vm.assertFalse(success);
        vm.assertEq(bytes32(why), bytes32(Canonical.NonCanonicalCalldata.selector));
    }

    function test_getModel_saysWhatTheRegistrySays() external view {
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

    /// @dev The draft's own number of the interface.
    function test_supportsInterface_saysWhat() external view {
        vm.assertEq(bytes32(type(IERC7992Verifier).interfaceId), bytes32(bytes4(0x5df65472)));
        vm.assertTrue(erc.supportsInterface(0x5df65472));
        vm.assertTrue(erc.supportsInterface(type(IERC165).interfaceId));
        vm.assertFalse(erc.supportsInterface(0xffffffff));
    }

    function values(address caller) private view returns (uint256[] memory made) {
        made = instancesFor(question(0));
        bytes32 asked = keccak256(abi.encode(modelId, commitment));
        bytes32 context = Contexts.digest(block.chainid, address(erc), asked, caller, 0);
        for (uint256 i = 0; i < 5; ++i) {
            made[i] = Contexts.limb(context, i);
        }
    }

    function proofFor(address caller) private view returns (bytes memory) {
        uint256[] memory public_ = values(caller);
        return abi.encode(prove(public_), public_);
    }

    function refuses(address caller, bytes memory proof, bytes memory why) private {
        vm.expectRevert(why);
        vm.prank(caller);
        erc.verifyInference(modelId, commitment, abi.encodePacked(answers()), proof);
    }
}
