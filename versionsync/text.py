"""Text that somebody else wrote, made fit for a terminal: nothing in it moves the cursor or changes colours.

Names, ids, headers and errors come from upstream, from a database or from the command line. A terminal obeys escape
sequences in them, and a line break in one of them would look like a line of ours.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Final

__all__ = ["count", "duration", "printable", "printable_lines", "size", "when"]

REPLACEMENT: Final = "\ufffd"
_JOINERS: Final = frozenset("\u200c\u200d")
"""They shape letters and emoji, and hide nothing."""


def printable(text: str) -> str:
    """`text` as one line, each of its characters by one: whitespace is a space, what is no character to see is U+FFFD.

    Escape, the other control characters, changes of direction (U+202E), lone surrogates: all that a terminal obeys.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isprintable() else _shown(char) for char in text)


def printable_lines(text: str, *, indent: str = "") -> str:
    """The same for text of several lines, such as a traceback: each begins with `indent`."""
    return "\n".join(indent + printable(line) for line in text.splitlines())


def _shown(char: str) -> str:
    if char.isspace():
        return " "
    # Unassigned ones may be of a newer Unicode than Python's; private ones are some font's.
    is_to_be_seen = char in _JOINERS or unicodedata.category(char) in ("Cn", "Co")
    return char if is_to_be_seen else REPLACEMENT


def when(time: datetime | None) -> str:
    """A time for people: UTC, to the second. None: a dash."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if time is not None else "–"


def count(number: int, noun: str) -> str:
    """`1 record`, `2 records`, `20,000 records`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """`0:05`, `12:34`, `3:25:45`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(number: float) -> str:
    """`512 bytes`, `34 KB`, `1 GB`: of so many bytes, in thousands."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
