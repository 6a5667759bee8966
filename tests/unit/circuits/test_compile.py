import dataclasses
import json
import stat
import time
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.circuits import factories
from tests.unit.circuits.factories import DEV, engine_failing_at, engine_with, everything_under

from zkinfer.circuits import Budget, Circuit, CompileOptions, Home, compile_model
from zkinfer.circuits.cost import Speed
from zkinfer.circuits.digest import sha256_file
from zkinfer.circuits.engines.base import Option, Proof, Tuned
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import (
    BudgetError,
    DataError,
    EngineError,
    EngineMemoryError,
    EngineTimeoutError,
    InputError,
    ModelError,
    ProofRejectedError,
    RangeError,
    SetupError,
    TooCostlyError,
    UnsupportedModelError,
)
from zkinfer.circuits.fidelity import Fidelity

FAKE = FakeEngine()
TUNED = Tuned({"scale": 8}, ())
LABELLED = replace(DEV, labels="label")


class Recorder:
    def __init__(self):
        self.stages, self.notes = [], []

    def progress(self, stage, fraction):
        self.stages.append((stage, fraction))

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def build(tiny_model, own_home, memory, tmp_path, in_process):
    """Compile the tiny model in this process, with overrides."""
    usual = {"model": tiny_model, "out": tmp_path / "out", "engine": FAKE, "home": own_home, "options": DEV}

    def call(**changes):
        arguments = usual | changes
        return compile_model(arguments.pop("model"), arguments.pop("out"), **arguments)

    return call


@pytest.fixture
def samples(tmp_path):
    """Forty samples, all labelled with the first class."""
    inputs = np.random.default_rng(1).normal(size=(40, 1, 3))
    np.savez(tmp_path / "samples.npz", x=inputs, label=np.zeros(40, int))
    return tmp_path / "samples.npz"


@pytest.fixture
def leaves_nothing(tmp_path, own_home):
    """Check that only setups, an empty key folder and the measured speed were created."""
    before = everything_under(tmp_path)

    def check(*also):
        left = {path for path in everything_under(tmp_path) - before if not path.startswith("home/setups/")}
        assert left - {"memory", "home/keys", "home/speeds", "home/speeds/fake-1.json"} == set(also)

    return check


def test_compile_through_real_children_publishes_a_circuit(tiny_model, own_home, tmp_path):
    made = compile_model(tiny_model, tmp_path / "out", engine=FAKE, home=own_home, options=DEV)
    assert made.circuit == Circuit.open(tmp_path / "out")
    assert set(made.timings) == {"inspect", "calibrate", "tune", "evaluate", "setup", "keys", "prove"}


def test_compile_publishes_a_complete_world_readable_folder(build, tiny_model, tmp_path):
    circuit = build().circuit
    assert everything_under(circuit.folder) == {"manifest.json", "model.onnx", "network.onnx", "program.json", "vk"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in circuit.folder.iterdir()} == {0o644}
    assert (circuit.folder / "model.onnx").read_bytes() == tiny_model.read_bytes()
    assert circuit.manifest.identity.model == str(sha256_file(tiny_model))


def test_compile_keeps_the_proving_key_private_and_outside_the_folder(build, own_home):
    circuit = build().circuit
    [key] = own_home.keys.iterdir()
    assert str(sha256_file(key)) == circuit.manifest.keys.proving_key
    assert key.name == circuit.digest.hex
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(own_home.keys.stat().st_mode) == 0o700


def test_compile_leaves_nothing_else(build, leaves_nothing, own_home):
    build()
    [key] = own_home.keys.iterdir()
    names = ("manifest.json", "model.onnx", "network.onnx", "program.json", "vk")
    leaves_nothing("out", f"home/keys/{key.name}", *(f"out/{name}" for name in names))


def test_compile_tells_how_columns_of_the_calibration_file_were_matched(build, tmp_path):
    told = f"{tmp_path / 'samples.csv'}, line 1: the columns a, b, c are read in this order as x[0] to x[2]."
    (tmp_path / "samples.csv").write_text("a,b,c\n0.5,1,2\n1,0.5,2\n2,1,0.5\n")
    recorder = Recorder()
    made = build(calibration=tmp_path / "samples.csv", observer=recorder)
    assert made.notes == (told,)
    assert told in recorder.notes
    assert made.circuit.manifest.features == ("a", "b", "c")


