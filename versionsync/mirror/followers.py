"""Which daemon follows a source: it alone asks upstream, and any other stands by until it ends or falls silent.

This is no right to write: that is the lease, which each run takes for itself. Two daemons that both believed to follow
a source would ask upstream twice, and harm nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, select, update

from versionsync.mirror.bulk import insert_or_keep
from versionsync.mirror.clock import database_time
from versionsync.mirror.holders import Holder
from versionsync.mirror.leases import limit_lock_wait
from versionsync.mirror.tables import followers

__all__ = ["FOLLOW_SECONDS", "Following", "follow", "followed_by", "leave", "note_next_look"]

FOLLOW_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """What the database says of a source's follower. `is_over`: it fell silent, or is known to be dead."""

    holder: Holder
    expires_at: datetime
    is_over: bool
    next_look_at: datetime | None
    next_look_reason: str | None


def follow(tx: Connection, source_id: int, me: Holder) -> Holder:
    """Follow a source for another FOLLOW_SECONDS, unless another daemon does; returns who follows it now.

    Raises MirrorError through `Mirror.transact` where another daemon was stopped in the middle of doing the same.
    """
    limit_lock_wait(tx)
    tx.execute(insert_or_keep(followers, tx.dialect.name).values(source_id=source_id))
    # SQLite has no FOR UPDATE; BEGIN IMMEDIATE has locked the database already.
    tx.execute(select(followers.c.source_id).where(followers.c.source_id == source_id).with_for_update())
    other = followed_by(tx, source_id)
    if other is not None and other.holder != me and not other.is_over:
        return other.holder
    is_new = other is None or other.holder != me
    tx.execute(
        update(followers)
        .where(followers.c.source_id == source_id)
        .values(
            holder=me.to_json(),
            expires_at=database_time(tx, seconds=FOLLOW_SECONDS),
            **({"next_look_at": None, "next_look_reason": None} if is_new else {}),
        )
    )
    return me


def leave(tx: Connection, source_id: int, me: Holder) -> None:
    """Follow a source no longer: whoever stands by may take over at once."""
    other = followed_by(tx, source_id)
    if other is not None and other.holder == me:
        tx.execute(
            update(followers)
            .where(followers.c.source_id == source_id)
            .values(holder=None, expires_at=None, next_look_at=None, next_look_reason=None)
        )


def note_next_look(tx: Connection, source_id: int, me: Holder, *, at: datetime, reason: str) -> None:
    """Tell whoever asks the database when this follower means to look next, and why then."""
    other = followed_by(tx, source_id)
    if other is not None and other.holder == me:
        tx.execute(
            update(followers).where(followers.c.source_id == source_id).values(next_look_at=at, next_look_reason=reason)
        )


def followed_by(connection: Connection, source_id: int) -> Following | None:
    """Who follows a source; None: nobody."""
    is_expired = case((followers.c.expires_at <= database_time(connection), 1), else_=0)
    row = connection.execute(
        select(
            followers.c.holder,
            followers.c.expires_at,
            is_expired,
            followers.c.next_look_at,
            followers.c.next_look_reason,
        ).where(followers.c.source_id == source_id, followers.c.holder.is_not(None))
    ).one_or_none()
    if row is None or row[0] is None or row[1] is None:
        return None
    holder = Holder.from_json(row[0])
    return Following(
        holder=holder,
        expires_at=row[1],
        is_over=bool(row[2]) or holder.is_known_dead(),
        next_look_at=row[3],
        next_look_reason=row[4],
    )
