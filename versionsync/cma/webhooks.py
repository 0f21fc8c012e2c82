"""Encoding and decoding of webhooks and their calls, without passwords."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from versionsync.cma import resources as out
from versionsync.cma.decode import Link, maybe_time, time
from versionsync.cma.jsonapi import Entity, read
from versionsync.secret import Secret

__all__ = ["WebhookSpec", "webhook", "webhook_call"]


PAYLOAD_VERSION: Final = "3"


class WebhookSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a new or changed webhook. `events` maps an entity type to its event types.

    `headers` None: its headers stay unchanged; a new webhook has none.
    """

    name: str
    url: str
    events: dict[str, tuple[str, ...]]
    enabled: bool = True
    auto_retry: bool = True
    http_basic_user: str | None = None
    http_basic_password: Secret | None = None
    headers: dict[str, str] | None = None

    def body(self, id: str | None = None) -> bytes:
        """Return the JSON:API document that creates it, or with an id changes it."""
        data: dict[str, Any] = {
            "type": "webhook",
            "attributes": {
                "name": self.name,
                "url": self.url,
                "enabled": self.enabled,
                "auto_retry": self.auto_retry,
                "http_basic_user": self.http_basic_user,
                "http_basic_password": self.http_basic_password.reveal() if self.http_basic_password else None,
                "custom_payload": None,
                "payload_api_version": PAYLOAD_VERSION,
                "nested_items_in_payload": False,
                "events": [{"entity_type": entity, "event_types": types} for entity, types in self.events.items()],
            },
        }
        if id is not None:
            data["id"] = id
        if id is None or self.headers is not None:
            data["attributes"]["headers"] = self.headers or {}
        return msgspec.json.encode({"data": data})


class _Events(msgspec.Struct, frozen=True):
    entity_type: str
    event_types: tuple[str, ...] | None = None
    filters: tuple[Raw, ...] | None = None


class _Attributes(msgspec.Struct, frozen=True):
    name: str
    url: str
    enabled: bool | None = None
    auto_retry: bool | None = None
    http_basic_user: str | None = None
    http_basic_password: str | None = None
    headers: dict[str, Raw] | None = None
    custom_payload: str | None = None
    payload_api_version: str | None = None
    nested_items_in_payload: bool | None = None
    events: tuple[_Events, ...] | None = None


class _CallAttributes(msgspec.Struct, frozen=True):
    entity_type: str
    event_type: str
    created_at: str
    status: str
    request_payload: str | None = None
    response_status: int | None = None
    attempted_auto_retries_count: int | None = None
    last_sent_at: str | None = None
    next_retry_at: str | None = None


class _CallLinks(msgspec.Struct, frozen=True):
    webhook: Link | None = None


class _Call(msgspec.Struct, frozen=True):
    id: str
    attributes: _CallAttributes
    relationships: _CallLinks | None = None


_WEBHOOK: Final = msgspec.json.Decoder(Entity[_Attributes])
_CALL: Final = msgspec.json.Decoder(_Call)


def webhook(raw: Raw) -> out.Webhook:
    """Decode a webhook, without the values of its headers."""
    wire = read(_WEBHOOK, raw)
    attributes = wire.attributes
    return out.Webhook(
        id=wire.id,
        name=attributes.name,
        url=attributes.url,
        enabled=attributes.enabled is not False,
        auto_retry=bool(attributes.auto_retry),
        is_custom=attributes.custom_payload is not None
        or attributes.payload_api_version not in (None, PAYLOAD_VERSION)
        or bool(attributes.nested_items_in_payload),
        http_basic_user=attributes.http_basic_user,
        http_basic_password=None if attributes.http_basic_password is None else Secret(attributes.http_basic_password),
        header_names=tuple(attributes.headers or ()),
        events=tuple(
            out.WebhookEvents(
                entity_type=each.entity_type, event_types=each.event_types or (), is_filtered=bool(each.filters)
            )
            for each in attributes.events or ()
        ),
    )


def webhook_call(raw: Raw) -> out.WebhookCall:
    """Decode an entry of the log of calls, without the headers of the request."""
    wire = read(_CALL, raw)
    call = wire.attributes
    link = wire.relationships.webhook if wire.relationships else None
    return out.WebhookCall(
        id=wire.id,
        webhook_id=link.data.id if link and link.data else None,
        entity_type=call.entity_type,
        event_type=call.event_type,
        created_at=time(call.created_at, "$.attributes.created_at"),
        last_sent_at=maybe_time(call.last_sent_at, "$.attributes.last_sent_at"),
        next_retry_at=maybe_time(call.next_retry_at, "$.attributes.next_retry_at"),
        status=call.status,
        response_status=call.response_status,
        attempted_auto_retries_count=call.attempted_auto_retries_count or 0,
        request_payload=call.request_payload or "",
    )
