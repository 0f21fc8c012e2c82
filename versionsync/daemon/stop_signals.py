"""SIGTERM and Ctrl-C stop the daemon within two seconds; SIGHUP makes it read its settings again.

A program also gets SIGHUP when its terminal is closed: a daemon that was started in a terminal ends with it.

A clean stop usually takes some hundredths of a second. A database that does not answer, or a busy processor, must not
make it longer. The process then exits at once, and the database rolls back what was not committed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Final, TypeAlias

__all__ = ["STOP_SECONDS", "handled", "prepared", "replaced"]

STDERR: Final = 2
STOPPING: Final = (signal.SIGINT, signal.SIGTERM)

Handler: TypeAlias = Callable[[int, FrameType | None], None] | signal.Handlers

STOP_SECONDS: Final = 1.7
"""The time limit of a clean stop; the rest of two seconds is for the end of the process."""


@contextmanager
def prepared() -> Iterator[None]:
    """While the block runs, outside of an event loop, SIGTERM ends the program with exit code 0.

    SIGHUP does nothing, unless the terminal was closed.
    """
    is_closed = _closing()

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    def leave_if_closed(_number: int, _frame: FrameType | None) -> None:
        if is_closed():
            raise SystemExit(0)

    with replaced({signal.SIGTERM: leave, signal.SIGHUP: leave_if_closed}):
        yield


@contextmanager
def handled(*, stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
    """While the block runs, signals call `stop` or `reload` on the running event loop."""
    loop = asyncio.get_running_loop()
    is_closed = _closing()

    # Plain handlers, not the loop's: the clock starts when the signal comes, however busy the loop is.
    def on_stop(_number: int, _frame: FrameType | None) -> None:
        timer = threading.Timer(STOP_SECONDS, os._exit, (0,))
        timer.daemon = True
        timer.start()
        loop.call_soon_threadsafe(stop)

    def on_reload(number: int, frame: FrameType | None) -> None:
        if is_closed():
            on_stop(number, frame)
        else:
            loop.call_soon_threadsafe(reload)

    with replaced({signal.SIGHUP: on_reload, **dict.fromkeys(STOPPING, on_stop)}):
        yield


def _closing() -> Callable[[], bool]:
    """Return a function that returns whether the terminal that is standard error now has been closed since."""
    is_watched = os.isatty(STDERR)
    return lambda: is_watched and not os.isatty(STDERR)


@contextmanager
def replaced(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """While the block runs, these handle signals."""
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
