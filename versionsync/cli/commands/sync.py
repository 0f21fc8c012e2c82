"""`versionsync sync`: bring the mirror up to date, once."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode, error_report, most_severe
from versionsync.cli.options import flag
from versionsync.cli.terminal.output import Column
from versionsync.text import count

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from versionsync.mirror.database import Mirror
    from versionsync.sync.report import RunReport, SyncOptions
    from versionsync.wiring.sync_all import SourceJob

__all__ = ["sync"]

SHOWN_FAILURES = 10
NO_IDS = frozenset({"", ".", ".."})
"""What no address can name; whether there is a record of another id is upstream's to say."""
LONGEST_ID = 255

COLUMNS = (
    Column("source", shrinks=True),
    Column("outcome"),
    Column("records", "right"),
    Column("new versions", "right"),
    Column("events", "right"),
    Column("requests", "right"),
    Column("seconds", "right"),
)


def sync(
    session: CliContext,
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="SOURCE", help="Sources to sync. Default: all.")
    ] = None,
    *,
    full: Annotated[bool, flag("--full", help="Read every history of every record to its end.")] = False,
    record: Annotated[
        list[str] | None,
        typer.Option("--record", metavar="ID", help="Only this record. You can repeat the option."),
    ] = None,
    scrub: Annotated[
        int,
        typer.Option(
            "--scrub",
            metavar="N",
            min=0,
            help="Read N histories again, starting with those read longest ago.",
            show_default=False,
        ),
    ] = 0,
    dry_run: Annotated[bool, flag("--dry-run", help="Show what a sync would do. Write nothing.")] = False,
    allow_mass_delete: Annotated[
        bool,
        flag("--allow-mass-delete", help="Allow this run to mark more records deleted than mass_delete_limit."),
    ] = False,
    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            min=0,
            help="Wait this long if another process writes to the source.",
            show_default=False,
        ),
    ] = 0.0,
    upgrade: Annotated[
        bool, flag("--upgrade", help="Upgrade a PostgreSQL schema first. (A SQLite file is always upgraded.)")
    ] = False,
) -> None:
    """Bring the mirror up to date, once.

    The first run reads the whole history, about 20 records a second. Later runs read only what changed; a run that
    finds nothing new is one request. You can stop a sync at any time: the next one continues. It only reads from
    DatoCMS, so it is safe on a live project.

    Examples:
        # Bring all sources up to date.
        versionsync sync

        # Show what one source would read, and write nothing.
        versionsync sync website --dry-run

        # In a cron job: wait for another process, and print JSON.
        versionsync sync --wait 60 --json
    """
    from versionsync.cli.tracing_setup import tracing
    from versionsync.sync.report import SyncOptions

    if sum((full, bool(record), bool(scrub))) > 1:
        raise typer.BadParameter("choose one of --full, --record and --scrub")
    if any(id in NO_IDS or len(id) > LONGEST_ID or not id.isprintable() for id in record or ()):
        raise typer.BadParameter("this is not an id", param_hint="--record")
    options = SyncOptions(
        full=full,
        record_ids=tuple(dict.fromkeys(record or ())),
        scrub=scrub,
        dry_run=dry_run,
        allow_mass_delete=allow_mass_delete,
        wait_seconds=wait,
    )
    jobs = source_jobs(session, sources or ())
    if options.record_ids and len(jobs) > 1:
        raise typer.BadParameter("name the source of the record, there are several", param_hint="--record")
    with tracing(session), session.open_mirror(create=True, upgrade=upgrade) as mirror:
        try:
            reports = run_all(session, mirror, jobs, options)
        finally:
            if not dry_run:
                count_requests(mirror, jobs)
    print_report(session, reports, [job.seconds for job in jobs])


def source_jobs(session: CliContext, names: Sequence[str]) -> list[SourceJob]:
    """Return the jobs for the sources called `names`, with their tokens. Raises a ConfigError before any starts."""
    from versionsync.wiring.sync_all import SourceJob

    return [SourceJob.on(source, session.api_token(source)) for source in session.sources(names)]


def count_requests(mirror: Mirror, jobs: Sequence[SourceJob]) -> None:
    """Record the requests that were sent: the budget is the project's. An unavailable database is ignored."""
    from versionsync.mirror.errors import MirrorError
    from versionsync.mirror.tables.sources import load_source
    from versionsync.mirror.tables.usage import add_requests

    today = datetime.now(UTC).date()
    for job in jobs:

        def save(tx: Connection, name: str = job.source.name, sent: int = job.progress.counts.requests) -> None:
            if sent and (known := load_source(tx, name)) is not None:
                add_requests(tx, known.id, today, sent)

        with suppress(MirrorError):
            mirror.transact(save)


def run_all(session: CliContext, mirror: Mirror, jobs: Sequence[SourceJob], options: SyncOptions) -> list[RunReport]:
    """Run `jobs` at the same time and show their progress. An interrupt ends the program with code 130."""
    from versionsync.cli.signals import run_until_interrupted
    from versionsync.cli.views.progress import progress_display
    from versionsync.wiring.sync_all import sync_all

    async def work() -> list[RunReport]:
        async with progress_display([job.progress for job in jobs], session.output):
            return await sync_all(mirror, jobs, options, log=session.log)

    try:
        return run_until_interrupted(
            work, on_stop=lambda: session.output.note("Stopping cleanly… (press again to stop at once)")
        )
    except KeyboardInterrupt:
        session.verdict = ExitCode.INTERRUPTED
        kept = sum(job.progress.counts.versions_inserted for job in jobs)
        session.output.note(
            f"Interrupted. What was committed is kept ({count(kept, 'new version')}); the next run continues."
        )
        if session.output.as_json:
            session.output.json({"outcome": "interrupted", "exit": ExitCode.INTERRUPTED, "versions_inserted": kept})
        raise typer.Exit(ExitCode.INTERRUPTED) from None


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
