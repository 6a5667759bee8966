"""Token metadata and headers say no more than the directory knows."""

import pytest

from zkinfer.service.rest.work_metadata import metadata_of, usage_headers
from zkinfer.v1.works_pb2 import Work, WorkCertificate, WorkLabel

ID = "0x" + "12" * 32


def work(**changes):
    return Work(**{"work": ID, "kind": "image", "origin": "generated", "label": WorkLabel(level="claimed")} | changes)


def certificate(**answers):
    given = {"training": "notAllowed", "mining": "allowed", "inference": "constrained"} | answers
    return WorkCertificate(name="three.png", **given)


def test_proof_is_stated_only_while_it_may_be_relied_on():
    assert metadata_of(work(label=WorkLabel(level="proven")))["proof_type"] == "validity"
    for level in ("attested", "claimed", ""):
        assert "proof_type" not in metadata_of(work(label=WorkLabel(level=level)))


def test_generated_work_alone_has_a_type_of_generated_content():
    assert metadata_of(work())["aigc_type"] == "image"
    assert "aigc_type" not in metadata_of(work(origin="human"))


def test_name_is_the_certified_one_or_of_the_id():
    assert metadata_of(work(certificate=certificate()))["name"] == "three.png"
    assert metadata_of(work())["name"] == "image 0x12121212..."


@pytest.mark.parametrize("uri", ["https://a.example/x", "http://a.example", "ipfs://bafy", "ar://x"])
def test_address_of_the_creator_is_external(uri):
    assert metadata_of(work(uri=uri))["external_url"] == uri
    assert "image" not in metadata_of(work(uri=uri))


@pytest.mark.parametrize("uri", ["", "javascript:alert(1)", "data:text/html,<script>", "file:///etc/passwd", "//x"])
def test_address_that_a_browser_would_run_is_left_out(uri):
    assert "external_url" not in metadata_of(work(uri=uri))


def test_consent_is_that_of_the_certificate():
    found = metadata_of(work(certificate=certificate()))["dataMiningPreference"]
    assert (found["aiTraining"], found["dataMining"], found["aiInference"]) == ("notAllowed", "allowed", "constrained")
    headers = usage_headers(work(certificate=certificate()))
    assert headers == {"content-usage": "train-ai=n, search=y", "tdm-reservation": "1"}


@pytest.mark.parametrize("changes", [{}, {"certificate": certificate(training="")}, {"certificate": WorkCertificate()}])
def test_nothing_is_said_where_the_creator_said_nothing(changes):
    assert usage_headers(work(**changes)) == {}
    assert "dataMiningPreference" not in metadata_of(work(**changes))
