"""Read and write models and fields. Those that were deleted upstream stay, marked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Table, bindparam, func, select, update

from versionsync.ledger.events import EventType, JsonValue
from versionsync.ledger.ids import ModelId
from versionsync.ledger.sameness import ContentFields
from versionsync.ledger.schema import Field, Model, Schema
from versionsync.ledger.schema_checks import FormerValues
from versionsync.mirror.engine.bulk import field_names, run_many
from versionsync.mirror.engine.dialects import Dialect, dialect_of
from versionsync.mirror.schema import events, fields, models
from versionsync.mirror.tables.events import WITHOUT_RECORD
from versionsync.mirror.tables.leases import Lease, assert_and_renew

__all__ = [
    "DeletedIds",
    "FieldState",
    "ModelState",
    "content_fields",
    "deleted_ids",
    "former_keys",
    "former_values",
    "load_field_states",
    "load_model_states",
    "load_schema",
    "normalized",
    "schema_seen_at",
    "seen_first_since",
    "upsert_models",
    "upsert_schema",
]

MODEL = field_names(Model)
FIELD = field_names(Field)
NEW = ("source_id", "first_seen_at")
RESHAPES = ("field_type", "localized")

ModelOrField = TypeVar("ModelOrField", Model, Field)


def load_schema(connection: Connection, source_id: int) -> Schema:
    """Return the models and fields of a source that are not deleted, by id."""

    def rows(table: Table, columns: tuple[str, ...]) -> list[dict[str, object]]:
        query = select(*(table.c[name] for name in columns)).where(
            table.c.source_id == source_id, table.c.deleted_at.is_(None), table.c.payload.is_not(None)
        )
        return [row._asdict() for row in connection.execute(query)]

    seen_models = [Model(**row) for row in rows(models, MODEL)]  # type: ignore[arg-type]  # as the columns are declared
    seen_fields = [Field(**row) for row in rows(fields, FIELD)]  # type: ignore[arg-type]
    return Schema({one.id: one for one in seen_models}, {one.id: one for one in seen_fields})


@dataclass(frozen=True, slots=True)
class DeletedIds:
    """The ids of the models and fields that are marked deleted."""

    models: frozenset[str]
    fields: frozenset[str]


def deleted_ids(connection: Connection, source_id: int) -> DeletedIds:

    def ids(table: Table) -> frozenset[str]:
        query = select(table.c.id).where(table.c.source_id == source_id, table.c.deleted_at.is_not(None))
        return frozenset(connection.scalars(query))

    return DeletedIds(ids(models), ids(fields))


def seen_first_since(connection: Connection, source_id: int, since: datetime) -> frozenset[str]:
    """Return the ids of the models and fields that the mirror first saw after `since`."""
    queries = (
        select(table.c.id).where(table.c.source_id == source_id, table.c.first_seen_at > since)
        for table in (models, fields)
    )
    return frozenset(id for query in queries for id in connection.scalars(query))


def former_values(connection: Connection, source_id: int, type: EventType, ids: Iterable[str]) -> FormerValues:
    """Return the values that models or fields had before, from their events of this `type` (`field.changed`)."""
    return {id: _former_values(connection, source_id, f"{type}:{id}:") for id in ids}


def _former_values(connection: Connection, source_id: int, key: str) -> dict[str, list[JsonValue]]:
    # ";" is the character after ":": between them are the keys of all events of this type and id.
    found_data = connection.scalars(
        select(events.c.data)
        .where(
            events.c.source_id == source_id,
            events.c.record_id.is_(None),  # for the index
            events.c.key > key,
            events.c.key < f"{key.removesuffix(':')};",
        )
        .with_hint(events, WITHOUT_RECORD, "sqlite")
    )
    found: dict[str, list[JsonValue]] = {}
    for data in map(json.loads, found_data):
        for name, (before, _) in data.get("changes", {}).items():
            found.setdefault(name, []).append(before)
    return found


def content_fields(connection: Connection, source_id: int) -> ContentFields:
    """Return what is known of a source's fields: their types, when they changed shape, and their former names."""
    types: dict[ModelId, dict[str, str]] = {}
    present: dict[str, tuple[ModelId, str]] = {}
    query = select(fields.c.id, fields.c.model_id, fields.c.api_key, fields.c.field_type, fields.c.deleted_at).where(
        fields.c.source_id == source_id
    )
    for row in connection.execute(query):
        of_model = types.setdefault(ModelId(row.model_id), {})  # a model that lost all of its fields is known, too
        if row.deleted_at is None:
            of_model[row.api_key] = row.field_type
            present[row.id] = ModelId(row.model_id), row.api_key
    reshaped: dict[ModelId, dict[str, int]] = {}
    former: dict[ModelId, dict[str, str]] = {}
    for event_id, field_id, changes in _field_changes(connection, source_id):
        if field_id not in present:
            continue
        model_id, api_key = present[field_id]
        if any(name in changes for name in RESHAPES):
            reshaped.setdefault(model_id, {})[api_key] = event_id
        if former_key := _former_key(changes):
            former.setdefault(model_id, {})[former_key] = api_key
    return ContentFields(types, reshaped, former)


