"""The daemon's own worker without its world: time jumps from job to job, and requests are counted, not sent.

Everything that decides is the daemon's: when to look, to read the log of calls, to read old histories, and what a
budget pays for. In the place of the rest stand short ones: a timetable that moves the clock instead of waiting, books
in memory, an upstream of nothing but edits, and an engine that knows what each kind of run costs (`costs`). A run takes
no time here.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Final, cast
from unittest.mock import patch

import structlog
import time_machine

from benchmarks.daemon.memory_store import MemoryStore
from benchmarks.daemon.simulated_upstream import Engine, Upstream
from versionsync.budget import Budget
from versionsync.config import Secret
from versionsync.daemon.run_queue import RunQueue
from versionsync.daemon.scheduler import SourceScheduler, Work
from versionsync.daemon.source_worker import SourceWorker
from versionsync.daemon.worker_state import SourceConfig
from versionsync.mirror.database import Mirror
from versionsync.sync.options import SourceSpec
from versionsync.webhooks.payload import BasicAuth

__all__ = ["START", "Hears", "Lived", "live"]

START: Final = datetime(2026, 9, 1, tzinfo=UTC)
"""A Tuesday."""
RECORDS: Final = 5_000
LEAST_SECONDS: Final = 1.0
QUIET: Final = structlog.wrap_logger(structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(50))


class Hears(StrEnum):
    """How the daemon hears of changes besides its looks."""

    NOTHING = "checks alone"
    LOG = "webhook log"
    RECEIVER = "receiver"


@dataclass(frozen=True, slots=True)
class Lived:
    """Requests of each day (UTC), and the seconds from each edit to the run that mirrored it."""

    requests: Counter[date]
    latencies: list[float]
    unseen: int


def live(
    *,
    days: int,
    edits: Sequence[datetime],
    hears: Hears = Hears.NOTHING,
    max_staleness: float = 60.0,
    scrub: int = 240,
    budget: str | None = None,
) -> Lived:
    """Follow a project of 5,000 records that is mirrored already, from `START` on; `edits` are each of another record.

    Moves the clock of the whole process while it lasts.
    """
    upstream = Upstream(edits, records=RECORDS, has_webhook=hears is Hears.LOG)
    source = SourceConfig(
        spec=SourceSpec(name="website", base_url="https://example.com"),
        max_staleness=max_staleness,
        scrub=scrub,
        budget=None if budget is None else Budget.parse(budget),
        webhook=BasicAuth("versionsync", Secret("unused")) if hears is Hears.RECEIVER else None,
        polls_webhook_log=hears is not Hears.RECEIVER,
        open_client=upstream.open_client,
    )
    with (
        patch("versionsync.daemon.runner.sync_source", Engine(upstream).run),
        patch("versionsync.daemon.source_worker.WorkerDatabase", lambda _mirror, _name: MemoryStore()),
        _moved_clock() as clock,
    ):
        asyncio.run(_live(source, upstream, clock, START + timedelta(days=days)))
    return Lived(upstream.requests, upstream.latencies, upstream.number_unseen)


@contextmanager
def _moved_clock() -> Iterator[time_machine.Traveller]:
    """Every clock of the process stands until it is moved, the monotonic one too."""
    with time_machine.travel(START, tick=False) as clock, patch("time.monotonic", lambda: time.time()):
        yield clock


async def _live(source: SourceConfig, upstream: Upstream, clock: time_machine.Traveller, until: datetime) -> None:
    scheduler = _Scheduler()
    worker = SourceWorker(
        cast(Mirror, None),
        source,
        cast(SourceScheduler, scheduler),
        queue=RunQueue(1),
        log=QUIET,
        random=Random(1),
        stall_seconds=300.0,
    )
    worker.begin(1, complete_as_of=None)
    while (at := scheduler.due_at) < until.timestamp():
        edit = upstream.next_edit_at
        if source.webhook is not None and edit is not None and edit.timestamp() <= at:
            clock.move_to(edit)
            for call in upstream.happen():
                worker.state.webhook_results[await worker.on_webhook(call)] += 1
        else:
            clock.move_to(max(at, time.time()))
            await scheduler.do_next()
    await worker.end()


@dataclass(slots=True)
class _Job:
    work: Work
    every: float
    at: float


class _Scheduler:
    """As that of the daemon, but the caller of `do_next` has moved the clock before."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Job] = {}

    def add(self, name: str, work: Work, *, every: float, first_in: float) -> None:
        self._jobs[name] = _Job(work, every, time.time() + first_in)

    def next_in(self, name: str, seconds: float) -> None:
        if job := self._jobs.get(name):
            job.every, job.at = max(seconds, LEAST_SECONDS), time.time() + max(seconds, 0.0)

    async def remove(self, name: str) -> None:
        self._jobs.pop(name, None)

    @property
    def due_at(self) -> float:
        return min(job.at for job in self._jobs.values())

    async def do_next(self) -> None:
        job = min(self._jobs.values(), key=lambda job: job.at)
        job.at += job.every  # unless the work itself says otherwise
        await job.work()
