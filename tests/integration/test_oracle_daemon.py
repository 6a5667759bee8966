"""Daemons in processes of their own, real proofs under Ashlar, and chains under anvil."""

import subprocess
import time

import httpx2
import pytest
from benchmarks.oracle.lab import LabPlan, lab
from benchmarks.oracle.sources import Mode
from tests.integration import bench

from zkinfer.circuits.engines import engine_named
from zkinfer.contracts.feed_formats import FeedPayload, Level

pytestmark = [pytest.mark.slow, pytest.mark.alone]
PATIENCE = 90


def until(done, what, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < end, what
        time.sleep(0.3)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    bench.skip_without_anvil()
    if reason := engine_named("ashlar").unavailable:
        pytest.skip(reason)
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def alone(folder):
    """One operator on two chains."""
    (folder / "alone").mkdir()
    with lab(folder / "alone", LabPlan(chains=2, tick=4, heartbeat=20)) as found:
        found.operators[0].start()
        yield found


def proven(lab_, chain="chain0", after=0):
    """The newest proven round after one."""
    found = lab_.hubs[chain].latest(lab_.feed.id, Level.PROVEN)
    return found if found is not None and found[0] > after else None


def test_same_report_is_proven_on_both_chains(alone):
    number, first = until(lambda: proven(alone), "no proven round")
    second = until(lambda: alone.hubs["chain1"].round_of(alone.feed.id, number), "not on the other chain")
    assert (second.answer, second.observed_at) == (first.answer, first.observed_at)


def test_report_server_has_the_report_that_the_hub_takes(alone):
    until(lambda: proven(alone), "no proven round")
    answer = httpx2.get(f"{alone.operators[0].url}/api/v1/reports/latest", params={"feedID": alone.feed.id})
    payload = FeedPayload.decode(bytes.fromhex(answer.json()["report"]["fullReport"][2:]))
    alone.feed.config.require(payload.signing_hash, payload.signatures)
    source = httpx2.get(f"{alone.operators[0].url}/sources/{payload.source_digest}")
    assert source.json()["numbers"]
    recipe = httpx2.get(f"{alone.operators[0].url}/sources/{alone.feed.recipe.digest}")
    assert recipe.content == alone.feed.recipe.to_bytes()


def test_status_is_fine_while_rounds_come(alone):
    until(lambda: proven(alone), "no proven round")
    code, document = alone.operators[0].status()
    assert (code, document["ok"], {one["level"] for one in document["feeds"]}) == (0, True, {"proven"})


def test_killed_daemon_goes_on_and_says_why_rounds_are_missing(alone):
    (operator,) = alone.operators
    last, _ = until(lambda: proven(alone), "no proven round")
    operator.kill()
    time.sleep(9)
    operator.start()
    until(lambda: proven(alone, after=last + 2), "it did not go on")
    gap = operator.status()[1]["feeds"][0]["gaps"][0]
    assert gap["reason"] in ("not running", "too slow")


def test_reorganised_rounds_come_back(alone):
    number, before = until(lambda: proven(alone), "no proven round")
    alone.nodes["chain0"].reorganise(2)
    until(lambda: proven(alone, after=number), "it did not go on")
    again = alone.hubs["chain0"].round_of(alone.feed.id, number)
    assert again is None or again.answer == before.answer


def test_daemon_ends_cleanly_on_a_signal_and_once_makes_one_round(alone):
    (operator,) = alone.operators
    until(lambda: proven(alone), "no proven round")
    assert operator.stop() == 0
    command, environment = operator.command("run", "--once"), operator.environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 feeds" in done.stdout


def test_three_operators_agree_without_the_liar_and_without_the_dead(folder):
    (folder / "three").mkdir()
    with lab(folder / "three", LabPlan(operators=3, threshold=2, tick=6, heartbeat=30)) as found:
        for one in found.operators:
            one.start()
        found.source.fail(0, Mode.LIE)
        number, _ = until(lambda: proven(found), "no proven round with a liar")
        found.operators[0].kill()
        until(lambda: proven(found, after=number + 1), "no proven round with a dead operator")
        truth = {one.stop() for one in found.operators[1:]}
    assert truth == {0}
