"""Proofs and statements with anything changed are refused, and by the step that names the reason."""

import pytest
from tests.ashlar import cases
from tests.ashlar.numbers import Numbers
from tests.ashlar.prover import Prover

from zkinfer.verifier.ashlar import (
    AshlarRejectedError,
    EncodingError,
    HintError,
    InputDigestError,
    OpeningError,
    OutputRangeError,
    StatementLengthError,
    SumcheckError,
)

R = cases.KNOWN_TAU.order


def proved(name):
    """The proof of a vector's statement over numbers in the place of points, which is checked in milliseconds."""
    case, values = cases.load(name)
    key = case.read()
    return Prover(key.header, key.program, values["weights"], Numbers()).prove(values["input"])


def accepted(changed):
    found = []
    for case in changed:
        try:
            case.check()
        except AshlarRejectedError:
            continue
        found.append(case.name)
    return found


def expected_step(case):
    """The errors that a mangled word may give."""
    ways = {
        "scalar_plus_r": EncodingError,
        "coordinate_plus_p": EncodingError,
        "point_off_curve": EncodingError,
        "truncated": StatementLengthError,
        "extended": StatementLengthError,
    }
    return next((error for way, error in ways.items() if way in case.name), AshlarRejectedError)


@pytest.mark.parametrize("name", cases.GIVEN)
def test_every_word_of_a_proof_mangled_in_each_way_is_refused(name):
    good = proved(name)
    good.check()
    for case in cases.mangled(good):
        with pytest.raises(expected_step(case)):
            case.check()


@pytest.mark.parametrize("name", cases.GIVEN)
def test_every_word_mangled_with_the_hint_recomputed_is_refused(name):
    good = proved(name)
    mangled = [case.with_hint() for case in cases.mangled(good) if len(case.proof) == len(good.proof)]
    assert accepted(case for case in mangled if case.proof != good.proof) == []


def test_recomputed_hint_of_a_change_in_the_second_sumcheck_leaves_the_pairing_to_refuse():
    good = proved("mlp_public_1")
    start, _ = good.places()[-5]  # the last round of the second sumcheck
    changed = good.splice("round", start, 32, bytes(32))
    with pytest.raises(HintError):
        changed.check()
    with pytest.raises(OpeningError):
        changed.with_hint().check()


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.nightly]) for name in cases.GIVEN])
def test_every_word_of_a_proof_with_points_mangled_is_refused(name):
    good, _ = cases.load(name)
    mangled = [*cases.mangled(good)]
    mangled += [case.with_hint() for case in mangled if len(case.proof) == len(good.proof)]
    assert accepted(case for case in mangled if case.proof != good.proof) == []


@pytest.mark.parametrize("name", ["cnn_committed_1", "wide_public_1"])
def test_some_words_of_a_proof_with_points_mangled_are_refused(name):
    good, _ = cases.load(name)
    assert accepted([*cases.mangled(good)][::9]) == []


@pytest.mark.parametrize("name", cases.GIVEN)
def test_a_bit_of_the_context_or_of_the_inputs_flipped_is_refused(name):
    good = proved(name)
    for field in ("context", "inputs"):
        data = getattr(good, field)
        for bit in range(8 * len(data)):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            case = good.changed(f"{field} bit {bit}", **{field: bytes(changed)})
            assert accepted([case, case.with_hint()]) == []


@pytest.mark.parametrize("name", cases.GIVEN)
def test_an_output_changed_is_refused_by_the_first_sumcheck(name):
    good = proved(name)
    for place in range(len(good.outputs)):
        for step in (1, -1, 1 << 40):
            outputs = tuple(value + step * (k == place) for k, value in enumerate(good.outputs))
            with pytest.raises(SumcheckError):
                good.changed("output", outputs=outputs).check()


