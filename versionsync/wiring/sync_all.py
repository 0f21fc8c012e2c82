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
from versionsync.wiring.clients import governor_of, open_client

__all__ = ["Work", "spec_of", "sync_all"]


@dataclass(slots=True)
class Work:
    """One source to sync: its settings, its token, where its run tells how it goes, and how long it took."""

    source: SourceSettings
    token: Secret
    progress: Progress
    seconds: float = 0.0

    @classmethod
    def on(cls, source: SourceSettings, token: Secret) -> Work:
        """The work on one configured source."""
        return cls(source, token, Progress(source=source.name))


def spec_of(source: SourceSettings) -> SourceSpec:
    """A configured source as the engine wants it."""
    return SourceSpec(
        name=source.name,
        base_url=source.base_url,
        environment=source.environment,
        mass_delete_limit=MassDeleteLimit(fraction=source.max_vanish.share, count=source.max_vanish.number),
        unexplained=ReadLimit(at_once=source.change_search.at_once, per_hour=source.change_search.per_hour),
    )


async def sync_all(
    mirror: Mirror, works: Sequence[Work], options: SyncOptions, *, log: FilteringBoundLogger
) -> list[RunReport]:
    """One report for each of `works`, in their order; one that fails stops no other.

    When cancelled, all runs are stopped cleanly first, then CancelledError is raised.
    """
    shared = _governors(works)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_sync_one(mirror, work, options, shared[work.token], log)) for work in works]
    return [task.result() for task in tasks]


def _governors(works: Sequence[Work]) -> Mapping[Secret, cma.RateLimiter]:
    tokens = dict.fromkeys(work.token for work in works)
    return {token: governor_of([work.source.rate_limit for work in works if work.token == token]) for token in tokens}


async def _sync_one(
    mirror: Mirror, work: Work, options: SyncOptions, governor: cma.RateLimiter, log: FilteringBoundLogger
) -> RunReport:
    spec, began = spec_of(work.source), time.monotonic()
    try:
        async with open_client(work.source, work.token, governor=governor, log=log) as client:
            return await sync_source(mirror, client, spec, options, progress=work.progress, log=log)
    except Exception as error:  # a fault of ours must not take the other sources along
        counts, kind = work.progress.counts, RunKind.INCREMENTAL
        return RunReport(source=spec.name, kind=kind, outcome=Outcome.FAILED, counts=counts, error=error)
    finally:
        work.seconds = time.monotonic() - began
