import pytest

from zkinfer.circuits.errors import InputError
from zkinfer.client import Connection


@pytest.mark.parametrize(
    "target", ["example.org:443", "10.0.0.1:1", "dns:///example.org", "localhost.example.org:1", ""]
)
def test_token_is_not_sent_unencrypted_to_other_machines(target):
    with pytest.raises(InputError, match="without TLS"):
        Connection(target=target, token="secret")


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("localhost:1", {}),
        ("127.0.0.1:1", {}),
        ("[::1]:1", {}),
        ("unix:/run/z", {}),
        ("example.org:443", {"tls": True}),
        ("example.org:443", {"root_certificates": b"pem"}),
        ("example.org:443", {"insecure_send_token": True}),
    ],
)
def test_token_is_sent_locally_encrypted_or_if_allowed(target, options):
    connection = Connection(target=target, token="secret", **options)
    assert connection.metadata == (("authorization", "Bearer secret"),)
    assert "secret" not in repr(connection)


def test_key_without_its_certificate_is_refused():
    with pytest.raises(InputError, match="belong together"):
        Connection(target="localhost:1", private_key=b"pem")


@pytest.mark.parametrize("target", ["http://127.0.0.1:8001", "https://example.org", "localhost", "127.0.0.1", ""])
def test_malformed_target_is_refused(target):
    with pytest.raises(InputError, match="is not a server address"):
        Connection(target=target)
