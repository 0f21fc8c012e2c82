"""One sync of one source, from its first request to its recorded outcome.

The ladder: a beacon says whether anything changed; a sweep says which records did; a pull reads what is new of each.
What a sweep no longer lists is asked for one by one, and only what upstream itself does not find is gone. No step
trusts the one before it more than it must, and every step can be stopped anywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from structlog.contextvars import bind_contextvars, bound_contextvars, unbind_contextvars
from structlog.typing import FilteringBoundLogger

from versionsync import cma
from versionsync.ledger.formats import TimeFormat
from versionsync.ledger.ids import RecordId
from versionsync.mirror.database import Mirror
from versionsync.mirror.editors import unknown_editors, upsert_editors
from versionsync.mirror.errors import MirrorError
from versionsync.mirror.known import has_due_schedule
from versionsync.mirror.runs import has_written_since
from versionsync.mirror.sources import SourceRow, register_source, source, update_history_retention
from versionsync.sync.beacon import is_trusted, settling_seconds
from versionsync.sync.climb import Climb
from versionsync.sync.conclusion import FAILURES_TOLD, checkpoint_of, outcome_of, wrongs_of
from versionsync.sync.crew import first_error
from versionsync.sync.deadline import within_limits
from versionsync.sync.desk import Desk, Tenure
from versionsync.sync.editors import read_editors
from versionsync.sync.environment import Place
from versionsync.sync.findings import Findings
from versionsync.sync.format_check import confirm_format
from versionsync.sync.project import (
    believe_upstream,
    find_place,
    format_of,
    is_another_format,
    is_elsewhere,
    is_new_here,
    note_format,
    note_upstream,
    project_of,
    rebuild_views,
)
from versionsync.sync.rehearsal import rehearse
from versionsync.sync.report import Outcome, Progress, RunKind, RunReport, SourceSpec, SyncOptions
from versionsync.sync.retention import is_due, read_history_retention
from versionsync.sync.sweep import Models
from versionsync.sync.threads import DatabaseThread
from versionsync.sync.tracing import traced
from versionsync.sync.trouble import Trouble, trouble_in
from versionsync.sync.unexplained import LEAST_REQUESTS, UnexplainedChange

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

    Whatever ends a run early is in the report's `error`: a CmaError, a MirrorError, TooMuchVanished. Cancelling stops
    it cleanly: what is committed stays, the run is recorded as interrupted, and CancelledError is raised again.
    """
    async with DatabaseThread(f"{spec.name}-reads") as reading, DatabaseThread(f"{spec.name}-writes") as writing:
        desk = Desk(mirror, reading, writing, now=now, log=log.bind(source=spec.name))
        run = _Run(desk, client, spec, options, progress)
        with bound_contextvars(source=spec.name):
            try:
                return await traced(spec, options, progress, run.report)
            finally:
                unbind_contextvars("run")


