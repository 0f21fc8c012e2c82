"""Who looks at the mirror over its shoulder, from another connection: what is committed must be true at any time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Connection, func, select

from versionsync.ledger.content import same_fingerprint
from versionsync.ledger.records import SeenRecord
from versionsync.mirror.database import Mirror
from versionsync.mirror.schema import events, fields, models, records, runs, version_rewrites, versions

__all__ = ["Oracle", "contradictions", "written"]

FLAGS = {
    "version.became_current": ("current", True),
    "version.superseded": ("current", False),
    "version.published": ("published", True),
    "version.unpublished": ("published", False),
}
SECONDS_BETWEEN_LOOKS = 0.02
WRITTEN = (events, fields, models, records, version_rewrites, versions)


class Oracle:
    """Looks at a mirror again and again while something else writes to it."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self.seen: list[str] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at what is committed while the block runs; what was wrong is in `seen`."""
        over = threading.Event()
        thread = threading.Thread(target=self._look_until, args=(over,), name="witness")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _look_until(self, over: threading.Event) -> None:
        while not over.wait(SECONDS_BETWEEN_LOOKS):
            with self._mirror.read() as connection:
                self.seen.extend(contradictions(connection))


def contradictions(connection: Connection, listed: Mapping[str, SeenRecord] | None = None) -> Iterator[str]:
    """Where the mirror breaks invariant 2, 3 or 4; `listed` are upstream's records as a listing would show them now."""
    found = connection.execute(select(versions).order_by(versions.c.record_id, versions.c.ordinal)).all()
    for flag in ("is_current", "is_published"):
        flagged = Counter(row.record_id for row in found if getattr(row, flag))
        yield from (f"invariant 2: record {id} has {n} versions with {flag}" for id, n in flagged.items() if n > 1)
    by_record = {"is_current": "current_version_id", "is_published": "published_version_id"}
    for record in connection.execute(select(records)):
        for flag, column in by_record.items():
            flagged_id = next((row.id for row in found if row.record_id == record.id and getattr(row, flag)), None)
            if flagged_id != getattr(record, column):
                yield f"record {record.id}: {column} is {getattr(record, column)}, but {flag} has {flagged_id}"
        seen = listed.get(record.id) if listed else None
        passes = (
            seen is not None and same_fingerprint(seen.fingerprint, record.fingerprint) and record.deleted_at is None
        )
        if seen and passes and seen.current_version_id != record.current_version_id:
            yield f"invariant 4: record {record.id} passes for seen, but {seen.current_version_id} is current"
    refers_to = {events.c.record_id: records.c.id, events.c.version_id: versions.c.id, events.c.run_id: runs.c.id}
    for column, key in refers_to.items():
        there = select(key).where(key == column)
        dangling = select(events.c.id).where(column.is_not(None), ~there.exists())
        yield from (f"event {id}: there is no row for its {column.name}" for id in connection.scalars(dangling))
    states: dict[tuple[str, str], bool] = {}
    created: Counter[str] = Counter()
    for event in connection.execute(select(events.c.type, events.c.version_id).order_by(events.c.id)):
        if event.type == "version.created":
            created[event.version_id] += 1
        if event.type in FLAGS:
            flag, is_on = FLAGS[event.type]
            if states.get((event.version_id, flag), False) is is_on:
                yield f"invariant 3: {event.type} of {event.version_id} is written, although it was so already"
            states[event.version_id, flag] = is_on
    for row in found:
        if created[row.id] != 1:
            yield f"invariant 3: version {row.id} has {created[row.id]} events of its creation"
        for flag, is_on in (("current", row.is_current), ("published", row.is_published)):
            if states.get((row.id, flag), False) is not is_on:
                yield f"invariant 3: {flag} of {row.id} is {is_on}, its events say otherwise"


def written(mirror: Mirror) -> dict[str, int]:
    """How many rows there are of what only the holder of the lease may write, and the last event."""
    with mirror.read() as connection:
        counts = {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in WRITTEN}
        counts["last event"] = connection.scalar(select(func.max(events.c.id))) or 0
        counts["finished runs"] = (
            connection.scalar(select(func.count()).where(runs.c.finished_at.is_not(None)).select_from(runs)) or 0
        )
        return counts