@pytest.mark.parametrize("name", cases.GIVEN)
@pytest.mark.parametrize("change", ["outputs_one_more", "outputs_one_less", "context_one_more", "context_one_less"])
def test_statement_of_another_length_is_refused(name, change):
    good, _ = cases.load(name)
    changes = {
        "outputs_one_more": {"outputs": (*good.outputs, 0)},
        "outputs_one_less": {"outputs": good.outputs[:-1]},
        "context_one_more": {"context": good.context + b"\0"},
        "context_one_less": {"context": good.context[:-1]},
    }
    with pytest.raises(StatementLengthError):
        good.changed(change, **changes[change]).check()


@pytest.mark.parametrize("name", cases.GIVEN)
def test_inputs_with_a_byte_more_or_less_are_refused(name):
    good, _ = cases.load(name)
    for inputs in (good.inputs + b"\0", b"\0" + good.inputs, good.inputs[:-1]):
        if inputs != good.inputs:
            with pytest.raises(StatementLengthError, match="bytes"):
                good.changed("inputs", inputs=inputs).check()


@pytest.mark.parametrize("name", ["mlp_public_1", "cnn_committed_1", "wide_public_1"])
@pytest.mark.parametrize("change", [1 << 60, -(1 << 60), (1 << 255) - 1, -(1 << 255), "plus r", "minus r"])
def test_output_out_of_range_is_refused_although_it_may_be_the_same_number_of_the_field(name, change):
    good, _ = cases.load(name)
    first, *rest = good.outputs
    value = {"plus r": first + R, "minus r": first - R}.get(change, change)
    with pytest.raises(OutputRangeError):
        good.changed("range", outputs=(value, *rest)).check()


@pytest.mark.parametrize("value", [(1 << 60) - 1, 1 - (1 << 60)])
def test_output_at_the_limit_gets_past_the_range(value):
    good, _ = cases.load("mlp_public_1")
    with pytest.raises(SumcheckError):
        good.changed("range", outputs=(value, *good.outputs[1:])).check()


@pytest.mark.parametrize("name", cases.GIVEN)
@pytest.mark.parametrize("words", [-2, -1, 1, 2])
def test_proof_with_words_more_or_less_at_its_end_is_refused(name, words):
    good, _ = cases.load(name)
    proof = good.proof[: 32 * words] if words < 0 else good.proof + bytes(32 * words)
    with pytest.raises(StatementLengthError, match="The proof has"):
        good.changed("length", proof=proof).check()


def test_proof_that_is_empty_or_ends_within_a_word_is_refused():
    good, _ = cases.load("mlp_public_1")
    for proof in (b"", good.proof[:-1], good.proof + b"\0"):
        with pytest.raises(StatementLengthError):
            good.changed("length", proof=proof).check()


def test_proof_of_another_key_is_refused():
    first, other = cases.load("mlp_public_1")[0], cases.load("tall_public_1")[0]
    with pytest.raises(StatementLengthError):
        first.changed("key", key=other.key).check()


def test_digest_of_another_commitment_is_refused():
    good = proved("mlp_committed_1")
    with pytest.raises(InputDigestError):
        good.changed("digest", inputs=bytes(32)).with_hint().check()
    start, _ = good.places()[0]
    with pytest.raises(InputDigestError):
        good.splice("commitment", start, 64, bytes(64)).with_hint().check()


@pytest.mark.parametrize("hint", [0, 1, R - 1])
def test_hint_that_is_no_inverse_is_refused(hint):
    good, _ = cases.load("mlp_public_1")
    with pytest.raises(HintError):
        good.splice("hint", good.hint_place(), 32, hint.to_bytes(32, "big")).check()


@pytest.mark.parametrize("name", ["mlp_public_1", "cnn_committed_1"])
def test_words_of_the_same_program_under_other_modes_are_refused(name):
    good = proved(name)
    for mode in range(3):
        header = bytearray(good.key)
        if header[17] != mode:
            header[17] = mode
            assert accepted([good.changed("mode", key=bytes(header))]) == []
