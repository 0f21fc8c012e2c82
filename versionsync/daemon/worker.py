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

from versionsync.daemon.budget import Pace, Wants, pace_of
from versionsync.daemon.next_run import Agenda
from versionsync.daemon.notifications.rules import NoticeKind
from versionsync.daemon.request_meter import Spending
from versionsync.daemon.run_result import found_something, left_to_do, trouble_of
from versionsync.daemon.runner import Runner
from versionsync.daemon.scheduler import Timetable
from versionsync.daemon.state import Followed, LogStance, SourceState, Stance
from versionsync.daemon.state_machine import Standing
from versionsync.daemon.store import Bookkeeping
from versionsync.daemon.watchdog import Activity
from versionsync.daemon.webhook_log_poller import ASLEEP_SECONDS, LogReader, Told
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import MirrorError
from versionsync.mirror.tables.webhooks import QueuedRecords, WebhookUpdate
from versionsync.sync.report import RunKind, RunReport, SyncOptions
from versionsync.webhooks.payload import MOST_HINTS, Call, Heard

__all__ = ["STALL_SECONDS", "Follower"]

STALL_SECONDS: Final = 300.0
"""The deadline of a run: so long may pass without an answer or a transaction."""
KEEP_SECONDS: Final = 10.0
"""How often it is said that the source is followed: thrice in the time after which another one takes over."""
KEEP_PATIENCE: Final = 120.0
"""So long a database may keep a call waiting before it counts as hanging: longer than it takes to give up on one."""
SCRUB_SECONDS: Final = 3600.0
SCRUBS_A_DAY: Final = 24
TIDY_SECONDS: Final = 6 * 3600.0

T = TypeVar("T")


