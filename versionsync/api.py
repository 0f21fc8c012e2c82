"""The Python API: ask a mirror about the past.

    import versionsync

    with versionsync.open_mirror("versionsync.db") as mirror:
        for version in mirror.versions("article:my-slug"):
            print(version.created_at, version.editor, version.attributes)

It reads the database alone, never DatoCMS, and works beside a daemon that writes. Answers with many rows are
iterators: few rows are in memory at a time, and each reads from one snapshot. The commands `log`, `as-of`, `changes`,
`pending`, `deleted`, `events`, `show`, `diff`, `blame`, `usage` and `grep` are made of these methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

from sqlalchemy import Connection, func, select

from versionsync.history.comparison import Comparison
from versionsync.history.errors import (
    AmbiguousName,
    BeforeHistory,
    HistoryError,
    NoFullText,
    NotFilled,
    NothingMirrored,
    OddPattern,
    OddTime,
    UnknownName,
)
from versionsync.history.model import (
    Act,
    ActKind,
    Deleted,
    Event,
    FieldChange,
    Find,
    Hit,
    Interval,
    Pending,
    PendingReason,
    Record,
    RecordChanges,
    RecordKey,
    State,
    Usage,
    UsageTarget,
    Version,
)
from versionsync.history.moments import Moment, read_moment, zone_named
from versionsync.history.names import find_editors, find_models, find_record, find_version
from versionsync.history.questions.as_of import AsOf, as_of
from versionsync.history.questions.authors import Authorship, authors_of
from versionsync.history.questions.compared import content_of, names_for
from versionsync.history.questions.deleted import deleted
from versionsync.history.questions.events import EventReader, matching_types
from versionsync.history.questions.grep import Grep, Hits, Reading, grep
from versionsync.history.questions.log import LogFilter, log, version_of
from versionsync.history.questions.pairs import (
    Against,
    Located,
    compared_moments,
    compared_versions,
    current_of,
    locate,
)
from versionsync.history.questions.pending import pending
from versionsync.history.questions.recent import recent
from versionsync.history.questions.usage import find_target, usages
from versionsync.history.render.view import Filter
from versionsync.history.render.words import Names
from versionsync.history.schema_at import SchemaHistory
from versionsync.history.scope import Filling, Scope, fillings, history_begins
from versionsync.history.search.matching import matcher_of
from versionsync.mirror.database import Mirror as Database
from versionsync.mirror.schema import records, versions
from versionsync.mirror.tables.events import EventFilter
from versionsync.mirror.tables.projection_cursors import FILLED_FIRST

__all__ = [
    "Act",
    "ActKind",
    "Against",
    "AmbiguousName",
    "Authorship",
    "BeforeHistory",
    "Comparison",
    "Deleted",
    "Event",
    "FieldChange",
    "Filling",
    "Filter",
    "Find",
    "HistoryError",
    "Hit",
    "Hits",
    "Interval",
    "Mirror",
    "Moment",
    "NoFullText",
    "NotFilled",
    "NothingMirrored",
    "OddPattern",
    "OddTime",
    "Pending",
    "PendingReason",
    "Record",
    "RecordChanges",
    "State",
    "Time",
    "UnknownName",
    "Usage",
    "UsageTarget",
    "Version",
    "open_mirror",
]

Time: TypeAlias = datetime | str
"""A time: a `datetime`, or a text such as `2026-03-03 12:00`, `yesterday`, `2 days ago`. Without a zone it is one of
the project's zone."""

T = TypeVar("T")


def open_mirror(url: str, *, sources: Sequence[str] = (), zone: str | None = None) -> Mirror:
    """Open a mirror to ask it about the past. Use it as a context manager, or close it.

    Args:
        url: The file of a SQLite database, or the URL of any database. It may lie on a read-only mount.
        sources: The names of the sources to ask. Empty: all.
        zone: The zone of times that name none, such as `Europe/Rome`. None: the project's.

    Raises:
        MirrorError: The database cannot be opened, or has another schema.
    """
    return Mirror(Database.open(url, reads_only=True), sources=sources, zone=zone)


