import json
import re
import shutil

import numpy as np
import pytest
from tests.unit.circuits.factories import DOCUMENT, at, places, rewritten, with_value, without

from zkinfer.circuits import Circuit, canonical
from zkinfer.circuits.digest import sha256, sha256_file
from zkinfer.circuits.errors import CircuitError
from zkinfer.circuits.fidelity import ERROR_EDGES, Fidelity, Worst
from zkinfer.circuits.manifest import FidelityReport, InputRange, parse_manifest

DATA = canonical.dump(DOCUMENT)
ALL = list(places(DOCUMENT))
FREE = {("recipe", "runArguments", "scale"), ("program", "figures", "elements")}  # defined and checked by the engine
NULLABLE = {
    ("keys", "provingKey"),
    ("fidelity", "accuracy"),
    ("choice", "maxAbsoluteError"),
    ("choice", "maxAccuracyDrop"),
}
FIXED = {("program", "layout", name) for name in ("inputWidth", "signed")}  # determined by the other fields
OPTIONAL = ("choice",)  # absent in older circuits
ADDED = {("fidelity", "columns"), ("fidelity", "inputs")}  # these too
NAMED = {("files", "model.onnx"), ("files", "vk"), ("operators", "Gemm"), ("recipe", "dimensions", "N")}
HAVE_A_DEFAULT = {"format", "hashed", "scale", "visibility"}
FIELDS = [path for path in ALL if isinstance(path[-1], str) and path not in FREE | NAMED]
OPEN = {"figures", "files", "operators", "dimensions", "runArguments"}  # objects with free keys
OBJECTS = [(), *(path for path in ALL if isinstance(at(DOCUMENT, path), dict) and path[-1] not in OPEN)]
INTEGERS = [path for path in ALL if type(at(DOCUMENT, path)) is int and path not in FREE]


def parse(document):
    return parse_manifest(canonical.dump(document))


def name(path):
    return ".".join(map(str, path))


def test_manifest_round_trips():
    assert parse_manifest(DATA).to_bytes() == DATA


def test_digest_is_the_hash_of_the_file():
    assert parse_manifest(DATA).digest == sha256(DATA)


@pytest.mark.parametrize("path", [path for path in ALL if path not in FREE | NULLABLE | {OPTIONAL}], ids=name)
def test_manifest_with_null_anywhere_is_refused(path):
    with pytest.raises(CircuitError, match="The manifest is not valid at"):
        parse(with_value(DOCUMENT, path, None))


def test_manifest_without_a_choice_round_trips():
    older = canonical.dump(without(DOCUMENT, OPTIONAL))
    assert parse_manifest(older).choice is None
    assert parse_manifest(older).to_bytes() == older


@pytest.mark.parametrize("path", sorted(ADDED), ids=name)
def test_manifest_of_an_older_version_lacks_columns_and_ranges_and_keeps_its_bytes(path):
    older = canonical.dump(without(DOCUMENT, path))
    assert getattr(parse_manifest(older).fidelity, path[-1]) == ()
    assert parse_manifest(older).to_bytes() == older


@pytest.mark.parametrize("path", sorted(ADDED), ids=name)
def test_manifest_with_an_empty_list_of_columns_or_ranges_is_refused(path):
    with pytest.raises(CircuitError, match="in a form that is not canonical"):
        parse(with_value(DOCUMENT, path, []))


def test_manifest_with_null_for_its_choice_is_refused():
    with pytest.raises(CircuitError, match="in a form that is not canonical"):
        parse(with_value(DOCUMENT, OPTIONAL, None))


@pytest.mark.parametrize("samples", [0, -1])
def test_choice_without_samples_is_refused(samples):
    with pytest.raises(CircuitError, match=r"not valid at choice\.samples"):
        parse(with_value(DOCUMENT, ("choice", "samples"), samples))


@pytest.mark.parametrize(
    "path", [path for path in FIELDS if path[-1] not in HAVE_A_DEFAULT and path not in {OPTIONAL, *ADDED}], ids=name
)
def test_manifest_without_a_field_is_refused(path):
    with pytest.raises(CircuitError, match="Field required"):
        parse(without(DOCUMENT, path))


