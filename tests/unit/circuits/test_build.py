import contextlib
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import onnx
import pytest
from onnx import helper
from tests.unit.circuits import factories
from tests.unit.circuits.factories import X, engine_failing_at, engine_with, everything_under, write_model

from zkinfer.circuits.build import effective_dimensions, evaluate_circuit, rebuild
from zkinfer.circuits.engines import fake
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import (
    OUT_OF_RANGE,
    CircuitError,
    EngineError,
    InputError,
    ModelError,
    RangeError,
    UnsupportedModelError,
)
from zkinfer.circuits.frontend import inspect_model
from zkinfer.circuits.samples import Samples
from zkinfer.circuits.tensors import TensorSpec

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def recipe(compiled):
    return compiled.manifest.recipe


@pytest.fixture
def rebuild_tiny(tiny_model, recipe, dev_home, tmp_path):
    """Rebuild the tiny circuit into this test's cache, with overrides."""
    setup = dev_home.setups.find(3, "insecure-dev")
    usual = {"model": tiny_model, "recipe": recipe, "engine": FakeEngine(), "setup": setup, "cache": tmp_path / "cache"}

    def call(**changes):
        arguments = usual | changes
        return rebuild(arguments.pop("model"), arguments.pop("recipe"), **arguments)

    return call


