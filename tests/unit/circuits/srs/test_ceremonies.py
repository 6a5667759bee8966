import re

import pytest

from zkinfer.circuits import srs
from zkinfer.circuits.errors import SetupError
from zkinfer.circuits.srs import ceremonies


def test_perpetual_powers_of_tau_lists_every_size():
    files = ceremonies.by_name("perpetual-powers-of-tau").files
    assert sorted(files) == list(range(1, 27))
    assert files[1] == "cafb2aa72c200ddc4e28aacabb8066e829207e2484b8d17059a566232f8a297b"


def test_digests_of_all_tables_are_distinct_and_written_in_full():
    digests = [digest for ceremony in ceremonies.CEREMONIES for digest in ceremony.files.values()]
    assert len(set(digests)) == len(digests)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)


def test_tau_g2_of_all_ceremonies_are_distinct():
    pinned = {ceremony.tau_g2 for ceremony in ceremonies.CEREMONIES}
    assert len(pinned) == 3
    assert {len(tau_g2) for tau_g2 in pinned} == {128}


def test_with_digest_known_names_the_ceremony_and_k():
    digest = "c8edbefe1562c50ea105f79d9d49989bcfbf1e6a335b3858d44260e71972b8ee"
    assert ceremonies.with_digest(digest) == (ceremonies.by_name("hermez"), 11)


def test_with_digest_unknown_is_none():
    assert ceremonies.with_digest("0" * 64) is None


def test_by_name_unknown_is_refused_and_lists_the_known():
    with pytest.raises(SetupError, match=r"The ceremony 'aztec' is unknown.*hermez"):
        ceremonies.by_name("aztec")


def test_real_names_leave_out_insecure_dev():
    assert ceremonies.real_names() == ("perpetual-powers-of-tau", "hermez")


def test_files_of_a_ceremony_cannot_be_changed():
    with pytest.raises(TypeError):
        ceremonies.by_name("hermez").files[12] = "0" * 64


def test_all_lists_existing_names_of_the_package():
    assert all(hasattr(srs, name) for name in srs.__all__)
