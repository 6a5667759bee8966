"""Terms: presets, files, and six vocabularies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.works.errors import TermsError
from zkinfer.works.kinds import Permission
from zkinfer.works.statement import Rights
from zkinfer.works.terms import PRESETS, Terms, Use, strictest
from zkinfer.works.vocabularies import from_cawg, to_cawg, to_content_usage, to_erc7517, to_pil, to_plus, to_tdmrep

PLUS = "http://ns.useplus.org/ldf/vocab/DMI-"
YES, SOME, NO = "allowed", "constrained", "notAllowed"
VECTORS = {
    # training, mining, inference; Content-Usage; tdm-reservation; PLUS
    "cc-by": ((SOME, YES, YES), "train-ai=n, search=y", "1", "PROHIBITED-SEECONSTRAINT"),
    "cc-by-nc": ((SOME, YES, YES), "train-ai=n, search=y", "1", "PROHIBITED-SEECONSTRAINT"),
    "all-rights": ((NO, NO, NO), "train-ai=n, search=n", "1", "PROHIBITED"),
    "stock": ((NO, NO, YES), "train-ai=n, search=n", "1", "PROHIBITED"),
    "train-paid": ((SOME, SOME, YES), "train-ai=n, search=n", "1", "PROHIBITED-SEECONSTRAINT"),
}


@pytest.mark.parametrize("name", PRESETS)
def test_preset_means_the_same_in_every_vocabulary(name):
    rights = Terms.preset(name).rights
    (training, mining, inference), usage, reserved, plus = VECTORS[name]
    assert (rights.training, rights.mining, rights.inference) == (training, mining, inference)
    entries = to_cawg(rights)["entries"]
    assert {key: one["use"] for key, one in entries.items()} == {
        "cawg.ai_generative_training": training,
        "cawg.ai_training": training,
        "cawg.ai_inference": inference,
        "cawg.data_mining": mining,
    }
    preference = to_erc7517(rights)
    assert (preference["aiTraining"], preference["dataMining"], preference["aiInference"]) == (
        training,
        mining,
        inference,
    )
    assert (to_content_usage(rights), to_tdmrep(rights), to_plus(rights)) == (
        usage,
        {"tdm-reservation": reserved},
        PLUS + plus,
    )


@pytest.mark.parametrize("name", PRESETS)
def test_rights_survive_cawg(name):
    rights = Terms.preset(name).rights.model_copy(update={"policy": "https://example.org/policy"})
    constrained = Permission.CONSTRAINED in (rights.training, rights.mining, rights.inference)
    expected = rights if constrained else rights.model_copy(update={"policy": ""})
    assert from_cawg(to_cawg(rights)) == expected


@pytest.mark.parametrize(
    ("name", "commercial", "derivatives"),
    [("cc-by", True, True), ("cc-by-nc", False, True), ("train-paid", False, True)],
)
def test_offer_is_translated_to_a_programmable_licence(name, commercial, derivatives):
    (offer,) = Terms.preset(name).offers
    found = to_pil(offer)
    assert (found["commercialUse"], found["derivativesAllowed"]) == (commercial, derivatives)
    assert found["commercialRevShare"] == offer.share_bps * 10_000


def test_everything_allowed_is_said_so():
    rights = Rights(training=Permission.ALLOWED, mining=Permission.ALLOWED, inference=Permission.ALLOWED)
    assert (to_content_usage(rights), to_tdmrep(rights), to_plus(rights)) == (
        "train-ai=y, search=y",
        {"tdm-reservation": "0"},
        PLUS + "ALLOWED",
    )


@pytest.mark.parametrize(
    "data",
    [{}, {"entries": []}, {"entries": {"cawg.ai_training": {"use": "sure"}}}, {"entries": {"cawg.ai_training": 1}}],
)
def test_unknown_words_of_consent_mean_no(data):
    rights = from_cawg(data)
    assert {rights.training, rights.mining, rights.inference} == {NO}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["allowed", "cawg.ai_training"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(JSON, JSON)
def test_any_json_in_an_assertion_is_read(use, info):
    entry = {"use": use, "constraint_info": info}
    rights = from_cawg({"entries": {"c2pa.ai_training": entry, "cawg.ai_generative_training": entry, "x": info}})
    assert rights == Rights.model_validate_json(rights.model_dump_json())
    assert rights.training == (use if use == YES else NO)
    assert from_cawg({"entries": info}).training == NO


@pytest.mark.parametrize("info", ["https://example.org/a b", "a\nb", "\u00e4", "x" * 2049, ""])
def test_place_of_constraints_that_is_no_address_is_left_out(info):
    rights = from_cawg({"entries": {"cawg.ai_training": {"use": "constrained", "constraint_info": info}}})
    assert (rights.training, rights.policy) == (Permission.CONSTRAINED, "")


def test_older_and_newer_words_are_one_question():
    entries = {"c2pa.ai_training": {"use": "notAllowed"}, "cawg.ai_training": {"use": "allowed"}}
    assert from_cawg({"entries": entries}).training == NO
    assert from_cawg({"entries": {"other.ai_training": {"use": "allowed"}}}).training == NO


def test_strictest_answer_wins():
    found = strictest(Terms.preset(name).rights for name in ("cc-by", "stock"))
    assert (found.training, found.mining, found.inference) == (NO, NO, YES)


def test_file_changes_a_preset_and_adds_offers():
    terms = Terms.from_bytes(
        b'preset = "cc-by"\ntraining = "notAllowed"\npolicy = "https://example.org/p"\n'
        b'[[offer]]\nuses = ["commercial", "derivatives"]\ntext = "Buy me."\n'
        b'price = "0.01ether"\nshare = 10\ndays = 365\n'
    )
    (offer,) = terms.offers
    assert (terms.rights.training, terms.rights.policy) == (NO, "https://example.org/p")
    assert (offer.uses, offer.price, offer.share_bps, offer.duration) == (
        Use.COMMERCIAL | Use.DERIVATIVES,
        10**16,
        1000,
        365 * 86400,
    )
    assert offer.claim.uses == ("commercial", "derivatives")
    assert Terms.preset("cc-by").uses == Use.COMMERCIAL | Use.DERIVATIVES | Use.INFERENCE | Use.ATTRIBUTION


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("=", "not TOML"),
        ('preset = "mine"', "no terms 'mine'"),
        ('training = "maybe"', "training is 'maybe'"),
        ("unknown = 1", "malformed"),
        ('[[offer]]\nuses = ["fun"]\ntext = "x"', "no use 'fun'"),
        ('[[offer]]\nuses = []\ntext = ""', "malformed"),
        ('[[offer]]\nuses = []\ntext = "x"\nshare = 51', "malformed"),
        ('[[offer]]\nuses = []\ntext = "x"\nprice = "1"', "no amount"),
        ('policy = "a b"', "malformed"),
        ('[[offer]]\nuses = []\ntext = "x"\nuri = "a b"', "malformed"),
        ("\xff", "malformed|not TOML"),
    ],
)
def test_malformed_terms_are_refused_with_the_cause(text, cause):
    with pytest.raises(TermsError, match=cause):
        Terms.from_bytes(text.encode("latin-1"))
