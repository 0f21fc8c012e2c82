"""Syncs several sources at once: a task and a client each, one governor for each token, one mirror for all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from versionsync import cma
from versionsync.config import Secret, SourceSettings
from versionsync.ledger.brake import VanishLimit
from versionsync.mirror.database import Mirror
from versionsync.sync.report import Outcome, Progress, RunKind, RunReport, SourceSpec, SyncOptions
from versionsync.sync.run import sync_source

__all__ = ["Work", "governors", "spec_of", "sync_all"]


@dataclass(frozen=True, slots=True)
class Work:
    """One source to sync: what it is, with which token, and where its run tells how it goes."""

    spec: SourceSpec
    token: Secret
    rate_limit: int | str | None
    progress: Progress

    @classmethod
    def on(cls, source: SourceSettings, token: Secret) -> Work:
        """The work on one configured source."""
        return cls(spec_of(source), token, source.rate_limit, Progress(source=source.name))


def spec_of(source: SourceSettings) -> SourceSpec:
    """A configured source as the engine wants it."""
    return SourceSpec(
        name=source.name,
        base_url=source.base_url,
        environment=source.environment,
        max_vanish=VanishLimit(share=source.max_vanish.share, number=source.max_vanish.number),
    )


def governors(works: Sequence[Work]) -> dict[Secret, cma.Governor]:
    """A governor for each token. Where sources of one token set different limits, the lowest holds for all."""
    limits: dict[Secret, list[int | str | None]] = {}
    for work in works:
        limits.setdefault(work.token, []).append(work.rate_limit)
    return {token: cma.Governor(_strictest(asked)) for token, asked in limits.items()}


async def sync_all(
    mirror: Mirror, works: Sequence[Work], options: SyncOptions, *, log: FilteringBoundLogger
) -> list[RunReport]:
    """One report for each of `works`, in their order; one that fails stops no other.

    When cancelled, all runs are stopped cleanly first, then CancelledError is raised.
    """
    shared = governors(works)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_sync_one(mirror, work, options, shared[work.token], log)) for work in works]
    return [task.result() for task in tasks]


async def _sync_one(
    mirror: Mirror, work: Work, options: SyncOptions, governor: cma.Governor, log: FilteringBoundLogger
) -> RunReport:
    try:
        async with cma.Client(
            work.spec.base_url, work.token.reveal(), environment=work.spec.environment, governor=governor
        ) as client:
            return await sync_source(mirror, client, work.spec, options, progress=work.progress, log=log)
    except Exception as error:  # a fault of ours must not take the other sources along
        counts = work.progress.counts
        kind = RunKind.INCREMENTAL
        return RunReport(source=work.spec.name, kind=kind, outcome=Outcome.FAILED, counts=counts, error=error)


def _strictest(asked: Sequence[int | str | None]) -> int | str | None:
    numbers = [limit for limit in asked if isinstance(limit, int)]
    if numbers:
        return min(numbers)
    return None if None in asked else cma.UNLIMITED
