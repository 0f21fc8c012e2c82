"""One sync in a process of its own, and what it took there: seconds, CPU by part, memory, requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from unittest.mock import patch

import structlog

from benchmarks.processes import in_own_process, peak_memory
from benchmarks.project import TOKEN
from versionsync import cma
from versionsync.__main__ import collect_garbage_rarely
from versionsync.mirror.database import Mirror
from versionsync.mirror.schema.migrate import upgrade
from versionsync.mirror.tables.runs import Counts
from versionsync.sync import sync_source
from versionsync.sync.options import SourceSpec, SyncOptions
from versionsync.sync.report import Progress, RunReport

__all__ = ["Measured", "Parts", "open_client", "sync", "sync_with"]

# The functions of each part, by the names under which the engine calls them.
PARTS = {
    "decoding": ("versionsync.cma.jsonapi.entries", "versionsync.cma.jsonapi.document"),
    "hashing": ("versionsync.sync.writer.content_hash",),
    "planning": ("versionsync.sync.writer.plan_record", "versionsync.sync.writer.plan_deletion"),
}


@dataclass(frozen=True, slots=True)
class Parts:
    """CPU seconds of one process by what they were for.

    `network` is all that the event loop does but decoding; `database` all that is left: the driver, SQLite itself,
    the making of rows.
    """

    network: float
    decoding: float
    hashing: float
    planning: float
    database: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.network + self.decoding + self.hashing + self.planning + self.database


@dataclass(frozen=True, slots=True)
class Measured:
    """What one sync took. `seconds` are of the wall, `peak` is in bytes and of the whole process."""

    counts: Counts
    seconds: float
    parts: Parts
    peak: int


@dataclass(slots=True)
class _Clocks:
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))


def sync(upstream: str, database: str, *, full: bool = False) -> Measured:
    """Bring `database` up to date with `upstream`, unthrottled; it is made if it is not there."""
    return in_own_process(_sync, upstream, database, full)


def _sync(upstream: str, database: str, full: bool) -> Measured:
    collect_garbage_rarely()  # as the command does
    upgrade(database)
    return asyncio.run(_measure(upstream, database, full))


async def _measure(upstream: str, database: str, full: bool) -> Measured:
    progress = Progress(source="website")
    with _timed() as clocks, Mirror.open(database) as mirror:
        async with open_client(upstream, cma.RateLimiter(cma.UNLIMITED)) as client:
            began, cpu, loop = time.perf_counter(), time.process_time(), time.thread_time()
            report = await sync_with(
                mirror, client, upstream, SyncOptions(full=full, wait_until_settled=False), progress
            )
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            loop = time.thread_time() - loop
    if report.outcome != "succeeded":
        raise RuntimeError(f"the sync did not succeed: {report}") from report.error
    decoding, hashing, planning = (clocks.seconds[part] for part in PARTS)
    parts = Parts(loop - decoding, decoding, hashing, planning, cpu - loop - hashing - planning)
    return Measured(progress.counts, seconds, parts, peak_memory())


def open_client(upstream: str, governor: cma.RateLimiter) -> cma.Client:
    """A client of `upstream` at the pace of `governor`."""
    return cma.Client(upstream, TOKEN, rate_limiter=governor)


async def sync_with(
    mirror: Mirror, client: cma.Client, upstream: str, options: SyncOptions, progress: Progress
) -> RunReport:
    """One run of the engine, without a log."""
    log = structlog.wrap_logger(None, processors=[_drop])
    return await sync_source(
        mirror, client, SourceSpec(name=progress.source, base_url=upstream), options, progress=progress, log=log
    )


def _drop(*_: object) -> dict[str, object]:
    raise structlog.DropEvent


@contextmanager
def _timed() -> Iterator[_Clocks]:
    """The CPU seconds of each part's functions, on whatever thread they run."""
    clocks = _Clocks()
    with ExitStack() as stack:
        for part, names in PARTS.items():
            for name in names:
                patching = patch(name)
                original, _ = patching.get_original()
                stack.enter_context(patch(name, _clocked(original, part, clocks)))
        yield clocks


def _clocked(work: Callable[..., Any], part: str, clocks: _Clocks) -> Callable[..., Any]:
    @wraps(work)
    def clocked(*args: Any, **kwargs: Any) -> Any:
        began = time.thread_time()
        try:
            return work(*args, **kwargs)
        finally:
            clocks.seconds[part] += time.thread_time() - began

    return clocked
