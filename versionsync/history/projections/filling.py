"""Fill the projections of a source from its events, a batch at a time.

A batch is computed from one snapshot, while no process holds the lease of the source. It is then written in one short
transaction, and only if no process has had the lease since. Otherwise its rows may be old, and the batch is dropped.
So a run never waits for a projection, and two processes can fill at once without harm. The cursor moves in the
transaction that writes the rows, so nothing is lost or left out when a process is killed.

The full-text index is filled last: it takes the longest, and most questions do not need it.

Rows are computed again for each version that is new or rewritten, for the one after it, and for records whose versions
changed their order or lost content by an erasure. Nothing else that they follow from can change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from versionsync.history.projections.intervals import INTERVAL_EVENTS
from versionsync.history.projections.rows import ContentRows, content_rows, interval_rows, links_of_records
from versionsync.history.schema_at import SchemaHistory
from versionsync.ledger.events import EventType
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.engine.full_text import full_text_of
from versionsync.mirror.tables.changes import replace_changes
from versionsync.mirror.tables.events import HistoryEvent, history_events_after, last_event_id
from versionsync.mirror.tables.intervals import IntervalRow, load_intervals, write_intervals
from versionsync.mirror.tables.leases import FreeLease, free_lease, lock_free
from versionsync.mirror.tables.links import LinkRow, write_links
from versionsync.mirror.tables.passages import replace_passages
from versionsync.mirror.tables.projection_cursors import (
    CHANGES,
    FILLED_FIRST,
    INTERVALS,
    LINKS,
    PROJECTIONS,
    SEARCH,
    TITLES,
    delete_some_rows,
    forget_cursors,
    load_cursors,
    move_cursor,
    reordered,
    start_cursor,
    unmark_reordered,
)
from versionsync.mirror.tables.titles import replace_titles

__all__ = ["EVENTS_AT_ONCE", "FORMATS", "FillState", "Filled", "ProjectionFiller", "request_rebuild"]

FORMATS: Final[Mapping[str, int]] = {CHANGES: 1, INTERVALS: 1, LINKS: 1, TITLES: 1, SEARCH: 1}
"""How the rows of each projection are computed. Another number here fills it again in every database."""

EVENTS_AT_ONCE: Final = 1000
ROWS_DELETED_AT_ONCE: Final = 2000
RECORDS_REORDERED_AT_ONCE: Final = 20
GROWN: Final = 10_000
"""After how many versions the tables are analyzed, once they are filled."""

_CONTENT_EVENTS: Final = frozenset({EventType.VERSION_CREATED.value, EventType.VERSION_REWRITTEN.value})


class FillState(StrEnum):
    """What to do after a batch."""

    MORE = "more"
    """There is more to fill."""
    COMPLETE = "complete"
    """Everything is filled."""
    BUSY = "busy"
    """Another process writes to the source, or has just done so: try again later."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What a batch did.

    Attributes:
        state: What to do next.
        versions: How many versions were computed, for other projections than the index.
        indexed: How many versions were computed for the index.
        event_id: Every event up to this one is in all projections.
        last_event_id: The last event of the source.
        failed: The versions that could not be compared, and why.
    """

    state: FillState
    versions: int = 0
    event_id: int = 0
    last_event_id: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    indexed: int = 0


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What is to be done, as one snapshot shows it."""

    lease: FreeLease
    last_event_id: int
    emptied: str | None = None
    """A projection that is to be emptied first."""
    filled: tuple[str, ...] = ()
    """The projections to fill: those that are least far."""
    before: int = 0
    after: int = 0
    rows: _Rows | None = None
    reordered: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        return self.emptied is None and not self.filled and not self.reordered


@dataclass(frozen=True, slots=True)
class _Rows:
    contents: ContentRows
    gone: list[IntervalRow] = field(default_factory=list)
    new: list[IntervalRow] = field(default_factory=list)
    gone_links: list[LinkRow] = field(default_factory=list)
    new_links: list[LinkRow] = field(default_factory=list)


class _OvertakenError(Exception):
    """Another process had the lease, or filled the same batch."""


