import pytest
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from zkinfer.circuits import Context
from zkinfer.circuits.context import ZERO_ADDRESS
from zkinfer.circuits.engines.ezkl.instances import limbs_of

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
def test_hash_is_that_of_the_abi_encoding(fields):
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


def test_offline_context_is_fresh_and_names_no_one():
    first, second = Context.offline(), Context.offline()
    assert first.request_id != second.request_id
    assert (first.chain_id, first.consumer, first.requester, first.expiry) == (0, ZERO_ADDRESS, ZERO_ADDRESS, 0)


@given(FIELDS)
def test_json_form_is_read_back_as_itself(fields):
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
def test_field_out_of_its_form_is_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        Context(**GOOD | {name: value})


def test_context_without_request_is_refused():
    with pytest.raises(ValidationError, match="requestId"):
        Context(chainId=1)


@pytest.mark.parametrize("name", ["chain_id", "request_id", "nonce"])
def test_field_of_another_name_is_refused(name):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Context(**GOOD, **{name: 1})


def test_context_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Context(**GOOD).expiry = 0
