"""Why a run failed, as one word of a closed set. The run's row stores it, and the daemon acts on it. Pure."""

from __future__ import annotations

from enum import StrEnum

from versionsync import cma
from versionsync.mirror.errors import MirrorError, WrongProject
from versionsync.sync.deletions import MassDeletionError
from versionsync.sync.limits import RequestLimitReached, StalledError
from versionsync.sync.report import Outcome

__all__ = ["ErrorKind", "kind_of_error"]


class ErrorKind(StrEnum):
    """Why a run did not do everything that it planned. The values are those of `runs.error_kind`."""

    UNAVAILABLE = "unavailable"
    """DatoCMS does not answer, or its answer cannot be read."""
    STALLED = "stalled"
    """The run made no progress, and was ended."""
    REFUSED = "refused"
    """DatoCMS refuses the token, its role or the environment: you have to fix that."""
    CONFIGURATION = "configuration"
    """The settings lead to another project or environment than before, or name something that does not exist."""
    DATABASE = "database"
    """The database cannot be reached or written."""
    PARTIAL = "partial"
    """Some records could not be mirrored."""
    UNKNOWN_RECORD = "unknown_record"
    """Neither DatoCMS nor the mirror has the records that were asked for by id. The source itself is fine."""
    MASS_DELETE = "mass_delete"
    """More records were no longer listed than the limit allows."""
    BUDGET = "budget"
    """The request budget of the day, the month or the run is used up."""
    UNEXPECTED = "unexpected"
    """An error in versionsync itself."""


def kind_of_error(outcome: Outcome, error: BaseException | None, *, only_unknown: bool = False) -> ErrorKind | None:
    """Return why a run failed or is partial, or None if it succeeded or was interrupted.

    `only_unknown`: it is partial only because of unknown records.
    """
    match error:
        case None if outcome is Outcome.PARTIAL and only_unknown:
            return ErrorKind.UNKNOWN_RECORD
        case None:
            return ErrorKind.PARTIAL if outcome in (Outcome.PARTIAL, Outcome.FAILED) else None
        case cma.Unavailable() | cma.ProtocolError():
            return ErrorKind.UNAVAILABLE
        case StalledError():
            return ErrorKind.STALLED
        case cma.CmaError():
            return ErrorKind.REFUSED
        case WrongProject():
            return ErrorKind.CONFIGURATION
        case MirrorError():
            return ErrorKind.DATABASE
        case RequestLimitReached():
            return ErrorKind.BUDGET
        case MassDeletionError():
            return ErrorKind.MASS_DELETE
        case _:
            return ErrorKind.UNEXPECTED