class Mirror:
    """A mirror, to be asked about the past. Several threads may use it.

    A record is named by its id, by the unique beginning of its id, by `model:slug`, by its title, or by the URL of
    DatoCMS's editor. You can pass a `Record` too.
    """

    def __init__(
        self,
        database: Database,
        *,
        sources: Sequence[str] = (),
        zone: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Ask `database`. See `open_mirror`; `now` is the time that relative times count from."""
        self._database = database
        self._sources = tuple(sources)
        self._zone = None if zone is None else zone_named(zone)
        self._now = now

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the sources that are asked."""
        return tuple(source.name for source in self._scope().sources)

    @property
    def zone(self) -> tzinfo:
        """The zone of times that name none."""
        return self._zone or self._scope().zone

    def moment(self, time: Time) -> Moment:
        """Return what a time means, with its zone.

        Raises:
            OddTime: It is not understood.
        """
        zone = self.zone
        if isinstance(time, datetime):
            aware = time if time.tzinfo is not None else time.replace(tzinfo=zone)
            return Moment(aware.astimezone(UTC), zone)
        return read_moment(time, now=self._now(), zone=zone)

    def begins_at(self) -> datetime | None:
        """Return when the oldest known version was made. None: there is none."""
        return self._database.query(lambda connection: history_begins(connection, self._load(connection)))

    def filled(self, *projections: str) -> list[Filling]:
        """Return how far the projections are filled, for each source.

        They are `changes`, `intervals`, `links`, `titles` and `search`. If you name none: all but `search`.
        """
        wanted = projections or FILLED_FIRST
        return self._database.query(lambda connection: fillings(connection, self._load(connection), wanted))

    def record(self, name: str | Record) -> Record:
        """Return the record that `name` means, as the mirror knows it now.

        Raises:
            UnknownName: No record has this name; the hint says which is nearest.
            AmbiguousName: Several have it; `candidates` lists them with their titles.
        """
        if isinstance(name, Record):
            return name

        def find(connection: Connection) -> Record:
            scope = self._load(connection)
            found = find_record(connection, scope, name)
            columns = [records.c[column] for column in _RECORD]
            row = connection.execute(
                select(*columns).where(records.c.source_id == found.source_id, records.c.id == found.record_id)
            ).one()
            counted = select(func.count()).where(
                versions.c.source_id == found.source_id, versions.c.record_id == found.record_id
            )
            return Record(
                source=found.source,
                record_id=found.record_id,
                model=found.model,
                title=found.title,
                version_count=connection.scalar(counted) or 0,
                key=found.key,
                **row._asdict(),
            )

        return self._database.query(find)

    def version(self, name: str) -> Version:
        """Return the version whose id is `name` or begins with it, with its content.

        Raises:
            UnknownName: None has this id.
            AmbiguousName: The ids of several begin so.
        """

        def find(connection: Connection) -> Version:
            scope = self._load(connection)
            found = find_version(connection, scope, name)
            return version_of(connection, scope, RecordKey(found.source_id, found.record_id), found.version_id)

        return self._database.query(find)

    def shown(self, name: str | Record | Version) -> Version:
        """Return the version of this id, or the current version of the record of this name, with its content.

        Raises:
            UnknownName: Nothing has this name; the hint says what is nearest.
            AmbiguousName: Several have it.
        """

        def find(connection: Connection) -> Version:
            scope = self._load(connection)
            located = self._located(connection, scope, name)
            return version_of(connection, scope, located.key, located.version_id)

        return self._database.query(find)

    def names(self, version: Version) -> Names:
        """Return what people call the records, fields and models in a version that `shown` or `version` returned."""

        def find(connection: Connection) -> Names:
            scope = self._load(connection)
            source_id = next(source.id for source in scope.sources if source.name == version.source)
            schemas = SchemaHistory.load(connection, source_id)
            content = content_of(connection, source_id, version.version_id, schemas)
            return names_for(connection, scope, source_id, content.state.schema, [content.attributes])

        return self._database.query(find)

    def diff(
        self,
        version: str | Record | Version,
        other: str | Record | Version | None = None,
        *,
        against: Against | str = Against.PREVIOUS,
    ) -> Comparison:
        """Return what changed between two versions. It is false in `diff` if nothing did.

        Args:
            version: A version, or a record: it stands for its current version.
            other: The version after it. None: `version` is compared with another version of its record.
            against: With which: the `previous` one, the `live` one or the `current` one.

        Raises:
            UnknownName: Nothing has this name, or the record is not live.
            AmbiguousName: Several have it.
        """

        def find(connection: Connection) -> Comparison:
            scope = self._load(connection)
            one = self._located(connection, scope, version)
            second = None if other is None else self._located(connection, scope, other)
            return compared_versions(connection, scope, one, second, Against(against))

        return self._database.query(find)

    def diffs(
        self,
        since: Time,
        until: Time | None = None,
        *,
        record: str | Record | None = None,
        model: str | None = None,
        published: bool = False,
    ) -> Iterator[Comparison]:
        """Yield what is other at one moment than at another, record by record, the most important first.

        Args:
            since: The first moment.
            until: The second moment. None: now.
            record: This record only.
            model: Records of this model only: its API key, name or id.
            published: Compare what was live; otherwise what was the newest version.

        Raises:
            UnknownName: No record or model has this name.
            AmbiguousName: Several have it.
            OddTime: A time is not understood.
            BeforeHistory: The mirror knows nothing of the first moment.
            NotFilled: The intervals are not computed yet.
        """
        start, end = self.moment(since).time, self._time(until) or self._now()
        key = None if record is None else self.record(record).key
        chosen = find_models(self._scope(), model) if model is not None else ()
        return self._stream(
            lambda connection, scope: compared_moments(
                connection, scope, start, end, record=key, models=chosen, is_published=published
            )
        )

    def blame(self, record: str | Record | Version, field: str | None = None) -> Iterator[Authorship]:
        """Yield who wrote each passage of a record, in the order of its fields.

        Args:
            record: A record; or a version, to explain what it says.
            field: Of this field only: its API key, label or id.

        Raises:
            UnknownName: Nothing has this name, or the record has no such field.
            AmbiguousName: Several have it.
        """

        def find(connection: Connection, scope: Scope) -> Iterator[Authorship]:
            located = self._located(connection, scope, record)
            return authors_of(connection, scope, located.key, field=field, last=located.version_id)

        return self._stream(find)

    def grep(
        self,
        *phrases: str,
        regex: str | None = None,
        find: Find | str = Find.CHANGED,
        record: str | Record | None = None,
        model: str | None = None,
        editor: str | None = None,
        field: str | None = None,
        locale: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
    ) -> Hits:
        """Find words in all versions, newest first, without regard to case and accents.

        Args:
            phrases: Words that follow one another; each phrase is in the same passage. A `*` at the end stands for the
                rest of a word. Chinese, Japanese and Thai are found within longer words.
            regex: Instead of phrases, a regular expression of Python. All passages of the record or model are read.
            find: Which versions: that `changed` a passage that has it, or of each field of a record the `first`, the
                `last`, or those that `removed` it.
            record: In this record only.
            model: In records of this model only: its API key, name or id.
            editor: In versions saved by this editor only: the name, email or id.
            field: In this field only, or in the blocks of it: its API key, label or id.
            locale: In this locale only.
            since: In versions made then or later.
            until: In versions made before.

        Raises:
            OddPattern: A phrase has no word, the expression is none, or it names neither a record nor a model.
            UnknownName: No record, model, editor or field has this name.
            AmbiguousName: Several have it.
            OddTime: A time is not understood.
            NotFilled: The full-text index is not filled yet.
            NoFullText: This SQLite has no FTS5.
        """
        matcher = matcher_of(phrases, regex)
        if regex is not None and record is None and model is None:
            raise OddPattern(
                "a regular expression needs a record or a model", hint="All passages of it are read, which takes long."
            )
        key = None if record is None else self.record(record).key
        reading, kind = Reading(), Find(find)

        def chosen(connection: Connection) -> Grep:
            scope = self._load(connection)
            return Grep(
                matcher=matcher,
                find=kind,
                record=key,
                models=find_models(scope, model) if model is not None else (),
                editors=find_editors(connection, scope, editor) if editor is not None else (),
                field=field,
                locale=locale,
                since=self._time(since),
                until=self._time(until),
                reading=reading,
            )

        wanted = self._database.query(chosen)
        return Hits(self._stream(lambda connection, scope: grep(connection, scope, wanted)), reading, matcher)

    def versions(
        self,
        record: str | Record | None = None,
        *,
        model: str | None = None,
        editor: str | None = None,
        field: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
        content: bool = True,
    ) -> Iterator[Version]:
        """Yield versions, newest first: of a record, of a model, of an editor, or of the whole project.

        Args:
            record: Of this record only.
            model: Of records of this model only: its API key, name or id.
            editor: Saved by this editor only: the name, email or id.
            field: Versions that changed this field only: its API key, label or id.
            since: Made then or later.
            until: Made before.
            content: Whether to read the contents. Without them it is faster.

        Raises:
            UnknownName: No record, model, editor or field has this name.
            AmbiguousName: Several have it.
            OddTime: A time is not understood.
            NotFilled: A field is named, and what versions changed is not computed yet.
        """
        key = None if record is None else self.record(record).key

        def wanted(connection: Connection, scope: Scope) -> LogFilter:
            return LogFilter(
                record=key,
                models=find_models(scope, model) if model is not None else (),
                editors=find_editors(connection, scope, editor) if editor is not None else (),
                since=self._time(since),
                until=self._time(until),
                field=field,
            )

        chosen = self._database.query(lambda connection: wanted(connection, self._load(connection)))
        return self._stream(lambda connection, scope: log(connection, scope, chosen, with_content=content))

    def as_of(
        self,
        at: Time,
        record: str | Record | None = None,
        *,
        model: str | None = None,
        published: bool = False,
        known_at: Time | None = None,
        content: bool = True,
    ) -> Iterator[State]:
        """Yield what was current at a moment, or what was live: one row for each record that had such a version.

        Args:
            at: The moment.
            record: Of this record only.
            model: Of records of this model only: its API key, name or id.
            published: What was live; otherwise what was the newest version.
            known_at: Only what the mirror knew at this time.
            content: Whether to read the contents. Without them it is much faster.

        Raises:
            UnknownName: No record or model has this name.
            AmbiguousName: Several have it.
            OddTime: A time is not understood.
            BeforeHistory: The mirror knows nothing of that time; the message says since when it does.
            NotFilled: The intervals are not computed yet.
        """
        key = None if record is None else self.record(record).key
        chosen = AsOf(
            at=self.moment(at).time,
            is_published=published,
            known_at=self._time(known_at),
            record=key,
            models=find_models(self._scope(), model) if model is not None else (),
        )
        return self._stream(lambda connection, scope: as_of(connection, scope, chosen, with_content=content))

    def changes(self, since: Time, until: Time | None = None, *, model: str | None = None) -> Iterator[RecordChanges]:
        """Yield what happened to each record in [since, until), the most important first.

        Args:
            since: The beginning.
            until: The end. None: now.
            model: Of records of this model only: its API key, name or id.

        Raises:
            UnknownName: No model has this name.
            OddTime: A time is not understood.
        """
        start, end = self.moment(since).time, self._time(until) or self._now()
        chosen = find_models(self._scope(), model) if model is not None else ()
        return self._stream(lambda connection, scope: recent(connection, scope, since=start, until=end, chosen=chosen))

    def pending(self, *, model: str | None = None, limit: int | None = None) -> Iterator[Pending]:
        """Yield what waits to go live, the longest waiting first: drafts, changes of live records, schedules.

        Args:
            model: Records of this model only: its API key, name or id.
            limit: At most this number.

        Raises:
            UnknownName: No model has this name.
        """
        chosen = find_models(self._scope(), model) if model is not None else ()
        return self._stream(lambda connection, scope: pending(connection, scope, models=chosen, limit=limit))

    def deleted(
        self, *, since: Time | None = None, until: Time | None = None, model: str | None = None
    ) -> Iterator[Deleted]:
        """Yield the records that were deleted upstream, the latest first. Their versions are kept.

        Args:
            since: Found deleted then or later.
            until: Found deleted before.
            model: Records of this model only: its API key, name or id.

        Raises:
            UnknownName: No model has this name.
            OddTime: A time is not understood.
        """
        start, end = self._time(since), self._time(until)
        chosen = find_models(self._scope(), model) if model is not None else ()
        return self._stream(lambda connection, scope: deleted(connection, scope, since=start, until=end, models=chosen))

    def usage_target(self, name: str | Record) -> UsageTarget:
        """Return the upload or record that `name` means.

        An upload is named by its id, the beginning of it, its file name or a part of that, or its URL.

        Raises:
            UnknownName: Nothing has this name.
            AmbiguousName: Several have it; `candidates` lists them.
        """

        def find(connection: Connection) -> UsageTarget:
            wanted = name.record_id if isinstance(name, Record) else name
            return find_target(connection, self._load(connection), wanted)

        return self._database.query(find)

    def usage(self, target: str | Record | UsageTarget, *, now: bool = False, live: bool = False) -> Iterator[Usage]:
        """Yield where a record or an upload is used and was: what is used now first, then the latest first.

        Args:
            target: The record or upload; see `usage_target` for its names.
            now: Only what is used by the newest versions of records that exist.
            live: Only what is used by live versions.

        Raises:
            UnknownName: Nothing has this name.
            AmbiguousName: Several have it.
        """
        found = target if isinstance(target, UsageTarget) else self.usage_target(target)
        return self._stream(lambda connection, scope: usages(connection, scope, found, now=now, live=live))

    def events(
        self,
        *,
        after: int = 0,
        types: Sequence[str] = (),
        record: str | Record | None = None,
        model: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
    ) -> Iterator[Event]:
        """Yield events in the order in which they were mirrored.

        Keep the id of the last one, and ask for those after it the next time: you miss none, and get none twice.

        Args:
            after: Events after this id.
            types: Of these types only, such as `version.published` or `version.*`.
            record: About this record only.
            model: About records of this model only: its API key, name or id.
            since: That happened then or later.
            until: That happened before.

        Raises:
            UnknownName: No record, model or type has this name.
            AmbiguousName: Several sources are asked in one PostgreSQL, and their ids are in no safe order: name one
                in `open_mirror`.
            OddTime: A time is not understood.
        """
        reader = self.event_reader(types=types, record=record, model=model, since=since, until=until)
        reader.start_after(after)
        return (event for batch in reader.batches() for event in batch)

    def event_reader(
        self,
        *,
        types: Sequence[str] = (),
        record: str | Record | None = None,
        model: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
    ) -> EventReader:
        """Return a reader of events and acts, which can also wait for new ones. See `events` for the arguments."""
        key = None if record is None else self.record(record).key
        chosen = find_models(self._scope(), model) if model is not None else []
        start, end, matching = self._time(since), self._time(until), matching_types(types)

        def wanted(scope: Scope, source_id: int) -> EventFilter | None:
            ids = [one.id for one in chosen if one.source_id == source_id]
            if (key is not None and key.source_id != source_id) or (chosen and not ids):
                return None
            return EventFilter(
                types=matching,
                record_id=key.record_id if key is not None else None,
                model_ids=ids,
                since=start,
                until=end,
            )

        return EventReader(self._database, self._load, wanted)

    def _load(self, connection: Connection) -> Scope:
        return Scope.load(connection, self._sources)

    def _scope(self) -> Scope:
        return self._database.query(self._load)

    def _located(self, connection: Connection, scope: Scope, name: str | Record | Version) -> Located:
        if isinstance(name, Record):
            return current_of(connection, name.key)
        return locate(connection, scope, name if isinstance(name, str) else name.version_id)

    def _time(self, time: Time | None) -> datetime | None:
        return None if time is None else self.moment(time).time

    def _stream(self, answer: Callable[[Connection, Scope], Iterator[T]]) -> Iterator[T]:
        """Yield an answer from one snapshot, which ends with the iteration."""
        with self._database.read() as connection:
            yield from answer(connection, self._load(connection))


_RECORD = (
    *("model_id", "status", "current_version_id", "published_version_id", "created_at", "updated_at"),
    *("published_at", "first_published_at", "publication_scheduled_at", "unpublishing_scheduled_at", "deleted_at"),
)
