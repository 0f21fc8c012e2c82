"""Everything that can go wrong between versionsync and the database.

MirrorError
├── DatabaseUnavailable   not now: unreachable, locked, full, read-only, wrong password; says what to do
│   └── TransactionLost   the server ended or never began the transaction: it is safe to run it again
├── NotAMirror            there is no database here, or it belongs to another program
├── SchemaBehind          made by an older versionsync: upgrade the database
├── SchemaNewer           made by a newer versionsync: upgrade the program
├── SchemaUnreleased      made by a versionsync from before 0.1.0: it cannot be upgraded
├── WrongProject          a known source name that now leads to another project
├── LeaseHeld             another process writes to this source; `holder` and `expires_at` say which and until when
├── LeaseLost             another process took the source over: this one wrote nothing (invariant 8)
├── UnfinishedCopy        `db copy` was stopped while it filled this database: run it again
├── MirrorInUse           the database cannot be copied while another process writes to it
├── CopyRefused           one mirror cannot be copied over another, or over itself
├── BackupError           the backup cannot be written to this path, or another program uses it; says which
├── QueryError            a query of a user is wrong, would write, or takes too long; says where and why
├── NoReader              a role that may only read cannot be made; says why
├── WritableRole          a role of PostgreSQL that should only read may write
└── ContentRejected       the database refuses a row because of its content (invariant 13)

No message holds a password (invariant 11) or content.
"""

from __future__ import annotations

from datetime import datetime

from versionsync.errors import ErrorKind, VersionsyncError

__all__ = [
    "BackupError",
    "ContentRejected",
    "CopyRefused",
    "DatabaseUnavailable",
    "LeaseHeld",
    "LeaseLost",
    "MirrorError",
    "MirrorInUse",
    "NoReader",
    "NotAMirror",
    "QueryError",
    "SchemaBehind",
    "SchemaNewer",
    "SchemaUnreleased",
    "TransactionLost",
    "UnfinishedCopy",
    "WritableRole",
    "WrongProject",
    "another_programs",
]


class MirrorError(VersionsyncError):
    """The base of all errors of the mirror. The message is one line: what is wrong, and what to do."""

    kind = ErrorKind.DATABASE


class DatabaseUnavailable(MirrorError):
    """The database cannot be reached, read or written now. Nothing is lost: the next run continues."""


class TransactionLost(DatabaseUnavailable):
    """The server is unavailable or ended the transaction. Nothing of it is written, and it is safe to run it again.

    A transaction whose commit was not answered never raises this: it may have been written.
    """


class NotAMirror(MirrorError):
    """There is no database here, or versionsync did not make it. It was not touched."""


def another_programs(where: str, name: str, *, kind: str = "a table") -> NotAMirror:
    """Return the error for the database `where`, which another program made, as its `kind` of this `name` shows."""
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


class SchemaUnreleased(MirrorError):
    """The database was made by a versionsync from before 0.1.0, the first release. It was not changed."""

    def __init__(self, where: str, *, current: str) -> None:
        super().__init__(
            f"the database {where} is at schema {current}, from before versionsync 0.1.0, and cannot be upgraded: "
            "keep it, and sync into a new database"
        )


class UnfinishedCopy(MirrorError):
    """`db copy` has begun to fill the database and did not end. Nothing else may use it until then."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"the database {where} is an unfinished copy of another mirror: run `versionsync db copy FROM TO` again, "
            "which continues it"
        )


class MirrorInUse(MirrorError):
    """The database cannot be copied while another process writes to it."""

    kind = ErrorKind.LOCKED


class CopyRefused(MirrorError):
    """The mirror cannot be copied to this database. The message says why, and what to do."""

    kind = ErrorKind.CONFIGURATION


class WrongProject(MirrorError):
    """A source of this name mirrors another project, or another environment of it."""

    kind = ErrorKind.CONFIGURATION


class LeaseHeld(MirrorError):
    """Another process writes to this source. `holder` names it; its lease ends at `expires_at` unless renewed."""

    kind = ErrorKind.LOCKED

    def __init__(self, source: str, *, holder: str, expires_at: datetime) -> None:
        super().__init__(
            f"the source {source} is being written by {holder}; its lease ends at {expires_at:%Y-%m-%d %H:%M:%S} UTC "
            "unless renewed: wait (`sync --wait SECONDS`) or stop that process"
        )
        self.source = source
        self.holder = holder
        self.expires_at = expires_at


class LeaseLost(MirrorError):
    """Another process took the source over while this one was delayed. The transaction wrote nothing."""

    kind = ErrorKind.LOCKED


class BackupError(MirrorError):
    """The backup cannot be written to this path, or another program uses it. Nothing was written."""

    kind = ErrorKind.CONFIGURATION


class ContentRejected(MirrorError):
    """The database refuses a row because of its content. Trying again changes nothing."""


class QueryError(MirrorError):
    """A query of a user cannot be answered: it is wrong, it would write, or it takes too long."""

    kind = ErrorKind.CONFIGURATION


class NoReader(MirrorError):
    """A role that may only read cannot be made here. Nothing was changed."""

    kind = ErrorKind.CONFIGURATION


class WritableRole(MirrorError):
    """A role of PostgreSQL that should only read may write. Nothing was asked."""

    kind = ErrorKind.CONFIGURATION
    hint = "Make one that may only read: `versionsync db reader`. Then put its URL into reader_url or reader_url_file."
