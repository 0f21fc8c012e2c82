"""What went wrong with a run, as one word of a closed set: for its row, for what is done next, for programs. Pure."""

from __future__ import annotations

from enum import StrEnum

from versionsync import cma
from versionsync.mirror.errors import MirrorError, WrongProject
from versionsync.sync.deletions import MassDeletionError
from versionsync.sync.limits import RequestLimitReached, StalledError
from versionsync.sync.report import Outcome

__all__ = ["ErrorKind", "kind_of_error"]


class ErrorKind(StrEnum):
    """Why a run did not do all that it should; the values are those of `runs.error_kind`."""

    UNAVAILABLE = "unavailable"
    """DatoCMS does not answer, or not in a form that can be read."""
    STALLED = "stalled"
    """A run hung, and was ended."""
    REFUSED = "refused"
    """The token, its role or the environment: somebody has to mend that."""
    CONFIGURATION = "configuration"
    """The settings lead to another project or environment than before, or name what is not there."""
    DATABASE = "database"
    """The database cannot be reached or written."""
    PARTIAL = "partial"
    """Some records could not be mirrored."""
    UNKNOWN_RECORD = "unknown_record"
    """Records were asked for by id that neither upstream nor the mirror has. Nothing is wrong with the source."""
    MASS_DELETE = "mass_delete"
    """So many records had vanished that it was not believed."""
    BUDGET = "budget"
    """The requests of the day or the month are spent, or those of one run."""
    UNEXPECTED = "unexpected"
    """A fault of our own."""


def kind_of_error(outcome: Outcome, error: BaseException | None, *, only_unknown: bool = False) -> ErrorKind | None:
    """What was wrong with a run that ended so; None: nothing, or it was interrupted, which is nobody's fault.

    `only_unknown`: it is partial only because of records that are unknown.
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
