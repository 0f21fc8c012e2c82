"""The standard streams, whatever the caller has made of them: closed, full, of a poor encoding, read no more."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO, cast

__all__ = ["discard_output", "prepare_streams"]


def prepare_streams() -> None:
    """Make them so that none of them ends what the program is at. Before anything else is opened."""
    _open_what_is_closed()
    _replace_what_an_encoding_lacks()
    sys.stderr = cast(TextIO, _ReplacingStream(sys.stderr))


def discard_output() -> None:
    """Let what standard output has not taken go nowhere: Python must not try again to write it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class _ReplacingStream:
    """Standard error: what a full disk or a reader that is gone does not take is lost, and no run or look with it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _open_what_is_closed() -> None:
    """A stream that the caller has closed (`>&-`) leads nowhere.

    Otherwise its number would be that of the next file to be opened, such as the database.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _replace_what_an_encoding_lacks() -> None:
    """A name in another script shall not end a command on a terminal that does not know that script."""
    for stream in (sys.stdout, sys.stderr):
        # In the C locale it is surrogateescape, which knows no more of such names.
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")
