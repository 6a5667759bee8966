import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkinfer.circuits import read_inputs, read_samples, tensor_files
from zkinfer.circuits.errors import DataError
from zkinfer.circuits.tensor_files import read_arrays
from zkinfer.circuits.tensors import TensorSpec


def spec(name="x", dtype="float32", shape=(1, 3)):
    return TensorSpec(name=name, dtype=dtype, shape=shape)


X, N = spec(), spec("n", "int8", (2,))


@pytest.fixture
def write(tmp_path):
    """Writes a file: text, bytes, a JSON document, or arrays for an .npz."""

    def make(content, suffix):
        path = tmp_path / f"input{suffix}"
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif suffix == ".npz":
            np.savez(path, **content)
        else:
            path.write_text(json.dumps(content))
        return path

    return make


def archive(**members):
    """A zip of such members, whatever they hold."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("_", "."), content)
    return buffer.getvalue()


def compressed(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return bytearray(buffer.getvalue())


def header(shape, dtype="<f8"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


# --- one inference


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        ({"x": np.array([[0.5, 1, 2]]), "n": np.array([3, -4])}, ".npz"),
        ({"x": np.array([0.5, 1, 2], np.float16), "n": np.array([3, -4], np.int64)}, ".npz"),
        ({"x": [[0.5, 1, 2]], "n": [3, -4]}, ".json"),
        ({"x": [0.5, 1, 2], "n": [3, -4]}, ".json"),
        ({"input_data": [[0.5, 1, 2], [3, -4]]}, ".json"),
        ("0.5,1,2,3,-4\n", ".csv"),
        ("x[0],x[1],x[2],n[0],n[1]\n0.5,1,2,3,-4", ".csv"),
        ("\ufeffn_0,n_1,x_0,x_1,x_2\r\n3.0,-4,0.5, 1.0,2e0\r\n\r\n", ".csv"),
        ("0.5,1,2,3,-4\n", ".CSV"),
    ],
    ids=str,
)
def test_read_inputs_of_every_format_gives_shapes_and_dtypes_of_the_model(write, content, suffix):
    arrays = read_inputs(write(content, suffix), [X, N])
    assert list(arrays) == ["x", "n"]
    assert (arrays["x"].dtype, arrays["x"].tolist()) == (np.float32, [[0.5, 1.0, 2.0]])
    assert (arrays["n"].dtype, arrays["n"].tolist()) == (np.int8, [3, -4])


def test_read_inputs_of_a_batch_is_refused(write):
    with pytest.raises(DataError, match=r"'x' has shape \[2, 3\]. The model takes x float32\[1, 3\]"):
        read_inputs(write({"x": np.zeros((2, 3))}, ".npz"), [X])


def test_read_inputs_of_several_lines_is_refused(write):
    with pytest.raises(DataError, match=r"has shape \[2, 3\]"):
        read_inputs(write("1,2,3\n4,5,6", ".csv"), [X])


@pytest.mark.parametrize("shape", [(3, 1), (1, 1, 3), (4,), (0,), ()])
def test_read_inputs_of_the_wrong_shape_is_refused(write, shape):
    with pytest.raises(DataError, match="Input 'x' has shape"):
        read_inputs(write({"x": np.zeros(shape)}, ".npz"), [X])


@pytest.mark.parametrize(
    ("content", "suffix"), [({"x": np.zeros(3)}, ".npz"), ({"x": [0, 0, 0]}, ".json"), ({}, ".json"), ({}, ".npz")]
)
def test_missing_name_is_refused_with_the_inputs_of_the_model(write, content, suffix):
    with pytest.raises(DataError, match=r"lacks the input '.'. The model takes x float32\[1, 3\], n int8\[2\]"):
        read_inputs(write(content, suffix), [X, N])


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_unknown_name_is_refused(write, suffix):
    with pytest.raises(DataError, match="holds 'y', which is not an input"):
        read_inputs(write({"x": [0, 0, 0], "y": [1]}, suffix), [X])


def test_array_that_numpy_named_is_refused_with_how_to_name_it(tmp_path):
    np.savez(tmp_path / "x.npz", np.zeros(3))
    with pytest.raises(DataError, match=r"lacks the input 'x'.*holds 'arr_0'\. Write numpy\.savez\(FILE, NAME=array\)"):
        read_inputs(tmp_path / "x.npz", [X])


def test_npz_with_two_arrays_of_one_name_is_refused(write):
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    with pytest.raises(DataError, match="holds two arrays named 'x'"):
        read_inputs(write(archive(x_npy=array.getvalue(), x=array.getvalue()), ".npz"), [X])


def test_other_key_beside_input_data_is_refused(write):
    with pytest.raises(DataError, match="holds 'x' beside input_data"):
        read_inputs(write({"input_data": [[0, 1, 2]], "x": [3, 4, 5]}, ".json"), [X])


def test_keys_that_ezkl_writes_beside_input_data_are_accepted(write):
    content = {"input_data": [[0, 1, 2]], "input_shapes": [[3]], "output_data": [[1]]}
    assert read_inputs(write(content, ".json"), [X])["x"].tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("content", "suffix", "told"),
    [
        ("0.5,1,2,3,-4", ".csv", "has no header; its columns are read by position as x[0] to x[2], n[0] to n[1]."),
        ({"input_data": [[0.5, 1, 2], [3, -4]]}, ".json", "the lists of input_data are read by position as x, n."),
        ({"x": [0.5, 1, 2], "n": [3, -4]}, ".json", ""),
        ({"x": np.zeros(3), "n": np.zeros(2, int)}, ".npz", ""),
    ],
    ids=str,
)
def test_numbers_without_the_names_of_inputs_are_told(write, content, suffix, told):
    notes = []
    read_inputs(write(content, suffix), [X, N], notes.append)
    assert ("".join(notes).endswith(told), len(notes)) == (True, len(told) > 0)


# --- a single number


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
@pytest.mark.parametrize("value", [0.5, [0.5], [[0.5]], [[[0.5]]]])
def test_single_number_is_read_in_every_form(write, shape, value):
    one = spec(shape=shape)
    for content in ({"x": value}, {"input_data": [value]}):
        assert read_inputs(write(content, ".json"), [one])["x"].shape == shape
        assert read_samples(write(content, ".json"), [one])["x"].shape == (1, *shape)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 1, 1)])
@pytest.mark.parametrize("given_", [(5,), (5, 1), (5, 1, 1)])
def test_samples_of_a_single_number_are_read_in_every_form(write, shape, given_):
    content = {"x": np.arange(5.0).reshape(given_), "n": np.ones((5, 2), int)}
    samples = read_samples(write(content, ".npz"), [spec(shape=shape), N])
    assert (samples["x"].shape, samples["x"].ravel().tolist()) == ((5, *shape), [0, 1, 2, 3, 4])


def test_flat_lists_of_one_sample_are_read_beside_a_single_number(write):
    samples = read_samples(write({"input_data": [[0.5], [1, 2, 3]]}, ".json"), [spec("a", shape=(1, 1)), X])
    assert (samples["a"].tolist(), samples["x"].tolist()) == ([[[0.5]]], [[[1, 2, 3]]])


@pytest.mark.parametrize("value", [[], [[]], [1, 2], [[1, 2]], [[1], [2]]])
def test_other_count_than_a_single_number_is_refused(write, value):
    with pytest.raises(DataError, match=r"has shape \["):
        read_inputs(write({"x": value}, ".json"), [spec(shape=(1, 1))])


# --- many


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        ({"x": np.arange(6).reshape(2, 1, 3)}, ".npz"),
        ({"x": np.arange(6).reshape(2, 3)}, ".npz"),
        ({"x": [[0, 1, 2], [3, 4, 5]]}, ".json"),
        ({"input_data": [[[0, 1, 2], [3, 4, 5]]]}, ".json"),
        ("0.0,1,2\n3,4,5", ".csv"),
        ("a,b,c\n0,1,2\n\n3,4,5\n", ".csv"),
    ],
    ids=str,
)
def test_read_samples_of_every_format_stacks_them(write, content, suffix):
    array = read_samples(write(content, suffix), [X])["x"]
    assert array.dtype == np.float32
    assert array.tolist() == [[[0, 1, 2]], [[3, 4, 5]]]


def test_read_samples_of_one_json_inference_is_one_sample(write):
    assert read_samples(write({"x": [[0, 1, 2]]}, ".json"), [X])["x"].shape == (1, 1, 3)


def test_read_samples_of_one_csv_line_is_one_sample(write):
    assert read_samples(write("0,1,2", ".csv"), [X])["x"].shape == (1, 1, 3)


def test_read_samples_of_different_counts_is_refused(write):
    with pytest.raises(DataError, match=r"different numbers of samples for its tensors: \{'x': 3, 'n': 2\}"):
        read_samples(write({"x": np.zeros((3, 3)), "n": np.zeros((2, 2), int)}, ".npz"), [X, N])


@pytest.mark.parametrize("shape", [(3,), (1, 3)])
def test_read_samples_of_one_sample_without_a_batch_is_one_sample(write, shape):
    assert read_samples(write({"x": np.zeros(shape)}, ".npz"), [X])["x"].shape == (1, 1, 3)


@pytest.mark.parametrize("shape", [(2,), (0, 3), (2, 4), (2, 2, 3), ()])
def test_read_samples_of_the_wrong_shape_is_refused(write, shape):
    with pytest.raises(DataError, match=r"Samples of 'x' have shape.*Give \[N, ...\] with one x float32\[1, 3\]"):
        read_samples(write({"x": np.zeros(shape)}, ".npz"), [X])


def test_read_samples_with_nan_in_the_last_is_refused(write):
    with pytest.raises(DataError, match="holds NaN or infinity"):
        read_samples(write({"x": np.array([[0, 0, 0], [0, 0, np.nan]])}, ".npz"), [X])


# --- dtypes and values


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [("float32", "int8"), ("float32", "bool"), ("int64", "bool"), ("complex64", "float32"), ("<U3", "float32"),
     ("datetime64[s]", "int64"), ("S3", "uint8")],
)  # fmt: skip
def test_wrong_dtype_is_refused(given_, wanted):
    with pytest.raises(DataError, match=rf"Input 'x' has dtype.*The model takes x {wanted}\[1, 3\]"):
        tensor_files.conform(np.zeros(3, given_), spec(dtype=wanted))


@pytest.mark.parametrize(
    ("values", "given_", "wanted"),
    [
        ([128], "int64", "int8"),
        ([-129], "int64", "int8"),
        ([-1], "int8", "uint8"),
        ([256], "int16", "uint8"),
        ([2**63], "uint64", "int64"),
        ([2**64 - 1], "uint64", "int64"),
        ([2**32], "int64", "uint32"),
        ([3.5e38], "float64", "float32"),
        ([-1e300], "float64", "float32"),
        ([65520.0], "float32", "float16"),
    ],
)
def test_value_beyond_the_dtype_is_refused(values, given_, wanted):
    with pytest.raises(DataError, match=f"A value of input 'x' exceeds the range of {wanted}: .* at element .0."):
        tensor_files.conform(np.array(values, given_), spec(dtype=wanted, shape=(1,)))


@pytest.mark.parametrize(
    ("values", "given_", "wanted"),
    [([127, -128], "int64", "int8"), ([255, 0], "int64", "uint8"), ([1, 0], "bool", "int32"),
     ([3.4e38, -3.4e38], "float64", "float32"), ([2**63 - 1, -(2**63)], "int64", "int64")],
)  # fmt: skip
def test_value_at_the_edge_of_the_dtype_is_accepted(values, given_, wanted):
    taken = tensor_files.conform(np.array(values, given_), spec(dtype=wanted, shape=(2,)))
    assert np.array_equal(taken, np.array(values, wanted))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_number_is_refused(value):
    with pytest.raises(DataError, match=r"'x' holds NaN or infinity: .* at element \[1\]\. Circuits support finite"):
        tensor_files.conform(np.array([0, value, 0]), X)


@given(st.lists(st.integers(-300, 300), min_size=2, max_size=2))
def test_integers_are_kept_exactly_or_refused(values):
    fits = all(-128 <= value <= 127 for value in values)
    try:
        assert tensor_files.conform(np.array(values), N).tolist() == values
        assert fits
    except DataError:
        assert not fits


# --- files that are none


@pytest.mark.parametrize("name", ["x.npz", "x.json", "x.csv"])
def test_missing_file_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="cannot be read: no such file or directory"):
        read_inputs(tmp_path / name, [X])


@pytest.mark.parametrize("suffix", [".npz", ".json", ".csv"])
def test_directory_is_refused(tmp_path, suffix):
    (tmp_path / f"x{suffix}").mkdir()
    with pytest.raises(DataError, match="cannot be read: is a directory"):
        read_inputs(tmp_path / f"x{suffix}", [X])


@pytest.mark.parametrize("name", ["x.png", "x.npy", "x.pkl", "x", "x.json.gz", ".npz"])
def test_unknown_format_is_refused_unread(tmp_path, name):
    with pytest.raises(DataError, match=r"The format of .* is unknown\. Give a \.npz, \.json or \.csv file"):
        read_inputs(tmp_path / name, [X])


@pytest.mark.parametrize("suffix", [".npz", ".json", ".csv"])
@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", b"\x00" * 64, b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06"]
)
def test_content_of_another_format_is_refused(write, content, suffix):
    with pytest.raises((DataError, DataError), match=r"not an \.npz|not JSON|not UTF-8|not a table|Give 3 numbers"):
        read_inputs(write(content, suffix), [X])


def test_file_over_the_limit_is_refused_unread(tmp_path):
    with (tmp_path / "x.json").open("wb") as file:
        file.truncate(tensor_files.MAX_BYTES + 1)
    with pytest.raises(DataError, match="is larger than 256 MiB"):
        read_inputs(tmp_path / "x.json", [X])


# --- npz


def test_npz_of_pickled_objects_is_refused_without_unpickling(write):
    class Hostile:
        def __reduce__(self):
            return pytest.fail, ("the pickle ran",)

    with pytest.raises(DataError, match=r"not an \.npz of plain arrays: Object arrays are pickles"):
        read_inputs(write({"x": np.array([Hostile()] * 3, dtype=object)}, ".npz"), [X])


def test_npz_bomb_is_refused_without_decompression(write, monkeypatch):
    monkeypatch.setattr(tensor_files, "MAX_BYTES", 1 << 16)
    bomb = bytes(compressed(x=np.zeros(1 << 20)))
    assert len(bomb) < 1 << 16
    with pytest.raises(DataError, match=r"arrays of .* unpack to more than"):
        read_inputs(write(bomb, ".npz"), [X])


def test_npz_whose_header_declares_too_much_is_refused(write):
    with pytest.raises(DataError, match=r"not an \.npz"):
        read_inputs(write(archive(x_npy=header((1 << 44,))), ".npz"), [X])


@pytest.mark.parametrize("member", ["x", "x_npy"])
def test_npz_member_that_is_not_an_array_is_refused(write, member):
    with pytest.raises(DataError, match=r"not an \.npz"):
        read_inputs(write(archive(**{member: b"hello"}), ".npz"), [X])


@pytest.mark.parametrize("content", [header((1, 3)), header((-1, 3)), header((1, 3), "|O"), b"\x93NUMPY\x09\x00"])
def test_truncated_or_malformed_npz_member_is_refused(write, content):
    with pytest.raises(DataError, match=r"not an \.npz of plain arrays"):
        read_inputs(write(archive(x_npy=content), ".npz"), [X])


def test_npz_with_any_byte_changed_is_read_the_same_or_refused(write):
    good = compressed(x=np.array([[0.1, 0.2, 0.3]], np.float32))
    for place in range(len(good)):
        changed = good.copy()
        changed[place] ^= 0xFF
        try:
            array = read_inputs(write(bytes(changed), ".npz"), [X])["x"]
        except DataError:
            continue
        assert array.tolist() == np.array([[0.1, 0.2, 0.3]], np.float32).tolist()


# --- JSON


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2, 3]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('{"x": [[1, 2], [3]]}', "lists of different lengths"),
        ('{"x": [1, [2], 3]}', "lists of different lengths"),
        ('{"x": ["1", "2", "3"]}', "not numbers of at most 64 bits"),
        ('{"x": [1, "2", 3]}', "not numbers of at most 64 bits"),
        ('{"x": [1, null, 3]}', "not numbers of at most 64 bits"),
        ('{"x": {"0": 1}}', "not numbers of at most 64 bits"),
        ('{"x": [[1, 2, {"a": 1}]]}', "not numbers of at most 64 bits"),
        ('{"x": "abc"}', "not numbers of at most 64 bits"),
        ('{"x": null}', "not numbers of at most 64 bits"),
        ('{"x": [1, 2, 18446744073709551616]}', "not numbers of at most 64 bits"),
        ('{"x": [1, 2, 1e39]}', "exceeds the range of float32"),
        ('{"x": []}', "has shape"),
        ('{"input_data": [1, 2, 3]}', "input_data is not a list of 1 lists"),
        ('{"input_data": {"x": [1, 2, 3]}}', "input_data is not a list of 1 lists"),
        ('{"input_data": []}', "input_data is not a list of 1 lists"),
        ('{"input_data": [[1, 2, 3], [4]]}', "input_data is not a list of 1 lists"),
    ],
)
def test_malformed_json_is_refused(write, content, message):
    with pytest.raises(DataError, match=message):
        read_inputs(write(content, ".json"), [X])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"x": [1, 2, NaN]}', "holds NaN, which is not JSON"),
        ('{"x": [1, 2, -Infinity]}', "holds -Infinity"),
        ('{"x": [1, 2, 1e999]}', "overflows"),
        ('{"x": [1, 2, 3], "x": [4, 5, 6]}', "the key 'x' twice"),
        ('{"x": [1, 2, 3]', "is not JSON"),
        ("\ufeff{}", "is not JSON: Unexpected UTF-8 BOM"),
    ],
)
def test_non_strict_json_is_refused(write, content, message):
    with pytest.raises(DataError, match=message):
        read_inputs(write(content, ".json"), [X])


def test_json_input_named_input_data_is_read_by_name(write):
    own = spec("input_data")
    assert read_inputs(write({"input_data": [1, 2, 3]}, ".json"), [own])["input_data"].tolist() == [[1, 2, 3]]


def test_json_float_for_an_integer_input_is_refused(write):
    with pytest.raises(DataError, match="has dtype float64"):
        read_inputs(write({"n": [1.0, 2.5]}, ".json"), [N])


# --- CSV


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,2\n", "Give 3 numbers"),
        ("1,2,3,4\n", "Give 3 numbers"),
        ("a,b,c\n", "Give 3 numbers"),
        ("\n\n", "Give 3 numbers"),
        ("1,2,3\n1,2\n", "not a table of numbers"),
        ("1,2,3\n1,x,3\n", "not a table of numbers: line 2, column 2 holds 'x'"),
        ("1,2,\n", "not a table of numbers"),
        ("1;2;3\n1;2;3\n", "not a table of numbers"),
        ("1,2,nan\n", "holds NaN or infinity"),
        ("1,inf,2\n", "holds NaN or infinity"),
        ("1,2,1e39\n", "exceeds the range of float32"),
        ('"' + "1" * 200_000 + '",2,3\n', "not a table of numbers: field larger than field limit"),
    ],
    ids=lambda text: text[:20],
)
def test_csv_that_does_not_fit_is_refused(write, content, message):
    with pytest.raises(DataError, match=message):
        read_inputs(write(content, ".csv"), [X])


@pytest.mark.parametrize("content", ["1,0.5", "300,1", "nan,1"])
def test_csv_float_for_an_integer_input_is_refused(write, content):
    with pytest.raises(DataError, match=r"has dtype float64|exceeds the range of int8"):
        read_inputs(write(content, ".csv"), [N])


@pytest.mark.parametrize("cell", ["1e300", "inf", "-inf", "9223372036854775808"])
def test_csv_number_beyond_64_bits_is_refused(write, cell):
    with pytest.raises(DataError, match="'x'"):
        read_inputs(write(f"{cell},1,2", ".csv"), [spec(dtype="int64")])


def test_csv_large_integer_is_exact_or_refused(write):
    try:
        arrays = read_inputs(write("9007199254740993,1,2", ".csv"), [spec(dtype="int64")])
    except DataError:
        return
    assert arrays["x"].tolist() == [[9007199254740993, 1, 2]]


def test_csv_number_for_a_bool_input_is_refused(write):
    assert read_inputs(write("0,1,1", ".csv"), [spec(dtype="bool")])["x"].tolist() == [[False, True, True]]
    with pytest.raises(DataError, match="'x'"):
        read_inputs(write("0,1,7", ".csv"), [spec(dtype="bool")])


@pytest.mark.parametrize("line", [",2,3", "1.0.0,2,3", "1O,2,3"])
def test_csv_first_line_with_a_damaged_cell_is_refused(write, line):
    with pytest.raises(DataError, match="not a table of numbers"):
        read_samples(write(f"{line}\n4,5,6\n7,8,9", ".csv"), [X])


@settings(max_examples=50)
@given(st.binary(max_size=80))
def test_csv_and_json_of_random_bytes_are_read_or_a_data_error(tmp_path_factory, content):
    for suffix in (".csv", ".json"):
        path = tmp_path_factory.getbasetemp() / f"any{suffix}"
        path.write_bytes(content)
        with pytest.raises((DataError, DataError)):
            read_inputs(path, [X])


# --- labels


LABELLED = {"x": [[0, 1, 2], [3, 4, 5]], "label": [7, 9]}


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        ({name: np.array(values) for name, values in LABELLED.items()}, ".npz"),
        (LABELLED, ".json"),
        ({"input_data": [LABELLED["x"]], "label": [7, 9], "output_data": []}, ".json"),
        ("a,b,c,label\n0,1,2,7\n3,4,5,9\n", ".csv"),
        ("a, label ,b,c\n0,7,1,2\n3,9,4,5\n", ".csv"),
        ("label,0,1,2\n7,0,1,2\n9,3,4,5\n", ".csv"),
    ],
    ids=str,
)
def test_labels_are_read_alongside_the_inputs(write, content, suffix):
    arrays, labels = tensor_files.read_labelled_samples(write(content, suffix), [X], "label")
    assert {name: array.tolist() for name, array in arrays.items()} == {"x": [[[0, 1, 2]], [[3, 4, 5]]]}
    assert (labels.dtype.kind, labels.tolist()) == ("i", [7, 9])


def test_csv_labels_keep_their_fractions(write):
    _, labels = tensor_files.read_labelled_samples(write("a,b,c,label\n0,1,2,0.5\n", ".csv"), [X], "label")
    assert labels.tolist() == [0.5]


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        ({"x": np.zeros((2, 3))}, ".npz"),
        ({"x": [[0, 1, 2]]}, ".json"),
        ({"input_data": [[0, 1, 2]]}, ".json"),
        ("a,b,c\n0,1,2\n", ".csv"),
        ("0,1,2\n", ".csv"),
    ],
    ids=str,
)
def test_absent_labels_are_refused(write, content, suffix):
    with pytest.raises(DataError, match="lacks the labels 'label'"):
        tensor_files.read_labelled_samples(write(content, suffix), [X], "label")


@pytest.mark.parametrize(
    ("content", "suffix", "cure"),
    [({"x": [[0, 1, 2]], "y": [1]}, ".json", r"It holds 'x', 'y'\."), ("0,1,2\n", ".csv", "needs a header")],
)
def test_missing_labels_are_refused_with_the_available_names(write, content, suffix, cure):
    with pytest.raises(DataError, match=cure):
        tensor_files.read_labelled_samples(write(content, suffix), [X], "label")


@pytest.mark.parametrize("labels", [[1], [1, 2, 3], [], 5])
def test_labels_of_a_different_count_than_the_samples_are_refused(write, labels):
    with pytest.raises(DataError, match=r"holds 2 samples but labels 'label' of shape \["):
        tensor_files.read_labelled_samples(write({"x": LABELLED["x"], "label": np.array(labels)}, ".npz"), [X], "label")


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_extra_array_next_to_the_labels_is_refused(write, suffix):
    with pytest.raises(DataError, match="holds 'y', which is not an input"):
        tensor_files.read_labelled_samples(write(LABELLED | {"y": [1, 2]}, suffix), [X], "label")


def test_csv_with_two_label_columns_is_refused(write):
    with pytest.raises(DataError, match="line 1: columns 3 and 4 are both named 'label'"):
        tensor_files.read_labelled_samples(write("a,b,label,label\n0,1,2,3\n", ".csv"), [X], "label")


def test_csv_with_an_extra_column_next_to_the_labels_is_refused(write):
    with pytest.raises(DataError, match="Give 3 numbers"):
        tensor_files.read_labelled_samples(write("a,b,c,d,label\n0,1,2,3,4\n", ".csv"), [X], "label")


def test_input_named_as_label_is_refused(write):
    with pytest.raises(DataError, match="'x' is an input of the model"):
        tensor_files.read_labelled_samples(write({"x": [[0, 1, 2]]}, ".json"), [X], "x")


# --- arrays of any shape


def test_arrays_are_read_unchanged(tmp_path):
    (tmp_path / "in.json").write_text('{"a": [[1, 2]], "b": 0.5}')
    arrays = read_arrays(tmp_path / "in.json", [])
    assert (arrays["a"].shape, arrays["b"].shape) == ((1, 2), ())


def test_unnamed_arrays_get_the_given_names(tmp_path):
    (tmp_path / "in.json").write_text('{"input_data": [[1, 2], [3]]}')
    assert list(read_arrays(tmp_path / "in.json", ["x", "y"])) == ["x", "y"]


def test_csv_without_shapes_is_refused(tmp_path):
    (tmp_path / "in.csv").write_text("1,2\n")
    with pytest.raises(DataError, match="does not contain the shapes"):
        read_arrays(tmp_path / "in.csv", ["x"])