def test_compile_keeps_no_features_of_samples_without_names(build, tmp_path):
    (tmp_path / "samples.csv").write_text("x[0],x[1],x[2]\n0.5,1,2\n1,0.5,2\n2,1,0.5\n")
    manifest = build(calibration=tmp_path / "samples.csv").circuit.manifest
    assert manifest.features == ()
    assert b"features" not in manifest.to_bytes()


def test_compile_describes_the_circuit(build):
    manifest = build().circuit.manifest
    assert (manifest.parameters, manifest.operators) == (8, {"Gemm": 1})
    assert (manifest.recipe.engine, manifest.recipe.run_arguments) == ("fake/1", {"scale": 8})
    assert manifest.recipe.setup.is_insecure_dev
    assert manifest.recipe.input_visibility == "public"
    assert manifest.program.layout.visibility == "public"


def test_compile_is_reproducible(build, tmp_path):
    first, second = build(out=tmp_path / "first").circuit, build(out=tmp_path / "second").circuit
    assert first.digest == second.digest
    for path in first.folder.iterdir():
        assert (second.folder / path.name).read_bytes() == path.read_bytes()


def test_compile_writes_no_time_path_or_user_into_the_circuit(build, tmp_path):
    circuit = build().circuit
    for path in circuit.folder.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes()


def test_compile_with_published_run_arguments_reproduces_the_circuit(build, compiled):
    options = replace(DEV, run_arguments=compiled.manifest.recipe.run_arguments)
    assert build(engine=engine_failing_at("tune"), options=options).circuit.digest == compiled.digest


def test_compile_with_other_run_arguments_gives_another_circuit(build, compiled):
    circuit = build(options=replace(DEV, run_arguments={"scale": 9})).circuit
    assert circuit.model_id != compiled.model_id
    assert circuit.manifest.program.inputs[0].scale == 9


def test_compile_with_run_arguments_that_the_engine_refuses_leaves_nothing(build, leaves_nothing):
    with pytest.raises(EngineError, match="one integer, scale"):
        build(options=replace(DEV, run_arguments={"scale": 99}))
    leaves_nothing()


def test_compile_with_empty_run_arguments_is_refused(build):
    with pytest.raises(EngineError, match="one integer, scale"):
        build(options=replace(DEV, run_arguments={}))


@pytest.mark.parametrize(
    ("visibility", "width", "inputs"),
    [("hashed", 32, 1), ("private", 0, 0)],
)
def test_compile_with_hidden_inputs_records_the_visibility(build, compiled, visibility, width, inputs):
    manifest = build(options=replace(DEV, input_visibility=visibility)).circuit.manifest
    layout = manifest.program.layout
    assert (layout.visibility, layout.input_width, layout.inputs) == (visibility, width, inputs)
    assert (manifest.recipe.input_visibility, manifest.program.inputs[0].visibility) == (visibility, visibility)
    assert manifest.identity.model_id != compiled.model_id


# --- samples and fidelity


def test_compile_without_samples_reports_synthetic_data(build):
    fidelity = build().circuit.manifest.fidelity
    assert (fidelity.data, fidelity.samples) == ("synthetic", 16)
    assert fidelity.agreement == 1.0
    assert 0 < fidelity.error_max < 0.01


@pytest.mark.parametrize(("count", "data", "evaluated"), [(10, "held-out", 5), (2, "calibration", 2)])
def test_compile_with_samples_reports_the_held_out_ones(build, tmp_path, count, data, evaluated):
    np.savez(tmp_path / "samples.npz", x=np.random.default_rng(1).normal(size=(count, 1, 3)))
    fidelity = build(calibration=tmp_path / "samples.npz").circuit.manifest.fidelity
    assert (fidelity.data, fidelity.samples) == (data, evaluated)


