"""Invalid files lead to one clear sentence, the right exit code, and no leftovers."""

import io
import json
import os
import pickle
import re
import shutil
import struct
import zipfile
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, parser
from tests.e2e.shell import Outcome, nothing_left
from tests.integration import bench

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb004300") + bytes(range(256)) * 4
HEAD = '<ir_version: 8, opset_import: ["": 17]>'


def run_clean(shell, *arguments, status=1):
    """Run a command that must fail cleanly; returns its message."""
    before, files = shell.leftovers(), {path: path.stat().st_mtime_ns for path in shell.folder.rglob("*")}
    outcome = shell(*arguments)
    assert nothing_left(shell, os.getpid(), before)
    return clean_failure(shell, outcome, files, status)


def run_process_clean(shell, *arguments, status=1):
    """The same for a separate process, to see any traceback and the real exit status."""
    before, files = shell.leftovers(), {path: path.stat().st_mtime_ns for path in shell.folder.rglob("*")}
    with shell.start(*arguments) as process:
        outcome = Outcome(0, *process.communicate(timeout=100))
    assert nothing_left(shell, process.pid, before)
    return clean_failure(shell, replace(outcome, status=process.returncode), files, status)


def clean_failure(shell, outcome, files, status):
    """Check that a command failed with one sentence and changed no file; returns the message."""
    assert outcome.status == status, outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not re.search(r"\bFile \"", outcome.stderr)
    sentence = outcome.text
    assert outcome.stdout == "" or outcome.stdout.splitlines()[-1].startswith("Verdict: refused;")
    assert outcome.sentence.count("error:") + outcome.stdout.count("Verdict: refused") == (1 if status == 1 else 0)
    assert {path: path.stat().st_mtime_ns for path in shell.folder.rglob("*")} == files
    return sentence


def compile_of(shell, model, *options, status=1):
    return run_clean(
        shell, "compile", model, "--setup", "insecure-dev", "--out", "out.circuit", *options, status=status
    )


