"""SIGTERM and Ctrl-C stop the daemon within two seconds, whatever it is at; SIGHUP makes it read its settings again.

Stopping cleanly mostly takes some hundredths. A database that does not answer, or a processor that others use, must
not make it longer: then the process ends where it stands, and the database rolls back what was not committed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["STOP_SECONDS", "handled"]

STOPPING: Final = (signal.SIGINT, signal.SIGTERM)

STOP_SECONDS: Final = 1.7
"""How long a clean end may take; what is left of two seconds is for the process itself."""


@contextmanager
def handled(*, stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
    """While the block runs, signals call `stop` or `reload` on the running event loop."""
    loop = asyncio.get_running_loop()

    # Plain handlers, not the loop's: the clock starts when the signal comes, however busy the loop is.
    def on_stop(_number: int, _frame: FrameType | None) -> None:
        timer = threading.Timer(STOP_SECONDS, os._exit, (0,))
        timer.daemon = True
        timer.start()
        loop.call_soon_threadsafe(stop)

    def on_reload(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(reload)

    before = {number: signal.signal(number, on_stop) for number in STOPPING}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, on_reload)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
