"""Events and acts, in the order in which they were mirrored. Each source has a position of its own.

Ids of one source are committed in order. Several sources in one PostgreSQL may commit a lower id after a higher one,
so a single position is safe only for one source, or on SQLite, which has one writer.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

from sqlalchemy import Connection, select

from versionsync.history.acts import group_events, kinds_of, subject_of, version_of
from versionsync.history.errors import AmbiguousName, UnknownName
from versionsync.history.model import Act, Event
from versionsync.history.questions.details import titles_of_versions
from versionsync.history.scope import Scope
from versionsync.ledger.events import EventType
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.bulk import chunked, field_names
from versionsync.mirror.schema import records, versions
from versionsync.mirror.tables.events import EventFilter, EventRow, events_after, last_events
from versionsync.text import nearest

__all__ = ["EventReader", "acts_of", "matching_types"]

BATCH: Final = 1000
POLL_SECONDS: Final = 1.0
EVENTS_AN_ACT: Final = 4
"""About how many events an act has."""

_COLUMNS: Final = tuple(name for name in field_names(EventRow) if name != "data")


def matching_types(patterns: Sequence[str]) -> list[str]:
    """Return the types of events that the patterns name: `version.published`, `version.*`. None: all.

    Raises:
        UnknownName: A pattern fits no type.
    """
    known = [kind.value for kind in EventType]
    found: dict[str, None] = {}
    for pattern in patterns:
        fitting = [type for type in known if fnmatchcase(type, pattern)]
        if not fitting:
            meant = nearest(pattern, known)
            hint = f"Did you mean {meant}?" if meant else f"There are {', '.join(known)}."
            raise UnknownName(f"there is no type {pattern}", hint=hint)
        found |= dict.fromkeys(fitting)
    return list(found)


class EventReader:
    """Reads events in batches, each from a snapshot of its own. It knows its position in each source."""

    def __init__(
        self, mirror: Mirror, scope: Callable[[Connection], Scope], wanted: Callable[[Scope, int], EventFilter | None]
    ) -> None:
        """Read from `mirror`.

        Args:
            mirror: The database.
            scope: Returns the sources. It runs again for each batch, since a source may be added.
            wanted: Returns which events of a source are wanted; None: none of it.
        """
        self._mirror = mirror
        self._scope = scope
        self._wanted = wanted
        self._first = 0
        self._after: dict[int, int] = {}

    def start_after(self, id: int) -> None:
        """Start after this event. Raises AmbiguousName if several sources could commit lower ids later."""
        with self._mirror.read() as connection:
            sources = self._scope(connection).sources
        if len(sources) > 1 and self._mirror.dialect.name == "postgresql":
            raise AmbiguousName(
                "ids are in order within one source only: name it, or an event may be missed",
                candidates=[f"--source {source.name}" for source in sources],
            )
        self._first = id

    def start_before_last(self, number: int) -> None:
        """Start before the last `number` events of all sources together."""
        with self._mirror.read() as connection:
            scope = self._scope(connection)
            last = {source_id: self._last(connection, scope, source_id, number) for source_id in scope.ids}
        newest = sorted(row.id for rows in last.values() for row in rows)[-number:]
        before = newest[0] - 1 if newest else 0
        # In one PostgreSQL a source may commit ids later that are lower than those of others: it starts after its own.
        # A source whose first sync comes later is read from its first event on.
        self._after = {source_id: min(before, rows[-1].id if rows else before) for source_id, rows in last.items()}

    def start_before_last_acts(self, number: int) -> list[Act]:
        """Return the last `number` acts of all sources together, and continue after them."""
        with self._mirror.read() as connection:
            scope = self._scope(connection)
            found: list[Act] = []
            for source_id in scope.ids:
                found += self._last_acts(connection, scope, source_id, number)
        return sorted(found, key=lambda act: act.id)[-number:]

    def batches(self, *, follow: bool = False) -> Iterator[list[Event]]:
        """Yield the events after the positions by id, in batches; with `follow` also new ones, without end."""
        while True:
            while batch := self._batch():
                yield batch
            if not follow:
                return
            time.sleep(POLL_SECONDS)

    def acts(self, *, follow: bool = False) -> Iterator[Act]:
        """Yield the acts after the positions; with `follow` also new ones, without end."""
        for batch in self.batches(follow=follow):
            with self._mirror.read() as connection:
                found = acts_of(connection, self._scope(connection), batch)
            yield from found

    def _last(self, connection: Connection, scope: Scope, source_id: int, number: int) -> list[EventRow]:
        wanted = self._wanted(scope, source_id)
        return [] if wanted is None else last_events(connection, source_id, wanted=wanted, limit=number)

    def _last_acts(self, connection: Connection, scope: Scope, source_id: int, number: int) -> list[Act]:
        """Return the last acts of a source. It reads more events until there are enough acts."""
        limit = number * EVENTS_AN_ACT
        while True:
            rows = self._last(connection, scope, source_id, limit)
            self._after[source_id] = rows[-1].id if rows else 0
            groups = [group for group in group_events(map(_event, rows)) if kinds_of(group)]
            if len(groups) > number or len(rows) < limit:  # the first group may be cut: it is not among the last
                return _described(connection, scope, groups[-number:])
            limit *= 4

    def _batch(self) -> list[Event]:
        """Return the next events of all sources by id. An act is not cut at the end, unless it is very long."""
        found: list[EventRow] = []
        with self._mirror.read() as connection:
            scope = self._scope(connection)
            for source_id in scope.ids:
                after = self._after.setdefault(source_id, self._first)
                wanted = self._wanted(scope, source_id)
                if wanted is not None:
                    found += events_after(connection, source_id, after, wanted=wanted, limit=BATCH)
        # The lowest ids of all sources together; the rest waits for the next batch.
        found = _whole_acts(sorted(found, key=lambda row: row.id))
        ids = {source.name: source.id for source in scope.sources}
        self._after |= {ids[row.source]: row.id for row in found}
        return [_event(row) for row in found]


def _whole_acts(rows: Sequence[EventRow]) -> list[EventRow]:
    """Return the first rows, at most a batch, up to where no act goes on. If an act fills the batch, it is cut.

    Args:
        rows: What follows of each source, by id. A source with as many rows as a batch has more of them.
    """
    number: Counter[str] = Counter()
    first: dict[str, int] = {}
    runs: list[tuple[int, int]] = []
    last: dict[str, int] = {}
    for place, row in enumerate(rows):
        before = last.get(row.source)
        if before is None or _instant(rows[before]) != _instant(row):
            if before is not None:
                runs.append((first[row.source], before))
            first[row.source] = place
        last[row.source] = place
        number[row.source] += 1
    runs += ((first[source], len(rows) if number[source] >= BATCH else last[source]) for source in last)
    size = min(len(rows), BATCH)
    for start, end in sorted(runs, reverse=True):
        if start < size <= end:
            size = start
    return list(rows[: size or BATCH])


def _instant(row: EventRow) -> tuple[object, object]:
    return row.occurred_at, row.observed_at


def acts_of(connection: Connection, scope: Scope, events: Sequence[Event]) -> list[Act]:
    """Return the acts that these events come to, with titles, models and who saved the version."""
    return _described(connection, scope, [group for group in group_events(events) if kinds_of(group)])


def _event(row: EventRow) -> Event:
    return Event(**{name: getattr(row, name) for name in _COLUMNS}, data_json=row.data)


def _described(connection: Connection, scope: Scope, groups: Sequence[list[Event]]) -> list[Act]:
    ids = {source.name: source.id for source in scope.sources}
    found: dict[int, Act] = {}
    for name, source_id in ids.items():
        own = [group for group in groups if group[0].source == name]
        newest = _newest_versions(connection, source_id, [group[0].record_id for group in own if group[0].record_id])
        about = {group[-1].id: version_of(group) or newest.get(group[0].record_id or "") for group in own}
        version_ids = sorted({version for version in about.values() if version})
        titles = titles_of_versions(connection, scope, source_id, version_ids)
        editors = _editors(connection, source_id, version_ids)
        for group in own:
            found[group[-1].id] = _act(scope, source_id, group, about[group[-1].id], titles, editors)
    return [found[group[-1].id] for group in groups]


def _act(
    scope: Scope,
    source_id: int,
    group: list[Event],
    version_id: str | None,
    titles: dict[str, str | None],
    editors: dict[str, tuple[str | None, str | None]],
) -> Act:
    last = group[-1]
    model = scope.model(source_id, last.model_id) if last.model_id else None
    editor_type, editor_id = editors.get(version_id or "", (None, None))
    actor = next(((one.actor_type, one.actor_id) for one in group if one.actor_id), (None, None))
    return Act(
        id=last.id,
        source=last.source,
        kinds=kinds_of(group),
        record_id=last.record_id,
        version_id=version_id,
        model=model,
        model_id=last.model_id,
        title=titles.get(version_id or ""),
        occurred_at=last.occurred_at,
        occurred_basis=last.occurred_basis,
        about="" if last.record_id else subject_of(last, model),
        editor_type=editor_type,
        editor_id=editor_id,
        editor_name=scope.editor_name(source_id, editor_type, editor_id),
        actor_type=actor[0],
        actor_id=actor[1],
        actor_name=scope.editor_name(source_id, *actor),
        events=tuple(group),
    )


def _newest_versions(connection: Connection, source_id: int, ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for chunk in chunked(dict.fromkeys(ids)):
        query = select(records.c.id, records.c.current_version_id).where(
            records.c.source_id == source_id, records.c.id.in_(chunk), records.c.current_version_id.is_not(None)
        )
        found |= {row.id: row.current_version_id for row in connection.execute(query)}
    return found


def _editors(connection: Connection, source_id: int, ids: Sequence[str]) -> dict[str, tuple[str | None, str | None]]:
    found: dict[str, tuple[str | None, str | None]] = {}
    for chunk in chunked(ids):
        query = select(versions.c.id, versions.c.editor_type, versions.c.editor_id).where(
            versions.c.source_id == source_id, versions.c.id.in_(chunk)
        )
        found |= {row.id: (row.editor_type, row.editor_id) for row in connection.execute(query)}
    return found
