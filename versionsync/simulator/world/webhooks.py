"""Webhooks: who is told what, and the log of the calls that were made or are still to be made.

Plain state; `deliveries` is the part that sends.
"""

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
from versionsync.simulator.world.persons import person_resource
from versionsync.simulator.world.records import Record
from versionsync.simulator.world.serialization import Serializer
from versionsync.simulator.world.state import Notification, NotificationType, WorldState
from versionsync.simulator.world.uploads import Upload

__all__ = ["CallStatus", "Event", "Webhook", "WebhookCall", "Webhooks"]

CALLS_KEPT: Final = 10_000
_RETRIES: Final = '"attempted_auto_retries_count":'
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class CallStatus(StrEnum):
    """How far a call has come."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"
    RESCHEDULED = "rescheduled"


class Event(msgspec.Struct, frozen=True):
    """A kind of happening that a webhook is told about; filters are kept, and shown, but not obeyed."""

    entity_type: str
    event_types: tuple[str, ...]
    filters: tuple[dict[str, Any], ...] | None = None


@dataclass(slots=True)
class Webhook:
    """A webhook of the project: it hears of all environments."""

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

    def wants(self, entity_type: str, event_type: str) -> bool:
        """Whether it is to be called."""
        return self.enabled and any(
            event.entity_type == entity_type and event_type in event.event_types for event in self.events
        )


@dataclass(slots=True)
class WebhookCall:
    """A call of a webhook, made or to be made."""

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
        """What is sent besides the payload; the log shows it too, password and all, as upstream's does."""
        headers = {"Content-Type": "application/json", "User-Agent": "DatoCMS (datocms.com)", **self.webhook.headers}
        if self.webhook.http_basic_user is not None:
            pair = f"{self.webhook.http_basic_user}:{self.webhook.http_basic_password or ''}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return headers

    @property
    def sent_payload(self) -> str:
        """The payload as it is sent now: it says how many retries there were."""
        return self.payload.replace(f"{_RETRIES}0", f"{_RETRIES}{self.retries}", 1)

    @property
    def is_waiting(self) -> bool:
        """Whether it is still to be sent, now or at `next_retry_at`."""
        return self.status in {CallStatus.PENDING, CallStatus.RESCHEDULED}


class Webhooks:
    """The webhooks of *world*, and their calls from the oldest to the newest."""

    def __init__(self, world: WorldState) -> None:
        self._world = world
        self._number = 100_000
        self.registered: dict[str, Webhook] = {}
        self.calls: OrderedDict[str, WebhookCall] = OrderedDict()
        world.listen(self._happened, describe=self._describe)

    def register(self, name: str, url: str, *events: Event, **settings: Any) -> Webhook:
        """A new webhook; *settings* are the other members of `Webhook`. Without *events*: all about records."""
        chosen = events or (Event("item", ("create", "update", "delete", "publish", "unpublish")),)
        webhook = Webhook(self._world.ids.number(), name, url, chosen, **settings)
        self.registered[webhook.id] = webhook
        return webhook

    def due(self, now: datetime) -> list[WebhookCall]:
        """The calls that are to be sent now."""
        first = now - self._world.options.webhook_delay
        return [
            call
            for call in self.calls.values()
            if call.is_waiting
            and (call.created_at <= first if call.next_retry_at is None else call.next_retry_at <= now)
        ]

    def resend(self, call: WebhookCall) -> None:
        """Let *call* be sent once more, whatever became of it."""
        call.status, call.next_retry_at = CallStatus.PENDING, self._world.now()

    def _happened(self, happening: Notification) -> None:
        entity_type = _entity_type(happening)
        times = 2 if self._world.options.webhooks_call_twice == "another_call" else 1
        for webhook in [webhook for webhook in self.registered.values() for _ in range(times)]:
            if webhook.wants(entity_type, happening.type.value):
                self._number += 1
                call_id = str(self._number)
                payload = self._payload(webhook, happening, call_id, entity_type)
                self.calls[call_id] = WebhookCall(
                    call_id, webhook, entity_type, happening.type.value, happening.at, payload
                )
                if len(self.calls) > CALLS_KEPT:
                    self.calls.popitem(last=False)

    def _payload(self, webhook: Webhook, happening: Notification, call_id: str, entity_type: str) -> str:
        writer = self._writer(happening.environment, happening.at, nested=webhook.nested_items_in_payload)
        payload: dict[str, Any] = {
            "webhook_call_id": call_id,
            "event_triggered_at": writer.time(happening.at),
            "attempted_auto_retries_count": 0,
            "webhook_id": webhook.id,
            "site_id": self._world.project_id,
            "environment": happening.environment.id,
            "is_environment_primary": happening.environment.is_primary,
            "entity_type": entity_type,
            "event_type": happening.type.value,
        }
        match happening.entity:
            case Record() as record:
                payload["entity"] = writer.item(record)
                creator = person_resource(self._world.people, record.creator, happening.at)
                payload["related_entities"] = [writer.model(record.model), creator]
            case Model() as model:
                payload["entity"] = writer.model(model)
                payload["related_entities"] = []
            case Upload() as upload:
                payload["entity"] = writer.upload(upload)
                made_by = self._world.people.editors.get((upload.creator.type, upload.creator.id))
                payload["related_entities"] = [
                    person_resource(self._world.people, editor, happening.at) for editor in (made_by,) if editor
                ]
            case Environment() as environment:
                payload["entity"] = writer.environment(environment)
                payload["related_entities"] = []
            case None:
                payload["entity"] = writer.maintenance_mode(active=self._world.maintenance_mode)
                payload["related_entities"] = []
        if happening.before is not None and happening.type is NotificationType.UPDATE:
            payload["previous_entity"] = msgspec.Raw(happening.before)
        return _ENCODER.encode(payload).decode()

    def _describe(self, where: Environment, record: Record) -> bytes | None:
        """The record as it is, for `previous_entity`; None when no webhook would say it."""
        if not any(webhook.wants("item", "update") for webhook in self.registered.values()):
            return None
        return _ENCODER.encode(self._writer(where, self._world.now(), nested=False).item(record))

    def _writer(self, where: Environment, now: datetime, *, nested: bool) -> Serializer:
        return Serializer(where, self._world.options, self._world.time_format, now, nested=nested)


def _entity_type(happening: Notification) -> str:
    match happening.entity:
        case Record():
            return "item"
        case Model():
            return "item_type"
        case Upload():
            return "upload"
        case Environment():
            return "environment"
        case None:
            return "maintenance_mode"
