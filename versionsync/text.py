"""Text for a terminal: names, numbers and times in words, and foreign text without control sequences.

Names, ids, headers and errors come from upstream, from a database or from the command line. A terminal obeys escape
sequences in them, and a line break in one of them would look like a line of this program.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = [
    "ago",
    "changes",
    "count",
    "duration",
    "nearest",
    "printable",
    "printable_lines",
    "short_span",
    "size",
    "some",
    "span",
    "when",
]

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


def some(names: Sequence[str], *, limit: int = 20) -> str:
    """Return the first names in words, and how many more there are: `a, b, c and 17 more`."""
    more = len(names) - limit
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:limit])} and {more:,} more"


def duration(seconds: float) -> str:
    """Return a duration as on a clock: `0:05`, `12:34`, `3:25:45`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def span(time: timedelta) -> str:
    """Return a length of time in its largest fitting unit: `1 second`, `90 seconds`, `3 hours`."""
    number, unit = _in_largest_unit(time)
    return count(number, unit)


def short_span(time: timedelta) -> str:
    """Return the same with a short unit: `5 s`, `12 min`, `3 h`, `4 d`."""
    number, unit = _in_largest_unit(time)
    return f"{number} {_SHORT_UNITS[unit]}"


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that is most similar to `name`, or None if none is similar."""
    known = {known.casefold(): known for known in names}
    found = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.6)
    return known[found[0]] if found else None


def ago(time: datetime, now: datetime) -> str:
    """Return `5 seconds ago`, `3 hours ago`."""
    return f"{span(now - time)} ago"


def changes(*, versions_inserted: int, versions_changed: int, events: int, records_failed: int = 0) -> str:
    """Return what a run changed in words: `2 new versions, 1 changed version, 5 events`. Zeros are left out."""
    counts = {
        "new version": versions_inserted,
        "changed version": versions_changed,
        "event": events,
        "failed record": records_failed,
    }
    return ", ".join(count(number, noun) for noun, number in counts.items() if number) or "no changes"


_UNITS: Final = {"day": 86_400, "hour": 3_600, "minute": 60}
_SHORT_UNITS: Final = {"day": "d", "hour": "h", "minute": "min", "second": "s"}


def _in_largest_unit(time: timedelta) -> tuple[int, str]:
    """Two of a unit are the least that is shown in it; a negative time counts as none."""
    seconds = max(time.total_seconds(), 0.0)
    for unit, length in _UNITS.items():
        if seconds >= 2 * length:
            return int(seconds // length), unit
    return int(seconds), "second"


def size(number: float) -> str:
    """Return a number of bytes in units of a thousand: `512 bytes`, `34 KB`, `1 GB`."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
