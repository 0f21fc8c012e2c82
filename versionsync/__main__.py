"""The entry point: runs one command line and returns its exit code."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from versionsync.cli.terminal.streams import prepare_streams

__all__ = ["collect_garbage_rarely", "main"]

INTERRUPTED = 130
AGAIN_SECONDS = 0.02
NEW_OBJECTS = 50_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (None: that of the process) and return its exit code."""
    collect_garbage_rarely()
    _handle_sigterm()
    prepare_streams()
    sys.unraisablehook = _raise_again
    try:
        # Not earlier: the imports take long enough to miss a signal.
        from versionsync.cli.context import CliContext
        from versionsync.cli.main import run
    except KeyboardInterrupt:
        return INTERRUPTED

    return run(sys.argv[1:] if argv is None else argv, CliContext())


def collect_garbage_rarely() -> None:
    """Look for cycles of unused objects after 50,000 new ones instead of 700.

    A batch of a sync makes thousands of objects that it soon frees, and none of them are in cycles. To go through all
    objects of the process again and again took an eighth of a first sync's time.
    """
    gc.set_threshold(NEW_OBJECTS)


def _handle_sigterm() -> None:
    """Let SIGTERM end process 1 of a container, until a command handles it.

    The kernel delivers to process 1 only the signals that it has a handler for, and ends any other process. A blocked
    signal stays pending until then: so the image blocks it before Python starts.
    """

    def leave(_number: int, _frame: FrameType | None) -> None:
        os._exit(INTERRUPTED)  # what is committed stays; the database rolls back the rest

    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, leave)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _raise_again(dropped: sys.UnraisableHookArgs) -> None:
    """Send Ctrl-C again a moment later if Python dropped its exception, as it must in some callbacks.

    The import system has such a callback for each module: one Ctrl-C in a hundred is dropped while modules load.
    """
    if dropped.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(dropped)
        return
    main = threading.main_thread().ident
    assert main is not None
    again = threading.Timer(AGAIN_SECONDS, signal.pthread_kill, (main, signal.SIGINT))
    again.daemon = True
    again.start()


if __name__ == "__main__":
    sys.exit(main())
