import pytest

from zkinfer.contracts.errors import SubjectError
from zkinfer.contracts.identifiers import keccak256
from zkinfer.contracts.market import domain_of, subject_of


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("acme.example", "acme.example"),
        ("ACME.Example.", "acme.example"),
        ("ACME\uff0eexample\u3002", "acme.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
    ],
)
def test_domain_has_one_form_and_its_subject_is_the_hash_of_it(text, name):
    assert domain_of(text) == name
    assert subject_of(text) == "0x" + keccak256(f"dns:{name}".encode()).hex()


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a..b",
        "acme.example..",
        "acme.example\u3002.",
        "-a.example",
        "a b.example",
        "https://acme.example",
        "a" * 64,
        "\ud800.example",
    ],
)
def test_what_is_no_domain_is_refused(text):
    with pytest.raises(SubjectError, match="is no domain"):
        subject_of(text)


@pytest.mark.parametrize("text", ["1.2.3.4", "127.0.0.1.", "１.２.３.４", "0x7f.1", "acme.0x", "7"])
def test_address_of_a_machine_is_no_domain(text):
    with pytest.raises(SubjectError, match="it is an IP address"):
        subject_of(text)
