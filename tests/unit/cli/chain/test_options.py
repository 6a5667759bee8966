import inspect
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits.errors import InputError
from zkinfer.cli.chain import options
from zkinfer.cli.chain.options import (
    Connection,
    Payment,
    expand_options,
    parse_address,
    parse_coin,
    parse_selector,
    parse_word,
)
from zkinfer.contracts.deploy import ASHLAR_SELECTOR, EZKL_SELECTOR
from zkinfer.contracts.errors import SignerError

ADDRESS = "0x" + "aB" * 20


@pytest.mark.parametrize(
    ("text", "wei"),
    [("0", 0), ("5wei", 5), ("20 gwei", 20 * 10**9), ("0.001ether", 10**15), ("1.5Gwei", 15 * 10**8), (7, 7)],
)
def test_amount_is_parsed(text, wei):
    assert parse_coin(text) == wei


@pytest.mark.parametrize(
    "text", ["", "5", "1e3", "-1gwei", "0.5wei", "1finney", "nanether", "infether", "ether", "99999999999999ether"]
)
def test_malformed_amount_is_refused(text):
    with pytest.raises(typer.BadParameter, match="is not an amount"):
        parse_coin(text)


@given(st.integers(0, 2**96 - 1))
def test_every_amount_of_wei_round_trips(wei):
    assert parse_coin(f"{wei}wei") == wei


def test_addresses_and_words_are_normalised_to_lower_case():
    assert parse_address(f" {ADDRESS} ") == ADDRESS.lower()
    assert parse_word("0x" + "AB" * 32) == "0x" + "ab" * 32


@pytest.mark.parametrize("text", ["", "0x010203", "0x0102030405", "01020304", "0x0102030g"])
def test_malformed_selector_is_refused(text):
    assert parse_selector("0x0102030A") == "0x0102030a"
    with pytest.raises(typer.BadParameter, match="is not 0x and 8 hex digits"):
        parse_selector(text)


@pytest.mark.parametrize("text", ["", "own", "0x010203", "ezklx", "ezkl/23.0.5"])
def test_verifier_is_named_by_its_engine_or_by_a_selector(text):
    words = ["ezkl", " Ashlar", "0x0102030A"]
    named = [f"0x{selector.hex()}" for selector in (EZKL_SELECTOR, ASHLAR_SELECTOR)]
    assert [parse_selector(word) for word in words] == [*named, "0x0102030a"]
    with pytest.raises(typer.BadParameter, match="is not 0x and 8 hex digits"):
        parse_selector(text)


@pytest.mark.parametrize("text", ["", "0x", "ab" * 21, "0x" + "ab" * 19, "0x" + "ab" * 21, "0x" + "zz" * 20])
def test_malformed_address_is_refused(text):
    with pytest.raises(typer.BadParameter, match="is not 0x and 40 hex digits"):
        parse_address(text)


def test_option_groups_are_expanded_into_the_command():
    seen = []

    @expand_options
    def command(own: str, connection: Connection, *, other: int = 3) -> None:
        """Do it."""
        seen.append((own, connection, other))

    names = list(inspect.signature(command).parameters)
    assert names == ["own", "rpc", "rpc_file", "deployment", "other"]
    assert (command.__name__, command.__doc__) == ("command", "Do it.")
    command(own="x", rpc="https://a", rpc_file=None, deployment=None, other=4)
    assert seen == [("x", Connection("https://a"), 4)]


def test_url_defaults_from_option_to_file_to_localhost(tmp_path):
    (tmp_path / "url").write_text("https://node.example/key \n")
    assert options.rpc_url(Connection()) == "http://127.0.0.1:8545"
    assert options.rpc_url(Connection(rpc="https://a")) == "https://a"
    assert options.rpc_url(Connection(rpc_file=tmp_path / "url")) == "https://node.example/key"


def test_missing_url_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        options.rpc_url(Connection(rpc_file=tmp_path / "nothing"))


def test_address_book_is_in_the_home_unless_one_is_given(monkeypatch, tmp_path):
    monkeypatch.setenv("ZKINFER_HOME", str(tmp_path))
    assert options.book_path(Connection(), 5) == tmp_path / "deployments/5.json"
    assert options.book_path(Connection(deployment=Path("x.json")), 5) == Path("x.json")


@pytest.mark.parametrize(
    ("payment", "message"),
    [
        (Payment(), "no paying account is given: .* on a development chain, --unsafe-dev-account N"),
        (Payment(keystore=Path("k"), unsafe_dev_account=0), "--keystore and --unsafe-dev-account exclude each other"),
        (Payment(signer="https://signer.example"), "--signer needs --account"),
    ],
)
def test_contradictory_options_are_refused(payment, message):
    with pytest.raises(typer.BadParameter, match=message):
        options.open_signer(payment, 31337)


def test_development_account_on_a_real_chain_is_refused():
    with pytest.raises(SignerError, match="not a development chain"):
        options.open_signer(Payment(unsafe_dev_account=0), 1)
