"""The rows of projections for some versions and records, computed from the core tables in one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection

from versionsync.history.projections.changes import VersionContent, changes_of
from versionsync.history.projections.intervals import INTERVAL_EVENTS, intervals_of
from versionsync.history.projections.links import (
    InconsistentSteps,
    Link,
    LinkKey,
    RecordLinks,
    link_rows,
    links_in,
    step_between,
)
from versionsync.history.projections.search import passages_of
from versionsync.history.projections.titles import titles_of
from versionsync.history.schema_at import SchemaHistory
from versionsync.ledger.content import ContentError, parse_value
from versionsync.ledger.ids import VersionId
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.tables.changes import ChangeRow
from versionsync.mirror.tables.events import history_events_of
from versionsync.mirror.tables.intervals import IntervalRow
from versionsync.mirror.tables.links import LinkRow, load_links
from versionsync.mirror.tables.passages import PassageRow
from versionsync.mirror.tables.titles import TitleRow
from versionsync.mirror.tables.versions import VersionPlace, stored_texts, version_order

__all__ = ["ContentRows", "content_rows", "interval_rows", "links_of_records"]

CONTENTS_AT_ONCE: Final = 32


@dataclass(slots=True)
class ContentRows:
    """The rows that follow from contents.

    Attributes:
        changes: What versions changed.
        titles: What they are called.
        links: The steps between their links, by record.
        passages: The texts that they added and removed.
        changed: The versions whose changes these are: those that were asked for, and those after them.
        searched: The versions whose passages these are, likewise.
        titled: The versions whose titles these are.
        failed: The versions that could not be compared, and why. They have no changes.
    """

    changes: list[ChangeRow] = field(default_factory=list)
    titles: list[TitleRow] = field(default_factory=list)
    links: dict[str, RecordLinks] = field(default_factory=dict)
    passages: list[PassageRow] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)
    titled: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Step:
    """A version whose content is needed: for its changes, for its titles, or only because the next one follows it."""

    place: VersionPlace
    is_first: bool
    is_new: bool
    """It, or the one before it, was asked for."""
    is_titled: bool


def interval_rows(connection: Connection, source_id: int, record_ids: Collection[str]) -> list[IntervalRow]:
    """Return the intervals of these records."""
    events = history_events_of(connection, source_id, record_ids, INTERVAL_EVENTS)
    return [row for record_id in sorted(events) for row in intervals_of(record_id, events[record_id])]


def content_rows(
    connection: Connection,
    source_id: int,
    wanted: Mapping[str, Collection[str] | None],
    schemas: SchemaHistory,
    *,
    with_changes: bool = True,
    with_titles: bool = True,
    with_links: bool = True,
    with_passages: bool = False,
    is_stopped: Callable[[], bool] = lambda: False,
) -> ContentRows | None:
    """Return what follows from the contents of versions, and of those that come after them.

    Only a few contents are in memory at a time.

    Args:
        connection: A snapshot.
        source_id: The source.
        wanted: The versions, by record. None: all of the record.
        schemas: The schemas of the source in the same snapshot.
        with_changes: Whether to compute changes.
        with_titles: Whether to compute titles.
        with_links: Whether to compute links.
        with_passages: Whether to compute passages.
        is_stopped: Asked before each version. If it is true, this returns None.

    Returns:
        The rows, or None if it was stopped.
    """
    found = ContentRows()
    order = version_order(connection, source_id, wanted)
    steps = (
        step
        for record_id, of_record in order.items()
        for step in _steps(
            of_record,
            wanted[record_id],
            with_pairs=with_changes or with_links or with_passages,
            with_titles=with_titles,
        )
    )
    if with_links:
        found.links = {
            record_id: RecordLinks(frozenset(place.ordinal for place in of_record))
            for record_id, of_record in order.items()
        }
    before: VersionContent | None = None
    links: dict[LinkKey, Link] = {}
    for some in chunked(steps, CONTENTS_AT_ONCE):
        contents = _contents(connection, source_id, [step.place for step in some], schemas)
        for step in some:
            if is_stopped():
                return None
            after = contents[step.place.id]
            former = None if step.is_first else before
            if with_changes and step.is_new:
                _add_changes(found, after, former)
            if with_passages and step.is_new:
                _add_passages(found, after, former)
            if step.is_titled:
                _add_titles(found, after)
            if with_links:
                of_before, links = links, links if _has_same_links(before, after) else links_in(after)
                if step.is_new:
                    step_of = step_between({} if step.is_first else of_before, links)
                    found.links[step.place.record_id].steps[step.place.ordinal] = step_of
            before = after
    return found


def _has_same_links(before: VersionContent | None, after: VersionContent) -> bool:
    return (
        before is not None
        and before.hash == after.hash
        and before.state is after.state
        and before.record_id == after.record_id
        and before.model_id == after.model_id
    )


def links_of_records(
    connection: Connection,
    source_id: int,
    found: Mapping[str, RecordLinks],
    schemas: SchemaHistory,
    *,
    is_stopped: Callable[[], bool] = lambda: False,
) -> tuple[list[LinkRow], list[LinkRow]] | None:
    """Return the rows of `links` that are gone, and those that are new.

    Args:
        connection: A snapshot.
        source_id: The source.
        found: The steps that were computed in the same snapshot, by record.
        schemas: The schemas of the source in the same snapshot.
        is_stopped: Asked before each version. If it is true, this returns None.
    """
    known: dict[str, list[LinkRow]] = {record_id: [] for record_id in found}
    for row in load_links(connection, source_id, found):
        known[row.record_id].append(row)
    rows: dict[str, list[LinkRow]] = {}
    for record_id, record in found.items():
        try:
            rows[record_id] = link_rows(record_id, record, known[record_id])
        except InconsistentSteps:
            wanted = {record_id: None}
            again = content_rows(
                connection,
                source_id,
                wanted,
                schemas,
                with_changes=False,
                with_titles=False,
                is_stopped=is_stopped,
            )
            if again is None:
                return None
            rows[record_id] = link_rows(record_id, again.links[record_id], ())
    before = {row for of_record in known.values() for row in of_record}
    after = {row for of_record in rows.values() for row in of_record}
    gone = [row for of_record in known.values() for row in of_record if row not in after]
    return gone, [row for of_record in rows.values() for row in of_record if row not in before]


def _steps(
    of_record: Sequence[VersionPlace], wanted: Collection[str] | None, *, with_pairs: bool, with_titles: bool
) -> Iterator[_Step]:
    """Yield what is needed of a record, oldest first. The one before a new version always comes right before it."""
    asked = {index for index, place in enumerate(of_record) if wanted is None or place.id in wanted}
    new = {near for index in asked for near in (index, index + 1) if near < len(of_record)} if with_pairs else ()
    needed = {near for index in new for near in (index - 1, index) if near >= 0} | (asked if with_titles else set())
    for index in sorted(needed):
        yield _Step(of_record[index], index == 0, index in new, with_titles and index in asked)


def _contents(
    connection: Connection, source_id: int, places: Iterable[VersionPlace], schemas: SchemaHistory
) -> dict[str, VersionContent]:
    by_id = {VersionId(place.id): place for place in places}
    found = {}
    for stored in stored_texts(connection, source_id, by_id):
        place = by_id[stored.version_id]
        found[place.id] = VersionContent(
            version_id=place.id,
            record_id=place.record_id,
            model_id=place.model_id,
            created_at=place.created_at,
            hash=stored.hash,
            attributes=_attributes(stored.text),
            state=schemas.at(stored.stored_by),
        )
    return found


def _attributes(text: bytes) -> Mapping[str, Any]:
    """Return a content; an empty one if it is no object, or cannot be read."""
    try:
        value = parse_value(text)
    except ContentError:
        return {}
    return value if isinstance(value, dict) else {}


def _add_changes(found: ContentRows, after: VersionContent, before: VersionContent | None) -> None:
    found.changed.append(after.version_id)
    try:
        found.changes += changes_of(after, before)
    except Exception as error:  # a content that cannot be compared must not keep all others from it
        found.failed[after.version_id] = f"{type(error).__name__}: {error}"


def _add_passages(found: ContentRows, after: VersionContent, before: VersionContent | None) -> None:
    found.searched.append(after.version_id)
    try:
        found.passages += passages_of(after, before)
    except Exception as error:
        found.failed[after.version_id] = f"{type(error).__name__}: {error}"


def _add_titles(found: ContentRows, version: VersionContent) -> None:
    found.titled.append(version.version_id)
    found.titles += titles_of(
        version.version_id, version.record_id, version.model_id, version.attributes, version.state
    )
