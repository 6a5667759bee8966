import json

import pytest
from tests.ashlar import cases

from zkinfer.circuits.digest import keccak256
from zkinfer.verifier.ashlar.transcript import Transcript, contents

R = cases.KNOWN_TAU.order
STORED = json.loads((cases.FOLDER / "parts/transcripts.json").read_text())


def test_challenges_are_hashes_of_the_chain():
    transcript = Transcript(b"seed", R)
    state = keccak256(keccak256(b"seed").value + b"message").value
    assert int(transcript.absorb(b"message")) == int.from_bytes(state, "big") % R
    assert int(transcript.next()) == int.from_bytes(keccak256(state).value, "big") % R


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored["vector"])
def test_stored_transcript_is_reproduced(stored):
    transcript = Transcript(bytes.fromhex(stored["seed"][2:]), R)
    for step in stored["steps"]:
        found = transcript.next() if step["message"] is None else transcript.absorb(bytes.fromhex(step["message"][2:]))
        assert f"0x{int(found):064x}" == step["challenge"]


@pytest.mark.parametrize("name", cases.GOOD)
def test_messages_of_a_vector_have_the_length_of_section_7_1(name):
    case, _ = cases.load(name)
    key = case.read()
    sizes, mode = key.sizes, key.header.mode
    stored = any(table.kind == 3 for table in key.program.tables)
    words = 2 * (sizes.x_chunks + sizes.p_chunks + sizes.h_chunks) + 3 * sizes.rounds + 2 * key.header.nb + 19
    assert len(case.proof) == 32 * (words + (mode == 1) + stored)
    assert sum(2 * points + scalars for points, scalars in contents(sizes, key.header.nb)) * 32 == len(case.proof)
