"""What was current, or live, at a moment: of one record, of models, or of the whole project.

Two clocks: `at` is when it was so, `known_at` when the mirror knew it. An interval whose end the mirror did not know
yet counts as open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, not_, or_, select, tuple_

from versionsync.history.errors import BeforeHistory, NotFilled
from versionsync.history.model import RecordKey, State
from versionsync.history.projections.rows import interval_rows
from versionsync.history.questions.details import batches, title_of_version
from versionsync.history.questions.log import exact_text
from versionsync.history.scope import ModelName, Scope, fillings, history_begins
from versionsync.mirror.schema import intervals, records, titles, versions
from versionsync.mirror.tables.intervals import CURRENT, PUBLISHED
from versionsync.mirror.tables.projection_cursors import INTERVALS

__all__ = ["AsOf", "as_of"]

BATCH: Final = 2000
CONTENTS: Final = 100
"""A batch with contents, which may have 300 KB each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf:
    """What is asked.

    Attributes:
        at: The moment.
        is_published: What was live then; otherwise what was the newest version.
        known_at: Only what the mirror knew at this time. None: all that it knows now.
        record: This record alone.
        models: Records of these models alone.
    """

    at: datetime
    is_published: bool = False
    known_at: datetime | None = None
    record: RecordKey | None = None
    models: Sequence[ModelName] = ()

    @property
    def kind(self) -> str:
        """The value of `intervals.kind`."""
        return PUBLISHED if self.is_published else CURRENT


class _NewState:
    """A state while its fields are set. A frozen dataclass calls a function for each: a microsecond more a row."""

    __slots__ = tuple(field.name for field in fields(State))
    source: str
    record_id: str
    version_id: str
    model: str
    model_id: str
    title: str | None
    kind: str
    valid_from: datetime
    valid_until: datetime | None
    attributes_json: str | None

    def frozen(self) -> State:
        """Make it a `State`, in place: both have the same slots."""
        self.__class__ = State  # type: ignore[assignment]
        return self  # type: ignore[return-value]


def as_of(connection: Connection, scope: Scope, wanted: AsOf, *, with_content: bool = False) -> Iterator[State]:
    """Yield the state of each record that had one. Rows come as the database finds them; few are in memory.

    Args:
        connection: An open connection that reads.
        scope: The sources.
        wanted: What is asked.
        with_content: Whether to read the contents too.

    Raises:
        BeforeHistory: The mirror knows nothing of that time.
        NotFilled: `intervals` is empty.
    """
    behind = [one for one in fillings(connection, scope, (INTERVALS,)) if not one.is_complete]
    if wanted.record is not None and behind:
        yield from _of_record(connection, scope, wanted, wanted.record, with_content=with_content)
        return
    if empty := [one for one in behind if one.is_empty]:
        raise NotFilled(
            f"the intervals of {empty[0].source} are not computed yet, so the past is not known",
            hint="The next sync or the daemon does it; `versionsync db rebuild intervals` does it now.",
        )
    _check(connection, scope, wanted)
    for source in scope.sources:
        query = _query(source.id, wanted, main_locale=scope.main_locales[source.id], with_content=with_content)
        if query is None:
            continue
        name, kind = source.name, wanted.kind
        models = {id: model.shown for (source_id, id), model in scope.models.items() if source_id == source.id}
        for rows in batches(connection, query, at_once=CONTENTS if with_content else BATCH):
            for record_id, version_id, model_id, valid_from, valid_until, title, *content in rows:
                state = _NewState()
                state.source = name
                state.record_id = record_id
                state.version_id = version_id
                state.model = models.get(model_id, model_id)
                state.model_id = model_id
                state.title = title
                state.kind = kind
                state.valid_from = valid_from
                state.valid_until = valid_until
                state.attributes_json = exact_text(*content) if content else None
                yield state.frozen()


def _check(connection: Connection, scope: Scope, wanted: AsOf) -> None:
    begins = history_begins(connection, scope)
    if begins is not None and wanted.at < begins:
        raise BeforeHistory(
            f"nothing is known of that time: the history begins at {_text(begins)} UTC",
            hint="DatoCMS keeps versions since the project began, or for as long as its plan says.",
        )
    registered = min(source.created_at for source in scope.sources)
    if wanted.known_at is not None and wanted.known_at < registered:
        raise BeforeHistory(f"the mirror knew nothing then: its first sync was at {_text(registered)} UTC")


