"""Polling for the effect of another process or thread."""

import time


def eventually(happened, seconds=5.0):
    """Whether `happened()` becomes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
