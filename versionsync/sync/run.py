"""One sync of one source, from its first request to its recorded outcome.

The ladder: a beacon says whether anything changed; a sweep says which records did; a pull reads what is new of each.
What a sweep no longer lists is asked for one by one, and only what upstream itself does not find is gone. No step
trusts the one before it more than it must, and every step can be stopped anywhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from structlog.contextvars import bind_contextvars, bound_contextvars, unbind_contextvars
from structlog.typing import FilteringBoundLogger

from versionsync import cma
from versionsync.errors import ErrorKind
from versionsync.ledger.formats import TimeFormat
from versionsync.ledger.ids import RecordId
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.thread import DatabaseThread
from versionsync.mirror.errors import MirrorError
from versionsync.mirror.tables.editors import unknown_editors, upsert_editors
from versionsync.mirror.tables.records import has_due_schedule
from versionsync.mirror.tables.runs import has_written_since
from versionsync.mirror.tables.sources import SourceRow, load_source, register_source, update_history_retention
from versionsync.sync.beacon import ActiveEnvironment, is_trusted, settling_seconds
from versionsync.sync.context import Context
from versionsync.sync.dry_run import dry_run
from versionsync.sync.editors import read_editors
from versionsync.sync.format_check import confirm_format
from versionsync.sync.lease import LeaseKeeper
from versionsync.sync.limits import within_limits
from versionsync.sync.pipeline import Pipeline
from versionsync.sync.project import (
    check_upstream,
    format_of,
    is_first_sync,
    is_other_environment,
    is_other_format,
    project_of,
    rebuild_views,
    resolve_environment,
    save_format,
    save_upstream,
)
from versionsync.sync.report import Counts, Outcome, Progress, RunKind, RunReport, SourceSpec, SyncOptions
from versionsync.sync.result import FAILURES_SHOWN, RunResult, checkpoint_of, error_text, kind_of_error, outcome_of
from versionsync.sync.retention import is_due, read_history_retention
from versionsync.sync.sweep import ListedModels
from versionsync.sync.tracing import traced
from versionsync.sync.unexplained import RESERVED_REQUESTS, UnexplainedChange
from versionsync.sync.workers import first_error
from versionsync.text import changes

__all__ = ["sync_source"]

UNEXPLAINED = (
    "upstream reports a change that no list shows, such as a publication of single locales: "
    "the histories of records that may have been published are read, in this run and the next ones"
)


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
) -> RunReport:
    """Bring the mirror of one source up to date, and record how that went.

    Whatever ends a run early is in the report's `error`: a CmaError, a MirrorError, MassDeletionError. Cancelling stops
    it cleanly: what is committed stays, the run is recorded as interrupted, and CancelledError is raised again.
    """
    async with DatabaseThread(f"{spec.name}-reads") as reading, DatabaseThread(f"{spec.name}-writes") as writing:
        desk = Context(mirror, reading, writing, now=now, log=log.bind(source=spec.name))
        run = SyncRun(desk, client, spec, options, progress)
        with bound_contextvars(source=spec.name):
            try:
                return await traced(spec, options, progress, run.report)
            finally:
                unbind_contextvars("run")


class SyncRun:
    def __init__(
        self, desk: Context, client: cma.Client, spec: SourceSpec, options: SyncOptions, progress: Progress
    ) -> None:
        self._context = desk
        self._client = client
        self._spec = spec
        self._options = options
        self._progress = progress
        self._kind = RunKind.INCREMENTAL
        self._lease: LeaseKeeper | None = None
        self._active: ActiveEnvironment | None = None
        self._schema: cma.Schema | None = None
        self._project_name: str | None = None
        self._result = RunResult()
        self._unexplained_since: datetime | None = None

    async def report(self) -> RunReport:
        """Do it, whatever comes of it."""
        error: BaseException | None = None
        try:
            async with within_limits(
                self._activity,
                lambda: self._client.usage.requests,
                phase=lambda: self._progress.phase,
                stall_seconds=self._options.stall_seconds,
                max_requests=self._options.max_requests,
            ):
                await (self._dry_run() if self._options.dry_run else self._sync())
        except asyncio.CancelledError:
            with suppress(MirrorError):  # then the next run notes it
                await self._end(Outcome.INTERRUPTED, None)
            raise
        except BaseExceptionGroup as errors:
            error = first_error(errors)
        except Exception as single:  # whatever it is, it ends this run alone, and the report says so
            error = single
        outcome = outcome_of(self._result, error)
        try:
            await self._end(outcome, error)
        except MirrorError as late:
            outcome, error = Outcome.FAILED, error or late
        self._progress.set_phase("finished")
        return self._report(outcome, error)

    def _activity(self) -> object:
        """Another value than before, when anything got done: an answer, a try that failed, a transaction."""
        return self._progress.phase, replace(self._progress.counts), replace(self._client.usage)

    async def _sync(self) -> None:
        known = await self._context.read(lambda connection: load_source(connection, self._spec.name))
        if known is None:
            known = await self._register()
        self._kind = _kind(self._options, known)
        self._progress.set_phase("waiting")
        self._lease = await LeaseKeeper.acquire(
            self._context,
            known.id,
            kind=self._kind,
            trigger=self._options.trigger,
            wait_seconds=self._options.wait_seconds,
        )
        self._progress.lease = self._lease.info
        bind_contextvars(run=self._lease.run_id)  # in every line from now on, its requests' too
        async with self._lease.renewing(lambda: self._progress.sent(self._client.usage)):
            # Whoever held the lease until now may have gone on from what we read before.
            held = await self._context.read(lambda connection: load_source(connection, self._spec.name)) or known
            self._project_name = held.project.name
            await self._run_pipeline(held, self._lease)

    async def _dry_run(self) -> None:
        known = await self._context.read(lambda connection: load_source(connection, self._spec.name))
        place = await self._resolve_environment(known)
        if known is not None and await self._can_skip(known, place):
            self._result.would_pull = self._result.would_delete = 0
            return
        client = self._client.with_environment(place.environment)
        await dry_run(
            self._context,
            client,
            known,
            self._spec,
            self._options,
            place=place,
            progress=self._progress,
            found=self._result,
        )

    async def _register(self) -> SourceRow:
        """A source is known once upstream was asked what it is."""
        place = await self._resolve_environment(None)
        self._schema = await self._client.with_environment(place.environment).schema()
        project, now = project_of(self._schema.site, self._spec, place, None), self._context.now()
        return await self._context.write(lambda tx: register_source(tx, self._spec.name, project, observed_at=now))

    async def _resolve_environment(self, known: SourceRow | None) -> ActiveEnvironment:
        if self._active is None:
            self._progress.set_phase("connecting")
            self._active = await resolve_environment(self._client, self._spec, known, now=self._context.now())
        return self._active

    def _can_trust_beacon(self, known: SourceRow, place: ActiveEnvironment) -> bool:
        """Whether what was there at the last look is known: only what came after its stamp can be new."""
        if is_other_environment(known.project, place.environment, place.created_at):
            return False
        return is_trusted(
            was_settled=known.checkpoint.last_data_change_is_settled,
            last_complete_sweep_at=known.checkpoint.last_complete_sweep_at,
            now=self._context.now(),
            trust=self._options.beacon_trust,
        )

    async def _can_skip(self, known: SourceRow, place: ActiveEnvironment) -> bool:
        if (
            self._options.full
            or self._options.record_ids
            or self._options.scrub
            or not self._can_trust_beacon(known, place)
        ):
            return False
        last, now = known.checkpoint.last_data_change_at, place.beacon.at
        if last is None or now is None or last != place.beacon.last_data_change_at:
            return False
        # What upstream's clock carries out is nobody's act, and need not move the stamp of the last change.
        return not await self._context.read(
            lambda connection: has_due_schedule(connection, known.id, after=last, until=now)
        )

    async def _run_pipeline(self, known: SourceRow, tenure: LeaseKeeper) -> None:
        place = await self._resolve_environment(known)
        rests = await self._can_skip(known, place)
        limit, pending = self._spec.unexplained, known.checkpoint.unexplained_change_since
        self._unexplained_since = pending
        allowed = limit.allowance(known.checkpoint.unexplained_read_at, self._context.now())
        if rests and (pending is None or self._within_budget(allowed) < limit.least):
            self._result.blocked_views = {}
            if known.blocked_views:
                await self._rebuild_views(tenure)
            return
        client = self._client.with_environment(place.environment)
        schema = self._schema or await client.schema()
        upstream = await check_upstream(
            self._context,
            client,
            known,
            self._spec,
            schema,
            place=place,
            believes_all=self._options.allow_mass_delete,
            found=self._result,
        )
        run_id, now = tenure.run_id, self._context.now()
        noted = await self._context.write(
            lambda tx: save_upstream(tx, tenure.lease, known, upstream, run_id=run_id, observed_at=now)
        )
        self._progress.counts.events_written += noted.events
        await self._rebuild_views(tenure)  # after the events, which hold the former names of fields
        self._result.is_first_sync = is_first_sync(known, place)
        climb = Pipeline(
            self._context,
            client,
            tenure,
            self._spec,
            self._options,
            progress=self._progress,
            found=self._result,
            schema=upstream.schema,
            sight=upstream.visibility,
            believes=self._result.is_first_sync,
        )
        if self._options.record_ids:
            await climb.sync_records([RecordId(id) for id in self._options.record_ids])
        elif self._options.scrub:
            await climb.scrub(self._options.scrub)
        else:
            if not rests and await self._is_unexplained(climb, known, place, tenure, is_change=noted.is_change):
                pending, self._result.is_unexplained = self._result.checked_from, True  # the lists may have been old
            elif self._options.full or self._result.is_first_sync:
                self._result.unexplained, pending = UnexplainedChange(None, None), None
            if pending is not None and self._result.is_complete and not upstream.visibility.hidden:
                schema_cost = 1 if rests else 0  # it was read for this alone
                await climb.read_candidates(pending, self._within_budget(allowed - schema_cost))
            if self._result.unexplained is not None:
                self._unexplained_since = self._result.unexplained.since
                if self._unexplained_since is not None:
                    self._result.notes.append(UNEXPLAINED)
            await self._save_format(client, known, upstream.schema, tenure)
            await self._read_retention(client, known, tenure)
        climb.collect_failures()
        await self._resolve_editors(client, tenure)

    async def _rebuild_views(self, tenure: LeaseKeeper) -> None:
        """Make the typed views fit the schema. They are a convenience: what keeps them from it fails no run."""
        blocked = await self._context.write(lambda tx: rebuild_views(tx, tenure.lease))
        self._result.blocked_views = blocked
        if blocked:
            self._context.log.info("views.blocked", views=blocked)
            self._result.notes.extend(
                f"the view {name} could not follow the schema and stays as it was: {obstacle}"
                for name, obstacle in blocked.items()
            )

    async def _save_format(self, client: cma.Client, known: SourceRow, schema: cma.Schema, tenure: LeaseKeeper) -> None:
        """Save in which form upstream prints times, as far as this run has seen it."""
        seen = TimeFormat(self._result.precision, schema.site.time_zone)
        if not is_other_format(known.project, seen):
            return
        confirmed = await confirm_format(client, format_of(known.project), seen, ListedModels.group_of(schema).listed)
        self._result.schema_is_settled &= confirmed == seen
        if not is_other_format(known.project, confirmed):
            return
        run_id, now = tenure.run_id, self._context.now()
        self._progress.counts.events_written += await self._context.write(
            lambda tx: save_format(tx, tenure.lease, known, confirmed, run_id=run_id, observed_at=now)
        )

    async def _read_retention(self, client: cma.Client, known: SourceRow, tenure: LeaseKeeper) -> None:
        """Learn once a day for how long upstream keeps versions, where it says so."""
        if not is_due(known.checkpoint, now=self._context.now()):
            return
        retention = await read_history_retention(client)
        if retention is not None and retention.days != known.project.history_retention_days:
            days = retention.days
            await self._context.write(lambda tx: update_history_retention(tx, tenure.lease, days))

    async def _is_unexplained(
        self, climb: Pipeline, known: SourceRow, place: ActiveEnvironment, tenure: LeaseKeeper, *, is_change: bool
    ) -> bool:
        """Find what changed, and return whether upstream shows a change that is not among it.

        `is_change`: the project or its schema changed. What another run wrote since the last complete one, such as one
        of single records, explains a change, too.
        """
        if self._options.wait_until_settled:
            await asyncio.sleep(settling_seconds(place.beacon))
        is_elsewhere_now = is_other_environment(known.project, place.environment, place.created_at)
        last = None if is_elsewhere_now else known.checkpoint.last_data_change_at
        stamp = place.beacon.last_data_change_at
        is_explained = await climb.sync_all(last=last, stamp=stamp, trusts=self._can_trust_beacon(known, place))
        if last is None or stamp is None or stamp == last or is_explained or is_change:
            return False
        since = known.checkpoint.complete_as_of
        return since is not None and not await self._context.read(
            lambda connection: has_written_since(connection, known.id, since=since, besides=tenure.run_id)
        )

    def _within_budget(self, requests: int) -> int:
        """As many of these requests as the run may still send, and a few less."""
        if self._options.max_requests is None:
            return requests
        return max(min(requests, self._options.max_requests - self._client.usage.requests - RESERVED_REQUESTS), 0)

    async def _resolve_editors(self, client: cma.Client, tenure: LeaseKeeper) -> None:
        """Ask for the names of editors of whom upstream was not asked yet; a full run asks for the nameless again."""
        source_id, full = tenure.lease.source_id, self._options.full
        unknown = await self._context.read(lambda connection: unknown_editors(connection, source_id, nameless_too=full))
        rows, notes = await read_editors(client, unknown)
        if rows:
            await self._context.write(lambda tx: upsert_editors(tx, tenure.lease, rows))
        self._result.notes.extend(notes)

    async def _end(self, outcome: Outcome, error: BaseException | None) -> None:
        counts = self._progress.sent(self._client.usage)
        if self._lease is not None:
            checkpoint = checkpoint_of(
                outcome,
                self._result,
                self._active,
                kind=self._kind,
                started_at=self._lease.started_at,
                now=self._context.now(),
            )
            wrongs, trouble = error_text(self._result, error), self._error_kind(outcome, error)
            await self._lease.release(outcome, counts, wrongs=wrongs, trouble=trouble, checkpoint=checkpoint)

    def _error_kind(self, outcome: Outcome, error: BaseException | None) -> ErrorKind | None:
        only_unknown = self._kind is RunKind.RECORDS and self._result.only_unknown
        return kind_of_error(outcome, error, only_unknown=only_unknown)

    def _report(self, outcome: Outcome, error: BaseException | None) -> RunReport:
        counts, found = self._progress.counts, self._result
        for failure in found.failures[:FAILURES_SHOWN]:
            self._context.log.debug("record.failed", record=failure.record_id, reason=failure.reason)
        _log_finished(self._context.log, self._kind, outcome, counts)
        return RunReport(
            source=self._spec.name,
            kind=self._kind,
            outcome=outcome,
            counts=counts,
            run_id=self._lease.run_id if self._lease else None,
            project_name=self._project_name,
            environment=self._active.environment if self._active else None,
            error=error,
            failures=found.failures,
            notes=found.notes,
            would_pull=found.would_pull,
            would_delete=found.would_delete,
            unexplained_change_since=self._unexplained_since,
            blocked_views=found.blocked_views,
        )


def _kind(options: SyncOptions, known: SourceRow) -> RunKind:
    if options.record_ids:
        return RunKind.RECORDS
    if options.scrub:
        return RunKind.SCRUB
    if known.checkpoint.last_complete_sweep_at is None:
        return RunKind.BACKFILL
    return RunKind.FULL if options.full else RunKind.INCREMENTAL


def _log_finished(log: FilteringBoundLogger, kind: RunKind, outcome: Outcome, counts: Counts) -> None:
    """Log the end of a run: at debug level if it found nothing, since a daemon makes more than a thousand a day."""
    message = changes(
        versions_inserted=counts.versions_inserted,
        versions_changed=counts.versions_changed,
        events=counts.events_written,
        records_failed=counts.records_failed,
    )
    found = counts.versions_inserted or counts.versions_changed or counts.events_written
    is_quiet = outcome is Outcome.SUCCEEDED and not found
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
