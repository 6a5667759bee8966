import threading
import weakref

import pytest
from tests.eventually import eventually

from zkinfer.circuits.errors import EngineCrashedError, EngineError, RangeError
from zkinfer.prover.errors import BusyError, ModelUnavailableError
from zkinfer.prover.session_pool import SessionPool


class Session:
    """Records the thread that opened it, and can be made to die."""

    def __init__(self):
        self.usable, self.closed = True, False
        self.thread = threading.get_ident()
        self.killed = threading.Event()

    def kill(self):
        self.killed.set()

    def close(self):
        self.usable, self.closed = False, True

    def die(self):
        self.usable = False
        raise EngineCrashedError("It died.")


@pytest.fixture
def opened():
    return []


@pytest.fixture
def pool_of(opened):
    pools = []

    def open_session():
        opened.append(Session())
        return opened[-1]

    def make(**options):
        pools.append(SessionPool(options.pop("open_session", open_session), **{"size": 2, "max_waiting": 4} | options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def hold(pool, release):
    begun = threading.Event()

    def work(session):
        begun.set()
        release.wait(10)

    future = pool.submit(work)
    return begun, future


def test_sessions_are_opened_on_demand(pool_of, opened):
    pool = pool_of()
    assert opened == []
    for _ in range(5):
        assert pool.submit(lambda session: session.usable).result(5)
    assert len(opened) == 1


def test_task_that_is_cancelled_while_it_waits_gives_up_what_it_holds(pool_of):
    class Large:
        def __call__(self, session):
            return None

    pool, release, large = pool_of(size=1), threading.Event(), Large()
    begun, _ = hold(pool, release)
    begun.wait(5)
    gone, waiting = weakref.ref(large), pool.submit(large)
    del large
    assert waiting.cancel()
    assert gone() is None
    release.set()
    assert pool.submit(lambda session: session.usable).result(5)


def test_session_is_never_used_concurrently(pool_of):
    pool, users, seen = pool_of(size=2, max_waiting=40), {}, []

    def work(session):
        seen.append(users.setdefault(session, threading.Lock()).acquire(blocking=False))
        threading.Event().wait(0.001)
        users[session].release()

    for future in [pool.submit(work) for _ in range(40)]:
        future.result(5)
    assert all(seen)


def test_most_recently_used_session_is_reused_first(pool_of, opened):
    pool, release = pool_of(size=2), threading.Event()
    (begun, first), (_, _second) = hold(pool, release), hold(pool, release)
    assert begun.wait(5)
    assert eventually(lambda: len(opened) == 2)
    release.set()
    first.result(5)
    assert eventually(lambda: pool.unfinished == 0)
    assert len({pool.submit(lambda session: session).result(5) for _ in range(8)}) == 1


def test_two_tasks_run_concurrently(pool_of, opened):
    pool, both = pool_of(), threading.Barrier(2)
    futures = [pool.submit(lambda _: both.wait(10)) for _ in range(2)]
    assert sorted(future.result(10) for future in futures) == [0, 1]
    assert len(opened) == 2


def test_task_beyond_the_waiting_limit_is_refused_and_later_accepted(pool_of):
    pool, release = pool_of(size=1, max_waiting=1), threading.Event()
    futures = [hold(pool, release)[1] for _ in range(2)]
    assert pool.unfinished == 2
    with pytest.raises(BusyError, match=r"Too many requests wait for this model\. Try again") as caught:
        pool.submit(lambda _: None)
    assert caught.value.retry_after == 1.0
    release.set()
    assert [future.result(5) for future in futures] == [None, None]
    assert eventually(lambda: pool.unfinished == 0)
    assert pool.submit(lambda _: 5).result(5) == 5


def test_task_cancelled_while_waiting_is_never_started(pool_of):
    pool, release, begun = pool_of(size=1), threading.Event(), []
    started, _ = hold(pool, release)
    assert started.wait(5)
    late = pool.submit(begun.append)
    assert late.cancel()
    release.set()
    pool.submit(lambda _: None).result(5)
    assert begun == []
    assert eventually(lambda: pool.unfinished == 0)


# --- sessions that fail


def test_dead_session_is_replaced_and_the_task_completed(pool_of, opened):
    pool = pool_of(size=1)
    first = []

    def work(session):
        if not first:
            first.append(session)
            session.die()
        return "done"

    assert pool.submit(work).result(5) == "done"
    assert len(opened) == 2
    assert opened[0].closed


def test_task_is_completed_even_if_all_sessions_have_died(pool_of, opened):
    pool, both, dead = pool_of(size=2), threading.Barrier(2), []
    for future in [pool.submit(lambda _: both.wait(10)) for _ in range(2)]:
        future.result(10)
    dead.extend(opened)

    def work(session):
        if session in dead:
            session.die()
        return "done"

    assert pool.submit(work).result(5) == "done"


def test_task_that_kills_every_session_fails_after_the_second(pool_of, opened):
    pool = pool_of(size=1)
    with pytest.raises(EngineCrashedError, match="It died"):
        pool.submit(lambda session: session.die()).result(5)
    assert len(opened) == 2
    assert pool.submit(lambda session: session.usable).result(5)


@pytest.mark.parametrize("kind", [RangeError, EngineCrashedError])
def test_error_with_the_session_still_usable_is_not_retried(pool_of, opened, kind):
    pool, calls = pool_of(size=1), []

    def work(session):
        calls.append(session)
        raise kind("No.")

    with pytest.raises(kind, match="No"):
        pool.submit(work).result(5)
    assert len(calls) == len(opened) == 1


def test_session_that_cannot_be_opened_fails_only_its_task(pool_of):
    attempts = []

    def open_session():
        attempts.append(1)
        if len(attempts) == 1:
            raise EngineError("Not now.")
        return Session()

    pool = pool_of(open_session=open_session, size=1)
    with pytest.raises(EngineError, match="Not now"):
        pool.submit(lambda _: None).result(5)
    assert pool.submit(lambda _: 5).result(5) == 5


# --- shutdown


def test_closing_the_pool_closes_sessions_and_fails_waiting_tasks(pool_of, opened):
    pool = pool_of(size=1)

    def work(session):
        assert session.killed.wait(10)
        session.die()

    running, waiting = pool.submit(work), pool.submit(lambda _: None)
    assert eventually(lambda: len(opened) == 1)
    pool.close()
    for future in (running, waiting):
        with pytest.raises(ModelUnavailableError, match="no longer served"):
            future.result(5)
    assert len(opened) == 1
    assert opened[0].closed


def test_closed_pool_refuses_tasks(pool_of):
    pool = pool_of()
    pool.close()
    pool.close()
    with pytest.raises(ModelUnavailableError, match="Use another version"):
        pool.submit(lambda _: None)
