import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits.errors import InputError, JsonError
from zkinfer.verifier import (
    AllOf,
    AnyOf,
    ContextIs,
    EmptyPolicyError,
    EngineIs,
    ModelFileIs,
    ModelIs,
    NotExpired,
    NotMadeAfter,
    NotOlderThan,
    PolicyFileError,
    SetupIs,
    SignedBy,
    UnsafeAcceptDevSetup,
    load_policy,
    load_policy_file,
    load_policy_toml,
    write_policy,
)
from zkinfer.verifier import policy as policies
from zkinfer.verifier.policy_rules import RULES

WORD = "0x" + "11" * 32
ZERO = "sha256:" + "0" * 64


def load(*rules, version=1):
    return load_policy(json.dumps({"version": version, "allOf": rules}).encode())


@pytest.mark.parametrize(
    ("rule", "policy"),
    [
        ({"modelIs": WORD}, ModelIs(WORD)),
        ({"modelFileIs": ZERO}, ModelFileIs(ZERO)),
        ({"signedBy": [ZERO]}, SignedBy(ZERO)),
        ({"notOlderThanSeconds": 60}, NotOlderThan(timedelta(minutes=1))),
        ({"notExpired": True}, NotExpired()),
        ({"notMadeAfter": "2026-11-30T12:00:00Z"}, NotMadeAfter(datetime(2026, 11, 30, 12, tzinfo=UTC))),
        ({"setupIs": "hermez"}, SetupIs("hermez")),
        ({"engineIs": ["ashlar"]}, EngineIs("ashlar")),
        ({"contextIs": {"chainId": 1, "requestId": WORD}}, ContextIs(chain_id=1, request_id=WORD)),
        ({"anyOf": [{"setupIs": "hermez"}, {"notExpired": True}]}, AnyOf(SetupIs("hermez"), NotExpired())),
        ({"allOf": [{"notExpired": True}]}, AllOf(NotExpired())),
    ],
)
def test_rule_is_loaded(rule, policy):
    assert load(rule) == AllOf(policy)


def test_permission_is_loaded():
    assert load({"notExpired": True}, {"unsafeAcceptDevSetup": True}) == AllOf(NotExpired(), UnsafeAcceptDevSetup())


@pytest.mark.parametrize(
    "rules", [[], [{"unsafeAcceptDevSetup": True}], [{"anyOf": []}], [{"signedBy": []}], [{"contextIs": {}}]]
)
def test_empty_policy_is_refused(rules):
    with pytest.raises(EmptyPolicyError, match="requires nothing"):
        load(*rules)


@pytest.mark.parametrize("document", [[], None, {}, {"version": 1}, {"allOf": []}, {"version": 1, "allOf": [], "x": 1}])
def test_other_document_is_refused(document):
    with pytest.raises(PolicyFileError, match="exactly the keys version and allOf"):
        load_policy(json.dumps(document).encode())


@pytest.mark.parametrize("version", [0, 2, "1", 1.0, True, None])
def test_other_version_is_refused(version):
    with pytest.raises(PolicyFileError, match=r"is not supported\. Use version 1"):
        load({"notExpired": True}, version=version)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"modelis": WORD}, "rule 'modelis' is unknown. Did you mean 'modelIs'"),
        ({"modelIs": WORD, "notExpired": True}, "exactly one key"),
        ({}, "exactly one key"),
        ("notExpired", "exactly one key"),
        ({"notExpired": False}, "has the value true"),
        ({"notExpired": 1}, "has the value true"),
        ({"unsafeAcceptDevSetup": "true"}, "has the value true"),
        ({"modelIs": 1}, "not text"),
        ({"signedBy": ZERO}, "not a list of key fingerprints"),
        ({"notOlderThanSeconds": 1.5}, "not a whole number of seconds"),
        ({"notOlderThanSeconds": True}, "not a whole number of seconds"),
        ({"notOlderThanSeconds": 10**20}, "out of range"),
        ({"contextIs": {"chainid": 1}}, "'chainid' is unknown. Did you mean 'chainId'.* has only the keys chainId"),
        ({"zzz": 1}, "rule 'zzz' is unknown. Use one of"),
        ({"notMadeAfter": "2026-11-30"}, "is not a time. Write it as"),
        ({"notMadeAfter": 1}, "not text"),
        ({"contextIs": {"chainId": "1"}}, "not a chainId"),
        ({"contextIs": {"chainId": True}}, "not a chainId"),
        ({"anyOf": {}}, "not a list of rules"),
        ({"\x1b[2J": 1}, r"\\x1b"),
    ],
)
def test_malformed_rule_is_refused(rule, message):
    with pytest.raises(PolicyFileError, match=message):
        load(rule)


