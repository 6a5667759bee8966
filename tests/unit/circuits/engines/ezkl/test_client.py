"""How answers of a child process are checked; the child is replaced by a scripted one."""

import json
from pathlib import Path

import pytest
from tests.unit.circuits.engines.ezkl.compiled_programs import request, spec

from zkinfer.circuits.engines.base import Tuned
from zkinfer.circuits.engines.ezkl.client import EzklProcess, require_types
from zkinfer.circuits.engines.ezkl.cost import least_work, work_of
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.engines.ezkl.layout import layout_as_built
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.errors import EngineCrashedError, EngineError, EngineTimeoutError, RangeError
from zkinfer.circuits.frontend import Workload
from zkinfer.circuits.sandbox import child
from zkinfer.circuits.sandbox.child import MAPPED, Limits

ARGUMENTS = EzklArguments(input_scale=7, param_scale=6, decomp_base=512, decomp_legs=3, lookup_range=(0, 0), logrows=10)
PROCESS = EzklProcess(Limits(seconds=60))
SETTINGS = {
    "run_args": ARGUMENTS.to_run_arguments(),
    "model_instance_shapes": [[1, 5], [1, 2], [1, 2]],
    "model_input_scales": [7, 7],
    "model_output_scales": [14, 7],
    "num_rows": 800,
    "required_lookups": [],
    "required_range_checks": [[-1, 1], [0, 511]],
    "total_assignments": 1600,
    "total_const_size": 10,
    "total_dynamic_col_size": 0,
    "total_shuffle_col_size": 0,
    "num_dynamic_lookups": 0,
    "num_shuffles": 0,
    "module_sizes": {"poseidon": [0, [0]]},
}
TRIED = {
    "settings": SETTINGS,
    "outputs": [[[5, 6]]],
    "lookup_low": -1,
    "lookup_high": 2,
    "bits": 23,
    "missing_bits": [3],
}


@pytest.fixture
def answered(monkeypatch):
    """Script the answer of the child, and record its calls; arguments are the least for their program."""
    asked = []

    def answer_with(answer):
        def run(function, arguments, *, limits, progress=None):
            name = function.partition(":")[2]
            asked.append((name, arguments, limits))
            return arguments["arguments"] if name == "least" else answer

        monkeypatch.setattr(child, "run", run)
        return asked

    return answer_with


@pytest.fixture
def network(tmp_path):
    (tmp_path / "network").write_bytes(b"onnx")
    return tmp_path / "network"


def build(network, arguments=ARGUMENTS, visibility="public"):
    return PROCESS.build(network, [spec("x", visibility=visibility)], [spec("y")], arguments, network.parent)


def tried(network):
    return PROCESS.try_out(network, [spec("x")], [spec("y")], ARGUMENTS, [[[1, 2]]], network.parent)


def built_by_the_engine(network, arguments=None, **changes):
    given = ARGUMENTS.to_run_arguments() | (arguments or {})
    return EzklEngine().build(network, [spec("x", **changes)], [spec("y")], given, network.parent)


# --- tensors of a program


def test_program_has_the_scales_that_the_engine_chose(answered, network):
    answered(SETTINGS)
    built = build(network)
    assert ([one.scale for one in built.inputs], [one.scale for one in built.outputs]) == ([7], [14])
    assert not built.uses_lookups


@pytest.mark.parametrize("shapes", [[], [[1, 5], [1, 2]], [[1, 5], [1, 3], [1, 2]], [[1, 2], [1, 5], [1, 2]]], ids=str)
def test_tensors_of_the_wrong_size_are_refused(answered, network, shapes):
    answered(SETTINGS | {"model_instance_shapes": shapes})
    with pytest.raises(EngineError, match="tensors of other sizes than the model has"):
        build(network)


@pytest.mark.parametrize("visibility", ["hashed", "private"])
def test_program_with_hidden_inputs_has_the_context_as_an_output(answered, network, visibility):
    arguments = ARGUMENTS.model_copy(update={"input_visibility": visibility})
    answered(SETTINGS | {"model_instance_shapes": [[1, 2], [1, 5]]})
    assert build(network, arguments, visibility).inputs[0].scale == 7
    answered(SETTINGS)
    with pytest.raises(EngineError, match="tensors of other sizes"):
        build(network, arguments, visibility)


def test_input_behind_a_scaler_is_finer_by_the_bits_of_its_spec(answered, network):
    answered(SETTINGS)
    built = PROCESS.build(network, [spec("x", scale=3)], [spec("y")], ARGUMENTS, network.parent)
    assert built.inputs[0].scale == 10


# --- trials