@pytest.fixture(scope="session")
def filled(tiny_model, compiled, dev_home, tmp_path_factory):
    """A cache with one entry, made once."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        factories.without_children(patch)
        setup = dev_home.setups.find(3, "insecure-dev")
        return rebuild(tiny_model, compiled.manifest.recipe, engine=FakeEngine(), setup=setup, cache=cache).folder


@pytest.fixture
def entry(filled, tmp_path):
    return shutil.copytree(filled, tmp_path / "cache" / filled.name)


def test_rebuild_reproduces_the_compiled_circuit(rebuild_tiny, compiled):
    rebuilt = rebuild_tiny()
    assert rebuilt.identity == compiled.manifest.identity
    assert rebuilt.program == compiled.manifest.program
    assert rebuilt.proof_bytes == compiled.manifest.keys.proof_bytes


def test_rebuild_keeps_no_proving_key_and_no_model(rebuild_tiny):
    names = {path.name for path in rebuild_tiny().folder.iterdir()}
    assert names == {"network.onnx", "program.json", "rebuilt.json", "vk"}


def test_second_rebuild_does_not_call_the_engine(rebuild_tiny, entry):
    assert rebuild_tiny(engine=engine_failing_at("build")).folder == entry


def test_rebuild_of_a_renamed_model_is_found_in_the_cache(rebuild_tiny, entry, tiny_model, tmp_path):
    renamed = shutil.copy(tiny_model, tmp_path / "renamed.onnx")
    assert rebuild_tiny(model=renamed, engine=engine_failing_at("build")).folder == entry


def test_rebuild_with_a_larger_setup_is_found_in_the_cache(rebuild_tiny, entry, dev_home):
    larger = dev_home.setups.find(5, "insecure-dev")
    assert rebuild_tiny(setup=larger, engine=engine_failing_at("build")).folder == entry


def test_rebuild_with_any_other_argument_is_another_entry(rebuild_tiny, recipe, entry, tmp_path):
    other_model = factories.write_model(tmp_path / "other.onnx", bias=0.75)
    changes = [
        {"model": other_model},
        {"recipe": recipe.model_copy(update={"run_arguments": {"scale": 7}})},
        {"recipe": recipe.model_copy(update={"dimensions": {"M": 2}})},
    ]
    folders = {rebuild_tiny(**change).folder for change in changes[:2]}
    assert len(folders | {entry}) == 3
    with pytest.raises(UnsupportedModelError, match="M"):
        rebuild_tiny(**changes[2])


def test_rebuild_with_a_dimension_without_effect_is_refused(rebuild_tiny, recipe, tmp_path):
    model = factories.write_model(tmp_path / "batch.onnx", batch="N")
    rebuilt = [
        rebuild_tiny(model=model, recipe=recipe.model_copy(update={"dimensions": one})) for one in ({}, {"N": 2})
    ]
    assert rebuilt[0].identity != rebuilt[1].identity
    with pytest.raises(
        UnsupportedModelError, match="sets dimension 'N' to 1, which it is anyway; a circuit has one rec"
    ):
        rebuild_tiny(model=model, recipe=recipe.model_copy(update={"dimensions": {"N": 1}}))


def test_dimension_of_size_one_beyond_the_first_has_an_effect(tmp_path):
    ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", "N"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    assert effective_dimensions(inspect_model(tmp_path / "m.onnx"), {"N": 1}) == {"N": 1}


def test_rebuild_with_another_normaliser_is_refused(rebuild_tiny, recipe):
    other = recipe.model_copy(update={"normaliser": "zkinfer-normal/1"})
    with pytest.raises(
        UnsupportedModelError, match=r"names the normaliser zkinfer-normal/1; this version has.*new attest"
    ):
        rebuild_tiny(recipe=other)


@pytest.mark.parametrize("arguments", [{}, {"scale": 17}, {"scale": True}, {"scale": 8, "check": False}])
def test_rebuild_with_run_arguments_that_the_engine_refuses_leaves_nothing(rebuild_tiny, recipe, tmp_path, arguments):
    with pytest.raises(EngineError, match="one integer, scale"):
        rebuild_tiny(recipe=recipe.model_copy(update={"run_arguments": arguments}))
    assert everything_under(tmp_path / "cache") == set()


@pytest.mark.parametrize("call", ["check_run_arguments", "build", "make_keys"])
def test_failed_rebuild_leaves_nothing_and_can_be_retried(rebuild_tiny, tmp_path, call):
    with pytest.raises(EngineError, match=f"It broke at {call}"):
        rebuild_tiny(engine=engine_failing_at(call))
    assert everything_under(tmp_path / "cache") == set()
    assert rebuild_tiny().folder.is_dir()


@pytest.mark.parametrize(("name", "message"), [("missing.onnx", "does not exist"), ("empty.onnx", "is empty")])
def test_rebuild_without_a_model_is_refused(rebuild_tiny, tmp_path, name, message):
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(ModelError, match=message):
        rebuild_tiny(model=tmp_path / name)


@pytest.mark.parametrize("name", ["vk", "network.onnx", "program.json"])
def test_entry_with_a_file_changed_is_refused_with_the_cure(rebuild_tiny, entry, name):
    with (entry / name).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(CircuitError, match=rf"{name} was changed\. Remove {entry} and verify again"):
        rebuild_tiny()


@pytest.mark.parametrize("name", ["vk", "network.onnx", "rebuilt.json"])
def test_entry_with_a_file_writable_by_others_is_refused(rebuild_tiny, entry, name):
    (entry / name).chmod(0o666)
    with pytest.raises(InputError, match=rf"Other users can write to .*{name}.*chmod go-w"):
        rebuild_tiny()


def test_entry_with_an_unlisted_file_is_refused(rebuild_tiny, entry):
    (entry / "settings.json").write_text("{}")
    with pytest.raises(CircuitError, match=r"unlisted file 'settings\.json'.*Remove"):
        rebuild_tiny()


@pytest.mark.parametrize("name", ["vk", "network.onnx", "program.json", "rebuilt.json"])
def test_entry_with_a_file_missing_is_refused_with_the_cure(rebuild_tiny, entry, name):
    (entry / name).unlink()
    with pytest.raises(CircuitError, match=rf"damaged or from a different version\. Remove {entry} and verify again"):
        rebuild_tiny()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"\n",
        lambda data: b"{}",
        lambda data: b"[]",
        lambda data: b"\xff",
        lambda data: data.replace(b'"files"', b'"Files"'),
        lambda data: data.replace(b'"setup_size":3', b'"setup_size":"3"'),
        lambda data: data.replace(b"keccak256:", b"keccak:"),
        lambda data: data.replace(b"32", b"-3.5", 1),
    ],
    ids=range(10),
)
def test_entry_with_a_damaged_record_is_refused_with_the_cure(rebuild_tiny, entry, change):
    record = entry / "rebuilt.json"
    record.write_bytes(change(record.read_bytes()))
    with pytest.raises(CircuitError, match=r"was changed|damaged or from a different version\. Remove"):
        rebuild_tiny()


def test_entry_published_by_another_process_meanwhile_is_used(rebuild_tiny, tmp_path):
    def slow(folder, setup, proving_key):
        rebuild_tiny()
        return FakeEngine().make_keys(folder, setup, proving_key)

    assert rebuild_tiny(engine=engine_with(make_keys=slow)).folder.is_dir()
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_concurrent_rebuilds_agree(rebuild_tiny, tmp_path):
    together = threading.Barrier(2)

    def wait(folder, setup, proving_key):
        time.sleep(0.2 * together.wait())  # both have started; one publishes first
        return FakeEngine().make_keys(folder, setup, proving_key)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: rebuild_tiny(engine=engine_with(make_keys=wait)), range(2))
    assert first == second
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_model_modified_during_a_rebuild_does_not_corrupt_the_cache(
    rebuild_tiny, compiled, tiny_model, tmp_path, monkeypatch
):
    model = shutil.copy(tiny_model, tmp_path / "model.onnx")
    normalise = fake.normalise_model

    def changed_first(path, *arguments, **options):
        factories.write_model(path, bias=0.75)
        return normalise(path, *arguments, **options)

    with monkeypatch.context() as patch, contextlib.suppress(ModelError, CircuitError):
        patch.setattr(fake, "normalise_model", changed_first)
        rebuild_tiny(model=model)
    assert rebuild_tiny().identity == compiled.manifest.identity


# --- evaluation on a held-out sample

Y = (X @ [[1, -1], [0.5, 2], [-0.25, 1]] + [0.5, 0]).astype("float32")
SAMPLES = Samples({"x": X[None]}, {"y": Y[None]}, "held-out", (7,))


@pytest.fixture
def evaluated(tmp_path):
    """Evaluate the tiny model's program on a sample, by an engine with these methods replaced."""
    specs = [[TensorSpec(name=name, dtype="float32", shape=(1, size))] for name, size in (("x", 3), ("y", 2))]
    network = write_model(tmp_path / "m.onnx")
    (tmp_path / "program").mkdir()
    program = FakeEngine().build(network, *specs, {"scale": 8}, tmp_path / "program")
    return lambda **calls: evaluate_circuit(engine_with(**calls), tmp_path / "program", program, {"scale": 8}, SAMPLES)


