"""The record on a chain in a browser: looked up, and required of a verification, at a real node."""


def test_record_is_looked_up_with_listing_code_and_block(visit, full_link, chain):
    page = visit(full_link)
    page.get_by_role("link", name="Chain").click()
    page.fill("#request_id", chain.answered)
    page.get_by_role("button", name="Look up").click()
    assert page.locator("#state").inner_text() == "An answer is on record"
    text = page.locator("main").inner_text()
    assert chain.model_id in text
    assert f"newest block\n{chain.block} 0x" in text
    for name in ("InferenceLedger", "ModelRegistry", "VerifierRouter"):
        assert page.locator(".code dt", has_text=name).count() == 1


def test_open_request_has_no_answer_yet(visit, full_link, chain):
    page = visit(full_link, f"/records?request_id={chain.open}")
    assert "no answer yet" in page.locator("#state").inner_text()


def test_unknown_request_is_not_on_the_ledger(visit, full_link):
    page = visit(full_link, f"/records?request_id=0x{'ab' * 32}")
    assert "does not know" in page.locator("#state").inner_text()


def verified(page, proven, attestation):
    page.set_input_files("#attestation", attestation)
    page.set_input_files("#model", proven.model)
    page.locator("details.more summary").click()
    page.check("#chain")
    page.check("#unsafe_dev_setup")
    if proven.experimental:
        page.check(f"#engine_{proven.experimental}")
    page.get_by_role("button", name="Verify").click()
    page.wait_for_selector(".verdict")


def test_recorded_answer_is_verified_against_the_chain(visit, full_link, proven, chain):
    page = visit(full_link)
    verified(page, proven, chain.attestation)
    assert page.locator("h1").inner_text() == "Valid, but forgeable"
    assert page.locator("#line-12").get_attribute("data-state") == "passed"
    section = page.locator("section[aria-labelledby=record]").inner_text()
    assert chain.ledger in section
    assert f"\n{chain.block} 0x" in section
    assert "block (confirmations: 1)" in section
    assert section.count("0x") >= 9


def test_answer_that_is_not_recorded_is_refused(visit, full_link, proven):
    page = visit(full_link)
    verified(page, proven, proven.attestation)
    assert "made without a chain" in page.locator(".reason").inner_text()
