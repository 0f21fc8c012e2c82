"""The scheduler: which job comes when. In memory only, made from the settings at each start.

Intervals in UTC, so that no change to summer time skips or repeats anything. A job that comes late is done all the
same, once: after a clock that jumps ahead by years, too. A job never runs beside itself.
"""

from __future__ import annotations

import asyncio
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

__all__ = ["SourceScheduler"]

MIN_DELAY_SECONDS: Final = 1.0
"""A job that was asked for at once, and says itself when it comes again, is not tried more often meanwhile."""

Work = Callable[[], Awaitable[None]]


class SourceScheduler:
    """Jobs by name. All of it belongs to one event loop. `failed` and `missed` count its jobs."""

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
        """From now on jobs that are due begin."""
        self._scheduler.start()

    def add(self, name: str, work: Work, *, every: float, first_in: float) -> None:
        """Do `work` in `first_in` seconds and then every `every` seconds, unless `next_in` says otherwise."""
        self._every[name] = every
        first = _in(first_in)
        self._scheduler.add_job(partial(self._do, name, work), _Every(every), next_run_time=first, id=name, name=name)

    def next_in(self, name: str, seconds: float) -> None:
        """Do the job `name` next in so many seconds, and every so many from then on. One that is gone stays so."""
        if name in self._every:
            self._every[name] = max(seconds, MIN_DELAY_SECONDS)
            with suppress(JobLookupError):
                self._scheduler.modify_job(name, trigger=_Every(self._every[name]), next_run_time=_in(seconds))

    def restart(self) -> None:
        """Count all waits from now: the clock was set, and who waits for a time of day may wait for hours."""
        for name, every in self._every.items():
            self.next_in(name, every)

    async def remove(self, name: str) -> None:
        """Take the job out; if it is under way, it is cancelled and waited for."""
        self._every.pop(name, None)
        with suppress(JobLookupError):
            self._scheduler.remove_job(name)
        if task := self._running.get(name):
            task.cancel()
            await asyncio.wait({task})

    async def stop(self) -> None:
        """Begin nothing any more, cancel what is under way, and wait for its end."""
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


class _Every(BaseTrigger):  # type: ignore[misc] # apscheduler has no types
    """Every `seconds` after the last time, and always later than now.

    APScheduler asks for one time after another until one is later than now, and only then makes one run of all that
    came due. Its own IntervalTrigger answers with every time in between: 31 million for ten years of ten seconds each.
    """

    def __init__(self, seconds: float) -> None:
        self._interval = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the time after `previous_fire_time`; where that has passed, one interval from `now`."""
        after = now if previous_fire_time is None else previous_fire_time + self._interval
        return after if after > now else now + self._interval


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=max(seconds, 0.0))