class _Run:
    def __init__(
        self, desk: Desk, client: cma.Client, spec: SourceSpec, options: SyncOptions, progress: Progress
    ) -> None:
        self._desk = desk
        self._client = client
        self._spec = spec
        self._options = options
        self._progress = progress
        self._kind = RunKind.INCREMENTAL
        self._tenure: Tenure | None = None
        self._place: Place | None = None
        self._schema: cma.Schema | None = None
        self._project_name: str | None = None
        self._found = Findings()
        self._unexplained_since: datetime | None = None

    async def report(self) -> RunReport:
        """Do it, whatever comes of it."""
        error: BaseException | None = None
        try:
            async with within_limits(
                self._mark,
                lambda: self._client.usage.requests,
                phase=lambda: self._progress.phase,
                stall_seconds=self._options.stall_seconds,
                max_requests=self._options.max_requests,
            ):
                await (self._rehearse() if self._options.dry_run else self._sync())
        except asyncio.CancelledError:
            with suppress(MirrorError):  # then the next run notes it
                await self._end(Outcome.INTERRUPTED, None)
            raise
        except BaseExceptionGroup as errors:
            error = first_error(errors)
        except Exception as single:  # whatever it is, it ends this run alone, and the report says so
            error = single
        outcome = outcome_of(self._found, error)
        try:
            await self._end(outcome, error)
        except MirrorError as late:
            outcome, error = Outcome.FAILED, error or late
        self._progress.enter("finished")
        return self._told(outcome, error)

    def _mark(self) -> object:
        """Another value than before, when anything got done: an answer, a try that failed, a transaction."""
        return self._progress.phase, replace(self._progress.counts), replace(self._client.usage)

    async def _sync(self) -> None:
        known = await self._desk.read(lambda connection: source(connection, self._spec.name))
        if known is None:
            known = await self._register()
        self._kind = _kind(self._options, known)
        self._progress.enter("waiting")
        self._tenure = await Tenure.begin(
            self._desk,
            known.id,
            kind=self._kind,
            trigger=self._options.trigger,
            wait_seconds=self._options.wait_seconds,
        )
        self._progress.lease = self._tenure.term
        bind_contextvars(run=self._tenure.run_id)  # in every line from now on, its requests' too
        async with self._tenure.kept(lambda: self._progress.sent(self._client.usage)):
            # Whoever held the lease until now may have gone on from what we read before.
            held = await self._desk.read(lambda connection: source(connection, self._spec.name)) or known
            self._project_name = held.project.name
            await self._climb(held, self._tenure)

    async def _rehearse(self) -> None:
        known = await self._desk.read(lambda connection: source(connection, self._spec.name))
        place = await self._find(known)
        if known is not None and await self._may_rest(known, place):
            self._found.would_pull = self._found.would_delete = 0
            return
        client = self._client.with_environment(place.environment)
        await rehearse(
            self._desk,
            client,
            known,
            self._spec,
            self._options,
            place=place,
            progress=self._progress,
            found=self._found,
        )

    async def _register(self) -> SourceRow:
        """A source is known once upstream was asked what it is."""
        place = await self._find(None)
        self._schema = await self._client.with_environment(place.environment).schema()
        project, now = project_of(self._schema.site, self._spec, place, None), self._desk.now()
        return await self._desk.write(lambda tx: register_source(tx, self._spec.name, project, observed_at=now))

    async def _find(self, known: SourceRow | None) -> Place:
        if self._place is None:
            self._progress.enter("connecting")
            self._place = await find_place(self._client, self._spec, known, now=self._desk.now())
        return self._place

    def _trusts(self, known: SourceRow, place: Place) -> bool:
        """Whether what was there at the last look is known: only what came after its stamp can be new."""
        if is_elsewhere(known.project, place.environment, place.created_at):
            return False
        return is_trusted(
            was_settled=known.checkpoint.beacon_is_settled,
            last_complete_sweep_at=known.checkpoint.last_complete_sweep_at,
            now=self._desk.now(),
            trust=self._options.beacon_trust,
        )

    async def _may_rest(self, known: SourceRow, place: Place) -> bool:
        if self._options.full or self._options.record_ids or self._options.scrub or not self._trusts(known, place):
            return False
        last, now = known.checkpoint.last_data_change_at, place.beacon.at
        if last is None or now is None or last != place.beacon.last_data_change_at:
            return False
        # What upstream's clock carries out is nobody's act, and need not move the stamp of the last change.
        return not await self._desk.read(
            lambda connection: has_due_schedule(connection, known.id, after=last, until=now)
        )

    async def _climb(self, known: SourceRow, tenure: Tenure) -> None:
        place = await self._find(known)
        rests = await self._may_rest(known, place)
        limit, pending = self._spec.unexplained, known.checkpoint.unexplained_change_since
        self._unexplained_since = pending
        allowed = limit.allowance(known.checkpoint.unexplained_read_at, self._desk.now())
        if rests and (pending is None or self._within_budget(allowed) < limit.least):
            self._found.blocked_views = {}
            if known.blocked_views:
                await self._rebuild_views(tenure)
            return
        client = self._client.with_environment(place.environment)
        schema = self._schema or await client.schema()
        upstream = await believe_upstream(
            self._desk,
            client,
            known,
            self._spec,
            schema,
            place=place,
            believes_all=self._options.allow_vanish,
            found=self._found,
        )
        run_id, now = tenure.run_id, self._desk.now()
        noted = await self._desk.write(
            lambda tx: note_upstream(tx, tenure.lease, known, upstream, run_id=run_id, observed_at=now)
        )
        self._progress.counts.events_written += noted.events
        await self._rebuild_views(tenure)  # after the events, which hold the former names of fields
        self._found.is_new_here = is_new_here(known, place)
        climb = Climb(
            self._desk,
            client,
            tenure,
            self._spec,
            self._options,
            progress=self._progress,
            found=self._found,
            schema=upstream.schema,
            sight=upstream.sight,
            believes=self._found.is_new_here,
        )
        if self._options.record_ids:
            await climb.single([RecordId(id) for id in self._options.record_ids])
        elif self._options.scrub:
            await climb.scrub(self._options.scrub)
        else:
            if not rests and await self._is_unexplained(climb, known, place, tenure, is_change=noted.is_change):
                pending, self._found.is_unexplained = self._found.looked_from, True  # the lists may have been old
            elif self._options.full or self._found.is_new_here:
                self._found.unexplained, pending = UnexplainedChange(None, None), None
            if pending is not None and self._found.is_complete and not upstream.sight.hidden:
                schema_cost = 1 if rests else 0  # it was read for this alone
                await climb.read_candidates(pending, self._within_budget(allowed - schema_cost))
            if self._found.unexplained is not None:
                self._unexplained_since = self._found.unexplained.since
                if self._unexplained_since is not None:
                    self._found.notes.append(UNEXPLAINED)
            await self._note_format(client, known, upstream.schema, tenure)
            await self._read_retention(client, known, tenure)
        climb.conclude()
        await self._name_editors(client, tenure)

    async def _rebuild_views(self, tenure: Tenure) -> None:
        """Make the typed views fit the schema. They are a convenience: what keeps them from it fails no run."""
        blocked = await self._desk.write(lambda tx: rebuild_views(tx, tenure.lease))
        self._found.blocked_views = blocked
        if blocked:
            self._desk.log.info("views.blocked", views=blocked)
            self._found.notes.extend(
                f"the view {name} could not follow the schema and stays as it was: {obstacle}"
                for name, obstacle in blocked.items()
            )

    async def _note_format(self, client: cma.Client, known: SourceRow, schema: cma.Schema, tenure: Tenure) -> None:
        """Save in which form upstream prints times, as far as this run has seen it."""
        seen = TimeFormat(self._found.precision, schema.site.time_zone)
        if not is_another_format(known.project, seen):
            return
        confirmed = await confirm_format(client, format_of(known.project), seen, Models.of(schema).listed)
        self._found.schema_is_settled &= confirmed == seen
        if not is_another_format(known.project, confirmed):
            return
        run_id, now = tenure.run_id, self._desk.now()
        self._progress.counts.events_written += await self._desk.write(
            lambda tx: note_format(tx, tenure.lease, known, confirmed, run_id=run_id, observed_at=now)
        )

    async def _read_retention(self, client: cma.Client, known: SourceRow, tenure: Tenure) -> None:
        """Learn once a day for how long upstream keeps versions, where it says so."""
        if not is_due(known.checkpoint, now=self._desk.now()):
            return
        retention = await read_history_retention(client)
        if retention is not None and retention.days != known.project.history_retention_days:
            days = retention.days
            await self._desk.write(lambda tx: update_history_retention(tx, tenure.lease, days))

    async def _is_unexplained(
        self, climb: Climb, known: SourceRow, place: Place, tenure: Tenure, *, is_change: bool
    ) -> bool:
        """Find what changed, and return whether upstream shows a change that is not among it.

        `is_change`: the project or its schema changed. What another run wrote since the last complete one, such as one
        of single records, explains a change, too.
        """
        if self._options.settle:
            await asyncio.sleep(settling_seconds(place.beacon))
        is_elsewhere_now = is_elsewhere(known.project, place.environment, place.created_at)
        last = None if is_elsewhere_now else known.checkpoint.last_data_change_at
        stamp = place.beacon.last_data_change_at
        is_explained = await climb.everything(last=last, stamp=stamp, trusts=self._trusts(known, place))
        if last is None or stamp is None or stamp == last or is_explained or is_change:
            return False
        since = known.checkpoint.whole_as_of
        return since is not None and not await self._desk.read(
            lambda connection: has_written_since(connection, known.id, since=since, besides=tenure.run_id)
        )

    def _within_budget(self, requests: int) -> int:
        """As many of these requests as the run may still send, and a few less."""
        if self._options.max_requests is None:
            return requests
        return max(min(requests, self._options.max_requests - self._client.usage.requests - LEAST_REQUESTS), 0)

    async def _name_editors(self, client: cma.Client, tenure: Tenure) -> None:
        """Ask for the names of editors of whom upstream was not asked yet; a full run asks for the nameless again."""
        source_id, full = tenure.lease.source_id, self._options.full
        unknown = await self._desk.read(lambda connection: unknown_editors(connection, source_id, nameless_too=full))
        rows, notes = await read_editors(client, unknown)
        if rows:
            await self._desk.write(lambda tx: upsert_editors(tx, tenure.lease, rows))
        self._found.notes.extend(notes)

    async def _end(self, outcome: Outcome, error: BaseException | None) -> None:
        counts = self._progress.sent(self._client.usage)
        if self._tenure is not None:
            checkpoint = checkpoint_of(
                outcome,
                self._found,
                self._place,
                kind=self._kind,
                started_at=self._tenure.started_at,
                now=self._desk.now(),
            )
            wrongs, trouble = wrongs_of(self._found, error), self._trouble(outcome, error)
            await self._tenure.end(outcome, counts, wrongs=wrongs, trouble=trouble, checkpoint=checkpoint)

    def _trouble(self, outcome: Outcome, error: BaseException | None) -> Trouble | None:
        only_unknown = self._kind is RunKind.RECORDS and self._found.only_unknown
        return trouble_in(outcome, error, only_unknown=only_unknown)

    def _told(self, outcome: Outcome, error: BaseException | None) -> RunReport:
        counts, found = self._progress.counts, self._found
        for failure in found.failures[:FAILURES_TOLD]:
            self._desk.log.debug("record.failed", record=failure.record_id, reason=failure.reason)
        self._desk.log.info(
            "run.finished",
            kind=self._kind,
            outcome=outcome,
            requests=counts.requests,
            records_pulled=counts.records_pulled,
            records_failed=counts.records_failed,
            versions_inserted=counts.versions_inserted,
            events=counts.events_written,
        )
        return RunReport(
            source=self._spec.name,
            kind=self._kind,
            outcome=outcome,
            counts=counts,
            run_id=self._tenure.run_id if self._tenure else None,
            project_name=self._project_name,
            environment=self._place.environment if self._place else None,
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
