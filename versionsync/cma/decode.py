"""Decoders: one for each resource, from the bytes of an entry to its value in `resources`.

The structs define which members are required; everything that the vendor marks as optional, deprecated or recent may be
missing or `null`. Times are checked here: the error has the path of the first invalid one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec
from msgspec import Raw

from versionsync.cma import resources as out
from versionsync.cma.jsonapi import TYPED, Entity, InvalidJson, ShapeError, id_of, read, without
from versionsync.cma.times import parse_time

__all__ = [
    "editor",
    "environment",
    "field",
    "item",
    "item_type",
    "item_version",
    "job_id",
    "job_result",
    "maintenance",
    "owners",
    "plan_limit",
    "schema",
    "site",
    "upload",
]

_OWNERS: Final = frozenset({"account", "organization"})


class _Attributes(msgspec.Struct, frozen=True):
    email: str | None = None
    username: str | None = None
    full_name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    name: str | None = None


class _Editor(msgspec.Struct, frozen=True):
    id: str
    type: str
    attributes: _Attributes | None = None


class Link(msgspec.Struct, frozen=True):
    """A relationship to one entity, or to none."""

    data: out.Ref | None = None


class _RequiredLink(msgspec.Struct, frozen=True):
    data: out.Ref


class _SiteLinks(msgspec.Struct, frozen=True):
    owner: Link | None = None
    account: Link | None = None


class _OwnedSite(msgspec.Struct, frozen=True):
    relationships: _SiteLinks | None = None


_EDITOR: Final = msgspec.json.Decoder(_Editor)
_OWNED_SITE: Final = msgspec.json.Decoder(_OwnedSite)


def editor(raw: Raw) -> out.Editor:
    """Decode a collaborator, single sign-on user, token, account or organization, without a token's secret."""
    wire = read(_EDITOR, raw)
    person = wire.attributes or _Attributes()
    names = " ".join(name for name in (person.first_name, person.last_name) if name)
    return out.Editor(
        type=wire.type,
        id=identifier(wire.id),
        name=person.full_name or person.name or names or None,
        # The user name of a single sign-on user is an email address, as the vendor documents it.
        email=person.email or person.username,
        raw=without(raw, "token"),
    )


def owners(raw: Raw, included: list[Raw]) -> tuple[out.Editor, ...]:
    """Decode the account and the organization that own the project: often the answer has only their ids."""
    links = read(_OWNED_SITE, raw).relationships or _SiteLinks()
    refs = [link.data for link in (links.owner, links.account) if link and link.data]
    found = {
        (ref.type, ref.id): out.Editor(type=ref.type, id=ref.id, name=None, email=None, raw=msgspec.json.encode(ref))
        for ref in refs
    }
    for each in included:
        try:
            candidate = editor(each)
        except ShapeError:
            continue
        if candidate.type in _OWNERS:
            found[candidate.type, candidate.id] = candidate
    return tuple(found.values())


class _ItemMeta(msgspec.Struct, frozen=True):
    created_at: str
    updated_at: str
    published_at: str | None = None
    first_published_at: str | None = None
    publication_scheduled_at: str | None = None
    unpublishing_scheduled_at: str | None = None
    status: str | None = None
    stage: str | None = None
    is_valid: bool | None = None
    current_version: str | None = None


class _ItemLinks(msgspec.Struct, frozen=True):
    item_type: _RequiredLink
    creator: Link | None = None


class _Item(msgspec.Struct, frozen=True):
    id: str
    relationships: _ItemLinks
    meta: Raw
    attributes: Raw = Raw(b"{}")


class _VersionMeta(msgspec.Struct, frozen=True):
    created_at: str
    is_current: bool
    is_published: bool
    published_from: str | None = None
    published_until: str | None = None
    is_valid: bool | None = None


class _VersionLinks(msgspec.Struct, frozen=True):
    item_type: _RequiredLink
    editor: Link | None = None


class _Version(msgspec.Struct, frozen=True):
    id: str
    relationships: _VersionLinks
    meta: _VersionMeta
    attributes: Raw


class _SiteAttributes(msgspec.Struct, frozen=True):
    name: str
    locales: tuple[str, ...] | None = None
    timezone: str | None = None
    last_data_change_at: str | None = None


class _SiteMeta(msgspec.Struct, frozen=True):
    created_at: str | None = None
    milliseconds_in_datetime: bool | None = None


class _Site(msgspec.Struct, frozen=True):
    id: str
    attributes: _SiteAttributes
    meta: _SiteMeta | None = None


class _EnvironmentMeta(msgspec.Struct, frozen=True):
    status: str | None = None
    primary: bool | None = None
    last_data_change_at: str | None = None
    created_at: str | None = None
    forked_from: str | None = None
    read_only_mode: bool | None = None


class _Environment(msgspec.Struct, frozen=True):
    id: str
    meta: _EnvironmentMeta


