"""Text for people: foreign text made safe for a terminal, and numbers, times and durations in words.

Names, ids, headers and errors come from upstream, from a database or from the command line. A terminal would obey
escape sequences in them, and a line break in one of them would look like a line of versionsync.
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
    """Return `text` as one line of the same length: whitespace becomes a space, invisible characters U+FFFD.

    These are Escape, the other control characters, changes of direction (U+202E) and lone surrogates: a terminal would
    obey them.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isprintable() else _shown(char) for char in text)


def printable_lines(text: str, *, indent: str = "") -> str:
    """Do the same for text of several lines, such as a traceback. Each line begins with `indent`."""
    return "\n".join(indent + printable(line) for line in text.splitlines())


def _shown(char: str) -> str:
    if char.isspace():
        return " "
    # Unassigned ones may belong to a newer Unicode than Python's; private ones belong to a font.
    is_visible = char in _JOINERS or unicodedata.category(char) in ("Cn", "Co")
    return char if is_visible else REPLACEMENT


def when(time: datetime | None) -> str:
    """Return a time for people: UTC, to the second. None becomes a dash."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if time is not None else "–"


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 record`, `2 records`, `20,000 records`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a duration as on a clock: `0:05`, `12:34`, `3:25:45`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(number: float) -> str:
    """Return a number of bytes in its unit, which is a power of 1000: `512 bytes`, `34 KB`, `1 GB`."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
