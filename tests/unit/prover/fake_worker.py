"""A worker whose engine proves nothing: what tests run in the place of a real one. No setting reaches this file.

How it proves is the first input's first number: below 0 the engine fails, above 0 it takes so many 256ths of a second.
"""

import os
import signal

from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import EngineMemoryError
from zkinfer.circuits.sandbox import child
from zkinfer.prover.workers.worker import run_here

CRASH, MEMORY, DIE = -1, -2, -3


class SlowEngine(FakeEngine):
    """Takes time in a child process, as a real one does, and fails when asked to."""

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