def test_trial_returns_program_and_answers(answered, network):
    asked = answered(TRIED)
    built, forward, bits = tried(network)
    assert bits == 23
    assert built.settings == SETTINGS
    assert (forward.outputs, forward.lookup_low, forward.lookup_high) == ([[[5, 6]]], -1, 2)
    assert asked[0][1]["batch"] == [[[0, 0, 0, 0, 0], [1, 2]]]


def test_inputs_at_scales_other_than_requested_are_refused(answered, network):
    settings = SETTINGS | {"model_input_scales": [7, 8]}
    answered(TRIED | {"settings": settings})
    with pytest.raises(EngineError, match="uses other input scales than the run arguments"):
        tried(network)


@pytest.mark.parametrize(
    ("call", "name"), [(EzklProcess.settings, "sound_settings"), (EzklProcess.sketch, "settings_of")]
)
def test_only_settings_for_proofs_are_requested_to_be_sound(answered, network, call, name):
    asked = answered([SETTINGS, None])
    assert call(PROCESS, network, [ARGUMENTS, ARGUMENTS], network.parent) == [SETTINGS, None]
    assert asked[0][0] == name
    assert asked[0][1]["options"] == [ARGUMENTS.to_run_arguments()] * 2


def test_bits_are_requested_with_an_empty_context(answered, network):
    asked = answered(23)
    assert PROCESS.bits_needed(network, ARGUMENTS, [[[1, 2]]], network.parent) == 23
    assert asked[0][1]["batch"] == [[[0, 0, 0, 0, 0], [1, 2]]]


# --- the search


def test_search_is_one_call_with_a_longer_time_limit(answered):
    asked = answered({"run_arguments": {"logrows": 10}, "options": []})
    assert PROCESS.tune(request(), lambda _: None) == Tuned({"logrows": 10}, ())
    [(name, arguments, limits)] = asked
    assert (name, arguments["request"]["effort"]) == ("tune", "normal")
    assert limits.seconds > PROCESS.limits.seconds


@pytest.mark.parametrize("seconds", [0.5, 30])
def test_search_is_limited_to_the_time_that_is_asked(answered, seconds):
    asked = answered({"run_arguments": {"scale": 1}, "options": []})
    PROCESS.tune(request(search_seconds=seconds), lambda _: None)
    assert asked[0][2].seconds == seconds


def cut_off(monkeypatch, stored):
    """Let the child store this as the best so far, and then run out of time."""

    def run(function, arguments, *, limits, progress=None):
        if stored is not None:
            Path(arguments["best"]).write_bytes(stored)
        raise EngineTimeoutError("It ran out.")

    monkeypatch.setattr(child, "run", run)


def test_search_that_is_cut_off_gives_the_best_so_far(monkeypatch):
    cut_off(monkeypatch, b'{"run_arguments":{"scale":1},"options":[],"samples":8,"notes":["it ended"]}')
    found = PROCESS.tune(request(search_seconds=5), lambda _: None)
    assert found == Tuned({"scale": 1}, (), samples=8, notes=("it ended",))


@pytest.mark.parametrize(("seconds", "stored"), [(5, None), (None, b'{"run_arguments":{"scale":1},"options":[]}')])
def test_search_that_is_cut_off_without_a_result_or_a_limit_is_refused(monkeypatch, seconds, stored):
    cut_off(monkeypatch, stored)
    with pytest.raises(EngineTimeoutError, match="It ran out"):
        PROCESS.tune(request(search_seconds=seconds), lambda _: None)


def test_search_that_is_cut_off_with_a_malformed_result_is_refused(monkeypatch):
    cut_off(monkeypatch, b'{"options":7}')
    with pytest.raises(EngineCrashedError, match="malformed"):
        PROCESS.tune(request(search_seconds=5), lambda _: None)


def test_survey_is_limited_to_the_time_that_is_asked(answered):
    asked = answered([SETTINGS] * 8)
    with pytest.raises((EngineError, ValueError)):
        EzklEngine(Limits(seconds=60)).survey(request(search_seconds=5))
    assert asked[0][2].seconds == 5


def test_search_with_a_malformed_answer_is_refused(answered):
    answered({"run_arguments": {}})
    with pytest.raises(EngineCrashedError, match="malformed answer"):
        PROCESS.tune(request(), lambda _: None)


@pytest.mark.parametrize(("seconds", "given"), [(5.0, 5.0), (600.0, 60)])
def test_time_limit_can_only_be_lowered(seconds, given):
    assert PROCESS.within(seconds).limits.seconds == given


# --- programs that do not fit their run arguments


