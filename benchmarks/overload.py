"""Ten times more proofs are asked for than a server can make: limits, order and memory."""

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
    """What came of it."""

    codes: Counter[str] = field(default_factory=Counter)
    with_advice: int = 0
    most_queued: int = 0
    proven: int = 0
    out_of_order: int = 0
    longest_gap: float = 0.0
    memory: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def asked(self) -> int:
        """Calls, served or not."""
        return sum(self.codes.values())

    def lines(self) -> list[str]:
        """As a part of a page."""
        refused = self.codes["RESOURCE_EXHAUSTED"]
        megabytes = [round(one / 1e6) for one in self.memory]
        quarter = max(1, len(megabytes) // 4)
        rows = (
            ("requested", f"{self.asked:,}"),
            ("proven meanwhile", f"{self.proven:,}"),
            ("accepted", f"{self.codes['OK']:,}"),
            ("rejected, RESOURCE_EXHAUSTED", f"{refused:,}"),
            ("of these with RetryInfo", f"{self.with_advice:,}"),
            ("other errors", f"{self.asked - refused - self.codes['OK']:,}"),
            (f"longest queue, of {QUEUED} allowed", f"{self.most_queued:,}"),
            ("proofs begun out of order", f"{self.out_of_order:,}"),
            ("longest time that the worker was idle while jobs waited", f"{self.longest_gap * 1000:.0f} ms"),
            ("memory of the server, each quarter", ", ".join(f"{one} MB" for one in megabytes[::quarter][:4])),
        )
        head = ["## Overload", "", f"{CALLERS} callers request proofs without a pause for {SECONDS:.0f} seconds."]
        return [*head, "", "| | |", "| --- | ---: |", *(f"| {name} | {value} |" for name, value in rows)]


def overloaded(server: Server, image: np.ndarray[Any, np.dtype[np.float32]]) -> Overload:
    """Flood a server that was not started yet, and look at what it did."""
    server.variables |= {"ZKINFER_QUEUE__QUEUED": str(QUEUED), "ZKINFER_QUEUE__PER_OWNER": str(QUEUED)}
    found, over = Overload(), time.monotonic() + SECONDS
    with server, channel_to(server) as channel:
        threads = [threading.Thread(target=_flood, args=(server, image, found, over)) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        while time.monotonic() < over:
            found.memory.append(resident(server.pid))
            waiting = sum(1 for _ in operations(channel, "state = QUEUED"))
            found.most_queued = max(found.most_queued, waiting)
            time.sleep(0.5)
        for thread in threads:
            thread.join()
        found.proven = sum(1 for _ in operations(channel, "state = SUCCEEDED"))
        until(lambda: not any(True for _ in operations(channel, "done = false")), 600, pause=1.0)
        _look_at_the_order(channel, found)
    return found


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def _flood(server: Server, image: np.ndarray[Any, np.dtype[np.float32]], found: Overload, over: float) -> None:
    with channel_to(server) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        while time.monotonic() < over:
            code, advised = "OK", False
            try:
                stub.ModelInfer(_request(image), timeout=30)
            except grpc.RpcError as err:
                code, advised = err.code().name, _advises(err)
            with found.lock:
                found.codes[code] += 1
                found.with_advice += advised


def _request(image: np.ndarray[Any, np.dtype[np.float32]]) -> Any:  # noqa: ANN401 - generated without types
    request = service_pb2.ModelInferRequest(model_name="digits", raw_input_contents=[image.tobytes()])
    request.inputs.add(name="image", datatype="FP32", shape=image.shape)
    request.parameters["zkinfer_request_id"].string_param = f"{threading.get_ident()} {time.time_ns()}"
    return request


def _advises(err: Any) -> bool:  # noqa: ANN401 - its methods are those of a call, which types do not say
    """Whether the error says when to come back."""
    status, trailing = Status(), dict(err.trailing_metadata() or ())
    status.ParseFromString(trailing.get("grpc-status-details-bin", b""))
    return any(detail.Is(RetryInfo.DESCRIPTOR) for detail in status.details)


def _look_at_the_order(channel: grpc.Channel, found: Overload) -> None:
    """One worker and one caller: proofs begin in the order in which they were taken on, one right after the other.

    That order is the list's, newest first. Two jobs of one moment may be taken on in another order than they came in.
    """
    jobs = [metadata_of(one) for one in operations(channel)][::-1]
    begun = [job.start_time.ToNanoseconds() for job in jobs]
    found.out_of_order = sum(1 for earlier, later in pairwise(begun) if later < earlier)
    gaps = [
        (later.start_time.ToNanoseconds() - max(earlier.end_time.ToNanoseconds(), later.create_time.ToNanoseconds()))
        for earlier, later in pairwise(jobs)
    ]
    found.longest_gap = max(gaps, default=0) / 1e9
