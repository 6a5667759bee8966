//! The lies of a prover (section 12.3).

use zkinfer_ashlar::program::{Mode, Program, TermKind, elements};
use zkinfer_ashlar::shape::Shape;

/// What a prover does against the protocol, and else follows it as well as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// None: the proof is good.
    None,

    // The witness.
    OutputPlusOne,
    /// The last output of all, in an output box that is wider than both cubes.
    LastOutputPlusOne,
    ActivationOffByOne,
    RoundingOtherWay,
    RangeValueTooLarge,
    ValueOutsideTable,
    WrongTag,
    PaddingCellUsedAsInput,
    PaddingCellOfHiddenBlock,
    InputOutOfRange,
    /// A public input that is not the one of the cells.
    OtherPublicInput,
    OtherCommittedInput,
    DigestOfOtherCommitment,
    WeightChanged,
    BiasChanged,
    StoredColumnChanged,
    MultiplicityOff,
    MultiplicityOnUnusedRow,
    /// A lookup of `(0, 0, 0)` counted at an unused row, which has the same fingerprint: harmless.
    MultiplicityMovedToUnusedRow,
    HelperOff(usize),

    // The committed vectors.
    BlocksSwapped,
    ChunksSwapped,
    /// More coefficients than a chunk has: harmless.
    HighCoefficients,
    /// X has coefficients that no cell has: harmless, but another digest.
    DigestWithMoreCoefficients,

    // The sumchecks.
    BstarOff,
    /// `b*` makes the claim of A right for a wrong output.
    BstarRepairsOutput,
    KernelOff,
    RoundOfAOff(usize),
    RoundOfBOff(usize),
    /// `c1` is taken from another claim: the coefficients sent make a wrong claim right at 0 and 1.
    RoundsFitAWrongClaim,
    EvaluationOff(usize),
    /// Two evaluations are wrong, and the last claim of A is right.
    EvaluationsCancellingInA,
    /// Three are, and the claim of B is right as well for a delta that was guessed before.
    EvaluationsCancellingAtGuess,
    /// `b*` and `v*` are wrong, and cancel for a delta that was guessed before.
    ClaimsCancellingInB,

    // The opening.
    OpeningOff(usize),
    PointOff(usize),
    /// A wrong output, repaired by `b*`, and S that repairs the identity at this many guesses of zeta, and at their
    /// inverses.
    SRepairedAtGuess(u64),
    /// f0 and f1 are wrong, and cancel in the batch for a guessed delta'.
    OpeningCancellingAtGuess,

    // The statement.
    OtherContext,
    OtherKey,
}

use Lie::*;

/// Lies that need nothing of a program.
fn anywhere() -> Vec<Lie> {
    let mut lies = vec![
        OutputPlusOne,
        LastOutputPlusOne,
        WeightChanged,
        MultiplicityOff,
        MultiplicityOnUnusedRow,
        BlocksSwapped,
        BstarOff,
        BstarRepairsOutput,
        KernelOff,
        RoundsFitAWrongClaim,
        EvaluationsCancellingInA,
        EvaluationsCancellingAtGuess,
        ClaimsCancellingInB,
        SRepairedAtGuess(1),
        SRepairedAtGuess(16),
        OpeningCancellingAtGuess,
        InputOutOfRange,
        OtherContext,
        OtherKey,
    ];
    lies.extend((0..3).map(HelperOff));
    lies.extend((0..8).map(EvaluationOff));
    lies.extend((0..3).map(OpeningOff));
    lies.extend((0..3).map(PointOff));
    lies.extend([0, 1].map(RoundOfAOff));
    lies.extend([0, 1].map(RoundOfBOff));
    lies
}

/// Lies that need a hidden block.
const WITH_HIDDEN_BLOCKS: [Lie; 6] =
    [ActivationOffByOne, RoundingOtherWay, RangeValueTooLarge, ValueOutsideTable, WrongTag, PaddingCellOfHiddenBlock];

/// All lies that a verifier has to refuse for this program.
pub fn refused(program: &Program) -> Vec<Lie> {
    let mut lies = anywhere();
    let shape = Shape::new(program);
    if !program.hidden.is_empty() {
        lies.extend(WITH_HIDDEN_BLOCKS);
    }
    if program.constraints().any(|of| of.terms.iter().any(|term| term.kind == TermKind::Bias)) {
        lies.push(BiasChanged);
    }
    if elements(&program.input.dims) < 1 << program.input.bits {
        lies.push(PaddingCellUsedAsInput);
    }
    if shape.stored {
        lies.extend([StoredColumnChanged, EvaluationOff(9)]);
    }
    if shape.p_len > 1 << shape.c {
        lies.push(ChunksSwapped);
    }
    match program.header.mode {
        Mode::Public => lies.push(OtherPublicInput),
        Mode::Hashed => lies.extend([OtherCommittedInput, DigestOfOtherCommitment, EvaluationOff(8)]),
        Mode::Private => {}
    }
    lies
}

/// Lies that change nothing of what is proved: accepted.
pub fn harmless(program: &Program) -> Vec<Lie> {
    let mut lies = vec![HighCoefficients];
    let rows: usize = program.tables.iter().map(|table| table.rows()).sum();
    if rows < 1 << program.header.nt {
        lies.push(MultiplicityMovedToUnusedRow);
    }
    if program.header.mode == Mode::Hashed {
        lies.push(DigestWithMoreCoefficients);
    }
    lies
}

/// The steps of section 7.1 that may refuse a lie.
pub fn step(lie: Lie) -> u8 {
    match lie {
        DigestOfOtherCommitment => 5,
        WeightChanged | BiasChanged | StoredColumnChanged | BlocksSwapped | ChunksSwapped => 15,
        BstarRepairsOutput | KernelOff | RoundOfBOff(_) | EvaluationsCancellingInA => 15,
        EvaluationsCancellingAtGuess | ClaimsCancellingInB | OpeningOff(_) | PointOff(_) => 15,
        SRepairedAtGuess(_) | OpeningCancellingAtGuess => 15,
        _ => 8,
    }
}
