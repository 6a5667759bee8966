import pytest

ACCEPTED = {"unsafe_dev_setup": "on"}


def files_of(proven, **changed):
    found = {"attestation": ("answer.json", proven.data), "model": ("tiny.onnx", proven.model)}
    return found | {name: file for name, file in changed.items() if file}


def test_form_offers_files_and_risks(browser):
    text = browser.get("/").text
    assert all(
        f'name="{name}"' in text for name in ("attestation", "model", "policy", "engine_ashlar", "unsafe_dev_setup")
    )
    assert 'name="chain"' not in text


def test_attestation_is_verified_and_its_verdict_shown(browser, proven, finished):
    task = finished(browser.post("/verify", ACCEPTED, files_of(proven)))
    assert task.result.report.outcome == "forgeable"
    assert [event.state for event in task.states().values()] == ["passed"] * 11 + ["skipped"]
    text = browser.get(f"/tasks/{task.id}").text
    assert "Valid, but forgeable" in text
    assert "the proof holds" in text


def test_development_setup_is_refused_unless_ticked(browser, proven, finished):
    task = finished(browser.post("/verify", {}, files_of(proven)))
    text = browser.get(f"/tasks/{task.id}").text
    assert 'data-outcome="refused"' in text
    assert "anyone can forge such proofs" in text


def test_other_model_is_refused(browser, proven, finished):
    task = finished(browser.post("/verify", ACCEPTED, files_of(proven, model=("other.onnx", proven.model + b" "))))
    assert task.result.report.outcome == "refused"
    assert task.states()["3"].state == "failed"
    assert task.states()["4"].state == "not_reached"


def test_nonsense_is_refused_at_the_first_check(browser, proven, finished):
    task = finished(browser.post("/verify", ACCEPTED, files_of(proven, attestation=("a.json", b"{"))))
    assert task.states()["1"].state == "failed"


def test_expected_input_is_compared(browser, proven, finished):
    same = ("input.json", b'{"x": [[0.5, -1.25, 2.0]]}')
    other = ("input.json", b'{"x": [[0.5, -1.25, 2.5]]}')
    accepted = finished(browser.post("/verify", ACCEPTED, files_of(proven, input=same)))
    refused = finished(browser.post("/verify", ACCEPTED, files_of(proven, input=other)))
    assert (accepted.result.report.outcome, refused.result.report.outcome) == ("forgeable", "refused")
    assert refused.states()["8"].state == "failed"


def test_request_is_compared(browser, proven, finished):
    own = proven.attestation.predicate.context.request_id
    accepted = finished(
        browser.post("/verify", ACCEPTED | {"request_id": f" {own.upper().replace('X', 'x')} "}, files_of(proven))
    )
    refused = finished(browser.post("/verify", ACCEPTED | {"request_id": "0x" + "00" * 32}, files_of(proven)))
    assert (accepted.result.report.outcome, refused.result.report.outcome) == ("forgeable", "refused")


def test_circuit_is_compared_and_adds_its_card(browser, proven, tiny, finished):
    manifest = (tiny.circuit.folder / "manifest.json").read_bytes()
    task = finished(browser.post("/verify", ACCEPTED, files_of(proven, circuit=("manifest.json", manifest))))
    assert task.result.report.card is not None


def test_policy_is_applied(browser, proven, finished):
    policy = b'{"version": 1, "allOf": [{"signedBy": ["sha256:' + b"00" * 32 + b'"]}]}'
    task = finished(browser.post("/verify", ACCEPTED, files_of(proven, policy=("policy.json", policy))))
    assert task.states()["11"].state == "failed"


@pytest.mark.parametrize(
    ("name", "file", "cause"),
    [
        ("policy", ("policy.json", b"{}"), "A policy is an object"),
        ("signer", ("key.pub", b"no key"), "key"),
        ("circuit", ("manifest.json", b"{}"), "manifest"),
        ("input", ("input.exe", b"x"), "input"),
    ],
)
def test_unusable_requirement_gives_no_verdict(browser, proven, finished, name, file, cause):
    task = finished(browser.post("/verify", ACCEPTED, files_of(proven, **{name: file})))
    answer = browser.get(f"/tasks/{task.id}")
    assert answer.status_code == 422
    assert cause in answer.text
    assert "No verdict" in answer.text
    assert "No verdict</span>" in browser.get("/").text


@pytest.mark.parametrize("missing", ["attestation", "model"])
def test_missing_file_is_named(browser, proven, missing):
    given = {name: file for name, file in files_of(proven).items() if name != missing}
    answer = browser.post("/verify", {}, given)
    assert answer.status_code == 422
    assert f"No file was chosen as the {missing}" in answer.text


def test_malformed_request_id_is_refused(browser, proven):
    answer = browser.post("/verify", {"request_id": "<b>1</b>"}, files_of(proven))
    assert answer.status_code == 422
    assert "&lt;b&gt;1&lt;/b&gt;" in answer.text


def test_record_without_a_chain_gives_no_verdict(browser, proven, finished):
    task = finished(browser.post("/verify", ACCEPTED | {"chain": "on"}, files_of(proven)))
    assert "No chain is configured" in task.error.cause


def test_name_of_a_file_is_text_and_no_path(browser, proven, finished):
    hostile = "../../<img src=x>\u202e.json"
    task = finished(browser.post("/verify", ACCEPTED, files_of(proven, attestation=(hostile, proven.data))))
    text = browser.get("/").text
    assert "<img" not in text
    assert "\u202e" not in text
    assert ".." not in task.about.attestation


def test_repeated_field_is_refused(browser):
    token = browser.token()
    body = f"token={token}&request_id=a&request_id=b"
    headers = {"origin": "http://127.0.0.1:8642", "content-type": "application/x-www-form-urlencoded"}
    assert browser.http.post("/verify", content=body, headers=headers).status_code == 400


def test_too_many_files_are_refused(browser):
    answer = browser.post("/verify", {}, {f"f{number}": ("f", b"x") for number in range(7)})
    assert answer.status_code == 400


def test_uploads_are_removed(browser, auditor, proven, finished):
    finished(browser.post("/verify", ACCEPTED, files_of(proven)))
    ((model,),) = auditor.trust.seen
    assert model.name == "model.onnx"
    assert not model.parent.exists()


def test_last_verifications_are_listed_for_their_session_alone(browser, parts, proven, finished):
    finished(browser.post("/verify", ACCEPTED, files_of(proven)))
    assert "answer.json" in browser.get("/").text
    browser.http.cookies.clear()
    browser.get(f"/open/{parts.access.key}")
    assert "answer.json" not in browser.get("/").text
