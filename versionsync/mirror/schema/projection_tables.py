"""Projections: derived tables that answer what a view would compute too slowly.

Every row follows from the core tables. They can be emptied and filled again at any time, and then hold the same rows
(`versionsync db rebuild`). They have no foreign keys: checking those takes longer than the rest of the writing.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, Named, Table, TypedColumns
from sqlalchemy import text as sql_text

from versionsync.mirror.engine.types import SearchWords
from versionsync.mirror.schema.column_helpers import (
    binary,
    both_or_none,
    column,
    count,
    foreign_key_to_source,
    identifier,
    metadata,
    number,
    partial,
    source,
    text,
    timestamp,
)

__all__ = ["changes", "intervals", "links", "passages", "projection_cursors", "reordered_records", "titles"]


class _Changes(TypedColumns):
    source_id: Named[int] = source()
    version_id: Named[str] = identifier("The version that made the change.", key=True)
    number: Named[int] = column(BigInteger, "Counts the changes of a version, from 1.", key=True)
    record_id: Named[str] = identifier("Its record.")
    model_id: Named[str] = identifier("The record's model.")
    previous_version_id: Named[str | None] = identifier(
        "The version it is compared with: the one before it by `versions.ordinal`. NULL: it is the first."
    )
    created_at: Named[datetime] = timestamp("When the version was made: `versions.created_at`.")
    field_id: Named[str | None] = identifier("The field: `fields.id`. NULL: the schema has none of this name.")
    field: Named[str] = identifier("The field's API key, as in the content of the version.")
    locale: Named[str | None] = identifier("The locale. NULL: the field is not localized.")
    block_id: Named[str | None] = identifier("The innermost block that has the field. NULL: the record itself has it.")
    block_path: Named[str | None] = identifier(
        "The ids of the blocks around it, outermost first, with `/` between them. NULL: the record itself has it."
    )
    kind: Named[str] = text("What changed: `text`, `formatting`, `attribute`, `structure` or `reference`.")
    operation: Named[str] = text("`added`, `removed`, `changed` or `moved`.")
    words_added: Named[int] = count("Words that the version has and the one before it does not.")
    words_removed: Named[int] = count("Words that the version before it has and this one does not.")
    before_hash: Named[bytes | None] = binary(
        "The first 16 bytes of SHA-256 of the value before, to compare values. NULL: there was none."
    )
    after_hash: Named[bytes | None] = binary("The same of the value after. NULL: there is none.")


changes = Table(
    "changes",
    metadata,
    _Changes,
    CheckConstraint(
        "kind IN ('text', 'formatting', 'attribute', 'structure', 'reference')", name="ck_changes_kind_is_known"
    ),
    CheckConstraint("operation IN ('added', 'removed', 'changed', 'moved')", name="ck_changes_operation_is_known"),
    Index("changes_of_record", "source_id", "record_id", "created_at"),
    Index("changes_in_order", "source_id", "created_at"),
    Index("changes_of_field", "source_id", "field_id", "created_at"),
    comment="Projection: what each version changed, by field, locale and block, compared with the version before it.",
)


class _Intervals(TypedColumns):
    source_id: Named[int] = source()
    kind: Named[str] = identifier(
        "`current`: the version was the newest one of its record. `published`: it was live.", key=True
    )
    record_id: Named[str] = identifier("The record.", key=True)
    valid_from: Named[datetime] = timestamp("When it began.", key=True)
    number: Named[int] = column(
        BigInteger, "The order of intervals of a record and kind that began at the same time.", key=True
    )
    version_id: Named[str] = identifier("The version.")
    model_id: Named[str] = identifier("The version's model.")
    valid_until: Named[datetime | None] = timestamp("When it ended. This instant is not part of it. NULL: it goes on.")
    known_from: Named[datetime] = timestamp("When the mirror first knew that it began.")
    known_until: Named[datetime | None] = timestamp("When the mirror first knew that it ended. NULL: it goes on.")


intervals = Table(
    "intervals",
    metadata,
    _Intervals,
    CheckConstraint("kind IN ('current', 'published')", name="ck_intervals_kind_is_known"),
    both_or_none("valid_until", "known_until", "ck_intervals_end_is_known"),
    Index("intervals_of_version", "source_id", "version_id"),
    Index("intervals_in_order", "source_id", "kind", "valid_from"),
    Index(
        "intervals_unpublished", "source_id", "valid_until", **partial("kind = 'published' AND valid_until IS NOT NULL")
    ),
    comment="Projection: when each version was the newest one of its record, and when it was live. Those of one record "
    "and kind do not overlap.",
    sqlite_with_rowid=False,
)


class _Links(TypedColumns):
    source_id: Named[int] = source()
    record_id: Named[str] = identifier("The record whose content has the link.", key=True)
    from_ordinal: Named[int] = column(BigInteger, "The first version that has it: `versions.ordinal`.", key=True)
    number: Named[int] = number("Counts the links that begin with a version, from 1.", key=True)
    until_ordinal: Named[int | None] = column(
        BigInteger, "The next version that does not have it: `versions.ordinal`. NULL: all later versions have it."
    )
    target_kind: Named[str] = text("What it points to: `record` or `upload`.")
    target_id: Named[str] = identifier("The id of that record or upload.")
    field_id: Named[str | None] = identifier("The field: `fields.id`. NULL: the schema has none of this name.")
    field: Named[str] = identifier("The field's API key, as in the content of the first version.")
    locale: Named[str | None] = identifier("The locale. NULL: the field is not localized.")
    block_path: Named[str | None] = identifier(
        "The ids of the blocks around it, outermost first, with `/` between them. NULL: the record itself has it."
    )


links = Table(
    "links",
    metadata,
    _Links,
    CheckConstraint("target_kind IN ('record', 'upload')", name="ck_links_target_kind_is_known"),
    Index("links_to", "source_id", "target_id"),
    comment="Projection: which records and uploads a record's content names, from which version until which.",
    sqlite_with_rowid=False,
)


class _Titles(TypedColumns):
    source_id: Named[int] = source()
    version_id: Named[str] = identifier("The version.", key=True)
    locale: Named[str] = identifier("The locale. Empty if the title is not localized.", key=True)
    record_id: Named[str] = identifier("Its record.")
    title: Named[str] = text(
        "The value of the model's title field, else of its first field with a short text; at most 300 characters."
    )


titles = Table(
    "titles",
    metadata,
    _Titles,
    Index("titles_by_title", "source_id", "title"),
    Index("titles_of_record", "source_id", "record_id"),
    comment="Projection: what each version is called, in each locale.",
    sqlite_with_rowid=False,
)


class _Passages(TypedColumns):
    source_id: Named[int] = source()
    version_id: Named[str] = identifier("The version that added or removed the passage.", key=True)
    number: Named[int] = number("Counts the passages that a version added or removed, from 1.", key=True)
    piece: Named[int] = column(
        Integer, "Counts the parts of a long passage, from 0. Only the first has the text.", key=True
    )
    id: Named[int | None] = column(
        BigInteger,
        "Its number in the index: higher for later versions. NULL: it was removed, and is not in the index.",
    )
    record_id: Named[str] = identifier("The record.")
    model_id: Named[str] = identifier("The record's model.")
    record_field: Named[str] = identifier("The record's field that holds it: `fields.id`, or the name in the content.")
    field_id: Named[str | None] = identifier("The innermost field: `fields.id`. NULL: the schema has none of the name.")
    field: Named[str] = identifier("The innermost field's API key, as in the content of the version.")
    locale: Named[str | None] = identifier("The locale. NULL: the field is not localized.")
    block_path: Named[str | None] = identifier(
        "The ids of the blocks around it, outermost first, with `/` between them. NULL: the record itself has it."
    )
    hash: Named[int] = column(BigInteger, "The same for equal texts in one field and locale of a record.")
    text: Named[str | None] = text("The passage, without HTML tags. NULL: it was removed, or this is a later part.")
    words: Named[str | None] = column(
        SearchWords,
        "Its words without case and accents, as the index has them. NULL: it was removed; in SQLite also if "
        "they are those of `text`.",
    )


passages = Table(
    "passages",
    metadata,
    _Passages,
    Index("passages_by_id", "id", unique=True),
    Index("passages_of_record", "source_id", "record_id"),
    Index(
        "passages_words",
        "words",
        postgresql_using="gin",
        postgresql_where=sql_text("words IS NOT NULL"),
        info={"only_on": "postgresql"},
    ),
    comment="Projection: the passages that each version added or removed, compared with the version before it. "
    "`versionsync grep` searches them.",
)


class _ProjectionCursors(TypedColumns):
    source_id: Named[int] = source()
    projection: Named[str] = identifier(
        "The projection: `changes`, `intervals`, `links`, `titles` or `search`.", key=True
    )
    event_id: Named[int] = column(BigInteger, "Every event up to this one is in it: `events.id`.")
    format: Named[int] = number("How its rows are computed. If the program computes them otherwise, it fills it again.")
    filled_at: Named[datetime] = timestamp("When rows were last written.")


projection_cursors = Table(
    "projection_cursors",
    metadata,
    _ProjectionCursors,
    foreign_key_to_source("projection_cursors"),
    comment="How far each projection is filled.",
    sqlite_with_rowid=False,
)


class _ReorderedRecords(TypedColumns):
    source_id: Named[int] = source()
    record_id: Named[str] = identifier("The record.", key=True)


reordered_records = Table(
    "reordered_records",
    metadata,
    _ReorderedRecords,
    foreign_key_to_source("reordered_records"),
    comment="Records whose versions changed their order or times without an event. `changes`, `links` and `search` "
    "compute them again.",
    sqlite_with_rowid=False,
)