def test_compile_passes_samples_and_budget_to_the_engine(build, tmp_path):
    requests = []

    def tune(request, *, progress):
        requests.append(request)
        return TUNED

    build(engine=engine_with(tune=tune), options=replace(DEV, budget=Budget(0.5, 0.25)))
    [request] = requests
    assert (request.budget, request.labels, request.max_setup_size) == (Budget(0.5, 0.25), None, 18)
    assert request.samples["x"].shape == (16, 1, 3)
    assert request.reference["y"].shape == (16, 1, 2)


def test_compile_names_the_worst_samples_by_their_index_in_the_file(build, samples):
    places = {
        one.sample
        for one in build(calibration=samples, options=replace(DEV, labels="label")).circuit.manifest.fidelity.worst
    }
    assert places
    assert places <= set(range(1, 40, 2))


def test_compile_passes_labels_to_the_engine_and_reports_the_accuracy(build, samples):
    requests = []

    def tune(request, *, progress):
        requests.append(request)
        return TUNED

    options = replace(DEV, labels="label", budget=Budget(max_accuracy_drop=0))
    fidelity = build(engine=engine_with(tune=tune), calibration=samples, options=options).circuit.manifest.fidelity
    assert (requests[0].labels.output, requests[0].labels.classes.tolist()) == ("y", [0] * 20)
    assert fidelity.accuracy.output == "y"
    assert 0 < fidelity.accuracy.model == fidelity.accuracy.circuit < 1


def test_compile_warns_if_held_out_samples_miss_the_budget(build, samples):
    options = replace(DEV, labels="label")
    made = build(calibration=samples, options=replace(options, budget=Budget(max_error=0)))
    assert "The error of column" in made.shortfall
    assert build(calibration=samples, options=options, out=samples.parent / "other").shortfall == ""


@pytest.mark.parametrize(("budget", "kept"), [(Budget(), True), (Budget(max_error=0), False)])
def test_compile_records_the_budget_and_whether_it_is_kept_in_the_manifest(build, samples, budget, kept):
    choice = build(calibration=samples, options=replace(LABELLED, budget=budget)).circuit.manifest.choice
    assert (choice.samples, choice.min_agreement, choice.max_error, choice.kept) == (20, 0.99, budget.max_error, kept)


def test_strict_compile_is_refused_before_keys_if_held_out_samples_miss_the_budget(build, samples, leaves_nothing):
    option = Option("scale 8", None, Fidelity(1, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, ()), within_budget=True, chosen=True)
    engine = engine_with(tune=lambda *_, **__: Tuned({"scale": 8}, (option,)), make_keys=None)
    options = replace(LABELLED, budget=Budget(max_error=0), strict=True)
    with pytest.raises(BudgetError, match=r"on the held-out samples\. The error of column") as refusal:
        build(engine=engine, calibration=samples, options=options)
    assert refusal.value.options == (option,)
    leaves_nothing()


def test_strict_compile_within_the_budget_gives_the_same_circuit(build, samples):
    first = build(calibration=samples, options=LABELLED).circuit
    again = build(calibration=samples, options=replace(LABELLED, strict=True), out=samples.parent / "b").circuit
    assert first.digest == again.digest


def test_compile_is_refused_before_keys_if_held_out_samples_leave_the_range(build, leaves_nothing):
    def forward(*_):
        raise RangeError("A value leaves the range.")

    with pytest.raises(RangeError, match=r"A held-out sample leaves the range.*Give more calibration samples"):
        build(engine=engine_with(forward=forward, make_keys=None))
    leaves_nothing()


def test_compile_is_refused_if_the_engine_builds_another_program_for_the_keys(build, leaves_nothing):
    built = []

    def once_more(*arguments):
        built.append(FAKE.build(*arguments))
        return built[-1].model_copy(update={"figures": {"rows": len(built)}})

    with pytest.raises(EngineError, match=r"two different programs from the same network: figures .*1.* and .*2"):
        build(engine=engine_with(build=once_more))
    leaves_nothing()


def test_accuracy_budget_without_labels_is_refused_up_front(build, samples, leaves_nothing):
    with pytest.raises(InputError, match=r"drop needs labels, and none are given\. Give --labels"):
        build(calibration=samples, options=replace(DEV, budget=Budget(max_accuracy_drop=0.5)))
    leaves_nothing()


