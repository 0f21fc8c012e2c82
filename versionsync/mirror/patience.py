"""Waiting for a database that is away for a moment: its server is restarted, or a standby takes over.

Only the beginning of a transaction waits, when nothing was said yet. What was broken off in the middle is done again
by `Mirror.query` and `Mirror.transact`, which come through here again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from versionsync.mirror.errors import TransactionLost

__all__ = ["OUTAGE_SECONDS", "Patience"]

# Less than a lease lasts: whoever waits this long has mostly not lost it.
OUTAGE_SECONDS = 20.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0

T = TypeVar("T")


class Patience:
    """How long an outage may last until it is told. Of one that has lasted so long, only its end is waited for no more.

    For any number of threads: each waits by itself.
    """

    def __init__(self, seconds: float = OUTAGE_SECONDS) -> None:
        self._seconds = seconds
        self._is_spent = False

    def wait_for(self, connect: Callable[[], T]) -> T:
        """What `connect` returns as soon as it does. Raises TransactionLost where the outage lasts too long."""
        deadline = time.monotonic() + self._seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                connection = connect()
            except TransactionLost:
                if self._is_spent or time.monotonic() + pause > deadline:
                    self._is_spent = True
                    raise
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                self._is_spent = False
                return connection
