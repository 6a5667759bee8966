import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from zkinfer.chain.blocks import Blocks
from zkinfer.chain.events import REQUESTED, request_in
from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.hashing import keccak256, words
from zkinfer.contracts.nodes import connect

SECRET = "5ec4e7"
LEDGER = "0x" + "1e" * 20


class Server(HTTPServer):
    """A node that answers every call with one text."""

    def __init__(self, status, text):
        self.status, self.text = status, text.encode()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://user:{SECRET}@127.0.0.1:{self.server_port}/{SECRET}?key={SECRET}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.text)))
        self.end_headers()
        self.wfile.write(self.server.text)

    def log_message(self, *_):
        pass


@pytest.fixture
def serving():
    started = []

    def start(text, status=200):
        server = Server(status, text)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        started.append(server)
        return Blocks(connect(server.url))

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def result(text):
    return f'{{"jsonrpc":"2.0","id":0,"result":{text}}}'


def test_node_tells_its_chain(serving):
    assert serving(result('"0x7a69"')).latest().id == 31337


def test_node_that_refuses_is_named_without_its_secrets(serving):
    blocks = serving("", 429)
    for read in (lambda: blocks.latest().id, lambda: blocks.settled(3), lambda: blocks.request(LEDGER, "0x00", 9)):
        with pytest.raises(RpcError, match=r"http://127\.0\.0\.1:\d+ does not answer") as caught:
            read()
        assert SECRET not in str(caught.value)


def test_settled_block_is_the_first_of_as_many_as_wanted(serving):
    blocks = serving(result('"0x10"'))
    assert [blocks.settled(number) for number in (1, 4, 17, 18)] == [16, 13, 0, 0]


@pytest.mark.parametrize("answer", ["null", '{"hash":null}'])
def test_node_without_a_final_block_says_what_to_give(serving, answer):
    with pytest.raises(RpcError, match=r"names no final block of its chain\. Say how many .* --confirmations"):
        serving(result(answer)).settled(None)


def test_final_block_is_the_one_that_the_node_names(serving):
    assert serving(result('{"number":"0x11"}')).settled(None) == 17


def test_request_is_read_from_its_log(serving):
    fields = [int("bb" * 32, 16), 1, LEDGER, LEDGER, 2_000_000_000, LEDGER, 5, LEDGER, 6, 7]
    log = f'{{"address":"{LEDGER}","topics":["0x{REQUESTED.hex()}"],"data":"0x{words(fields).hex()}"}}'
    request = serving(result(f"[{log}]")).request(LEDGER, "0x" + "00" * 32, 9)
    assert (request.listing, request.consumer, request.owner_fee) == ("0x" + "bb" * 32, LEDGER, 6)
    assert request.salt == "0x" + "00" * 31 + "07"


def test_request_without_a_log_is_none(serving):
    assert serving(result("[]")).request(LEDGER, "0x" + "00" * 32, 9) is None


def test_topic_of_the_event_is_the_hash_of_its_signature():
    fields = "bytes32,bytes32,address,address,uint64,address,uint96,address,uint96,bytes32"
    assert keccak256(f"Requested(bytes32,bytes32,address,({fields}))".encode()) == REQUESTED


def test_log_that_is_cut_is_refused():
    with pytest.raises(RpcError, match="log of a request cannot be read"):
        request_in({"data": bytes(64)})