@pytest.mark.parametrize("path", [path for path in FIELDS if path[-1] in HAVE_A_DEFAULT], ids=name)
def test_manifest_without_an_explicit_default_is_refused(path):
    with pytest.raises(CircuitError, match="manifest"):
        parse(without(DOCUMENT, path))


def test_manifest_with_an_integer_for_a_float_is_refused():
    with pytest.raises(CircuitError, match="manifest"):
        parse(with_value(DOCUMENT, ("fidelity", "agreement"), 1))


def test_manifest_with_a_field_under_its_python_name_is_refused():
    renamed = with_value(without(DOCUMENT, ("fidelity", "errorMax")), ("fidelity", "error_max"), 0.5)
    with pytest.raises(CircuitError, match="manifest"):
        parse(renamed)


@pytest.mark.parametrize(
    "path",
    [path for path in OBJECTS if path[-1:] not in [("operators",), ("dimensions",), ("runArguments",)]],
    ids=name,
)
def test_manifest_with_an_unknown_field_is_refused(path):
    with pytest.raises(CircuitError, match="The manifest is not valid at"):
        parse(with_value(DOCUMENT, (*path, "Comment"), "hello"))


@pytest.mark.parametrize("path", INTEGERS, ids=name)
@pytest.mark.parametrize("value", [1.5, "1", True, []], ids=repr)
def test_manifest_with_a_non_integer_for_an_integer_is_refused(path, value):
    with pytest.raises(CircuitError, match="The manifest is not valid at"):
        parse(with_value(DOCUMENT, path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "zkinfer-circuit/2"),
        (("fidelity", "data"), "real"),
        (("fidelity", "errorHistogram", "counts"), [20, 10]),
        (("fidelity", "errorHistogram", "edges"), [0.25, 0.125]),
        (("fidelity", "errorHistogram", "edges"), [0.25, 0.25]),
        (("fidelity", "errorHistogram", "edges"), [0.0, 0.25]),
        (("fidelity", "errorHistogram", "counts"), [20, -1, 2]),
        (("fidelity", "errorHistogram", "counts"), [20, 10**400, 2]),
        (("fidelity", "worst"), [{"error": 0.5, "sameAnswer": True, "sample": 7}] * 6),
        (("fidelity", "worst", 0, "sameAnswer"), 1),
        (("fidelity", "accuracy", "output"), 0),
        (("fidelity", "accuracy", "output"), "y" * 257),
        (("fidelity", "samples"), "16"),
        (("identity", "model"), "sha256:" + "AB" * 32),
        (("identity", "verifyingKey"), "sha256:" + "44" * 32),
        (("keys", "provingKey"), "55" * 32),
        (("recipe", "inputVisibility"), "secret"),
        (("files",), {"../vk": "sha256:" + "22" * 32}),
        (("files",), {"a/b": "sha256:" + "22" * 32}),
        (("files",), {"": "sha256:" + "22" * 32}),
        (("files",), {".hidden": "sha256:" + "22" * 32}),
        (("files",), {"VK": "sha256:" + "22" * 32}),
        (("files",), {"a" * 65: "sha256:" + "22" * 32}),
        (("files",), {"vk\n": "sha256:" + "22" * 32}),
        (("program", "setup_size"), 29),
        (("program", "setup_size"), -1),
        (("program", "integer_limit"), 0),
        (("program", "layout", "visibility"), "secret"),
        (("program", "layout", "inputWidth"), 3),
        (("program", "layout", "outputs"), 0),
        (("program", "inputs", 0, "shape"), [0]),
        (("program", "inputs", 0, "dtype"), "string"),
    ],
)  # fmt: skip
def test_manifest_with_a_malformed_field_is_refused(path, value):
    with pytest.raises(CircuitError, match=f"The manifest is not valid at {path[0]}"):
        parse(with_value(DOCUMENT, path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("keys", "proofBytes"), -1),
        (("keys", "provingKeyBytes"), -1),
        (("keys", "verifyingKeyBytes"), -1),
        (("parameters",), -1),
        (("operators", "Gemm"), -1),
        (("fidelity", "samples"), 0),
        (("fidelity", "agreement"), 1.5),
        (("fidelity", "errorMax"), -0.5),
        (("fidelity", "absoluteMax"), -0.5),
        (("fidelity", "accuracy", "model"), 1.5),
    ],
)
def test_manifest_with_an_impossible_number_is_refused(path, value):
    with pytest.raises(CircuitError, match=path[-1]):
        parse(with_value(DOCUMENT, path, value))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The manifest is not JSON"),
        (b"{}", "not valid at fidelity: Field required|not valid at identity: Field required"),
        (b"[]", "The manifest is not valid"),
        (DATA + b"\n", "not in canonical form"),
        (DATA.replace(b",", b", "), "not in canonical form"),
        (json.dumps(dict(reversed(DOCUMENT.items())), separators=(",", ":")).encode(), "not in canonical form"),
        (DATA.replace(b'"samples":16', b'"samples":16,"samples":16'), "the key 'samples' twice"),
        (DATA.replace(b"0.5", b"NaN"), "holds NaN"),
        (DATA.replace(b"0.5", b"1e999"), "overflows"),
        (b"\xef\xbb\xbf" + DATA, "BOM"),
        (DATA.replace(b"Gemm", b"\xff"), "not UTF-8"),
        (DATA[:-1], "not JSON"),
        (b" " * (1 << 22) + DATA, "over the limit of 4,194,304"),
    ],
    ids=range(13),
)
def test_non_canonical_manifest_is_refused(data, message):
    with pytest.raises(CircuitError, match=message):
        parse_manifest(data)