class Follower:
    """One source of one daemon. `state` is how it stands."""

    def __init__(
        self,
        mirror: Mirror,
        source: Followed,
        timetable: Timetable,
        *,
        log: FilteringBoundLogger,
        random: Random,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self.source = source
        self.name = source.spec.name
        self.state = SourceState(name=self.name, max_staleness=source.max_staleness, since=_now())
        self.state.receives = source.webhook is not None
        self._books = Bookkeeping(mirror, self.name)
        self._timetable = timetable
        self._agenda = Agenda(timetable, self.state)
        self._log = log.bind(source=self.name)
        self._spending = Spending(self._books, self.state, log=self._log)
        self._standing = Standing(self.state, self._agenda, log=self._log, random=random)
        self._runner = Runner(mirror, self.state, self._spending, log=self._log, stall_seconds=stall_seconds)
        self._log_reader = LogReader(self._books, self.state, self._spending, self._agenda, timetable, log=self._log)
        self._pace = pace_of(Wants(look_seconds=source.max_staleness, scrubs_a_day=source.scrub), None)
        self._random = random
        self._kept = 0
        self._turn = asyncio.Lock()

    def begin(self) -> None:
        """Look now, and do everything else at its time."""
        name, add = self.name, self._timetable.add
        add(self._agenda.job, self._look, every=self.source.max_staleness, first_in=0)
        add(self._log_reader.job, self._read_log, every=ASLEEP_SECONDS, first_in=ASLEEP_SECONDS)
        add(f"{name}:keep", self._keep, every=KEEP_SECONDS, first_in=KEEP_SECONDS)
        add(f"{name}:scrub", self._scrub, every=SCRUB_SECONDS, first_in=SCRUB_SECONDS * self._random.uniform(0.2, 1))
        add(f"{name}:tidy", self._tidy, every=TIDY_SECONDS, first_in=TIDY_SECONDS * self._random.uniform(0.05, 1))

    def change(self, source: Followed) -> None:
        """Go on with other settings, from the next run on; look soon."""
        if source != self.source:
            self._spending.tell_again()
        self._log_reader.find_again()
        self.source = source
        self.state.max_staleness = source.max_staleness
        self.state.receives, self.state.untold = source.webhook is not None, 0
        self._agenda.soon()

    def look_soon(self) -> None:
        """Look as soon as nothing else of this source is under way; one that fails is tried when that is due."""
        if not self._agenda.is_failing:
            self._agenda.soon()

    async def hear(self, call: Call) -> Heard:
        """Keep what a webhook told, and look. Raises MirrorError."""
        heard = await self._books.hear(call)
        if heard is Heard.NOTED:
            self._standing.doubt()  # no record is named: looking at those that others name is not enough
        if heard is not Heard.ELSEWHERE:
            self._agenda.hinted()
            self.state.called(_now())
        self._log_reader.received(call.webhook_call_id)
        self.state.hints_waiting += heard is Heard.TAKEN
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
        await self._unless_away(self._books.leave())
        await self._books.close()

    def activities(self) -> Iterator[Activity]:
        """What has to get on: keeping the source, always, and a run, which has a deadline of its own."""
        yield Activity(f"{self.name}:keep", self._kept, KEEP_PATIENCE)
        progress = self.state.progress
        run = None if progress is None else (progress.phase, replace(progress.counts), self._spending.sent)
        yield Activity(f"{self.name}:run", run, self._runner.stall_seconds + KEEP_PATIENCE)

    async def _look(self) -> None:
        try:
            await self._look_once()
        except Exception as error:
            # A fault of ours beside the run itself: without this nobody but the log would know that nothing comes of
            # the looks. The timetable tells it with its traceback.
            self._standing.fail(error)
            raise

    async def _look_once(self) -> None:
        async with self._turn:
            self._agenda.began()
            other = await self._unless_away(self._books.follow(self._news()))
            pace = self._pace = await self._spending.pace(self.source, tell=other is None)
            if other is not None or self.state.last_success_at is None:
                self._standing.seen(await self._unless_away(self._books.whole_as_of()))
            if other is not None:
                self._standing.stand_by(other)
                return
            if self.state.purse is not None and self.state.purse.is_spent:
                self._standing.wait_for_budget(self.state.purse)
                await self._note_next_look()
                return
            hints = await self._unless_away(self._books.hints())
            self._agenda.hints_read()
            waiting = self.state.hints_waiting = len(hints.record_ids) if hints is not None else 0
            options = SyncOptions(trigger="schedule", beacon_trust=timedelta(days=pace.sweep_days))
            if hints is not None and self._may_look_at_these_alone(hints, pace):
                options = replace(options, record_ids=tuple(hints.record_ids), trigger="webhook")
            told_since = self.state.last_run_at
            report = await self._runner.run(self.source, options)
            self._judge_webhook(report, told_since=told_since, is_hinted=hints is not None)
            if hints is not None and (left := left_to_do(report)) is not None:
                await self._unless_away(self._books.forget_hints(hints, besides=left))
                self.state.hints_waiting -= waiting - len(left & set(hints.record_ids))
            await self._conclude(report, pace)

    def _judge_webhook(self, report: RunReport, *, told_since: datetime | None, is_hinted: bool) -> None:
        """See whether this look found what calls of the webhook should have told, and had not since the one before."""
        state, counts = self.state, report.counts
        is_news = report.kind is RunKind.INCREMENTAL and counts.versions_inserted + counts.versions_changed > 0
        if told_since is None or is_hinted or not (is_news and state.is_webhook_used):
            return
        if state.stance is Stance.FOLLOWING and (state.last_call_at is None or state.last_call_at < told_since):
            state.untold += 1

    def _news(self) -> WebhookUpdate:
        state = self.state
        log = LogStance.UNKNOWN if state.webhook_log is LogStance.UNPAID else state.webhook_log  # not a lasting state
        return WebhookUpdate(
            receives=state.receives,
            log=log.value,
            log_read_at=state.log_read_at,
            untold=state.untold,
        )

    async def notices_told(self) -> Mapping[str, NoticeKind]:
        """What was told of the source that is not over, by the place that was told. Raises MirrorError."""
        return await self._books.notices_told()

    async def keep_notices(self, told: Mapping[str, NoticeKind | None], at: datetime) -> None:
        """This was told of the source to these places; None: that all is well again. Raises MirrorError."""
        await self._books.keep_notices(told, at)

    def _may_look_at_these_alone(self, hints: QueuedRecords, pace: Pace) -> bool:
        """Whether the rest is fresh enough: a stream of webhooks must not put off what none of them tells."""
        return self._standing.is_fresh(pace) and len(hints.record_ids) <= MOST_HINTS

    async def _conclude(self, report: RunReport, pace: Pace) -> None:
        found = found_something(report)
        self._spending.learn(report, found=found, records=self._runner.records)
        self._standing.conclude(report, pace, is_told=self._is_told(pace))
        if found and report.kind is not RunKind.RECORDS and trouble_of(report) is None:
            self._log_reader.doubt()  # which may not have told it
        self._plan_reading()
        if report.kind is RunKind.BACKFILL:  # before it the database did not know the source, nor who follows it
            await self._unless_away(self._books.follow(self._news()))
        await self._note_next_look()

    async def _read_log(self) -> None:
        async with self._turn:
            if await self._log_reader.read(self.source) is Told.LOOK:
                self._standing.doubt()
            self._plan_reading()

    def _plan_reading(self) -> None:
        self._log_reader.plan(self.source, self._pace, changed_at=self._standing.changed_at)

    async def _scrub(self) -> None:
        async with self._turn:
            # One that fails or stands by has other things to do; what is old now is older in an hour.
            if self.state.is_read:
                number = -(-(await self._spending.pace(self.source)).scrubs_a_day // SCRUBS_A_DAY)
                if number:
                    await self._runner.run(self.source, SyncOptions(trigger="schedule", scrub=number))

    async def _keep(self) -> None:
        """Say that this daemon is still there, and what it has spent, also while a run takes its time."""
        await self._spending.count()
        if self.state.stance is not Stance.STANDBY:
            if await self._unless_away(self._books.follow(self._news())) is not None:
                self._agenda.soon()  # another one has taken over, and the next look may be far away
            await self._unless_away(self._log_reader.see_doubt(self.source))
        self._kept += 1

    async def _tidy(self) -> None:
        async with self._turn:
            if self.state.is_read:
                forgotten = await self._unless_away(self._books.forget_runs(_now()))
                self._log.debug("runs.forgotten", number=forgotten)

    async def _note_next_look(self) -> None:
        await self._unless_away(self._books.note_next_look(self.state.next_look_at, self.state.next_look_reason))

    def _is_told(self, pace: Pace) -> bool:
        """Whether webhooks tell what changes, so that whole looks need not be more frequent than the settings say."""
        receives = self.source.webhook is not None and self.state.heard[Heard.TAKEN] > 0
        return receives or self._log_reader.tells(self.source, pace)

    async def _unless_away(self, asked: Awaitable[T]) -> T | None:
        """What the database says; None where it is away. No more is made of that: a run tells it, and says why."""
        try:
            return await asked
        except MirrorError as error:
            self._log.debug("database.away", error=str(error))
            return None


def _now() -> datetime:
    return datetime.now(UTC)
