"""The one place that waits by looking again and again; everything else waits for an event."""

import time

LOOK_AGAIN = 0.005


class Deadline(AssertionError):
    pass


def wait_until(predicate, seconds, what):
    """Returns the first true value of predicate(), or fails saying what did not happen in time."""
    end = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= end:
            raise Deadline(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(LOOK_AGAIN)
