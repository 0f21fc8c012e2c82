"""What a check of `doctor` found: one line, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from versionsync.cli.exit_codes import Exit, problem_of

__all__ = ["Finding", "Verdict", "bad", "failed", "good", "verdict_of", "warning"]


class Verdict(StrEnum):
    """Whether something is as it should be; the values are those of the JSON output."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of `doctor`. `check` is a word that stays the same; `exit` is the code that a bad one ends with."""

    check: str
    verdict: Verdict
    message: str
    todo: str | None = None
    source: str | None = None
    exit: Exit = Exit.DONE


def good(check: str, message: str, *, source: str | None = None) -> Finding:
    """All is well."""
    return Finding(check=check, verdict=Verdict.GOOD, message=message, source=source)


def warning(check: str, message: str, todo: str | None = None, *, source: str | None = None) -> Finding:
    """It works, but somebody should know."""
    return Finding(check=check, verdict=Verdict.WARNING, message=message, todo=todo, source=source)


def bad(check: str, message: str, todo: str | None, exit: Exit, *, source: str | None = None) -> Finding:
    """A sync would fail with `exit`."""
    return Finding(check=check, verdict=Verdict.BAD, message=message, todo=todo, source=source, exit=exit)


def failed(check: str, error: Exception, *, source: str | None = None) -> Finding:
    """A check that ended in `error`, told as the error is told everywhere else."""
    problem = problem_of(error)
    return bad(check, problem.message, problem.hint, problem.exit, source=source)


def verdict_of(findings: Iterable[Finding]) -> Exit:
    """The code of the first bad finding; DONE if there is none."""
    return next((finding.exit for finding in findings if finding.verdict is Verdict.BAD), Exit.DONE)
