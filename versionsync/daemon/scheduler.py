"""The scheduler: which job runs when. It is in memory only, and made from the settings at each start.

Intervals are in UTC, so that no change to summer time skips or repeats anything. A job that is late runs once, even
after a clock that jumps ahead by years. A job never overlaps with itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from structlog.typing import FilteringBoundLogger

from versionsync.daemon.worker_state import WorkerState, WorkerStatus

__all__ = ["NextRun", "SourceScheduler"]

MIN_DELAY_SECONDS: Final = 1.0
"""The shortest interval of a job that asks to run at once, until it sets its next time itself."""

Work = Callable[[], Awaitable[None]]


class SourceScheduler:
    """Jobs by name, in one event loop. `failed` and `missed` count jobs."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self.failed = 0
        self.missed = 0
        self._log = log
        self._every: dict[str, float] = {}
        self._running: dict[str, asyncio.Task[object]] = {}
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        )
        self._scheduler.add_listener(self._on_job_event, EVENT_JOB_ERROR | EVENT_JOB_MISSED)

    def start(self) -> None:
        self._scheduler.start()

    def add(self, name: str, work: Work, *, every: float, first_in: float) -> None:
        """Run `work` in `first_in` seconds and then every `every` seconds, unless `next_in` says otherwise."""
        self._every[name] = every
        first = _in(first_in)
        self._scheduler.add_job(partial(self._do, name, work), _Every(every), next_run_time=first, id=name, name=name)

    def next_in(self, name: str, seconds: float) -> None:
        """Run the job next in `seconds`, and at this interval from then on. A job that was removed stays removed."""
        if name in self._every:
            self._every[name] = max(seconds, MIN_DELAY_SECONDS)
            with suppress(JobLookupError):
                self._scheduler.modify_job(name, trigger=_Every(self._every[name]), next_run_time=_in(seconds))

    def restart(self) -> None:
        """Start all waits again: after the clock was set, a wait for a time of day may last for hours."""
        for name, every in self._every.items():
            self.next_in(name, every)

    async def remove(self, name: str, *, let_it_end: bool = False) -> None:
        """Remove the job; if it is running, cancel it, unless `let_it_end`, and wait for its end."""
        self._every.pop(name, None)
        with suppress(JobLookupError):
            self._scheduler.remove_job(name)
        if task := self._running.get(name):
            if not let_it_end:
                task.cancel()
            await asyncio.wait({task})

    async def stop(self) -> None:
        """Start no more jobs, cancel those that are running, and wait for their end."""
        self._every.clear()
        if self._scheduler.running:
            self._scheduler.pause()
        running = set(self._running.values())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
            await asyncio.sleep(0)  # it shuts down from the loop

    async def _do(self, name: str, work: Work) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running[name] = task
        try:
            await work()
        finally:
            del self._running[name]

    def _on_job_event(self, event: JobExecutionEvent) -> None:
        if isinstance(error := event.exception, asyncio.CancelledError):
            return
        if error is not None:
            self.failed += 1
            self._log.error("job.failed", job=event.job_id, error=repr(error), exc_info=error)
        else:
            self.missed += 1
            self._log.warning("job.missed", job=event.job_id, due_at=event.scheduled_run_time)


class NextRun:
    """The next check of a source, in the scheduler and in the state of the source.

    A check that is requested during another one comes after it: that one may have begun too early.
    """

    def __init__(self, scheduler: SourceScheduler, state: WorkerState) -> None:
        self.job = f"{state.name}:check"
        self._scheduler = scheduler
        self._state = state
        self._is_requested = False
        self._has_pending = False
        self._not_before = 0.0

    def request_soon(self) -> None:
        """Check as soon as no other run of this source is in progress."""
        self._is_requested = True
        self._scheduler.next_in(self.job, 0)

    def add_pending(self) -> None:
        """Check the records that a webhook named, at once unless the source fails or the budget needs a pause."""
        self._has_pending = True
        if not self.is_failing:
            self._scheduler.next_in(self.job, self.idle_seconds)

    def began(self) -> None:
        """Begin a check: it covers all that was requested until now."""
        self._is_requested = self._has_pending = False

    def pending_read(self) -> None:
        """Record that the check in progress knows all queued records until now."""
        self._has_pending = False

    def charge(self, seconds: float) -> None:
        """Record that a change was read: the budget pays for no other queued record for this long."""
        self._not_before = time.monotonic() + seconds

    def next_in(self, seconds: float, reason: str) -> None:
        """Check in `seconds`, for this reason, unless an earlier check was requested."""
        if self._is_requested:
            seconds = 0.0
        elif self._has_pending and not self.is_failing:
            seconds = self.idle_seconds
        self._state.next_check_at = datetime.now(UTC) + timedelta(seconds=max(seconds, 0.0))
        self._state.next_check_reason = reason
        self._scheduler.next_in(self.job, seconds)

    @property
    def is_failing(self) -> bool:
        """Whether the next check is a retry, which keeps its time: while editors work, calls come all the time."""
        return self._state.status is WorkerStatus.FAILING and not self._state.is_working

    @property
    def idle_seconds(self) -> float:
        """The seconds for which queued records have to wait."""
        return max(self._not_before - time.monotonic(), 0.0)


class _Every(BaseTrigger):  # type: ignore[misc] # apscheduler has no types
    """Every `seconds` after the last time, and always later than now.

    APScheduler asks for one time after another until one is later than now, and only then makes one run of all that
    came due. Its own IntervalTrigger answers with every time in between: 31 million for ten years of ten seconds each.
    """

    def __init__(self, seconds: float) -> None:
        self._interval = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the time after `previous_fire_time`; if that has passed, one interval from `now`."""
        after = now if previous_fire_time is None else previous_fire_time + self._interval
        return after if after > now else now + self._interval


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=max(seconds, 0.0))
