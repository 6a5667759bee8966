import pytest
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from zkinfer.circuits import Context
from zkinfer.circuits.engines.ezkl.instances import limbs_of
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.statement import ZERO_ADDRESS, Layout, output_words, split_by_tensor
from zkinfer.circuits.tensors import TensorSpec


def spec(name, shape=(2,), visibility="public"):
    return TensorSpec(name=name, dtype="float32", shape=shape, visibility=visibility)


def layout(**changes):
    usual = {"visibility": "public", "input_width": 2, "signed": True, "inputs": 3, "outputs": 1}
    return Layout(**usual | changes)


@pytest.mark.parametrize(
    ("least", "largest", "signed", "width"),
    [
        (-128, 127, True, 1), (-129, 0, True, 2), (0, 128, True, 2), (0, 255, False, 1), (0, 256, False, 2),
        (-(1 << 31), 0, True, 4), (0, 1 << 31, True, 8), (-(1 << 63), (1 << 63) - 1, True, 8),
        (0, (1 << 64) - 1, False, 8),
    ],
)  # fmt: skip
def test_width_is_the_smallest_that_holds_the_range(least, largest, signed, width):
    made = Layout.of([spec("x")], [spec("y")], least=least, largest=largest, signed=signed)
    assert (made.input_width, made.inputs, made.outputs) == (width, 2, 2)


@pytest.mark.parametrize(("least", "largest", "signed"), [(0, 1 << 64, False), (-1, 0, False), (0, 1 << 63, True)])
def test_range_beyond_every_width_is_refused(least, largest, signed):
    with pytest.raises(InputError, match="do not fit 8 bytes"):
        Layout.of([spec("x")], [spec("y")], least=least, largest=largest, signed=signed)


@pytest.mark.parametrize(("visibility", "width", "inputs"), [("hashed", 32, 2), ("private", 0, 0)])
def test_layout_of_hidden_inputs_has_digests_or_no_inputs(visibility, width, inputs):
    tensors = [spec("a", visibility=visibility), spec("b", visibility=visibility)]
    made = Layout.of(tensors, [spec("y")], least=0, largest=1, signed=False)
    assert (made.input_width, made.inputs, made.input_bytes) == (width, inputs, width * inputs)


