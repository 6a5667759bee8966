"""The pages of works against a whole server, whose directory has followed an embedded chain."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.unit.contracts.work_scene import offer_of
from tests.unit.contracts.work_scene import scene as new_scene
from tests.unit.service.rest.conftest import lasting
from tests.unit.ui.conftest import Browser
from tests.unit.works.directory.directories import followed, signed_work

from zkinfer.contracts.market import subject_of
from zkinfer.service.settings import WorksDirectory
from zkinfer.ui.app import application
from zkinfer.ui.errors import ServerError
from zkinfer.ui.settings import ServerAccess
from zkinfer.ui.work_browser import WorkBrowser


@pytest.fixture(scope="module")
def server(tiny, tmp_path_factory):
    """A server that knows one marked picture, which Acme may use commercially."""
    folder, scene = tmp_path_factory.mktemp("works"), new_scene()
    found = followed(scene, folder)
    path, certificate, what = signed_work(found, marked="embedded")
    work = found.register(what=what)
    _, market = scene.as_(1)
    offer = market.offer(offer_of(int(work, 16)))
    _, buyer = scene.as_(2)
    buyer.buy(offer, scene.address(2), subject_of("acme.example"))
    found.follow()
    found.read_files()
    with lasting(tiny, folder, directory=WorksDirectory(database=f"{folder}/works.db")) as running, found.store:
        yield SimpleNamespace(
            url=f"http://{running.rest_address}", work=work, file=path.read_bytes(), certificate=certificate
        )


@pytest.fixture
def works(server):
    return WorkBrowser(ServerAccess(server.url))


async def test_work_is_read_with_offer_income_and_block(works, server):
    found = await works.work(server.work)
    assert (found.name, found.kind, found.origin, found.standing) == (
        server.certificate.name,
        "image",
        "human",
        "clear",
    )
    assert len(found.offers) == 1
    assert int(found.income.received) == int(found.offers[0].price)
    assert found.as_of.block > 0


async def test_file_and_its_codes_find_the_work(works, server):
    whole = await works.lookup_file(server.file)
    assert [one.work.work for one in whole.matches] == [server.work]
    content = server.certificate.predicate.content
    for code in (server.certificate.sha256, content.iscc256):
        assert [one.work.work for one in (await works.lookup(code)).matches] == [server.work]


async def test_licence_covers_its_holder_alone(works, server):
    assert (await works.authorisation(server.work, "dns:acme.example", ["commercial"])).authorised == "yes"
    assert (await works.authorisation(server.work, "dns:other.example", ["commercial"])).authorised == "no"


async def test_unknown_work_is_not_found(works):
    with pytest.raises(ServerError) as refusal:
        await works.work("0x" + "ab" * 32)
    assert refusal.value.status == 404


async def test_unknown_digest_finds_nothing(works):
    found = await works.lookup("ab" * 32, "dns:acme.example", ["training"])
    assert (found.certified, found.matches, found.authorised) == (False, (), "unknown")


async def test_server_says_whether_it_knows_works(works, tiny, tmp_path):
    assert await works.knows_works()
    (tmp_path / "bare").mkdir()
    with lasting(tiny, tmp_path / "bare") as bare:
        assert not await WorkBrowser(ServerAccess(f"http://{bare.rest_address}")).knows_works()


def test_pages_show_what_the_server_says(parts, server):
    made = replace(parts, works=WorkBrowser(ServerAccess(server.url)))
    browser = Browser(application(made))
    browser.get(f"/open/{made.access.key}")
    page = browser.get(f"/works/{server.work}?subject=dns:acme.example&commercial=on").text
    assert "Yes, a licence covers this." in page
    assert f'<h1 id="name"><bdi>{server.certificate.name}</bdi></h1>' in page
    assert 'data-level="claimed"' in page
    found = browser.post("/works/look-up", {}, {"content": ("cat.jpg", server.file)}).text
    assert f'href="/works/{server.work}"' in found
