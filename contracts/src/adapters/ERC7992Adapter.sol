// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IERC7992Models, IERC7992Verifier, ModelCommitment} from "../interfaces/IERC7992.sol";
import {IModelRegistry, Model, Program, Status} from "../interfaces/IModelRegistry.sol";
import {IVerifierRouter} from "../interfaces/IVerifierRouter.sol";
import {CanonicalCalldata} from "../libraries/CanonicalCalldata.sol";
import {InferenceProof} from "../libraries/InferenceProof.sol";
import {RequestContext} from "../libraries/RequestContext.sol";

/// @title The registry and the verifiers behind the interface of the draft ERC-7992
/// @notice A model's number is its listing. `output` is the outputs as words; `proof` is
/// abi.encode(bytes inputs, bytes proof). The draft has no requests, so a proof is bound to its caller: its context is
/// that of (this chain, this contract, keccak256(abi.encode(modelId, inputCommitment)), caller, 0).
/// The same caller can present it again; use the ledger if an answer must count only once.
contract ERC7992Adapter is IERC7992Verifier, IERC7992Models, IERC165 {
    /// @notice The listings of models.
    IModelRegistry public immutable REGISTRY;
    /// @notice The router that maps selectors to verifiers.
    IVerifierRouter public immutable ROUTER;

    /// @param models The listings of models.
    /// @param router Maps selectors to verifiers.
    constructor(IModelRegistry models, IVerifierRouter router) {
        REGISTRY = models;
        ROUTER = router;
    }

    /// @inheritdoc IERC7992Verifier
    function verifyInference(uint256 modelId, bytes32 inputCommitment, bytes calldata output, bytes calldata proof)
        external
        override
    {
        CanonicalCalldata.requirePair(output, proof, 0x80);
        (bytes memory inputs, bytes memory inner) = abi.decode(proof, (bytes, bytes));
        if (keccak256(abi.encode(inputs, inner)) != keccak256(proof)) revert CanonicalCalldata.NonCanonicalCalldata();
        // Encoded again, so that the caller's encoding is not passed on.
        this.check(modelId, inputCommitment, msg.sender, inputs, _integers(output), inner);
        emit InferenceVerified(modelId, inputCommitment, output, msg.sender);
    }

    /// @notice Return if the proof holds; revert if not.
    /// @param modelId The model.
    /// @param inputCommitment The input, or ANY_INPUT.
    /// @param caller The account that the proof was made for.
    /// @param inputs The packed inputs.
    /// @param outputs The outputs.
    /// @param proof The proof.
    function check(
        uint256 modelId,
        bytes32 inputCommitment,
        address caller,
        bytes calldata inputs,
        int256[] calldata outputs,
        bytes calldata proof
    ) external view {
        CanonicalCalldata.requireStatement(inputs, outputs, proof, 0xc0);
        Program memory program = REGISTRY.programOf(bytes32(modelId));
        if (program.status != Status.Active) revert VerificationRefused_ModelDeprecated(modelId);
        if (!ROUTER.isLive(program.selector)) revert UnsupportedProofSystem(program.selector);
        bytes32 requestId = keccak256(abi.encode(modelId, inputCommitment));
        bytes32 context = RequestContext.digest(block.chainid, address(this), requestId, caller, 0);
        InferenceProof.requireValid(ROUTER, program, context, inputCommitment, inputs, outputs, proof);
    }

    /// @inheritdoc IERC7992Models
    function getModel(uint256 modelId)
        external
        view
        override
        returns (ModelCommitment memory commitment, bool deprecated, address owner)
    {
        Model memory model = REGISTRY.modelOf(bytes32(modelId));
        // The verifying key commits to the circuit, so one digest is both.
        commitment = ModelCommitment(model.onnxDigest, model.keyDigest, model.keyDigest, model.selector, model.uri);
        return (commitment, model.status != Status.Active, model.owner);
    }

    /// @inheritdoc IERC7992Verifier
    function proofSystemOf(uint256 modelId) external view override returns (bytes4) {
        return REGISTRY.programOf(bytes32(modelId)).selector;
    }

    /// @inheritdoc IERC7992Verifier
    function registry() external view override returns (address) {
        return address(this);
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure override returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IERC7992Verifier).interfaceId;
    }

    /// @dev Reverts with OutputMismatch for bytes that are not whole words.
    function _integers(bytes calldata output) private pure returns (int256[] memory integers) {
        if (output.length % 32 != 0) revert OutputMismatch();
        integers = new int256[](output.length / 32);
        for (uint256 i = 0; i < integers.length; ++i) {
            integers[i] = int256(uint256(bytes32(output[32 * i:32 * i + 32])));
        }
    }
}