class _ItemTypeAttributes(msgspec.Struct, frozen=True):
    name: str
    api_key: str
    modular_block: bool | None = None
    singleton: bool | None = None
    draft_mode_active: bool | None = None


class _FieldAttributes(msgspec.Struct, frozen=True):
    api_key: str
    field_type: str
    label: str | None = None
    localized: bool | None = None
    position: int | None = None


class _FieldLinks(msgspec.Struct, frozen=True):
    item_type: _RequiredLink


class _Field(msgspec.Struct, frozen=True):
    id: str
    attributes: _FieldAttributes
    relationships: _FieldLinks


class _JobResultAttributes(msgspec.Struct, frozen=True):
    status: int
    payload: Raw = Raw(b"null")


class _MaintenanceAttributes(msgspec.Struct, frozen=True):
    active: bool


class _Maintenance(msgspec.Struct, frozen=True):
    attributes: _MaintenanceAttributes


class _PlanLimitAttributes(msgspec.Struct, frozen=True):
    code: str
    limit: float | None = None


class _UploadAttributes(msgspec.Struct, frozen=True):
    filename: str | None = None
    basename: str | None = None
    url: str | None = None
    path: str | None = None
    size: float | None = None
    width: float | None = None
    height: float | None = None
    mime_type: str | None = None
    format: str | None = None
    md5: str | None = None
    default_field_metadata: Raw = Raw(b"null")
    tags: tuple[str, ...] | None = None
    created_at: str | None = None
    updated_at: str | None = None


_MAX_ID_LENGTH: Final = 255
_MAX_PIXELS: Final = 2**31 - 1
_MAX_BYTES: Final = 2**53
_MAX_POSITION: Final = 2**31 - 1

_ITEM: Final = msgspec.json.Decoder(_Item)
_ITEM_META: Final = msgspec.json.Decoder(_ItemMeta)
_VERSION: Final = msgspec.json.Decoder(_Version)
_SITE: Final = msgspec.json.Decoder(_Site)
_ENVIRONMENT: Final = msgspec.json.Decoder(_Environment)
_ITEM_TYPE: Final = msgspec.json.Decoder(Entity[_ItemTypeAttributes])
_FIELD: Final = msgspec.json.Decoder(_Field)
_REF: Final = msgspec.json.Decoder(out.Ref)
_JOB_RESULT: Final = msgspec.json.Decoder(Entity[_JobResultAttributes])
_MAINTENANCE: Final = msgspec.json.Decoder(_Maintenance)
_UPLOAD: Final = msgspec.json.Decoder(Entity[_UploadAttributes])
_PLAN_LIMIT: Final = msgspec.json.Decoder(Entity[_PlanLimitAttributes])


def identifier(text: str) -> str:
    """Return the id of an entity. It is used in paths of requests and keys of tables, so not any text is valid."""
    if not text.isprintable() or not 0 < len(text) <= _MAX_ID_LENGTH or text in (".", ".."):
        raise ShapeError("expected an id", "$.id")
    return text


