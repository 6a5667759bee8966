"""Whatever happens in whatever order, no job is lost, no two workers hold one, and what is finished stays so."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.unit.prover.queue import LIMITS, NOON, Queue

from zkinfer.circuits.errors import JobStateError, LeaseLostError, UnknownJobError
from zkinfer.prover.jobs import Failure, JobState, Patience

FINAL = {state for state in JobState if state.final}
PATIENCE = Patience(failures=3, attempts=6, backoff=1, longest_backoff=8, finished=5000, failed_inputs=50)
FAILURE = Failure(reason="ENGINE_CRASHED", cause="It crashed.")
OWNERS = st.sampled_from(["ann", "bob", "cid"])
WORKERS = st.sampled_from(["here/1", "here/2", "there/1"])
PICK = st.integers(0, 1 << 20)


class Jobs(RuleBasedStateMachine):
    """Callers, workers that die without a word, sweepers and clocks, against what may be believed of the queue."""

    @initialize()
    def empty(self):
        self.folder = Path(tempfile.mkdtemp(prefix="zkinfer-machine-"))
        self.queue = Queue(f"sqlite:///{self.folder}/queue/jobs.db", self.folder, PATIENCE)
        self.known = {}  # the last that was seen of every job that was acknowledged and not deleted
        self.leases = []  # all that were ever given out, in order
        self.fences = {}
        self.proofs = 0

    def teardown(self):
        if hasattr(self, "queue"):
            self.queue.close()
            shutil.rmtree(self.folder)

    # --- callers

    @rule(owner=OWNERS, memory=st.sampled_from([0, 4, 9, 20]), dies_in=st.sampled_from([None, 20.0]))
    def submit(self, owner, memory, dies_in):
        deadline = (
            None if dies_in is None else NOON.fromtimestamp(self.queue.clock.now.timestamp() + dies_in, NOON.tzinfo)
        )
        job = self.queue.submit(owner, memory_bytes=memory, deadline=deadline)
        assert job.id not in self.known
        self.known[job.id] = job

    @rule(owner=OWNERS, key=st.sampled_from("ab"))
    def submit_with_a_request_id(self, owner, key):
        request = self.queue.request(owner, inputs=f"{owner} {key}", request_id=key)
        found = self.queue.store.submit(request, LIMITS)
        assert found.created == (found.job.id not in self.known)
        self.known[found.job.id] = found.job

    def some_job(self, pick):
        return [*self.known][pick % len(self.known)]

    @precondition(lambda self: self.known)
    @rule(pick=PICK)
    def cancel(self, pick):
        self.queue.store.cancel(self.some_job(pick))

    @precondition(lambda self: self.known)
    @rule(pick=PICK)
    def retry(self, pick):
        job_id = self.some_job(pick)
        try:
            assert self.queue.store.retry(job_id).state == JobState.QUEUED
        except JobStateError:
            return
        del self.known[job_id]  # it may change again
        self.known[job_id] = self.queue.store.get(job_id)

    @precondition(lambda self: self.known)
    @rule(pick=PICK)
    def delete(self, pick):
        job_id = self.some_job(pick)
        try:
            self.queue.store.delete(job_id)
        except JobStateError:
            assert not self.queue.store.get(job_id).state.final
        else:
            del self.known[job_id]

    # --- workers; one that dies simply says nothing more

    @rule(worker=WORKERS, memory=st.sampled_from([None, 10]))
    def claim(self, worker, memory):
        lease = self.queue.claim(worker, lease_seconds=10, memory_bytes=memory)
        if lease is not None:
            assert lease.fence > self.fences.get(lease.job.id, 0)
            self.fences[lease.job.id] = lease.fence
            self.leases.append(lease)

    def with_lease(self, pick, act):
        """Do something with any lease that ever was; only the latest of a job may have an effect."""
        lease = self.leases[pick % len(self.leases)]
        try:
            act(lease)
        except LeaseLostError:
            return
        assert lease.fence == self.fences[lease.job.id]

    @precondition(lambda self: self.leases)
    @rule(pick=PICK)
    def renew(self, pick):
        self.with_lease(pick, self.queue.store.renew)

    @precondition(lambda self: self.leases)
    @rule(pick=PICK)
    def succeed(self, pick):
        self.proofs += 1
        self.with_lease(pick, lambda lease: self.queue.succeed(lease, f"attestation {self.proofs}".encode()))

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, retry=st.booleans())
    def fail(self, pick, retry):
        self.with_lease(pick, lambda lease: self.queue.store.fail(lease, FAILURE, retry=retry))

    @precondition(lambda self: self.leases)
    @rule(pick=PICK)
    def give_back(self, pick):
        self.with_lease(pick, self.queue.store.give_back)

    # --- servers and clocks

    @rule(worker=WORKERS, blamed=st.booleans())
    def release(self, worker, blamed):
        self.queue.store.release(worker, blamed=blamed)

    @rule()
    def sweep(self):
        self.queue.store.sweep()
        for job_id in [*self.known]:
            try:
                self.queue.store.get(job_id)
            except UnknownJobError:
                age = self.queue.clock.now - self.known[job_id].finished_at
                assert age.total_seconds() > PATIENCE.finished
                del self.known[job_id]

    @rule(seconds=st.sampled_from([0.5, 3.0, 11.0, 700.0, 6000.0]))
    def wait(self, seconds):
        self.queue.clock.wait(seconds)

    @rule(seconds=st.sampled_from([-100_000.0, -5.0, 5.0, 100_000.0]))
    def jump(self, seconds):
        self.queue.clock.jump(seconds)

    @rule()
    def server_is_killed(self):
        self.queue.store.close()
        self.queue = Queue(self.queue.url, self.folder, PATIENCE, self.queue.clock)

    # --- what may be believed

    @invariant()
    def no_job_is_lost_and_what_is_finished_stays_so(self):
        if not hasattr(self, "known"):
            return
        for job_id, before in self.known.items():
            now = self.queue.store.get(job_id)
            assert now.request == before.request
            if before.state in FINAL:
                assert now == before
            self.known[job_id] = now

    @invariant()
    def work_can_be_done_and_results_be_fetched(self):
        for job in getattr(self, "known", {}).values():
            if not job.state.final:
                assert self.queue.has_inputs(job)
            assert (job.attestation is not None) == (job.state == JobState.SUCCEEDED)
            if job.attestation is not None:
                assert self.queue.artefacts.has(job.attestation)

    @invariant()
    def one_worker_at_most_holds_a_job(self):
        for job in getattr(self, "known", {}).values():
            assert job.state.running == (job.state in (JobState.PROVING, JobState.VERIFYING))
            if job.state.running:
                assert job.worker == next(one for one in self.leases[::-1] if one.job.id == job.id).worker


Jobs.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestJobs = Jobs.TestCase
