"""A process of zkinfer whose clock is wrong: `python -m benchmarks.oracle.wrong_clock SECONDS ARGUMENTS...`

It stands in for a machine without time synchronisation. The clock is changed before anything of zkinfer is imported.
"""

import sys
import time
from typing import Final

_TRUE: Final = time.time


def main() -> None:
    """Run zkinfer's command line with a clock that is some seconds ahead, or behind if negative."""
    ahead = float(sys.argv[1])
    time.time = lambda: _TRUE() + ahead
    sys.argv[:] = ["zkinfer", *sys.argv[2:]]

    from zkinfer.cli.main import run  # noqa: PLC0415 - see above

    run()


if __name__ == "__main__":
    main()
