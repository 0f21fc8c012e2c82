"""A run's lease on its source: acquired, renewed while the run works, and released with its outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from versionsync.mirror.errors import LeaseHeld, MirrorError
from versionsync.mirror.tables.leases import LEASE_SECONDS, Holder, Lease, release_in
from versionsync.mirror.tables.leases import take as take_lease
from versionsync.mirror.tables.runs import Counts, finish_run, interrupt_stale_runs, start_run, update_run
from versionsync.mirror.tables.sources import update_checkpoint
from versionsync.sync.async_mirror import AsyncMirror
from versionsync.sync.report import LeaseInfo, Outcome, RunKind
from versionsync.sync.run_limits import Timings
from versionsync.sync.stage_results import Checkpoint

__all__ = ["LeaseKeeper"]


@dataclass(slots=True, kw_only=True)
class LeaseKeeper:
    """Holds the lease of a source, and keeps the run's row from its start to its outcome."""

    database: AsyncMirror
    lease: Lease
    info: LeaseInfo
    run_id: int
    started_at: datetime
    renew_seconds: float
    now: Callable[[], datetime]

    @classmethod
    async def acquire(
        cls,
        database: AsyncMirror,
        source_id: int,
        *,
        kind: RunKind,
        trigger: str,
        wait_seconds: float,
        now: Callable[[], datetime],
        timings: Timings,
    ) -> LeaseKeeper:
        """Acquire the lease, and insert the run's row.

        Args:
            source_id: The source to lock.
            kind: What the run does.
            trigger: What started it.
            wait_seconds: How long to wait if another process holds the lease.
            now: The local clock.
            timings: How often to try, and to renew.

        Raises:
            LeaseHeld: If another process still holds it.
            MirrorError: If the database cannot be written.
        """
        holder, started_at = Holder.of_this_process(), now()

        def take() -> LeaseKeeper:
            acquired_at = time.monotonic()

            def start(tx: Connection) -> tuple[Lease, int]:
                lease = take_lease(tx, source_id, holder)
                interrupt_stale_runs(tx, lease, finished_at=started_at)
                return lease, start_run(tx, lease, kind=kind, trigger=trigger, started_at=started_at)

            lease, run_id = database.mirror.transact(start)
            return cls(
                database=database,
                lease=lease,
                info=LeaseInfo(lease.epoch, acquired_at + LEASE_SECONDS),
                run_id=run_id,
                started_at=started_at,
                renew_seconds=timings.renew_lease,
                now=now,
            )

        deadline = asyncio.get_running_loop().time() + wait_seconds
        while True:
            taking = asyncio.ensure_future(database.writing.run(take))
            try:
                return await asyncio.shield(taking)
            except LeaseHeld:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(timings.poll_lease)
            except asyncio.CancelledError:
                # The thread may still acquire the lease after the cancellation. Then it must be released here.
                with suppress(MirrorError):  # the next run marks this one as interrupted
                    keeper = await taking
                    await keeper.release(Outcome.INTERRUPTED, Counts(), error=None, error_kind=None, checkpoint={})
                raise

    @asynccontextmanager
    async def renewing(self, counts: Callable[[], Counts]) -> AsyncIterator[None]:
        """Renew the lease while the block runs. Losing it ends the block with a group that holds LeaseLost.

        Each renewal also saves `counts()`, so that a run that only reads shows progress.
        """
        async with asyncio.TaskGroup() as group:
            renewal = group.create_task(self._renew(counts))
            yield
            renewal.cancel()

    async def _renew(self, counts: Callable[[], Counts]) -> None:
        while True:
            await asyncio.sleep(self.renew_seconds)
            renewed_at = time.monotonic()
            # Every write under the lease renews it.
            saved = asdict(counts())
            await self.database.write(partial(update_run, lease=self.lease, run_id=self.run_id, counts=saved))
            self.info.until = renewed_at + LEASE_SECONDS

    async def release(
        self, outcome: Outcome, counts: Counts, *, error: str | None, error_kind: str | None, checkpoint: Checkpoint
    ) -> None:
        """Save the run's outcome and its checkpoint, and release the lease, in one transaction.

        Cancelling does not stop it. If the lease was lost, nothing is saved: the next holder marks the run as
        interrupted.

        Args:
            outcome: How the run ended.
            counts: What it read and wrote.
            error: What ended it, or what it could not do.
            error_kind: The same as one word.
            checkpoint: The columns of the source to set.

        Raises:
            MirrorError: If the database cannot be written.
        """

        def finish(tx: Connection) -> None:
            if checkpoint:
                update_checkpoint(tx, self.lease, **checkpoint)
            finish_run(
                tx,
                self.lease,
                self.run_id,
                outcome=outcome,
                finished_at=self.now(),
                counts=asdict(counts),
                error=error,
                error_kind=error_kind,
            )
            release_in(tx, self.lease)

        # A cancelled wait in the thread's queue would keep the lease from the next holder. Shielded, the write is done:
        # the thread ends only when its queue is empty, and the run only after the thread.
        await asyncio.shield(self.database.write(finish))
