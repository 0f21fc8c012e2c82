"""Who wrote each passage of a record: its versions read from the mirror, with editors and times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from versionsync.history.blame import BlamedContent, blame
from versionsync.history.diff.schema import SchemaField
from versionsync.history.errors import UnknownName
from versionsync.history.model import RecordKey, WithEditor
from versionsync.history.schema_at import SchemaHistory, SchemaState
from versionsync.history.scope import Scope
from versionsync.ledger.ids import VersionId
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.schema import versions
from versionsync.mirror.tables.versions import stored_texts
from versionsync.text import nearest

__all__ = ["Authorship", "authors_of"]

CONTENTS_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorship(WithEditor):
    """A passage of the newest text, and the version that wrote it.

    Attributes:
        version_id: The version in which the words appeared; the editor is who saved it.
        created_at: When it was saved.
        field: API key of the record's field.
        label: What the field is called.
        locale: The innermost locale. None: nothing on the way is localized.
        block_path: The ids of the blocks around it, from the outermost on, joined by `/`.
        block_model_id: The model of the innermost block.
        block_field: API key of the innermost block's field.
        member: The member of the value, such as the title of an SEO value.
        node_type: `paragraph`, `heading` or `code` in a structured text, `text` in a plain text, `value` elsewhere.
        number: The number of the paragraph or text in this answer, from 1 on; its passages share it.
        text: The words; a value that is no text as JSON. U+FFFC stands for a record or block within the text.
        inline_record_ids: For each U+FFFC the record that it points to, or None.
    """

    source: str
    record_id: str
    version_id: str
    model_id: str
    created_at: datetime
    editor_type: str | None
    editor_id: str | None
    editor_name: str | None
    field_id: str | None
    field: str
    label: str
    locale: str | None
    block_id: str | None
    block_path: str | None
    block_model_id: str | None
    block_field: str | None
    member: str | None
    node_type: str
    number: int
    text: str
    inline_record_ids: tuple[str | None, ...]


def authors_of(
    connection: Connection, scope: Scope, key: RecordKey, *, field: str | None = None, last: str | None = None
) -> Iterator[Authorship]:
    """Yield the passages of a record's newest version, in the order of its fields.

    Args:
        connection: A snapshot.
        scope: The sources.
        key: The record.
        field: Of this field only: its API key, label or id.
        last: The id of the version to explain. None: the newest.

    Raises:
        UnknownName: The record has no such field.
    """
    columns = (versions.c.id, versions.c.model_id, versions.c.created_at, versions.c.editor_type, versions.c.editor_id)
    query = select(*columns).where(versions.c.source_id == key.source_id, versions.c.record_id == key.record_id)
    rows = connection.execute(query.order_by(versions.c.ordinal)).all()
    if last is not None:
        rows = rows[: next(at for at, row in enumerate(rows, start=1) if row.id == last)]
    if not rows:
        return
    schemas = SchemaHistory.load(connection, key.source_id)
    model_id = rows[-1].model_id
    (newest,) = stored_texts(connection, key.source_id, [VersionId(rows[-1].id)])
    known = schemas.at(newest.stored_by).schema.of_model(model_id)
    wanted = None if field is None else [_field_named(field, known)]
    contents = _contents(connection, key.source_id, rows, schemas, known)
    for number, text in enumerate(blame(contents, wanted), start=1):
        place, one = text.place, known.get(text.field)
        for passage in text.passages:
            row = rows[passage.author]
            yield Authorship(
                source=scope.name_of(key.source_id),
                record_id=key.record_id,
                version_id=row.id,
                model_id=model_id,
                created_at=row.created_at,
                editor_type=row.editor_type,
                editor_id=row.editor_id,
                editor_name=scope.editor_name(key.source_id, row.editor_type, row.editor_id),
                field_id=one.id if one is not None else None,
                field=text.field,
                label=(one.label if one is not None else "") or text.field,
                locale=place.locale or text.locale,
                block_id=place.block_path[-1] if place.block_path else None,
                block_path="/".join(place.block_path) or None,
                block_model_id=place.model_id,
                block_field=place.field if place.block_path else None,
                member=place.member,
                node_type=place.type,
                number=number,
                text=passage.text,
                inline_record_ids=passage.nodes,
            )


def _contents(
    connection: Connection,
    source_id: int,
    rows: Sequence[Any],
    schemas: SchemaHistory,
    known: Mapping[str, SchemaField],
) -> Iterator[BlamedContent]:
    """Yield the contents of versions in their order; only a few are in memory at a time."""
    for chunk in chunked(rows, CONTENTS_AT_ONCE):
        texts = stored_texts(connection, source_id, [VersionId(row.id) for row in chunk])
        stored = {one.version_id: one for one in texts}
        for row in chunk:
            state = schemas.at(stored[row.id].stored_by)
            yield BlamedContent(stored[row.id].text, row.model_id, state.schema, _keys(state, row.model_id, known))


def _keys(state: SchemaState, model_id: str, known: Mapping[str, SchemaField]) -> dict[str, str]:
    """Return the keys that fields have in the newest version, by those that they have in a state, if they differ."""
    now = {one.id: key for key, one in known.items()}
    of_model = state.schema.of_model(model_id)
    return {key: now[one.id] for key, one in of_model.items() if now.get(one.id, key) != key}


def _field_named(name: str, known: Mapping[str, SchemaField]) -> str:
    if name in known:
        return name
    folded = name.casefold()
    for key, one in known.items():
        if one.id == name or one.label.casefold() == folded:
            return key
    meant = nearest(name, known)
    raise UnknownName(
        f"the record has no field {name}",
        hint=f"Did you mean {meant}?" if meant else f"It has {', '.join(known) or 'none that is known'}.",
    )
