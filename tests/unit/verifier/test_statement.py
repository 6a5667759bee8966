import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.verifier.forge import at

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import InputError
from zkinfer.verifier.errors import MalformedAttestationError, UnsupportedVersionError
from zkinfer.verifier.statement import MAX_VALUES, Statement, output_digest, read_time, write_time

WORD = "0x" + "00" * 32


def test_statement_round_trips(good):
    assert Statement.from_bytes(good.envelope.payload).to_bytes() == good.envelope.payload


def test_constants_are_stable(document):
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "urn:zkinfer:predicate:inference:v1"


def test_statement_has_the_documented_fields(document):
    assert set(document) == {"_type", "subject", "predicateType", "predicate"}
    fields = "circuit recipe setupSize inputs outputs layout proof context createdAt signer"
    fields += " publicContext publicInputs publicOutputs"
    assert set(document["predicate"]) == set(fields.split())


def test_subject_is_the_digest_of_the_outputs(document):
    words = [int(value) for value in document["predicate"]["publicOutputs"]]
    assert document["subject"] == [{"name": "output", "digest": {"sha256": output_digest(words)}}]


@pytest.mark.parametrize("version", ["v2", "v1.1", "v0", ""])
def test_other_version_is_refused(document, version):
    document = document | {"predicateType": f"urn:zkinfer:predicate:inference:{version}"}
    with pytest.raises(UnsupportedVersionError, match="Verify with the version of zkinfer"):
        Statement.from_bytes(canonical.dump(document))


@pytest.mark.parametrize("kind", ["https://slsa.dev/provenance/v1", "", "urn:zkinfer:predicate:inference"])
def test_other_predicate_is_refused(document, kind):
    with pytest.raises(MalformedAttestationError, match="predicateType"):
        Statement.from_bytes(canonical.dump(document | {"predicateType": kind}))


@pytest.mark.parametrize("data", [b"{}", b"[]", b"null", b'{"predicateType":1}'])
def test_payload_without_a_predicate_type_is_refused(data):
    with pytest.raises(MalformedAttestationError, match="it has no predicateType"):
        Statement.from_bytes(data)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("predicate", "setupSize"), "3"),
        (("predicate", "setupSize"), 3.0),
        (("predicate", "setupSize"), True),
        (("predicate", "setupSize"), 29),
        (("predicate", "setupSize"), -1),
        (("predicate", "publicOutputs"), []),
        (("predicate", "publicOutputs"), [0]),
        *((("predicate", "publicOutputs"), [text]) for text in ("", "-0", "+1", "01", "1.0", "0x1", "1\n", "1" * 20)),
        *((("predicate", "publicContext"), text) for text in ("", WORD.upper(), WORD[:-1], WORD + "\n", 0)),
        (("predicate", "publicInputs"), None),
        (("predicate", "layout", "visibility"), "hidden"),
        (("predicate", "layout", "outputs"), 0),
        (("predicate", "layout", "signed"), 1),
        (("predicate", "inputs"), []),
        (("predicate", "context", "chainId"), -1),
        (("predicate", "context", "chainId"), 1 << 256),
        (("predicate", "signer", "ephemeral"), 0),
        (("predicate", "signer", "algorithm"), "rsa"),
        (("predicate", "recipe", "runArguments"), None),
        (("predicate", "recipe", "dimensions"), {"n": 0}),
        (("predicate", "proof"), None),
        (("subject",), []),
        (("subject", 0, "name"), "input"),
        (("subject", 0, "digest", "sha256"), "0" * 63),
        (("_type",), "https://in-toto.io/Statement/v0.1"),
    ],
)
def test_field_of_the_wrong_type_is_refused(document, path, value):
    with pytest.raises(MalformedAttestationError, match=str(path[-1])):
        Statement.from_bytes(canonical.dump(at(document, path, lambda _: value)))


@pytest.mark.parametrize(
    "path", [(), ("predicate",), ("predicate", "circuit"), ("predicate", "signer"), ("subject", 0)]
)
def test_unknown_field_is_refused(document, path):
    grown = at({"root": document}, ("root", *path), lambda value: value | {"extra": 1})["root"]
    with pytest.raises(MalformedAttestationError, match="extra"):
        Statement.from_bytes(canonical.dump(grown))


def test_field_under_its_python_name_is_refused(document):
    text = json.dumps(document).replace('"createdAt"', '"created_at"')
    with pytest.raises(MalformedAttestationError, match="not in canonical form"):
        Statement.from_bytes(canonical.dump(json.loads(text)))


def test_too_many_outputs_are_refused(document):
    grown = at(document, ("predicate", "publicOutputs"), lambda _: ["1"] * (MAX_VALUES + 1))
    with pytest.raises(MalformedAttestationError, match=r"publicOutputs.*131072"):
        Statement.from_bytes(canonical.dump(grown))


def test_lone_surrogate_is_refused(document):
    with pytest.raises(MalformedAttestationError, match="payload"):
        Statement.from_bytes(canonical.dump(at(document, ("predicate", "inputs", 0, "name"), lambda _: "\ud800")))


def test_name_chosen_by_an_attacker_is_escaped_in_the_message(document):
    with pytest.raises(MalformedAttestationError, match=r"\\x1b\[2J") as caught:
        Statement.from_bytes(canonical.dump(document | {"\x1b[2J": 1}))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T12:00:00+00:00",
        "2026-11-21T12:00:00.000Z",
        "2026-11-21 12:00:00Z",
        "2026-11-21T12:00:00z",
        "2026-11-31T12:00:00Z",
        "2026-1-21T12:00:00Z",
        "2026-11-21T12:00:60Z",
        "٢026-11-21T12:00:00Z",
        " 2026-11-21T12:00:00Z",
        "",
    ],
)
def test_malformed_time_is_refused(document, text):
    with pytest.raises(MalformedAttestationError, match="createdAt"):
        Statement.from_bytes(canonical.dump(at(document, ("predicate", "createdAt"), lambda _: text)))


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_time_round_trips_to_the_second(moment):
    assert read_time(write_time(moment)) == moment.replace(microsecond=0)


def test_time_is_written_in_utc():
    paris = timezone(timedelta(hours=1))
    assert write_time(datetime(2026, 11, 21, 13, 0, 0, 999, tzinfo=paris)) == "2026-11-21T12:00:00Z"


def test_time_without_a_zone_is_refused():
    with pytest.raises(InputError, match="without a time zone is ambiguous"):
        write_time(datetime(2026, 11, 21))
