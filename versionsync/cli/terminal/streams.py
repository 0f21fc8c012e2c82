"""The standard streams, which may be closed, full, without a reader, or limited by their encoding."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO, cast

__all__ = ["discard_output", "prepare_streams"]


def prepare_streams() -> None:
    """Make the streams safe to use. Call it before anything else is opened."""
    _open_what_is_closed()
    _replace_what_an_encoding_lacks()
    sys.stderr = cast(TextIO, _ReplacingStream(sys.stderr))


def discard_output() -> None:
    """Discard what standard output did not accept: Python must not try to write it again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class _ReplacingStream:
    """Standard error. What a full disk or a missing reader does not accept is lost, but no run fails for it."""

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
    """Open a stream that the caller has closed (`>&-`) on the null device.

    Otherwise the next file that is opened, such as the database, would get its number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _replace_what_an_encoding_lacks() -> None:
    """Replace characters that the encoding lacks: a name in another script must not end a command."""
    for stream in (sys.stdout, sys.stderr):
        # In the C locale it is surrogateescape, which knows no more of such names.
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")
