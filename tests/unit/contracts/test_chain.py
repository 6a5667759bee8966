import pytest
from eth_abi.abi import encode
from eth_account import Account
from tests.unit.contracts.deployed import embedded_chain

from zkinfer.contracts.abi import call_data, creation_code, function_named, revert_reason, signature_of
from zkinfer.contracts.artifacts import load
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import Governance, deploy, plan
from zkinfer.contracts.errors import FeeLimitError, RevertedError, RpcError, TransactionFailedError
from zkinfer.contracts.identifiers import keccak256
from zkinfer.contracts.transactions import Limits

ZERO_ADDRESS = "0x" + "00" * 20
GUARDIAN = "0x" + "9a" * 20


@pytest.fixture(scope="module")
def chain():
    return embedded_chain()


@pytest.fixture(scope="module")
def router(chain):
    code = creation_code("VerifierRouter", (chain.address, []))
    sent = chain._web3.eth.send_transaction({"from": chain._signer.address, "data": code})
    return chain._web3.eth.wait_for_transaction_receipt(sent)["contractAddress"]


def test_read_gives_the_value(chain, router):
    assert chain.read("VerifierRouter", router, "owner") == chain.address


def test_read_that_reverts_names_the_error(chain, router):
    with pytest.raises(RevertedError, match=r"refused: SelectorUnknown\(selector = 0x01020304\)"):
        chain.read("VerifierRouter", router, "verifierOf", b"\1\2\3\4")


def test_read_from_an_address_without_code_is_refused(chain):
    with pytest.raises(RpcError, match="gave no answer to owner"):
        chain.read("VerifierRouter", GUARDIAN, "owner")


def test_write_changes_the_chain(chain, router):
    receipt = chain.write("VerifierRouter", router, "transferOwnership", GUARDIAN)
    assert receipt["status"] == 1
    assert chain.read("VerifierRouter", router, "pendingOwner") == GUARDIAN


def test_write_that_reverts_is_not_sent(chain, router):
    before = chain._web3.eth.get_transaction_count(chain._signer.address)
    with pytest.raises(RevertedError, match="SelectorUnknown"):
        chain.write("VerifierRouter", router, "removeVerifier", b"\1\2\3\4")
    assert chain._web3.eth.get_transaction_count(chain._signer.address) == before


def test_write_that_reverts_with_text_names_the_error(chain):
    wanted = plan(Governance(GUARDIAN, (GUARDIAN,), delay=60))
    deploy(chain, wanted)
    for gas in (None, 100_000):  # in the estimate, and in a block
        with pytest.raises(RevertedError, match=r"refused: AddressMissing\(field = to\)"):
            chain.write("InferenceLedger", wanted.addresses["InferenceLedger"], "withdraw", ZERO_ADDRESS, gas=gas)


def test_write_that_reverts_in_a_block_names_the_error(chain, router):
    with pytest.raises(RevertedError, match="SelectorUnknown"):
        chain.write("VerifierRouter", router, "removeVerifier", b"\1\2\3\4", gas=100_000)


def test_send_without_account_is_refused(chain):
    with pytest.raises(TransactionFailedError, match=r"no account to pay with\. Give a key"):
        Chain(chain._web3).send(GUARDIAN)


def test_send_above_the_fee_limit_is_refused(chain):
    careful = Chain(chain._web3, chain._signer, Limits(max_fee=1))
    with pytest.raises(TransactionFailedError, match="above the limit"):
        careful.send(GUARDIAN)


def test_send_with_insufficient_funds_is_refused(chain):
    poor = Chain(chain._web3, Account.from_key("0x" + "11" * 32))
    with pytest.raises(FeeLimitError, match="has 0 ether"):
        poor.send(GUARDIAN, value=1, gas=21_000)


def test_send_pays_no_more_than_the_limits(chain):
    limits = Limits(max_tip=7)
    receipt = Chain(chain._web3, chain._signer, limits).send(GUARDIAN, value=1)
    sent = chain._web3.eth.get_transaction(receipt["transactionHash"])
    assert sent["maxPriorityFeePerGas"] == 7
    assert sent["maxFeePerGas"] <= limits.max_fee
    assert chain.balance(GUARDIAN) >= 1


def test_function_signature_expands_tuples():
    entry = function_named("InferenceLedger", "refund")
    expected = "refund((bytes32,bytes32,address,address,uint64,address,uint96,address,uint96,bytes32))"
    assert signature_of(entry) == expected


def test_call_data_begins_with_the_selector():
    entry = function_named("InferenceLedger", "creditOf")
    assert call_data(entry, (GUARDIAN,))[:4] == keccak256(b"creditOf(address)")[:4]


@pytest.mark.parametrize("name", ["nothing", "constructor"])
def test_unknown_function_is_refused(name):
    with pytest.raises(KeyError, match=f"0 functions named {name}"):
        function_named("InferenceLedger", name)


def test_constructor_data_without_arguments_is_the_bare_code():
    assert creation_code("Halo2VerifierReusable", ()) == load("Halo2VerifierReusable").creation


def test_reason_of_a_known_error_includes_its_values():
    data = keccak256(b"WrongValue(uint256,uint256)")[:4] + encode(["uint256", "uint256"], [5, 6])
    assert revert_reason("0x" + data.hex()) == "The contract refused: WrongValue(expected = 5, actual = 6)."


@pytest.mark.parametrize("data", [None, "0x", b"", "0x12345678"])
def test_reason_of_anything_else_is_shown_verbatim(data):
    assert "without a reason that is known" in revert_reason(data)


def test_reason_of_a_truncated_error_is_its_name():
    assert revert_reason(keccak256(b"WrongValue(uint256,uint256)")[:4]) == "The contract refused: WrongValue()."
