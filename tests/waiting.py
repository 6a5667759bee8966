"""Waiting for what another process does."""

import time


def eventually(happened, seconds=5.0):
    """Whether something comes true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
