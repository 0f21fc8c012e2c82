"""The resources of answers and webhook calls: records, versions, schema, uploads, environments, people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from versionsync.simulator.world import content as contents
from versionsync.simulator.world.environments import Environment, Scheduled
from versionsync.simulator.world.event_log import EditorRef
from versionsync.simulator.world.models import MODEL_FIELDS, Field, Fieldset, Model
from versionsync.simulator.world.options import SimulatorOptions
from versionsync.simulator.world.people_roles_tokens import Editor, EditorKind, People
from versionsync.simulator.world.records import Record, Version
from versionsync.simulator.world.times import DateTimes, TimeFormat
from versionsync.simulator.world.uploads import Upload

__all__ = [
    "Document",
    "EnvironmentMeta",
    "EnvironmentResource",
    "Identifier",
    "ItemMeta",
    "ItemRelationships",
    "ItemResource",
    "Resource",
    "Serializer",
    "ToOne",
    "TotalCount",
    "VersionMeta",
    "VersionRelationships",
    "VersionResource",
    "last_access",
    "person_resource",
    "reference",
]


class Identifier(msgspec.Struct, gc=False):
    """The resource that a relationship points to."""

    id: str
    type: str


class ToOne(msgspec.Struct, gc=False):
    """A relationship to one resource, or to none."""

    data: Identifier | EditorRef | None


class Resource(msgspec.Struct, omit_defaults=True):
    """Any resource of which there are few."""

    id: str
    type: str
    attributes: dict[str, Any] | None = None
    relationships: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None


class ItemRelationships(msgspec.Struct, gc=False):
    """The relationships of a record; a block has no creator."""

    item_type: ToOne
    creator: ToOne | msgspec.UnsetType = msgspec.UNSET


class ItemMeta(msgspec.Struct, gc=False):
    """The meta of a record: all that a mirror can see without its versions."""

    created_at: str
    updated_at: str
    published_at: str | None
    first_published_at: str | None
    publication_scheduled_at: str | None
    unpublishing_scheduled_at: str | None
    status: str | None
    is_valid: bool
    is_current_version_valid: bool | None
    is_published_version_valid: bool | None
    current_version: str
    stage: str | None
    has_children: bool | None


class ItemResource(msgspec.Struct):
    """A record."""

    id: str
    type: str
    attributes: msgspec.Raw
    relationships: ItemRelationships
    meta: ItemMeta


class VersionRelationships(msgspec.Struct, gc=False):
    """The relationships of a version."""

    item_type: ToOne
    item: ToOne
    editor: ToOne


class VersionMeta(msgspec.Struct, gc=False):
    """The meta of a version."""

    created_at: str
    is_valid: bool
    is_published: bool
    is_current: bool
    published_from: str | None
    published_until: str | None


class VersionResource(msgspec.Struct):
    """A record version."""

    id: str
    type: str
    attributes: msgspec.Raw
    relationships: VersionRelationships
    meta: VersionMeta


class EnvironmentMeta(msgspec.Struct, omit_defaults=True):
    """The meta of an environment."""

    status: str
    read_only_mode: bool
    created_at: str
    last_data_change_at: str
    primary: bool
    forked_from: str | None
    fork_completion_percentage: int | msgspec.UnsetType = msgspec.UNSET


class EnvironmentResource(msgspec.Struct):
    """An environment."""

    id: str
    type: str
    meta: EnvironmentMeta


class TotalCount(msgspec.Struct, gc=False):
    """The meta of a page."""

    total_count: int


class Document(msgspec.Struct, omit_defaults=True):
    """The body of an answer."""

    data: Any
    meta: TotalCount | dict[str, Any] | None = None
    included: Sequence[Any] | None = None


def reference(type: str, id: str) -> dict[str, Any]:
    """Return a relationship to one resource."""
    return {"data": {"id": id, "type": type}}


class Serializer:
    """Writes resources of *environment* at *now*, in the form that *options* choose."""

    __slots__ = ("_date_times", "_environment", "_flat", "_now", "_options", "_time_format")

    def __init__(
        self,
        environment: Environment,
        options: SimulatorOptions,
        times: TimeFormat,
        now: datetime,
        *,
        nested: bool = True,
    ) -> None:
        """*times*: the format of times. *nested*: complete blocks instead of their ids."""
        self._environment = environment
        self._options = options
        self._time_format = times.show
        self._now = now
        self._flat = not nested
        self._date_times: DateTimes | None = None

    def time(self, at: datetime | None) -> str | None:
        """Return *at* as text; None stays None."""
        return None if at is None else self._time_format(at)

    def version(self, version: Version) -> VersionResource:
        record, options = version.record, self._options
        start, end = version.live[-1] if version.live else (None, None)
        if start is not None and start < options.tracks_intervals_since:
            start = end = None
        return VersionResource(
            version.id,
            "item_version",
            self._attributes(version, (version.created_at,) * 2 if options.versions_repeat_times else None),
            VersionRelationships(
                ToOne(Identifier(record.model.id, "item_type")),
                ToOne(Identifier(record.id, "item")),
                ToOne(version.editor.ref),
            ),
            VersionMeta(
                self._time_format(version.created_at),
                version.is_valid,
                version.is_published,
                version.is_current,
                self.time(start),
                self.time(end),
            ),
        )

    def item(self, record: Record, *, published: bool = False) -> ItemResource:
        """Return the resource of *record*, or of a block, with its current or its *published* content."""
        head, live = record.head, record.published
        shown = live if published and live is not None else head
        links = ItemRelationships(ToOne(Identifier(record.model.id, "item_type")))
        if not record.model.is_block:
            links.creator = ToOne(record.creator.ref)
        has_status = record.model.draft_mode or self._options.status_without_drafts == "published"
        return ItemResource(
            record.id,
            "item",
            self._attributes(
                shown, (record.created_at, record.updated_at) if self._options.items_repeat_times else None
            ),
            links,
            ItemMeta(
                self._time_format(record.created_at),
                self._time_format(record.updated_at),
                self.time(record.published_at),
                self.time(record.first_published_at),
                self.time(record.publication_scheduled_at),
                self.time(record.unpublishing_scheduled_at),
                record.status if has_status else None,
                shown.is_valid,
                head.is_valid,
                None if live is None else live.is_valid,
                head.id,
                record.stage,
                self._has_children(record),
            ),
        )

    def environment(self, environment: Environment) -> EnvironmentResource:
        now, status = self._now, environment.status(self._now)
        done: int | msgspec.UnsetType = msgspec.UNSET
        if status == "creating" and environment.ready_at is not None:
            done = int(100 * (now - environment.created_at) / (environment.ready_at - environment.created_at))
        changed = environment.last_data_change_at(now, self._options.data_change_delay)
        meta = EnvironmentMeta(
            status,
            False,
            self._time_format(environment.created_at),
            self._time_format(changed),
            environment.is_primary,
            environment.forked_from,
            done,
        )
        return EnvironmentResource(environment.id, "environment", meta)

    def model(self, model: Model) -> Resource:
        singleton = self._singleton(model) if model.is_singleton else None
        attributes = {
            "name": model.name,
            "api_key": model.api_key,
            "singleton": model.is_singleton,
            "modular_block": model.is_block,
            "draft_mode_active": model.draft_mode,
            "draft_saving_active": model.draft_saving,
            "sortable": model.sortable,
            "tree": model.tree,
            "all_locales_required": model.all_locales_required,
            "collection_appearance": model.collection_appearance,
            "ordering_direction": model.ordering_direction,
            "ordering_meta": model.ordering_meta,
            "has_singleton_item": singleton is not None,
            "hint": model.hint,
            "inverse_relationships_enabled": model.inverse_relationships_enabled,
        }
        none: dict[str, Any] = {"data": None}
        relationships = {
            "fields": {"data": [{"id": field.id, "type": "field"} for field in model.ordered_fields]},
            "fieldsets": {"data": [{"id": one.id, "type": "fieldset"} for one in model.ordered_fieldsets]},
            "singleton_item": reference("item", singleton.id) if singleton else none,
            "workflow": reference("workflow", model.workflow_id) if model.workflow_id else none,
            **{
                name: reference("field", model.chosen_fields[name]) if name in model.chosen_fields else none
                for name in MODEL_FIELDS
            },
        }
        return Resource(model.id, "item_type", attributes, relationships, {"has_singleton_item": singleton is not None})

    def field(self, field: Field) -> Resource:
        attributes = {
            "label": field.label,
            "field_type": field.field_type,
            "api_key": field.api_key,
            "hint": field.hint,
            "localized": field.localized,
            "validators": field.validators,
            "position": field.position,
            "appearance": field.appearance or {"editor": field.field_type, "parameters": {}, "addons": []},
            "default_value": self._default_value(field),
            "deep_filtering_enabled": field.deep_filtering_enabled,
            "content_link_enabled": field.content_link_enabled,
        }
        fieldset = reference("fieldset", field.fieldset_id) if field.fieldset_id else {"data": None}
        relationships = {"item_type": reference("item_type", field.model_id), "fieldset": fieldset}
        return Resource(field.id, "field", attributes, relationships)

    def upload(self, upload: Upload) -> Resource:
        file = upload.file
        attributes: dict[str, Any] = {
            "size": file.size,
            "width": file.width,
            "height": file.height,
            "path": upload.path,
            "basename": upload.basename,
            "filename": file.filename,
            "url": f"https://www.datocms-assets.com{upload.path}",
            "format": file.format,
            "mime_type": file.mime_type,
            "author": upload.author,
            "copyright": upload.copyright,
            "notes": upload.notes,
            "md5": file.md5,
            **dict.fromkeys(_NOT_MEASURED),
            "default_field_metadata": {**_NO_METADATA, **upload.metadata},
            "is_image": upload.is_image,
            "created_at": self.time(upload.created_at),
            "updated_at": self.time(upload.updated_at),
            "tags": list(upload.tags),
            "smart_tags": [],
            "exif_info": {},
            "colors": [],
        }
        relationships = {"upload_collection": {"data": None}, "creator": {"data": upload.creator}}
        antivirus = {"antivirus": {"status": "skipped", "checked_at": None, "threat_name": None}}
        return Resource(upload.id, "upload", attributes, relationships, antivirus)

    def maintenance_mode(self, *, active: bool) -> Resource:
        return Resource("maintenance_mode", "maintenance_mode", {"active": active})

    def fieldset(self, fieldset: Fieldset) -> Resource:
        attributes = {
            "title": fieldset.title,
            "hint": fieldset.hint,
            "collapsible": fieldset.collapsible,
            "start_collapsed": fieldset.start_collapsed,
            "position": fieldset.position,
        }
        return Resource(fieldset.id, "fieldset", attributes, {"item_type": reference("item_type", fieldset.model_id)})

    def scheduled(self, plan: Scheduled) -> Resource:
        """Return the resource of a planned publication or unpublishing.

        Its time is the text that was sent: the vendor's tests have `…Z` here, although records show `…+00:00`.
        """
        selection = plan.selection
        at = plan.as_sent or self.time(plan.at)
        relationships = {"item": reference("item", plan.record_id)}
        if plan.publishes:
            chosen: dict[str, Any] | None = None
            if selection is not None:
                chosen = {
                    "content_in_locales": sorted(selection.locales),
                    "non_localized_content": selection.non_localized,
                }
            attributes: dict[str, Any] = {
                "publication_scheduled_at": at,
                "selective_publication": chosen,
            }
            return Resource(plan.record_id, "scheduled_publication", attributes, relationships)
        attributes = {
            "unpublishing_scheduled_at": at,
            "content_in_locales": sorted(selection.locales) if selection else None,
        }
        return Resource(plan.record_id, "scheduled_unpublishing", attributes, relationships)

    def _attributes(self, version: Version, repeated: tuple[datetime, datetime] | None) -> msgspec.Raw:
        """Return the content for an answer; *repeated*: the times of creation and update to add to it."""
        text, model = version.read(), version.record.model
        if self._flat and (keys := model.block_keys):
            text = contents.flatten(text, keys)
        if self._date_times is None:
            self._date_times = DateTimes(self._environment.models)
        text = self._date_times.printed(text, model, self._time_format, blocks=not self._flat)
        if repeated is not None:
            created_at, updated_at = map(self._time_format, repeated)
            times = {"updated_at": contents.raw(updated_at), "created_at": contents.raw(created_at)}
            text = contents.join({**contents.split(text), **times})
        return msgspec.Raw(text)

    def _singleton(self, model: Model) -> Record | None:
        return next((record for record in self._environment.records.values() if record.model.id == model.id), None)

    def _default_value(self, field: Field) -> Any:
        if not field.localized or isinstance(field.default_value, dict):
            return field.default_value
        return dict.fromkeys(self._environment.locales, field.default_value)

    def _has_children(self, record: Record) -> bool | None:
        if not record.model.tree:
            return None
        pointer = f'"parent_id":"{record.id}"'.encode()
        return any(
            pointer in other.head.read() for other in self._environment.records.values() if other.model is record.model
        )


_NOT_MEASURED: Final = ("duration", "frame_rate", "blurhash", "thumbhash", "mux_playback_id", "mux_mp4_highest_res")
"""What upstream's services measure in an upload."""
_NO_METADATA: Final[dict[str, Any]] = {
    "alt": {},
    "title": {},
    "custom_data": {},
    "focal_point": None,
    "poster_time": None,
}