def fail(*_):
    raise RangeError("It left the range.")


def test_held_out_sample_within_the_range_is_evaluated(evaluated):
    fidelity, headroom = evaluated()
    assert (fidelity.samples, fidelity.agreement, fidelity.error_max) == (1, 1.0, 0.0)
    assert headroom > 1


@pytest.mark.parametrize("call", ["forward", "headroom"])
def test_sample_beyond_the_range_is_refused_with_a_cure(evaluated, call):
    with pytest.raises(RangeError, match=r"A held-out sample leaves the range.*Give more calibration samples"):
        evaluated(**{call: fail})


@pytest.mark.parametrize(
    ("cause", "told"),
    [("Log 'y' is defined for x > 0.", " Log 'y' is defined for x > 0."), (OUT_OF_RANGE[0], "")],
)
def test_sample_beyond_the_range_is_refused_with_the_engines_cause_if_it_is_special(evaluated, cause, told):
    def refuse(*_):
        raise RangeError(cause)

    with pytest.raises(RangeError) as refusal:
        evaluated(forward=refuse)
    assert refusal.value.cause == "A held-out sample leaves the range that the calibration samples span." + told


@pytest.mark.parametrize("answers", [[], [[[1, 2]], [[1, 2]]], [[[1]]], [[]]])
def test_answers_of_the_wrong_number_or_size_are_refused(evaluated, answers):
    with pytest.raises(EngineError, match="number or size of the engine's answers"):
        evaluated(forward=lambda *_: answers)
