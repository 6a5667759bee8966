// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice What a proof reveals about the inputs: the integers, a digest of each tensor, or nothing.
enum Visibility {
    Public,
    Hashed,
    Private
}

/// @notice The layout of a statement, the same for every proving system.
/// @param visibility What a proof reveals about the inputs.
/// @param inputWidth Bytes of each input: 1, 2, 4 or 8 for a public integer, 32 for a digest, 0 if private.
/// @param inputs How many integers or digests `inputs` holds; 0 if private.
/// @param outputs How many integers all outputs have together.
struct Layout {
    Visibility visibility;
    uint8 inputWidth;
    uint32 inputs;
    uint32 outputs;
}

/// @title Rules for the layout of a statement
/// @dev Must agree with `Layout` of zkinfer.circuits.statement; shared test vectors check both.
library StatementLayout {
    /// @notice The maximum number of inputs, and of outputs. No proof with more public values fits into a block.
    uint32 internal constant MAX_VALUES = 1 << 17;
    uint8 internal constant DIGEST_BYTES = 32;
    /// @notice Exclusive upper bound of the magnitude of every output.
    int256 internal constant OUTPUT_LIMIT = 1 << 63;

    /// @notice No statement has this layout.
    error ImpossibleLayout();
    /// @notice The length of the inputs in bytes is not the layout's.
    error InputLengthMismatch(uint256 expected, uint256 actual);
    /// @notice The number of outputs is not the layout's.
    error OutputCountMismatch(uint256 expected, uint256 actual);

    /// @notice Revert unless a statement can have this layout.
    /// @param layout_ The layout.
    function requirePossible(Layout calldata layout_) internal pure {
        (uint256 inputs, uint256 outputs) = (layout_.inputs, layout_.outputs);
        Visibility visibility = layout_.visibility;
        if (outputs == 0 || outputs > MAX_VALUES || inputs > MAX_VALUES) revert ImpossibleLayout();
        if ((inputs == 0) != (visibility == Visibility.Private)) revert ImpossibleLayout();
        if (visibilityOf(layout_.inputWidth) != visibility) revert ImpossibleLayout();
    }

    /// @notice The visibility that a width of inputs implies; reverts with ImpossibleLayout if there is none.
    /// @param inputWidth Bytes of each input.
    function visibilityOf(uint8 inputWidth) internal pure returns (Visibility) {
        if (inputWidth == 0) return Visibility.Private;
        if (inputWidth == DIGEST_BYTES) return Visibility.Hashed;
        if (inputWidth > 8 || inputWidth & (inputWidth - 1) != 0) revert ImpossibleLayout();
        return Visibility.Public;
    }

    /// @notice Revert unless inputs and outputs have the layout's sizes.
    /// @param layout_ The layout.
    /// @param inputs The packed inputs.
    /// @param outputs The outputs.
    function requireSizes(Layout calldata layout_, bytes calldata inputs, int256[] calldata outputs) internal pure {
        uint256 size = uint256(layout_.inputs) * layout_.inputWidth;
        if (inputs.length != size) revert InputLengthMismatch(size, inputs.length);
        if (outputs.length != layout_.outputs) revert OutputCountMismatch(layout_.outputs, outputs.length);
    }
}