def test_manifest_without_accuracy_is_accepted():
    assert parse(with_value(DOCUMENT, ("fidelity", "accuracy"), None)).fidelity.accuracy is None


def test_fidelity_report_rounds_errors_to_three_digits_and_keeps_shares():
    counts = (1, *[0] * len(ERROR_EDGES))
    found = Fidelity(3, 2 / 3, 0.0123456, 0.1, 0.2, 2.34567, 12345.6, counts, (Worst(5, 1 / 3, True),))
    report = FidelityReport.of(found, "held-out", {"x": np.array([[0.125, -3.0], [0.0625, 7.5]])})
    assert report.inputs == (InputRange(name="x", low=-3.0, high=7.5, least_peak=3.0),)
    assert (report.agreement, report.error_p50, report.error_max) == (2 / 3, 0.0123, 2.35)
    assert (report.absolute_max, report.worst[0].error) == (12300.0, 0.333)
    assert (report.error_histogram.counts, report.error_histogram.edges) == (counts, ERROR_EDGES)


def measured_for(*inputs):
    manifest = parse_manifest(DATA)
    return manifest.model_copy(update={"fidelity": manifest.fidelity.model_copy(update={"inputs": inputs})})


MEASURED = InputRange(name="x", low=-2.0, high=3.5, least_peak=0.25)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([-2.5, 0], r"^Input 'x' holds values from -2\.5 to 0; .* measured for values from -2 to 3\.5\.$"),
        ([0, 3.6], "from 0 to 3.6; the circuit's fidelity was measured for values from -2 to 3.5"),
        ([0, 0], r"^The values of input 'x' are 0 at most; in each sample .* is 0\.25 or more\.$"),
        ([0.024, -0.001], "are 0.024 at most"),
    ],
)
def test_inputs_outside_of_the_measured_range_are_said_to_be(values, said):
    [text] = measured_for(MEASURED).unmeasured({"x": np.array([values])})
    assert re.search(said, text)


@pytest.mark.parametrize("values", [[-2, 3.5], [0.026, 0], [0, -1]])
def test_inputs_within_the_measured_range_are_not_mentioned(values):
    assert measured_for(MEASURED).unmeasured({"x": np.array([values])}) == ()


def test_inputs_of_an_older_circuit_without_ranges_are_not_mentioned():
    assert measured_for().unmeasured({"x": np.array([1e9])}) == ()


def test_inputs_that_all_round_to_zero_are_said_to():
    manifest = measured_for(MEASURED.model_copy(update={"least_peak": 0.001}))
    assert manifest.program.inputs[0].scale == 8
    [text] = manifest.unmeasured({"x": np.array([0.0019, 0])})
    assert text == "All values of input 'x' round to 0 at the circuit's scale."
    assert manifest.unmeasured({"x": np.array([0.002, 0])}) == manifest.unmeasured({"x": np.zeros(2)})[:0]