def test_program_reports_its_rows(answered, network):
    answered(SETTINGS)
    program = built_by_the_engine(network)
    assert (program.setup_size, program.integer_limit) == (10, 1 << 27)
    assert program.figures == {"rows": 800, "log2(rows)": 10}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"total_assignments": 8065}, r"does not fit four blocks of 2\^10 rows"),
        ({"total_const_size": 4033}, r"does not fit four blocks of 2\^10 rows"),
        ({"module_sizes": {"poseidon": [1009, [1]]}}, r"hashing of inputs, do not fit 2\^10 rows"),
        ({"total_shuffle_col_size": 1009}, r"do not fit 2\^10 rows"),
    ],
    ids=str,
)
def test_program_that_does_not_fit_its_run_arguments_is_refused(answered, network, change, message):
    answered(SETTINGS | change)
    with pytest.raises(EngineError, match=message):
        built_by_the_engine(network)


def test_lookup_range_of_a_program_without_lookups_is_refused(answered, network):
    """A circuit must not have several recipes."""
    answered(SETTINGS)
    with pytest.raises(EngineError, match=r"lookup_range must be \[0, 0\] for a program without lookup tables"):
        built_by_the_engine(network, {"lookup_range": [-1, 1]})
    answered(SETTINGS | {"required_lookups": ["Sigmoid"]})
    assert built_by_the_engine(network, {"lookup_range": [-1, 1]}).setup_size == 10


@pytest.mark.parametrize(
    ("dtype", "digits", "taken"), [("int32", 31, True), ("int32", 32, False), ("uint32", 32, True)]
)
def test_range_that_an_input_of_32_bits_cannot_hold_is_refused(answered, network, dtype, digits, taken):
    answered(SETTINGS)
    arguments = {"decomp_base": 16, "decomp_legs": 8} if digits == 32 else {"decomp_base": 146, "decomp_legs": 4}
    if taken:
        limit = built_by_the_engine(network, arguments, dtype=dtype).integer_limit
        assert (1 << digits - 3) < limit <= 1 << digits
    else:
        with pytest.raises(EngineError, match="cover integers that an input's type cannot hold"):
            built_by_the_engine(network, arguments, dtype=dtype)


@pytest.mark.parametrize(
    ("dtype", "values", "message"),
    [
        ("uint8", [3, 1000], "The input 'x' holds 1000 at element 1; uint8 holds 0 to 255."),
        ("uint8", [-7, 1], "The input 'x' holds -7 at element 0; uint8 holds 0 to 255."),
        ("bool", [1, 2], "The input 'x' holds 2 at element 1; bool holds 0 to 1."),
        ("int32", [0, 1 << 31], "The input 'x' holds 2147483648 at element 1; int32 holds -2147483648 to 2147483647."),
    ],
)
def test_integer_that_its_type_cannot_hold_is_refused_by_name(dtype, values, message):
    with pytest.raises(RangeError) as refusal:
        require_types([spec("x", dtype=dtype)], [values])
    assert refusal.value.cause == message


@pytest.mark.parametrize(("dtype", "values"), [("uint8", [0, 255]), ("bool", [0, 1]), ("float32", [-(1 << 40), 9])])
def test_integer_that_its_type_holds_is_taken(dtype, values):
    require_types([spec("x", dtype=dtype)], [values])


@pytest.mark.parametrize("visibility", ["hashed", "private"])
def test_inputs_of_a_visibility_other_than_in_the_run_arguments_are_refused(answered, network, visibility):
    answered(SETTINGS)
    with pytest.raises(EngineError, match="run arguments and the recipe differ in the visibility of inputs"):
        built_by_the_engine(network, visibility=visibility)


def test_work_is_computed_from_the_settings_in_the_folder(tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS))
    assert EzklEngine().work(tmp_path) == work_of(layout_as_built(SETTINGS))


@pytest.mark.parametrize(("own", "given", "least"), [(1 << 40, 8, 8 + MAPPED), (9, 10, 9), (None, 8, 8 + MAPPED)])
def test_engine_with_a_memory_limit_applies_the_lower_limit_to_children(answered, network, own, given, least):
    asked = answered(SETTINGS)
    engine = EzklEngine(Limits(memory=own)).within(given)
    engine.build(network, [spec("x")], [spec("y")], ARGUMENTS.to_run_arguments(), network.parent)
    assert {limits.memory for _, _, limits in asked} == {least}


def test_least_work_counts_multiplications():
    load = Workload(multiplications=5000, elements=1, heaviest=())
    assert EzklEngine().least_work(load) == least_work(5000)


@pytest.mark.parametrize("error", [EngineTimeoutError, EngineError])
def test_error_of_a_child_is_propagated(monkeypatch, error):
    def fail(*_, **__):
        raise error("It took too long.")

    monkeypatch.setattr(child, "run", fail)
    with pytest.raises(error, match="It took too long"):
        PROCESS.sketch(Path("network"), [ARGUMENTS], Path())
