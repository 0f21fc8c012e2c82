"""Follows one source: looks, reads old histories again, keeps others standing by, and sets its own pace.

Every look is a whole sync: the engine itself decides how far up its ladder it must go, and is the only way in which
the mirror changes. What goes wrong with one source is told once, tried again, and told once more when it has passed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final, TypeVar

from structlog.typing import FilteringBoundLogger

from versionsync.daemon.budget import Demand, Schedule, schedule_for
from versionsync.daemon.next_run import NextRun
from versionsync.daemon.notifications.rules import NotificationKind
from versionsync.daemon.request_meter import RequestMeter
from versionsync.daemon.run_result import error_kind_of, has_changes, has_remaining_work
from versionsync.daemon.runner import Runner
from versionsync.daemon.scheduler import SourceScheduler
from versionsync.daemon.state import LogStatus, SourceConfig, WorkerState, WorkerStatus
from versionsync.daemon.state_machine import StateMachine
from versionsync.daemon.store import SourceStore
from versionsync.daemon.watchdog import Activity
from versionsync.daemon.webhook_log_poller import SUSPENDED_SECONDS, LogReader, PollResult
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import MirrorError
from versionsync.mirror.tables.webhooks import QueuedRecords, WebhookUpdate
from versionsync.sync.report import RunKind, RunReport, SyncOptions
from versionsync.webhooks.payload import MAX_QUEUED, WebhookPayload, WebhookResult

__all__ = ["STALL_SECONDS", "SourceWorker"]

STALL_SECONDS: Final = 300.0
"""The deadline of a run: so long may pass without an answer or a transaction."""
CLAIM_SECONDS: Final = 10.0
"""How often it is said that the source is followed: thrice in the time after which another one takes over."""
CLAIM_TIMEOUT_SECONDS: Final = 120.0
"""So long a database may keep a call waiting before it counts as hanging: longer than it takes to give up on one."""
SCRUB_SECONDS: Final = 3600.0
SCRUBS_PER_DAY: Final = 24
DELETE_RUNS_SECONDS: Final = 6 * 3600.0

T = TypeVar("T")


class SourceWorker:
    """One source of one daemon. `state` is how it stands."""

    def __init__(
        self,
        mirror: Mirror,
        source: SourceConfig,
        timetable: SourceScheduler,
        *,
        log: FilteringBoundLogger,
        random: Random,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self.source = source
        self.name = source.spec.name
        self.state = WorkerState(name=self.name, max_staleness=source.max_staleness, since=_now())
        self.state.receiver_enabled = source.webhook is not None
        self._books = SourceStore(mirror, self.name)
        self._timetable = timetable
        self._agenda = NextRun(timetable, self.state)
        self._log = log.bind(source=self.name)
        self._spending = RequestMeter(self._books, self.state, log=self._log)
        self._standing = StateMachine(self.state, self._agenda, log=self._log, random=random)
        self._runner = Runner(mirror, self.state, self._spending, log=self._log, stall_seconds=stall_seconds)
        self._log_reader = LogReader(self._books, self.state, self._spending, self._agenda, timetable, log=self._log)
        self._pace = schedule_for(Demand(check_seconds=source.max_staleness, scrubs_per_day=source.scrub), None)
        self._random = random
        self._kept = 0
        self._turn = asyncio.Lock()

    def begin(self) -> None:
        """Look now, and do everything else at its time."""
        name, add = self.name, self._timetable.add
        add(self._agenda.job, self._check, every=self.source.max_staleness, first_in=0)
        add(self._log_reader.job, self._poll_log, every=SUSPENDED_SECONDS, first_in=SUSPENDED_SECONDS)
        add(f"{name}:keep", self._keep_claim, every=CLAIM_SECONDS, first_in=CLAIM_SECONDS)
        add(f"{name}:scrub", self._scrub, every=SCRUB_SECONDS, first_in=SCRUB_SECONDS * self._random.uniform(0.2, 1))
        add(
            f"{name}:tidy",
            self._delete_old_runs,
            every=DELETE_RUNS_SECONDS,
            first_in=DELETE_RUNS_SECONDS * self._random.uniform(0.05, 1),
        )

    def change(self, source: SourceConfig) -> None:
        """Go on with other settings, from the next run on; look soon."""
        if source != self.source:
            self._spending.reset_warning()
        self._log_reader.search_again()
        self.source = source
        self.state.max_staleness = source.max_staleness
        self.state.receiver_enabled, self.state.undelivered_changes = source.webhook is not None, 0
        self._agenda.request_soon()

    def check_soon(self) -> None:
        """Look as soon as nothing else of this source is under way; one that fails is tried when that is due."""
        if not self._agenda.is_failing:
            self._agenda.request_soon()

    async def on_webhook(self, call: WebhookPayload) -> WebhookResult:
        """Keep what a webhook told, and look. Raises MirrorError."""
        heard = await self._books.save_webhook_call(call)
        if heard is WebhookResult.ACCEPTED_NO_RECORD:
            self._standing.invalidate()  # no record is named: looking at those that others name is not enough
        if heard is not WebhookResult.OTHER_ENVIRONMENT:
            self._agenda.add_pending()
            self.state.called(_now())
        self._log_reader.received(call.webhook_call_id)
        self.state.queued_records += heard is WebhookResult.ACCEPTED
        return heard

    async def end(self) -> None:
        """Stop whatever is under way, cleanly, and let another daemon follow the source."""
        for job in ("look", "log", "keep", "scrub", "tidy"):
            await self._timetable.remove(f"{self.name}:{job}")
        await self.leave()

    async def leave(self) -> None:
        """Let another daemon follow the source at once. A database that is away learns it when the time is over."""
        await self._log_reader.end()
        await self._spending.count()
        await self._unless_unavailable(self._books.release())
        await self._books.close()

    def activities(self) -> Iterator[Activity]:
        """What has to get on: keeping the source, always, and a run, which has a deadline of its own."""
        yield Activity(f"{self.name}:keep", self._kept, CLAIM_TIMEOUT_SECONDS)
        progress = self.state.progress
        run = None if progress is None else (progress.phase, replace(progress.counts), self._spending.sent)
        yield Activity(f"{self.name}:run", run, self._runner.stall_seconds + CLAIM_TIMEOUT_SECONDS)

    async def _check(self) -> None:
        try:
            await self._check_once()
        except Exception as error:
            # A fault of ours beside the run itself: without this nobody but the log would know that nothing comes of
            # the looks. The timetable tells it with its traceback.
            self._standing.fail(error)
            raise

    async def _check_once(self) -> None:
        async with self._turn:
            self._agenda.began()
            other = await self._unless_unavailable(self._books.claim(self._webhook_update()))
            pace = self._pace = await self._spending.schedule(self.source, tell=other is None)
            if other is not None or self.state.last_success_at is None:
                self._standing.set_complete_as_of(await self._unless_unavailable(self._books.complete_as_of()))
            if other is not None:
                self._standing.enter_standby(other)
                return
            if self.state.budget is not None and self.state.budget.is_spent:
                self._standing.wait_for_budget(self.state.budget)
                await self._save_next_check()
                return
            hints = await self._unless_unavailable(self._books.queued_records())
            self._agenda.pending_read()
            waiting = self.state.queued_records = len(hints.record_ids) if hints is not None else 0
            options = SyncOptions(trigger="schedule", beacon_trust=timedelta(days=pace.sweep_days))
            if hints is not None and self._can_sync_only_these(hints, pace):
                options = replace(options, record_ids=tuple(hints.record_ids), trigger="webhook")
            told_since = self.state.last_run_at
            report = await self._runner.run(self.source, options)
            self._check_webhook(report, told_since=told_since, is_hinted=hints is not None)
            if hints is not None and (left := has_remaining_work(report)) is not None:
                await self._unless_unavailable(self._books.delete_queued(hints, besides=left))
                self.state.queued_records -= waiting - len(left & set(hints.record_ids))
            await self._finish_run(report, pace)

    def _check_webhook(self, report: RunReport, *, told_since: datetime | None, is_hinted: bool) -> None:
        """See whether this look found what calls of the webhook should have told, and had not since the one before."""
        state, counts = self.state, report.counts
        is_news = report.kind is RunKind.INCREMENTAL and counts.versions_inserted + counts.versions_changed > 0
        if told_since is None or is_hinted or not (is_news and state.is_webhook_used):
            return
        if state.status is WorkerStatus.ACTIVE and (state.last_call_at is None or state.last_call_at < told_since):
            state.undelivered_changes += 1

    def _webhook_update(self) -> WebhookUpdate:
        state = self.state
        log = (
            LogStatus.UNKNOWN if state.webhook_log is LogStatus.NOT_IN_PLAN else state.webhook_log
        )  # not a lasting state
        return WebhookUpdate(
            receives=state.receiver_enabled,
            log_state=log.value,
            log_read_at=state.log_read_at,
            undelivered_changes=state.undelivered_changes,
        )

    async def sent_notifications(self) -> Mapping[str, NotificationKind]:
        """What was told of the source that is not over, by the place that was told. Raises MirrorError."""
        return await self._books.sent_notifications()

    async def save_notifications(self, told: Mapping[str, NotificationKind | None], at: datetime) -> None:
        """This was told of the source to these places; None: that all is well again. Raises MirrorError."""
        await self._books.save_notifications(told, at)

    def _can_sync_only_these(self, hints: QueuedRecords, pace: Schedule) -> bool:
        """Whether the rest is fresh enough: a stream of webhooks must not put off what none of them tells."""
        return self._standing.is_fresh(pace) and len(hints.record_ids) <= MAX_QUEUED

    async def _finish_run(self, report: RunReport, pace: Schedule) -> None:
        found = has_changes(report)
        self._spending.update_averages(report, found=found, records=self._runner.records)
        self._standing.finish_run(report, pace, is_told=self._is_notified(pace))
        if found and report.kind is not RunKind.RECORDS and error_kind_of(report) is None:
            self._log_reader.invalidate()  # which may not have told it
        self._plan_poll()
        if report.kind is RunKind.BACKFILL:  # before it the database did not know the source, nor who follows it
            await self._unless_unavailable(self._books.claim(self._webhook_update()))
        await self._save_next_check()

    async def _poll_log(self) -> None:
        async with self._turn:
            if await self._log_reader.poll(self.source) is PollResult.CHECK:
                self._standing.invalidate()
            self._plan_poll()

    def _plan_poll(self) -> None:
        self._log_reader.plan(self.source, self._pace, changed_at=self._standing.changed_at)

    async def _scrub(self) -> None:
        async with self._turn:
            # One that fails or stands by has other things to do; what is old now is older in an hour.
            if self.state.is_read:
                number = -(-(await self._spending.schedule(self.source)).scrubs_per_day // SCRUBS_PER_DAY)
                if number:
                    await self._runner.run(self.source, SyncOptions(trigger="schedule", scrub=number))

    async def _keep_claim(self) -> None:
        """Say that this daemon is still there, and what it has spent, also while a run takes its time."""
        await self._spending.count()
        if self.state.status is not WorkerStatus.STANDBY:
            if await self._unless_unavailable(self._books.claim(self._webhook_update())) is not None:
                self._agenda.request_soon()  # another one has taken over, and the next look may be far away
            await self._unless_unavailable(self._log_reader.reload_invalidation(self.source))
        self._kept += 1

    async def _delete_old_runs(self) -> None:
        async with self._turn:
            if self.state.is_read:
                forgotten = await self._unless_unavailable(self._books.delete_old_runs(_now()))
                self._log.debug("runs.deleted", number=forgotten)

    async def _save_next_check(self) -> None:
        await self._unless_unavailable(
            self._books.save_next_check(self.state.next_check_at, self.state.next_check_reason)
        )

    def _is_notified(self, pace: Schedule) -> bool:
        """Whether webhooks tell what changes, so that whole looks need not be more frequent than the settings say."""
        receives = self.source.webhook is not None and self.state.webhook_results[WebhookResult.ACCEPTED] > 0
        return receives or self._log_reader.is_delivering(self.source, pace)

    async def _unless_unavailable(self, asked: Awaitable[T]) -> T | None:
        """What the database says; None where it is away. No more is made of that: a run tells it, and says why."""
        try:
            return await asked
        except MirrorError as error:
            self._log.debug("database.unavailable", error=str(error))
            return None


def _now() -> datetime:
    return datetime.now(UTC)