@pytest.mark.parametrize(
    "path", [path for path in FIELDS if isinstance(at(DOCUMENT, path), int | float) and path not in FIXED], ids=name
)
def test_digest_changes_with_every_number(path):
    number = at(DOCUMENT, path)
    changed = with_value(
        DOCUMENT, path, not number if number is False else number / 2 if isinstance(number, float) else number + 1
    )
    assert parse(changed).digest != sha256(DATA)


# --- circuit folders

FILES = ["model.onnx", "network.onnx", "program.json", "vk"]


def test_open_verifies_the_folder(compiled):
    circuit = Circuit.open(compiled.folder)
    assert circuit == compiled
    assert circuit.digest == sha256_file(compiled.folder / "manifest.json")
    assert circuit.model_id == circuit.manifest.identity.model_id


def test_open_copy_elsewhere_is_the_same_circuit(compiled, folder):
    assert Circuit.open(folder).digest == compiled.digest


@pytest.mark.parametrize("name", FILES)
def test_open_with_any_byte_changed_is_refused(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(CircuitError, match=rf"{name} is not the file that the manifest names\. Copy the circuit again"):
        Circuit.open(folder)


@pytest.mark.parametrize("name", FILES)
def test_open_with_a_file_missing_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(CircuitError, match=f"disagree about {name}"):
        Circuit.open(folder)


@pytest.mark.parametrize("name", ["extra", ".hidden", "manifest.json.bak", "Manifest.json"])
@pytest.mark.parametrize("kind", ["touch", "mkdir"])
def test_open_with_an_extra_file_is_refused(folder, name, kind):
    getattr(folder / name, kind)()
    with pytest.raises(CircuitError, match=f"disagree about {name}"):
        Circuit.open(folder)


@pytest.mark.parametrize("name", FILES)
def test_open_with_a_link_for_a_file_is_refused(folder, tmp_path, name):
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CircuitError, match=f"{name} is not the file that the manifest names"):
        Circuit.open(folder)


def test_open_with_a_folder_for_a_file_is_refused(folder):
    (folder / "vk").unlink()
    (folder / "vk").mkdir()
    with pytest.raises(CircuitError, match="vk is not the file"):
        Circuit.open(folder)


def test_open_without_a_manifest_is_refused_with_the_cure(folder):
    (folder / "manifest.json").unlink()
    with pytest.raises(
        CircuitError, match=r"is not a circuit: it has no manifest\.json\. Make one with `zkinfer compile"
    ):
        Circuit.open(folder)


@pytest.mark.parametrize("name", ["missing", "file"])
def test_open_of_a_missing_folder_is_refused(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(CircuitError, match="is not a circuit"):
        Circuit.open(tmp_path / name)


def test_open_with_a_folder_for_the_manifest_is_refused(folder):
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").mkdir()
    with pytest.raises(CircuitError, match="cannot be read: is a directory"):
        Circuit.open(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"])
def test_open_with_a_malformed_manifest_is_refused(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(CircuitError, match="The manifest"):
        Circuit.open(folder)


def test_open_with_the_identity_of_another_model_is_refused(folder):
    rewritten(folder, lambda document: document["identity"].update(model="sha256:" + "00" * 32))
    with pytest.raises(CircuitError, match="does not hold the model that it claims to be made from"):
        Circuit.open(folder)


def test_open_with_model_and_manifest_replaced_consistently_is_another_circuit(compiled, folder):
    (folder / "model.onnx").write_bytes(b"another")
    other = str(sha256_file(folder / "model.onnx"))
    rewritten(
        folder,
        lambda document: [document["identity"].update(model=other), document["files"].update({"model.onnx": other})],
    )
    circuit = Circuit.open(folder)
    assert circuit.digest != compiled.digest
    assert circuit.model_id != compiled.model_id


def test_open_with_a_manifest_that_lists_itself_is_refused(folder):
    rewritten(folder, lambda document: document["files"].update({"manifest.json": "sha256:" + "00" * 32}))
    with pytest.raises(CircuitError, match=r"disagree about manifest\.json"):
        Circuit.open(folder)


def test_open_circuit_is_unaffected_by_later_changes(folder):
    circuit = Circuit.open(folder)
    shutil.rmtree(folder)
    assert circuit.manifest.recipe.engine == "fake/1"