def test_labels_without_samples_are_refused_up_front(build, leaves_nothing):
    with pytest.raises(InputError, match="Labels need calibration samples"):
        build(options=replace(DEV, labels="label"))
    leaves_nothing()


def test_labels_missing_from_the_file_are_refused(build, samples):
    with pytest.raises(DataError, match="lacks the labels 'y'"):
        build(calibration=samples, options=replace(DEV, labels="y"))


def test_compile_reports_every_stage_to_the_observer(build):
    recorder = Recorder()
    build(observer=recorder)
    ended = [stage for stage, fraction in recorder.stages if fraction == 1.0]
    assert ended == ["inspect", "calibrate", "tune", "evaluate", "setup", "keys", "prove"]
    [note] = recorder.notes
    assert note.startswith("elements 5: keys in about 0 s, a proof in about 0 s, ")


def test_compile_tells_what_decided_the_cost(build):
    recorder, notes = Recorder(), ("a lookup table decides the size",)
    compiled = build(observer=recorder, engine=engine_with(tune=lambda *_, **__: replace(TUNED, notes=notes)))
    assert recorder.notes[0] == notes[0]
    assert compiled.notes == notes


def test_compile_gives_the_engine_the_names_of_nodes_in_the_owners_file(build):
    asked = []

    def survey(request):
        asked.append(request.names)
        raise UnsupportedModelError("Seen enough.")

    with pytest.raises(UnsupportedModelError, match="Seen enough"):
        build(engine=engine_with(survey=survey))
    assert asked == [{"y": "y"}]


# --- refusals


@pytest.mark.parametrize("kind", ["mkdir", "touch"])
def test_compile_onto_an_existing_path_is_refused_up_front(build, tmp_path, kind):
    getattr(tmp_path / "out", kind)()
    with pytest.raises(InputError, match=r"out exists already\. Choose another --out"):
        build(engine=engine_failing_at("tune"))


@pytest.mark.parametrize(
    "call",
    [
        "check_run_arguments",
        "least_work",
        "measure_speed",
        "tune",
        "build",
        "work",
        "make_keys",
        "forward",
        "prove",
        "verify",
    ],
)
def test_compile_that_fails_anywhere_leaves_nothing(build, leaves_nothing, call):
    with pytest.raises(EngineError, match=f"It broke at {call}"):
        build(engine=engine_failing_at(call))
    leaves_nothing()


def test_compile_is_refused_if_its_target_appears_meanwhile(build, tmp_path):
    def publish(*_):
        (tmp_path / "out").mkdir(exist_ok=True)

    with pytest.raises(InputError, match="exists already"):
        build(engine=engine_with(verify=publish))
    assert everything_under(tmp_path / "out") == set()


def test_compile_leaves_no_key_if_its_target_appears_meanwhile(build, tmp_path, own_home):
    with pytest.raises(InputError, match="exists already"):
        build(engine=engine_with(verify=lambda *_: (tmp_path / "out").mkdir(exist_ok=True)))
    assert everything_under(own_home.keys) == set()


def test_compile_without_a_setup_is_refused_with_every_cure(build, tmp_path, leaves_nothing):
    with pytest.raises(SetupError, match="There is no trusted setup to compile with") as refusal:
        build(home=Home(tmp_path / "empty"), options=None)
    for cure in ("zkinfer setup fetch 15", "zkinfer setup import FILE", "--setup insecure-dev"):
        assert cure in refusal.value.cure
    leaves_nothing("empty", "empty/keys", "empty/speeds", "empty/speeds/fake-1.json")


def test_compile_uses_insecure_dev_only_by_name(build):
    with pytest.raises(SetupError, match="no trusted setup to compile with"):
        build(options=CompileOptions())


# --- costs


def costly(memory_bytes):
    return replace(FAKE.work(None), prove=60.0, memory_bytes=memory_bytes)


