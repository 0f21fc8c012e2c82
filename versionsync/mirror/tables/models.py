"""Models and fields in the mirror; those that are gone upstream stay, marked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Connection, Table, bindparam, func, select, update
from sqlalchemy.sql.dml import Insert

from versionsync.ledger.events import EventType, JsonValue
from versionsync.ledger.ids import ModelId
from versionsync.ledger.schema import Field, Model, Schema
from versionsync.ledger.schema_doubts import FormerValues
from versionsync.mirror.engine.bulk import insert_ignore, run_many, upsert
from versionsync.mirror.engine.jsonb import stored_json
from versionsync.mirror.schema import events, fields, models
from versionsync.mirror.tables.leases import Lease, assert_and_renew

__all__ = [
    "DeletedIds",
    "deleted_ids",
    "former_values",
    "load_schema",
    "normalized",
    "schema_seen_at",
    "seen_first_since",
    "upsert_models",
    "upsert_schema",
]

MODEL_DETAILS = ("api_key", "name", "is_block", "is_singleton", "draft_mode", "payload", "deleted_at")
FIELD_DETAILS = (
    "model_id",
    "api_key",
    "label",
    "field_type",
    "is_localized",
    "position",
    "payload",
    "deleted_at",
)
NEW = ("source_id", "id", "first_seen_at")


def load_schema(connection: Connection, source_id: int) -> Schema:
    """The models and fields that the mirror holds and that are not deleted, by id."""
    found_models = connection.execute(
        select(models).where(
            models.c.source_id == source_id, models.c.deleted_at.is_(None), models.c.payload.is_not(None)
        )
    )
    found_fields = connection.execute(
        select(fields).where(fields.c.source_id == source_id, fields.c.deleted_at.is_(None))
    )
    return Schema(
        models={
            ModelId(row.id): Model(
                id=ModelId(row.id),
                api_key=row.api_key,
                name=row.name,
                is_block=row.is_block,
                is_singleton=row.is_singleton,
                draft_mode=row.draft_mode,
                payload=row.payload,
            )
            for row in found_models
        },
        fields={
            row.id: Field(
                id=row.id,
                model_id=ModelId(row.model_id),
                api_key=row.api_key,
                label=row.label,
                field_type=row.field_type,
                is_localized=row.is_localized,
                position=row.position,
                payload=row.payload,
            )
            for row in found_fields
        },
    )


@dataclass(frozen=True, slots=True)
class DeletedIds:
    """The ids of the models and fields that are marked deleted."""

    models: frozenset[str]
    fields: frozenset[str]


def deleted_ids(connection: Connection, source_id: int) -> DeletedIds:
    """The models and fields of a source that are marked deleted."""

    def ids(table: Table) -> frozenset[str]:
        query = select(table.c.id).where(table.c.source_id == source_id, table.c.deleted_at.is_not(None))
        return frozenset(connection.scalars(query))

    return DeletedIds(ids(models), ids(fields))


def seen_first_since(connection: Connection, source_id: int, since: datetime) -> frozenset[str]:
    """The ids of the models and fields that the mirror first saw after `since`."""
    queries = (
        select(table.c.id).where(table.c.source_id == source_id, table.c.first_seen_at > since)
        for table in (models, fields)
    )
    return frozenset(id for query in queries for id in connection.scalars(query))


def former_values(connection: Connection, source_id: int, type: EventType, ids: Iterable[str]) -> FormerValues:
    """The values that models or fields had before, as their events of this `type` (`field.changed`) say."""
    return {id: _former_values(connection, source_id, f"{type}:{id}:") for id in ids}


def _former_values(connection: Connection, source_id: int, key: str) -> dict[str, list[JsonValue]]:
    # ";" is the character after ":": between them are the keys of all events of this type and id.
    told = connection.scalars(
        select(events.c.data).where(
            events.c.source_id == source_id, events.c.key > key, events.c.key < f"{key.removesuffix(':')};"
        )
    )
    found: dict[str, list[JsonValue]] = {}
    for data in map(json.loads, told):
        for name, (before, _) in data.get("changes", {}).items():
            found.setdefault(name, []).append(before)
    return found


def normalized(tx: Connection, seen: Schema) -> Schema:
    """`seen` as this database will give it back: what it keeps in another form is no change the next time."""
    return Schema(
        models={id: replace(model, payload=stored_json(tx, model.payload)) for id, model in seen.models.items()},
        fields={id: replace(field, payload=stored_json(tx, field.payload)) for id, field in seen.fields.items()},
    )


def schema_seen_at(connection: Connection, source_id: int) -> datetime | None:
    """When something of the schema was last new: a time at which all of it was read; None: it never was."""
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
    """Write models and fields as seen (one that was deleted is there again), and mark those that are gone.

    A row that is so already is not written again.
    """
    assert_and_renew(tx, lease)
    source_id, dialect = lease.source_id, tx.dialect.name
    run_many(
        tx,
        _model_details(dialect),
        NEW + MODEL_DETAILS,
        [
            (
                source_id,
                model.id,
                observed_at,
                model.api_key,
                model.name,
                model.is_block,
                model.is_singleton,
                model.draft_mode,
                stored_json(tx, model.payload),
                None,
            )
            for model in seen_models
        ],
    )
    upsert_models(tx, source_id, (field.model_id for field in seen_fields), observed_at=observed_at)
    run_many(
        tx,
        _field_details(dialect),
        NEW + FIELD_DETAILS,
        [
            (
                source_id,
                field.id,
                observed_at,
                field.model_id,
                field.api_key,
                field.label,
                field.field_type,
                field.is_localized,
                field.position,
                stored_json(tx, field.payload),
                None,
            )
            for field in seen_fields
        ],
    )
    run_many(tx, MODEL_IS_DELETED, NOT_DELETED, [(source_id, id, observed_at) for id in deleted_models])
    run_many(tx, FIELD_IS_DELETED, NOT_DELETED, [(source_id, id, observed_at) for id in deleted_fields])


def upsert_models(tx: Connection, source_id: int, ids: Iterable[ModelId], *, observed_at: datetime) -> None:
    """Make a row of id only for each model that has none: one that the token may not read, or gone before we came."""
    wanted = set(ids)
    known = set(tx.scalars(select(models.c.id).where(models.c.source_id == source_id)))
    if unknown := sorted(wanted - known):
        run_many(tx, _model_row(tx.dialect.name), NEW, [(source_id, id, observed_at) for id in unknown])


@lru_cache
def _model_details(dialect: str) -> Insert:
    return upsert(models, dialect, MODEL_DETAILS)


@lru_cache
def _field_details(dialect: str) -> Insert:
    return upsert(fields, dialect, FIELD_DETAILS)


@lru_cache
def _model_row(dialect: str) -> Insert:
    return insert_ignore(models, dialect)


NOT_DELETED = ("of_source", "gone_id", "gone_at")
MODEL_IS_DELETED = (
    update(models)
    .where(
        models.c.source_id == bindparam("of_source"),
        models.c.id == bindparam("gone_id"),
        models.c.deleted_at.is_(None),
    )
    .values(deleted_at=bindparam("gone_at"))
)
FIELD_IS_DELETED = (
    update(fields)
    .where(
        fields.c.source_id == bindparam("of_source"),
        fields.c.id == bindparam("gone_id"),
        fields.c.deleted_at.is_(None),
    )
    .values(deleted_at=bindparam("gone_at"))
)
