"""What the stages of a run share. Made once per run, never changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from structlog.typing import FilteringBoundLogger

from versionsync import cma
from versionsync.ledger.schema import Schema
from versionsync.mirror.tables.leases import Lease
from versionsync.mirror.tables.sources import SourceRow
from versionsync.sync.async_mirror import AsyncMirror
from versionsync.sync.beacon import ActiveEnvironment, is_first_sync
from versionsync.sync.lease_renewal import LeaseKeeper
from versionsync.sync.options import SourceSpec, SyncOptions
from versionsync.sync.report import Progress
from versionsync.sync.role_visibility import ListedModels, RoleVisibility
from versionsync.sync.run_limits import Limits, Timings
from versionsync.sync.run_memory import RunMemory
from versionsync.sync.workers import WorkerPool

__all__ = ["RunContext", "Upstream"]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """The connections, the settings and the starting point of one run.

    Attributes:
        database: The mirror.
        client: The API client, for the environment of this run.
        spec: The source's settings.
        source: The source's row, as it was when the run began.
        environment: The environment, with its beacon.
        options: What this run should do.
        keeper: The lease. None in a dry run, which writes nothing.
        workers: The workers that read many records at once.
        progress: The progress that others watch.
        now: The local clock.
        timings: The pauses of the run.
        limits: How much it does at once.
        memory: What it may hold of the records that it reads and writes.
    """

    database: AsyncMirror
    client: cma.Client
    spec: SourceSpec
    source: SourceRow
    environment: ActiveEnvironment
    options: SyncOptions
    keeper: LeaseKeeper | None
    workers: WorkerPool
    progress: Progress
    log: FilteringBoundLogger
    now: Callable[[], datetime]
    timings: Timings
    limits: Limits
    memory: RunMemory

    @property
    def lease(self) -> Lease:
        return self._held.lease

    @property
    def run_id(self) -> int:
        return self._held.run_id

    @property
    def _held(self) -> LeaseKeeper:
        if self.keeper is None:
            raise RuntimeError("a dry run has no lease, and writes nothing")
        return self.keeper

    @property
    def is_first_sync(self) -> bool:
        """Return whether no run has swept this environment yet, so that the mirror's state says nothing about it."""
        return is_first_sync(self.source, self.environment)

    def upstream_now(self) -> datetime:
        """Return the time by DatoCMS's clock."""
        return self.now() + (self.client.clock_offset or timedelta())

    async def read(self, query: Callable[Concatenate[Connection, int, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `query` finds of this source in one snapshot."""
        return await self.database.read(lambda connection: query(connection, self.source.id, *args, **kwargs))

    async def write(self, change: Callable[[Connection], T]) -> T:
        return await self.database.write(change)


@dataclass(frozen=True, slots=True)
class Upstream:
    """The schema of this run, after it was checked, the project's time zone, and what the token's role shows."""

    schema: Schema
    time_zone: str | None
    visibility: RoleVisibility

    @property
    def models(self) -> ListedModels:
        """Return the models that have records, and the block models."""
        return ListedModels.of(self.schema)
