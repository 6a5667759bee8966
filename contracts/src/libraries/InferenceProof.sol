// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Program} from "../interfaces/IModelRegistry.sol";
import {IVerifierRouter} from "../interfaces/IVerifierRouter.sol";

/// @dev For requests in which the prover chooses the input, or keeps it private. Not zero, so that a missing
/// commitment is never mistaken for it.
bytes32 constant ANY_INPUT = keccak256("zkinfer.any-input");

/// @title The proof that answers a request
library InferenceProof {
    /// @notice The proof is about another input than the request commits to.
    error InputMismatch(bytes32 expected, bytes32 actual);

    /// @notice Return if the proof shows that the model gives these outputs; revert if not.
    /// @dev Not checked: the model's status, the expiry, whether the request was opened. Steps: (1) the input is the
    /// one that was asked for; (2) the verifier checks statement and proof, also for form and length.
    /// @param router Maps the model's selector to its verifier.
    /// @param program The model.
    /// @param context The context of the request.
    /// @param inputCommitment keccak256 over the packed inputs that were asked for, or ANY_INPUT.
    /// @param inputs The packed inputs.
    /// @param outputs The outputs.
    /// @param proof The proof.
    function requireValid(
        IVerifierRouter router,
        Program memory program,
        bytes32 context,
        bytes32 inputCommitment,
        bytes calldata inputs,
        int256[] calldata outputs,
        bytes calldata proof
    ) internal view {
        // (1)
        if (inputCommitment != ANY_INPUT) {
            bytes32 actual = keccak256(inputs);
            if (actual != inputCommitment) revert InputMismatch(inputCommitment, actual);
        }
        // (2)
        router.verifierOf(program.selector)
            .verify(program.keyDigest, program.key, program.statementLayout, context, inputs, outputs, proof);
    }
}