def _of_record(
    connection: Connection, scope: Scope, wanted: AsOf, key: RecordKey, *, with_content: bool
) -> Iterator[State]:
    """Yield the state of one record, computed from its events in memory."""
    _check(connection, scope, wanted)
    known = [
        row
        for row in interval_rows(connection, key.source_id, [key.record_id])
        if row.kind == wanted.kind
        and row.valid_from <= wanted.at
        and (wanted.known_at is None or row.known_from <= wanted.known_at)
    ]
    if not known:
        return
    last = max(known, key=lambda row: (row.valid_from, row.number))
    until = last.valid_until
    if wanted.known_at is not None and last.known_until is not None and last.known_until > wanted.known_at:
        until = None
    if until is not None and until <= wanted.at:
        return
    content = None
    if with_content:
        of_version = (versions.c.source_id == key.source_id, versions.c.id == last.version_id)
        row = connection.execute(select(versions.c.attributes, versions.c.attributes_exact).where(*of_version)).one()
        content = exact_text(row[0], row[1])
    yield State(
        source=scope.name_of(key.source_id),
        record_id=key.record_id,
        version_id=last.version_id,
        model=scope.model(key.source_id, last.model_id),
        model_id=last.model_id,
        title=title_of_version(connection, scope, key, last.version_id),
        kind=wanted.kind,
        valid_from=last.valid_from,
        valid_until=until,
        attributes_json=content,
    )


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _query(source_id: int, wanted: AsOf, *, main_locale: str, with_content: bool) -> Select[Any] | None:
    """Return the query for a source; None: what is asked belongs to another one."""
    i, at = intervals.c, wanted.at
    until: ColumnElement[Any] = i.valid_until
    is_open = or_(i.valid_until.is_(None), i.valid_until > at)
    # Of models, SQLite would begin with all intervals before that time, unless no index helps with the condition.
    had_begun = func.coalesce(i.valid_from, at) <= at if wanted.models else i.valid_from <= at
    conditions = [i.source_id == source_id, i.kind == wanted.kind, had_begun]
    if (known_at := wanted.known_at) is not None:
        is_open = or_(is_open, i.known_until > known_at)
        conditions += [i.known_from <= known_at, not_(_later(at, known_at))]
        until = case((i.known_until <= known_at, i.valid_until), else_=None)
    content = (versions.c.attributes, versions.c.attributes_exact) if with_content else ()
    columns = (i.record_id, i.version_id, i.model_id, i.valid_from, until.label("valid_until"), _title(main_locale))
    query = select(*columns, *content).where(*conditions, is_open)
    joined: Any = intervals
    if (record := wanted.record) is not None:
        if record.source_id != source_id:
            return None
        query = query.where(i.record_id == record.record_id).order_by(i.valid_from.desc(), i.number.desc()).limit(1)
    elif wanted.models:
        ids = [model.id for model in wanted.models if model.source_id == source_id]
        if not ids:
            return None
        # From the model's records: the intervals have no index by model, and one model may be small.
        joined = records.join(intervals, and_(i.source_id == records.c.source_id, i.record_id == records.c.id))
        of_models = (records.c.source_id == source_id, records.c.model_id.in_(ids))
        query = query.where(*of_models).order_by(records.c.model_id, records.c.updated_at.desc())
    else:
        query = query.order_by(i.record_id, i.valid_from, i.number)  # the primary key
    if with_content:
        joined = joined.join(versions, and_(versions.c.source_id == i.source_id, versions.c.id == i.version_id))
    return query.select_from(joined)


def _later(at: datetime, known_at: datetime) -> ColumnElement[bool]:
    """Return whether a later interval of the same record had begun, as far as the mirror knew."""
    later = intervals.alias("later")
    return (
        select(later.c.number)
        .where(
            later.c.source_id == intervals.c.source_id,
            later.c.kind == intervals.c.kind,
            later.c.record_id == intervals.c.record_id,
            tuple_(later.c.valid_from, later.c.number) > tuple_(intervals.c.valid_from, intervals.c.number),
            later.c.valid_from <= at,
            later.c.known_from <= known_at,
        )
        .exists()
    )


def _title(main_locale: str) -> ColumnElement[Any]:
    """Return the title of the interval's version: one that is not localized, that of the main locale, or the first.

    Each of the three is the first entry that the primary key finds. Nothing is sorted for a row.
    """

    def title(*conditions: ColumnElement[bool]) -> Any:
        of_version = (titles.c.source_id == intervals.c.source_id, titles.c.version_id == intervals.c.version_id)
        return select(titles.c.title).where(*of_version, titles.c.title != "", *conditions).correlate(intervals)

    first = title().order_by(titles.c.locale).limit(1)
    each = (title(titles.c.locale == ""), title(titles.c.locale == main_locale), first)
    return func.coalesce(*(one.scalar_subquery() for one in each)).label("title")
