import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from zkinfer.chain.blocks import REQUESTED, Blocks, Header, request_in
from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.identifiers import keccak256, words
from zkinfer.contracts.rpc import connect

SECRET = "5ec4e7"
BLOCKS_LEDGER = "0x" + "1e" * 20


class Server(HTTPServer):
    """A node that gives every call the same answer."""

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


def test_node_reports_its_chain_id(serving):
    assert serving(result('"0x7a69"')).latest().id == 31337


def test_error_of_a_node_is_reported_without_its_secrets(serving):
    blocks = serving("", 429)
    for read in (
        lambda: blocks.latest().id,
        lambda: blocks.settled(3),
        lambda: blocks.request(BLOCKS_LEDGER, "0x00", 9),
    ):
        with pytest.raises(RpcError, match=r"http://127\.0\.0\.1:\d+ gave no valid answer") as caught:
            read()
        assert SECRET not in str(caught.value)


def test_settled_block_has_the_requested_confirmations(serving):
    blocks = serving(result('"0x10"'))
    blocks.header = lambda number: number
    assert [blocks.settled(number) for number in (1, 4, 17, 18)] == [16, 13, 0, 0]


@pytest.mark.parametrize("answer", ["null", '{"hash":null}'])
def test_node_without_a_final_block_is_refused_with_the_option(serving, answer):
    with pytest.raises(RpcError, match=r"has no finalized block of its chain\. Set the number .* --confirmations"):
        serving(result(answer)).settled(None)


def test_final_block_is_taken_from_the_node(serving):
    final = Header(17, "0x" + "ab" * 32)
    assert serving(result(f'{{"number":"0x11","hash":"{final.hash}"}}')).settled(None) == final


def test_block_names_itself(serving):
    found = Header(17, "0x" + "cd" * 32)
    assert serving(result(f'{{"number":"0x11","hash":"{found.hash}"}}')).header(17) == found


def test_block_that_the_node_lacks_is_refused(serving):
    with pytest.raises(RpcError):
        serving(result("null")).header(17)


def test_request_is_read_from_its_log(serving):
    fields = [
        int("bb" * 32, 16),
        1,
        BLOCKS_LEDGER,
        BLOCKS_LEDGER,
        2_000_000_000,
        BLOCKS_LEDGER,
        5,
        BLOCKS_LEDGER,
        6,
        7,
    ]
    log = f'{{"address":"{BLOCKS_LEDGER}","topics":["0x{REQUESTED.hex()}"],"data":"0x{words(fields).hex()}"}}'
    request = serving(result(f"[{log}]")).request(BLOCKS_LEDGER, "0x" + "00" * 32, 9)
    assert (request.listing, request.consumer, request.owner_fee) == ("0x" + "bb" * 32, BLOCKS_LEDGER, 6)
    assert request.salt == "0x" + "00" * 31 + "07"


def test_missing_request_log_is_none(serving):
    assert serving(result("[]")).request(BLOCKS_LEDGER, "0x" + "00" * 32, 9) is None


def test_topic_of_the_event_is_the_hash_of_its_signature():
    fields = "bytes32,bytes32,address,address,uint64,address,uint96,address,uint96,bytes32"
    assert keccak256(f"Requested(bytes32,bytes32,address,({fields}))".encode()) == REQUESTED


def test_truncated_log_is_refused():
    with pytest.raises(RpcError, match="log of a request cannot be decoded"):
        request_in({"data": bytes(64)})
