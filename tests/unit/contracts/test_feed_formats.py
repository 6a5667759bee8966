from dataclasses import fields, replace

import pytest
from eth_abi.abi import decode, encode
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.vectors.make_feeds import SPECS, payload, spec, word

from zkinfer.circuits.statement import Context
from zkinfer.contracts.errors import AnswerOutOfBoundsError, FeedFormatError
from zkinfer.contracts.feed_formats import (
    NO_CONFIG,
    FeedPayload,
    FeedReport,
    FeedSpec,
    Level,
    RoundContext,
    Signature,
    feed_id,
    in_decimals,
    proof_context,
    request_id,
    round_of,
    to_decimals,
)
from zkinfer.contracts.feed_signatures import GROUP_ORDER
from zkinfer.contracts.identifiers import keccak256

ATTESTED, PROVEN = payload(SPECS[1], (0, 2)), payload(SPECS[1], (0, 2), proof=b"\1" * 40)
FIVE = ("bytes32[3]", "bytes", "bytes32[]", "bytes32[]", "bytes32")
NINE = (*FIVE, "bytes32", "bytes", "int256[]", "bytes")
WORDS = st.binary(min_size=32, max_size=32).map(lambda data: "0x" + data.hex())


@st.composite
def payloads(draw):
    observed_at = draw(st.integers(0, 2**32 - 1))
    report = FeedReport(
        feed_id=draw(WORDS.map(lambda one: "0x0003" + one[6:])),
        observed_at=observed_at,
        expires_at=draw(st.integers(observed_at, 2**32 - 1)),
        answer=draw(st.integers(-(2**191), 2**191 - 1)),
    )
    numbers = st.integers(1, GROUP_ORDER // 2)
    signatures = draw(st.lists(st.builds(Signature, numbers, numbers, st.sampled_from([27, 28])), max_size=31))
    proven = draw(st.booleans())
    return FeedPayload(
        config_digest=draw(WORDS.filter(lambda one: one != NO_CONFIG)) if signatures else NO_CONFIG,
        round=draw(st.integers(0, 2**40 - 1)),
        report=report,
        signatures=tuple(signatures),
        source_digest=draw(WORDS),
        inputs=draw(st.binary(max_size=70)),
        outputs=tuple(draw(st.lists(st.integers(1 - 2**63, 2**63 - 1), min_size=1, max_size=4))) if proven else (),
        proof=draw(st.binary(min_size=1, max_size=70)) if proven else b"",
    )


def refuses(data):
    """Whether the bytes are refused."""
    try:
        FeedPayload.decode(data)
    except FeedFormatError:
        return True
    return False


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(payloads())
def test_payload_survives_encoding(one):
    assert FeedPayload.decode(one.encode()) == one


@settings(deadline=None)
@given(st.sampled_from([ATTESTED, PROVEN]), st.integers(0), st.integers(1, 255))
def test_payload_with_a_changed_byte_is_refused_or_another_one(one, place, change):
    data = bytearray(one.encode())
    data[place % len(data)] ^= change
    assert refuses(bytes(data)) or FeedPayload.decode(bytes(data)) != one


@given(st.binary(max_size=400))
@example(b"")
def test_random_bytes_are_refused(data):
    assert refuses(data)


@pytest.mark.parametrize("size", [0, 31, 32, 288, -1])
def test_payload_that_is_cut_off_is_refused(size):
    with pytest.raises(FeedFormatError):
        FeedPayload.decode(PROVEN.encode()[:size])


@pytest.mark.parametrize("tail", [b"\0", bytes(32)])
def test_payload_with_further_bytes_is_refused(tail):
    with pytest.raises(FeedFormatError, match="one encoding"):
        FeedPayload.decode(PROVEN.encode() + tail)


def test_payload_over_the_limit_is_refused():
    with pytest.raises(FeedFormatError, match="at most 1,048,576 bytes"):
        FeedPayload.decode(bytes(1 << 21))


def test_payload_of_five_elements_is_refused():
    five = encode(FIVE, decode(FIVE, ATTESTED.encode()))
    with pytest.raises(FeedFormatError):
        FeedPayload.decode(five)


def test_decoders_of_five_elements_read_the_payload():
    context, report, rs, ss, recovery = decode(FIVE, PROVEN.encode())
    assert (context, report) == (PROVEN.context.words, PROVEN.report.encode())
    assert [int.from_bytes(one, "big") for one in rs] == [one.r for one in PROVEN.signatures]
    assert len(ss) == 2
    assert recovery[2:] == bytes(30)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, (bytes(32), PROVEN.context.words[1], PROVEN.context.words[2])),
        (0, (PROVEN.context.words[0], b"\1" + PROVEN.context.words[1][1:], PROVEN.context.words[2])),
        (0, (PROVEN.context.words[0], PROVEN.context.words[1], bytes(32))),
        (2, ()),
        (3, ((GROUP_ORDER // 2 + 1).to_bytes(32, "big"),) * 2),
        (4, b"\2" + bytes(31)),
        (4, bytes(31) + b"\1"),
        (5, bytes(32)),
        (6, b"other"),
        (7, ()),
        (7, (2**63,)),
        (8, b""),
    ],
)
def test_payload_with_one_wrong_element_is_refused(place, value):
    elements = list(decode(NINE, PROVEN.encode()))
    elements[place] = value
    with pytest.raises(FeedFormatError):
        FeedPayload.decode(encode(NINE, elements))


@pytest.mark.parametrize("place", range(9))
def test_report_with_other_times_fees_or_prices_is_refused(place):
    data = bytearray(PROVEN.report.encode())
    data[32 * place + 31] ^= 1
    if place in (0, 5):  # the id and the time of expiry are free
        assert FeedReport.decode(bytes(data)) != PROVEN.report
        return
    with pytest.raises(FeedFormatError, match="no fees"):
        FeedReport.decode(bytes(data))


def test_level_follows_from_the_proof():
    assert (ATTESTED.level, PROVEN.level) == (Level.ATTESTED, Level.PROVEN)


def test_signing_hash_is_that_of_the_reporting_protocol():
    expected = keccak256(keccak256(PROVEN.report.encode()) + b"".join(PROVEN.context.words))
    assert PROVEN.signing_hash == expected


def test_proof_does_not_change_what_is_signed():
    assert ATTESTED.signing_hash == PROVEN.signing_hash


@pytest.mark.parametrize(
    "changed",
    [
        {"config_digest": word(9)},
        {"round": 8},
        {"source_digest": word(9)},
        {"inputs": b""},
        {"report": replace(PROVEN.report, answer=1)},
    ],
)
def test_signing_hash_depends_on_everything_that_is_signed(changed):
    assert replace(ATTESTED, **changed).signing_hash != ATTESTED.signing_hash


@pytest.mark.parametrize("changed", [{"proof": b""}, {"outputs": ()}, {"config_digest": NO_CONFIG}, {"round": 2**40}])
def test_impossible_payload_is_refused(changed):
    with pytest.raises(FeedFormatError):
        replace(PROVEN, **changed)


def test_request_depends_on_feed_round_time_and_source():
    ids = {
        request_id(feed_id(SPECS[0]), 1, 2, word(3)),
        request_id(feed_id(SPECS[1]), 1, 2, word(3)),
        request_id(feed_id(SPECS[0]), 2, 2, word(3)),
        request_id(feed_id(SPECS[0]), 1, 3, word(3)),
        request_id(feed_id(SPECS[0]), 1, 2, word(4)),
    }
    assert len(ids) == 5


def test_context_of_a_proof_is_the_one_without_a_chain():
    request = PROVEN.request_id
    assert proof_context(request) == "0x" + Context.model_validate({"requestId": request}).hash.hex()


@pytest.mark.parametrize("name", [field.name for field in fields(FeedSpec)])
def test_feed_id_depends_on_every_field(name):
    value = getattr(spec(), name)
    other = value + 1 if isinstance(value, int) else value.replace("1", "2") + " " * (name == "description")
    other = "0x" + "77" * 20 if name in ("owner", "source") else other
    other = word(0x77) if name in ("listing", "recipe") else other
    assert feed_id(spec(**{name: other})) != feed_id(spec())


def test_feed_id_begins_with_the_schema():
    assert feed_id(spec()).startswith("0x0003")
    assert len(feed_id(spec())) == 66


def test_specification_from_a_contracts_result_is_the_same():
    one = spec(owner="0x" + "aB" * 20)
    assert FeedSpec.of(one.fields) == one


@pytest.mark.parametrize(
    "changed",
    [
        {"listing": "0x11"},
        {"recipe": word(1)[2:]},
        {"owner": "0x" + "00" * 20},
        {"source": "0x"},
        {"output": 2**24},
        {"output": -1},
        {"scale": 65},
        {"decimals": 19},
        {"least": 5, "most": 4},
        {"most": 2**191},
        {"tolerance": 2**64},
        {"tick": 0},
        {"heartbeat": 59},
        {"max_age": 59},
        {"max_age": 2**32},
        {"description": "é" * 101},
    ],
)
def test_impossible_specification_is_refused(changed):
    with pytest.raises(FeedFormatError):
        spec(**changed)


@given(st.integers(0, 2**32), st.integers(1, 2**32 - 1))
def test_round_begins_at_or_before_the_observation(observed_at, tick):
    start = round_of(observed_at, tick) * tick
    assert start <= observed_at < start + tick


@pytest.mark.parametrize(("outputs", "answer"), [((128,), 10**8), ((1,), 781250), ((-1,), -781250), ((1, -5), 781250)])
def test_answer_is_the_output_in_decimals(outputs, answer):
    assert spec(least=-(10**9)).answer(outputs) == answer


def test_answer_rounds_down():
    assert (to_decimals(-1, 64, 0), to_decimals(1, 64, 0)) == (-1, 0)


@pytest.mark.parametrize(("outputs", "bounds"), [((127,), (10**8, 10**9)), ((129,), (0, 10**8))])
def test_answer_outside_the_bounds_is_refused(outputs, bounds):
    with pytest.raises(AnswerOutOfBoundsError, match="outside the feed's bounds"):
        spec(least=bounds[0], most=bounds[1]).answer(outputs)


def test_missing_output_is_refused():
    with pytest.raises(FeedFormatError, match="output 1"):
        spec(output=1).answer((1,))


@pytest.mark.parametrize("case", [(2**127, 0, 0), (-(2**127), 0, 0), (1, 65, 0), (1, 0, 19)])
def test_decimals_that_overflow_are_refused(case):
    with pytest.raises(FeedFormatError):
        to_decimals(*case)


def test_context_of_another_source_or_input_is_another():
    one = RoundContext.about(word(1), 2, word(3), b"4")
    assert one.extra != RoundContext.about(word(1), 2, word(4), b"4").extra
    assert one.extra != RoundContext.about(word(1), 2, word(3), b"5").extra


@pytest.mark.parametrize("number", [-1, 2**40])
def test_round_out_of_range_is_refused(number):
    with pytest.raises(FeedFormatError, match="40 bits"):
        RoundContext.about(word(1), number, word(3), b"")


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (27583289, 8, "0.27583289"),
        (-5, 2, "-0.05"),
        (0, 3, "0.000"),
        (12345, 0, "12345"),
        (-(2**191), 18, "-3138550867693340381917894711603833208051.177722232017256448"),
    ],
)
def test_answer_in_decimals_is_exact(value, decimals, text):
    assert in_decimals(value, decimals) == text


def test_feed_whose_reports_would_end_after_32_bits_is_not_creatable():
    found = replace(SPECS[0], max_age=2**31)
    found.require_creatable(2**31 - 1)
    with pytest.raises(FeedFormatError, match="32 bits cannot hold"):
        found.require_creatable(2**31)