def test_compile_measures_the_machine_once(build, tmp_path):
    build(out=tmp_path / "first")
    assert "calibrate" not in build(out=tmp_path / "second", engine=engine_failing_at("measure_speed")).timings


def test_compile_predicts_the_cost_for_this_machine(build):
    engine = engine_with(work=lambda _: costly(5), measure_speed=lambda *_, **__: Speed(1.0, 1.0, 2.0, 0.5))
    cost = build(engine=engine).cost
    assert (cost.work.memory_bytes, cost.prove_seconds) == (5, 32.0)


def test_compile_reports_the_options_of_the_engine(build):
    fidelity = Fidelity(1, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, ())
    option = Option("scale 8", None, fidelity, within_budget=True, chosen=True)
    made = build(engine=engine_with(tune=lambda *_, **__: Tuned({"scale": 8}, (option,))))
    assert made.options == (option,)


def test_compile_with_run_arguments_reports_no_options(build):
    made = build(options=replace(DEV, run_arguments={"scale": 8}))
    assert made.options == ()


def test_compile_passes_objective_effort_and_limits_to_the_engine(build):
    requests = []

    def tune(request, *, progress):
        requests.append(request)
        return TUNED

    options = replace(DEV, objective="gas", effort="quick", max_memory=1 << 30)
    build(engine=engine_with(tune=tune), options=options)
    assert (requests[0].objective, requests[0].effort, requests[0].max_memory) == ("gas", "quick", 1 << 30)
    assert requests[0].workload.multiplications == 6


def test_compile_tells_of_constants_that_the_program_loses(build):
    recorder, asked = Recorder(), []

    def lost(folder, model):
        asked.append(((folder / "network.onnx").is_file(), model.read_bytes()))
        return ("the constant 1e-12 of Clip 'c' is 0",)

    made = build(engine=engine_with(lost_constants=lost), observer=recorder)
    assert made.notes == ("the constant 1e-12 of Clip 'c' is 0",)
    assert made.notes[0] in recorder.notes
    assert asked == [(True, (made.circuit.folder / "model.onnx").read_bytes())]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_limit_of_the_search_that_is_no_time_is_refused(seconds):
    with pytest.raises(InputError, match="A search cannot be limited to"):
        replace(DEV, search_seconds=seconds)


def test_compile_limits_the_survey_and_the_search_together(build):
    limits = []

    def survey(request):
        limits.append(request.search_seconds)
        time.sleep(0.1)
        return FAKE.survey(request)

    def tune(request, *, progress):
        limits.append(request.search_seconds)
        return TUNED

    build(engine=engine_with(survey=survey, tune=tune), options=replace(DEV, search_seconds=5))
    assert limits[0] == 5
    assert limits[1] < 4.95


def test_compile_whose_search_ended_early_says_so_and_on_how_many_samples(build):
    recorder, early = Recorder(), Tuned({"scale": 8}, (), samples=3, notes=("it ended early",))
    made = build(engine=engine_with(tune=lambda *_, **__: early), observer=recorder)
    assert made.notes == ("it ended early",)
    assert "it ended early" in recorder.notes
    assert made.circuit.manifest.choice.samples == 3


@pytest.mark.parametrize("call", ["survey", "tune"])
def test_compile_whose_search_is_cut_off_by_its_limit_is_refused_with_the_heaviest_layers(build, leaves_nothing, call):
    def fail(*_, **__):
        raise EngineTimeoutError("It ran out.")

    with pytest.raises(TooCostlyError, match=r"limit of --search-seconds.*: Gemm y") as refusal:
        build(engine=engine_with(**{call: fail}), options=replace(DEV, search_seconds=5))
    assert "--search-seconds" in refusal.value.cure
    leaves_nothing()


def test_compile_of_a_large_model_begins_with_a_forecast(build):
    recorder = Recorder()
    engine = engine_with(search_seconds=lambda *_: 200.0, least_work=lambda _: costly(9 * 10**8))
    build(engine=engine, observer=recorder, options=replace(DEV, search_seconds=90))
    assert recorder.notes[0].startswith("forecast for 6 multiplications: a search for settings of roughly 3 minutes")
    assert "(limited to 90 s)" in recorder.notes[0]
    assert "for the keys, 36 s for each proof and 900 MB of memory" in recorder.notes[0]


