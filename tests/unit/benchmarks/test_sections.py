from benchmarks.sections import section_of, with_other_sections, with_section

PAGE = "# Page\n\ntext\n\n## Bad proofs\n\nold\n\n## Other\n\nmore\n"


def test_section_replaces_the_old_one_in_its_place():
    changed = with_section(PAGE, "## Bad proofs\n\nnew\n\n")
    assert section_of(changed, "## Bad proofs") == "## Bad proofs\n\nnew\n"
    assert changed == PAGE.replace("old", "new")


def test_section_that_is_new_goes_to_the_end():
    assert with_section(PAGE, "## New\n\nwords\n") == PAGE + "\n## New\n\nwords\n"


def test_section_is_found_by_its_whole_title():
    assert section_of(PAGE, "## Bad") == ""
    assert section_of("# Page\n", "## Bad proofs") == ""


def test_sections_of_others_survive_a_new_page():
    page = with_other_sections("# Page\n\nnew text\n\n## Other\n\nless\n", PAGE)
    assert page == "# Page\n\nnew text\n\n## Other\n\nless\n\n## Bad proofs\n\nold\n"
