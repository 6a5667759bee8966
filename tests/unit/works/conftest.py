import subprocess
import sys

import pytest
from tests.unit.verifier.conftest import good, other, parties

__all__ = ["good", "other", "parties"]


@pytest.fixture
def run_without():
    """Run code in a process in which some libraries cannot be imported; returns what it prints."""

    def run(libraries, code):
        blocked = "".join(f"sys.modules[{name!r}] = None; " for name in libraries)
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; {blocked}{code}"], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    return run
