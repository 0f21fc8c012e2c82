"""Convert the API's resources to the ledger's types. Pure."""

from __future__ import annotations

import json

from versionsync import cma
from versionsync.ledger.content import content_hash, fingerprint
from versionsync.ledger.ids import ModelId, RecordId, VersionId
from versionsync.ledger.records import Editor, SeenRecord
from versionsync.ledger.schema import Field, Model, Schema

__all__ = ["editor_of", "field_of", "model_of", "project_hash", "schema_of", "seen_record"]

_VOLATILE = frozenset({"last_data_change_at", "created_at"})


def editor_of(ref: cma.Ref | None) -> Editor | None:
    return Editor(ref.type, ref.id) if ref else None


def seen_record(item: cma.Item) -> SeenRecord:
    """Return the record that an item describes. Raise ContentError if its meta is not a JSON value."""
    creator = editor_of(item.creator)
    return SeenRecord(
        id=RecordId(item.id),
        model_id=ModelId(item.item_type_id),
        fingerprint=fingerprint(item.meta_raw, model_id=item.item_type_id, creator=creator),
        status=item.status,
        stage=item.stage,
        current_version_id=VersionId(item.current_version) if item.current_version else None,
        creator=creator,
        created_at=item.created_at,
        updated_at=item.updated_at,
        published_at=item.published_at,
        first_published_at=item.first_published_at,
        publication_scheduled_at=item.publication_scheduled_at,
        unpublishing_scheduled_at=item.unpublishing_scheduled_at,
    )


def project_hash(site: cma.Site) -> bytes:
    """Return 32 bytes that change when the project's own settings change.

    Two times are left out: that of the last change, which every edit moves, and that of creation, which DatoCMS prints
    in the project's time zone.
    """
    document = json.loads(site.raw)  # msgspec refuses lone surrogates, which a name may contain
    described = {
        part: {name: value for name, value in (document.get(part) or {}).items() if name not in _VOLATILE}
        for part in ("attributes", "meta")
    }
    return content_hash(json.dumps(described).encode())


def schema_of(schema: cma.Schema) -> Schema:
    """Return the models and fields of `schema`, block models included, by their ids."""
    return Schema(
        models={item_type.id: model_of(item_type) for item_type in schema.item_types},
        fields={field.id: field_of(field) for field in schema.fields},
    )


def model_of(item_type: cma.ItemType) -> Model:
    return Model(
        id=ModelId(item_type.id),
        api_key=item_type.api_key,
        name=item_type.name,
        is_block=item_type.modular_block,
        is_singleton=item_type.singleton,
        draft_mode=item_type.draft_mode_active,
        payload=item_type.raw.decode(),
    )


def field_of(field: cma.Field) -> Field:
    return Field(
        id=field.id,
        model_id=ModelId(field.item_type_id),
        api_key=field.api_key,
        label=field.label,
        field_type=field.field_type,
        is_localized=field.localized,
        position=field.position,
        payload=field.raw.decode(),
    )
