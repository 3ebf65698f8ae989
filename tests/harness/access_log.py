"""What Baton has written of its requests, as tables.LOGGED asks it to."""

import json
from pathlib import Path

from .waiting import wait_until


class AccessLog:
    def __init__(self, path):
        self.path = Path(path)

    def text(self):
        return self.path.read_text() if self.path.exists() else ""

    def lines(self):
        """All that are complete."""
        return self.text().split("\n")[:-1]

    def entries(self, count=None, seconds=10):
        """All of them, once there are so many."""
        if count is not None:
            wait_until(lambda: len(self.lines()) >= count, seconds,
                       lambda: f"{count} lines in the log:\n{self.text()[-4000:]}")
        return [json.loads(line) for line in self.lines()]

    def last(self, count=1):
        return self.entries(count)[-1]
