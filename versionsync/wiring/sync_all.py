"""Sync several sources at once: a task and a client for each, one rate limiter for each token, one mirror for all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from versionsync import cma
from versionsync.config import Secret, SourceSettings
from versionsync.history.projections.background import BackgroundFiller
from versionsync.ledger.safeguards import MassDeleteLimit
from versionsync.mirror.database import Mirror
from versionsync.sync.options import SourceSpec, SyncOptions
from versionsync.sync.report import Progress, RunReport
from versionsync.sync.run import sync_source
from versionsync.sync.unexplained_changes import ReadLimit
from versionsync.wiring.clients import open_client, rate_limiter_of

__all__ = ["SourceJob", "fill_projections", "source_spec", "sync_all"]


@dataclass(slots=True)
class SourceJob:
    """One source to sync.

    Attributes:
        source: Its settings.
        token: Its API token.
        progress: How far its run is.
        seconds: How long its run took.
    """

    source: SourceSettings
    token: Secret
    progress: Progress = field(init=False)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.progress = Progress(source=self.source.name)


def source_spec(source: SourceSettings) -> SourceSpec:
    """Return a configured source in the engine's own terms."""
    limit, search = source.mass_delete_limit, source.change_search
    return SourceSpec(
        name=source.name,
        base_url=source.base_url,
        environment=source.environment,
        mass_delete_limit=MassDeleteLimit(fraction=limit.fraction, count=limit.count),
        unexplained=ReadLimit(at_once=search.at_once, per_hour=search.per_hour),
    )


async def sync_all(
    mirror: Mirror, jobs: Sequence[SourceJob], options: SyncOptions, *, log: FilteringBoundLogger
) -> list[RunReport]:
    """Run all `jobs` and return their reports, in the same order. A job that fails stops no other.

    Then the projections of each source are filled: after all runs, so that it slows down none of them. On cancellation
    it stops everything cleanly, then raises CancelledError.
    """
    shared = _rate_limiters(jobs)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_sync_one(mirror, job, options, shared[job.token], log)) for job in jobs]
    if not options.dry_run:
        for job in jobs:
            await fill_projections(mirror, job.source.name, log=log)
    return [task.result() for task in tasks]


async def fill_projections(mirror: Mirror, name: str, *, log: FilteringBoundLogger) -> None:
    """Fill the projections of a source. An error is logged; a source to which another process writes is left out."""
    filler = BackgroundFiller(mirror, name, log=log, idle_pauses=0.0)
    try:
        await filler.fill()
    finally:
        await filler.close()


def _rate_limiters(jobs: Sequence[SourceJob]) -> Mapping[Secret, cma.RateLimiter]:
    tokens = dict.fromkeys(job.token for job in jobs)
    return {token: rate_limiter_of([job.source.rate_limit for job in jobs if job.token == token]) for token in tokens}


async def _sync_one(
    mirror: Mirror, job: SourceJob, options: SyncOptions, rate_limiter: cma.RateLimiter, log: FilteringBoundLogger
) -> RunReport:
    spec, started = source_spec(job.source), time.monotonic()
    try:
        async with open_client(job.source, job.token, rate_limiter=rate_limiter, log=log) as client:
            return await sync_source(mirror, client, spec, options, progress=job.progress, log=log)
    except Exception as error:  # a bug must not end the runs of the other sources
        return RunReport.failed(spec.name, error, job.progress.counts)
    finally:
        job.seconds = time.monotonic() - started
