"""A worker with the fake engine, which tests run instead of a real one; no setting can select it.

The first number of the input controls it: negative numbers select a failure, positive ones a duration in 1/256 s.
"""

import os
import signal
import sys
from pathlib import Path

from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import EngineMemoryError
from zkinfer.circuits.sandbox import child
from zkinfer.prover.workers.worker import run_here

CRASH, MEMORY, DIE = -1, -2, -3
COMMAND = (sys.executable, str(Path(__file__).resolve()))


class SlowEngine(FakeEngine):
    """Takes time in a child process, like a real engine, and fails on request."""

    def prove(self, folder, program, setup, proving_key, inputs, context):
        wanted = inputs[0][0]
        if wanted == CRASH:
            child.run("os:abort", {}, limits=child.Limits(seconds=60))
        if wanted == MEMORY:
            raise EngineMemoryError("The engine ran out of memory.", "Use a larger machine.")
        if wanted == DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        if wanted > 0:
            nap = {"stmt": f"import time; time.sleep({wanted / 256})", "number": 1}
            child.run("timeit:timeit", nap, limits=child.Limits(seconds=60))
        return super().prove(folder, program, setup, proving_key, inputs, context)


if __name__ == "__main__":
    run_here(engines={"fake/1": SlowEngine()})