@pytest.mark.parametrize(
    "changes",
    [
        {"input_width": 3}, {"input_width": 32}, {"input_width": 0}, {"inputs": 0}, {"inputs": -1}, {"outputs": 0},
        {"outputs": (1 << 17) + 1}, {"visibility": "private"}, {"visibility": "hashed"}, {"visibility": "hidden"},
        {"visibility": "hashed", "input_width": 32}, {"signed": 1}, {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_impossible_layout_is_refused(changes):
    with pytest.raises(ValidationError):
        layout(**changes)


@given(st.lists(st.integers(-(1 << 15), (1 << 15) - 1), min_size=3, max_size=3))
def test_packing_round_trips(integers):
    packed = layout().pack(integers)
    assert len(packed) == 6
    assert layout().unpack(packed) == integers


def test_integers_are_big_endian_in_twos_complement():
    assert layout(inputs=2).pack([1, -2]) == bytes.fromhex("0001fffe")
    assert layout(inputs=2, signed=False, input_width=1).pack([1, 255]) == b"\x01\xff"


@pytest.mark.parametrize("integers", [[1, 2, 1 << 15], [-(1 << 15) - 1, 0, 0]])
def test_integer_beyond_the_width_is_refused(integers):
    with pytest.raises(InputError, match="does not fit 2 bytes"):
        layout().pack(integers)


@pytest.mark.parametrize("integers", [[], [1, 2], [1, 2, 3, 4]])
def test_wrong_number_of_integers_is_refused(integers):
    with pytest.raises(InputError, match=f"3 public integers, not {len(integers)}"):
        layout().pack(integers)


@pytest.mark.parametrize("size", [0, 5, 7, 12])
def test_inputs_of_the_wrong_length_are_refused(size):
    with pytest.raises(InputError, match=f"have {size} bytes; the layout has 6"):
        layout().unpack(bytes(size))


def test_only_digests_of_hashed_inputs_are_split():
    hashed = layout(visibility="hashed", input_width=32, signed=False, inputs=2)
    assert hashed.digests(b"a" * 32 + b"b" * 32) == [b"a" * 32, b"b" * 32]
    with pytest.raises(InputError, match="have 63 bytes"):
        hashed.digests(bytes(63))
    with pytest.raises(InputError):
        layout().digests(bytes(6))
    with pytest.raises(InputError):
        hashed.unpack(bytes(64))


def test_split_assigns_integers_to_tensors():
    assert split_by_tensor([1, 2, 3], [spec("a"), spec("b", (1,))]) == {"a": [1, 2], "b": [3]}


@pytest.mark.parametrize("integers", [[1, 2], [1, 2, 3, 4]])
def test_split_of_the_wrong_count_is_refused(integers):
    with pytest.raises(InputError, match=f"{len(integers)} integers for tensors of 3"):
        split_by_tensor(integers, [spec("a"), spec("b", (1,))])


def test_outputs_are_abi_words():
    assert output_words([1, -1]) == bytes(31) + b"\x01" + b"\xff" * 32


GOOD = {
    "chainId": 31337,
    "consumer": "0x" + "c0" * 20,
    "requestId": "0x" + "11" * 32,
    "requester": "0x" + "aa" * 20,
    "expiry": 1795266000,
}
LARGEST = {
    "chainId": 2**256 - 1,
    "consumer": "0x" + "ff" * 20,
    "requestId": "0x" + "ff" * 32,
    "requester": "0x" + "ff" * 20,
    "expiry": 2**64 - 1,
}
ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda data: "0x" + data.hex())
WORDS = st.binary(min_size=32, max_size=32).map(lambda data: "0x" + data.hex())
FIELDS = st.fixed_dictionaries(
    {
        "chainId": st.integers(0, 2**256 - 1),
        "consumer": ADDRESSES,
        "requestId": WORDS,
        "requester": ADDRESSES,
        "expiry": st.integers(0, 2**64 - 1),
    }
)


# The numbers were computed with a Keccak written from the specification, over ABI words put together by hand.
@pytest.mark.parametrize(
    ("fields", "limbs"),
    [
        ({"requestId": "0x" + "11" * 32}, (28416942, 59843210, 3833095, 46466574, 23969661)),
        (GOOD, (21250913, 45750021, 24491818, 61400641, 1972958)),
        (LARGEST, (55693214, 23078865, 44221507, 58628895, 26562898)),
    ],
)
def test_hash_is_pinned_by_its_first_130_bits(fields, limbs):
    assert limbs_of(Context(**fields).hash) == limbs


@given(FIELDS)
def test_hash_matches_the_abi_encoding(fields):
    context = Context(**fields)
    values = (fields[name] for name in GOOD)
    numbers = (value if isinstance(value, int) else int(value, 16) for value in values)
    hashed = keccak(b"".join(number.to_bytes(32, "big") for number in numbers))
    assert context.abi_encoded == b"".join(
        [
            fields["chainId"].to_bytes(32, "big"),
            bytes(12) + bytes.fromhex(fields["consumer"][2:]),
            bytes.fromhex(fields["requestId"][2:]),
            bytes(12) + bytes.fromhex(fields["requester"][2:]),
            fields["expiry"].to_bytes(32, "big"),
        ]
    )
    assert context.hash == hashed


@given(FIELDS, FIELDS, st.sampled_from(sorted(GOOD)))
def test_hash_changes_with_every_single_field(fields, others, name):
    changed = fields | {name: others[name]}
    assert (Context(**fields).hash == Context(**changed).hash) == (fields == changed)


def test_consumer_and_requester_are_not_interchangeable():
    swapped = GOOD | {"consumer": GOOD["requester"], "requester": GOOD["consumer"]}
    assert Context(**swapped).hash != Context(**GOOD).hash


def test_offline_context_is_fresh_and_without_addresses():
    first, second = Context.offline(), Context.offline()
    assert first.request_id != second.request_id
    assert (first.chain_id, first.consumer, first.requester, first.expiry) == (0, ZERO_ADDRESS, ZERO_ADDRESS, 0)


@given(FIELDS)
def test_json_form_round_trips(fields):
    context = Context(**fields)
    assert Context.model_validate_json(context.model_dump_json(by_alias=True)) == context
    assert context.model_dump(by_alias=True) == fields


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("chainId", -1),
        ("chainId", 2**256),
        ("chainId", "1"),
        ("chainId", 1.0),
        ("chainId", True),
        ("consumer", "0x" + "c0" * 19),
        ("consumer", "0x" + "c0" * 21),
        ("consumer", "0x" + "C0" * 20),
        ("consumer", "c0" * 20),
        ("consumer", "0x" + "c0" * 20 + "\n"),
        ("consumer", "0x" + "g0" * 20),
        ("consumer", b"\xc0" * 20),
        ("requester", ""),
        ("requester", None),
        ("requestId", "0x" + "11" * 31),
        ("requestId", "0x" + "AA" * 32),
        ("requestId", "0X" + "11" * 32),
        ("requestId", "0x" + "11" * 32 + "\n"),
        ("requestId", 17),
        ("expiry", -1),
        ("expiry", 2**64),
        ("expiry", 1.5),
    ],
)
def test_malformed_field_is_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        Context(**GOOD | {name: value})


def test_context_without_request_is_refused():
    with pytest.raises(ValidationError, match="requestId"):
        Context(chainId=1)


@pytest.mark.parametrize("name", ["chain_id", "request_id", "nonce"])
def test_unknown_field_is_refused(name):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Context(**GOOD, **{name: 1})


def test_context_is_immutable():
    with pytest.raises(ValidationError, match="frozen"):
        Context(**GOOD).expiry = 0
