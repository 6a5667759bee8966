// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IVerifierRouter} from "../interfaces/IVerifierRouter.sol";
import {Program} from "../interfaces/IModelRegistry.sol";
import {Contexts} from "./Contexts.sol";
import {Slots} from "./Slots.sol";
import {PublicValues} from "./PublicValues.sol";

/// @dev For requests in which the prover chooses the input, or keeps it private. Spelt out, so that a commitment
/// which was forgotten is never taken for it.
bytes32 constant ANY_INPUT = keccak256("zkinfer.any-input");

/// @title What a proof must say to answer a question
library Statements {
    using Contexts for bytes32;

    /// @notice A proof of this model has another number of public values.
    error WrongInstanceCount(uint256 expected, uint256 actual);
    /// @notice The proof speaks about another input than was asked for.
    error InputMismatch(bytes32 expected, bytes32 actual);

    /// @notice Return the outputs' public values if the proof shows that the model gives them; revert if not.
    /// @dev What is not checked: the model's status, the expiry, whether the question was ever asked. Steps:
    /// (1) exactly as many public values as the model has; (2) the context; (3) the input; (4) the proof, which the
    /// verifier also checks for form and length, and its public values for being below the modulus.
    /// @param router Where the verifier is found.
    /// @param program The model.
    /// @param context The hash that names the request.
    /// @param inputCommitment Of the input that was asked for, or ANY_INPUT.
    /// @param proof The proof.
    /// @param instances Its public values.
    function check(
        IVerifierRouter router,
        Program memory program,
        bytes32 context,
        bytes32 inputCommitment,
        bytes calldata proof,
        uint256[] calldata instances
    ) internal view returns (uint256[] calldata outputs) {
        Slots memory slots = program.slots;
        // (1)
        if (instances.length != slots.instanceCount) revert WrongInstanceCount(slots.instanceCount, instances.length);
        // (2)
        context.require_(instances, slots.contextAt);
        // (3)
        if (inputCommitment != ANY_INPUT) {
            bytes32 actual = PublicValues.commitment(instances[slots.inputAt:slots.inputAt + slots.inputCount]);
            if (actual != inputCommitment) revert InputMismatch(inputCommitment, actual);
        }
        // (4)
        router.verifierOf(program.selector).verify(program.keyDigest, program.key, proof, instances);
        return instances[slots.outputAt:slots.outputAt + slots.outputCount];
    }
}
