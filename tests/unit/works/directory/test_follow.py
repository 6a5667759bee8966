import pytest
from eth_abi.abi import encode
from sqlalchemy import func, select
from tests.unit.contracts.work_scene import image, offer_of
from tests.unit.works.directory.directories import followed, rolled_back

from zkinfer.chain.blocks import Blocks
from zkinfer.contracts.abi import function_named, signature_of, type_of
from zkinfer.contracts.deploy import create
from zkinfer.contracts.errors import CodeMismatchError, DeploymentError, RpcError
from zkinfer.contracts.identifiers import keccak256
from zkinfer.contracts.market import subject_of
from zkinfer.contracts.work_facts import facts_in
from zkinfer.contracts.work_parts import works_of
from zkinfer.v1.works_pb2 import CheckAuthorisationRequest
from zkinfer.works.directory import tables
from zkinfer.works.directory.follow import Follower, Sources
from zkinfer.works.errors import DirectoryError, NotIndexedError


def rows(found):
    """All facts of the chain, by table."""
    with found.store.database.reading() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))))
            for table in tables.BY_BLOCK
            if table is not tables.checkpoints
        }


def busy(found):
    """A work, a remix of it that earned, and offers of which one has ended; returns both works."""
    scene = found.scene
    first = found.register(1, uri="https://w.example/1")
    market = scene.as_(1)[1]
    offer = market.offer(offer_of(int(first, 16), uri="https://w.example/terms"))
    ended = market.offer(offer_of(int(first, 16), price=5))
    market.withdraw_offer(ended)
    licence = scene.as_(3)[1].buy(offer, scene.address(3), subject_of("acme.example"))
    remix = found.register(2, account=3, licences=(licence,))
    scene.as_(2)[1].pay(int(remix, 16), 1001)
    scene.market.settle([int(remix, 16), int(first, 16)])
    scene.as_(1)[0].transfer(scene.address(1), scene.address(2), int(first, 16))
    return first, remix


def test_work_is_told_as_the_contracts_tell_it(found_anywhere):
    found = found_anywhere
    first, remix = busy(found)
    block = found.follow()
    scene, number = found.scene, int(first, 16)
    record = scene.works.work(number)
    with found.directory() as directory:
        work, child = directory.work(first), directory.work(remix.upper().replace("0X", "0x"))
    assert (work.creator, work.since.seconds, work.content) == (record.creator, record.since, record.content)
    assert (work.owner, work.till) == (scene.works.owner_of(number), scene.works.till_of(number))
    assert (work.kind, work.origin, work.standing, work.uri) == ("image", "human", "clear", "https://w.example/1")
    assert work.income.received == str(scene.market.received(number)) == str(10**15 + 100)
    assert work.income.pending == str(scene.market.pending(number)) == "0"
    assert (child.income.shared, child.income.kept, child.income.pending) == ("100", "900", "1")
    assert [(one.work, one.share_bps) for one in child.parents] == [(first, 1000)]
    assert list(work.children) == [remix]
    (offer,) = work.offers
    assert (offer.price, offer.uri, list(offer.uses)) == (
        str(10**15),
        "https://w.example/terms",
        ["commercial", "derivatives"],
    )
    assert scene.market.is_open(offer.offer)
    assert (work.as_of.block, work.as_of.chain_id, work.as_of.works) == (
        block.number,
        scene.chain.id,
        scene.works.address,
    )


def test_offer_that_was_made_again_is_open(found):
    work = found.register()
    market = found.scene.as_(1)[1]
    offer = market.offer(offer_of(int(work, 16)))
    market.withdraw_offer(offer)
    found.follow()
    with found.directory() as directory:
        assert not directory.work(work).offers
        market.offer(offer_of(int(work, 16)))
        found.follow()
        assert [one.offer for one in directory.work(work).offers] == [offer]


@pytest.mark.parametrize("window", [1, 3, 10_000])
def test_windows_and_restarts_do_not_change_what_is_told(found, tmp_path, window):
    busy(found)
    found.follow()
    other = followed(found.scene, tmp_path, f"sqlite:///{tmp_path}/other.db")
    with other.store:
        for _ in range(2):
            other.follow(window=window)
        assert rows(other) == rows(found)
        assert other.store.last() == found.store.last()


def refuse_ranges_over(blocks, monkeypatch):
    """Let the node refuse to tell the logs of more blocks; returns the sizes that it told."""
    told = []

    def facts(chain, addresses, first, last):
        if last - first >= blocks:
            raise RpcError("query returned more than 10000 results")
        told.append(last - first + 1)
        yield from facts_in(chain, addresses, first, last)

    monkeypatch.setattr("zkinfer.works.directory.follow.facts_in", facts)
    return told


def test_node_that_refuses_so_many_logs_is_asked_for_fewer_blocks(found, tmp_path, monkeypatch):
    busy(found)
    found.follow()
    other = followed(found.scene, tmp_path, f"sqlite:///{tmp_path}/other.db")
    told = refuse_ranges_over(3, monkeypatch)
    with other.store:
        other.follow()
        assert rows(other) == rows(found)
    assert 2 <= max(told) <= 3


def test_node_that_refuses_a_single_block_is_an_error(found, monkeypatch):
    refuse_ranges_over(0, monkeypatch)
    with pytest.raises(RpcError, match="more than"):
        found.follow()


