"""Poll until another process or thread has done something."""

import time


def eventually(happened, seconds=5.0):
    """Whether `happened()` becomes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
