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
    "MEANINGS",
    "OUTPUT",
    "TROUBLES",
    "UNKNOWN_RECORD",
    "Exit",
    "Problem",
    "exit_of",
    "exit_of_trouble",
    "problem_of",
    "worst",
]


class Exit(IntEnum):
    """How the program ended, for whoever started it."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    PARTIAL = 3
    REFUSED = 4
    UNAVAILABLE = 5
    DATABASE = 6
    LEASE = 7
    DIFFERENCES = 8
    INTERRUPTED = 130


MEANINGS: Final[dict[Exit, str]] = {
    Exit.DONE: "Done.",
    Exit.UNEXPECTED: "Unexpected: a fault of versionsync's own, of which `--debug` shows where; or standard output "
    "could not be written.",
    Exit.USAGE: "The command line or the settings are wrong.",
    Exit.PARTIAL: "Finished, but partial: some records could not be mirrored, or too many had vanished to believe it. "
    "Of `status`, `health` and `service`: something else needs attention.",
    Exit.REFUSED: "DatoCMS refused: the token, its permissions or the environment.",
    Exit.UNAVAILABLE: "DatoCMS could not be reached, or its answers could not be understood.",
    Exit.DATABASE: "The database cannot be used, or is not at the schema of this version.",
    Exit.LEASE: "Another process is writing to the same source.",
    Exit.DIFFERENCES: "Verification found differences.",
    Exit.INTERRUPTED: "Interrupted by Ctrl-C or SIGTERM. What was committed is kept.",
}

UNKNOWN_RECORD: Final = "unknown_record"
"""The `runs.error_kind` of a run that says nothing about its source: it was asked for a record that does not exist."""

TROUBLES: Final[dict[str, Exit]] = {
    "refused": Exit.REFUSED,
    "unavailable": Exit.UNAVAILABLE,
    "stalled": Exit.UNAVAILABLE,
    "database": Exit.DATABASE,
    "settings": Exit.USAGE,
    "partial": Exit.PARTIAL,
    UNKNOWN_RECORD: Exit.PARTIAL,
    "vanished": Exit.PARTIAL,
    "budget": Exit.PARTIAL,
    "unexpected": Exit.UNEXPECTED,
}
"""How `status` ends for a source whose last run failed, by `runs.error_kind`: as that run did, or would have."""

OUTPUT: Final = "output"
"""The kind of problem where standard output cannot be written."""

_NO_WAY: Final = {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EROFS, errno.ELOOP, errno.ENAMETOOLONG}
"""What a path leads to when somebody else has made the folders, or may go there and we may not."""

_WORST_FIRST: Final = (
    Exit.INTERRUPTED,
    Exit.UNEXPECTED,
    Exit.USAGE,
    Exit.REFUSED,
    Exit.DATABASE,
    Exit.UNAVAILABLE,
    Exit.LEASE,
    Exit.DIFFERENCES,
    Exit.PARTIAL,
    Exit.DONE,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as a person or a program is told it. `kind` is a word that stays the same from version to version."""

    exit: Exit
    kind: str
    message: str
    hint: str | None = None

    def redacted(self, redact: Callable[[str], str]) -> Problem:
        """The same without any secret in it, as `redact` sees to."""
        return Problem(self.exit, self.kind, redact(self.message), self.hint and redact(self.hint))

    def to_fields(self) -> dict[str, str | int | None]:
        """As a program is told it."""
        return {"kind": self.kind, "exit": self.exit.value, "message": self.message, "hint": self.hint}


def worst(exits: Iterable[Exit]) -> Exit:
    """The one that decides where several sources ended differently: what a person must mend comes before what passes.

    interrupted, unexpected, usage, refused, database, unavailable, lease, differences, partial, done.
    """
    return min(exits, key=_WORST_FIRST.index, default=Exit.DONE)


def exit_of(error: BaseException) -> Exit:
    """The exit code for `error`."""
    return _exit(error)


def problem_of(error: BaseException) -> Problem:
    """`error` as it is told: its exit code, one line, and what to do."""
    exit = _exit(error)
    if surroundings := _of_surroundings(error):
        return Problem(exit, exit.name.lower(), *surroundings)
    if _is_of_standard_output(error):
        return Problem(
            exit,
            OUTPUT,
            f"standard output cannot be written: {_one_line(error)}",
            "Make room, or let it write elsewhere. Only the answer is lost: what was committed is kept.",
        )
    if exit is Exit.UNEXPECTED:
        return Problem(
            exit,
            "unexpected",
            f"{type(error).__name__}: {_one_line(error)}",
            "This should not happen. Run it again with --debug and report what it shows.",
        )
    return Problem(exit, exit.name.lower(), _one_line(error), getattr(error, "hint", None) or _hint(error))


def exit_of_trouble(kind: str | None) -> Exit:
    """The exit code of a run that is over, by its `runs.error_kind`; PARTIAL where that is not known."""
    return TROUBLES.get(kind or "", Exit.PARTIAL)


def _exit(error: BaseException) -> Exit:
    from typer import Abort, TyperException

    from versionsync.config import ConfigError

    match error:
        case KeyboardInterrupt() | Abort() | CancelledError():
            return Exit.INTERRUPTED
        case ConfigError() | TyperException():
            return Exit.USAGE
        case _ if _of_surroundings(error):
            return Exit.USAGE
        case _:
            return _exit_of_ours(error)


def _exit_of_ours(error: BaseException) -> Exit:
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

            return Exit.PARTIAL if isinstance(error, NotStarted) else Exit.USAGE
        case ["versionsync", "daemon"]:
            return _exit_of_daemon(error)
        case _:
            return Exit.UNEXPECTED


def _exit_of_daemon(error: BaseException) -> Exit:
    from versionsync.daemon.errors import CannotListen, NotAlive

    match error:
        case CannotListen():
            return Exit.USAGE
        case NotAlive():
            return Exit.PARTIAL
        case _:
            return Exit.UNEXPECTED


def _exit_of_sync(error: BaseException) -> Exit:
    from versionsync.sync.deletions import MassDeletionError
    from versionsync.sync.limits import RequestLimitReached, StalledError

    match error:
        case MassDeletionError() | RequestLimitReached():
            return Exit.PARTIAL
        case StalledError():
            return Exit.UNAVAILABLE
        case _:
            return Exit.UNEXPECTED


def _exit_of_mirror(error: BaseException) -> Exit:
    from versionsync.mirror import errors as mirror

    match error:
        case mirror.WrongProject() | mirror.BackupError():
            return Exit.USAGE
        case mirror.LeaseHeld() | mirror.LeaseLost():
            return Exit.LEASE
        case mirror.MirrorError():
            return Exit.DATABASE
        case _:
            return Exit.UNEXPECTED


def _exit_of_cma(error: BaseException) -> Exit:
    from versionsync.cma import errors as cma

    match error:
        case cma.Unavailable() | cma.ProtocolError():
            return Exit.UNAVAILABLE
        case cma.CmaError():
            return Exit.REFUSED
        case _:
            return Exit.UNEXPECTED


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