def former_keys(connection: Connection, source_id: int) -> dict[str, list[str]]:
    """Return the api_keys that fields had before, newest first, by the field's id."""
    found: dict[str, dict[str, None]] = {}
    for _, field_id, changes in reversed([*_field_changes(connection, source_id)]):
        if former_key := _former_key(changes):
            found.setdefault(field_id, {})[former_key] = None
    return {id: list(keys) for id, keys in found.items()}


def _field_changes(connection: Connection, source_id: int) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield the changes of fields, oldest first: the event's id, the field's, and each member before and after.

    A field that came back may have changed while the token could not see its model: its creation is a change then.
    """
    listed = connection.execute(
        select(fields.c.id, fields.c.field_type, fields.c.is_localized).where(fields.c.source_id == source_id)
    )
    now = {row.id: {"field_type": row.field_type, "localized": row.is_localized} for row in listed}
    last_states: dict[str, dict[str, Any]] = {}
    of_fields = (
        select(events.c.id, events.c.type, events.c.data)
        .where(
            events.c.source_id == source_id,
            events.c.record_id.is_(None),  # for the index: few events are about no record
            events.c.type.in_((EventType.FIELD_CHANGED, EventType.FIELD_DELETED, EventType.FIELD_CREATED)),
        )
        .with_hint(events, WITHOUT_RECORD, "sqlite")
        .order_by(events.c.id)
    )
    for id, type, text in connection.execute(of_fields):
        data = json.loads(text)
        field, changes = data["field"], data.get("changes", {})
        if type == EventType.FIELD_DELETED:
            last_states[field["id"]] = field
        elif type == EventType.FIELD_CREATED:
            before = last_states.pop(field["id"], {})
            after = {"api_key": field["api_key"], **now.get(field["id"], {})}
            changes = {
                name: (before[name], after[name]) for name in after if before.get(name, after[name]) != after[name]
            }
        if changes:
            yield id, field["id"], changes


def _former_key(changes: dict[str, Any]) -> str | None:
    before, _ = changes.get("api_key") or (None, None)
    return before if isinstance(before, str) else None


def normalized(one: ModelOrField, dialect: Dialect) -> ModelOrField:
    """Return a model or field as a database stores it: what it stores in another form is no change the next time."""
    return replace(one, payload=dialect.storable_json_text(one.payload))


def schema_seen_at(connection: Connection, source_id: int) -> datetime | None:
    """Return when the newest part of the schema was first seen, or None: all of the schema was read then."""
    return connection.scalar(
        select(func.max(models.c.first_seen_at)).where(models.c.source_id == source_id, models.c.payload.is_not(None))
    )


def upsert_schema(
    tx: Connection,
    lease: Lease,
    seen_models: Sequence[Model],
    seen_fields: Sequence[Field],
    *,
    deleted_models: Sequence[ModelId] = (),
    deleted_fields: Sequence[str] = (),
    observed_at: datetime,
) -> None:
    """Write models and fields as seen. A row that is equal already is not written again.

    Args:
        lease: The right to write.
        seen_models: Models to write. One that was marked deleted exists again.
        seen_fields: Fields to write.
        deleted_models: Models to mark as deleted.
        deleted_fields: Fields to mark as deleted.
        observed_at: When the schema was read.
    """
    assert_and_renew(tx, lease)
    source_id, dialect = lease.source_id, dialect_of(tx)
    _upsert(tx, models, MODEL, [normalized(one, dialect) for one in seen_models], (source_id, observed_at, None))
    upsert_models(tx, source_id, (field.model_id for field in seen_fields), observed_at=observed_at)
    _upsert(tx, fields, FIELD, [normalized(one, dialect) for one in seen_fields], (source_id, observed_at, None))
    run_many(tx, MODEL_IS_DELETED, DELETED, [(source_id, id, observed_at) for id in deleted_models])
    run_many(tx, FIELD_IS_DELETED, DELETED, [(source_id, id, observed_at) for id in deleted_fields])


def _upsert(
    tx: Connection,
    table: Table,
    columns: tuple[str, ...],
    seen: Sequence[Model] | Sequence[Field],
    rest: tuple[int, datetime, None],
) -> None:
    values = attrgetter(*columns)
    details = (*(name for name in columns if name != "id"), "deleted_at")
    rows = [(*rest, *values(one)) for one in seen]
    run_many(tx, dialect_of(tx).upsert(table, details), (*NEW, "deleted_at", *columns), rows)


def upsert_models(tx: Connection, source_id: int, ids: Iterable[ModelId], *, observed_at: datetime) -> None:
    """Make a row with the id only for each model that has none: the token may not read it, or it was deleted before."""
    wanted = set(ids)
    known = set(tx.scalars(select(models.c.id).where(models.c.source_id == source_id)))
    if unknown := sorted(wanted - known):
        rows = [(source_id, observed_at, id) for id in unknown]
        run_many(tx, dialect_of(tx).insert_ignore(models), (*NEW, "id"), rows)


DELETED = ("of_source", "deleted_id", "at")
MODEL_IS_DELETED, FIELD_IS_DELETED = (
    update(table)
    .where(
        table.c.source_id == bindparam("of_source"), table.c.id == bindparam("deleted_id"), table.c.deleted_at.is_(None)
    )
    .values(deleted_at=bindparam("at"))
    for table in (models, fields)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """A model as the mirror has it, deleted or not. What the token may not read is None."""

    id: str
    api_key: str | None
    name: str | None
    payload: str | None
    is_deleted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldState:
    """A field as the mirror has it, deleted or not."""

    id: str
    model_id: str
    api_key: str
    label: str
    field_type: str
    is_localized: bool
    position: int
    is_deleted: bool


def load_model_states(connection: Connection, source_id: int) -> list[ModelState]:
    """Return all models of a source, in the order of their ids."""
    query = select(models).where(models.c.source_id == source_id).order_by(models.c.id)
    return [ModelState(**_state(row, ModelState)) for row in connection.execute(query)]


def load_field_states(connection: Connection, source_id: int) -> list[FieldState]:
    """Return all fields of a source, in the order of their ids."""
    query = select(fields).where(fields.c.source_id == source_id).order_by(fields.c.id)
    return [FieldState(**_state(row, FieldState)) for row in connection.execute(query)]


def _state(row: Row[*tuple[Any, ...]], type: type) -> dict[str, Any]:
    columns = {name: getattr(row, name) for name in field_names(type, "is_deleted")}
    return {**columns, "is_deleted": row.deleted_at is not None}
