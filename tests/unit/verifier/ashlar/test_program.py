import pytest
from tests.ashlar import cases, keys

from zkinfer.circuits.srs import bn254
from zkinfer.verifier.ashlar import MalformedKeyError
from zkinfer.verifier.ashlar.program import decode_key
from zkinfer.verifier.ashlar.verify import read_key

# x = 1 and its y: a point on the curve over the extension field, but of another order
OUTSIDE_THE_SUBGROUP = bytes.fromhex(
    "0000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000001"
    "0d1271953ed9ea0836846e70a1934187998c7f790cb4d7511b7f8da82de048a4"
    "2869111d5381f072f8e2728fdb825a51aadd70e52c9830e9ab4b871c0531f1bb"
)


def key_of(name):
    return cases.load(name)[0].key


def replaced(key, place, data):
    return key[:place] + data + key[place + len(data) :]


@pytest.mark.parametrize("name", cases.GOOD)
def test_decoded_key_has_the_bytes_it_was_decoded_from(name):
    key = key_of(name)
    assert keys.with_changes(decode_key(key), {}) == key


@pytest.mark.parametrize("name", ["mlp_public_1", "cnn_committed_1", "wide_public_1"])
def test_changed_byte_of_header_or_program_is_refused_or_decoded(name):
    """No byte is without meaning: a key that is not refused is encoded as the changed bytes again."""
    key = key_of(name)
    places = [*range(32), *range(len(key) - 32 * decode_key(key).header.words, len(key))]
    for place in places:
        for bit in range(8):
            changed = replaced(key, place, bytes([key[place] ^ 1 << bit]))
            try:
                decoded = decode_key(changed)
            except MalformedKeyError:
                continue
            assert keys.with_changes(decoded, {}) == changed


@pytest.mark.parametrize("length", [0, 32, 128, 159, 161])
def test_bytes_too_few_for_a_key_are_refused(length):
    with pytest.raises(MalformedKeyError, match="W1"):
        decode_key(key_of("mlp_public_1")[:length])


def test_key_of_more_than_767_words_is_refused():
    key = key_of("mlp_public_1")
    with pytest.raises(MalformedKeyError, match="767 words"):
        decode_key(key + bytes(32 * 768 - len(key)))


def test_key_of_another_version_is_refused():
    with pytest.raises(MalformedKeyError, match="version 1"):
        decode_key(replaced(key_of("mlp_public_1"), 0, b"zkinfer.ashlar.2"))


def test_key_of_the_hiding_profile_is_refused_as_such():
    with pytest.raises(MalformedKeyError, match="hiding profile"):
        decode_key(replaced(key_of("mlp_public_1"), 16, b"\2"))


def test_key_for_batches_is_refused_as_such():
    key = key_of("mlp_public_1")
    program = len(key) - 32 * decode_key(key).header.words
    with pytest.raises(MalformedKeyError, match=r"W4.*batches"):
        decode_key(replaced(key, program + 3, b"\1"))


def test_padding_that_is_not_zero_is_refused():
    key = key_of("mlp_public_1")
    with pytest.raises(MalformedKeyError, match=r"W1.*zeros"):
        decode_key(key[:-1] + b"\1")


def test_a_word_of_padding_is_refused():
    key = key_of("mlp_public_1")
    words = decode_key(key).header.words + 1
    with pytest.raises(MalformedKeyError, match=r"W1.*less than a word"):
        decode_key(replaced(key, 30, words.to_bytes(2, "big")) + bytes(32))


def test_program_that_ends_within_a_record_is_refused():
    key = key_of("mlp_public_1")
    words = decode_key(key).header.words - 1
    with pytest.raises(MalformedKeyError, match=r"W1.*behind"):
        decode_key(replaced(key, 30, words.to_bytes(2, "big"))[:-32])


@pytest.mark.parametrize("place", [23, 24, 25, 26, 27, 28, 29, 30, 31])
@pytest.mark.parametrize("step", [1, -1])
def test_count_of_the_header_one_more_or_less_is_refused(place, step):
    key = key_of("cnn_public_1")
    with pytest.raises(MalformedKeyError):
        read_key(replaced(key, place, bytes([(key[place] + step) % 256])))


def test_chunk_of_weights_off_the_curve_or_beyond_the_modulus_is_refused():
    key = key_of("mlp_public_1")
    x, y = (int.from_bytes(key[at : at + 32], "big") for at in (160, 192))
    for changed in (
        replaced(key, 192, (y + 1).to_bytes(32, "big")),
        replaced(key, 160, (x + bn254.FIELD).to_bytes(32, "big")),
    ):
        with pytest.raises(MalformedKeyError, match="W1"):
            read_key(changed)


def test_chunk_of_weights_at_infinity_is_read():
    key = replaced(key_of("mlp_public_1"), 160, bytes(64))
    assert read_key(key).weights == (None,)


def test_tau_off_the_curve_or_infinite_is_refused():
    key = key_of("mlp_public_1")
    for changed in (replaced(key, 159, bytes([key[159] ^ 1])), replaced(key, 32, bytes(128))):
        with pytest.raises(MalformedKeyError, match=r"W1.*tau\*G2"):
            read_key(changed)


def test_tau_outside_the_subgroup_is_refused():
    with pytest.raises(MalformedKeyError, match=r"W1.*subgroup"):
        read_key(replaced(key_of("mlp_public_1"), 32, OUTSIDE_THE_SUBGROUP))
