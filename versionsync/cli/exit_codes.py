"""The exit codes, and how an error becomes one of them.

If several sources fail, the most severe code decides: see `most_severe`.
"""

from __future__ import annotations

import errno
import os
import sys
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from typer import Abort, TyperException

from versionsync.errors import ErrorKind, VersionsyncError

__all__ = [
    "BY_ERROR_KIND",
    "DESCRIPTIONS",
    "OUTPUT",
    "ErrorReport",
    "ExitCode",
    "error_report",
    "exit_code_of",
    "exit_code_of_kind",
    "most_severe",
]


class ExitCode(IntEnum):
    """How the program ended."""

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


DESCRIPTIONS: Final[Mapping[ExitCode, str]] = {
    ExitCode.OK: "Done.",
    ExitCode.UNEXPECTED: "Unexpected: a bug in versionsync (`--debug` shows where), or standard output "
    "cannot be written.",
    ExitCode.USAGE: "The command line or the settings are wrong.",
    ExitCode.PARTIAL: "Finished, but partial: some records or steps failed, or the limit of deletions was exceeded. "
    "Of `status`, `health` and `service`: something else needs attention.",
    ExitCode.UPSTREAM_REFUSED: "DatoCMS refused: the token, its permissions or the environment.",
    ExitCode.UPSTREAM_UNAVAILABLE: "DatoCMS could not be reached, or its answers could not be understood.",
    ExitCode.DATABASE: "The database cannot be used, or is not at the schema of this version.",
    ExitCode.LOCKED: "Another process is writing to the same source, or carries out the same plan.",
    ExitCode.DIFFERENCES: "Verification found differences.",
    ExitCode.INTERRUPTED: "Interrupted by Ctrl-C or SIGTERM. What was committed is kept.",
}

BY_ERROR_KIND: Final[Mapping[str, ExitCode]] = {
    ErrorKind.UNAVAILABLE: ExitCode.UPSTREAM_UNAVAILABLE,
    ErrorKind.STALLED: ExitCode.UPSTREAM_UNAVAILABLE,
    ErrorKind.REFUSED: ExitCode.UPSTREAM_REFUSED,
    ErrorKind.CONFIGURATION: ExitCode.USAGE,
    ErrorKind.DATABASE: ExitCode.DATABASE,
    ErrorKind.PARTIAL: ExitCode.PARTIAL,
    ErrorKind.UNKNOWN_RECORD: ExitCode.PARTIAL,
    ErrorKind.MASS_DELETE: ExitCode.PARTIAL,
    ErrorKind.BUDGET: ExitCode.PARTIAL,
    ErrorKind.LOCKED: ExitCode.LOCKED,
    ErrorKind.UNEXPECTED: ExitCode.UNEXPECTED,
}
"""The exit code for each kind of error: of an exception, or of the last run of a source (`runs.error_kind`)."""

OUTPUT: Final = "output"
"""The word for an error of standard output, where other errors have the name of their exit code."""

_NO_ACCESS: Final = {
    *(errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EROFS, errno.ELOOP, errno.ENAMETOOLONG)
}
"""Errors of a path that the user can fix: of its folders, its owner or its mode."""
_OUTPUT_ERRORS: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

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
    """An error as it is shown to people and programs. `kind` is a word that stays the same from version to version."""

    exit: ExitCode
    kind: str
    message: str
    hint: str | None = None

    def redacted(self, redact: Callable[[str], str]) -> ErrorReport:
        """Return the same report without any secret, which `redact` masks."""
        return replace(self, message=redact(self.message), hint=self.hint and redact(self.hint))

    def to_fields(self) -> dict[str, str | int | None]:
        """Return the report as the members of a JSON object."""
        return {"kind": self.kind, "exit": self.exit.value, "message": self.message, "hint": self.hint}


def most_severe(exits: Iterable[ExitCode]) -> ExitCode:
    """Return the code that decides when several sources ended differently.

    What a person must fix comes before what passes by itself: interrupted, unexpected, usage, upstream_refused,
    database, upstream_unavailable, locked, differences, partial, ok.
    """
    return min(exits, key=_BY_SEVERITY.index, default=ExitCode.OK)


def exit_code_of(error: BaseException) -> ExitCode:
    match error:
        case VersionsyncError():
            return BY_ERROR_KIND[error.kind]
        case KeyboardInterrupt() | Abort() | CancelledError():
            return ExitCode.INTERRUPTED
        case TyperException():
            return ExitCode.USAGE
        case _:
            return ExitCode.USAGE if _of_surroundings(error) else ExitCode.UNEXPECTED


def exit_code_of_kind(kind: str | None) -> ExitCode:
    """Return the exit code for a finished run by its `runs.error_kind`; PARTIAL if that is unknown."""
    return BY_ERROR_KIND.get(kind or "", ExitCode.PARTIAL)


def error_report(error: BaseException) -> ErrorReport:
    """Return the report of `error`: its exit code, its message as one line, and what to do about it."""
    exit = exit_code_of(error)
    if surroundings := _of_surroundings(error):
        return ErrorReport(exit, exit.name.lower(), *surroundings)
    if _is_of_standard_output(error):
        return ErrorReport(
            exit,
            OUTPUT,
            f"standard output cannot be written: {_one_line(error)}",
            "Free some space, or write the output elsewhere. Only the output is lost: what was committed is kept.",
        )
    if exit is ExitCode.UNEXPECTED:
        return ErrorReport(
            exit,
            "unexpected",
            f"{type(error).__name__}: {_one_line(error)}",
            "This should not happen. Run it again with --debug and report what it shows.",
        )
    return ErrorReport(exit, exit.name.lower(), _one_line(error), _hint(error))


def _hint(error: BaseException) -> str | None:
    if isinstance(error, VersionsyncError):
        return error.hint
    context = getattr(error, "ctx", None)  # of a usage error of Typer's
    return f"{context.command_path} --help shows how it is used." if context else None


def _of_surroundings(error: BaseException) -> tuple[str, str] | None:
    """Return what is wrong with the environment of the program and what to do; None: it is another error."""
    if isinstance(error, UnicodeEncodeError) and not sys.getfilesystemencoding().startswith("utf"):
        message = f"the locale of this process ({sys.getfilesystemencoding()}) cannot write a name that is used here"
        return message, "Set LC_ALL=C.UTF-8, or PYTHONUTF8=1."
    if isinstance(error, FileNotFoundError) and error.filename is None and not _has_folder():
        return "the current folder does not exist any more", "Change to another one."
    if isinstance(error, OSError) and error.errno in _NO_ACCESS and error.filename is not None:
        return f"{error.filename} cannot be used: {error.strerror}", "Check that its folder exists, its owner and mode."
    return None


def _has_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - pathlib's raises the same
    except FileNotFoundError:
        return False
    return True


def _is_of_standard_output(error: BaseException) -> bool:
    """Whether its disk is full or broken. An error of any other file has a file name."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _OUTPUT_ERRORS


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and _is_of_standard_output(error):
        return error.strerror
    if isinstance(error, TyperException):
        return " ".join(error.format_message().split())
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return " ".join(str(error).split()) or type(error).__name__
