"""Every stored bad asset is refused for its intended reason."""

import json
import re
from datetime import datetime

import numpy as np
import pytest
from tests.assets import make_refusals
from tests.unit.verifier import forge

from zkinfer.verifier import MAX_BYTES, Verifier, errors, load_policy

FOLDER = make_refusals.FOLDER
INDEX = json.loads((FOLDER / "index.json").read_bytes())
REFUSED = INDEX["refused"]


@pytest.fixture(scope="module")
def verifier(parties):
    now = datetime.fromisoformat(INDEX["now"])
    return Verifier(trusted=parties.trusting(FOLDER / INDEX["model"]), clock=lambda: now)


@pytest.mark.parametrize("entry", REFUSED, ids=[entry["file"] for entry in REFUSED])
def test_asset_is_refused_with_its_recorded_reason(verifier, entry):
    with pytest.raises(getattr(errors, entry["error"]), match=re.escape(entry["message"])) as caught:
        verify(verifier, entry)
    assert type(caught.value).__name__ == entry["error"]


def verify(verifier, entry):
    policy = load_policy(json.dumps(entry["policy"]).encode())
    expected = entry.get("expectedInputs")
    inputs = expected and {name: np.array(value, dtype=np.float32) for name, value in expected.items()}
    return verifier.verify((FOLDER / entry["file"]).read_bytes(), policy, expected_inputs=inputs)


def test_honest_asset_is_accepted(verifier):
    assert verifier.verify((FOLDER / INDEX["accepted"]).read_bytes(), forge.POLICY).context == forge.CONTEXT


def test_every_reason_of_refusal_has_an_asset():
    kinds = {
        name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.RefusedError)
    }
    made_in_memory = {"RefusedError", "AttestationTooLargeError", "OpinionsDifferError"}
    by_a_trust_root = {"RevokedError", "NotLoggedError"}  # tests/unit/verifier/trustroot/test_accepted.py
    assert {entry["error"] for entry in REFUSED} == kinds - made_in_memory - by_a_trust_root


def test_oversized_file_is_refused(verifier):
    with pytest.raises(errors.AttestationTooLargeError, match="exceeds the limit of"):
        verifier.verify(b" " * (MAX_BYTES + 1), forge.POLICY)


def test_folder_holds_what_the_generator_writes(parties):
    """If this fails after a change of normaliser or format: python -m tests.assets.make_refusals."""
    stored = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    assert stored == make_refusals.generate(parties)