def huge_initializer():
    """A kilobyte model that declares three gigabytes."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 15, 24_000], raw_data=bytes(700))
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1 << 15, 24_000])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1 << 15, 24_000])],
        [tensor],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


def looping():
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["v", "v"], ["w"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, [1, 2]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [1, 2]),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor("n", TensorProto.INT64, [], [1 << 40])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


def of_text(body, inputs="float[1,4] x", outputs="float[1,4] y"):
    return parser.parse_model(f"{HEAD} g ({inputs}) => ({outputs}) {{ {body} }}").SerializeToString()


MODELS = {
    "empty": (b"", "is empty"),
    "jpeg": (JPEG, "not an ONNX file"),
    "text": (b"\n\n# hello", "not an ONNX file|holds no graph|not sound|cannot"),
    "cut": (bench.MODEL.read_bytes()[:5000], "not an ONNX file"),
    "huge": (huge_initializer(), "declares|exceed"),
    "loop": (looping(), "Loop"),
    "unknown operator": (of_text("y = Frobnicate(x)"), "Frobnicate"),
    "not a number": (
        helper.make_model(
            helper.make_graph(
                [helper.make_node("Add", ["x", "w"], ["y"])],
                "g",
                [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1])],
                [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1])],
                [helper.make_tensor("w", TensorProto.FLOAT, [1, 1], [float("nan")])],
            ),
            opset_imports=[helper.make_opsetid("", 17)],
        ).SerializeToString(),
        "NaN",
    ),
}


# --- models


@pytest.mark.parametrize("kind", MODELS)
def test_bad_model_is_refused_with_its_reason(shell, kind):
    content, reason = MODELS[kind]
    (shell.folder / "model.onnx").write_bytes(content)
    assert re.search(reason, compile_of(shell, "model.onnx"))


@pytest.mark.parametrize("command", ["inspect", "compile"])
def test_missing_model_is_named(shell, command):
    options = () if command == "inspect" else ("--setup", "insecure-dev", "--out", "c")
    assert "absent.onnx does not exist" in run_process_clean(shell, command, "absent.onnx", *options)


def test_directory_as_model_is_refused(shell):
    (shell.folder / "folder.onnx").mkdir()
    assert "is a directory" in compile_of(shell, "folder.onnx")


def test_external_data_is_refused(shell):
    model = onnx.load_from_string(bench.MODEL.read_bytes())
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    (shell.folder / "m.onnx").write_bytes(model.SerializeToString())
    assert "is stored in another file" in compile_of(shell, "m.onnx")


# --- calibration and options


def saved(shell, name, **arrays):
    np.savez(shell.folder / name, **arrays)
    return "--calibration", name


def test_calibration_with_nan_is_refused(shell):
    data = np.zeros((8, 1, 64), np.float32)
    data[3, 0, 5] = np.nan
    assert "NaN" in compile_of(shell, bench.MODEL, *saved(shell, "c.npz", image=data))


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [("image", (8, 1, 65), "shape"), ("picture", (8, 1, 64), "lacks the input 'image'")],
)
def test_calibration_that_does_not_fit_the_model_is_refused(shell, name, shape, reason):
    assert reason in compile_of(shell, bench.MODEL, *saved(shell, "c.npz", **{name: np.zeros(shape, np.float32)}))


@pytest.mark.parametrize(
    "options",
    [
        ("--min-agreement", "2"),
        ("--max-error", "-1"),
        ("--dim", "batch"),
        ("--dim", "batch=0"),
        ("--dim", "batch=x"),
        ("--inputs", "secret"),
    ],
)
def test_impossible_option_is_a_usage_error(shell, options):
    compile_of(shell, bench.MODEL, *options, status=2)


def test_usage_error_of_a_process_exits_with_2(shell):
    run_process_clean(shell, "compile", bench.MODEL, "--out", "out.circuit", "--dim", "batch", status=2)


@pytest.mark.parametrize("setup", ["no-such-ceremony", "../../etc", "hermez"])
def test_missing_setup_is_refused(shell, setup):
    run_clean(shell, "compile", bench.MODEL, "--setup", setup, "--out", "c")


# --- inputs


def archive(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return file.getvalue()


def npy(array, *, allow_pickle=False):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


class Exploit:
    def __reduce__(self):
        return (open, ("pickled-was-here", "w"))


def huge_npy():
    """A header that declares three gigabytes, without data."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (805306368,), }"
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