def test_forecast_precedes_the_normalisation(build):
    recorder = Recorder()
    engine = engine_with(search_seconds=lambda *_: 200.0, lower=None)
    with pytest.raises(TypeError):
        build(engine=engine, observer=recorder)
    assert "--search-seconds limits it" in recorder.notes[0]


def test_compile_of_a_far_too_large_model_is_refused_before_normalisation(build, leaves_nothing, monkeypatch):
    monkeypatch.setattr("zkinfer.circuits.engines.fake.normalise_model", None)
    with pytest.raises(TooCostlyError, match=r"about 9 GB.*8 bytes may be used.*most are in: Gemm y \(6, "):
        build(engine=engine_with(least_work=lambda _: costly(9 * 10**9)), options=replace(DEV, max_memory=8))
    leaves_nothing()


@pytest.mark.parametrize("limit", [8, None])
def test_compile_applies_the_memory_limit_to_every_step(build, monkeypatch, limit):
    monkeypatch.setattr("zkinfer.circuits.compile.usable_memory", lambda: 9)
    engine, limits = engine_with(), []
    engine.within = lambda memory: limits.append(memory) or engine
    build(engine=engine, options=replace(DEV, max_memory=limit))
    assert limits == [limit or 9]


def test_compile_caps_the_memory_limit_at_the_machine(build, monkeypatch):
    monkeypatch.setattr("zkinfer.circuits.compile.usable_memory", lambda: 8)
    with pytest.raises(TooCostlyError, match="8 bytes may be used"):
        build(engine=engine_with(work=lambda _: costly(9)), options=replace(DEV, max_memory=1 << 50))


def test_compile_without_a_limit_does_not_constrain_the_choice_by_memory(build):
    requests = []

    def tune(request, *, progress):
        requests.append(request)
        return TUNED

    build(engine=engine_with(tune=tune))
    assert requests[0].max_memory is None


@pytest.mark.parametrize("call", ["survey", "tune"])
@pytest.mark.parametrize("error", [EngineMemoryError, EngineTimeoutError])
def test_compile_out_of_memory_before_tuning_is_refused_with_costs(build, leaves_nothing, call, error):
    def fail(*_, **__):
        raise error("It ran out.")

    with pytest.raises(TooCostlyError, match=r"It ran out\. 1 GB may be used\. Of its 6 multi.*: Gemm y"):
        build(engine=engine_with(**{call: fail}), options=replace(DEV, max_memory=10**9))
    leaves_nothing()


@pytest.mark.parametrize(
    ("step", "named"),
    [
        ("compilation.inspect_model", ""),
        ("engines.fake.normalise_model", "Gemm y"),
        ("compilation.load_samples", "Gemm y"),
    ],
)
def test_compile_out_of_memory_while_parsing_is_refused_with_the_limit(build, monkeypatch, step, named):
    def fail(*_, **__):
        raise EngineMemoryError("It ran out.")

    monkeypatch.setattr(f"zkinfer.circuits.{step}", fail)
    with pytest.raises(TooCostlyError, match=rf"It ran out\. 1\.8 GB may be used\..*{named}"):
        build(options=replace(DEV, max_memory=None))


def test_compile_of_a_too_large_circuit_is_refused_before_keys(build, leaves_nothing, monkeypatch):
    monkeypatch.setattr("zkinfer.circuits.compilation.assemble", None)
    with pytest.raises(TooCostlyError, match=r"about 9 bytes of memory.*8 bytes may be used"):
        build(engine=engine_with(work=lambda _: costly(9)), options=replace(DEV, max_memory=8))
    leaves_nothing()


def test_compile_without_a_limit_allows_the_free_memory(build, monkeypatch):
    monkeypatch.setattr("zkinfer.circuits.compile.usable_memory", lambda: 8)
    with pytest.raises(TooCostlyError, match="8 bytes may be used"):
        build(engine=engine_with(work=lambda _: costly(9)))
    assert build(engine=engine_with(work=lambda _: costly(8))).cost.work.memory_bytes == 8


