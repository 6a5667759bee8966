import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.contracts.amounts import parse_wei


@pytest.mark.parametrize(
    ("text", "wei"),
    [("0", 0), ("5wei", 5), ("20gwei", 20 * 10**9), ("0.01ether", 10**16), (" 1 Ether ", 10**18), ("1e-18ether", 1)],
)
def test_amount_with_a_unit_is_exact(text, wei):
    assert parse_wei(text) == wei


@given(st.integers(0, (1 << 96) - 1))
def test_any_number_of_wei_is_exact(wei):
    assert parse_wei(f"{wei}wei") == wei


@pytest.mark.parametrize(
    "text", ["", "5", "-1wei", "0.5wei", "1eth", "nanwei", "infether", "wei", "1_0wei x", f"{1 << 96}wei", "0x10wei"]
)
def test_other_text_is_refused(text):
    with pytest.raises(ValueError, match="is not an amount"):
        parse_wei(text)
