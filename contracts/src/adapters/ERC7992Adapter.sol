// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IERC7992Models, IERC7992Verifier, ModelCommitment} from "../interfaces/IERC7992.sol";
import {IModelRegistry, Model, Program, Status} from "../interfaces/IModelRegistry.sol";
import {IVerifierRouter} from "../interfaces/IVerifierRouter.sol";
import {Canonical} from "../libraries/Canonical.sol";
import {Contexts} from "../libraries/Contexts.sol";
import {PublicValues} from "../libraries/PublicValues.sol";
import {Statements} from "../libraries/Statements.sol";

/// @title The registry and the verifiers, seen through the draft ERC-7992
/// @notice A model's number is its listing. `output` is the outputs' public values as words; `proof` is
/// abi.encode(bytes proof, uint256[] instances). The draft knows no requests, so a proof is bound to its caller: its
/// context is that of (this chain, this contract, keccak256(abi.encode(modelId, inputCommitment)), caller, 0).
/// It can be shown again by the same caller; the ledger is for what must count once.
contract ERC7992Adapter is IERC7992Verifier, IERC7992Models, IERC165 {
    /// @notice Which model is which.
    IModelRegistry public immutable REGISTRY;
    /// @notice Where verifiers are found.
    IVerifierRouter public immutable ROUTER;

    /// @param models Which model is which.
    /// @param router Where verifiers are found.
    constructor(IModelRegistry models, IVerifierRouter router) {
        REGISTRY = models;
        ROUTER = router;
    }

    /// @inheritdoc IERC7992Verifier
    function verifyInference(uint256 modelId, bytes32 inputCommitment, bytes calldata output, bytes calldata proof)
        external
        override
    {
        Canonical.requirePair(output, proof, 0x80);
        (bytes memory inner, uint256[] memory instances) = abi.decode(proof, (bytes, uint256[]));
        if (keccak256(abi.encode(inner, instances)) != keccak256(proof)) revert Canonical.NonCanonicalCalldata();
        // Encoded anew, so that nothing of the caller's encoding gets any further.
        bytes32 proven = this.check(modelId, inputCommitment, msg.sender, inner, instances);
        if (proven != keccak256(output)) revert OutputMismatch();
        emit InferenceVerified(modelId, inputCommitment, output, msg.sender);
    }

    /// @notice The keccak256 over the outputs' public values, if the proof holds; reverts if not.
    /// @param modelId The model.
    /// @param inputCommitment The input, or ANY_INPUT.
    /// @param caller For whom the proof was made.
    /// @param proof The proof.
    /// @param instances Its public values.
    function check(
        uint256 modelId,
        bytes32 inputCommitment,
        address caller,
        bytes calldata proof,
        uint256[] calldata instances
    ) external view returns (bytes32 outputs) {
        Canonical.require_(proof, instances, 0xa0);
        Program memory program = REGISTRY.programOf(bytes32(modelId));
        if (program.status != Status.Active) revert VerificationRefused_ModelDeprecated(modelId);
        if (!ROUTER.isLive(program.selector)) revert UnsupportedProofSystem(program.selector);
        bytes32 requestId = keccak256(abi.encode(modelId, inputCommitment));
        bytes32 context = Contexts.digest(block.chainid, address(this), requestId, caller, 0);
        return PublicValues.commitment(Statements.check(ROUTER, program, context, inputCommitment, proof, instances));
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
}
