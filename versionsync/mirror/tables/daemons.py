"""Which daemon runs a source: only that one sends requests, any other stands by until its claim is over.

A claim is no right to write: that is the lease, which each run takes for itself. Two daemons that both believe to have
the claim send requests twice, and do no other harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, select, update

from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import source_claims
from versionsync.mirror.tables.leases import set_lock_timeout

__all__ = ["CLAIM_SECONDS", "ActiveDaemon", "active_daemon", "claim_source", "release_source", "save_next_check"]

CLAIM_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveDaemon:
    """The daemon that runs a source. `is_expired`: it did not renew its claim in time, or is known to be dead."""

    holder: Holder
    expires_at: datetime
    is_expired: bool
    next_check_at: datetime | None
    next_check_reason: str | None


def claim_source(tx: Connection, source_id: int, me: Holder) -> Holder:
    """Claim a source for CLAIM_SECONDS, unless another daemon has it; return which daemon has it now.

    Raises MirrorError through `Mirror.transact` if another daemon was suspended while it did the same.
    """
    set_lock_timeout(tx)
    tx.execute(dialect_of(tx).insert_ignore(source_claims).values(source_id=source_id))
    # SQLite has no FOR UPDATE; BEGIN IMMEDIATE has locked the database already.
    tx.execute(select(source_claims.c.source_id).where(source_claims.c.source_id == source_id).with_for_update())
    other = active_daemon(tx, source_id)
    if other is not None and other.holder != me and not other.is_expired:
        return other.holder
    is_new = other is None or other.holder != me
    tx.execute(
        update(source_claims)
        .where(source_claims.c.source_id == source_id)
        .values(
            holder=me.to_json(),
            expires_at=dialect_of(tx).now(seconds=CLAIM_SECONDS),
            **({"next_check_at": None, "next_check_reason": None} if is_new else {}),
        )
    )
    return me


def release_source(tx: Connection, source_id: int, me: Holder) -> None:
    """Release a claim: a daemon that stands by may take over at once."""
    _update_own(tx, source_id, me, holder=None, expires_at=None, next_check_at=None, next_check_reason=None)


def save_next_check(tx: Connection, source_id: int, me: Holder, *, at: datetime, reason: str) -> None:
    _update_own(tx, source_id, me, next_check_at=at, next_check_reason=reason)


def _update_own(tx: Connection, source_id: int, me: Holder, **values: datetime | str | None) -> None:
    """Update the claim if it is ours."""
    other = active_daemon(tx, source_id)
    if other is not None and other.holder == me:
        tx.execute(update(source_claims).where(source_claims.c.source_id == source_id).values(values))


def active_daemon(connection: Connection, source_id: int) -> ActiveDaemon | None:
    is_expired = case((source_claims.c.expires_at <= dialect_of(connection).now(), 1), else_=0)
    row = connection.execute(
        select(
            source_claims.c.holder,
            source_claims.c.expires_at,
            is_expired,
            source_claims.c.next_check_at,
            source_claims.c.next_check_reason,
        ).where(source_claims.c.source_id == source_id, source_claims.c.holder.is_not(None))
    ).one_or_none()
    if row is None or row[0] is None or row[1] is None:
        return None
    holder = Holder.from_json(row[0])
    return ActiveDaemon(
        holder=holder,
        expires_at=row[1],
        is_expired=bool(row[2]) or holder.is_known_dead(),
        next_check_at=row[3],
        next_check_reason=row[4],
    )