def person_resource(people: People, editor: Editor, now: datetime, *, with_secret: bool = False) -> Resource:
    """Return the resource of any kind of editor, with the secret of a token if *with_secret*."""
    first, _, last = editor.name.partition(" ")
    roles = {"role": {"data": None} if editor.role_id is None else reference("role", editor.role_id)}
    match editor.kind:
        case EditorKind.ACCOUNT:
            attributes: dict[str, Any] = {
                "email": editor.email,
                "first_name": first,
                "last_name": last,
                "company": None,
            }
            return Resource(editor.id, "account", attributes)
        case EditorKind.ORGANIZATION:
            return Resource(editor.id, "organization", {"name": editor.name})
        case EditorKind.USER:
            attributes = {
                "email": editor.email,
                "full_name": editor.name,
                "is_active": editor.is_active,
                "is_2fa_active": False,
            }
            return Resource(editor.id, "user", attributes, roles, {"last_access": None})
        case EditorKind.SSO_USER:
            attributes = {
                "username": editor.email,
                "external_id": None,
                "is_active": editor.is_active,
                "first_name": first,
                "last_name": last,
            }
            return Resource(editor.id, "sso_user", attributes, {"groups": {"data": []}, **roles}, {"last_access": None})
        case EditorKind.ACCESS_TOKEN:
            token = people.token_of(editor.id)
            attributes = {
                "name": editor.name,
                "token": token.secret if token and with_secret else None,
                "can_access_cda": token.can_access_cda if token else True,
                "can_access_cda_preview": token.can_access_cda_preview if token else True,
                "can_access_cma": token.can_access_cma if token else True,
                "hardcoded_type": token.hardcoded_type if token else None,
                "last_cma_access": last_access(people.last_used.get(editor.id), now),
                "last_cda_access": "never",
            }
            return Resource(editor.id, "access_token", attributes, roles)


def last_access(at: datetime | None, now: datetime) -> str:
    """Return upstream's word for when a token was last used: from `today` to `last_month`, or `never`."""
    if at is None:
        return "never"
    day, today = at.date(), now.date()
    monday, first = today - timedelta(days=today.weekday()), today.replace(day=1)
    limits = (
        ("today", today),
        ("yesterday", today - timedelta(days=1)),
        ("this_week", monday),
        ("last_week", monday - timedelta(days=7)),
        ("this_month", first),
        ("last_month", (first - timedelta(days=1)).replace(day=1)),
    )
    return next((word for word, start in limits if day >= start), "never")