def test_interrupted_index_goes_on_where_it_stopped(found):
    first, _ = busy(found)

    def interrupt(step):
        if step.block >= 20:
            raise KeyboardInterrupt

    sources = Sources(Blocks(found.scene.chain._web3), confirmations=1, window=2)
    with pytest.raises(KeyboardInterrupt):
        Follower(found.store, sources, found.scene.works.address).follow(interrupt)
    assert 20 <= found.store.last().number < found.scene.chain.height()
    found.follow()
    with found.directory() as directory:
        assert directory.work(first).income.received == str(10**15 + 100)


def test_reorganisation_removes_what_is_no_longer_there(found):
    kept = found.register(1)
    found.follow()
    with rolled_back(found.scene.chain):
        lost = found.register(2)
        offer = found.scene.as_(1)[1].offer(offer_of(int(kept, 16)))
        found.scene.as_(2)[1].buy(offer, found.scene.address(2))
        found.follow()
        with found.directory() as directory:
            assert directory.work(lost).creator == found.scene.address(1)
            assert directory.work(kept).income.received == str(10**15)
    instead = [found.register(number) for number in range(3, 9)]
    found.follow()
    with found.directory() as directory:
        with pytest.raises(NotIndexedError):
            directory.work(lost)
        assert (directory.work(kept).income.received, len(directory.work(kept).offers)) == ("0", 0)
        assert [directory.work(one).work for one in instead] == instead


def test_reorganisation_below_every_checkpoint_starts_again(found):
    with rolled_back(found.scene.chain):
        lost = found.register(1)
        found.follow()
    works = [found.register(number) for number in (2, 3, 4)]
    found.follow()
    with found.store.database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.works)) == len(works)
    with found.directory() as directory, pytest.raises(NotIndexedError):
        directory.work(lost)


def test_node_that_is_behind_is_no_reason_to_forget(found):
    work = found.register()
    found.register(2)
    last = found.follow()
    assert found.follow(confirmations=3) == last
    with found.directory() as directory:
        assert directory.work(work).work == work


def test_blocks_without_their_confirmations_are_not_followed(found):
    work = found.register()
    found.register(2)
    found.follow(confirmations=3)
    with found.directory() as directory, pytest.raises(NotIndexedError, match="up to block"):
        directory.work(work)


def test_chain_that_changes_while_it_is_read_is_read_again(found):
    work = found.register()

    class Changing(Blocks):
        asked = 0

        def header(self, number):
            self.asked += 1
            header = super().header(number)
            return header._replace(hash="0x" + "00" * 32) if self.asked < 3 else header

    blocks = Changing(found.scene.chain._web3)
    Follower(found.store, Sources(blocks, confirmations=1), found.scene.works.address).follow()
    with found.directory() as directory:
        assert directory.work(work).work == work


def test_chain_that_never_stops_changing_is_an_error(found):
    class Changing(Blocks):
        def header(self, number):
            return super().header(number)._replace(hash="0x" + "00" * 32)

    blocks = Changing(found.scene.chain._web3)
    with pytest.raises(RpcError, match="again and again"):
        Follower(found.store, Sources(blocks, confirmations=1), found.scene.works.address).follow()


def test_two_followers_of_one_directory_do_not_mix(found):
    found.register()
    block = found.follow()
    with pytest.raises(DirectoryError, match="Another process"):
        found.store.add([], {}, after=None, until=block)


def test_directory_is_of_one_contract_on_one_chain(found):
    found.follow()
    chain = found.scene.chain
    other = create(chain, works_of(found.scene.works.ledger, "https://other.example/"))
    with pytest.raises(DirectoryError, match="is of the works"):
        Follower(found.store, Sources(Blocks(chain._web3), confirmations=1), other)


def test_contracts_of_other_code_are_not_followed(found):
    for address, error in ((found.scene.market.address, CodeMismatchError), ("0x" + "ab" * 20, DeploymentError)):
        with pytest.raises(error):
            Follower(found.store, Sources(Blocks(found.scene.chain._web3), confirmations=1), address)


def test_first_block_that_is_not_there_yet_is_named(found):
    with pytest.raises(RpcError, match="The last settled block is"):
        found.follow(first=10**6)


@pytest.mark.parametrize(
    ("uri", "told"), [(b"https://\xff\0", "https://\ufffd\ufffd"), (b"https://" + b"x" * 2041, ""), (b"", "")]
)
def test_uri_that_is_no_text_or_too_long_stops_nobody(found, uri, told):
    chain, function = found.scene.chain, function_named("Works", "register")
    types = [type_of(one).replace("string", "bytes") for one in function["inputs"]]
    data = keccak256(signature_of(function).encode())[:4] + encode(types, [(*image(5).fields[:-1], uri)])
    chain.send(found.scene.works.address, data)
    found.follow()
    with found.directory() as directory:
        work = f"0x{found.scene.works.id_of(chain.address, image(5).content):064x}"
        assert directory.work(work).uri == told


def test_authorisation_needs_a_settled_licence(found):
    first, _ = busy(found)
    query = CheckAuthorisationRequest(work=first, subject="dns:acme.example", uses=["commercial"])
    with found.directory() as directory:
        with pytest.raises(DirectoryError, match="no chain yet"):
            directory.authorisation(query)
        found.follow()
        assert directory.authorisation(query).authorised == "yes"
