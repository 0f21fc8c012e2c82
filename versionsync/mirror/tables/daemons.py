"""Which daemons run, and which of them runs which source: only that one sends requests for it.

A claim is no right to write: that is the lease, which each run takes for itself. Two daemons that both believe to have
a claim can do no harm: the second run finds the lease taken before its first request.

A daemon is alive until its row expires, by the database's clock. Its claims are as alive as it is.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from sqlalchemy import ColumnElement, Connection, case, delete, func, insert, or_, select, update

from versionsync.mirror.engine.bulk import IDS_AT_ONCE, among, chunked
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import daemons, source_claims, sources, webhook_log_cursors, webhook_queue
from versionsync.mirror.tables.leases import set_lock_timeout
from versionsync.mirror.tables.sources import add_sources
from versionsync.mirror.tables.webhooks import INVALID_CURSOR

__all__ = [
    "VALID_SECONDS",
    "ActiveDaemon",
    "ClaimRow",
    "DaemonRow",
    "Renewal",
    "active_daemon",
    "active_daemons",
    "add_claims",
    "claim_rows",
    "daemon_rows",
    "delete_daemon",
    "delete_old_daemons",
    "expire_daemons",
    "free_claims",
    "invalid_cursors",
    "limit_validity",
    "newest_queued",
    "release_claims",
    "renew_daemon",
    "save_next_check",
    "take_claims",
]

VALID_SECONDS: Final = 30
"""For how long a heartbeat is valid."""
KEPT_SECONDS: Final = 3600
"""For how long the row of a dead daemon is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveDaemon:
    """The daemon that runs a source. `is_expired`: its heartbeats have stopped, or it is known to be dead."""

    holder: Holder
    expires_at: datetime
    is_expired: bool
    next_check_at: datetime | None
    next_check_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonRow:
    """A daemon.

    Attributes:
        id: Rises with each daemon that starts.
        holder: Its process.
        sources: The names of the sources in its settings.
        expires_at: Until when its last heartbeat is valid.
        is_expired: Whether that time has passed.
        is_far: Whether that time is too far away for a heartbeat: the database's clock was set back since.
    """

    id: int
    holder: Holder
    sources: frozenset[str]
    expires_at: datetime
    is_expired: bool
    is_far: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    """A source, and the id of the daemon that claims it. `has_row` is whether a claim can be written already."""

    source_id: int
    name: str
    daemon_id: int | None
    has_row: bool
    complete_as_of: datetime | None


@dataclass(frozen=True, slots=True)
class Renewal:
    """A heartbeat that was written.

    Attributes:
        id: The id of the daemon.
        is_news: Whether others do not know it yet, or its settings have other sources now.
        expired_at: When the heartbeat before it had expired already; None: it was still valid.
    """

    id: int
    is_news: bool
    expired_at: datetime | None


def renew_daemon(
    tx: Connection, id: int | None, me: Holder, names: frozenset[str], *, valid_seconds: int = VALID_SECONDS
) -> Renewal:
    """Write a heartbeat of this daemon.

    Args:
        tx: The transaction.
        id: Its id. None: it has none yet. It gets a new one also if its row was deleted meanwhile.
        me: This process.
        names: The names of the sources in its settings.
        valid_seconds: For how long it is valid.
    """
    now, until = dialect_of(tx).now(), dialect_of(tx).now(seconds=valid_seconds)
    text = json.dumps(sorted(names))
    if id is not None:
        before = tx.execute(
            select(daemons.c.expires_at, daemons.c.sources, _flag(daemons.c.expires_at <= now)).where(
                daemons.c.id == id
            )
        ).one_or_none()
        if before is not None:
            is_other = _names_in(before[1]) != names
            new_names = {"sources": text} if is_other else {}
            tx.execute(update(daemons).where(daemons.c.id == id).values(expires_at=until, **new_names))
            return Renewal(id, is_news=is_other, expired_at=before[0] if before[2] else None)
    new = tx.scalar(
        insert(daemons)
        .values(holder=me.to_json(), sources=text, started_at=now, expires_at=until)
        .returning(daemons.c.id)
    )
    assert new is not None
    return Renewal(new, is_news=True, expired_at=None)


