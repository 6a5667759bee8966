// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC8004Identity, IERC8004Validation} from "../interfaces/IERC8004.sol";
import {IInferenceLedger, Request} from "../interfaces/IInferenceLedger.sol";
import {Outputs} from "../libraries/Outputs.sol";

/// @title A validator of the draft ERC-8004 that validates proven answers of one model
/// @notice An agent asks for validation under the id of a ledger request, naming this contract. Once the answer is
/// recorded, anyone can have it validated, if the request names the agent's owner as its prover: the proof binds that
/// name, so an agent is never credited with another prover's answer. The only response is 100: a missing proof is no
/// evidence. Responses stay when a verifier is stopped later; check the ledger's requireSound.
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
    /// @notice The request names another prover than the owner of the agent.
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
    /// @param request The ledger's request, whose id is the validation's request hash.
    /// @param outputs The outputs, as recorded.
    function respond(Request calldata request, int256[] calldata outputs) external {
        if (request.listing != LISTING) revert ForeignListing(request.listing);
        bytes32 id = LEDGER.requireSound(request, outputs);
        (, uint256 agentId) = VALIDATIONS.getValidationStatus(id);
        address owner = AGENTS.ownerOf(agentId);
        if (owner != request.prover) revert NotTheAgentsProof(agentId, owner, request.prover);
        VALIDATIONS.validationResponse(id, PROVEN, "", Outputs.commitment(outputs), "zkinfer-v1");
    }
}
