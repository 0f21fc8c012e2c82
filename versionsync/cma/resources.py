"""The resources of the API as frozen values, with the API's names. Content stays the bytes that were sent."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from versionsync.cma.errors import ProtocolError
from versionsync.secret import Secret

__all__ = [
    "Editor",
    "Environment",
    "Field",
    "HistoryRetention",
    "InvalidResource",
    "Item",
    "ItemType",
    "ItemVersion",
    "JobResult",
    "Page",
    "PlanLimit",
    "Ref",
    "Schema",
    "Site",
    "Unreadable",
    "Upload",
    "Webhook",
    "WebhookCall",
    "WebhookEvents",
]

T = TypeVar("T")


class Ref(msgspec.Struct, frozen=True):
    """The type and id of a related entity."""

    type: str
    id: str


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A project, seen from one of its environments. `raw` is the complete entity without its API keys."""

    id: str
    name: str
    locales: tuple[str, ...]
    time_zone: str | None
    last_data_change_at: datetime | None
    milliseconds_in_datetime: bool
    created_at: datetime | None
    raw: bytes


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """An environment. `status` is `creating`, `ready` or `destroying`; `last_data_change_at` is the beacon."""

    id: str
    status: str
    primary: bool
    last_data_change_at: datetime | None
    created_at: datetime | None
    forked_from: str | None
    read_only_mode: bool


class ItemType(msgspec.Struct, frozen=True, kw_only=True):
    """A model or block model. `raw` is the complete entity as it was sent."""

    id: str
    name: str
    api_key: str
    modular_block: bool
    singleton: bool
    draft_mode_active: bool
    raw: bytes


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a model. `raw` is the complete entity as it was sent."""

    id: str
    item_type_id: str
    api_key: str
    label: str
    field_type: str
    localized: bool
    position: int
    raw: bytes


class Unreadable(msgspec.Struct, frozen=True):
    """A model or field that could not be decoded, and why. `id` is None if that is invalid too."""

    id: str | None
    reason: str


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """The project, its models and its fields from one answer; those that could not be decoded are listed."""

    site: Site
    item_types: tuple[ItemType, ...]
    fields: tuple[Field, ...]
    unreadable: tuple[Unreadable, ...] = ()


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A record. `meta_raw` and `attributes_raw` are the exact bytes of the two members."""

    id: str
    item_type_id: str
    creator: Ref | None
    status: str | None
    stage: str | None
    is_valid: bool | None
    current_version: str | None
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None
    first_published_at: datetime | None
    publication_scheduled_at: datetime | None
    unpublishing_scheduled_at: datetime | None
    meta_raw: bytes
    attributes_raw: bytes


class ItemVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a record, with complete blocks. `attributes_raw` is the exact text of its content.

    `editor` saved it. No member shows who published it.
    """

    id: str
    item_type_id: str
    editor: Ref | None
    created_at: datetime
    is_current: bool
    is_published: bool
    published_from: datetime | None
    published_until: datetime | None
    is_valid: bool | None
    attributes_raw: bytes


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A file in the media area. `default_field_metadata` is JSON text. What upstream does not send is None."""

    id: str
    filename: str | None
    basename: str | None
    url: str | None
    path: str | None
    size: int | None
    width: int | None
    height: int | None
    mime_type: str | None
    format: str | None
    md5: str | None
    default_field_metadata: str | None
    tags: tuple[str, ...]
    created_at: datetime | None
    updated_at: datetime | None


class Editor(msgspec.Struct, frozen=True, kw_only=True):
    """An editor, who saves versions; another one may publish them.

    `type` is account, user, sso_user, access_token or organization.
    `raw` is the complete entity; that of an access token never has its secret.
    """

    type: str
    id: str
    name: str | None
    email: str | None
    raw: bytes


class JobResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an asynchronous job: the status and payload of the direct answer to the request."""

    id: str
    status: int
    payload_raw: bytes


class WebhookEvents(msgspec.Struct, frozen=True, kw_only=True):
    """The events of one kind of entity that a webhook is called for; `is_filtered`: not all of them."""

    entity_type: str
    event_types: tuple[str, ...]
    is_filtered: bool = False


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook of the project, without the values of its headers; its password is never printed.

    `is_custom`: its payload is not the default one of the current API version, with blocks as ids.
    """

    id: str
    name: str
    url: str
    enabled: bool
    auto_retry: bool
    is_custom: bool
    http_basic_user: str | None
    http_basic_password: Secret | None
    header_names: tuple[str, ...]
    events: tuple[WebhookEvents, ...]


class WebhookCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a webhook, from upstream's log, without the headers of the request: they have a password."""

    id: str
    webhook_id: str | None
    entity_type: str
    event_type: str
    created_at: datetime
    last_sent_at: datetime | None
    next_retry_at: datetime | None
    status: str
    response_status: int | None
    attempted_auto_retries_count: int
    request_payload: str


class HistoryRetention(msgspec.Struct, frozen=True, kw_only=True):
    """For how many days upstream keeps versions in the project's plan. `days` None: permanently."""

    days: int | None


class PlanLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit of the project's plan. `limit` None: no limit."""

    id: str
    code: str
    limit: float | None


class InvalidResource(msgspec.Struct, frozen=True):
    """An entry of a page that could not be decoded. `id` is None if that is invalid too."""

    id: str | None
    error: ProtocolError


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list.

    `total` is the length of the complete list in this answer. `ids` are those of all entries in upstream's order, also
    of `bad` ones. `at` is upstream's time of the answer (whole seconds).
    """

    items: tuple[T, ...]
    total: int
    ids: tuple[str | None, ...]
    bad: tuple[InvalidResource, ...] = ()
    at: datetime | None = None
