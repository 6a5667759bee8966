"""The client of fingerprints on chain: every call fits the contract's ABI, and nothing is sent twice."""

import pytest

from zkinfer.contracts.abi import call_data, function_named
from zkinfer.contracts.identifiers import Request
from zkinfer.contracts.similarity import Flag, ProvenPrint, Similarity, Stage

ADDRESS = "0x" + "5a" * 20
REQUEST = Request(
    listing="0x" + "11" * 32,
    input_commitment="0x" + "22" * 32,
    consumer="0x" + "33" * 20,
    requester="0x" + "44" * 20,
    expiry=1_900_000_000,
)
OUTPUTS = [-(2**59), *range(255)]


class FakeChain:
    """Encodes what is read and sent by the contract's real ABI; answers from a table, which sending changes."""

    def __init__(self, **answers):
        self.answers = {"printOf": (0, 0), "flagOf": (0, 0, False)} | answers
        self.sent = []

    def read(self, contract, address, name, *arguments):
        assert address == ADDRESS
        call_data(function_named(contract, name), arguments)
        return self.answers[name]

    def write(self, contract, address, name, *arguments):
        assert address == ADDRESS
        call_data(function_named(contract, name), arguments)
        self.sent.append((name, *arguments))
        return "receipt"

    def ensure(self, done, send):
        return None if done() else send()


WRITES = {
    "print": (7, REQUEST, OUTPUTS, 2**255),
    "flag": (9, 7),
    "acknowledge": (9, 7, 3),
    "contest": (9, 7, "https://example.org/reasons"),
    "uphold": (9, 7),
    "release": (9, 7),
    "dismiss": (9, 7, [9, 8, 7]),
}
DONE = {
    "print": {"printOf": (2**255, 5)},
    "flag": {"flagOf": (1, 5, False)},
    "acknowledge": {"flagOf": (4, 5, False)},
    "contest": {"flagOf": (2, 5, True)},
    "uphold": {"flagOf": (3, 5, False)},
    "release": {"flagOf": (4, 5, True)},
    "dismiss": {"flagOf": (4, 5, False)},
}


@pytest.mark.parametrize("name", WRITES)
def test_call_is_sent_once_as_the_contract_takes_it(name):
    chain = FakeChain()
    assert getattr(Similarity(chain, ADDRESS), name)(*WRITES[name]) == "receipt"
    assert [sent[0] for sent in chain.sent] == [name]


@pytest.mark.parametrize("name", WRITES)
def test_call_whose_effect_is_there_is_not_sent(name):
    chain = FakeChain(**DONE[name])
    assert getattr(Similarity(chain, ADDRESS), name)(*WRITES[name]) is None
    assert chain.sent == []


def test_print_with_other_bits_is_replaced():
    chain = FakeChain(printOf=(1, 5))
    Similarity(chain, ADDRESS).print(*WRITES["print"])
    assert chain.sent[0][0] == "print"


def test_flag_that_was_released_is_not_raised_again():
    chain = FakeChain(flagOf=(4, 5, False))
    assert Similarity(chain, ADDRESS).flag(9, 7) is None


def test_print_is_read():
    assert Similarity(FakeChain(printOf=(6, 4)), ADDRESS).print_of(7) == ProvenPrint(6, 4)


def test_missing_print_is_none():
    assert Similarity(FakeChain(), ADDRESS).print_of(7) is None


def test_flag_is_read():
    found = Similarity(FakeChain(flagOf=(2, 1_800_000_000, True)), ADDRESS).flag_of(9, 7)
    assert found == Flag(Stage.CONTESTED, 1_800_000_000, contested=True)


def test_distance_is_read():
    assert Similarity(FakeChain(distance=(12, 250)), ADDRESS).distance(9, 7) == (12, 250)


def test_facts_of_the_deployment_are_read():
    contract = Similarity(FakeChain(isSound=True, LISTING=b"\x11" * 32, MARGIN=227_308), ADDRESS)
    assert (contract.is_sound(), contract.listing(), contract.margin()) == (True, "0x" + "11" * 32, 227_308)
