"""The result of one check of `doctor`: one line, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from versionsync.cli.exit_codes import ExitCode, error_report

__all__ = ["CheckResult", "Severity", "error", "from_error", "most_severe", "ok", "warning"]


class Severity(StrEnum):
    """How bad a result is. The values are those of the JSON output."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One line of `doctor`.

    Attributes:
        check: What was checked, as a word that stays the same from version to version.
        severity: How bad it is.
        message: What was found.
        hint: What to do about it.
        source: The source that it is about. None: the machine or the settings.
        exit: The code with which a sync would fail.
    """

    check: str
    severity: Severity
    message: str
    hint: str | None = None
    source: str | None = None
    exit: ExitCode = ExitCode.OK

    def of(self, source: str) -> CheckResult:
        """Return the same result as one of `source`."""
        return replace(self, source=source)


def ok(check: str, message: str) -> CheckResult:
    """Return a result without a problem."""
    return CheckResult(check=check, severity=Severity.OK, message=message)


def warning(check: str, message: str, hint: str | None = None) -> CheckResult:
    """Return a result that stops no sync but may be a mistake."""
    return CheckResult(check=check, severity=Severity.WARNING, message=message, hint=hint)


def error(check: str, message: str, hint: str | None, exit: ExitCode) -> CheckResult:
    """Return a problem with which a sync would fail, with code `exit`."""
    return CheckResult(check=check, severity=Severity.ERROR, message=message, hint=hint, exit=exit)


def from_error(check: str, failure: Exception) -> CheckResult:
    """Return the result for a check that raised `failure`, with the same message and hint as everywhere."""
    problem = error_report(failure)
    return error(check, problem.message, problem.hint, problem.exit)


def most_severe(results: Iterable[CheckResult]) -> ExitCode:
    """Return the code of the first error; OK if there is none."""
    return next((result.exit for result in results if result.severity is Severity.ERROR), ExitCode.OK)
