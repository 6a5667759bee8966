import json
from datetime import timedelta

import pytest

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
    NotOlderThan,
    PolicyFileError,
    SetupIs,
    SignedBy,
    UnsafeAcceptDevSetup,
    load_policy,
)

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
        ({"modelis": WORD}, "rule 'modelis' is unknown. Use one of allOf, anyOf"),
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
        ({"contextIs": {"chainid": 1}}, "contextIs has only the keys chainId"),
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
    ],
)
def test_malformed_argument_is_refused(rule):
    with pytest.raises(InputError, match=r"Write it in lower-case hex|out of range"):
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
