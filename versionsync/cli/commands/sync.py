"""`versionsync sync`: bring the mirror up to date, once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode
from versionsync.cli.options import flag, option, sources_to
from versionsync.cli.signals import run_until_interrupted
from versionsync.cli.views.sync import print_report
from versionsync.text import count

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from versionsync.mirror.database import Mirror
    from versionsync.sync.options import SyncOptions
    from versionsync.sync.report import RunReport
    from versionsync.wiring.sync_all import SourceJob

__all__ = ["sync"]

NO_IDS = frozenset({"", ".", ".."})
"""What no address can name; whether there is a record of another id is upstream's to say."""
LONGEST_ID = 255


def sync(
    session: CliContext,
    sources: Annotated[list[str] | None, sources_to("sync")] = None,
    *,
    full: Annotated[bool, flag("--full", help="Read every history of every record to its end.")] = False,
    record: Annotated[
        list[str] | None, option("--record", "ID", "Only this record. You can repeat the option.")
    ] = None,
    scrub: Annotated[
        int,
        option(
            "--scrub", "N", "Read N histories again, starting with those read longest ago.", min=0, show_default=False
        ),
    ] = 0,
    dry_run: Annotated[bool, flag("--dry-run", help="Show what a sync would do. Write nothing.")] = False,
    allow_mass_delete: Annotated[
        bool, flag("--allow-mass-delete", help="Allow this run to mark more records deleted than mass_delete_limit.")
    ] = False,
    wait: Annotated[
        float,
        option(
            "--wait", "SECONDS", "Wait this long if another process writes to the source.", min=0, show_default=False
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
    from versionsync.sync.options import SyncOptions

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

    return [SourceJob(source, session.api_token(source)) for source in session.sources(names)]


def count_requests(mirror: Mirror, jobs: Sequence[SourceJob]) -> None:
    """Record the requests that were sent: the budget is the project's. An unavailable database is ignored."""
    from versionsync.mirror.errors import MirrorError
    from versionsync.mirror.tables.sources import source_id
    from versionsync.mirror.tables.usage import add_requests

    today = datetime.now(UTC).date()
    for job in jobs:

        def save(tx: Connection, name: str = job.source.name, sent: int = job.progress.counts.requests) -> None:
            if sent and (id := source_id(tx, name)) is not None:
                add_requests(tx, id, today, sent)

        with suppress(MirrorError):
            mirror.transact(save)


def run_all(session: CliContext, mirror: Mirror, jobs: Sequence[SourceJob], options: SyncOptions) -> list[RunReport]:
    """Run `jobs` at the same time and show their progress. An interrupt ends the program with code 130."""
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
