"""A running server in a browser: its models, its proofs, and the check of an attestation."""


def test_model_is_shown_with_fidelity_and_cost(visit, full_link):
    page = visit(full_link)
    page.get_by_role("link", name="Server").click()
    page.get_by_role("link", name="digits").click()
    assert page.locator("svg.scale circle").count() == 3
    assert page.locator("#cost ~ table tr").count() == 4
    assert "model id" in page.locator("dl").inner_text()


def test_attestation_of_a_proof_is_verified(visit, full_link, proven):
    page = visit(full_link, "/server")
    page.locator("tbody a").first.click()
    assert "proven" in page.locator(".lead").inner_text()
    page.set_input_files("#model", proven.model)
    page.check("#unsafe_dev_setup")
    if proven.experimental:
        page.check(f"#engine_{proven.experimental}")
    page.get_by_role("button", name="Verify").click()
    page.wait_for_selector(".verdict[data-outcome=forgeable]")


def test_page_without_a_server_says_how_to_name_one(visit, link):
    page = visit(link, "/server")
    assert "zkinfer ui --server" in page.locator("pre").inner_text()