def daemon_rows(connection: Connection) -> list[DaemonRow]:
    """Return all daemons, the oldest first."""
    dialect = dialect_of(connection)
    rows = connection.execute(
        select(
            daemons.c.id,
            daemons.c.holder,
            daemons.c.sources,
            daemons.c.expires_at,
            _flag(daemons.c.expires_at <= dialect.now()),
            _flag(daemons.c.expires_at > dialect.now(seconds=2 * VALID_SECONDS)),
        ).order_by(daemons.c.id)
    )
    return [
        DaemonRow(
            id=id,
            holder=Holder.from_json(holder),
            sources=_names_in(names),
            expires_at=expires_at,
            is_expired=bool(is_expired),
            is_far=bool(is_far),
        )
        for id, holder, names, expires_at, is_expired, is_far in rows
    ]


def expire_daemons(tx: Connection, ids: Collection[int]) -> None:
    """Record that these daemons are dead, for those who cannot see it themselves."""
    now = dialect_of(tx).now()
    tx.execute(update(daemons).where(daemons.c.id.in_(ids), daemons.c.expires_at > now).values(expires_at=now))


def limit_validity(tx: Connection, ids: Collection[int]) -> None:
    """Let heartbeats of these daemons be valid no longer than a new one: the database's clock was set back."""
    tx.execute(
        update(daemons).where(daemons.c.id.in_(ids)).values(expires_at=dialect_of(tx).now(seconds=VALID_SECONDS))
    )


def delete_old_daemons(tx: Connection) -> None:
    """Delete the rows of daemons that are dead for KEPT_SECONDS.

    A row that another transaction has locked stays: a daemon that was suspended in the middle of a heartbeat, or lost
    with its machine, keeps its own locked for hours.
    """
    old = select(daemons.c.id).where(daemons.c.expires_at <= dialect_of(tx).now(seconds=-KEPT_SECONDS))
    ids = tx.scalars(old.order_by(daemons.c.id).with_for_update(skip_locked=True)).all()
    if ids:
        tx.execute(delete(daemons).where(daemons.c.id.in_(ids)))


def delete_daemon(tx: Connection, id: int) -> None:
    """Delete a daemon that stops, and release all its sources."""
    mine = source_claims.c.daemon_id == id
    tx.execute(update(source_claims).where(mine).values(_RELEASED))
    tx.execute(delete(daemons).where(daemons.c.id == id))


def claim_rows(connection: Connection) -> list[ClaimRow]:
    """Return all sources with their claims."""
    rows = connection.execute(
        select(
            sources.c.id,
            sources.c.name,
            source_claims.c.daemon_id,
            _flag(source_claims.c.source_id.is_not(None)),
            sources.c.complete_as_of,
        ).select_from(sources.outerjoin(source_claims, source_claims.c.source_id == sources.c.id))
    )
    return [
        ClaimRow(source_id=id, name=name, daemon_id=daemon_id, has_row=bool(has_row), complete_as_of=complete_as_of)
        for id, name, daemon_id, has_row, complete_as_of in rows
    ]


def free_claims(connection: Connection) -> frozenset[int]:
    """Return the sources that no daemon has claimed."""
    return frozenset(connection.scalars(select(source_claims.c.source_id).where(source_claims.c.daemon_id.is_(None))))


def add_claims(tx: Connection, names: Collection[str]) -> None:
    """Add a row for each of these sources, and one for its claim, unless it has them.

    Raises MirrorError through `Mirror.transact` if another daemon was suspended while it did the same.
    """
    set_lock_timeout(tx)
    ids = sorted(add_sources(tx, names).values())
    tx.execute(dialect_of(tx).insert_ignore(source_claims), [{"source_id": id} for id in ids])