PIXELS = [0.0] * 64
INPUTS = {
    "missing.json": (None, "cannot be read: no such file"),
    "empty.json": (b"", "not JSON"),
    "cut.json": (b'{"image": [0.0, ', "not JSON"),
    "list.json": (b"[1, 2]", "not a JSON object"),
    "nan.json": (b'{"image": [NaN]}', "NaN"),
    "words.json": (json.dumps({"image": ["a"] * 64}).encode(), "not numbers of at most"),
    "twice.json": (b'{"image": [0], "image": [1]}', "twice|duplicate"),
    "ragged.json": (b'{"image": [[0, 1], [2]]}', "different lengths"),
    "shape.json": (json.dumps({"image": [0.0] * 63}).encode(), "has shape"),
    "unknown.json": (json.dumps({"image": PIXELS, "label": [1]}).encode(), "'label', which is not an input"),
    "name.json": (json.dumps({"picture": PIXELS}).encode(), "lacks the input 'image'"),
    "deep.json": (b'{"image": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON|nest|deep"),
    "big.json": (json.dumps({"image": [10**400] * 64}).encode(), "64 bits|numbers|not JSON"),
    "letters.csv": (b"a,b,c\nd,e,f\n", "not a table of numbers"),
    "short.csv": (b"1,2,3\n", "Give 64 numbers"),
    "empty.csv": (b"", "Give 64 numbers|not a table"),
    "nan.csv": (b",".join([b"nan"] * 64), "NaN"),
    "binary.csv": (JPEG, "not a table of numbers"),
    "garbage.npz": (JPEG, "not an .npz"),
    "pickle.npz": (archive(image=pickle.dumps(Exploit())), "not an .npz"),
    "text.npz": (archive(image="hello"), "not an .npz"),
    "object.npz": (archive(image=npy(np.array([Exploit()], dtype=object), allow_pickle=True)), "not an .npz"),
    "bare.npz": (pickle.dumps(Exploit()), "not an .npz"),
    "huge.npz": (archive(image=huge_npy()), "not an .npz|MiB"),
    "words.npz": (archive(image=npy(np.array(["a"] * 64))), "has dtype"),
    "complex.npz": (archive(image=npy(np.zeros(64, complex))), "has dtype"),
    "infinite.npz": (archive(image=npy(np.full((1, 64), np.inf, np.float32))), "NaN or infinity"),
    "wrong.txt": (b"hello", "format of .* is unknown"),
    "folder.json": ("directory", "cannot be read: is a directory"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_bad_input_is_refused_with_its_reason(shell, digits, name):
    content, reason = INPUTS[name]
    if content == "directory":
        (shell.folder / name).mkdir()
    elif content is not None:
        (shell.folder / name).write_bytes(content)
    sentence = run_clean(shell, "prove", digits, "--input", name, "--out", "answer.json")
    assert re.search(reason, sentence)
    assert not (shell.folder / "pickled-was-here").exists()


def test_input_out_of_range_is_refused_with_its_cure(shell, digits):
    (shell.folder / "i.json").write_text(json.dumps({"image": [1e9, *PIXELS[1:]]}))
    assert "Check the input's magnitude" in run_process_clean(
        shell, "prove", digits, "--input", "i.json", "--out", "a.json"
    )


# --- attestations


ATTESTATIONS = {
    "missing": (None, "cannot be read"),
    "empty": (b"", "refused"),
    "garbage": (bytes(range(256)) * 40, "refused"),
    "twenty megabytes": (b"[" + b" " * (20 << 20) + b"]", "refused"),
    "array": (b"[]", "refused"),
    "deep": (b"[" * 100_000, "refused"),
}


@pytest.mark.parametrize("kind", ATTESTATIONS)
def test_bad_attestation_is_refused(shell, kind):
    content, reason = ATTESTATIONS[kind]
    if content is not None:
        (shell.folder / "a.json").write_bytes(content)
    sentence = run_process_clean(shell, "verify", "a.json", "--model", bench.MODEL)
    assert reason in sentence
    assert "Verdict: valid" not in sentence


@pytest.mark.parametrize("kind", ATTESTATIONS)
def test_bad_attestation_cannot_be_inspected(shell, kind):
    content, _ = ATTESTATIONS[kind]
    if content is not None:
        (shell.folder / "a.json").write_bytes(content)
    run_clean(shell, "inspect", "a.json")


def test_directory_as_attestation_is_refused(shell):
    (shell.folder / "a.json").mkdir()
    run_clean(shell, "verify", "a.json", "--model", bench.MODEL)


def test_missing_model_for_verification_is_named(workplace):
    assert "does not exist" in run_clean(workplace, "verify", "signed.json", "--model", "absent.onnx")


@pytest.mark.parametrize("option", ["--input", "--policy", "--signer", "--circuit"])
def test_missing_file_for_verification_is_named(workplace, option):
    arguments = ("verify", "signed.json", "--model", bench.MODEL, "--unsafe-accept-dev-setup")
    assert "absent" in run_clean(workplace, *arguments, option, "absent.json")


@pytest.mark.parametrize("request_id", ["0x12", "hello", "0x" + "zz" * 32])
def test_misspelt_request_is_never_accepted(workplace, request_id):
    arguments = ("--model", bench.MODEL, "--unsafe-accept-dev-setup", "--request-id", request_id)
    run_clean(workplace, "verify", "signed.json", *arguments)


# --- circuits


@pytest.fixture
def damaged(shell, digits, request):
    """A damaged copy of the circuit."""
    folder = shell.folder / "damaged.circuit"
    shutil.copytree(digits, folder)
    request.param(folder)
    return folder


def _changed(folder):
    data = (folder / "vk.key").read_bytes()
    (folder / "vk.key").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def _linked(folder):
    (folder / "vk.key").rename(folder.parent / "vk.key")
    (folder / "vk.key").symlink_to("../vk.key")


@pytest.mark.parametrize(
    "damaged",
    [
        _changed,
        _linked,
        lambda folder: (folder / "settings.json").unlink(),
        lambda folder: (folder / "extra.txt").write_text("hello"),
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "manifest.json").write_bytes(b"{}"),
        lambda folder: (folder / "manifest.json").write_bytes(b"\xff" * 100),
        lambda folder: (folder / "model.onnx").write_bytes(JPEG),
    ],
    indirect=True,
)
def test_damaged_circuit_is_refused_by_every_command(shell, damaged):
    (shell.folder / "i.json").write_text(json.dumps({"image": PIXELS}))
    run_clean(shell, "prove", damaged, "--input", "i.json", "--out", "a.json")
    run_clean(shell, "inspect", damaged)


def test_file_as_circuit_is_refused(shell):
    (shell.folder / "i.json").write_text(json.dumps({"image": PIXELS}))
    run_clean(shell, "prove", "i.json", "--input", "i.json", "--out", "a.json")


# --- unwritable paths


UNWRITABLE = ("i.json/out", "/proc/nothing/out", "/dev/null/out", "x" * 300)


@pytest.mark.parametrize("out", UNWRITABLE)
def test_unwritable_attestation_is_reported_in_one_sentence(shell, digits, out):
    (shell.folder / "i.json").write_text(json.dumps({"image": PIXELS}))
    run_clean(shell, "prove", digits, "--input", "i.json", "--out", out)


@pytest.mark.parametrize("out", UNWRITABLE)
def test_unwritable_circuit_is_reported_in_one_sentence(shell, out):
    (shell.folder / "i.json").write_text("{}")
    run_clean(shell, "compile", bench.MODEL, "--setup", "insecure-dev", "--out", out)


@pytest.mark.parametrize("out", UNWRITABLE)
def test_unwritable_key_is_reported_in_one_sentence(shell, out):
    (shell.folder / "i.json").write_text("{}")
    (shell.folder / "p").write_text("secret\n")
    run_clean(shell, "keys", "new", "--passphrase-file", "p", "--out", out)


@pytest.mark.parametrize("out", UNWRITABLE)
def test_unwritable_demo_folder_is_reported_in_one_sentence(shell, out):
    (shell.folder / "i.json").write_text("{}")
    run_clean(shell, "demo", "--setup", "insecure-dev", "--keep", out)


@pytest.mark.parametrize("command", ["compile", "prove", "verify", "list"])
def test_home_that_is_a_file_is_reported_in_one_sentence(workplace, digits, command):
    from tests.e2e.shell import Shell  # noqa: PLC0415

    (workplace.folder / "home").write_text("")
    arguments = {
        "compile": ("compile", bench.MODEL, "--setup", "insecure-dev", "--out", "c"),
        "prove": ("prove", digits, "--input", "image-0.json", "--out", "a.json"),
        "verify": ("verify", "signed.json", "--model", bench.MODEL, "--unsafe-accept-dev-setup"),
        "list": ("setup", "list"),
    }[command]
    if command != "list":
        run_clean(Shell(workplace.folder / "home", workplace.folder), *arguments)
    else:
        assert "Traceback" not in Shell(workplace.folder / "home", workplace.folder)(*arguments).stderr
