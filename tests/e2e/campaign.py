"""A fault campaign: callers request proofs from a server while its processes are killed at random moments.

Everything random follows from one seed, except for the timing of the machine.
"""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
from tests.e2e.ledger import Acknowledged, Ledger, look
from tests.e2e.server_process import MODEL, alive, channel_to, client_of, given, kill_process, parameters_of, until
from tritonclient.utils import InferenceServerException

from zkinfer.prover.artifact_store import ArtifactStore
from zkinfer.prover.jobs import JobState, JobStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import tritonclient.grpc as triton
    from tests.e2e.server_process import Relative, Server

ROLES = ("server", "worker", "engine", "session")
_WEIGHTS = (35, 30, 25, 10)
_RUNNING = (JobState.PROVING, JobState.VERIFYING)
_LATE = {"StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED", "StatusCode.CANCELLED", "None"}
_FULL = "StatusCode.RESOURCE_EXHAUSTED"
_LAST_BREATH = 20.0  # idle-priority processes need some processor time to die


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill -9, and the seconds until everything worked again; None if the next kill came first."""

    role: str
    recovery: float | None


@dataclass(slots=True)
class Campaign:
    """Use `run`.

    Args:
        server: a running server with workers.
        seed: of all random choices.
        jobs: minimum number of acknowledged jobs.
        kills: minimum number of kills.
        workers: number of workers of the server.
        callers: number of threads that request proofs.
        backlog: number of unfinished acknowledged jobs at which callers pause.
        patience: seconds within which everything must work again after a kill.
    """

    server: Server
    seed: int
    jobs: int
    kills: int
    workers: int = 2
    callers: int = 3
    backlog: int = 20
    patience: float = 60.0
    ledger: Ledger = field(default_factory=Ledger)
    done: list[Kill] = field(default_factory=list)
    answered_at: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)
    errors: list[BaseException] = field(default_factory=list)

    def run(self) -> None:
        """Request, kill and restart; then wait for the end of every job."""
        random_ = random.Random(self.seed)
        works = (self._probe, self._observe, *(self._caller(number) for number in range(self.callers)))
        with self._store() as store, self._threads(*works):
            self._until(lambda: len(self.ledger.acknowledged) >= min(self.jobs, self.workers + 2))
            while len(self.done) < self.kills:
                self._kill_one(random_, store)
                self._check()
            self._until(lambda: len(self.ledger.acknowledged) >= self.jobs, 2.0 * self.jobs)
        self._until(lambda: not self._look() and self.ledger.unfinished() == 0, 10.0 * self.backlog)

    # --- killing

    def _kill_one(self, random_: random.Random, store: JobStore) -> None:
        time.sleep(random_.uniform(0.05, 1.5))
        role = random_.choices(ROLES, _WEIGHTS)[0]
        at_once = random_.random() < 0.15  # the next one follows before recovery
        victim = self._victim(role, random_)
        if victim is None:
            return
        moment, began = datetime.now(UTC), time.monotonic()
        if role == "server":
            self._kill_server()
        elif not kill_process(victim.pid):
            return
        if at_once:
            self.done.append(Kill(role, None))
            return
        restarted = victim.parent if role == "engine" else None
        self._until(lambda: self.answered_at > began and self._at_work(store, moment, restarted))
        self.done.append(Kill(role, time.monotonic() - began))

    def _victim(self, role: str, random_: random.Random) -> Relative | None:
        if role == "server":
            return next(iter(self.server.relatives("worker")), None)
        found = self.server.relatives(role)
        return random_.choice(found) if found else None

    def _kill_server(self) -> None:
        orphans = self.server.relatives()
        self.server.kill()
        self.server.start()
        with suppress(AssertionError):
            until(lambda: not any(alive(one.pid) for one in orphans), _LAST_BREATH)
        if left := [one for one in orphans if alive(one.pid)]:
            self.ledger.contradictions.append(f"processes outlived their server: {left}")

    def _at_work(self, store: JobStore, moment: datetime, restarted: int | None) -> bool:
        """Whether every worker has a job, and the one whose engine was killed a job started since."""
        pids = {one.pid for one in self.server.relatives("worker")}
        running = store.page(states=_RUNNING).jobs
        holders = {int((job.worker or "..0.").split(".")[2]): job.started_at for job in running}
        began = holders.get(restarted or 0, moment)
        return len(pids) == self.workers and pids <= holders.keys() and (began is None or began >= moment)

    @contextmanager
    def _store(self) -> Iterator[JobStore]:
        """A separate connection to the queue, as callers cannot see which worker holds a job."""
        state = self.server.state
        store = JobStore(f"sqlite:///{state / 'jobs.sqlite'}", ArtifactStore(state / "artifacts"))
        try:
            yield store
        finally:
            store.close()

    # --- requests

    def _caller(self, number: int) -> Callable[[], None]:
        def call() -> None:
            random_ = random.Random(f"{self.seed} {number}")
            with client_of(self.server) as client:
                while not self.over.is_set():
                    if self.ledger.unfinished() >= self.backlog:
                        time.sleep(0.05)
                    else:
                        self._ask(client, random_)

        return call

    def _ask(self, client: triton.InferenceServerClient, random_: random.Random) -> None:
        """Request one inference until it is acknowledged; repeat some afterwards."""
        inputs = np.array([[random_.uniform(-1, 1) for _ in range(4)]], np.float32)
        request_id = f"order {random_.getrandbits(64):x}" if random_.random() < 0.75 else None
        first = self._insist(client, inputs, request_id)
        if first is not None and request_id and random_.random() < 0.2:
            second = self._insist(client, inputs, request_id)
            if second is not None:
                self.ledger.repeated(first, second)

    def _insist(self, client: triton.InferenceServerClient, inputs: Any, request_id: str | None) -> str | None:
        parameters = {"zkinfer_request_id": request_id} if request_id else {}
        while not self.over.is_set():
            result = self._try(lambda: client.infer(MODEL, given(inputs), parameters=parameters, client_timeout=20))
            if result is not None:
                reply = parameters_of(result)
                outputs = result.as_numpy("y").copy()
                self.ledger.acknowledge(Acknowledged(reply["zkinfer_operation"], request_id, inputs, outputs, reply))
                return reply["zkinfer_operation"]
            time.sleep(0.05)
        return None

    def _try(self, call: Callable[[], triton.InferResult]) -> triton.InferResult | None:
        try:
            return call()
        except InferenceServerException as err:
            code = str(err.status())
            self.ledger.codes[code] += 1
            if code not in _LATE | {_FULL}:
                self.ledger.contradictions.append(f"{code}: {err.message()}")
            return None

    def _probe(self) -> None:
        """Poll for answers without a proof, to see when the server answers."""
        with client_of(self.server) as client:
            while not self.over.is_set():
                began, parameters = time.monotonic(), {"zkinfer_proof_mode": "none"}
                tensors = given([0.1, 0.2, 0.3, 0.4])
                if self._try(lambda: client.infer(MODEL, tensors, parameters=parameters, client_timeout=20)):  # noqa: B023
                    self.answered_at = began
                time.sleep(0.05)

    def _observe(self) -> None:
        while not self.over.wait(1.0):
            self._look()

    def _look(self) -> bool:
        """Record finished jobs; returns whether the server was unreachable."""
        with channel_to(self.server) as channel:
            try:
                look(channel, self.ledger)
            except grpc.RpcError as err:
                self.ledger.codes[str(err.code())] += 1
                return True
        return False

    # --- threads

    @contextmanager
    def _threads(self, *works: Callable[[], None]) -> Iterator[None]:
        threads = [threading.Thread(target=self._guarded, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join()
        self._check()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as err:  # noqa: BLE001 - raised in the thread that runs the campaign
            self.errors.append(err)

    def _check(self) -> None:
        if self.errors:
            raise self.errors[0]

    def _until(self, happened: Callable[[], bool], seconds: float = 0.0) -> None:
        deadline = time.monotonic() + max(self.patience, seconds)
        while not happened():
            self._check()
            if time.monotonic() > deadline:
                raise AssertionError(f"seed {self.seed}: not in time; {len(self.done)} kills; {self.server.tail()}")
            time.sleep(0.02)
