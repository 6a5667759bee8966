import contextlib
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.circuits import factories
from tests.unit.circuits.factories import X, engine_failing_at, engine_with, everything_under, write_model

from zkinfer.circuits.build import evaluate_circuit, rebuild
from zkinfer.circuits.engines import fake
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import CircuitError, EngineError, ModelError, RangeError, UnsupportedModelError
from zkinfer.circuits.samples import Samples
from zkinfer.circuits.tensors import TensorSpec

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def recipe(compiled):
    return compiled.manifest.recipe


@pytest.fixture
def again(tiny, recipe, dev_home, tmp_path):
    """Rebuild the tiny circuit into this test's cache, with changes."""
    setup = dev_home.setups.find(3, "insecure-dev")
    usual = {"model": tiny, "recipe": recipe, "engine": FakeEngine(), "setup": setup, "cache": tmp_path / "cache"}

    def call(**changes):
        arguments = usual | changes
        return rebuild(arguments.pop("model"), arguments.pop("recipe"), **arguments)

    return call


@pytest.fixture(scope="session")
def filled(tiny, compiled, dev_home, tmp_path_factory):
    """A cache with one entry, made once."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        factories.without_children(patch)
        setup = dev_home.setups.find(3, "insecure-dev")
        return rebuild(tiny, compiled.manifest.recipe, engine=FakeEngine(), setup=setup, cache=cache).folder


@pytest.fixture
def entry(filled, tmp_path):
    return shutil.copytree(filled, tmp_path / "cache" / filled.name)


def test_rebuild_gives_the_circuit_that_was_compiled(again, compiled):
    rebuilt = again()
    assert rebuilt.identity == compiled.manifest.identity
    assert rebuilt.program == compiled.manifest.program
    assert rebuilt.proof_bytes == compiled.manifest.keys.proof_bytes


def test_rebuild_keeps_no_proving_key_and_no_model(again):
    names = {path.name for path in again().folder.iterdir()}
    assert names == {"network.onnx", "program.json", "rebuilt.json", "vk"}


def test_rebuild_again_does_not_ask_the_engine(again, entry):
    assert again(engine=engine_failing_at("build")).folder == entry


def test_rebuild_of_a_renamed_model_is_found_in_the_cache(again, entry, tiny, tmp_path):
    renamed = shutil.copy(tiny, tmp_path / "renamed.onnx")
    assert again(model=renamed, engine=engine_failing_at("build")).folder == entry


def test_rebuild_with_a_larger_setup_is_found_in_the_cache(again, entry, dev_home):
    larger = dev_home.setups.find(5, "insecure-dev")
    assert again(setup=larger, engine=engine_failing_at("build")).folder == entry


def test_rebuild_with_anything_else_is_another_entry(again, recipe, entry, tmp_path):
    other_model = factories.write_model(tmp_path / "other.onnx", bias=0.75)
    changes = [
        {"model": other_model},
        {"recipe": recipe.model_copy(update={"run_arguments": {"scale": 7}})},
        {"recipe": recipe.model_copy(update={"dimensions": {"M": 2}})},
    ]
    folders = {again(**change).folder for change in changes[:2]}
    assert len(folders | {entry}) == 3
    with pytest.raises(UnsupportedModelError, match="M"):
        again(**changes[2])


def test_rebuild_with_another_normaliser_is_refused(again, recipe):
    other = recipe.model_copy(update={"normaliser": "zkinfer-normal/1"})
    with pytest.raises(
        UnsupportedModelError, match=r"names the normaliser zkinfer-normal/1; this version has.*new attest"
    ):
        again(recipe=other)


@pytest.mark.parametrize("arguments", [{}, {"scale": 17}, {"scale": True}, {"scale": 8, "check": False}])
def test_rebuild_with_run_arguments_that_the_engine_refuses_leaves_nothing(again, recipe, tmp_path, arguments):
    with pytest.raises(EngineError, match="one integer, scale"):
        again(recipe=recipe.model_copy(update={"run_arguments": arguments}))
    assert everything_under(tmp_path / "cache") == set()


@pytest.mark.parametrize("call", ["check_run_arguments", "build", "make_keys"])
def test_rebuild_that_fails_leaves_nothing_and_is_tried_again(again, tmp_path, call):
    with pytest.raises(EngineError, match=f"It broke at {call}"):
        again(engine=engine_failing_at(call))
    assert everything_under(tmp_path / "cache") == set()
    assert again().folder.is_dir()


@pytest.mark.parametrize(("name", "message"), [("missing.onnx", "does not exist"), ("empty.onnx", "is empty")])
def test_rebuild_without_a_model_is_refused(again, tmp_path, name, message):
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(ModelError, match=message):
        again(model=tmp_path / name)


@pytest.mark.parametrize("name", ["vk", "network.onnx", "program.json"])
def test_entry_with_a_file_changed_is_refused_with_the_cure(again, entry, name):
    with (entry / name).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(CircuitError, match=rf"{name} was changed\. Remove {entry} and verify again"):
        again()


@pytest.mark.parametrize("name", ["vk", "network.onnx", "program.json", "rebuilt.json"])
def test_entry_with_a_file_missing_is_refused_with_the_cure(again, entry, name):
    (entry / name).unlink()
    with pytest.raises(CircuitError, match=rf"damaged or from a different version\. Remove {entry} and verify again"):
        again()


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
def test_entry_with_a_damaged_record_is_refused_with_the_cure(again, entry, change):
    record = entry / "rebuilt.json"
    record.write_bytes(change(record.read_bytes()))
    with pytest.raises(CircuitError, match=r"was changed|damaged or from a different version\. Remove"):
        again()


def test_entry_that_another_process_made_meanwhile_is_used(again, tmp_path):
    def slow(folder, setup, proving_key):
        again()
        return FakeEngine().make_keys(folder, setup, proving_key)

    assert again(engine=engine_with(make_keys=slow)).folder.is_dir()
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_rebuilds_at_the_same_time_agree(again, tmp_path):
    together = threading.Barrier(2)

    def wait(folder, setup, proving_key):
        time.sleep(0.2 * together.wait())  # both have begun; one publishes first
        return FakeEngine().make_keys(folder, setup, proving_key)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: again(engine=engine_with(make_keys=wait)), range(2))
    assert first == second
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_model_that_changes_meanwhile_does_not_spoil_the_cache(again, compiled, tiny, tmp_path, monkeypatch):
    model = shutil.copy(tiny, tmp_path / "model.onnx")
    normalise = fake.normalise_model

    def changed_first(path, *arguments, **options):
        factories.write_model(path, bias=0.75)
        return normalise(path, *arguments, **options)

    with monkeypatch.context() as patch, contextlib.suppress(ModelError, CircuitError):
        patch.setattr(fake, "normalise_model", changed_first)
        again(model=model)
    assert again().identity == compiled.manifest.identity


Y = (X @ [[1, -1], [0.5, 2], [-0.25, 1]] + [0.5, 0]).astype("float32")
SAMPLES = Samples({"x": X[None]}, {"y": Y[None]}, "held-out", (7,))


@pytest.fixture
def evaluated(tmp_path):
    """What a sample says of the tiny model's program, by an engine with these calls."""
    specs = [[TensorSpec(name=name, dtype="float32", shape=(1, size))] for name, size in (("x", 3), ("y", 2))]
    network = write_model(tmp_path / "m.onnx")
    (tmp_path / "program").mkdir()
    program = FakeEngine().build(network, *specs, {"scale": 8}, tmp_path / "program")
    return lambda **calls: evaluate_circuit(engine_with(**calls), tmp_path / "program", program, {"scale": 8}, SAMPLES)


def fail(*_):
    raise RangeError("It left the range.")


def test_sample_that_the_circuit_answers_well_says_so(evaluated):
    fidelity, headroom = evaluated()
    assert (fidelity.samples, fidelity.agreement, fidelity.error_max) == (1, 1.0, 0.0)
    assert headroom > 1


@pytest.mark.parametrize("call", ["forward", "headroom"])
def test_sample_beyond_the_range_is_refused_with_what_would_help(evaluated, call):
    with pytest.raises(RangeError, match=r"A held-out sample leaves the range.*Give more calibration samples"):
        evaluated(**{call: fail})


@pytest.mark.parametrize("answers", [[], [[[1, 2]], [[1, 2]]], [[[1]]], [[]]])
def test_answers_of_another_number_or_size_are_refused(evaluated, answers):
    with pytest.raises(EngineError, match="number or size of the engine's answers"):
        evaluated(forward=lambda *_: answers)
