"""Keeps one source up to date while this daemon holds it: checks, scrubs and webhooks.

Each check is a complete sync. The engine decides how much it has to read, and only the engine changes the mirror. An
error of one source is logged once, the run is tried again, and the recovery is logged once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final, TypeVar

from structlog.typing import FilteringBoundLogger

from versionsync.daemon.budget_schedule import Demand, Schedule, schedule_for
from versionsync.daemon.request_meter import RequestMeter
from versionsync.daemon.run_queue import RunQueue
from versionsync.daemon.runner import Runner, error_kind_of, has_changes, has_remaining_work
from versionsync.daemon.scheduler import NextRun, SourceScheduler
from versionsync.daemon.state_machine import StateMachine
from versionsync.daemon.systemd_notify import Activity
from versionsync.daemon.webhook_log_poller import SUSPENDED_SECONDS, LogReader, PollResult
from versionsync.daemon.worker_database import WorkerDatabase
from versionsync.daemon.worker_state import LogStatus, SourceConfig, WorkerState, WorkerStatus
from versionsync.history.projections.background import BackgroundFiller
from versionsync.history.projections.filling import FillState
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import MirrorError
from versionsync.mirror.tables.webhooks import QueuedRecords, WebhookUpdate
from versionsync.sync.options import SyncOptions
from versionsync.sync.report import RunKind, RunReport
from versionsync.sync.run_limits import Limits
from versionsync.webhooks.payload import MAX_QUEUED, WebhookPayload, WebhookResult

__all__ = ["DATABASE_TIMEOUT_SECONDS", "STALL_SECONDS", "SourceWorker"]

STALL_SECONDS: Final = 300.0
"""The deadline of a run: the longest time without a response or a transaction."""
DATABASE_TIMEOUT_SECONDS: Final = 120.0
"""How long a database call may take before it counts as stuck: longer than the connection retry."""
SCRUB_SECONDS: Final = 3600.0
SCRUBS_PER_DAY: Final = 24
DELETE_RUNS_SECONDS: Final = 6 * 3600.0
FILL_SECONDS: Final = 30.0
"""How often projections are looked at until they are complete."""
FILLS_SKIPPED: Final = 10
"""Once they are, only every tenth time, for what other processes write. A run that finds something has them filled."""

LIMITS: Final = Limits()

RUN_JOBS: Final = ("check", "scrub")
OTHER_JOBS: Final = ("log", "cleanup", "projections")

T = TypeVar("T")


class SourceWorker:
    """One source of the daemon, with its `state` and its `store` in the database.

    `is_held` is whether this daemon runs it. Otherwise it has no jobs, and only saves what its webhook reports.
    `confirm` is awaited before each check: it may find that another daemon has the source, and end its jobs.
    """

    def __init__(
        self,
        mirror: Mirror,
        source: SourceConfig,
        scheduler: SourceScheduler,
        *,
        queue: RunQueue,
        log: FilteringBoundLogger,
        random: Random,
        stall_seconds: float = STALL_SECONDS,
        limits: Limits = LIMITS,
        filler: BackgroundFiller | None = None,
        confirm: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.is_held = False
        self.source = source
        self.name = source.spec.name
        self.state = WorkerState(name=self.name, max_staleness=source.max_staleness, since=_now())
        self.state.receiver_enabled = source.webhook is not None
        self.store = WorkerDatabase(mirror, self.name)
        self._scheduler = scheduler
        self._queue = queue
        self._next_run = NextRun(scheduler, self.state)
        self._log = log.bind(source=self.name)
        self._meter = RequestMeter(self.store, self.state, log=self._log)
        self._machine = StateMachine(self.state, self._next_run, log=self._log, random=random)
        self._runner = Runner(
            mirror, self.state, self._meter, log=self._log, stall_seconds=stall_seconds, limits=limits
        )
        self._log_reader = LogReader(self.store, self.state, self._meter, self._next_run, scheduler, log=self._log)
        self._schedule = schedule_for(Demand(check_seconds=source.max_staleness, scrubs_per_day=source.scrub), None)
        self._random = random
        self._filler = filler
        self._has_to_fill = False
        self._confirm = confirm
        self._daemon_id = 0
        self._newest_read = 0
        self._hears_others = False
        self._turn = asyncio.Lock()
        self._turn_of: str | None = None

    def begin(self, daemon_id: int, *, complete_as_of: datetime | None) -> None:
        """Check now, and schedule everything else: the daemon `daemon_id`, this one, has claimed the source."""
        name, add = self.name, self._scheduler.add
        self.is_held, self._daemon_id = True, daemon_id
        self._machine.take_over(complete_as_of)
        self._log_reader.resume()
        add(self._next_run.job, self._check, every=self.source.max_staleness, first_in=0)
        add(self._log_reader.job, self._poll_log, every=SUSPENDED_SECONDS, first_in=SUSPENDED_SECONDS)
        add(f"{name}:scrub", self._scrub, every=SCRUB_SECONDS, first_in=SCRUB_SECONDS * self._random.uniform(0.2, 1))
        add(
            f"{name}:cleanup",
            self._delete_old_runs,
            every=DELETE_RUNS_SECONDS,
            first_in=DELETE_RUNS_SECONDS * self._random.uniform(0.05, 1),
        )
        if self._filler is not None:
            add(f"{name}:projections", self._fill_projections, every=FILL_SECONDS, first_in=FILL_SECONDS)

    def change(self, source: SourceConfig) -> None:
        """Use other settings from the next run on, which comes soon."""
        if source != self.source:
            self._meter.reset_warning()
        self._log_reader.search_again()
        self.source = source
        self.state.max_staleness = source.max_staleness
        self.state.receiver_enabled, self.state.undelivered_changes = source.webhook is not None, 0
        self._next_run.request_soon()

    def check_soon(self) -> None:
        """Check as soon as no other run of this source is in progress. A retry keeps its time."""
        if not self._next_run.is_failing:
            self._next_run.request_soon()

    async def on_webhook(self, call: WebhookPayload) -> WebhookResult:
        """Save what a webhook reported, and check, or tell the daemon that has the source. Raises MirrorError."""
        result = await self.store.save_webhook_call(call, is_held=self.is_held)
        if not self.is_held:
            return result
        if result is WebhookResult.ACCEPTED_NO_RECORD:
            self._machine.invalidate()  # it names no record: checking only those that other calls name is not enough
        if result is not WebhookResult.OTHER_ENVIRONMENT:
            self._next_run.add_pending()
            self.state.record_call(_now())
        self._log_reader.received(call.webhook_call_id)
        self.state.queued_records += result is WebhookResult.ACCEPTED
        return result

    def heard(self, newest: int | None) -> None:
        """Check what a webhook reported to another daemon; `newest` is the newest queued call. None: a new one."""
        if newest is not None and newest <= self._newest_read:
            return
        self._hears_others = True
        self.state.record_call(_now())
        self._next_run.add_pending()

    def webhook_changed(self, at: datetime) -> None:
        """Search for the webhook again: a command has changed it at this time."""
        self._log_reader.webhook_changed(self.source, at)

    def stand_by(self, other: str | None, *, complete_as_of: datetime | None) -> None:
        """Show that another daemon has the source, and what it has done."""
        self._machine.enter_standby(other)
        self._machine.set_complete_as_of(complete_as_of)

    async def hand_over(self) -> None:
        """Stop all jobs of the source, so that another daemon can run it. A run in progress ends first."""
        self.is_held = False
        is_running = self.state.progress is not None
        for job in OTHER_JOBS + RUN_JOBS:
            has_run = is_running and job == self._turn_of
            await self._scheduler.remove(f"{self.name}:{job}", let_it_end=has_run)
        await self._log_reader.end()
        await self._meter.count()
        self._machine.enter_standby(None)

    async def end(self) -> None:
        """Stop all jobs of the source cleanly, permanently."""
        self.is_held = False
        for job in RUN_JOBS + OTHER_JOBS:
            await self._scheduler.remove(f"{self.name}:{job}")
        await self.leave()

    async def leave(self) -> None:
        """Close everything after the last job."""
        self.is_held = False
        if self._filler is not None:
            await self._filler.close()
        await self._log_reader.end()
        await self._meter.count()
        await self.store.close()

    async def count_requests(self) -> None:
        """Save the requests of the run in progress: a long one must not hide what it spends."""
        if self.state.progress is not None:
            await self._meter.count()

    def activities(self) -> Iterator[Activity]:
        """Return what must make progress: a run, which has its own deadline.

        A source that waits for its turn has no run yet. A run that waits for the memory of others rests.
        """
        progress = self.state.progress
        run = (
            None
            if progress is None or progress.waits_for_others
            else (progress.phase, replace(progress.counts), self._meter.sent)
        )
        yield Activity(f"{self.name}:run", run, self._runner.stall_seconds + DATABASE_TIMEOUT_SECONDS)

    async def _check(self) -> None:
        try:
            await self._check_once()
        except Exception as error:
            # A bug outside the run itself. The scheduler logs it with its traceback; this shows it in the status.
            self._machine.fail(error)
            raise

    async def _check_once(self) -> None:
        if self.state.last_success_at is None:
            self._machine.set_complete_as_of(await self._unless_unavailable(self.store.complete_as_of()))
        is_first_sync = self.state.last_success_at is None
        async with self._queue.turn(self.name, is_long=is_first_sync), self._turn:
            self._turn_of = "check"
            if self._confirm is not None:  # it may have waited for its turn for long
                await self._confirm()
            if not self.is_held:
                return
            self._next_run.began()
            schedule = self._schedule = await self._meter.schedule(self.source)
            if self.state.budget is not None and self.state.budget.is_spent:
                self._machine.wait_for_budget(self.state.budget)
                await self._save_next_check()
                return
            queued = await self._unless_unavailable(self.store.queued_records())
            self._next_run.pending_read()
            waiting = self.state.queued_records = len(queued.record_ids) if queued is not None else 0
            if queued is not None:
                self._newest_read = queued.last_id
                if queued.needs_check:
                    self._machine.invalidate()
            options = SyncOptions(trigger="schedule", beacon_trust=timedelta(days=schedule.sweep_days))
            if queued is not None and self._can_sync_only_these(queued, schedule):
                options = replace(options, record_ids=tuple(queued.record_ids), trigger="webhook")
            previous_run_at = self.state.last_run_at
            self._machine.begin_run()
            report = await self._runner.run(self.source, options)
            self._check_webhook(report, previous_run_at=previous_run_at, was_queued=queued is not None)
            if queued is not None and (left := has_remaining_work(report)) is not None:
                await self._unless_unavailable(self.store.delete_queued(queued, besides=left))
                self.state.queued_records -= waiting - len(left & set(queued.record_ids))
            await self._finish_run(report, schedule)

    def _check_webhook(self, report: RunReport, *, previous_run_at: datetime | None, was_queued: bool) -> None:
        """Count a run that found changes which calls of the webhook should have reported since the run before it."""
        state, counts = self.state, report.counts
        found = report.kind is RunKind.INCREMENTAL and counts.versions_inserted + counts.versions_changed > 0
        if previous_run_at is None or was_queued or not (found and state.is_webhook_used):
            return
        is_late = state.last_call_at is None or state.last_call_at < previous_run_at
        if state.status is WorkerStatus.ACTIVE and is_late:
            state.undelivered_changes += 1

    def webhook_update(self) -> WebhookUpdate:
        """Return what is known of the source's webhook."""
        state = self.state
        is_lasting = state.webhook_log is not LogStatus.NOT_IN_PLAN
        return WebhookUpdate(
            receives=state.receiver_enabled,
            log_state=(state.webhook_log if is_lasting else LogStatus.UNKNOWN).value,
            log_read_at=state.log_read_at,
            undelivered_changes=state.undelivered_changes,
        )

    def _can_sync_only_these(self, queued: QueuedRecords, schedule: Schedule) -> bool:
        """Return whether no complete check is due: a stream of webhooks must not put off what none of them reports."""
        return self._machine.is_fresh(schedule) and len(queued.record_ids) <= MAX_QUEUED

    async def _finish_run(self, report: RunReport, schedule: Schedule) -> None:
        found = has_changes(report)
        self._meter.update_averages(report, found=found, records=self._runner.records)
        self._machine.finish_run(report, schedule, is_notified=self._is_notified(schedule))
        if found and report.kind is not RunKind.RECORDS and error_kind_of(report) is None:
            self._log_reader.invalidate()  # the log may not have reported it
        self._plan_poll()
        await self._save_next_check()
        self._fill_soon(found=found)

    def _fill_soon(self, *, found: bool) -> None:
        """Fill the projections now, if a run found something."""
        if found:
            self._has_to_fill = True
            self._scheduler.next_in(f"{self.name}:projections", 0)

    async def _fill_projections(self) -> None:
        """Fill the projections. A run that begins meanwhile does not wait for it: it has its own turn."""
        job = f"{self.name}:projections"
        self._scheduler.next_in(job, FILL_SECONDS)
        if self._filler is None or not self.state.is_working:
            return
        self._has_to_fill = False
        if await self._filler.fill() is FillState.COMPLETE:
            self._scheduler.next_in(job, 0 if self._has_to_fill else FILL_SECONDS * FILLS_SKIPPED)

    async def _poll_log(self) -> None:
        async with self._turn:
            if await self._log_reader.poll(self.source) is PollResult.CHECK:
                self._machine.invalidate()
            self._plan_poll()

    def _plan_poll(self) -> None:
        self._log_reader.plan(self.source, self._schedule, changed_at=self._machine.changed_at)

    async def _scrub(self) -> None:
        if not self.state.is_working:
            return
        async with self._queue.turn(self.name, is_long=True), self._turn:
            # A source that fails or is in standby has other work; old histories can wait for an hour.
            self._turn_of = "scrub"
            if self.is_held and self.state.is_working:
                number = -(-(await self._meter.schedule(self.source)).scrubs_per_day // SCRUBS_PER_DAY)
                if number:
                    report = await self._runner.run(self.source, SyncOptions(trigger="schedule", scrub=number))
                    await self._meter.count()
                    self._fill_soon(found=has_changes(report))

    async def _delete_old_runs(self) -> None:
        async with self._turn:
            if self.state.is_working:
                deleted = await self._unless_unavailable(self.store.delete_old_runs(_now()))
                self._log.debug("runs.deleted", number=deleted)

    async def _save_next_check(self) -> None:
        """Save when the next check is planned, together with the requests of the last one."""
        at, reason, daemon_id = self.state.next_check_at, self.state.next_check_reason, self._daemon_id
        await self._meter.save_with(
            lambda day, requests: self.store.save_next_check(at, reason, daemon_id, day=day, requests=requests)
        )

    def _is_notified(self, schedule: Schedule) -> bool:
        """Return whether webhooks report changes, so that `max_staleness` is often enough for complete checks."""
        is_called = self.state.webhook_results[WebhookResult.ACCEPTED] > 0 or self._hears_others
        receives = self.source.webhook is not None and is_called
        return receives or self._log_reader.is_delivering(self.source, schedule)

    async def _unless_unavailable(self, query: Awaitable[T]) -> T | None:
        """Return the result of a query, or None if the database is unavailable: a run reports that with its reason."""
        try:
            return await query
        except MirrorError as error:
            self._log.debug("database.unavailable", error=str(error))
            return None


def _now() -> datetime:
    return datetime.now(UTC)
