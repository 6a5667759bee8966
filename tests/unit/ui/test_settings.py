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
        server=ServerAccess("http://127.0.0.1:8000", token="s3cret"),
        chain=ChainAccess("https://node/s3cret", "0x" + "00" * 20),
    )
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000",
        "http://[::1]:8000/",
        "http://localhost",
        "https://models.example/below/it",
        "http://a.example",
    ],
)
def test_url_of_a_server_is_accepted(url):
    assert ServerAccess(url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8001",
        "unix:/run/zkinfer",
        "ftp://127.0.0.1",
        "http://",
        "http://a:b@127.0.0.1",
        "http://127.0.0.1?token=x",
        "http://127.0.0.1#x",
        "http://127.0.0.1/../x y",
        "http://127.0.0.1:port",
        "HTTP://127.0.0.1\n",
    ],
)
def test_what_is_no_url_of_a_server_is_refused_with_an_example(url):
    with pytest.raises(InputError, match="is not the URL of a server") as refusal:
        ServerAccess(url)
    assert "--rest" in refusal.value.cure


@pytest.mark.parametrize("url", ["http://me:s3cret@127.0.0.1:8000", "http://127.0.0.1:8000/?token=s3cret"])
def test_secret_in_a_url_is_not_repeated(url):
    with pytest.raises(InputError) as refusal:
        ServerAccess(url)
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize("url", ["http://server.example", "http://192.168.1.2:8000", "http://[2001:db8::1]"])
def test_token_needs_tls_to_another_machine(url):
    with pytest.raises(InputError, match="without TLS"):
        ServerAccess(url, token="s3cret")
    assert ServerAccess(url.replace("http:", "https:"), token="s3cret").token == "s3cret"


@pytest.mark.parametrize("token", ["two words", "t\u00f6ken", "line\nline"])
def test_malformed_token_is_refused_without_naming_it(token):
    with pytest.raises(InputError, match="token has spaces") as refusal:
        ServerAccess("http://127.0.0.1:8000", token=token)
    assert token not in str(refusal.value)


def test_authorities_without_tls_are_refused():
    with pytest.raises(InputError, match="no effect without TLS"):
        ServerAccess("http://127.0.0.1:8000", root_certificates=b"pem")
