// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice What a proof tells of the inputs: the numbers, a digest of each tensor, or nothing.
enum Visibility {
    Public,
    Hashed,
    Private
}

/// @notice Where things are among the public values of a proof.
struct Slots {
    uint32 contextAt;
    uint32 inputAt;
    uint32 inputCount;
    uint32 outputAt;
    uint32 outputCount;
    uint32 instanceCount;
}

/// @title The order of public values, which follows from the visibility of the inputs
/// @dev The same as `slots_in_order` of zkinfer.circuits.engines.base; shared vectors hold both to it.
library SlotOrder {
    /// @notice The context takes five values of 26 bits.
    uint32 internal constant CONTEXT_LIMBS = 5;
    /// @notice Beyond this no proof could be checked within a block.
    uint32 internal constant MOST = 1 << 17;

    /// @notice A model has outputs, a bounded number of values, and inputs unless they are private.
    error ImpossibleSlots();

    /// @notice The slots for a visibility and counts.
    /// @param visibility What a proof tells of the inputs.
    /// @param inputs How many public values the inputs take.
    /// @param outputs How many the outputs take.
    function from(Visibility visibility, uint32 inputs, uint32 outputs) internal pure returns (Slots memory slots) {
        if (outputs == 0 || outputs > MOST || inputs > MOST) revert ImpossibleSlots();
        if ((inputs == 0) != (visibility == Visibility.Private)) revert ImpossibleSlots();
        slots.inputCount = inputs;
        slots.outputCount = outputs;
        if (visibility == Visibility.Public) {
            // context, inputs, outputs
            slots.inputAt = CONTEXT_LIMBS;
            slots.outputAt = CONTEXT_LIMBS + inputs;
            slots.instanceCount = CONTEXT_LIMBS + inputs + outputs;
        } else if (visibility == Visibility.Hashed) {
            // digest of the context, digests of the inputs, outputs, context
            slots.inputAt = 1;
            slots.outputAt = 1 + inputs;
            slots.contextAt = 1 + inputs + outputs;
            slots.instanceCount = 1 + inputs + outputs + CONTEXT_LIMBS;
        } else {
            // outputs, context
            slots.contextAt = outputs;
            slots.instanceCount = outputs + CONTEXT_LIMBS;
        }
    }
}
