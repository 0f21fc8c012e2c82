"""Where the program starts: makes the session, runs one command line, and gives back its exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from versionsync.cli.app import run
from versionsync.cli.session import Session

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (the process's own, if None) in a session of its own; returns the exit code."""
    return run(sys.argv[1:] if argv is None else argv, Session())


if __name__ == "__main__":
    sys.exit(main())
