"""What a check of `doctor` found: one line, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from versionsync.cli.exit_codes import ExitCode, error_report

__all__ = ["CheckResult", "Severity", "error", "from_error", "most_severe", "ok", "warning"]


class Severity(StrEnum):
    """Whether something is as it should be; the values are those of the JSON output."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One line of `doctor`. `check` is a word that stays the same; `exit` is the code that a bad one ends with."""

    check: str
    severity: Severity
    message: str
    hint: str | None = None
    source: str | None = None
    exit: ExitCode = ExitCode.OK


def ok(check: str, message: str, *, source: str | None = None) -> CheckResult:
    """All is well."""
    return CheckResult(check=check, severity=Severity.OK, message=message, source=source)


def warning(check: str, message: str, todo: str | None = None, *, source: str | None = None) -> CheckResult:
    """It works, but somebody should know."""
    return CheckResult(check=check, severity=Severity.WARNING, message=message, hint=todo, source=source)


def error(check: str, message: str, todo: str | None, exit: ExitCode, *, source: str | None = None) -> CheckResult:
    """A sync would fail with `exit`."""
    return CheckResult(check=check, severity=Severity.ERROR, message=message, hint=todo, source=source, exit=exit)


def from_error(check: str, failure: Exception, *, source: str | None = None) -> CheckResult:
    """A check that ended in `failure`, told as the error is told everywhere else."""
    problem = error_report(failure)
    return error(check, problem.message, problem.hint, problem.exit, source=source)


def most_severe(findings: Iterable[CheckResult]) -> ExitCode:
    """The code of the first bad finding; DONE if there is none."""
    return next((finding.exit for finding in findings if finding.severity is Severity.ERROR), ExitCode.OK)
