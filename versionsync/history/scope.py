"""Which sources a question is about, and the names of their models and editors.

These tables are small, so they are read at once. Each question then joins the large tables alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Self

from sqlalchemy import Connection, func, select

from versionsync.history.errors import NothingMirrored, UnknownName
from versionsync.history.moments import zone_of_projects
from versionsync.history.projections.reading import coverage
from versionsync.mirror.schema import editors, models, versions
from versionsync.mirror.tables.projection_cursors import COMPUTABLE
from versionsync.mirror.tables.sources import SourceRow, source_id, sources_of
from versionsync.text import nearest

__all__ = ["Filling", "ModelName", "Scope", "fillings", "history_begins"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelName:
    """A model, and what people call it."""

    source_id: int
    id: str
    api_key: str | None
    name: str | None

    @property
    def shown(self) -> str:
        """Its API key, or its id if the token may not read it."""
        return self.api_key or self.id


@dataclass(frozen=True, slots=True)
class Scope:
    """The sources of a question, with their models and the names of their editors."""

    sources: tuple[SourceRow, ...]
    names: Mapping[int, str]
    main_locales: Mapping[int, str]
    models: Mapping[tuple[int, str], ModelName]
    editors: Mapping[tuple[int, str, str], str | None]

    @classmethod
    def load(cls, connection: Connection, names: Sequence[str] = ()) -> Self:
        """Return the scope of the sources of these names, or of all.

        Raises:
            UnknownName: The mirror has no source of that name.
            NothingMirrored: The mirror has no source at all.
        """
        known = {source.name: source for source in sources_of(connection)}
        if not known:
            raise NothingMirrored("nothing is mirrored yet: run `versionsync sync`")
        for name in names:
            if name not in known and source_id(connection, name) is not None:
                raise UnknownName(
                    f"nothing of the source {name} is mirrored yet", hint=f"See its last run: versionsync status {name}"
                )
            if name not in known:
                meant = nearest(name, known)
                raise UnknownName(
                    f"the database has no source called {name}",
                    hint=f"Did you mean {meant}?" if meant else f"It has: {', '.join(known)}.",
                )
        chosen = tuple(known[name] for name in dict.fromkeys(names or known))
        ids = [source.id for source in chosen]
        named = select(models.c.source_id, models.c.id, models.c.api_key, models.c.name)
        found = [ModelName(**row._asdict()) for row in connection.execute(named.where(models.c.source_id.in_(ids)))]
        who = select(editors.c.source_id, editors.c.type, editors.c.id, func.coalesce(editors.c.name, editors.c.email))
        people = connection.execute(who.where(editors.c.source_id.in_(ids))).all()
        return cls(
            chosen,
            {source.id: source.name for source in chosen},
            {source.id: next(iter(source.project.locales), "") for source in chosen},
            {(one.source_id, one.id): one for one in found},
            {(row[0], row[1], row[2]): row[3] for row in people},
        )

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of the sources."""
        return tuple(source.id for source in self.sources)

    @property
    def zone(self) -> tzinfo:
        """The zone of times that name none: that of the projects, if it is one."""
        return zone_of_projects(source.project.time_zone for source in self.sources)

    def source(self, source_id: int) -> SourceRow:
        """Return the source of this id."""
        return next(source for source in self.sources if source.id == source_id)

    def name_of(self, source_id: int) -> str:
        """Return the name of the source of this id."""
        return self.names[source_id]

    def model(self, source_id: int, model_id: str) -> str:
        """Return the API key of a model, or its id."""
        found = self.models.get((source_id, model_id))
        return found.shown if found else model_id

    def editor_name(self, source_id: int, type: str | None, id: str | None) -> str | None:
        """Return the name of an editor, or None if it is not known."""
        return self.editors.get((source_id, type, id)) if type is not None and id is not None else None

    def title(self, source_id: int, titles: Mapping[str, str]) -> str | None:
        """Return the one of a version's titles by locale that is shown: the main locale's, else the first."""
        if main := titles.get("") or titles.get(self.main_locales[source_id]):
            return main
        filled = {locale: title for locale, title in titles.items() if title}
        for locale in (*self.source(source_id).project.locales, *sorted(filled)):
            if locale in filled:
                return filled[locale]
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """How far a projection of a source is filled.

    Attributes:
        projection: `changes`, `intervals`, `links`, `titles` or `search`.
        event_id: Everything up to this event is in it; 0: it is empty.
        last_event_id: The newest event of the source.
        until: It answers what the mirror knew at this time. None: it is empty, or complete.
    """

    source: str
    projection: str
    event_id: int
    last_event_id: int
    until: datetime | None

    @property
    def is_complete(self) -> bool:
        """Whether everything that is mirrored is in it."""
        return self.event_id >= self.last_event_id

    @property
    def is_empty(self) -> bool:
        """Whether it has nothing, though the source has a history."""
        return self.event_id == 0 < self.last_event_id


def fillings(connection: Connection, scope: Scope, projections: Iterable[str] = COMPUTABLE) -> list[Filling]:
    """Return how far these projections are filled, by source."""
    wanted = list(projections)
    found = []
    for source in scope.sources:
        for projection in wanted:
            state = coverage(connection, source.id, [projection])
            found.append(
                Filling(
                    source=source.name,
                    projection=projection,
                    event_id=state.event_id,
                    last_event_id=state.last_event_id,
                    until=state.until,
                )
            )
    return found


def history_begins(connection: Connection, scope: Scope) -> datetime | None:
    """Return when the oldest version of the scope was made: the mirror knows nothing of an earlier time."""
    oldest = (
        select(func.min(versions.c.created_at))
        .where(versions.c.source_id == models.c.source_id, versions.c.model_id == models.c.id)
        .scalar_subquery()
    )
    found = connection.scalars(select(oldest).select_from(models).where(models.c.source_id.in_(scope.ids)))
    return min((at for at in found if at is not None), default=None)
