import pytest
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits.engines.ezkl.artifacts import read_vka
from zkinfer.circuits.errors import EngineError


def words(count=40, **places):
    """`count` words, zero except for those given as `w<index>`."""
    made = [0] * count
    for place, value in places.items():
        made[int(place[1:])] = value
    return made


def written(made):
    return len(made).to_bytes(8, "little") + b"".join(word.to_bytes(32, "big") for word in made)


def group(*phases):
    """Phases packed as in ezkl, the first in the lowest bits: 16 bits of length, then 8 bits of challenge count."""
    return sum((length | challenges << 16) << 24 * place for place, (length, challenges) in enumerate(phases))


GOOD = words(w2=10, w3=20, w5=12, w33=group((0x140, 1), (0x80, 2)) << 8 | 1)


def test_vka_holds_counts_and_the_proof_length():
    vka = read_vka(written(GOOD))
    assert (vka.instance_count, vka.log_rows) == (10, 12)
    assert vka.proof_bytes == 0x140 + 0x80 + 20 * 32 + 2 * 64


def test_digest_is_the_hash_of_the_words_without_the_count():
    data = written(GOOD)
    assert read_vka(data).digest.value == keccak(data[8:])


def test_phases_continue_in_the_following_words():
    packed = group((0x40, 1)) << 8 | 3
    made = words(w2=1, w3=0, w5=6, w33=packed, w34=group((0x80, 1), (0xC0, 0)), w35=group((0x100, 1)))
    assert read_vka(written(made)).proof_bytes == 0x40 + 0x80 + 0xC0 + 0x100 + 128


def test_phases_beyond_the_count_are_ignored():
    made = words(w33=group((0x40, 1)) << 8 | 1, w34=group((0x80, 1)))
    assert read_vka(written(made)).proof_bytes == 0x40 + 128


@given(st.integers(0, 39), st.integers(0, 255))
def test_any_bit_of_any_word_changes_the_digest(place, bit):
    changed = [word ^ (1 << bit) if number == place else word for number, word in enumerate(GOOD)]
    if place not in (2, 3, 5, 33, 34):  # where other counts and lengths may be refused
        assert read_vka(written(changed)).digest != read_vka(written(GOOD)).digest


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        b"\0" * 8,
        written(GOOD)[:-1],
        written(GOOD)[:-32],
        written(GOOD) + b"\0",
        written(GOOD) + b"\0" * 32,
        written(GOOD)[1:],
        written(GOOD)[8:],
        written(words(33)),
        b"\xff" * 8 + written(GOOD)[8:],
        len(GOOD).to_bytes(8, "big") + written(GOOD)[8:],
    ],
    ids=range(12),
)
def test_vka_of_the_wrong_length_is_refused(data):
    with pytest.raises(EngineError, match="verifying key artifact has an unexpected length"):
        read_vka(data)


@pytest.mark.parametrize("following", [7, 255])
def test_vka_with_fewer_phases_than_announced_is_refused(following):
    with pytest.raises(EngineError, match=r"an unexpected length|impossible constants"):
        read_vka(written(words(w33=following)))


@pytest.mark.parametrize("change", [{"w2": 1 << 200}, {"w3": 1 << 200}, {"w5": 29}])
def test_vka_with_impossible_constants_is_refused(change):
    with pytest.raises(EngineError, match=r"an unexpected length|impossible constants"):
        read_vka(written(words(w33=1, **change)))


@given(st.binary(max_size=200))
def test_random_vka_is_refused_with_an_engine_error(data):
    with pytest.raises(EngineError, match=r"an unexpected length|impossible constants"):
        read_vka(data)
