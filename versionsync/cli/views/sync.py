"""What `versionsync sync` prints of its runs: a table and notes for people, or JSON."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode, error_report, most_severe
from versionsync.cli.terminal.output import Column
from versionsync.text import count

if TYPE_CHECKING:
    from versionsync.sync.report import RunReport

__all__ = ["COLUMNS", "print_report"]

SHOWN_FAILURES = 10

COLUMNS = (
    Column("source", shrinks=True),
    Column("outcome"),
    Column("records", "right"),
    Column("new versions", "right"),
    Column("events", "right"),
    Column("requests", "right"),
    Column("seconds", "right"),
)


def print_report(session: CliContext, reports: Sequence[RunReport], seconds: Sequence[float]) -> None:
    """Print the results of the runs. Unless all succeeded, end the program with the most severe code."""
    code = session.verdict = most_severe(_exit(report) for report in reports)
    if session.output.as_json:
        entries = [_entry(report, took, session) for report, took in zip(reports, seconds, strict=True)]
        session.output.json({"exit": code, "sources": entries})
    else:
        session.output.table(COLUMNS, [_row(report, took) for report, took in zip(reports, seconds, strict=True)])
        for report in reports:
            _notes(session, report)
    if code is not ExitCode.OK:
        raise typer.Exit(code)


def _exit(report: RunReport) -> ExitCode:
    from versionsync.sync.report import Outcome

    if report.error is not None:
        return error_report(report.error).exit
    return {
        Outcome.SUCCEEDED: ExitCode.OK,
        Outcome.PARTIAL: ExitCode.PARTIAL,
        Outcome.INTERRUPTED: ExitCode.INTERRUPTED,
    }.get(report.outcome, ExitCode.UNEXPECTED)


def _row(report: RunReport, seconds: float) -> tuple[str, ...]:
    counts = report.counts
    return (
        report.source,
        f"{report.outcome.value}{' (dry run)' if report.run_id is None and report.would_pull is not None else ''}",
        f"{counts.records_swept:,}",
        f"{counts.versions_inserted:,}",
        f"{counts.events_written:,}",
        f"{counts.requests:,}",
        f"{seconds:.1f}",
    )


def _notes(session: CliContext, report: RunReport) -> None:
    """Print what a person should know besides the table, on standard error."""
    output = session.output
    if report.would_pull is not None:
        would = f"{count(report.would_pull, 'record')} would be read, {report.would_delete or 0:,} marked as deleted"
        output.plain_line(f"{report.source}: {would}. Nothing was written.")
    for note in report.notes:
        output.note(f"{report.source}: {note}")
    for failure in report.failures[:SHOWN_FAILURES]:
        output.note(f"{report.source}: record {failure.record_id}: {failure.reason}")
    if len(report.failures) > SHOWN_FAILURES:
        output.note(f"{report.source}: and {count(len(report.failures) - SHOWN_FAILURES, 'record')} more (--json: all)")
    if not all(failure.is_unknown for failure in report.failures):
        output.note(f"{report.source}: these records are tried again by the next run.")
    if report.error is not None:
        if session.options.debug:
            output.note("".join(traceback.format_exception(report.error)))
        problem = error_report(report.error)
        output.error(f"{report.source}: {problem.message}", problem.hint)


def _entry(report: RunReport, seconds: float, session: CliContext) -> dict[str, Any]:
    problem = None if report.error is None else error_report(report.error)
    return {
        "source": report.source,
        "outcome": report.outcome,
        "exit": _exit(report),
        "kind": report.kind,
        "run_id": report.run_id,
        "project": report.project_name,
        "environment": report.environment,
        "seconds": round(seconds, 3),
        "counts": report.counts,
        "would_pull": report.would_pull,
        "would_delete": report.would_delete,
        "notes": list(report.notes),
        "failures": list(report.failures),
        "error": problem and problem.redacted(session.redactor.redact).to_fields(),
    }
