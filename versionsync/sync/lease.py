"""A run's lease on its source: taken, renewed while the run works, and given back with its outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from versionsync.errors import ErrorKind
from versionsync.mirror.errors import LeaseHeld, MirrorError
from versionsync.mirror.tables.leases import LEASE_SECONDS, Holder, Lease, acquire, release, release_in
from versionsync.mirror.tables.runs import finish_run, interrupt_stale_runs, start_run, update_run
from versionsync.mirror.tables.sources import update_checkpoint
from versionsync.sync.context import Checkpoint, Context
from versionsync.sync.report import Counts, LeaseInfo, Outcome, RunKind

__all__ = ["LEASE_POLL_SECONDS", "RENEW_SECONDS", "LeaseKeeper"]


RENEW_SECONDS = 10


LEASE_POLL_SECONDS = 1.0


class LeaseKeeper:
    """The time for which a run holds its source's lease, and the run's row from its start to its outcome."""

    def __init__(self, desk: Context, lease: Lease, run_id: int, *, started_at: datetime, taken_at: float) -> None:
        self._desk = desk
        self.lease = lease
        self.run_id = run_id
        self.started_at = started_at
        self.info = LeaseInfo(lease.epoch, taken_at + LEASE_SECONDS)

    @classmethod
    async def acquire(
        cls, desk: Context, source_id: int, *, kind: RunKind, trigger: str, wait_seconds: float
    ) -> LeaseKeeper:
        """Take the lease, waiting for it as long as that, and note the run. Raises LeaseHeld."""
        holder, now = Holder.of_this_process(), desk.now()

        def take() -> LeaseKeeper:
            taken_at = time.monotonic()
            lease = acquire(desk.mirror, source_id, holder)

            def note(tx: Connection) -> int:
                interrupt_stale_runs(tx, lease, finished_at=now)
                return start_run(tx, lease, kind=kind, trigger=trigger, started_at=now)

            try:
                return cls(desk, lease, desk.mirror.transact(note), started_at=now, taken_at=taken_at)
            except BaseException:
                with suppress(MirrorError):  # then it ends by itself
                    release(desk.mirror, lease)
                raise

        deadline = asyncio.get_running_loop().time() + wait_seconds
        while True:
            taking = asyncio.ensure_future(desk.writing.run(take))
            try:
                return await asyncio.shield(taking)
            except LeaseHeld:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(LEASE_POLL_SECONDS)
            except asyncio.CancelledError:
                # A lease that is taken behind our back must be given back by us.
                with suppress(MirrorError):  # then the next run notes it
                    tenure = await taking
                    await tenure.release(Outcome.INTERRUPTED, Counts(), wrongs=None, trouble=None, checkpoint={})
                raise

    @asynccontextmanager
    async def renewing(self, counts: Callable[[], Counts]) -> AsyncIterator[None]:
        """The lease is renewed while the block runs; losing it ends the block with a group that holds LeaseLost.

        How far the run is by then is noted with it, so that a run which only reads moves too.
        """
        async with asyncio.TaskGroup() as group:
            renewal = group.create_task(self._keep(counts))
            yield
            renewal.cancel()

    async def _keep(self, counts: Callable[[], Counts]) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            renewed_at = time.monotonic()
            # Whatever is written holds the lease for longer.
            await self._desk.write(partial(update_run, lease=self.lease, run_id=self.run_id, counts=asdict(counts())))
            self.info.until = renewed_at + LEASE_SECONDS

    async def release(
        self, outcome: Outcome, counts: Counts, *, wrongs: str | None, trouble: ErrorKind | None, checkpoint: Checkpoint
    ) -> None:
        """Record the outcome and the checkpoint that it allows, and give the lease back, in one transaction.

        `wrongs` is what the run could not do, `trouble` the same as one word. Raises MirrorError. Where the lease was
        lost nothing is recorded: the next holder notes it as interrupted. Cancelling does not keep it from being done.
        """

        def note(tx: Connection) -> None:
            if checkpoint:
                update_checkpoint(tx, self.lease, **checkpoint)
            finish_run(
                tx,
                self.lease,
                self.run_id,
                outcome=outcome,
                finished_at=self._desk.now(),
                counts=asdict(counts),
                error=wrongs,
                error_kind=trouble,
            )
            release_in(tx, self.lease)

        # Waiting in the thread's queue it could still be cancelled, and the lease would be kept from the next holder.
        # The thread ends when its queue is empty, and the run when the thread does.
        await asyncio.shield(self._desk.write(note))
