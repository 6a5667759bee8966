import socket

import pytest

from zkinfer.circuits.errors import InputError
from zkinfer.cli.ui import demo_model
from zkinfer.ui.serve import _listener, parts
from zkinfer.ui.settings import Address, ChainAccess, ServerAccess, UiSettings

LOOPBACK = Address("127.0.0.1", 0)


def made(tiny, tmp_path, **settings):
    return parts(UiSettings(address=LOOPBACK, **settings), tiny.home, demo_model(), {}, tmp_path, 7)


def test_page_alone_knows_neither_server_nor_chain(tiny, tmp_path):
    with made(tiny, tmp_path) as found:
        assert (found.browser, found.ledger, found.auditor.record) == (None, None, None)
        assert found.cookie == "zkinfer-ui-7"
    assert found.tasks.stopping


def test_page_knows_the_server_and_the_chain_that_are_named(tiny, tmp_path):
    chain = ChainAccess("http://127.0.0.1:1", "0x" + "11" * 20)
    with made(tiny, tmp_path, chain=chain, server=ServerAccess("http://127.0.0.1:9")) as found:
        assert found.browser.url == "http://127.0.0.1:9"
        assert found.ledger() is not found.ledger()
        assert found.auditor.record() is not found.auditor.record()


def test_each_page_has_a_key_of_its_own(tiny, tmp_path):
    with made(tiny, tmp_path) as one, made(tiny, tmp_path) as other:
        assert one.access.key != other.access.key


def test_used_port_is_refused():
    with _listener(LOOPBACK) as first, pytest.raises(InputError, match="Cannot listen"):
        _listener(Address("127.0.0.1", first.getsockname()[1]))


def test_foreign_address_is_refused():
    with pytest.raises(InputError, match=r"Cannot listen at 192\.0\.2\.1:0"):
        _listener(Address("192.0.2.1", 0))


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_address_of_the_other_kind_is_taken():
    with _listener(Address("::1", 0)) as listener:
        assert listener.family == socket.AF_INET6
