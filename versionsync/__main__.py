"""Where the program starts: makes the session, runs one command line, and gives back its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from versionsync.cli.app import run
from versionsync.cli.session import Session

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (the process's own, if None) in a session of its own; returns the exit code."""
    _open_what_is_closed()
    return run(sys.argv[1:] if argv is None else argv, Session())


def _open_what_is_closed() -> None:
    """A standard stream that the caller has closed (`>&-`) leads nowhere.

    Otherwise its number would be that of the next file to be opened, such as the database.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


if __name__ == "__main__":
    sys.exit(main())
