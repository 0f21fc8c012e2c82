"""The exit codes, and the only map from errors to them.

When several sources fail, the worst decides: see `worst`.
"""

from __future__ import annotations

import errno
import os
import sys
from asyncio import CancelledError
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

__all__ = [
    "BY_ERROR_KIND",
    "DESCRIPTIONS",
    "OUTPUT",
    "UNKNOWN_RECORD",
    "ErrorReport",
    "ExitCode",
    "error_report",
    "exit_code_of",
    "exit_code_of_kind",
    "most_severe",
]


class ExitCode(IntEnum):
    """How the program ended, for whoever started it."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    PARTIAL = 3
    UPSTREAM_REFUSED = 4
    UPSTREAM_UNAVAILABLE = 5
    DATABASE = 6
    LOCKED = 7
    DIFFERENCES = 8
    INTERRUPTED = 130


DESCRIPTIONS: Final[dict[ExitCode, str]] = {
    ExitCode.OK: "Done.",
    ExitCode.UNEXPECTED: "Unexpected: a fault of versionsync's own, of which `--debug` shows where; or standard output "
    "could not be written.",
    ExitCode.USAGE: "The command line or the settings are wrong.",
    ExitCode.PARTIAL: "Finished, but partial: some records failed, or the limit of deletions was exceeded. "
    "Of `status`, `health` and `service`: something else needs attention.",
    ExitCode.UPSTREAM_REFUSED: "DatoCMS refused: the token, its permissions or the environment.",
    ExitCode.UPSTREAM_UNAVAILABLE: "DatoCMS could not be reached, or its answers could not be understood.",
    ExitCode.DATABASE: "The database cannot be used, or is not at the schema of this version.",
    ExitCode.LOCKED: "Another process is writing to the same source.",
    ExitCode.DIFFERENCES: "Verification found differences.",
    ExitCode.INTERRUPTED: "Interrupted by Ctrl-C or SIGTERM. What was committed is kept.",
}

UNKNOWN_RECORD: Final = "unknown_record"
"""The `runs.error_kind` of a run that says nothing about its source: it was asked for a record that does not exist."""

BY_ERROR_KIND: Final[dict[str, ExitCode]] = {
    "refused": ExitCode.UPSTREAM_REFUSED,
    "unavailable": ExitCode.UPSTREAM_UNAVAILABLE,
    "stalled": ExitCode.UPSTREAM_UNAVAILABLE,
    "database": ExitCode.DATABASE,
    "configuration": ExitCode.USAGE,
    "partial": ExitCode.PARTIAL,
    UNKNOWN_RECORD: ExitCode.PARTIAL,
    "mass_delete": ExitCode.PARTIAL,
    "budget": ExitCode.PARTIAL,
    "unexpected": ExitCode.UNEXPECTED,
}
"""How `status` ends for a source whose last run failed, by `runs.error_kind`: as that run did, or would have."""

OUTPUT: Final = "output"
"""The kind of problem where standard output cannot be written."""

_NO_WAY: Final = {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EROFS, errno.ELOOP, errno.ENAMETOOLONG}
"""What a path leads to when somebody else has made the folders, or may go there and we may not."""

_BY_SEVERITY: Final = (
    ExitCode.INTERRUPTED,
    ExitCode.UNEXPECTED,
    ExitCode.USAGE,
    ExitCode.UPSTREAM_REFUSED,
    ExitCode.DATABASE,
    ExitCode.UPSTREAM_UNAVAILABLE,
    ExitCode.LOCKED,
    ExitCode.DIFFERENCES,
    ExitCode.PARTIAL,
    ExitCode.OK,
)


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """An error as a person or a program is told it. `kind` is a word that stays the same from version to version."""

    exit: ExitCode
    kind: str
    message: str
    hint: str | None = None

    def redacted(self, redact: Callable[[str], str]) -> ErrorReport:
        """The same without any secret in it, as `redact` sees to."""
        return ErrorReport(self.exit, self.kind, redact(self.message), self.hint and redact(self.hint))

    def to_fields(self) -> dict[str, str | int | None]:
        """As a program is told it."""
        return {"kind": self.kind, "exit": self.exit.value, "message": self.message, "hint": self.hint}


def most_severe(exits: Iterable[ExitCode]) -> ExitCode:
    """The one that decides where several sources ended differently: what a person must mend comes before what passes.

    interrupted, unexpected, usage, refused, database, unavailable, lease, differences, partial, done.
    """
    return min(exits, key=_BY_SEVERITY.index, default=ExitCode.OK)


def exit_code_of(error: BaseException) -> ExitCode:
    """The exit code for `error`."""
    return _exit(error)


def error_report(error: BaseException) -> ErrorReport:
    """`error` as it is told: its exit code, one line, and what to do."""
    exit = _exit(error)
    if surroundings := _of_surroundings(error):
        return ErrorReport(exit, exit.name.lower(), *surroundings)
    if _is_of_standard_output(error):
        return ErrorReport(
            exit,
            OUTPUT,
            f"standard output cannot be written: {_one_line(error)}",
            "Make room, or let it write elsewhere. Only the answer is lost: what was committed is kept.",
        )
    if exit is ExitCode.UNEXPECTED:
        return ErrorReport(
            exit,
            "unexpected",
            f"{type(error).__name__}: {_one_line(error)}",
            "This should not happen. Run it again with --debug and report what it shows.",
        )
    return ErrorReport(exit, exit.name.lower(), _one_line(error), getattr(error, "hint", None) or _hint(error))


def exit_code_of_kind(kind: str | None) -> ExitCode:
    """The exit code of a run that is over, by its `runs.error_kind`; PARTIAL where that is not known."""
    return BY_ERROR_KIND.get(kind or "", ExitCode.PARTIAL)


def _exit(error: BaseException) -> ExitCode:
    from typer import Abort, TyperException

    from versionsync.config import ConfigError

    match error:
        case KeyboardInterrupt() | Abort() | CancelledError():
            return ExitCode.INTERRUPTED
        case ConfigError() | TyperException():
            return ExitCode.USAGE
        case _ if _of_surroundings(error):
            return ExitCode.USAGE
        case _:
            return _exit_of_ours(error)


def _exit_of_ours(error: BaseException) -> ExitCode:
    # Each is imported only for an error of its own, which means that it is loaded already.
    match type(error).__module__.split(".")[:2]:
        case ["versionsync", "mirror"]:
            return _exit_of_mirror(error)
        case ["versionsync", "cma"]:
            return _exit_of_cma(error)
        case ["versionsync", "sync"]:
            return _exit_of_sync(error)
        case ["versionsync", "systemd"]:
            from versionsync.systemd.errors import NotStarted

            return ExitCode.PARTIAL if isinstance(error, NotStarted) else ExitCode.USAGE
        case ["versionsync", "daemon"]:
            return _exit_of_daemon(error)
        case _:
            return ExitCode.UNEXPECTED


def _exit_of_daemon(error: BaseException) -> ExitCode:
    from versionsync.daemon.errors import CannotListen, DaemonUnreachable

    match error:
        case CannotListen():
            return ExitCode.USAGE
        case DaemonUnreachable():
            return ExitCode.PARTIAL
        case _:
            return ExitCode.UNEXPECTED


def _exit_of_sync(error: BaseException) -> ExitCode:
    from versionsync.sync.deletions import MassDeletionError
    from versionsync.sync.limits import RequestLimitReached, StalledError

    match error:
        case MassDeletionError() | RequestLimitReached():
            return ExitCode.PARTIAL
        case StalledError():
            return ExitCode.UPSTREAM_UNAVAILABLE
        case _:
            return ExitCode.UNEXPECTED


def _exit_of_mirror(error: BaseException) -> ExitCode:
    from versionsync.mirror import errors as mirror

    match error:
        case mirror.WrongProject() | mirror.BackupError():
            return ExitCode.USAGE
        case mirror.LeaseHeld() | mirror.LeaseLost():
            return ExitCode.LOCKED
        case mirror.MirrorError():
            return ExitCode.DATABASE
        case _:
            return ExitCode.UNEXPECTED


def _exit_of_cma(error: BaseException) -> ExitCode:
    from versionsync.cma import errors as cma

    match error:
        case cma.Unavailable() | cma.ProtocolError():
            return ExitCode.UPSTREAM_UNAVAILABLE
        case cma.CmaError():
            return ExitCode.UPSTREAM_REFUSED
        case _:
            return ExitCode.UNEXPECTED


def _hint(error: BaseException) -> str | None:
    """What to do about an error that does not say so itself."""
    if context := getattr(error, "ctx", None):  # a usage error of Typer's
        return f"{context.command_path} --help shows how it is used."
    if not type(error).__module__.startswith("versionsync.cma"):
        return None
    from versionsync.cma import errors as cma

    match error:
        case cma.AuthenticationError():
            return (
                "Set another token: DatoCMS shows it in Project settings > API tokens. `versionsync doctor` tries it."
            )
        case cma.PermissionDenied():
            if error.is_of_project:
                return "No token can help: see the project's plan and payment in its dashboard."
            if "/webhook" in error.request:
                return "Give the token a role that may manage webhooks: Project settings > Roles."
            return "Give the token's role what it lacks: Project settings > Roles. `versionsync doctor` lists it."
        case cma.EnvironmentNotFound():
            return "Set `environment` to one that exists, or leave it out to follow the primary one."
        case cma.Unavailable():
            return "Nothing is lost: once that has passed or is mended, the next run goes on from there."
        case cma.ProtocolError():
            return "Run it again; if it stays, report the line above: it holds nothing of your project's content."
        case _:
            return None


def _of_surroundings(error: BaseException) -> tuple[str, str] | None:
    """What is wrong around the program, and what to do about it; None: that is not what `error` comes from."""
    if isinstance(error, UnicodeEncodeError) and not sys.getfilesystemencoding().startswith("utf"):
        said = f"the locale of this process ({sys.getfilesystemencoding()}) cannot write a name that is used here"
        return said, "Set LC_ALL=C.UTF-8, or PYTHONUTF8=1."
    if isinstance(error, FileNotFoundError) and error.filename is None and not _has_folder():
        return "the current folder does not exist any more", "Change to another one."
    if isinstance(error, OSError) and error.errno in _NO_WAY and error.filename is not None:
        return f"{error.filename} cannot be used: {error.strerror}", "Check that its folder exists, its owner and mode."
    return None


def _has_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - pathlib's raises the same
    except FileNotFoundError:
        return False
    return True


def _is_of_standard_output(error: BaseException) -> bool:
    """Whether the disk behind it is full, or broken. An error of any other file bears its name."""
    if not isinstance(error, OSError) or error.filename is not None:
        return False
    return error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def _one_line(error: BaseException) -> str:
    from typer import TyperException

    if isinstance(error, OSError) and error.strerror and _is_of_standard_output(error):
        return error.strerror
    if isinstance(error, TyperException):
        return " ".join(error.format_message().split())
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return " ".join(str(error).split()) or type(error).__name__
