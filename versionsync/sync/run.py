"""One sync of one source, from its first request to its recorded outcome.

A run takes the source's lease before its first request, also the first run of a source: so a process that does not get
the lease asks nothing of DatoCMS, and a run that fails at its first request is recorded all the same.

The beacon shows whether anything changed. A sweep finds the records that did, and a pull reads what is new of each.
Records that a sweep no longer lists are asked for one by one; only those that DatoCMS does not find are deleted. No
stage trusts the one before it more than necessary, and every stage can be stopped anywhere.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from structlog.contextvars import bind_contextvars, bound_contextvars, unbind_contextvars
from structlog.typing import FilteringBoundLogger

from versionsync import cma
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import LeaseHeld, MirrorError
from versionsync.mirror.tables.runs import Counts
from versionsync.mirror.tables.sources import SourceRow, add_sources, load_source, register_project
from versionsync.sync.async_mirror import AsyncMirror
from versionsync.sync.beacon import ActiveEnvironment, read_beacon
from versionsync.sync.context import RunContext
from versionsync.sync.dry_run import count_of_new_source, dry_run
from versionsync.sync.lease_renewal import LeaseKeeper
from versionsync.sync.options import SourceSpec, SyncOptions
from versionsync.sync.pipeline import can_skip, run_pipeline
from versionsync.sync.project_update import project_of
from versionsync.sync.report import Outcome, Progress, RunKind, RunReport
from versionsync.sync.run_limits import Limits, Timings, within_limits
from versionsync.sync.run_memory import RunMemory
from versionsync.sync.stage_results import (
    FAILURES_SHOWN,
    RunResult,
    checkpoint_of,
    error_text,
    kind_of_error,
    outcome_of,
)
from versionsync.sync.tracing import traced
from versionsync.sync.workers import WorkerPool, first_error
from versionsync.text import changes

__all__ = ["sync_source"]

TIMINGS, LIMITS = Timings(), Limits()


def _utc_now() -> datetime:
    return datetime.now(UTC)


async def sync_source(
    mirror: Mirror,
    client: cma.Client,
    spec: SourceSpec,
    options: SyncOptions,
    *,
    progress: Progress,
    log: FilteringBoundLogger,
    now: Callable[[], datetime] = _utc_now,
    timings: Timings = TIMINGS,
    limits: Limits = LIMITS,
) -> RunReport:
    """Sync one source, and record how that went.

    An error that ends the run is in the report's `error`: a CmaError, a MirrorError, MassDeletionError. Cancelling
    stops the run cleanly: what is committed stays, the run is recorded as interrupted, and CancelledError is raised.

    Args:
        mirror: The database to write to.
        client: The API client. The run chooses the environment.
        spec: The source's settings.
        options: What this run should do.
        progress: Shows the progress of the run to others.
        log: Where to log.
        now: The local clock.
        timings: The pauses of the run.
        limits: How much it does at once.
    """
    async with mirror.lane(f"{spec.name}-reads") as reading, mirror.lane(f"{spec.name}-writes") as writing:
        run = _SyncRun(
            database=AsyncMirror(mirror, reading, writing),
            client=client,
            spec=spec,
            options=options,
            progress=progress,
            log=log.bind(source=spec.name),
            now=now,
            timings=timings,
            limits=limits,
        )
        with bound_contextvars(source=spec.name):
            try:
                return await traced(spec, options, progress, run.report)
            finally:
                unbind_contextvars("run")


@dataclass(slots=True, kw_only=True)
class _SyncRun:
    """The life of a run: it connects, takes the lease, makes the context, and records the outcome."""

    database: AsyncMirror
    client: cma.Client
    spec: SourceSpec
    options: SyncOptions
    progress: Progress
    log: FilteringBoundLogger
    now: Callable[[], datetime]
    timings: Timings
    limits: Limits
    kind: RunKind = RunKind.INCREMENTAL
    keeper: LeaseKeeper | None = None
    environment: ActiveEnvironment | None = None
    project_name: str | None = None
    result: RunResult = field(default_factory=RunResult)

    async def report(self) -> RunReport:
        """Do the run, and return its report, however it ends."""
        error: BaseException | None = None
        try:
            async with within_limits(
                self._activity,
                lambda: self.client.usage.requests,
                phase=lambda: self.progress.phase,
                stall_seconds=self.options.stall_seconds,
                max_requests=self.options.max_requests,
                poll_seconds=self.timings.poll_progress,
            ):
                await (self._dry_run() if self.options.dry_run else self._sync())
        except asyncio.CancelledError:
            with suppress(MirrorError):  # the next run marks this one as interrupted
                await self._end(Outcome.INTERRUPTED, None)
            raise
        except BaseExceptionGroup as errors:
            error = first_error(errors)
        except Exception as single:  # any error ends this run only, and is in its report
            error = single
        outcome = outcome_of(self.result, error)
        try:
            await self._end(outcome, error)
        except MirrorError as late:
            outcome, error = Outcome.FAILED, error or late
        self.progress.set_phase("finished")
        return self._report(outcome, error)

    def _activity(self) -> object:
        """Return a value that changes with each answer, each failed attempt of a request, and each transaction.

        It also changes while the run waits for others: they have to make progress, and this one cannot.
        """
        waits = self.progress.waits_for_others or self.client.waits_for_others
        waiting = time.monotonic() if waits else None
        return self.progress.phase, replace(self.progress.counts), replace(self.client.usage), waiting

    def _count_usage(self) -> Counts:
        return self.progress.count_usage(self.client.usage)

    async def _load(self) -> SourceRow | None:
        return await self.database.read(lambda connection: load_source(connection, self.spec.name))

    async def _sync(self) -> None:
        known = await self._load()
        source_id = known.id if known is not None else await self._add()
        self.kind = _kind(self.options, known)
        self.progress.set_phase("waiting")
        keeper = self.keeper = await LeaseKeeper.acquire(
            self.database,
            source_id,
            kind=self.kind,
            trigger=self.options.trigger,
            wait_seconds=self.options.wait_seconds,
            now=self.now,
            timings=self.timings,
        )
        self.progress.lease = keeper.info
        bind_contextvars(run=keeper.run_id)  # in every log line from now on, those of requests too
        async with keeper.renewing(self._count_usage):
            source, schema = await self._load(), None  # the last holder of the lease may have changed it
            if source is None:
                source, schema = await self._register(keeper)
            self.project_name = source.project.name
            ctx = await self._context(source, keeper)
            await run_pipeline(ctx, schema, self.result)

    async def _dry_run(self) -> None:
        source = await self._load()
        if source is None:
            environment = await self._read_beacon(None)
            client = self.client.with_environment(environment.environment)
            self.result.would_pull, self.result.would_delete = await count_of_new_source(client, self.options), 0
            return
        ctx = await self._context(source, None)
        if await can_skip(ctx):
            self.result.would_pull = self.result.would_delete = 0
        else:
            await dry_run(ctx, self.result)

    async def _add(self) -> int:
        """Insert a row for the source, to hold its lease, and return its id."""
        name = self.spec.name
        return (await self.database.write(lambda tx: add_sources(tx, [name])))[name]

    async def _register(self, keeper: LeaseKeeper) -> tuple[SourceRow, cma.Schema]:
        """Read what the source is, and write that into its row."""
        environment = await self._read_beacon(None)
        schema = await self.client.with_environment(environment.environment).schema()
        project, now = project_of(schema.site, self.spec, environment, None), self.now()
        source = await self.database.write(lambda tx: register_project(tx, keeper.lease, project, observed_at=now))
        return source, schema

    async def _context(self, source: SourceRow, keeper: LeaseKeeper | None) -> RunContext:
        environment = await self._read_beacon(source)
        return RunContext(
            database=self.database,
            client=self.client.with_environment(environment.environment),
            spec=self.spec,
            source=source,
            environment=environment,
            options=self.options,
            keeper=keeper,
            workers=WorkerPool(self._count_usage),
            progress=self.progress,
            log=self.log,
            now=self.now,
            timings=self.timings,
            limits=self.limits,
            memory=RunMemory(self.limits.shared, queue_bytes=self.limits.queue_bytes, progress=self.progress),
        )

    async def _read_beacon(self, source: SourceRow | None) -> ActiveEnvironment:
        """Return the environment with its beacon, which is read once in a run."""
        if self.environment is None:
            self.progress.set_phase("connecting")
            self.environment = await read_beacon(
                self.client, environment=self.spec.environment, known=source, now=self.now()
            )
        return self.environment

    async def _end(self, outcome: Outcome, error: BaseException | None) -> None:
        counts = self._count_usage()
        if self.keeper is None:
            return
        only_unknown = self.kind is RunKind.RECORDS and self.result.only_unknown
        checkpoint = checkpoint_of(
            outcome, self.result, self.environment, kind=self.kind, started_at=self.keeper.started_at, now=self.now()
        )
        await self.keeper.release(
            outcome,
            counts,
            error=error_text(self.result, error),
            error_kind=kind_of_error(outcome, error, only_unknown=only_unknown),
            checkpoint=checkpoint,
        )

    def _report(self, outcome: Outcome, error: BaseException | None) -> RunReport:
        counts, result = self.progress.counts, self.result
        for failure in result.failures[:FAILURES_SHOWN]:
            self.log.debug("record.failed", record=failure.record_id, reason=failure.reason)
        _log_finished(self.log, self.kind, outcome, counts, is_locked=isinstance(error, LeaseHeld))
        return RunReport(
            source=self.spec.name,
            kind=self.kind,
            outcome=outcome,
            counts=counts,
            run_id=self.keeper.run_id if self.keeper else None,
            project_name=self.project_name,
            environment=self.environment.environment if self.environment else None,
            error=error,
            failures=result.failures,
            notes=list(result.found.notes),
            would_pull=result.would_pull,
            would_delete=result.would_delete,
            unexplained_change_since=result.unexplained_since,
            blocked_views=result.blocked_views,
            upstream_changed_at=self.environment.beacon.last_data_change_at if self.environment else None,
        )


def _kind(options: SyncOptions, source: SourceRow | None) -> RunKind:
    if options.record_ids:
        return RunKind.RECORDS
    if options.scrub:
        return RunKind.SCRUB
    if source is None or source.checkpoint.last_complete_sweep_at is None:
        return RunKind.BACKFILL
    return RunKind.FULL if options.full else RunKind.INCREMENTAL


def _log_finished(
    log: FilteringBoundLogger, kind: RunKind, outcome: Outcome, counts: Counts, *, is_locked: bool
) -> None:
    """Log the end of a run.

    It is at debug level if the run found nothing, since a daemon makes more than a thousand a day, or did not begin
    since another process writes to the source.
    """
    message = changes(
        versions_inserted=counts.versions_inserted,
        versions_changed=counts.versions_changed,
        events=counts.events_written,
        records_failed=counts.records_failed,
    )
    found = counts.versions_inserted or counts.versions_changed or counts.events_written
    is_quiet = is_locked or (outcome is Outcome.SUCCEEDED and not found)
    log.log(
        logging.DEBUG if is_quiet else logging.INFO,
        "run.finished",
        message=message,
        kind=kind,
        outcome=outcome,
        requests=counts.requests,
        records_pulled=counts.records_pulled,
        records_failed=counts.records_failed,
        versions_inserted=counts.versions_inserted,
        versions_changed=counts.versions_changed,
        events=counts.events_written,
    )
