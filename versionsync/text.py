"""Text that somebody else wrote, made fit for a terminal: nothing in it moves the cursor or changes colours.

Names, ids, headers and errors come from upstream, from a database or from the command line. A terminal obeys escape
sequences in them, and a line break in one of them would look like a line of ours.
"""

from __future__ import annotations

import unicodedata
from typing import Final

__all__ = ["printable", "printable_lines"]

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
