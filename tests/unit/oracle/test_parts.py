"""What the parts of a daemon refuse: configurations that do not fit the feeds, circuits and keys."""

import shutil

import pytest
from tests.unit.oracle import volatility

from zkinfer.contracts.rpc import Account
from zkinfer.contracts.signers import encrypt_keystore
from zkinfer.oracle.configuration import read_feeds_file
from zkinfer.oracle.errors import FeedsFileError, PeerError, RecipeError
from zkinfer.oracle.feed import Delivered
from zkinfer.oracle.parts import open_parts, watched_feeds
from zkinfer.oracle.specs import FeedFile, write_feed

pytestmark = pytest.mark.slow
HUB = "0x" + "11" * 20
SOURCE_CONTRACT = "0x" + "44" * 20
CHAINS = "".join(f'[chain.{name}]\nrpc = "http://127.0.0.1:1"\nhub = "{HUB}"\n' for name in ("base", "other"))
SIGNING = '[signing]\nkeystore = "signer.json"\npassphrase-file = "pass"\n'


@pytest.fixture(scope="module")
def circuit(run_folder):
    return volatility.circuit_in(run_folder)


@pytest.fixture
def write(tmp_path, circuit):
    """Writes a feed file, a key and a configuration; returns the configuration."""

    def write(*, signed=True, source='{ file = "prices.json" }', more="", signing=SIGNING, again=False, **feed):
        found = volatility.feed_of(circuit, signed=signed, **({} if signed else {"source": SOURCE_CONTRACT}), **feed)
        write_feed(tmp_path / "feed.json", FeedFile(found.spec, found.recipe, found.config))
        key = Account.from_key(volatility.SIGNERS[0].key.to_bytes())
        for name, data in (("signer.json", encrypt_keystore(key, b"pass", iterations=2)), ("pass", b"pass\n")):
            (tmp_path / name).write_bytes(data)
            (tmp_path / name).chmod(0o600)
        shutil.copy(volatility.PRICES, tmp_path)
        part = f'spec = "feed.json"\ncircuit = "{circuit.folder}"\nsource = {source}\n'
        feeds = "".join(f"[feed.{name}]\n{part}{more}" for name in ("vol", "again")[: 1 + again])
        (tmp_path / "feeds.toml").write_text(feeds + CHAINS + signing)
        return read_feeds_file(tmp_path / "feeds.toml")

    return write


@pytest.fixture
def opened(run_folder):
    return lambda file: open_parts(file, volatility.home_in(run_folder))


def test_signed_feed_has_its_key_and_all_chains(write, opened):
    with opened(write()) as parts:
        (feed,) = parts.feeds
        assert feed.address == volatility.SIGNERS[0].address
        assert (feed.chains, feed.delivered, feed.deviation) == (("base", "other"), Delivered.BOTH, None)
        assert parts.documents[feed.spec.recipe].startswith(b"{")


def test_its_model_observes_answers_and_agrees_with_itself(write, opened):
    with opened(write()) as parts:
        (feed,) = parts.feeds
        observed = feed.model.observe(1)
        again = feed.model.reconstruct(observed.source_file)
        feed.model.require_agreement(observed, again)
        assert feed.model.answer(observed) == feed.model.answer(again)


def test_feed_of_a_contract_is_delivered_proven_alone_and_needs_no_key(write, opened):
    file = write(signed=False, source=f'{{ aggregator = "{HUB}" }}', more='chains = ["base"]\n', signing="")
    with opened(file) as parts:
        (feed,) = parts.feeds
        assert (feed.delivered, feed.signer, feed.config_digest) == (Delivered.PROVEN, None, "0x" + "00" * 32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"again": True}, "are the same feed"),
        ({"source": f'{{ aggregator = "{HUB}" }}'}, "another kind of source"),
        ({"signed": False}, "another kind of source"),
        ({"signed": False, "source": f'{{ aggregator = "{HUB}" }}'}, "Name its one chain"),
        ({"signed": False, "source": f'{{ aggregator = "{HUB}" }}', "more": 'level = "attested"\n'}, "needs proofs"),
        ({"signing": ""}, "needs a key"),
    ],
    ids=range(6),
)
def test_configuration_that_does_not_fit_is_refused(write, opened, options, message):
    with pytest.raises(FeedsFileError, match=message), opened(write(**options)):
        pass


def test_recipe_of_the_source_that_differs_from_the_feeds_is_refused(write, opened):
    with pytest.raises(RecipeError, match="count"), opened(write(source='{ file = "prices.json", count = 3 }')):
        pass


def test_peer_without_encryption_is_refused(write, opened):
    file = write(signing=SIGNING + 'peers = ["http://op2.example"]\n')
    with pytest.raises(PeerError, match="not encrypted"), opened(file):
        pass


def test_ca_of_peers_that_is_none_is_refused(write, opened, tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    file = write(signing=SIGNING + 'peers = ["https://op2.example"]\npeer-ca = "ca.pem"\n')
    with pytest.raises(FeedsFileError, match="holds no CA certificate"), opened(file):
        pass


def test_watched_feeds_need_no_circuit(write, circuit):
    (found,) = watched_feeds(write())
    assert (found.name, found.chains) == ("vol", ("base", "other"))
