"""The configuration: what is unknown, missing, wrong or unsafe is refused, by name and without its value."""

import re
from fractions import Fraction

import pytest
from tests.paths import ROOT

from zkinfer.circuits.errors import InputError
from zkinfer.oracle.alerts import AlertKind
from zkinfer.oracle.configuration import read_feeds_file
from zkinfer.oracle.errors import FeedsFileError
from zkinfer.oracle.feed import Delivered
from zkinfer.oracle.store.gaps import GapReason

HUB = "0x" + "ab" * 20
GOOD = f"""
[feed.eth-vol]
spec = "eth-vol.json"
circuit = "vol.circuit"
source = {{ http = "https://api.example/eth", timeout = "3s" }}
deviation = "0.5%"
level = "both"

[chain.base]
rpc-file = "base.url"
hub = "{HUB}"
keystore = "poster.json"
passphrase-file = "poster.pass"
max-fee = "2gwei"
confirmations = 3

[signing]
keystore = "signer.json"
passphrase-file = "signer.pass"
peers = ["https://op2.example"]
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "feeds.toml"
        path.write_text(text)
        return read_feeds_file(path)

    return read


def test_whole_file_is_read(read, tmp_path):
    found = read(GOOD)
    feed, chain = found.feed["eth-vol"], found.chain["base"]
    assert (feed.deviation, feed.level, feed.source.timeout) == (Fraction(1, 200), Delivered.BOTH, 3.0)
    assert (chain.max_fee, chain.confirmations, chain.hub) == (2 * 10**9, 3, HUB)
    assert found.path(feed.spec) == tmp_path / "eth-vol.json"
    assert found.store_url == f"sqlite:///{tmp_path}/oracle.sqlite"
    assert found.server.address.text == "127.0.0.1:8090"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("deviation", "deviatoin", "There is no setting feed.eth-vol.deviatoin"),
        ("[signing]", "[signnig]", "There is no setting signnig"),
        ('spec = "eth-vol.json"', "", "The setting feed.eth-vol.spec is missing"),
        ('"0.5%"', "0.5", "feed.eth-vol.deviation is invalid: a share is text"),
        ('"0.5%"', '"-1%"', "feed.eth-vol.deviation is invalid"),
        ('"2gwei"', '"2"', "chain.base.max-fee is invalid: '2' is not an amount"),
        ('"2gwei"', "2", "chain.base.max-fee is invalid: an amount is text"),
        ('level = "both"', 'level = "all"', "feed.eth-vol.level is invalid"),
        ("confirmations = 3", "confirmations = 0", "chain.base.confirmations is invalid"),
        (HUB, "0x12", "chain.base.hub is invalid: an address is 0x and 40 hex digits"),
        ("eth-vol]", '"Eth Vol"]', "is no name"),
        ('rpc-file = "base.url"', "", "give one of rpc and rpc-file"),
        ('rpc-file = "base.url"', 'rpc = "https://x/v2/geheim"', "rpc may hold a key"),
        ('rpc-file = "base.url"', 'rpc = "https://user:geheim@x"', "rpc may hold a key"),
        ('keystore = "poster.json"', "", "keystore and passphrase-file belong together"),
        ('level = "both"', 'chains = ["other"]', "names the chain 'other', which is not configured"),
        ('{ http = "https://api.example/eth", timeout = "3s" }', "{}", "give one of http, file and aggregator"),
        ("[signing]", 'folder = "x"\n[signing]', "There is no setting"),
        ("[signing]", "[store]\nkeep-days = 0\n[signing]", "store.keep-days is invalid"),
        ("[feed.eth-vol]", "[feed.eth-vol", "is not TOML"),
    ],
    ids=range(20),
)
def test_wrong_setting_is_named_and_its_value_is_not_repeated(read, old, new, message):
    with pytest.raises(FeedsFileError, match=message) as caught:
        read(GOOD.replace(old, new, 1))
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[chain.base]\n", 'folder = "/"\n'])
def test_file_without_a_feed_is_refused(read, text):
    with pytest.raises(FeedsFileError):
        read(text)


def test_file_that_is_missing_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"feeds\.toml") as caught:
        read_feeds_file(tmp_path / "feeds.toml")
    assert "--config" in caught.value.cure


@pytest.mark.parametrize("listen", ["0.0.0.0:8090", "oracle.example:443", "[::]:8090"])
def test_server_on_the_network_needs_tls_or_an_explicit_opt_in(read, listen):
    server = f'{GOOD}\n[server]\nlisten = "{listen}"\n'
    with pytest.raises(FeedsFileError, match="would not be encrypted"):
        read(server)
    assert read(server + "insecure-no-tls = true\n").server.insecure_no_tls
    assert read(server + 'tls = { certificate = "c.pem", key = "k.pem" }\n').tls.certificate is not None


def test_certificate_without_its_key_is_refused(read):
    with pytest.raises(FeedsFileError, match="belong together"):
        read(GOOD + '\n[server]\ntls = { certificate = "c.pem" }\n')


def test_address_that_is_none_is_refused(read):
    with pytest.raises(FeedsFileError, match=r"server\.listen is invalid"):
        read(GOOD + '\n[server]\nlisten = "nowhere"\n')


def test_secret_that_others_can_read_is_refused(read, tmp_path):
    found, path = read(GOOD), tmp_path / "base.url"
    path.write_text("https://rpc.example/key\nmore\n")
    path.chmod(0o644)
    with pytest.raises(InputError, match="can be read by other users"):
        found.secret(found.chain["base"].rpc_file)
    path.chmod(0o600)
    assert found.secret(found.chain["base"].rpc_file) == "https://rpc.example/key"


def test_database_url_comes_from_a_private_file(read, tmp_path):
    (tmp_path / "db.url").write_text("postgresql+psycopg://ann:geheim@db/oracle")
    (tmp_path / "db.url").chmod(0o600)
    assert read(GOOD + '\n[store]\nurl-file = "db.url"\n').store_url.endswith("@db/oracle")


def test_example_on_the_page_is_read(read):
    page = (ROOT / "docs/guides/feed-daemon.md").read_text()
    found = read(re.search(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[1])
    assert (set(found.feed), set(found.chain)) == ({"wti-vol", "eth-vol"}, {"mainnet", "base"})


def test_page_lists_every_reason_of_a_gap_and_every_alert():
    page = (ROOT / "docs/guides/feed-daemon.md").read_text()
    assert [one for one in (*GapReason, *AlertKind) if f"`{one}`" not in page] == []
