"""The proofs that forge delivers to the studio are those of the committed painter."""

import pytest
from tests.vectors import make_studio

from zkinfer.circuits.engines.ashlar.engine import AshlarEngine


def test_stored_answers_are_reproduced_by_the_engine(tmp_path):
    if unavailable := AshlarEngine().unavailable:
        pytest.skip(unavailable)
    assert make_studio.FILE.read_text() == make_studio.dump(make_studio.values(tmp_path))
