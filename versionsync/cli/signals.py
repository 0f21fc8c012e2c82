"""Ctrl-C and SIGTERM: the first signal stops the work cleanly, the second ends the process at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, Final, NoReturn, TypeVar

from versionsync.cli.exit_codes import ExitCode
from versionsync.daemon.stop_signals import replaced

__all__ = ["run_until_interrupted"]

T = TypeVar("T")

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR: Final = "\x1b[?25h"  # a progress bar has hidden it


def run_until_interrupted(work: Callable[[], Coroutine[Any, Any, T]], *, on_stop: Callable[[], None]) -> T:
    """Run `work()` on its own event loop. At the first signal, call `on_stop` and cancel the work.

    Raises KeyboardInterrupt after the cancelled work has ended. A second signal ends the process at once.
    """

    async def guarded() -> T:
        task = asyncio.current_task()
        assert task is not None
        handler = _StopHandler(asyncio.get_running_loop(), task, on_stop)
        with replaced(dict.fromkeys(SIGNALS, handler)):
            return await work()

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


class _StopHandler:
    """A signal handler. It is not the event loop's: the second signal must work while the loop is busy."""

    def __init__(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any], on_stop: Callable[[], None]) -> None:
        self._loop = loop
        self._task = task
        self._on_stop = on_stop
        self._stopping = False

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        if self._stopping:
            _exit()
        self._stopping = True
        self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        self._on_stop()
        self._task.cancel()


def _exit() -> NoReturn:
    """Exit without clean-up: what is committed stays, the database rolls back the rest."""
    if sys.stderr.isatty():
        os.write(2, SHOW_CURSOR.encode())
    os._exit(ExitCode.INTERRUPTED)
