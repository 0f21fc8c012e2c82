"""A simulated DatoCMS from a mirror: the same schema, and perhaps all records with their complete past."""

from __future__ import annotations

import json
import zlib
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from versionsync.ledger.records import Editor
from versionsync.ledger.upload_ids import upload_ids_in
from versionsync.mirror.tables.editors import EditorRow
from versionsync.mirror.tables.models import load_schema
from versionsync.mirror.tables.sources import SourceRow
from versionsync.mirror.whole_source import (
    StoredRecord,
    StoredVersion,
    first_interval,
    stages_by_model,
    stored_editors,
    stored_records,
)
from versionsync.simulator import FULL_ACCESS_TOKEN, Clock, LoadedMeta, LoadedVersion, World
from versionsync.simulator import Editor as SimulatedEditor
from versionsync.simulator.scenarios.schema_of import editor_of, world_of
from versionsync.simulator.world.event_log import Content
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.records import Interval

__all__ = ["COPY_PREFIX", "world_from_mirror", "world_with_schema"]

COPY_PREFIX: Final = "copy-of-"
"""What the id of a copied project begins with. A sync of the copy into the mirror of the original is refused."""
MILLISECONDS: Final = 3
WORTH_PACKING: Final = 0.7
"""Keep a content compressed if that is not longer than this share of it."""


def world_from_mirror(
    connection: Connection,
    source: SourceRow,
    *,
    with_deleted: bool = False,
    clock: Clock | None = None,
    token: str = FULL_ACCESS_TOKEN,
) -> World:
    """Return a project with the schema of a source and all of its records, each with its complete history.

    Its id is another one, so that no mirror takes the copy for the original. Versions that upstream does not list any
    more are in it too.

    Args:
        connection: An open snapshot of the mirror.
        source: The source.
        with_deleted: Deleted records are in it too, as deleted ones.
        clock: The clock of the project; None: a running one.
        token: The API token of the project.
    """
    project = source.project
    name = f"Copy of {project.name or project.id}"
    world = _world(connection, source, COPY_PREFIX + project.id, name, clock, token)
    starts_at = first_interval(connection, source.id)
    if starts_at is not None:
        world.options.tracks_intervals_since = min(world.options.tracks_intervals_since, starts_at)
    for record in stored_records(connection, source.id, with_deleted=with_deleted):
        model = world.primary.models.get(record.model_id)
        if model is not None and record.versions:
            _load(world, model, record)
    return world


def world_with_schema(
    connection: Connection, source: SourceRow, *, clock: Clock | None = None, token: str = FULL_ACCESS_TOKEN
) -> World:
    """Return a project without records, with the id and the schema of a source, to restore its records into.

    The uploads that contents name are in it, as files without content. For the arguments see `world_from_mirror`.
    """
    return _world(connection, source, source.project.id, source.project.name, clock, token)


def _world(
    connection: Connection, source: SourceRow, project_id: str, name: str | None, clock: Clock | None, token: str
) -> World:
    schema, project = load_schema(connection, source.id), source.project
    models = {id: _description(model.payload) for id, model in schema.models.items()}
    stages: dict[str, list[str]] = {}
    for model_id, known in stages_by_model(connection, source.id).items():
        workflow = ((models.get(model_id) or {}).get("relationships") or {}).get("workflow") or {}
        if workflow.get("data"):
            stages.setdefault(workflow["data"]["id"], []).extend(known)
    attributes = {"name": name, "locales": project.locales, "timezone": project.time_zone}
    meta = {"milliseconds_in_datetime": project.time_precision == MILLISECONDS}
    return world_of(
        {"type": "site", "id": project_id, "attributes": attributes, "meta": meta},
        models.values(),
        [_description(field.payload) for field in schema.fields.values()],
        map(_person, stored_editors(connection, source.id)),
        sorted(_uploads(connection, source.id)),
        stages={id: tuple(dict.fromkeys(known)) for id, known in stages.items()},
        environment=project.environment,
        created_at=project.environment_created_at,
        clock=clock,
        seed=zlib.crc32(f"{source.name} {source.created_at.isoformat()}".encode()),  # not one that made these ids
        token=token,
    )


def _description(payload: str) -> dict[str, Any]:
    """Return the JSON document `payload`. A question mark replaces a lone surrogate, which no answer can have."""
    text = json.dumps(json.loads(payload), ensure_ascii=False)
    document: dict[str, Any] = json.loads(text.encode("utf-8", "replace"))
    return document


def _person(row: EditorRow) -> dict[str, Any]:
    known = _description(row.payload) if row.payload is not None else {}
    attributes = {**(known.get("attributes") or {}), "full_name": row.name, "email": row.email}
    return {"type": row.type, "id": row.id, "attributes": attributes}


def _uploads(connection: Connection, source_id: int) -> set[str]:
    return {
        id
        for record in stored_records(connection, source_id)
        for version in record.versions
        for id in upload_ids_in(version.content)
    }


def _load(world: World, model: Model, record: StoredRecord) -> None:
    tracked_since = world.options.tracks_intervals_since
    published = next((version for version in record.versions if version.is_published), None)
    live_since = None if published is None else published.published_from
    if published is not None and live_since is None:  # from before upstream recorded it
        live_since = min(record.published_at or published.created_at, tracked_since - timedelta(seconds=1))
    world.load(
        model,
        [
            LoadedVersion(
                _packed(version.content),
                _editor(world, version.editor),
                version.created_at,
                _live(version, live_since),
                version.id,
                version.is_valid is not False,
            )
            for version in record.versions
        ],
        id=record.id,
        creator=_editor(world, record.creator),
        created_at=record.created_at,
        deleted_at=record.deleted_at,
        meta=LoadedMeta(
            current=next((version.id for version in record.versions if version.is_current), None),
            updated_at=record.updated_at,
            published_at=record.published_at,
            first_published_at=record.first_published_at,
            publication_scheduled_at=record.publication_scheduled_at,
            unpublishing_scheduled_at=record.unpublishing_scheduled_at,
            stage=record.stage,
        ),
    )


def _live(version: StoredVersion, live_since: datetime | None) -> tuple[Interval, ...]:
    """Return when `version` was live; `live_since`: since when the live version of its record is that."""
    if version.is_published and live_since is not None:
        return ((live_since, None),)
    start = version.published_from
    if start is None or (live_since is not None and start > live_since):  # two are never live at once
        return ()
    return ((start, version.published_until or version.missing_since or start),)


def _editor(world: World, editor: Editor | None) -> SimulatedEditor:
    return world.api if editor is None else editor_of(world, editor.type, editor.id)


class _Packed(msgspec.Struct, frozen=True, gc=False):
    """A content that is compressed in memory."""

    content: bytes

    def __call__(self) -> bytes:
        return zlib.decompress(self.content)


def _packed(content: bytes) -> Content:
    packed = zlib.compress(content, 1)
    return _Packed(packed) if len(packed) < len(content) * WORTH_PACKING else content
