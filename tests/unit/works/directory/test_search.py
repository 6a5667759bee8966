import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.works.directory.search import LIMITS, Codes, Entry, whole
from zkinfer.works.errors import CodeError
from zkinfer.works.prints import DISTANCE_LIMIT, HALF, Print


def bits_of(seed, length=256):
    chance, bits = random.Random(seed), 0
    for _ in range(length // 64):
        bits = bits << 64 | sum(1 << place for place in chance.sample(range(64), HALF))
    return bits


def entry(work, bits, length=256, sure=None, proven=False):
    return Entry(str(work), Print(bits, (1 << length) - 1 if sure is None else sure, length), proven)


def flipped(bits, places):
    for place in places:
        bits ^= 1 << place
    return bits


@given(st.sets(st.integers(0, 255), max_size=60))
def test_code_of_256_bits_is_found_within_the_limit_alone(places):
    codes = Codes([entry("it", bits_of(1)), entry("other", bits_of(2))])
    found = codes.find(whole_of(flipped(bits_of(1), places)))
    expected = [("it", len(places), 256)] if len(places) <= DISTANCE_LIMIT else []
    assert [(one.work, one.distance, one.compared) for one in found] == expected


@given(st.sets(st.integers(0, 63), max_size=12))
def test_code_of_64_bits_is_found_within_its_limit_alone(places):
    codes = Codes([entry("short", bits_of(1, 64), 64), entry("long", bits_of(3) >> 192 << 192 | bits_of(3) >> 64)])
    for bits, work in ((bits_of(1, 64), "short"), (bits_of(3) >> 192, "long")):
        found = codes.find(Print(flipped(bits, places), (1 << 64) - 1, 64))
        expected = [(work, len(places), 64, False)] if len(places) <= LIMITS[64] else []
        assert [(one.work, one.distance, one.compared, one.is_evidence) for one in found] == expected


def whole_of(bits):
    return Print(bits, (1 << 256) - 1, 256)


def test_long_question_finds_works_that_have_a_short_code_only():
    bits = bits_of(1)
    found = Codes([entry("short", bits >> 192, 64)]).find(whole_of(flipped(bits, range(100))))
    assert [(one.work, one.distance, one.compared) for one in found] == [("short", 0, 64)]


def test_unsure_bits_are_not_compared():
    sure = flipped((1 << 256) - 1, range(30))
    codes = Codes([entry("print", bits_of(1), sure=sure, proven=True)])
    (hit,) = codes.find(whole_of(flipped(bits_of(1), range(31))))
    assert (hit.distance, hit.compared, hit.proven) == (1, 226, True)
    (again,) = codes.find(Print(flipped(bits_of(1), range(31)), flipped((1 << 256) - 1, [30]), 256))
    assert (again.distance, again.compared) == (0, 225)


def test_too_few_sure_bits_are_no_evidence():
    codes = Codes([entry("print", bits_of(1), sure=(1 << 223) - 1, proven=True)])
    assert codes.find(whole_of(bits_of(1))) == []


def test_proven_print_is_preferred_to_an_equal_certificate():
    codes = Codes([entry("it", bits_of(1)), entry("it", bits_of(1), proven=True)])
    assert [one.proven for one in codes.find(whole_of(bits_of(1)))] == [True]


def test_smaller_distance_than_the_limit_can_be_asked_for_and_no_larger():
    codes = Codes([entry("it", bits_of(1))])
    asked = whole_of(flipped(bits_of(1), range(10)))
    assert codes.find(asked, 9) == []
    assert [one.distance for one in codes.find(asked, 10)] == [10]
    assert codes.find(whole_of(flipped(bits_of(1), range(25))), 100) == []


def test_nothing_is_found_among_no_codes():
    assert Codes([]).find(whole_of(bits_of(1))) == []


@pytest.mark.parametrize("bits", [0, (1 << 256) - 1, flipped(bits_of(1), [3]), flipped(bits_of(1), [200])])
def test_code_of_a_picture_without_a_median_is_refused(bits):
    with pytest.raises(CodeError, match="flat or regular"):
        whole(bits, 256)


def test_hundred_thousand_works_are_searched_in_milliseconds():
    chance = random.Random(7)
    codes = Codes(entry(number, chance.getrandbits(256)) for number in range(100_000))
    wanted = whole_of(chance.getrandbits(256))
    took = []
    for _ in range(5):
        start = time.perf_counter()
        assert codes.find(wanted) == []
        took.append(time.perf_counter() - start)
    assert min(took) < 0.05
