"""Where the program starts: makes the session, runs one command line, and gives back its exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from versionsync.cli.terminal.streams import prepare_streams

__all__ = ["main"]

INTERRUPTED = 130
AGAIN_SECONDS = 0.02


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (the process's own, if None) in a session of its own; returns the exit code."""
    _heed_sigterm()
    prepare_streams()
    sys.unraisablehook = _hear_again
    try:
        # Not before: importing takes long enough for a signal to be missed.
        from versionsync.cli.context import CliContext
        from versionsync.cli.main import run
    except KeyboardInterrupt:
        return INTERRUPTED

    return run(sys.argv[1:] if argv is None else argv, CliContext())


def _heed_sigterm() -> None:
    """SIGTERM ends process 1 of a container too, where nothing else is done about it yet, or at all.

    The kernel, which ends any other process, keeps from that one each signal that it has no handler for. One that is
    blocked it keeps until then: so the image has it blocked from before Python begins.
    """

    def leave(_number: int, _frame: FrameType | None) -> None:
        os._exit(INTERRUPTED)  # what is committed stays, what is not is rolled back by the database

    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, leave)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _hear_again(dropped: sys.UnraisableHookArgs) -> None:
    """Ctrl-C comes again a moment later where Python dropped the exception that it is, as it must in some callbacks.

    The import system has one for each module, so that it happens to one in a hundred while all is loaded.
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
