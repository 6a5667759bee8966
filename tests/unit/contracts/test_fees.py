import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.contracts.errors import FeeLimitError
from zkinfer.contracts.fees import GWEI, Fees, Limits, in_ether, offered, raised

amounts = st.integers(0, 10**12)


@given(amounts, amounts, amounts, amounts)
def test_offer_stays_within_the_limits(base, tip, most, most_tip):
    limits = Limits(max_fee=most, max_tip=most_tip)
    if base > most:
        with pytest.raises(FeeLimitError, match="above the limit"):
            offered(base, tip, limits)
        return
    fees = offered(base, tip, limits)
    assert base <= fees.most <= most
    assert fees.tip <= min(tip, most_tip, fees.most)


@given(amounts, amounts, amounts, amounts)
def test_raised_fees_are_an_eighth_higher_and_within_the_limits_or_none(most, tip, now, limit):
    limits, fees = Limits(max_fee=limit, max_tip=limit), Fees(most, min(tip, most))
    higher = raised(fees, Fees(now, 0), limits)
    if higher is None:
        assert max(most * 9 // 8, now) + 1 > limit
        return
    assert 8 * higher.most >= 9 * most
    assert 8 * higher.tip >= 9 * fees.tip
    assert fees.most < higher.most <= limit
    assert now <= higher.most


def test_tip_of_nothing_can_be_raised():
    assert raised(Fees(GWEI, 0), Fees(GWEI, 0), Limits()).tip == 1


@pytest.mark.parametrize(("wei", "text"), [(0, "0 ether"), (1, "1e-18 ether"), (21 * 10**14, "0.0021 ether")])
def test_amount_is_told_in_ether(wei, text):
    assert in_ether(wei) == text
