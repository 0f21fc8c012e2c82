"""The right to write to a source: one process has it, with an expiry time and an epoch (invariant 8).

The epoch rises with each holder, and every writing transaction asserts its own. A process that was suspended finds that
its epoch has passed, and writes nothing. Only the database's clock decides when a lease expires.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, select, update

from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.bulk import among
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.errors import LeaseHeld, LeaseLost
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import leases, sources

__all__ = [
    "LEASE_SECONDS",
    "FreeLease",
    "HeldLease",
    "Holder",
    "Lease",
    "acquire",
    "assert_and_renew",
    "current",
    "current_of",
    "free_lease",
    "lock",
    "lock_free",
    "release",
    "release_in",
    "set_lock_timeout",
    "take",
]

LEASE_SECONDS = 30
LOCK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Lease:
    """Our right to write to a source, valid while the database's epoch is this one."""

    source_id: int
    epoch: int
    holder: Holder


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A source's lease as recorded: who holds it, until when, and whether it has expired."""

    source_id: int
    epoch: int
    holder: Holder
    expires_at: datetime
    is_expired: bool

    @property
    def is_free(self) -> bool:
        """Return whether any process may take it: it has expired, or its holder is known to be dead."""
        return self.is_expired or self.holder.is_known_dead()


@dataclass(frozen=True, slots=True)
class FreeLease:
    """A lease that no process held, and its epoch then. It is proof that nothing was written since."""

    source_id: int
    epoch: int


def acquire(mirror: Mirror, source_id: int, holder: Holder) -> Lease:
    """Take the lease of a source for `holder`, for LEASE_SECONDS.

    If its holder is known to be dead, the lease is free at once, otherwise when it has expired. Raises LeaseHeld.
    """
    return mirror.transact(lambda tx: take(tx, source_id, holder))


def set_lock_timeout(tx: Connection) -> None:
    """Limit how long this transaction waits for a lock, since the process that holds one may be suspended."""
    dialect_of(tx).set_lock_timeout(tx, LOCK_SECONDS)


def take(tx: Connection, source_id: int, holder: Holder) -> Lease:
    """Do as `acquire` in the transaction `tx`, which may then write under the lease."""
    _check_free(tx, source_id)
    set_lock_timeout(tx)
    # SQLite has no FOR UPDATE; BEGIN IMMEDIATE has locked the database already.
    epoch = tx.scalar(select(leases.c.epoch).where(leases.c.source_id == source_id).with_for_update())
    if epoch is None:
        raise LookupError(f"there is no source {source_id}")
    _check_free(tx, source_id)
    lease = Lease(source_id, epoch + 1, holder)
    tx.execute(
        update(leases)
        .where(leases.c.source_id == source_id)
        .values(holder=holder.to_json(), epoch=lease.epoch, expires_at=dialect_of(tx).now(seconds=LEASE_SECONDS))
    )
    return lease


def _check_free(tx: Connection, source_id: int) -> None:
    held = current(tx, source_id)
    if held is not None and not held.is_free:
        name = tx.scalar(select(sources.c.name).where(sources.c.id == source_id))
        raise LeaseHeld(str(name), holder=str(held.holder), expires_at=held.expires_at)


def assert_and_renew(tx: Connection, lease: Lease) -> None:
    """Assert and renew the lease in the transaction `tx`; no other process can take it before `tx` ends.

    Raises LeaseLost; the transaction must then write nothing.
    """
    held = tx.execute(
        update(leases)
        .where(leases.c.source_id == lease.source_id, leases.c.epoch == lease.epoch, leases.c.holder.is_not(None))
        .values(expires_at=dialect_of(tx).now(seconds=LEASE_SECONDS))
    )
    if held.rowcount != 1:
        raise LeaseLost(
            f"the lease of source {lease.source_id} (epoch {lease.epoch}) is over: {_why_lost(tx, lease)}; "
            "nothing was written since: run this again"
        )


def _why_lost(tx: Connection, lease: Lease) -> str:
    now = current(tx, lease.source_id)
    if now is not None:
        return f"{now.holder} has taken it (epoch {now.epoch})"
    epoch = tx.scalar(select(leases.c.epoch).where(leases.c.source_id == lease.source_id))
    return "it was released" if epoch == lease.epoch else "another process has had it since"


def lock(tx: Connection, source_id: int) -> None:
    """Wait for the transaction of the holder that is under way, if one is, and keep the next one out until `tx` ends.

    It takes no lease: the holder goes on after `tx`.
    """
    set_lock_timeout(tx)
    tx.execute(select(leases.c.epoch).where(leases.c.source_id == source_id).with_for_update())


def release(mirror: Mirror, lease: Lease) -> None:
    mirror.transact(lambda tx: release_in(tx, lease))


def release_in(tx: Connection, lease: Lease) -> None:
    """Do as `release` in the transaction `tx`. Its holder writes nothing after that."""
    tx.execute(
        update(leases)
        .where(leases.c.source_id == lease.source_id, leases.c.epoch == lease.epoch)
        .values(holder=None, expires_at=None)
    )


def current(connection: Connection, source_id: int) -> HeldLease | None:
    """Return the lease of a source, or None if no process holds it."""
    return current_of(connection, [source_id]).get(source_id)


def current_of(connection: Connection, source_ids: Collection[int]) -> dict[int, HeldLease]:
    """Return the leases of sources that some process holds, by source, with one query."""
    is_expired = case((leases.c.expires_at <= dialect_of(connection).now(), 1), else_=0)
    rows = connection.execute(
        select(leases.c.source_id, leases.c.epoch, leases.c.holder, leases.c.expires_at, is_expired).where(
            among(leases.c.source_id, source_ids), leases.c.holder.is_not(None)
        )
    )
    return {
        id: HeldLease(id, epoch, Holder.from_json(holder), expires_at, bool(expired))
        for id, epoch, holder, expires_at, expired in rows
        if holder is not None and expires_at is not None
    }


def free_lease(connection: Connection, source_id: int) -> FreeLease | None:
    """Return the lease of a source if no process holds it, also none that may be dead. None: some process does."""
    epoch = connection.scalar(select(leases.c.epoch).where(leases.c.source_id == source_id, leases.c.holder.is_(None)))
    return None if epoch is None else FreeLease(source_id, epoch)


def lock_free(tx: Connection, lease: FreeLease) -> bool:
    """Keep other processes from taking a free lease until `tx` ends. Return False if one has had it since it was read.

    So a short transaction has the right to write without a holder that others would see, and that a run would refuse.
    """
    set_lock_timeout(tx)
    return (
        tx.execute(
            update(leases)
            .where(leases.c.source_id == lease.source_id, leases.c.epoch == lease.epoch, leases.c.holder.is_(None))
            .values(epoch=lease.epoch)
        ).rowcount
        == 1
    )
