// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC8004Validation} from "../interfaces/IERC8004.sol";
import {IInferenceLedger, Request} from "../interfaces/IInferenceLedger.sol";
import {PublicValues} from "../libraries/PublicValues.sol";

/// @title A validator of the draft ERC-8004 that believes proofs
/// @notice An agent asks for validation under the id of its ledger request, naming this contract. Once the answer is
/// recorded, anybody can have it validated. It answers 100 or not at all: no proof says nothing.
contract ERC8004Validator {
    uint8 private constant PROVEN = 100;

    /// @notice Where answers are recorded.
    IInferenceLedger public immutable LEDGER;
    /// @notice The validation registry.
    IERC8004Validation public immutable VALIDATIONS;

    /// @param ledger Where answers are recorded.
    /// @param validations The validation registry.
    constructor(IInferenceLedger ledger, IERC8004Validation validations) {
        LEDGER = ledger;
        VALIDATIONS = validations;
    }

    /// @notice Answer a request for validation from the ledger.
    /// @param question The ledger's request, whose id is the validation's request hash.
    /// @param outputs The outputs' public values, as recorded.
    function respond(Request calldata question, uint256[] calldata outputs) external {
        bytes32 id = LEDGER.requireRecorded(question, outputs);
        VALIDATIONS.validationResponse(id, PROVEN, "", PublicValues.commitment(outputs), "zkinfer-v1");
    }
}