def take_claims(tx: Connection, daemon_id: int, source_ids: Iterable[int], *, dead: Collection[int]) -> set[int]:
    """Claim those of these sources that no daemon has, or one of the `dead`; return their ids.

    A claim that another transaction is about to change is left to it.
    """
    taken: set[int] = set()
    is_free = or_(source_claims.c.daemon_id.is_(None), source_claims.c.daemon_id.in_(dead))
    for some in chunked(sorted(source_ids), IDS_AT_ONCE):
        # SQLite has no FOR UPDATE; BEGIN IMMEDIATE has locked the database already.
        free = tx.scalars(
            select(source_claims.c.source_id)
            .where(source_claims.c.source_id.in_(some), is_free)
            .order_by(source_claims.c.source_id)
            .with_for_update(skip_locked=True)
        ).all()
        _set(tx, free, daemon_id=daemon_id, next_check_at=None, next_check_reason=None)
        taken.update(free)
    return taken


def release_claims(tx: Connection, daemon_id: int, source_ids: Collection[int]) -> None:
    """Release these sources if the daemon still has them: others may take them at once."""
    for some in chunked(sorted(source_ids), IDS_AT_ONCE):
        mine = source_claims.c.source_id.in_(some), source_claims.c.daemon_id == daemon_id
        tx.execute(update(source_claims).where(*mine).values(_RELEASED))


def save_next_check(tx: Connection, source_id: int, daemon_id: int, *, at: datetime, reason: str) -> None:
    """Save when the daemon checks a source next, if it still has it."""
    mine = source_claims.c.source_id == source_id, source_claims.c.daemon_id == daemon_id
    tx.execute(update(source_claims).where(*mine).values(next_check_at=at, next_check_reason=reason))


def newest_queued(connection: Connection, daemon_id: int) -> dict[int, int]:
    """Return the newest queued call of a webhook for each source that the daemon has and that has any."""
    rows = connection.execute(
        select(webhook_queue.c.source_id, func.max(webhook_queue.c.id))
        .join(source_claims, source_claims.c.source_id == webhook_queue.c.source_id)
        .where(source_claims.c.daemon_id == daemon_id)
        .group_by(webhook_queue.c.source_id)
    )
    return {row[0]: row[1] for row in rows}


def invalid_cursors(connection: Connection, daemon_id: int) -> dict[int, datetime]:
    """Return the sources of the daemon whose webhook was changed by a command, and when."""
    rows = connection.execute(
        select(webhook_log_cursors.c.source_id, webhook_log_cursors.c.read_at)
        .join(source_claims, source_claims.c.source_id == webhook_log_cursors.c.source_id)
        .where(source_claims.c.daemon_id == daemon_id, webhook_log_cursors.c.webhook_id == INVALID_CURSOR)
    )
    return {row[0]: row[1] for row in rows}


def active_daemon(connection: Connection, source_id: int) -> ActiveDaemon | None:
    """Return the daemon that claims a source, alive or not; None: none does."""
    return active_daemons(connection, [source_id]).get(source_id)


def active_daemons(connection: Connection, source_ids: Collection[int]) -> dict[int, ActiveDaemon]:
    """Return the daemons that claim sources, alive or not, by source, with one query."""
    rows = connection.execute(
        select(
            source_claims.c.source_id,
            daemons.c.holder,
            daemons.c.expires_at,
            _flag(daemons.c.expires_at <= dialect_of(connection).now()),
            source_claims.c.next_check_at,
            source_claims.c.next_check_reason,
        )
        .join(daemons, daemons.c.id == source_claims.c.daemon_id)
        .where(among(source_claims.c.source_id, source_ids))
    )
    holders: dict[str, tuple[Holder, bool]] = {}  # one daemon claims many sources
    found = {}
    for id, text, expires_at, expired, next_check_at, next_check_reason in rows:
        if text not in holders:
            holders[text] = (holder := Holder.from_json(text)), holder.is_known_dead()
        holder, is_dead = holders[text]
        found[id] = ActiveDaemon(
            holder=holder,
            expires_at=expires_at,
            is_expired=bool(expired) or is_dead,
            next_check_at=next_check_at,
            next_check_reason=next_check_reason,
        )
    return found


_RELEASED: Final[Mapping[str, None]] = {"daemon_id": None, "next_check_at": None, "next_check_reason": None}


def _set(tx: Connection, source_ids: Collection[int], **values: int | None) -> None:
    if source_ids:
        tx.execute(update(source_claims).where(source_claims.c.source_id.in_(source_ids)).values(values))


def _flag(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)


@lru_cache(maxsize=64)
def _names_in(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))
