import pytest
from requests.exceptions import ConnectionError as NoConnection
from tests.unit.contracts.fakenode import FakeNode
from web3 import Web3

from zkinfer.contracts.chain import Chain
from zkinfer.contracts.errors import RpcError, WrongChainError
from zkinfer.contracts.rpc import connect, is_loopback, parse_url, redacted, rpc_errors

SECRET = "https://user:hunter2@mainnet.example:8443/v3/0123456789?key=hunter3"


def test_url_is_shown_without_secrets():
    assert redacted(SECRET) == "https://mainnet.example:8443"


@pytest.mark.parametrize("url", ["", "mainnet.example", "ftp://example", "https://", "http://a:b:c", "https://a:0x"])
def test_malformed_url_is_refused(url):
    with pytest.raises(RpcError, match="The URL of a node begins with"):
        connect(url)


@pytest.mark.parametrize("url", ["http://mainnet.example/key", "http://8.8.8.8"])
def test_unencrypted_url_is_refused_without_its_path(url):
    with pytest.raises(RpcError, match="is not encrypted") as refused:
        connect(url)
    assert "key" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.3.2.1", True),
        ("http://[::1]", True),
        ("http://localhost", True),
        ("http://127.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://192.168.1.5", False),
    ],
)
def test_only_loopback_addresses_are_local(url, own):
    assert is_loopback(parse_url(url)) is own


def test_name_that_looks_like_a_loopback_address_is_refused():
    with pytest.raises(RpcError, match="is not encrypted"):
        connect("http://127.evil.example:8545")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8545", "http://anvil:8545", "http://192.168.1.5", SECRET])
def test_local_or_encrypted_url_is_accepted(url):
    assert connect(url).provider.endpoint_uri == url


def test_unreachable_node_is_reported():
    with pytest.raises(RpcError, match=r"http://127\.0\.0\.1:1 gave no valid answer") as refused:
        Chain(connect("http://127.0.0.1:1/secret")).balance("0x" + "22" * 20)
    assert "secret" not in str(refused.value)
    assert refused.value.cure == "Check --rpc, or start a node there: zkinfer chain dev"


def test_node_elsewhere_is_not_said_to_be_started_here():
    web3 = connect("https://mainnet.example")
    with pytest.raises(RpcError) as refused, rpc_errors(web3):
        raise NoConnection
    assert refused.value.cure == "Check --rpc."


def test_secret_is_redacted_from_node_errors(monkeypatch):
    web3 = connect(SECRET)

    def fail(*_):
        return {"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": f"quota of {SECRET} is used up"}}

    monkeypatch.setattr(web3.provider, "make_request", fail)
    with pytest.raises(RpcError, match=r"quota of https://mainnet\.example:8443 is used up") as refused:
        Chain(web3).code("0x" + "22" * 20)
    assert "hunter" not in str(refused.value)


def test_secret_is_redacted_from_connection_errors(monkeypatch):
    web3 = connect(SECRET)

    def fail(*_):
        raise NoConnection(f"cannot reach {SECRET}")

    monkeypatch.setattr(web3.provider, "make_request", fail)
    with pytest.raises(RpcError) as refused:
        Chain(web3).code("0x" + "22" * 20)
    assert "hunter" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_nothing_is_logged(caplog, monkeypatch):
    web3 = connect("http://127.0.0.1:1/secret")
    with caplog.at_level("DEBUG", logger="web3"), pytest.raises(RpcError):
        Chain(web3).code("0x" + "22" * 20)
    assert not [record for record in caplog.records if "HTTP" in record.name]


@pytest.mark.parametrize("block", [{}, {"timestamp": None}, 7])
def test_malformed_answer_is_reported(block):
    node = FakeNode()
    node.eth_getBlockByNumber = lambda *_: block
    with pytest.raises(RpcError, match="gave no valid answer"):
        Chain(Web3(node)).time()


def test_node_of_another_chain_is_refused():
    with pytest.raises(WrongChainError, match=r"The node is on chain 31337 instead of chain 1"):
        Chain(Web3(FakeNode())).require_id(1)
