import contextlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits.canonical import MAX_DEPTH, dump, load, load_canonical
from zkinfer.circuits.errors import InputError, JsonError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=MAX_DEPTH - 2
)


def read(data, *, max_bytes=1 << 20):
    return load(data, max_bytes=max_bytes, what="letter")


def read_canonical(data):
    return load_canonical(data, max_bytes=1 << 20, what="letter")


def nested(depth):
    return b"[" * depth + b"]" * depth


@given(VALUES)
def test_dump_round_trips_for_any_value(value):
    data = dump(value)
    assert read_canonical(data) == value
    assert dump(read_canonical(data)) == data


def test_dump_sorts_keys_and_writes_ascii_without_spaces():
    assert dump({"b": [1, 2.5], "a": "é\n", "A": None}) == b'{"A":null,"a":"\\u00e9\\n","b":[1,2.5]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_dump_of_a_non_finite_number_is_refused(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump(value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not JSON: Expecting value at line 1, column 1"),
        (b"{", "is not JSON"),
        (b"1 2", "is not JSON: Extra data"),
        (b"{'a':1}", "is not JSON"),
        (b"[1,]", "is not JSON"),
        (b"01", "is not JSON"),
        (b"[1]\x00", "is not JSON"),
        (b'{"a', "is not JSON: Unterminated string starting at line 1, column 2"),
        (b"\xef\xbb\xbf{}", "is not JSON: Unexpected UTF-8 BOM"),
        (b"\xff\xfe{\x00}\x00", r"is not UTF-8 text \(byte 0\)"),
        (b'{"a":"\xe9"}', r"is not UTF-8 text \(byte 6\)"),
        (b'"\xed\xa0\x80"', "is not UTF-8 text"),
        (b"NaN", "holds NaN, which is not JSON"),
        (b'{"a":[Infinity]}', "holds Infinity, which is not JSON"),
        (b"[-Infinity]", "holds -Infinity, which is not JSON"),
        (b"[1e999]", "holds 1e999, which overflows"),
        (b"[-1e999]", "holds -1e999, which overflows"),
        (b"1" * 5000, "holds a number that is too long"),
        (b'{"a":1,"a":1}', "holds the key 'a' twice"),
        (b'{"a":{"b":1,"c":2,"b":3}}', "holds the key 'b' twice"),
        (b'{"a":1,"\\u0061":2}', "holds the key 'a' twice"),
        (nested(MAX_DEPTH + 1), "is nested deeper than 32 levels"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "is nested deeper than 32 levels"),
    ],
)
def test_load_of_ambiguous_json_is_refused(data, message):
    with pytest.raises(JsonError, match=f"The letter {message}"):
        read(data)


@pytest.mark.parametrize("data", [nested(MAX_DEPTH), b'["' + b"[" * 99 + b'"]', b'["\\"[' + b"{" * 99 + b'"]'])
def test_load_at_the_depth_limit_is_accepted(data):
    assert isinstance(read(data), list)


def test_load_of_too_many_values_is_refused():
    load(b"[1,2,3]", max_bytes=99, what="letter", max_values=3)
    with pytest.raises(JsonError, match="The letter holds more than 2 values"):
        load(b"[1,2,3]", max_bytes=99, what="letter", max_values=2)


def test_load_is_accepted_at_the_size_limit_and_refused_beyond():
    assert read(b"[10]", max_bytes=4) == [10]
    with pytest.raises(JsonError, match="has 5 bytes, over the limit of 4"):
        read(b"[100]", max_bytes=4)


def test_load_truncates_a_long_duplicate_key_in_its_message():
    key = b'"' + b"k" * 5000 + b'"'
    with pytest.raises(JsonError) as refusal:
        read(b"{" + key + b":1," + key + b":2}")
    assert len(refusal.value.cause) < 200


def test_refusal_is_an_input_error():
    assert issubclass(JsonError, InputError)


@given(st.binary(max_size=64))
def test_load_of_random_bytes_is_parsed_or_an_input_error(data):
    with contextlib.suppress(JsonError):
        dump(read(data))


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b" [1]",
        b'"\\u0041"',
        '"é"'.encode(),
        b'"\\u00E9"',
        b'"\\/"',
        b"-0",
        b"1.50",
        b"1E2",
        b"1e2",
        b"100000000000000000000.0",
        b"0.1000000000000000055511151231257827",
    ],
)
def test_load_canonical_refuses_other_spellings(data):
    read(data)
    with pytest.raises(JsonError, match=r"letter is not in canonical form.*edited or written by other software"):
        read_canonical(data)


def test_load_canonical_distinguishes_integers_and_floats():
    assert [type(read_canonical(data)) for data in (b"1", b"1.0")] == [int, float]


def test_load_duplicate_at_the_end_of_a_large_object_is_named():
    keys = ",".join(f'"{number:06}":0' for number in range(90_000))
    with pytest.raises(JsonError, match="'089999' twice"):
        read(f'{{{keys},"089999":0}}'.encode())


# By default the interpreter's recursion limit stops the parser. Importing py_ecc raises the limit to 100,000, so the C
# stack would overflow first.
@pytest.mark.parametrize("before", ["pass", "import zkinfer.circuits.home"])
def test_load_of_hostile_nesting_does_not_crash_the_process(before):
    code = (
        f"{before}\nfrom zkinfer.circuits import canonical\n"
        "try: canonical.load(b'['*90_000, max_bytes=1<<20, what='letter')\n"
        "except canonical.JsonError as err: print(err.cause)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, "nested" in done.stdout) == (0, True)
