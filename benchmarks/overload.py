"""Request ten times more proofs than a server can make, and observe limits, order and memory."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from tests.e2e.ledger import metadata_of, operations
from tests.e2e.server_process import channel_to, until
from tritonclient.grpc import service_pb2, service_pb2_grpc

if TYPE_CHECKING:
    import numpy as np
    from tests.e2e.server_process import Server

QUEUED, SECONDS, CALLERS = 20, 30.0, 8
_PAGE = 4096


@dataclass(slots=True)
class Overload:
    """What was observed under overload."""

    codes: Counter[str] = field(default_factory=Counter)
    with_retry_delay: int = 0
    longest_queue: int = 0
    proven: int = 0
    out_of_order: int = 0
    longest_gap: float = 0.0
    memory: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def requested(self) -> int:
        """Number of calls, accepted or not."""
        return sum(self.codes.values())

    def lines(self) -> list[str]:
        """The section of the page."""
        refused = self.codes["RESOURCE_EXHAUSTED"]
        megabytes = [round(one / 1e6) for one in self.memory]
        quarter = max(1, len(megabytes) // 4)
        rows = (
            ("requested", f"{self.requested:,}"),
            ("proven meanwhile", f"{self.proven:,}"),
            ("accepted", f"{self.codes['OK']:,}"),
            ("rejected, RESOURCE_EXHAUSTED", f"{refused:,}"),
            ("of these with RetryInfo", f"{self.with_retry_delay:,}"),
            ("other errors", f"{self.requested - refused - self.codes['OK']:,}"),
            (f"longest queue, of {QUEUED} allowed", f"{self.longest_queue:,}"),
            ("proofs begun out of order", f"{self.out_of_order:,}"),
            ("longest time that the worker was idle while jobs waited", f"{self.longest_gap * 1000:.0f} ms"),
            ("memory of the server, each quarter", ", ".join(f"{one} MB" for one in megabytes[::quarter][:4])),
        )
        head = ["## Overload", "", f"{CALLERS} callers request proofs without a pause for {SECONDS:.0f} seconds."]
        return [*head, "", "| | |", "| --- | ---: |", *(f"| {name} | {value} |" for name, value in rows)]


def overloaded(server: Server, image: np.ndarray[Any, np.dtype[np.float32]]) -> Overload:
    """Start a server, flood it, and observe it."""
    server.variables |= {"ZKINFER_QUEUE__QUEUED": str(QUEUED), "ZKINFER_QUEUE__PER_OWNER": str(QUEUED)}
    observed, deadline = Overload(), time.monotonic() + SECONDS
    with server, channel_to(server) as channel:
        threads = [threading.Thread(target=_flood, args=(server, image, observed, deadline)) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        while time.monotonic() < deadline:
            observed.memory.append(resident(server.pid))
            waiting = sum(1 for _ in operations(channel, "state = QUEUED"))
            observed.longest_queue = max(observed.longest_queue, waiting)
            time.sleep(0.5)
        for thread in threads:
            thread.join()
        observed.proven = sum(1 for _ in operations(channel, "state = SUCCEEDED"))
        until(lambda: not any(True for _ in operations(channel, "done = false")), 600, pause=1.0)
        _check_order(channel, observed)
    return observed


def resident(pid: int) -> int:
    """Resident memory of a process, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def _flood(server: Server, image: np.ndarray[Any, np.dtype[np.float32]], observed: Overload, deadline: float) -> None:
    with channel_to(server) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        while time.monotonic() < deadline:
            code, delayed = "OK", False
            try:
                stub.ModelInfer(_request(image), timeout=30)
            except grpc.RpcError as err:
                code, delayed = err.code().name, _has_retry_delay(err)
            with observed.lock:
                observed.codes[code] += 1
                observed.with_retry_delay += delayed


def _request(image: np.ndarray[Any, np.dtype[np.float32]]) -> Any:  # noqa: ANN401 - generated without types
    request = service_pb2.ModelInferRequest(model_name="digits", raw_input_contents=[image.tobytes()])
    request.inputs.add(name="image", datatype="FP32", shape=image.shape)
    request.parameters["zkinfer_request_id"].string_param = f"{threading.get_ident()} {time.time_ns()}"
    return request


def _has_retry_delay(err: Any) -> bool:  # noqa: ANN401 - also a call, which the types do not express
    """Whether the error carries a retry delay."""
    status, trailing = Status(), dict(err.trailing_metadata() or ())
    status.ParseFromString(trailing.get("grpc-status-details-bin", b""))
    return any(detail.Is(RetryInfo.DESCRIPTOR) for detail in status.details)


def _check_order(channel: grpc.Channel, observed: Overload) -> None:
    """With one worker and one caller, proofs must begin in the order of acceptance, without gaps.

    The list has that order, newest first. Calls that arrive simultaneously may be accepted in any order.
    """
    jobs = [metadata_of(one) for one in operations(channel)][::-1]
    begun = [job.start_time.ToNanoseconds() for job in jobs]
    observed.out_of_order = sum(1 for earlier, later in pairwise(begun) if later < earlier)
    gaps = [
        (later.start_time.ToNanoseconds() - max(earlier.end_time.ToNanoseconds(), later.create_time.ToNanoseconds()))
        for earlier, later in pairwise(jobs)
    ]
    observed.longest_gap = max(gaps, default=0) / 1e9
