"""Ctrl-C and SIGTERM: the first one asks the work to stop cleanly, the second one ends the process at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, NoReturn, TypeVar

from versionsync.cli.exit_codes import ExitCode

__all__ = ["run_until_interrupted"]

T = TypeVar("T")

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR: Final = "\x1b[?25h"  # a progress bar has hidden it


def run_until_interrupted(work: Callable[[], Coroutine[Any, Any, T]], *, told: Callable[[], None]) -> T:
    """Run `work()` on an event loop of its own. At the first signal `told` is called and the work is cancelled.

    Raises KeyboardInterrupt once the cancelled work has ended; at a second signal the process exits where it stands.
    """

    async def guarded() -> T:
        task = asyncio.current_task()
        assert task is not None
        with _handled(_StopHandler(asyncio.get_running_loop(), task, told)):
            return await work()

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


class _StopHandler:
    """What a signal does. A plain handler, not the event loop's: the second one must work while the loop is busy."""

    def __init__(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any], told: Callable[[], None]) -> None:
        self._loop = loop
        self._task = task
        self._told = told
        self._stopping = False

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        if self._stopping:
            _exit()
        self._stopping = True
        self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        self._told()
        self._task.cancel()


@contextmanager
def _handled(handler: _StopHandler) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _exit() -> NoReturn:
    """No clean-up: what is committed stays, what is not is rolled back by the database."""
    if sys.stderr.isatty():
        os.write(2, SHOW_CURSOR.encode())
    os._exit(ExitCode.INTERRUPTED)