class ProjectionFiller:
    """Fills the projections of one source. Use it in one thread.

    Attributes:
        events_at_once: How many events a batch has at most. A version has about four.
    """

    def __init__(
        self,
        mirror: Mirror,
        source_id: int,
        *,
        events_at_once: int = EVENTS_AT_ONCE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.events_at_once = events_at_once
        self._mirror = mirror
        self._source_id = source_id
        self._now = now
        self._schemas: tuple[int, SchemaHistory] | None = None
        self._grown = 0
        self._is_stopped = False

    def stop(self) -> None:
        """Drop the batch in progress, and every later one. Any thread may call it."""
        self._is_stopped = True

    def fill_batch(self) -> Filled:
        """Fill the next batch. Raises MirrorError; then nothing of it is written."""
        work = self._mirror.query(self._compute)
        if work is None:
            return Filled(FillState.BUSY)
        if work.is_complete:
            if self._grown >= GROWN:
                self._analyze()
            return Filled(FillState.COMPLETE, event_id=work.last_event_id, last_event_id=work.last_event_id)
        try:
            self._mirror.transact(lambda tx: self._write(tx, work))
        except _OvertakenError:
            return Filled(FillState.BUSY, last_event_id=work.last_event_id)
        contents = work.rows.contents if work.rows else ContentRows()
        linked = sum(len(record.steps) for record in contents.links.values())
        versions = max(len({*contents.changed, *contents.titled}), linked)
        indexed = len(contents.searched)
        self._grown += max(versions, indexed)
        return Filled(FillState.MORE, versions, work.after, work.last_event_id, contents.failed, indexed)

    def _compute(self, connection: Connection) -> _Snapshot | None:
        """Return the next work. None: another process writes, or this was stopped."""
        lease = free_lease(connection, self._source_id)
        if lease is None or self._is_stopped:
            return None
        last = last_event_id(connection, self._source_id)
        cursors = load_cursors(connection, self._source_id)
        wanted = PROJECTIONS if full_text_of(connection).is_available(connection) else FILLED_FIRST
        stale = (name for name in wanted if name not in cursors or cursors[name].format != FORMATS[name])
        if emptied := next(stale, None):
            return _Snapshot(lease, last, emptied=emptied)
        # The index is filled alone, once the others are.
        group = FILLED_FIRST if any(cursors[name].event_id < last for name in FILLED_FIRST) else wanted
        lowest = min(cursors[name].event_id for name in group)
        others = {cursors[name].event_id for name in group} - {lowest}
        filled = tuple(name for name in group if cursors[name].event_id == lowest) if lowest < last else ()
        events: list[HistoryEvent] = []
        if filled:
            events = history_events_after(connection, self._source_id, lowest, limit=self.events_at_once)
            events = [event for event in events if event.id <= min(others, default=last)]
        marked = reordered(connection, self._source_id, limit=RECORDS_REORDERED_AT_ONCE)
        if not filled and not marked:
            return _Snapshot(lease, last)
        rows = self._rows(connection, lease, events, filled, marked)
        if rows is None:
            return None
        after = events[-1].id if events else min(others, default=last)
        return _Snapshot(lease, last, None, filled, lowest, after, rows, tuple(marked))

    def _rows(
        self,
        connection: Connection,
        lease: FreeLease,
        events: Collection[HistoryEvent],
        filled: Collection[str],
        marked: Collection[str],
    ) -> _Rows | None:
        wanted: dict[str, set[str] | None] = {}
        with_intervals: dict[str, None] = {}
        for event in events:
            if event.record_id is None:
                continue
            if event.type == EventType.RECORD_ERASED.value:
                wanted[event.record_id] = None
            elif event.type in _CONTENT_EVENTS and event.version_id is not None:
                of_record = wanted.setdefault(event.record_id, set())
                if of_record is not None:
                    of_record.add(event.version_id)
            if event.type in INTERVAL_EVENTS:
                with_intervals[event.record_id] = None
        contents: ContentRows | None = ContentRows()
        with_changes, with_titles, with_links, with_passages = (
            name in filled for name in (CHANGES, TITLES, LINKS, SEARCH)
        )
        if wanted and (with_changes or with_titles or with_links or with_passages):
            contents = content_rows(
                connection,
                self._source_id,
                wanted,
                self._schemas_of(connection, lease),
                with_changes=with_changes,
                with_titles=with_titles,
                with_links=with_links,
                with_passages=with_passages,
                is_stopped=lambda: self._is_stopped,
            )
        if contents is not None and marked:
            contents = self._with_reordered(connection, lease, contents, marked)
        if contents is None:
            return None
        rows = _Rows(contents)
        if contents.links:
            links = links_of_records(
                connection,
                self._source_id,
                contents.links,
                self._schemas_of(connection, lease),
                is_stopped=lambda: self._is_stopped,
            )
            if links is None:
                return None
            rows = replace(rows, gone_links=links[0], new_links=links[1])
        if INTERVALS not in filled:
            return rows
        known = load_intervals(connection, self._source_id, with_intervals)
        computed = interval_rows(connection, self._source_id, list(with_intervals))
        before, after = set(known), set(computed)
        return replace(
            rows,
            gone=[row for row in known if row not in after],
            new=[row for row in computed if row not in before],
        )

    def _with_reordered(
        self, connection: Connection, lease: FreeLease, contents: ContentRows, marked: Collection[str]
    ) -> ContentRows | None:
        """Return `contents` with all changes, links and passages of the records that are marked."""
        again = content_rows(
            connection,
            self._source_id,
            dict.fromkeys(marked),
            self._schemas_of(connection, lease),
            with_titles=False,
            with_passages=full_text_of(connection).exists(connection),
            is_stopped=lambda: self._is_stopped,
        )
        if again is None:
            return None
        done = set(again.changed)
        contents.changes = [row for row in contents.changes if row.version_id not in done] + again.changes
        contents.changed = [id for id in contents.changed if id not in done] + again.changed
        contents.passages = [row for row in contents.passages if row.version_id not in done] + again.passages
        contents.searched = [id for id in contents.searched if id not in done] + again.searched
        contents.failed |= again.failed
        contents.links |= again.links
        return contents

    def _schemas_of(self, connection: Connection, lease: FreeLease) -> SchemaHistory:
        """Return the schemas of the source. While no process has had the lease, they are the same."""
        if self._schemas is None or self._schemas[0] != lease.epoch:
            self._schemas = lease.epoch, SchemaHistory.load(connection, self._source_id)
        return self._schemas[1]

    def _write(self, tx: Connection, work: _Snapshot) -> None:
        """Write a batch. Raises _OvertakenError if another process has written since the snapshot."""
        if not lock_free(tx, work.lease):
            raise _OvertakenError
        if work.emptied is not None:
            self._empty(tx, work.emptied)
            return
        for name in work.filled:
            if not move_cursor(
                tx, self._source_id, name, before=work.before, after=work.after, format=FORMATS[name], at=self._now()
            ):
                raise _OvertakenError
        if work.rows is not None:
            contents = work.rows.contents
            replace_changes(tx, self._source_id, contents.changed, contents.changes)
            replace_titles(tx, self._source_id, contents.titled, contents.titles)
            replace_passages(tx, self._source_id, contents.searched, contents.passages)
            write_intervals(tx, self._source_id, gone=work.rows.gone, new=work.rows.new)
            write_links(tx, self._source_id, gone=work.rows.gone_links, new=work.rows.new_links)
        unmark_reordered(tx, self._source_id, work.reordered)
        if work.reordered and not full_text_of(tx).exists(tx):
            forget_cursors(tx, self._source_id, [SEARCH])

    def _empty(self, tx: Connection, projection: str) -> None:
        """Delete some rows of a projection; when none is left, it is filled from the start."""
        forget_cursors(tx, self._source_id, [projection])
        if not delete_some_rows(tx, self._source_id, projection, limit=ROWS_DELETED_AT_ONCE):
            if projection == SEARCH:
                full_text_of(tx).make(tx)
            start_cursor(tx, self._source_id, projection, format=FORMATS[projection], at=self._now())

    def _analyze(self) -> None:
        self._mirror.transact(lambda tx: dialect_of(tx).analyze_grown(tx))
        self._grown = 0


def request_rebuild(tx: Connection, source_id: int, projections: Collection[str] = PROJECTIONS) -> None:
    """Have these projections emptied and filled again, by whichever process fills them next."""
    forget_cursors(tx, source_id, projections)
