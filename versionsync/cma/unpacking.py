"""Unpacks an answer in small steps, so that a few bytes never become much memory at once. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

__all__ = ["ACCEPTED", "PACKED", "STEP_BYTES", "Unpacker"]

ACCEPTED: Final = "gzip"
"""What requests ask for in Accept-Encoding."""
PACKED: Final = frozenset({"gzip", "x-gzip", "deflate"})
"""What is understood in Content-Encoding; more than one of them is not."""
STEP_BYTES: Final = 64 * 1024

_EITHER: Final = 32 + zlib.MAX_WBITS
"""The header says whether it is gzip or zlib."""


class Unpacker:
    """One gzip or zlib stream. What comes after its end is not looked at."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_EITHER)
        self._has_begun = False

    @property
    def is_whole(self) -> bool:
        """Whether the stream has come to its end, or never began: an answer without a body has nothing to unpack."""
        return self._stream.eof or not self._has_begun

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """What `chunk` holds, at most STEP_BYTES at a time. Raises zlib.error where it is not packed so."""
        self._has_begun = self._has_begun or bool(chunk)
        while chunk and not self._stream.eof:
            yield self._stream.decompress(chunk, STEP_BYTES)
            chunk = self._stream.unconsumed_tail
        yield b""  # so that what comes after the end is counted, too
