// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC8004Identity, IERC8004Validation} from "../interfaces/IERC8004.sol";
import {IInferenceLedger, Request} from "../interfaces/IInferenceLedger.sol";
import {PublicValues} from "../libraries/PublicValues.sol";

/// @title A validator of the draft ERC-8004 that believes proofs of one model
/// @notice An agent asks for validation under the id of a ledger request, naming this contract. Once the answer is
/// recorded, anybody can have it validated, if the request names the agent's owner as its prover: the proof binds that
/// name, so nobody's agent is credited with what another proved. It answers 100 or not at all: no proof says nothing.
/// What it answered stays when a verifier is stopped later; the ledger's requireSound tells.
contract ERC8004Validator {
    uint8 private constant PROVEN = 100;

    /// @notice Where answers are recorded.
    IInferenceLedger public immutable LEDGER;
    /// @notice The validation registry.
    IERC8004Validation public immutable VALIDATIONS;
    /// @notice The registry of agents that the validation registry relies on.
    IERC8004Identity public immutable AGENTS;
    /// @notice The one model whose answers are validated.
    bytes32 public immutable LISTING;

    /// @notice The answer is another model's.
    error ForeignListing(bytes32 listing);
    /// @notice The request names another prover than the owner of the agent that asked for validation.
    error NotTheAgentsProof(uint256 agentId, address owner, address prover);

    /// @param ledger Where answers are recorded.
    /// @param validations The validation registry.
    /// @param listing The one model whose answers are validated.
    constructor(IInferenceLedger ledger, IERC8004Validation validations, bytes32 listing) {
        LEDGER = ledger;
        VALIDATIONS = validations;
        AGENTS = IERC8004Identity(validations.getIdentityRegistry());
        LISTING = listing;
    }

    /// @notice Answer a request for validation from the ledger.
    /// @param question The ledger's request, whose id is the validation's request hash.
    /// @param outputs The outputs' public values, as recorded.
    function respond(Request calldata question, uint256[] calldata outputs) external {
        if (question.listing != LISTING) revert ForeignListing(question.listing);
        bytes32 id = LEDGER.requireSound(question, outputs);
        (, uint256 agentId) = VALIDATIONS.getValidationStatus(id);
        address owner = AGENTS.ownerOf(agentId);
        if (owner != question.prover) revert NotTheAgentsProof(agentId, owner, question.prover);
        VALIDATIONS.validationResponse(id, PROVEN, "", PublicValues.commitment(outputs), "zkinfer-v1");
    }
}