@pytest.mark.parametrize("name", ["hermez", "aztec"])
def test_compile_with_a_missing_setup_is_refused(build, name):
    with pytest.raises(SetupError, match="no trusted setup to compile with"):
        build(options=CompileOptions(setup=name))


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "is empty"), (b"not onnx", "not an ONNX file"), (None, "does not exist")]
)
def test_compile_of_an_invalid_model_file_is_refused(build, tmp_path, leaves_nothing, content, message):
    model = tmp_path / "bad.onnx"
    if content is not None:
        model.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        build(model=model)
    leaves_nothing(*([] if content is None else ["bad.onnx"]))


def test_compile_with_an_unknown_dimension_is_refused(build, leaves_nothing):
    with pytest.raises(UnsupportedModelError, match="'M'"):
        build(options=replace(DEV, dimensions={"M": 2}))
    leaves_nothing()


@pytest.mark.parametrize(("size", "kept"), [(1, {}), (2, {"N": 2})])
def test_compile_publishes_only_the_dimensions_with_an_effect(build, tmp_path, size, kept):
    model = factories.write_model(tmp_path / "batch.onnx", batch="N")
    compiled = build(model=model, options=replace(DEV, dimensions={"N": size}))
    assert compiled.circuit.manifest.recipe.dimensions == kept


def test_compile_with_samples_for_another_model_is_refused(build, tmp_path):
    (tmp_path / "samples.json").write_text(json.dumps({"z": [[1, 2, 3]]}))
    with pytest.raises(DataError, match="lacks the input 'x'"):
        build(calibration=tmp_path / "samples.json")


# --- engines that lie


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0", lambda data: b""])
def test_compile_with_a_proof_of_the_wrong_length_is_refused(build, leaves_nothing, change):
    def prove(*arguments):
        proof = FAKE.prove(*arguments)
        return Proof(change(proof.data), proof.statement)

    with pytest.raises(EngineError, match=r"A proof has \d+ bytes where the keys say 32"):
        build(engine=engine_with(prove=prove, verify=lambda *_: None))
    leaves_nothing()


def test_compile_with_an_invalid_proof_is_refused(build, leaves_nothing):
    def prove(*arguments):
        proof = FAKE.prove(*arguments)
        return Proof(bytes(32), proof.statement)

    with pytest.raises(ProofRejectedError, match="does not hold"):
        build(engine=engine_with(prove=prove))
    leaves_nothing()


def test_compile_with_a_valid_proof_of_another_inference_is_refused(build):
    def prove(folder, program, setup, key, inputs, context):
        return FAKE.prove(folder, program, setup, key, [[0, 0, 0]], context)

    with pytest.raises(EngineError, match="other inputs than it was given"):
        build(engine=engine_with(prove=prove))


@pytest.mark.parametrize(
    "change", [lambda sample: [[*sample[0], 0]], lambda sample: [sample[0][:1]]], ids=["more", "fewer"]
)
def test_compile_with_answers_of_the_wrong_size_is_refused(build, leaves_nothing, change):
    def forward(*arguments):
        return [change(sample) for sample in FAKE.forward(*arguments)]

    with pytest.raises((DataError, EngineError), match="number or size of the engine's answers"):
        build(engine=engine_with(forward=forward))
    leaves_nothing()


@pytest.mark.parametrize("change", [lambda answers: answers[1:], lambda answers: [], lambda answers: [[]] * 16])
def test_compile_with_too_few_answers_is_refused(build, change):
    with pytest.raises(EngineError, match="answers"):
        build(engine=engine_with(forward=lambda *arguments: change(FAKE.forward(*arguments))))


def test_compile_uses_a_copy_of_the_model(build, tiny_model, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(tiny_model.read_bytes())

    def tune(request, *, progress):
        factories.write_model(model, bias=0.75)
        return TUNED

    circuit = build(model=model, engine=engine_with(tune=tune)).circuit
    assert circuit.manifest.identity.model == str(sha256_file(tiny_model))


def test_options_are_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError, match="setup"):
        CompileOptions().setup = "insecure-dev"
