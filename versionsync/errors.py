"""The base of every exception of this package, and the closed set of kinds of failure.

    VersionsyncError          `kind` says what kind of failure it is, `hint` what to do about it
    ├── ConfigError           the settings (config/errors.py); BadDatabaseUrl (database_urls.py)
    ├── CmaError              DatoCMS's API (cma/errors.py)
    ├── MirrorError           the database (mirror/errors.py)
    ├── MassDeletionError, StalledError, RequestLimitReached   a run stopped itself (sync/deletions.py, sync/limits.py)
    ├── HistoryError, RestoreError   questions about the past (history/errors.py), restores (restore/errors.py)
    ├── CannotListen, DaemonUnreachable                        the daemon (daemon/errors.py)
    └── ServiceError          the systemd service (systemd/errors.py)

The kind decides the exit code (`cli/exit_codes.py`), the value of `runs.error_kind`, and when the daemon tries again.
This module imports nothing of versionsync and no library, so any layer may use it, and start-up stays fast.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

__all__ = ["ErrorKind", "VersionsyncError", "kind_of"]


class ErrorKind(StrEnum):
    """What kind of failure it was. The values of `runs.error_kind` are these, without `locked`."""

    UNAVAILABLE = "unavailable"
    """DatoCMS does not answer, or the answer cannot be understood."""
    STALLED = "stalled"
    """A run hung and was stopped."""
    REFUSED = "refused"
    """DatoCMS refused the token, its role or the environment. Someone has to fix that."""
    CONFIGURATION = "configuration"
    """The settings are wrong, or lead to another project or environment than before."""
    DATABASE = "database"
    """The database cannot be reached or written."""
    PARTIAL = "partial"
    """Something was left undone, such as records that could not be mirrored."""
    UNKNOWN_RECORD = "unknown_record"
    """A run was asked for records by id that neither DatoCMS nor the mirror has. Nothing is wrong with the source."""
    MASS_DELETE = "mass_delete"
    """More records disappeared at once than the limit allows."""
    BUDGET = "budget"
    """The requests of the day, the month or this run are used up."""
    LOCKED = "locked"
    """Another process writes to the source. Such a run has no row in `runs`, since it holds no lease."""
    UNEXPECTED = "unexpected"
    """A bug in versionsync."""


class VersionsyncError(Exception):
    """The base of all exceptions of versionsync.

    Attributes:
        kind: What kind of failure it is. Each class sets its own.
        hint: What to do about it, as one or two sentences. None: the message says all there is to say.
    """

    kind: ClassVar[ErrorKind] = ErrorKind.UNEXPECTED
    hint: str | None = None

    def __init__(self, message: str = "", *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


def kind_of(error: BaseException) -> ErrorKind:
    """Return the kind of `error`; an exception from elsewhere is unexpected."""
    return error.kind if isinstance(error, VersionsyncError) else ErrorKind.UNEXPECTED
