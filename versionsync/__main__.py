"""Where the program starts: makes the session, runs one command line, and gives back its exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

__all__ = ["main"]

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (the process's own, if None) in a session of its own; returns the exit code."""
    _heed_sigterm()
    _open_what_is_closed()
    _replace_what_an_encoding_lacks()
    with _ended_by_sigint():
        # Not before: importing takes long enough for a signal to be missed.
        from versionsync.cli.app import run
        from versionsync.cli.session import Session

    return run(sys.argv[1:] if argv is None else argv, Session())


def _heed_sigterm() -> None:
    """SIGTERM ends process 1 of a container too, where nothing else is done about it yet, or at all.

    The kernel, which ends any other process, keeps from that one each signal that it has no handler for. One that is
    blocked it keeps until then: so the image has it blocked from before Python begins.
    """

    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, _leave)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


@contextmanager
def _ended_by_sigint() -> Iterator[None]:
    """Ctrl-C ends the process at once while the block runs, unless whoever started it has it ignored.

    As an exception it would show a traceback, or be dropped: Python tells, and raises nothing, where it comes while one
    of the import system's own callbacks runs.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    yield
    signal.signal(signal.SIGINT, before)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)  # what is committed stays, what is not is rolled back by the database


def _open_what_is_closed() -> None:
    """A standard stream that the caller has closed (`>&-`) leads nowhere.

    Otherwise its number would be that of the next file to be opened, such as the database.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _replace_what_an_encoding_lacks() -> None:
    """A name in another script shall not end a command on a terminal that does not know that script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
