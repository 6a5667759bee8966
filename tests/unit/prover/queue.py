"""A job queue on a clock that tests advance."""

from datetime import UTC, datetime, timedelta

from zkinfer.circuits import Context
from zkinfer.circuits.digest import sha256
from zkinfer.prover.artifact_store import ArtifactStore
from zkinfer.prover.jobs import JobRequest, JobStore, QueueLimits, RetryPolicy

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
CIRCUIT = sha256(b"circuit")
REQUEST_ID = "0x" + "11" * 32
LIMITS = QueueLimits(disk_reserve_bytes=0)
RETRY_POLICY = RetryPolicy(
    backoff=1.0, max_backoff=60.0, finished=1000.0, failed_inputs=100.0, orphans=500.0, settling=0.0
)


class Clock:
    """A monotonic and a wall clock; `jump` changes only the wall clock."""

    def __init__(self):
        self.now = NOON
        self.seconds = 1000.0

    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds

    def jump(self, seconds):
        self.now += timedelta(seconds=seconds)


class Queue:
    """A store with shorthands; `again` opens the same database once more, like another process."""

    def __init__(self, url, folder, retry_policy=RETRY_POLICY, clock=None):
        self.url, self.folder, self.retry_policy, self.clock = url, folder, retry_policy, clock or Clock()
        self.artifacts = ArtifactStore(folder / "artifacts")
        self.store = JobStore(
            url,
            self.artifacts,
            retry_policy=retry_policy,
            clock=lambda: self.clock.now,
            monotonic=lambda: self.clock.seconds,
        )
        self._count = 0
        self._others = []

    def again(self):
        self._others.append(Queue(self.url, self.folder, self.retry_policy, self.clock))
        return self._others[-1]

    def close(self):
        for queue in self._others:
            queue.close()
        self.store.close()

    def request(self, owner="ann", *, inputs=None, context=None, **fields):
        """A unique request, unless inputs and context are given."""
        self._count += 1
        data = f"inputs {owner} {self._count} {id(self)}" if inputs is None else inputs
        return JobRequest(
            owner=owner,
            model="digits",
            version=fields.pop("version", "1"),
            circuit=fields.pop("circuit", CIRCUIT),
            model_id="0x" + "22" * 32,
            inputs=self.artifacts.put(data.encode()),
            outputs=sha256(b"outputs"),
            context=context or Context(requestId=REQUEST_ID),
            **fields,
        )

    def submit(self, owner="ann", *, limits=LIMITS, **fields):
        return self.store.submit(self.request(owner, **fields), limits).job

    def claim(self, worker="host/1", *, lease_seconds=10.0, memory_bytes=None):
        return self.store.claim(worker, lease_seconds=lease_seconds, memory_bytes=memory_bytes)

    def succeed(self, lease, data=b"attestation"):
        self.store.succeed(lease, self.artifacts.put(data), len(data))

    def state(self, job):
        return self.store.get(job.id).state

    def has_inputs(self, job):
        return self.artifacts.has(job.request.inputs)
