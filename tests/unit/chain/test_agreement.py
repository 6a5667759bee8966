import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.unit.chain.fake_chain import LEDGER, REQUEST, FakeBlocks, answer_stating, answer_to

from zkinfer.chain.agreement import AgreeingNodes, NamedRecord
from zkinfer.chain.errors import LedgerError, NodeError, NodesDifferError, NotFinalError, NotRecordedError
from zkinfer.chain.records import LedgerRecord
from zkinfer.contracts.errors import RpcError


def agree(*nodes, answer=None, **options):
    """What two or more nodes say; `one.example` is the first, `two.example` the second."""
    names = ("node 1 (one.example)", "node 2 (two.example)", "node 3 (three.example)")[: len(nodes)]
    records = [LedgerRecord(blocks, LEDGER, **options) for blocks in nodes]
    return AgreeingNodes([*map(NamedRecord, names, records)]).agree(answer or answer_to(REQUEST))


def node(**changes):
    blocks = FakeBlocks()
    for name, value in changes.items():
        assert hasattr(blocks, name)
        setattr(blocks, name, value)
    return blocks


def test_nodes_that_say_the_same_agree():
    found = agree(node(), node(), node())
    assert (found.block, found.nodes) == (96, 3)
    assert found.recorded_at == datetime(2027, 1, 15, 8, tzinfo=UTC)


@pytest.mark.parametrize("finals", [(96, 93), (93, 96)])
def test_block_that_all_nodes_hold_final_is_read(finals):
    assert agree(*(node(final=final) for final in finals)).block == 93


def test_confirmations_count_from_the_head_of_the_slower_node():
    assert agree(node(), node(head=98), confirmations=2).block == 97


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fork": "f"}, r"^Node 1 \(one.example\) and node 2 \(two.example\) differ in the hash of the block"),
        ({"recorded_at": 1_800_000_001}, "differ in the time of the record"),
        ({"state": "open"}, r"The former says: The answer is on record\. The latter says: .* still waits"),
        ({"outputs": (7, -9)}, "The latter says: The ledger has other outputs on record"),
        ({"id": 1}, "The latter says: The proof was made for a request on chain 31337; the node is on chain 1"),
        ({"codes": {LEDGER: "other"}}, "The latter says: The code is not that of"),
        ({"live": False}, "The latter says: The answer is on record, but the verifier"),
        ({"status": "revoked"}, "The latter says: The answer is on record, but its listing"),
    ],
)
def test_any_difference_is_refused_and_names_both_nodes(changes, message):
    with pytest.raises(NodesDifferError, match=message) as caught:
        agree(node(), node(**changes))
    assert all(name in caught.value.cause.lower() for name in ("node 1 (one.example)", "node 2 (two.example)"))
    with pytest.raises(NodesDifferError):
        agree(node(**changes), node())


def test_third_node_that_differs_is_not_outvoted():
    with pytest.raises(NodesDifferError, match=r"node 3 \(three.example\)"):
        agree(node(), node(), node(fork="f"))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"state": "open"}, NotRecordedError),
        ({"final": 80}, NotFinalError),
        ({"codes": {LEDGER: "other"}}, LedgerError),
    ],
)
def test_nodes_that_agree_on_a_refusal_refuse(changes, error):
    with pytest.raises(error):
        agree(node(**changes), node(**changes))


def test_answer_other_than_the_recorded_one_is_refused_by_all_nodes():
    with pytest.raises(NodesDifferError, match="differ"):
        agree(node(), node(outputs=(7, -9)), answer=answer_stating(outputs=(7, -9)))


@pytest.mark.parametrize("method", ["settled", "header", "latest"])
def test_failing_node_is_named_and_nothing_is_accepted(method, monkeypatch):
    def fail(*_):
        raise RpcError("The node is busy.", "Wait.")

    broken = node()
    monkeypatch.setattr(broken, method, fail)
    with pytest.raises(NodeError, match=r"^Node 2 \(two\.example\): The node is busy\. Wait\.$"):
        agree(node(), broken)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_nodes_cannot_agree(count):
    with pytest.raises(ValueError, match="at least two nodes"):
        agree(*[node()] * count)


# --- nodes that cannot be used, over HTTP


@pytest.fixture
def answering():
    """Start a node that gives every call this status and result; returns its URL."""
    servers = []

    def start(status, result):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                body = json.dumps({"jsonrpc": "2.0", "id": asked["id"]} | result).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/5ec4e7"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (401, {"result": "0x1"}),
        (200, {"error": {"code": -32005, "message": "daily request count exceeded"}}),
        (200, {"error": {"code": -32000, "message": "missing trie node: state is pruned"}}),
        (200, {"result": None}),
        (200, {"result": "no number"}),
    ],
)
def test_node_that_cannot_be_used_is_named_by_its_host_alone(answering, status, result):
    nodes = AgreeingNodes.connect([answering(status, result), "https://two.example/5ec4e7"], LEDGER)
    with pytest.raises(NodeError, match=r"^Node 1 \(127\.0\.0\.1\): ") as caught:
        nodes.agree(answer_to(REQUEST))
    assert "5ec4e7" not in str(caught.value)