def time(text: str, where: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError:
        raise ShapeError("expected a date-time", where) from None


def maybe_time(text: str | None, where: str) -> datetime | None:
    """Return a time that may be missing."""
    return None if text is None else time(text, where)


def item(raw: Raw) -> out.Item:
    wire = read(_ITEM, raw)
    try:
        meta = read(_ITEM_META, wire.meta)
    except ShapeError as error:
        raise error.under("$.meta") from None
    links = wire.relationships
    return out.Item(
        id=identifier(wire.id),
        item_type_id=links.item_type.data.id,
        creator=links.creator.data if links.creator else None,
        status=meta.status,
        stage=meta.stage,
        is_valid=meta.is_valid,
        current_version=meta.current_version,
        created_at=time(meta.created_at, "$.meta.created_at"),
        updated_at=time(meta.updated_at, "$.meta.updated_at"),
        published_at=maybe_time(meta.published_at, "$.meta.published_at"),
        first_published_at=maybe_time(meta.first_published_at, "$.meta.first_published_at"),
        publication_scheduled_at=maybe_time(meta.publication_scheduled_at, "$.meta.publication_scheduled_at"),
        unpublishing_scheduled_at=maybe_time(meta.unpublishing_scheduled_at, "$.meta.unpublishing_scheduled_at"),
        meta_raw=bytes(wire.meta),
        attributes_raw=bytes(wire.attributes),
    )


def item_version(raw: Raw) -> out.ItemVersion:
    wire = read(_VERSION, raw)
    meta, links = wire.meta, wire.relationships
    return out.ItemVersion(
        id=identifier(wire.id),
        item_type_id=links.item_type.data.id,
        editor=links.editor.data if links.editor else None,
        created_at=time(meta.created_at, "$.meta.created_at"),
        is_current=meta.is_current,
        is_published=meta.is_published,
        published_from=maybe_time(meta.published_from, "$.meta.published_from"),
        published_until=maybe_time(meta.published_until, "$.meta.published_until"),
        is_valid=meta.is_valid,
        attributes_raw=bytes(wire.attributes),
    )


def site(raw: Raw) -> out.Site:
    wire = read(_SITE, raw)
    meta = wire.meta or _SiteMeta()
    return out.Site(
        id=wire.id,
        name=wire.attributes.name,
        locales=wire.attributes.locales or (),
        time_zone=wire.attributes.timezone,
        last_data_change_at=maybe_time(wire.attributes.last_data_change_at, "$.attributes.last_data_change_at"),
        milliseconds_in_datetime=bool(meta.milliseconds_in_datetime),
        created_at=maybe_time(meta.created_at, "$.meta.created_at"),
        raw=without(raw, "google_maps_api_token"),
    )


def environment(raw: Raw) -> out.Environment:
    wire = read(_ENVIRONMENT, raw)
    return out.Environment(
        id=wire.id,
        status=wire.meta.status or "ready",
        primary=bool(wire.meta.primary),
        last_data_change_at=maybe_time(wire.meta.last_data_change_at, "$.meta.last_data_change_at"),
        created_at=maybe_time(wire.meta.created_at, "$.meta.created_at"),
        forked_from=wire.meta.forked_from,
        read_only_mode=bool(wire.meta.read_only_mode),
    )


def item_type(raw: Raw) -> out.ItemType:
    wire = read(_ITEM_TYPE, raw)
    return out.ItemType(
        id=identifier(wire.id),
        name=wire.attributes.name,
        api_key=wire.attributes.api_key,
        modular_block=bool(wire.attributes.modular_block),
        singleton=bool(wire.attributes.singleton),
        draft_mode_active=bool(wire.attributes.draft_mode_active),
        raw=bytes(raw),
    )


def field(raw: Raw) -> out.Field:
    wire = read(_FIELD, raw)
    return out.Field(
        id=identifier(wire.id),
        item_type_id=wire.relationships.item_type.data.id,
        api_key=wire.attributes.api_key,
        label=wire.attributes.label or "",
        field_type=wire.attributes.field_type,
        localized=bool(wire.attributes.localized),
        position=max(-_MAX_POSITION, min(wire.attributes.position or 0, _MAX_POSITION)),  # a column holds no more
        raw=bytes(raw),
    )


def schema(raw: Raw, included: list[Raw]) -> out.Schema:
    """Decode the project with the included models and fields. An invalid one does not affect the others."""
    item_types: list[out.ItemType] = []
    fields: list[out.Field] = []
    unreadable: list[out.Unreadable] = []
    for index, each in enumerate(included):
        try:
            match read(TYPED, each).type:
                case "item_type":
                    item_types.append(item_type(each))
                case "field":
                    fields.append(field(each))
        except ShapeError as error:
            error = error.under(f"$.included[{index}]")
            unreadable.append(out.Unreadable(id_of(each), f"{error.where}: {error.expected}"))
        except InvalidJson:
            unreadable.append(out.Unreadable(id_of(each), f"$.included[{index}]: expected JSON"))
    return out.Schema(site=site(raw), item_types=tuple(item_types), fields=tuple(fields), unreadable=tuple(unreadable))


def upload(raw: Raw) -> out.Upload:
    wire = read(_UPLOAD, raw)
    file = wire.attributes
    metadata = bytes(file.default_field_metadata)
    return out.Upload(
        id=identifier(wire.id),
        filename=file.filename,
        basename=file.basename,
        url=file.url,
        path=file.path,
        size=_whole(file.size, _MAX_BYTES),
        width=_whole(file.width, _MAX_PIXELS),
        height=_whole(file.height, _MAX_PIXELS),
        mime_type=file.mime_type,
        format=file.format,
        md5=file.md5,
        default_field_metadata=None if metadata == b"null" else metadata.decode(),
        tags=file.tags or (),
        created_at=maybe_time(file.created_at, "$.attributes.created_at"),
        updated_at=maybe_time(file.updated_at, "$.attributes.updated_at"),
    )


def _whole(number: float | None, most: int) -> int | None:
    """Return a number as a column holds it; None: there is none, or it is out of range."""
    return int(number) if number is not None and 0 <= number <= most else None


def job_id(raw: Raw, _: list[Raw]) -> str:
    return read(_REF, raw).id


def job_result(raw: Raw, _: list[Raw]) -> out.JobResult:
    wire = read(_JOB_RESULT, raw)
    return out.JobResult(id=wire.id, status=wire.attributes.status, payload_raw=bytes(wire.attributes.payload))


def maintenance(raw: Raw, _: list[Raw]) -> bool:
    return read(_MAINTENANCE, raw).attributes.active


def plan_limit(raw: Raw) -> out.PlanLimit:
    wire = read(_PLAN_LIMIT, raw)
    return out.PlanLimit(id=wire.id, code=wire.attributes.code, limit=wire.attributes.limit)
