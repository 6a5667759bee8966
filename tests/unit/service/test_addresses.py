import pytest

from zkinfer.service.addresses import is_own_name


@pytest.mark.parametrize(
    "header",
    ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.9.9.9", "[::1]:8000", "models.example", "models.example:1"],
)
def test_name_of_this_machine_is_its_own(header):
    assert is_own_name(header, ["models.example"])


@pytest.mark.parametrize(
    "header",
    [
        "",
        ":8000",
        "evil.example",
        "localhost:evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "a@localhost",
        "10.0.0.1",
        "[::1]evil",
    ],
)
def test_other_name_is_not_its_own(header):
    assert not is_own_name(header, ["models.example"])
