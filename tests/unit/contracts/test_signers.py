import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from eth_account import Account
from tests.unit.contracts.fakenode import ACCOUNT, TO, FakeNode, chain_of

from zkinfer.contracts.errors import SignerError
from zkinfer.contracts.signers import RemoteSigner, encrypt_keystore, load_keystore, unsafe_dev_account

OTHER = Account.from_key("0x" + "33" * 32)
PASSPHRASE = b"horse"


@pytest.fixture(scope="module")
def keystore(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "account.json"
    path.write_bytes(encrypt_keystore(ACCOUNT, PASSPHRASE, iterations=2))
    path.chmod(0o600)
    return path


def test_keystore_gives_the_account(keystore):
    assert load_keystore(keystore, PASSPHRASE).address == ACCOUNT.address


def test_keystore_with_the_wrong_passphrase_is_refused(keystore):
    with pytest.raises(SignerError, match="is not a keystore, or the passphrase is wrong"):
        load_keystore(keystore, b"cow")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_keystore_readable_by_others_is_refused(keystore, tmp_path, mode):
    path = tmp_path / "account.json"
    path.write_bytes(keystore.read_bytes())
    path.chmod(mode)
    with pytest.raises(SignerError, match=r"Others can read .*chmod go="):
        load_keystore(path, PASSPHRASE)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"version": 3}', '{"version": 9, "crypto": {}}', "\xff"])
def test_malformed_keystore_is_refused(tmp_path, content):
    path = tmp_path / "account.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(SignerError, match=r"is not a .*keystore"):
        load_keystore(path, PASSPHRASE)


def test_missing_keystore_is_refused(tmp_path):
    with pytest.raises(SignerError, match="no such file"):
        load_keystore(tmp_path / "nothing", PASSPHRASE)


def test_development_account_is_the_well_known_one():
    assert unsafe_dev_account(0, 31337).address == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


@pytest.mark.parametrize("chain_id", [1, 11155111])
def test_development_account_on_another_chain_is_refused(chain_id):
    with pytest.raises(SignerError, match=f"chain {chain_id} is not a development chain"):
        unsafe_dev_account(0, chain_id)


class Signing(HTTPServer):
    """A remote signer that may lie: `sign` maps a request to the result or error."""

    def __init__(self, sign):
        super().__init__(("127.0.0.1", 0), Answering)
        self.sign, self.asked = sign, []


class Answering(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        data = json.dumps({"jsonrpc": "2.0", "id": asked["id"], **self.server.sign(asked["params"][0])}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def honestly(fields, account=ACCOUNT, **changes):
    names = ("chainId", "nonce", "value", "gas", "maxFeePerGas", "maxPriorityFeePerGas")
    numbers = {name: int(fields[name], 16) for name in names}
    transaction = {"type": 2, "to": fields["to"], "data": fields["data"], **numbers, **changes}
    return {"result": "0x" + account.sign_transaction(transaction).raw_transaction.hex()}


@pytest.fixture
def signer():
    """Start a signer with a function; all stop at the end of the test."""
    started = []

    def start(sign, address=ACCOUNT.address):
        server = Signing(sign)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((server, thread))
        return RemoteSigner(f"http://127.0.0.1:{server.server_port}", address), server

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


def sending(remote):
    node = FakeNode()
    node.events = [(1, FakeNode.mine)]
    return chain_of(node, signer=remote), node


@pytest.mark.parametrize(
    "shape", [lambda answer: answer, lambda answer: {"result": {"raw": answer["result"], "tx": {}}}]
)
def test_remote_signer_signs(signer, shape):
    remote, server = signer(lambda fields: shape(honestly(fields)))
    chain, node = sending(remote)
    chain.send(TO, b"\1\2", value=3)
    assert node.sent[0]["value"] == 3
    assert server.asked[0]["method"] == "eth_signTransaction"
    assert server.asked[0]["params"][0]["from"] == ACCOUNT.address


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("to", OTHER.address),
        ("value", 4),
        ("data", b"\1\3"),
        ("nonce", 1),
        ("gas", 50_001),
        ("chainId", 1),
        ("maxFeePerGas", 22 * 10**9),
        ("maxPriorityFeePerGas", 1),
        ("accessList", [{"address": OTHER.address, "storageKeys": []}]),
    ],
)
def test_remote_signer_that_signs_something_else_is_refused(signer, name, value):
    remote, _ = signer(lambda fields: honestly(fields, **{name: value}))
    chain, node = sending(remote)
    with pytest.raises(SignerError, match=f"returned a transaction with another {name}. Nothing was sent"):
        chain.send(TO, b"\1\2", value=3)
    assert node.sent == []


def test_remote_signer_with_another_key_is_refused(signer):
    remote, _ = signer(lambda fields: honestly(fields, OTHER))
    with pytest.raises(SignerError, match=f"returned a transaction of {OTHER.address}"):
        sending(remote)[0].send(TO)


@pytest.mark.parametrize("result", [None, 7, "", "0x", "0x02", "0x02c0", "hello", {}, {"raw": None}, "0x05aa"])
def test_malformed_answer_of_a_remote_signer_is_refused(signer, result):
    remote, _ = signer(lambda _: {"result": result})
    with pytest.raises(SignerError, match="returned something other than a signed transaction"):
        sending(remote)[0].send(TO)


def test_refusal_of_a_remote_signer_is_reported(signer):
    remote, _ = signer(lambda _: {"error": {"code": -32000, "message": "no such key"}})
    with pytest.raises(SignerError, match=r"refused: .*no such key"):
        sending(remote)[0].send(TO)


def test_unreachable_remote_signer_is_reported():
    remote = RemoteSigner("http://127.0.0.1:1/secret", ACCOUNT.address)
    with pytest.raises(SignerError, match=r"signer at http://127\.0\.0\.1:1 does not answer"):
        sending(remote)[0].send(TO)


def test_unencrypted_remote_signer_is_refused():
    with pytest.raises(SignerError, match=r"connection to the signer at http://10\.0\.0\.1 is not encrypted"):
        RemoteSigner("http://10.0.0.1/key", ACCOUNT.address)


def test_remote_signer_with_a_malformed_address_is_refused():
    with pytest.raises(SignerError, match="is not the address"):
        RemoteSigner("https://signer.example", "0x12")
