"""The resources of answers and webhook calls: records, versions, schema, uploads, environments, people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from versionsync.simulator.world import content as contents
from versionsync.simulator.world.environments import Environment, Scheduled
from versionsync.simulator.world.models import MODEL_FIELDS, Field, Fieldset, Model
from versionsync.simulator.world.options import SimulatorOptions
from versionsync.simulator.world.people_roles_tokens import Editor, EditorKind, People
from versionsync.simulator.world.records import Record, Version
from versionsync.simulator.world.times import DateTimes, TimeFormat
from versionsync.simulator.world.uploads import Upload

__all__ = [
    "FIELDSET_ATTRIBUTES",
    "FIELD_ATTRIBUTES",
    "MODEL_ATTRIBUTES",
    "TIMES_OF_ITEMS",
    "TOKEN_ACCESS",
    "Document",
    "Resource",
    "Serializer",
    "last_access",
    "members",
    "person_resource",
    "reference",
    "references",
]


class Resource(msgspec.Struct, omit_defaults=True):
    id: str
    type: str
    attributes: dict[str, Any] | msgspec.Raw | None = None
    relationships: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None


class Document(msgspec.Struct, omit_defaults=True):
    data: Any
    meta: dict[str, Any] | None = None
    included: Sequence[Any] | None = None


def reference(type: str, id: str | None) -> dict[str, Any]:
    """Return a relationship to one resource, or with the *id* None to none."""
    return {"data": None if id is None else {"id": id, "type": type}}


def references(type: str, ids: Iterable[str]) -> dict[str, Any]:
    """Return a relationship to several resources."""
    return {"data": [{"id": id, "type": type} for id in ids]}


def members(source: object, *names: str) -> dict[str, Any]:
    """Return the members of *source* that resources show under the same names."""
    return {name: getattr(source, name) for name in names}


MODEL_ATTRIBUTES: Final[Mapping[str, tuple[str, object]]] = {
    "name": ("name", str),
    "api_key": ("api_key", str),
    "singleton": ("is_singleton", bool),
    "modular_block": ("is_block", bool),
    "draft_mode_active": ("draft_mode", bool),
    "draft_saving_active": ("draft_saving", bool),
    "sortable": ("sortable", bool),
    "tree": ("tree", bool),
    "all_locales_required": ("all_locales_required", bool),
    "collection_appearance": ("collection_appearance", Literal["compact", "table"]),
    "ordering_direction": ("ordering_direction", Literal["asc", "desc"] | None),
    "ordering_meta": (
        "ordering_meta",
        Literal["created_at", "updated_at", "first_published_at", "published_at"] | None,
    ),
    "inverse_relationships_enabled": ("inverse_relationships_enabled", bool),
    "hint": ("hint", str | None),
}
"""The API's names of a model's settings; the names in `Model`, and the types in requests."""
FIELD_ATTRIBUTES: Final[Mapping[str, object]] = {
    "label": str,
    "field_type": str,
    "api_key": str,
    "localized": bool,
    "validators": dict[str, Any],
    "appearance": dict[str, Any] | None,
    "position": int,
    "hint": str | None,
    "default_value": Any,
    "deep_filtering_enabled": bool,
    "content_link_enabled": bool,
}
"""The settings of a field, and their types in requests; those of a fieldset likewise."""
FIELDSET_ATTRIBUTES: Final[Mapping[str, object]] = {
    "title": str,
    "hint": str | None,
    "position": int,
    "collapsible": bool,
    "start_collapsed": bool,
}
TOKEN_ACCESS: Final[Mapping[str, object]] = dict.fromkeys(
    ("can_access_cda", "can_access_cda_preview", "can_access_cma"), bool
)
"""What an API token opens, and the types in requests."""


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

    def version(self, version: Version) -> Resource:
        record, options = version.record, self._options
        start, end = version.live[-1] if version.live else (None, None)
        if start is not None and start < options.tracks_intervals_since:
            start = end = None
        attributes = self._attributes(version, (version.created_at,) * 2 if options.versions_repeat_times else None)
        relationships = {
            "item_type": reference("item_type", record.model.id),
            "item": reference("item", record.id),
            "editor": {"data": version.editor.ref},
        }
        meta = {
            "created_at": self._time_format(version.created_at),
            **members(version, "is_valid", "is_published", "is_current"),
            "published_from": self.time(start),
            "published_until": self.time(end),
        }
        return Resource(version.id, "item_version", attributes, relationships, meta)

    def item(self, record: Record, *, published: bool = False) -> Resource:
        """Return the resource of *record*, or of a block, with its current or its *published* content."""
        head, live = record.head, record.published
        shown = live if published and live is not None else head
        repeated = (record.created_at, record.updated_at) if self._options.items_repeat_times else None
        relationships = {"item_type": reference("item_type", record.model.id)}
        if not record.model.is_block:
            relationships["creator"] = {"data": record.creator.ref}
        has_status = record.model.draft_mode or self._options.status_without_drafts == "published"
        meta = {
            **{name: self.time(getattr(record, name)) for name in TIMES_OF_ITEMS},
            "status": record.status if has_status else None,
            "is_valid": shown.is_valid,
            "is_current_version_valid": head.is_valid,
            "is_published_version_valid": None if live is None else live.is_valid,
            "current_version": head.id,
            "stage": record.stage,
            "has_children": self._has_children(record),
        }
        return Resource(record.id, "item", self._attributes(shown, repeated), relationships, meta)

    def environment(self, environment: Environment) -> Resource:
        now, created_at, ready_at = self._now, environment.created_at, environment.ready_at
        meta = {
            "status": environment.status(now),
            "read_only_mode": environment.is_read_only,
            "created_at": self._time_format(created_at),
            "last_data_change_at": self._time_format(
                environment.last_data_change_at(now, self._options.data_change_delay)
            ),
            "primary": environment.is_primary,
            "forked_from": environment.forked_from,
        }
        if meta["status"] == "creating" and ready_at is not None:
            meta["fork_completion_percentage"] = int(100 * (now - created_at) / (ready_at - created_at))
        return Resource(environment.id, "environment", meta=meta)

    def model(self, model: Model) -> Resource:
        singleton = self._singleton(model) if model.is_singleton else None
        has_singleton = {"has_singleton_item": singleton is not None}
        attributes = {name: getattr(model, member) for name, (member, _) in MODEL_ATTRIBUTES.items()} | has_singleton
        relationships = {
            "fields": references("field", (field.id for field in model.ordered_fields)),
            "fieldsets": references("fieldset", (fieldset.id for fieldset in model.ordered_fieldsets)),
            "singleton_item": reference("item", singleton.id if singleton else None),
            "workflow": reference("workflow", model.workflow_id),
            **{name: reference("field", model.chosen_fields.get(name)) for name in MODEL_FIELDS},
        }
        return Resource(model.id, "item_type", attributes, relationships, has_singleton)

    def field(self, field: Field) -> Resource:
        attributes = {
            **members(field, *FIELD_ATTRIBUTES),
            "appearance": field.appearance or {"editor": field.field_type, "parameters": {}, "addons": []},
            "default_value": self._default_value(field),
        }
        relationships = {
            "item_type": reference("item_type", field.model_id),
            "fieldset": reference("fieldset", field.fieldset_id),
        }
        return Resource(field.id, "field", attributes, relationships)

    def fieldset(self, fieldset: Fieldset) -> Resource:
        relationships = {"item_type": reference("item_type", fieldset.model_id)}
        return Resource(fieldset.id, "fieldset", members(fieldset, *FIELDSET_ATTRIBUTES), relationships)

    def upload(self, upload: Upload) -> Resource:
        attributes: dict[str, Any] = {
            **members(upload, "path", "basename", "author", "copyright", "notes", "is_image"),
            **members(upload.file, "filename", "size", "width", "height", "format", "mime_type", "md5"),
            **dict.fromkeys(_NOT_MEASURED),
            "url": f"https://www.datocms-assets.com{upload.path}",
            "default_field_metadata": {**_NO_METADATA, **upload.metadata},
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

    def scheduled(self, plan: Scheduled) -> Resource:
        """Return the resource of a planned publication or unpublishing.

        Its time is the text that was sent: the vendor's tests have `…Z` here, although records show `…+00:00`.
        """
        at, selection = plan.as_sent or self.time(plan.at), plan.selection
        locales = sorted(selection.locales) if selection else None
        relationships = {"item": reference("item", plan.record_id)}
        if not plan.publishes:
            unpublished = {"unpublishing_scheduled_at": at, "content_in_locales": locales}
            return Resource(plan.record_id, "scheduled_unpublishing", unpublished, relationships)
        chosen = (
            {"content_in_locales": locales, "non_localized_content": selection.non_localized} if selection else None
        )
        attributes: dict[str, Any] = {"publication_scheduled_at": at, "selective_publication": chosen}
        return Resource(plan.record_id, "scheduled_publication", attributes, relationships)

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
        quoted = f'"{record.id}"'.encode()
        return any(
            quoted in (text := other.head.read())
            and bytes(contents.split(text).get("parent_id", b"")).strip() == quoted
            for other in self._environment.records.values()
            if other.model is record.model
        )


TIMES_OF_ITEMS: Final = (
    *("created_at", "updated_at", "published_at", "first_published_at"),
    *("publication_scheduled_at", "unpublishing_scheduled_at"),
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
    names = {"first_name": first, "last_name": last}
    role = {"role": reference("role", editor.role_id)}
    attributes: dict[str, Any]
    match editor.kind:
        case EditorKind.ACCOUNT:
            attributes = {"email": editor.email, **names, "company": None}
            return Resource(editor.id, "account", attributes)
        case EditorKind.ORGANIZATION:
            return Resource(editor.id, "organization", {"name": editor.name})
        case EditorKind.USER:
            attributes = {"full_name": editor.name, **members(editor, "email", "is_active"), "is_2fa_active": False}
            return Resource(editor.id, "user", attributes, role, {"last_access": None})
        case EditorKind.SSO_USER:
            attributes = {"username": editor.email, "external_id": None, "is_active": editor.is_active, **names}
            return Resource(editor.id, "sso_user", attributes, {"groups": {"data": []}, **role}, {"last_access": None})
        case EditorKind.ACCESS_TOKEN:
            token = people.token_of(editor.id)
            attributes = {
                "name": editor.name,
                "token": token.secret if token and with_secret else None,
                **(members(token, *TOKEN_ACCESS) if token else dict.fromkeys(TOKEN_ACCESS, True)),
                "hardcoded_type": token.hardcoded_type if token else None,
                "last_cma_access": last_access(people.last_used.get(editor.id), now),
                "last_cda_access": "never",
            }
            return Resource(editor.id, "access_token", attributes, role)


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
