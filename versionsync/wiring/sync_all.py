"""Syncs several sources at once: a task and a client each, one governor for each token, one mirror for all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from versionsync import cma
from versionsync.config import Secret, SourceSettings
from versionsync.ledger.safeguards import MassDeleteLimit
from versionsync.mirror.database import Mirror
from versionsync.sync.report import Outcome, Progress, RunKind, RunReport, SourceSpec, SyncOptions
from versionsync.sync.run import sync_source
from versionsync.sync.unexplained import ReadLimit
from versionsync.wiring.clients import open_client, rate_limiter_of

__all__ = ["SourceJob", "source_spec", "sync_all"]


@dataclass(slots=True)
class SourceJob:
    """One source to sync: its settings, its token, where its run tells how it goes, and how long it took."""

    source: SourceSettings
    token: Secret
    progress: Progress
    seconds: float = 0.0

    @classmethod
    def on(cls, source: SourceSettings, token: Secret) -> SourceJob:
        """The work on one configured source."""
        return cls(source, token, Progress(source=source.name))


def source_spec(source: SourceSettings) -> SourceSpec:
    """A configured source as the engine wants it."""
    return SourceSpec(
        name=source.name,
        base_url=source.base_url,
        environment=source.environment,
        mass_delete_limit=MassDeleteLimit(
            fraction=source.mass_delete_limit.fraction, count=source.mass_delete_limit.count
        ),
        unexplained=ReadLimit(at_once=source.change_search.at_once, per_hour=source.change_search.per_hour),
    )


async def sync_all(
    mirror: Mirror, works: Sequence[SourceJob], options: SyncOptions, *, log: FilteringBoundLogger
) -> list[RunReport]:
    """One report for each of `works`, in their order; one that fails stops no other.

    When cancelled, all runs are stopped cleanly first, then CancelledError is raised.
    """
    shared = _rate_limiters(works)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_sync_one(mirror, work, options, shared[work.token], log)) for work in works]
    return [task.result() for task in tasks]


def _rate_limiters(works: Sequence[SourceJob]) -> Mapping[Secret, cma.RateLimiter]:
    tokens = dict.fromkeys(work.token for work in works)
    return {
        token: rate_limiter_of([work.source.rate_limit for work in works if work.token == token]) for token in tokens
    }


async def _sync_one(
    mirror: Mirror, work: SourceJob, options: SyncOptions, governor: cma.RateLimiter, log: FilteringBoundLogger
) -> RunReport:
    spec, began = source_spec(work.source), time.monotonic()
    try:
        async with open_client(work.source, work.token, governor=governor, log=log) as client:
            return await sync_source(mirror, client, spec, options, progress=work.progress, log=log)
    except Exception as error:  # a fault of ours must not take the other sources along
        counts, kind = work.progress.counts, RunKind.INCREMENTAL
        return RunReport(source=spec.name, kind=kind, outcome=Outcome.FAILED, counts=counts, error=error)
    finally:
        work.seconds = time.monotonic() - began
