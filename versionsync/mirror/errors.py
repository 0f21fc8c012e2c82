"""Everything that can go wrong between us and the database.

MirrorError
├── DatabaseUnavailable   not now: unreachable, locked, full, read-only, wrong password; says what to do
│   └── TransactionLost   the server ended the transaction, or was not there to begin one: it can be done again
├── NotAMirror            there is no database here, or it is another program's
├── SchemaBehind          made by an older versionsync: upgrade it
├── SchemaNewer           made by a newer versionsync: upgrade the program
├── SchemaUnreleased      made by a versionsync from before 0.1.0: it cannot be upgraded
├── WrongProject          a known source name that now leads to another project
├── LeaseHeld             another process writes to this source; `holder` and `expires_at` say which and how long
├── LeaseLost             another process took the source over: nothing of ours was written (invariant 8)
├── BackupError         the place for a backup cannot be taken, or it is made by another program; says which
└── ContentRejected        rows that the database will not take, whoever asks (invariant 13)

This module imports no library, so that exit codes can be told without loading one. No message holds a password
(invariant 11) or content.
"""

from __future__ import annotations

from datetime import datetime

__all__ = [
    "BackupError",
    "ContentRejected",
    "DatabaseUnavailable",
    "LeaseHeld",
    "LeaseLost",
    "MirrorError",
    "NotAMirror",
    "SchemaBehind",
    "SchemaNewer",
    "SchemaUnreleased",
    "TransactionLost",
    "WrongProject",
    "another_programs",
]


class MirrorError(Exception):
    """The base of all errors of the mirror. `str()` is one line for a person: what is wrong, and what to do."""


class DatabaseUnavailable(MirrorError):
    """The database cannot be reached, read or written now; nothing is lost, and the next run goes on from there."""


class TransactionLost(DatabaseUnavailable):
    """The server is away, or has ended the transaction: nothing of it is written, and it can be done again as it was.

    A transaction whose commit was not answered is not one of these: nobody knows whether it is written.
    """


class NotAMirror(MirrorError):
    """There is no database at this place, or it is not a mirror of ours. It was not touched."""


def another_programs(where: str, name: str, *, kind: str = "a table") -> NotAMirror:
    """The error for a database `where` that another program has made, as something of this name shows."""
    return NotAMirror(
        f"the database {where} belongs to another program (it has {kind} {name}): "
        "choose another file, database or schema (search_path)"
    )


class SchemaBehind(MirrorError):
    """The database has an older schema than this program."""

    def __init__(self, where: str, *, current: str, head: str) -> None:
        super().__init__(
            f"the database {where} is at schema {current}, this program needs {head}: run `versionsync db upgrade`"
        )
        self.current = current
        self.head = head


class SchemaNewer(MirrorError):
    """The database was made or upgraded by a newer versionsync."""

    def __init__(self, where: str, *, current: str, head: str) -> None:
        super().__init__(
            f"the database {where} is at schema {current}, which is newer than this program's {head}: "
            "upgrade versionsync"
        )
        self.current = current
        self.head = head


class SchemaUnreleased(MirrorError):
    """The database was made by a versionsync from before 0.1.0, the first release. It was not changed."""

    def __init__(self, where: str, *, current: str) -> None:
        super().__init__(
            f"the database {where} is at schema {current}, from before versionsync 0.1.0, and cannot be upgraded: "
            "keep it, and sync into a new database"
        )
        self.current = current


class WrongProject(MirrorError):
    """A source of this name mirrors another project, or another environment of it."""


class LeaseHeld(MirrorError):
    """Another process writes to this source. `holder` names it; its lease ends at `expires_at` unless renewed."""

    def __init__(self, source: str, *, holder: str, expires_at: datetime) -> None:
        super().__init__(
            f"the source {source} is being written by {holder}; its lease ends at {expires_at:%Y-%m-%d %H:%M:%S} UTC "
            "unless renewed: wait (`sync --wait SECONDS`) or stop that process"
        )
        self.source = source
        self.holder = holder
        self.expires_at = expires_at


class LeaseLost(MirrorError):
    """Another process took the source over while we were held up. The transaction wrote nothing."""


class BackupError(MirrorError):
    """What was asked for is no place for a backup, or another program makes it. Nothing was written."""


class ContentRejected(MirrorError):
    """The database refuses a row for what is in it; trying again changes nothing."""
