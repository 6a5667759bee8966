import json
import socket
import struct
import threading
import time
from http.client import HTTPConnection, RemoteDisconnected

import pytest

from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import Governance, deploy, plan
from zkinfer.contracts.devchain import DevServer
from zkinfer.contracts.errors import FeeLimitError, RevertedError
from zkinfer.contracts.rpc import connect
from zkinfer.contracts.signers import unsafe_dev_account

TO = "0x" + "22" * 20
JSON = {"Content-Type": "application/json"}
ASKED = {"jsonrpc": "2.0", "id": 7, "method": "eth_chainId", "params": []}


@pytest.fixture(scope="module")
def server():
    server = DevServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def chain(server):
    web3 = connect(server.url)
    return Chain(web3, unsafe_dev_account(1, Chain(web3).id))


def ask(server, body, headers):
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    try:
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_transaction_over_http_changes_the_chain(chain):
    before = chain.balance(TO)
    receipt = chain.send(TO, value=5)
    assert receipt["status"] == 1
    assert chain.balance(TO) == before + 5


def test_contract_is_deployed_and_its_revert_named(chain):
    wanted = plan(Governance(TO, (TO,), delay=60))
    assert "InferenceLedger" in deploy(chain, wanted)
    assert deploy(chain, wanted) == []
    with pytest.raises(RevertedError, match="SelectorUnknown"):
        chain.read("VerifierRouter", wanted.addresses["VerifierRouter"], "verifierOf", b"\1\2\3\4")
    with pytest.raises(RevertedError, match="NothingToWithdraw"):
        chain.write("InferenceLedger", wanted.addresses["InferenceLedger"], "withdraw", TO)


def test_unknown_method_is_an_error(chain):
    answer = chain._web3.provider.make_request("eth_nonsense", [])
    assert "error" in answer


def test_wrong_arguments_are_an_error(chain):
    answer = chain._web3.provider.make_request("eth_getBalance", [7, 8, 9])
    assert answer["error"]["code"] in (-32602, -32000)


def test_request_is_answered_under_its_id(server):
    status, body = ask(server, json.dumps(ASKED), JSON)
    assert (status, json.loads(body)["id"]) == (200, 7)


def test_client_that_hangs_up_leaves_no_traceback(server, capsys):
    with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
        # Closed with a reset, while the request is read.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        headers = f"Host: 127.0.0.1:{server.server_port}\r\nContent-Type: application/json\r\nContent-Length: 99"
        connection.sendall(f"POST / HTTP/1.1\r\n{headers}\r\n\r\n".encode())
        time.sleep(0.1)
    assert ask(server, json.dumps(ASKED), JSON)[0] == 200
    assert capsys.readouterr().err == ""


def test_client_that_hangs_up_before_its_answer_leaves_no_traceback(server, capsys, monkeypatch):
    def hang_up(handler, document):
        raise BrokenPipeError

    with monkeypatch.context() as patched:
        patched.setattr("zkinfer.contracts.devchain._Handler._reply", hang_up)
        with pytest.raises(RemoteDisconnected):
            ask(server, json.dumps(ASKED), JSON)
    assert ask(server, json.dumps(ASKED), JSON)[0] == 200
    assert capsys.readouterr().err == ""


def test_defect_while_answering_is_shown(server, capsys, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("zkinfer.contracts.devchain._Handler._reply", lambda handler, document: 1 // 0)
        with pytest.raises(RemoteDisconnected):
            ask(server, json.dumps(ASKED), JSON)
    assert ask(server, json.dumps(ASKED), JSON)[0] == 200
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_batch_of_requests_is_answered(server):
    _, body = ask(server, json.dumps([ASKED, {**ASKED, "id": 8}]), JSON)
    assert [one["id"] for one in json.loads(body)] == [7, 8]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({**JSON, "Host": "evil.example:8545"}, 403),
        ({**JSON, "Host": "127.0.0.1"}, 403),
        ({**JSON, "Origin": "https://evil.example"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({}, 415),
        ({**JSON, "Content-Length": "99999999"}, 413),
        ({**JSON, "Content-Length": "-1"}, 413),
    ],
)
def test_cross_origin_request_is_refused(server, headers, status):
    assert ask(server, json.dumps(ASKED), headers)[0] == status


@pytest.mark.parametrize(("body", "code"), [("{", -32700), ("7", -32600), ('{"id": 1}', -32600)])
def test_malformed_request_is_an_error(server, body, code):
    assert json.loads(ask(server, body, JSON)[1])["error"]["code"] == code


def test_server_listens_on_localhost_only(server):
    assert server.server_address[0] == "127.0.0.1"


def test_insufficient_funds_are_an_error(server):
    web3 = connect(server.url)
    poor = Chain(web3, unsafe_dev_account(50, Chain(web3).id))
    with pytest.raises(FeeLimitError, match="has 0 ether"):
        poor.send(TO)


def test_next_block_has_the_present_time(server, chain, monkeypatch):
    chain.send(TO, value=1)
    later = chain.time() + 1000
    monkeypatch.setattr("zkinfer.contracts.devchain.time.time", lambda: float(later))
    chain.send(TO, value=1)
    assert later <= chain.time() <= later + 1
