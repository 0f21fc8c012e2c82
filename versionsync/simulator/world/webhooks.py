"""Webhooks, and the log of their calls: plain state. `http/webhook_sender.py` sends them."""

from __future__ import annotations

import base64
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.records import Record
from versionsync.simulator.world.serialization import Resource, Serializer, person_resource
from versionsync.simulator.world.state import Notification, NotificationType, WorldState
from versionsync.simulator.world.uploads import Upload

__all__ = ["CallStatus", "Event", "Webhook", "WebhookCall", "Webhooks"]

CALLS_KEPT: Final = 10_000
_RETRIES: Final = '"attempted_auto_retries_count":'
_ENTITY_TYPES: Final = {
    Record: "item",
    Model: "item_type",
    Upload: "upload",
    Environment: "environment",
    type(None): "maintenance_mode",
}
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class CallStatus(StrEnum):
    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"
    RESCHEDULED = "rescheduled"


class Event(msgspec.Struct, frozen=True):
    """What a webhook is called for; filters are kept and shown, but not applied."""

    entity_type: str
    event_types: tuple[str, ...]
    filters: tuple[dict[str, Any], ...] | None = None


@dataclass(slots=True)
class Webhook:
    """A webhook of the project, for all environments."""

    id: str
    name: str
    url: str
    events: tuple[Event, ...]
    enabled: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    http_basic_user: str | None = None
    http_basic_password: str | None = None
    custom_payload: str | None = None
    payload_api_version: str = "3"
    nested_items_in_payload: bool = False
    auto_retry: bool = True

    def is_subscribed(self, entity_type: str, event_type: str) -> bool:
        """Return whether it is called for this event."""
        return self.enabled and any(
            event.entity_type == entity_type and event_type in event.event_types for event in self.events
        )


@dataclass(slots=True)
class WebhookCall:
    """A call of a webhook, sent or pending."""

    id: str
    webhook: Webhook
    entity_type: str
    event_type: str
    created_at: datetime
    payload: str
    status: CallStatus = CallStatus.PENDING
    retries: int = 0
    last_sent_at: datetime | None = None
    next_retry_at: datetime | None = None
    response_status: int | None = None
    response_headers: dict[str, str] | None = None
    response_payload: str | None = None

    @property
    def request_headers(self) -> dict[str, str]:
        """The headers of the call. The log shows them too, with the password, as upstream's does."""
        headers = {"Content-Type": "application/json", "User-Agent": "DatoCMS (datocms.com)", **self.webhook.headers}
        if self.webhook.http_basic_user is not None:
            pair = f"{self.webhook.http_basic_user}:{self.webhook.http_basic_password or ''}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return headers

    @property
    def sent_payload(self) -> str:
        """The payload with the current number of retries."""
        return self.payload.replace(f"{_RETRIES}0", f"{_RETRIES}{self.retries}", 1)

    @property
    def is_waiting(self) -> bool:
        """Whether it will be sent, now or at `next_retry_at`."""
        return self.status in {CallStatus.PENDING, CallStatus.RESCHEDULED}


class Webhooks:
    """The webhooks of *world*, and their calls, oldest first."""

    def __init__(self, world: WorldState) -> None:
        self._world = world
        self._number = 100_000
        self.registered: dict[str, Webhook] = {}
        self.calls: OrderedDict[str, WebhookCall] = OrderedDict()
        world.listen(self._on_notification, describe=self._describe)

    def register(self, name: str, url: str, *events: Event, **settings: Any) -> Webhook:
        """Add a webhook; *settings* are the other members of `Webhook`. Without *events*: all about records."""
        chosen = events or (Event("item", ("create", "update", "delete", "publish", "unpublish")),)
        webhook = Webhook(self._world.ids.number(), name, url, chosen, **settings)
        self.registered[webhook.id] = webhook
        return webhook

    def due(self, now: datetime) -> list[WebhookCall]:
        latest = now - self._world.options.webhook_delay
        return [
            call
            for call in self.calls.values()
            if call.is_waiting
            and (call.created_at <= latest if call.next_retry_at is None else call.next_retry_at <= now)
        ]

    def resend(self, call: WebhookCall) -> None:
        call.status, call.next_retry_at = CallStatus.PENDING, self._world.now()

    def _on_notification(self, notification: Notification) -> None:
        entity_type = _ENTITY_TYPES[type(notification.entity)]
        times = 2 if self._world.options.webhooks_call_twice == "another_call" else 1
        for webhook in [webhook for webhook in self.registered.values() for _ in range(times)]:
            if webhook.is_subscribed(entity_type, notification.type.value):
                self._number += 1
                call_id = str(self._number)
                payload = self._payload(webhook, notification, call_id, entity_type)
                self.calls[call_id] = WebhookCall(
                    call_id, webhook, entity_type, notification.type.value, notification.at, payload
                )
                if len(self.calls) > CALLS_KEPT:
                    self.calls.popitem(last=False)

    def _payload(self, webhook: Webhook, notification: Notification, call_id: str, entity_type: str) -> str:
        serializer = self._serializer(notification.environment, notification.at, nested=webhook.nested_items_in_payload)
        payload: dict[str, Any] = {
            "webhook_call_id": call_id,
            "event_triggered_at": serializer.time(notification.at),
            "attempted_auto_retries_count": 0,
            "webhook_id": webhook.id,
            "site_id": self._world.project_id,
            "environment": notification.environment.id,
            "is_environment_primary": notification.environment.is_primary,
            "entity_type": entity_type,
            "event_type": notification.type.value,
        }
        entity, related = self._entity(serializer, notification)
        payload |= {"entity": entity, "related_entities": related}
        if notification.before is not None and notification.type is NotificationType.UPDATE:
            payload["previous_entity"] = msgspec.Raw(notification.before)
        return _ENCODER.encode(payload).decode()

    def _entity(self, serializer: Serializer, notification: Notification) -> tuple[Resource, list[Resource]]:
        """Return the resource that *notification* is about, and the resources that it is related to."""
        people = self._world.people
        match notification.entity:
            case Record() as record:
                creator = person_resource(people, record.creator, notification.at)
                return serializer.item(record), [serializer.model(record.model), creator]
            case Model() as model:
                return serializer.model(model), []
            case Upload() as upload:
                editor = people.editors.get((upload.creator.type, upload.creator.id))
                related = [person_resource(people, editor, notification.at)] if editor else []
                return serializer.upload(upload), related
            case Environment() as environment:
                return serializer.environment(environment), []
            case None:
                return serializer.maintenance_mode(active=self._world.maintenance_mode), []

    def _describe(self, where: Environment, record: Record) -> bytes | None:
        """Return the document of the record for `previous_entity`; None if no webhook needs it."""
        if not any(webhook.is_subscribed("item", "update") for webhook in self.registered.values()):
            return None
        return _ENCODER.encode(self._serializer(where, self._world.now(), nested=False).item(record))

    def _serializer(self, where: Environment, now: datetime, *, nested: bool) -> Serializer:
        return Serializer(where, self._world.options, self._world.time_format, now, nested=nested)
