"""What is to be erased: a record, or a field of it, as somebody names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Row, select

from versionsync.erasure.errors import CannotErase
from versionsync.history.names import FoundRecord
from versionsync.history.schema_at import SchemaHistory
from versionsync.ledger.erasure import ErasedField, Erasure, erase_content
from versionsync.ledger.ids import ModelId
from versionsync.mirror.schema import fields, models
from versionsync.mirror.tables.models import former_keys
from versionsync.text import nearest

__all__ = ["FieldTarget", "Target", "content_eraser", "find_field"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTarget:
    """A field of a record's model, or of a block model. `former_keys`: the API keys that it had before."""

    id: str
    model_id: str
    api_key: str
    is_localized: bool
    former_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What to erase. Without a field: all of the record's content. Without a locale: all of the field."""

    record: FoundRecord
    field: FieldTarget | None = None
    locale: str | None = None

    @property
    def field_id(self) -> str | None:
        """The field's id, or None."""
        return None if self.field is None else self.field.id


def find_field(connection: Connection, record: FoundRecord, name: str) -> FieldTarget:
    """Return the field of a record that `name` means.

    Args:
        connection: An open snapshot.
        record: The record.
        name: The field's API key, one that it had before, or its id. Of a field of blocks: `block_model.field`.

    Raises:
        CannotErase: There is no such field.
    """
    block, _, key = name.rpartition(".")
    model_id = _block_model(connection, record.source_id, block) if block else record.model_id
    columns = (fields.c.id, fields.c.model_id, fields.c.api_key, fields.c.is_localized, fields.c.deleted_at)
    of_model = select(*columns).where(fields.c.source_id == record.source_id, fields.c.model_id == model_id)
    rows = connection.execute(of_model.order_by(fields.c.position, fields.c.id)).all()
    former = former_keys(connection, record.source_id)
    ways: tuple[Callable[[Row[*tuple[object, ...]]], bool], ...] = (
        lambda row: row.id == key,
        lambda row: row.api_key == key and row.deleted_at is None,
        lambda row: row.api_key == key,
        lambda row: key in former.get(row.id, ()),
    )
    for fits in ways:
        found = [row for row in rows if fits(row)]
        if len(found) > 1:
            raise CannotErase(
                f"several fields have or had the API key {key}",
                hint=f"Name one of them by its id: {', '.join(row.id for row in found)}.",
            )
        for row in found:
            return FieldTarget(
                id=row.id,
                model_id=row.model_id,
                api_key=row.api_key,
                is_localized=row.is_localized,
                former_keys=tuple(former.get(row.id, ())),
            )
    known = [row.api_key for row in rows if row.deleted_at is None]
    meant = nearest(key, known)
    raise CannotErase(
        f"the model {block or record.model} has no field {key}",
        hint=f"Did you mean {meant}?" if meant else f"It has {', '.join(known) or 'none'}.",
    )


def _block_model(connection: Connection, source_id: int, api_key: str) -> str:
    query = select(models.c.id, models.c.api_key).where(models.c.source_id == source_id, models.c.is_block.is_(True))
    known: dict[str, str] = {row.api_key or row.id: row.id for row in connection.execute(query)}
    if api_key not in known:
        meant = nearest(api_key, known)
        raise CannotErase(
            f"there is no block model {api_key}",
            hint=f"Did you mean {meant}?" if meant else f"There are {', '.join(known) or 'none'}.",
        )
    return known[api_key]


def content_eraser(connection: Connection, target: Target) -> Callable[[bytes, int | None], bytes]:
    """Return the function that returns what is left of a stored content: see `mirror.erasable.EraseContent`.

    A field is found by the API keys that it had when the content was stored: another field may have had one of them
    at another time. Of a former content only the version's time is known, so every key of the field counts there.
    """
    model_id, field = ModelId(target.record.model_id), target.field
    if field is None:
        return lambda content, _: erase_content(content, model_id, [Erasure(None)])
    schemas = SchemaHistory.load(connection, target.record.source_id)

    def keys_at(event_id: int) -> frozenset[str]:
        state = schemas.at(event_id)
        of_model = state.schema.of_model(field.model_id)
        own = {key for key, one in of_model.items() if one.id == field.id}
        if not own and field.api_key not in of_model:
            own = {field.api_key}  # a field that is younger than the content, or was deleted by then
        former = {old for old, now in state.former_keys.get(field.model_id, {}).items() if now in own}
        return frozenset(own | former)

    def erase(content: bytes, stored_by: int | None) -> bytes:
        keys = frozenset((field.api_key, *field.former_keys)) if stored_by is None else keys_at(stored_by)
        one = ErasedField(ModelId(field.model_id), keys, target.locale)
        return erase_content(content, model_id, [Erasure(one)])

    return erase
