from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits.statement import ZERO_ADDRESS
from zkinfer.oip.messages import InferParameter
from zkinfer.service.errors import BadFieldError
from zkinfer.service.oip.parameters import proof_request
from zkinfer.service.submission import ProofRequest

WORD = "0x" + "AB" * 32
FIELDS = ["proof_mode", "request_id", "chain_id", "consumer", "requester", "expiry", "float"]
VALUES = st.one_of(
    st.text("none 0123456789abcdefxé\n", max_size=80).map(lambda value: InferParameter(string_param=value)),
    st.integers(-(1 << 63), (1 << 63) - 1).map(lambda value: InferParameter(int64_param=value)),
    st.floats().map(lambda value: InferParameter(double_param=value)),
    st.booleans().map(lambda value: InferParameter(bool_param=value)),
    st.integers(0, (1 << 64) - 1).map(lambda value: InferParameter(uint64_param=value)),
    st.just(InferParameter()),
)


def text(value):
    return InferParameter(string_param=value)


def test_default_is_an_asynchronous_proof_without_a_consumer():
    asked = proof_request({})
    assert asked == ProofRequest()
    assert (asked.mode, asked.consumer, asked.deadline, asked.fixes_request_id) == (
        "async",
        ZERO_ADDRESS,
        None,
        False,
    )


def test_context_without_a_request_id_gets_a_fresh_one():
    assert ProofRequest().context().request_id != ProofRequest().context().request_id
    assert ProofRequest(request_id="order 66").context().request_id != "order 66"


def test_32_byte_request_id_becomes_the_contexts_in_lower_case():
    asked = proof_request({"zkinfer_request_id": text(WORD)})
    assert asked.fixes_request_id
    assert asked.context().request_id == WORD.lower()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (InferParameter(int64_param=5), 5),
        (InferParameter(uint64_param=(1 << 64) - 1), (1 << 64) - 1),
        (text("12"), 12),
        (text("0xff"), 255),
        (text(str((1 << 256) - 1)), (1 << 256) - 1),
    ],
)
def test_chain_id_is_an_integer_or_a_decimal_string(parameter, value):
    assert proof_request({"zkinfer_chain_id": parameter}).context().chain_id == value


@pytest.mark.parametrize("value", [str(1 << 256), "0x", "1e3", "-1", "١", "9" * 100_000])
def test_non_numeric_string_is_refused(value):
    with pytest.raises(BadFieldError, match=r"integer from 0 to 2\^256 - 1") as caught:
        proof_request({"zkinfer_chain_id": text(value)})
    assert caught.value.field == "parameters.zkinfer_chain_id"


@pytest.mark.parametrize(
    ("expiry", "deadline"), [(0, None), (1, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)), (1 << 63, None)]
)
def test_expiry_is_the_deadline_if_it_is_a_valid_date(expiry, deadline):
    asked = proof_request({"zkinfer_expiry": InferParameter(uint64_param=expiry)})
    assert asked.deadline == deadline
    assert asked.context().expiry == expiry


def test_foreign_parameters_are_ignored():
    assert proof_request({"priority": InferParameter(int64_param=1), "sequence_id": text("a")}) == ProofRequest()


@pytest.mark.parametrize("value", ["a\nb", "\x00", "a\x7f", "\u202e"])
def test_unprintable_request_id_is_refused(value):
    with pytest.raises(BadFieldError, match="printable characters"):
        proof_request({"zkinfer_request_id": text(value)})


@given(st.dictionaries(st.sampled_from([f"zkinfer_{name}" for name in FIELDS]), VALUES, max_size=4))
def test_any_parameters_are_accepted_or_refused(parameters):
    with suppress(BadFieldError):
        asked = proof_request(parameters)
        assert asked.context().chain_id == asked.chain_id
