"""In any order of events no job is lost, no two workers hold the same job, and finished jobs stay finished."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.unit.prover.queue import LIMITS, NOON, Queue

from zkinfer.prover.errors import JobStateError, LeaseLostError, UnknownJobError
from zkinfer.prover.jobs import Failure, JobState, RetryPolicy

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # thousands of commits need no disk
FINAL = {state for state in JobState if state.final}
RETRY_POLICY = RetryPolicy(
    failures=3, attempts=6, backoff=1, max_backoff=8, finished=5000, failed_inputs=50, settling=0
)
FAILURE = Failure(reason="ENGINE_CRASHED", cause="It crashed.")
OWNERS = st.sampled_from(["ann", "bob", "cid"])
WORKERS = st.sampled_from(["here/1", "here/2", "there/1"])
RECENT = st.integers(1, 4)  # the latest, or one of the few before it


class Jobs(RuleBasedStateMachine):
    """Callers, workers that may die silently, sweepers and clocks, against the invariants of the queue."""

    @initialize()
    def a_working_day_begins(self):
        self.folder = Path(tempfile.mkdtemp(prefix="zkinfer-machine-", dir=MEMORY))
        self.queue = Queue(f"sqlite:///{self.folder}/queue/jobs.db", self.folder, RETRY_POLICY)
        self.known = {}  # the last state seen of every job that was acknowledged and not deleted
        self.leases = []  # all leases ever granted, in order
        self.fences = {}
        self.proofs = 0
        for owner in ("ann", "ann", "bob"):
            self.submit(owner, 4, None)
        self.claim("here/1", None)

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

    @rule(recent=RECENT, what=st.sampled_from(["cancel", "retry", "delete"]))
    def change_ones_mind(self, recent, what):
        job_id = [*self.known][-min(recent, len(self.known)) :][0]
        try:
            getattr(self.queue.store, what)(job_id)
        except JobStateError:
            return
        before = self.known.pop(job_id)
        assert what == "cancel" or before.state in FINAL
        if what == "retry":
            assert before.state == JobState.FAILED
            self.known[job_id] = self.queue.store.get(job_id)
        elif what == "cancel":
            self.known[job_id] = before  # compared below
        if not self.known:
            self.submit("ann", 4, None)

    # --- workers; a dead one simply stays silent

    @rule(worker=WORKERS, memory=st.sampled_from([None, 10]))
    def claim(self, worker, memory):
        lease = self.queue.claim(worker, lease_seconds=10, memory_bytes=memory)
        if lease is not None:
            assert lease.fence > self.fences.get(lease.job.id, 0)
            self.fences[lease.job.id] = lease.fence
            self.leases.append(lease)

    @rule(recent=RECENT, what=st.sampled_from(["renew", "succeed", "fail", "try again", "give_back", "cancelled"]))
    def say(self, recent, what):
        """A worker reports on any lease it ever had; only the latest lease of a job may have an effect."""
        lease = self.leases[-min(recent, len(self.leases)) :][0]
        held = self.known[lease.job.id].state.running if lease.job.id in self.known else False
        try:
            self.speak(lease, what)
        except LeaseLostError:
            return
        assert lease.fence == self.fences[lease.job.id]
        assert held

    def speak(self, lease, what):
        if what == "succeed":
            self.proofs += 1
            self.queue.succeed(lease, f"attestation {self.proofs}".encode())
        elif what in ("fail", "try again"):
            self.queue.store.fail(lease, FAILURE, retry=what == "try again")
        else:
            getattr(self.queue.store, what)(lease)

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
                assert age.total_seconds() > RETRY_POLICY.finished
                del self.known[job_id]

    @rule(seconds=st.sampled_from([1.0, 3.0, 11.0, 700.0, 6000.0]), jump=st.sampled_from([0.0, 0.0, -1e5, -5.0, 1e5]))
    def time_passes(self, seconds, jump):
        self.queue.clock.wait(seconds)
        self.queue.clock.jump(jump)

    @rule()
    def server_is_killed(self):
        self.queue.store.close()
        self.queue = Queue(self.queue.url, self.folder, RETRY_POLICY, self.queue.clock)

    # --- invariants

    @invariant()
    def no_job_is_lost_and_what_is_finished_stays_so(self):
        for job_id, before in self.known.items():
            now = self.queue.store.get(job_id)
            assert now.request == before.request
            if before.state in FINAL:
                assert now == before
            self.known[job_id] = now

    @invariant()
    def work_can_be_done_and_results_be_fetched(self):
        for job in self.known.values():
            if not job.state.final:
                assert self.queue.has_inputs(job)
            assert (job.attestation is not None) == (job.state == JobState.SUCCEEDED)
            if job.attestation is not None:
                assert self.queue.artifacts.has(job.attestation)

    @invariant()
    def one_worker_at_most_holds_a_job(self):
        for job in self.known.values():
            assert job.state.running == (job.state in (JobState.PROVING, JobState.VERIFYING))
            if job.state.running:
                assert job.worker == next(one for one in self.leases[::-1] if one.job.id == job.id).worker


Jobs.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestJobs = Jobs.TestCase