@pytest.mark.parametrize(
    "rule",
    [
        {"modelIs": "0x1"},
        {"notOlderThanSeconds": 0},
        {"notOlderThanSeconds": -(10**24)},
        {"contextIs": {"consumer": "0x1"}},
        {"engineIs": ["ashlar/0.1.0"]},
    ],
)
def test_malformed_argument_is_refused(rule):
    with pytest.raises(InputError, match=r"Write it in lower-case hex|without its version|out of range"):
        load(rule)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b'{"version":1,"version":1,"allOf":[]}', "'version' twice"),
        (b" " * ((1 << 20) + 1), "over the limit"),
    ],
)
def test_non_strict_json_is_refused(data, message):
    with pytest.raises(JsonError, match=f"The policy .*{message}|{message}"):
        load_policy(data)


def test_misspelt_key_of_a_policy_is_refused_with_a_suggestion():
    with pytest.raises(PolicyFileError, match=r"exactly the keys version and allOf\. Did you mean 'allOf'"):
        load_policy(b'{"version":1,"allof":[{"notExpired":true}]}')


# --- one schema


def test_every_policy_class_has_a_rule():
    classes = {kind for kind in vars(policies).values() if isinstance(kind, type) and hasattr(kind, "check")}
    assert {rule.kind for rule in RULES.values()} == classes - {policies.Policy}


@pytest.mark.parametrize("name", RULES)
def test_example_of_a_rule_is_read_and_written_again(name):
    document = {"version": 1, "allOf": [{"notExpired": True}, {name: RULES[name].example}]}
    policy = load_policy(json.dumps(document).encode())
    assert write_policy(policy) == document


LEAF = st.one_of(
    st.integers(0, 2**256 - 1).map(lambda n: {"modelIs": f"0x{n:064x}"}),
    st.sets(st.integers(0, 2**256 - 1).map(lambda n: f"sha256:{n:064x}"), min_size=1, max_size=3).map(
        lambda keys: {"signedBy": sorted(keys)}
    ),
    st.integers(1, 1 << 32).map(lambda seconds: {"notOlderThanSeconds": seconds}),
    st.integers(0, 1 << 32).map(
        lambda seconds: {"notMadeAfter": datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    ),
    st.just({"notExpired": True}),
)


def nested(parts):
    pairs = st.tuples(st.sampled_from(["allOf", "anyOf"]), st.lists(parts, min_size=1, max_size=3))
    return pairs.map(lambda pair: dict([pair]))


@given(st.lists(st.recursive(LEAF, nested, max_leaves=8), min_size=1, max_size=3))
def test_document_is_the_same_after_reading_and_writing(rules):
    document = {"version": 1, "allOf": rules}
    assert write_policy(load_policy(json.dumps(document).encode())) == document


def test_single_policy_is_written_as_a_list_of_one():
    assert write_policy(NotExpired()) == {"version": 1, "allOf": [{"notExpired": True}]}


def test_policy_of_the_callers_own_cannot_be_written():
    class Own:
        def check(self, inference, now):
            raise NotImplementedError

    with pytest.raises(PolicyFileError, match="A Own cannot be written"):
        write_policy(AllOf(NotExpired(), Own()))


# --- TOML


def test_policy_in_toml_is_the_same_as_in_json():
    text = f"""version = 1
[[allOf]]
modelIs = "{WORD}"
[[allOf]]
[allOf.contextIs]
chainId = 1
[[allOf]]
anyOf = [{{notExpired = true}}, {{setupIs = "hermez"}}]
"""
    rules = [{"modelIs": WORD}, {"contextIs": {"chainId": 1}}, {"anyOf": [{"notExpired": True}, {"setupIs": "hermez"}]}]
    assert load_policy_toml(text.encode()) == load(*rules)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"version = 1\nversion = 1", "not TOML"),
        (b"{", "not TOML"),
        (b"\xff", "not TOML"),
        (b"version = 1\nallOf = " + b"[" * 5000, "nested too deeply|not TOML"),
        (b"version = 1\nx = 2026-11-30", "cannot hold.*Write times in quotes"),
        (b"version = 1\nx = inf", "cannot hold"),
        (b"version = 1\n[[alOf]]\nnotExpired = true", "Did you mean 'allOf'"),
        (b"#" * ((1 << 20) + 1), "over the limit"),
    ],
)
def test_malformed_toml_is_refused(text, message):
    with pytest.raises(PolicyFileError, match=message):
        load_policy_toml(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.toml", 'version = 1\n[[allOf]]\nsetupIs = "hermez"\n'),
        ("p.json", '{"version":1,"allOf":[{"setupIs":"hermez"}]}'),
    ],
)
def test_name_of_a_file_decides_its_language(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert load_policy_file(tmp_path / name) == AllOf(SetupIs("hermez"))


def test_toml_in_a_json_file_is_refused(tmp_path):
    (tmp_path / "p.json").write_text("version = 1\n")
    with pytest.raises(JsonError, match="not JSON"):
        load_policy_file(tmp_path / "p.json")


def test_missing_policy_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not a file"):
        load_policy_file(tmp_path / "p.toml")
