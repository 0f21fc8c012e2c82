"""What can be wrong with a question about the history.

HistoryError
├── UnknownName       no record, version, model or editor has this name; says what is nearest
├── AmbiguousName     several have it; `candidates` lists them with their titles
├── OddTime           the time is not understood, or could mean two things
├── BeforeHistory     the time is before anything that the mirror knows; says since when it knows
├── NothingMirrored   no source was synced into this mirror yet
├── NotFilled         a projection that the answer needs is not filled yet; says how far it is
├── NoFullText        this SQLite has no FTS5, so it cannot search
└── OddPattern        a pattern has no word, or is no regular expression
"""

from __future__ import annotations

from collections.abc import Sequence

from versionsync.errors import ErrorKind, VersionsyncError

__all__ = [
    "AmbiguousName",
    "BeforeHistory",
    "HistoryError",
    "NoFullText",
    "NotFilled",
    "NothingMirrored",
    "OddPattern",
    "OddTime",
    "UnknownName",
]


class HistoryError(VersionsyncError):
    """The base of all errors of the history. The message is one line: what is wrong, and what to do."""

    kind = ErrorKind.CONFIGURATION


class UnknownName(HistoryError):
    """No record, version, model, field or editor of the mirror has this name."""


class AmbiguousName(HistoryError):
    """Several have this name. `candidates` has a line for each, with its id and its title."""

    def __init__(self, message: str, *, candidates: Sequence[str]) -> None:
        super().__init__(message, hint="\n".join(("Name one of them:", *candidates)))
        self.candidates = tuple(candidates)


class OddTime(HistoryError):
    """A time that is not understood, that does not exist, or that could mean two days."""


class BeforeHistory(HistoryError):
    """A time before anything that the mirror knows of."""


class NothingMirrored(HistoryError):
    """The mirror has no source yet."""

    kind = ErrorKind.DATABASE


class NotFilled(HistoryError):
    """A projection that the answer needs is not filled yet."""

    kind = ErrorKind.DATABASE


class NoFullText(HistoryError):
    """The SQLite of this Python was built without FTS5."""

    kind = ErrorKind.DATABASE


class OddPattern(HistoryError):
    """A pattern without a letter or digit, or one that is no regular expression."""
