import pytest

from zkinfer.circuits.errors import InputError
from zkinfer.ui.settings import Address, ChainAccess, ServerAccess, UiSettings


@pytest.mark.parametrize(
    ("text", "host", "port", "name"),
    [
        ("127.0.0.1:8642", "127.0.0.1", 8642, "127.0.0.1"),
        ("localhost:0", "127.0.0.1", 0, "127.0.0.1"),
        ("[::1]:80", "::1", 80, "[::1]"),
        ("0.0.0.0:1", "0.0.0.0", 1, "0.0.0.0"),
    ],
)
def test_address_is_parsed(text, host, port, name):
    found = Address.parse(text)
    assert (found.host, found.port, found.name) == (host, port, name)


@pytest.mark.parametrize(
    "text", ["", "8642", "127.0.0.1", "host:80", "127.0.0.1:70000", "::1:80", "http://127.0.0.1:1", "300.0.0.1:1"]
)
def test_malformed_address_is_refused(text):
    with pytest.raises(InputError, match="is not an address"):
        Address.parse(text)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "2001:db8::1"])
def test_other_machines_are_refused_unless_asked_for(host):
    with pytest.raises(InputError, match="Other machines could connect") as refusal:
        UiSettings(address=Address(host, 1))
    assert "--insecure-no-tls" in refusal.value.cure
    assert UiSettings(address=Address(host, 1), insecure_no_tls=True).hosts == {Address(host, 1).name}


def test_names_besides_loopback_are_those_that_are_named():
    hosts = UiSettings(address=Address("127.0.0.1", 1), host_names=("page.test",)).hosts
    assert hosts == {"127.0.0.1", "localhost", "[::1]", "page.test"}


@pytest.mark.parametrize("name", ["", "Page.test", "http://page", "page:80", "*", "a/b", "-a"])
def test_malformed_host_name_is_refused(name):
    with pytest.raises(InputError, match="is not a host name"):
        UiSettings(address=Address("127.0.0.1", 1), host_names=(name,))


def test_secrets_are_not_in_the_representation():
    settings = UiSettings(
        address=Address("127.0.0.1", 1),
        server=ServerAccess("127.0.0.1:8001", token="s3cret"),
        chain=ChainAccess("https://node/s3cret", "0x" + "00" * 20),
    )
    assert "s3cret" not in repr(settings)
