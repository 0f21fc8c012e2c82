"""Webhooks and the log of their calls."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from versionsync.simulator.api.request import Request, Response, Route, json_response, page_response
from versionsync.simulator.errors import ApiError, invalid_params, not_found
from versionsync.simulator.world.serialization import Resource, Serializer, reference
from versionsync.simulator.world.times import parse_time
from versionsync.simulator.world.webhooks import Event, Webhook, WebhookCall

__all__ = ["ROUTES"]

_FILTER: Final = re.compile(r"filter\[fields\]\[(\w+)\]\[(eq|gt|lt)\]")
_TIMES: Final = frozenset({"created_at", "last_sent_at", "next_retry_at"})
_ORDERS: Final[dict[str, Callable[[WebhookCall], Any]]] = {
    "webhook_id": lambda call: int(call.webhook.id),
    "created_at": lambda call: (call.created_at, int(call.id)),
    "last_sent_at": lambda call: (call.last_sent_at is not None, call.last_sent_at),
    "next_retry_at": lambda call: (call.next_retry_at is not None, call.next_retry_at),
}


class SentWebhook(msgspec.Struct):
    """A webhook's attributes as a request sends them."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    url: str | msgspec.UnsetType = msgspec.UNSET
    events: tuple[Event, ...] | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    headers: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    http_basic_user: str | msgspec.UnsetType | None = msgspec.UNSET
    http_basic_password: str | msgspec.UnsetType | None = msgspec.UNSET
    custom_payload: str | msgspec.UnsetType | None = msgspec.UNSET
    payload_api_version: str | msgspec.UnsetType = msgspec.UNSET
    nested_items_in_payload: bool | msgspec.UnsetType = msgspec.UNSET
    auto_retry: bool | msgspec.UnsetType = msgspec.UNSET

    def settings(self) -> dict[str, Any]:
        """The members that were sent."""
        members = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in members.items() if value is not msgspec.UNSET}


class SentResource(msgspec.Struct):
    """The data of a request."""

    attributes: SentWebhook


class Body(msgspec.Struct):
    """The body of a request."""

    data: SentResource


def list_webhooks(call: Request) -> Response:
    """`GET /webhooks`"""
    call.demand("can_manage_webhooks")
    return json_response([_webhook(webhook) for webhook in call.world.webhooks.registered.values()])


def create_webhook(call: Request) -> Response:
    """`POST /webhooks`"""
    call.demand("can_manage_webhooks")
    settings = call.decode(Body).data.attributes.settings()
    for name in ("name", "url", "events"):
        if name not in settings:
            raise ApiError("INVALID_FORMAT", details={"reason": f"attributes.{name} is missing"})
    name, url, events = settings.pop("name"), settings.pop("url"), settings.pop("events")
    return json_response(_webhook(call.world.webhooks.register(name, url, *events, **settings)), status=201)


def get_webhook(call: Request) -> Response:
    """`GET /webhooks/:id`"""
    return json_response(_webhook(_named(call)))


def update_webhook(call: Request) -> Response:
    """`PUT /webhooks/:id`"""
    webhook = _named(call)
    for name, value in call.decode(Body).data.attributes.settings().items():
        setattr(webhook, name, value)
    return json_response(_webhook(webhook))


def destroy_webhook(call: Request) -> Response:
    """`DELETE /webhooks/:id`"""
    webhook = _named(call)
    del call.world.webhooks.registered[webhook.id]
    return json_response(_webhook(webhook))


def list_calls(call: Request) -> Response:
    """`GET /webhook_calls`"""
    call.demand("can_manage_webhooks")
    page = call.page(default=30, most=500)
    found = [one for one in call.world.webhooks.calls.values() if _matches(call, one)]
    order, _, direction = call.query.get("order_by", "created_at_desc").rpartition("_")
    if order not in _ORDERS or direction not in {"asc", "desc"}:
        raise ApiError("INVALID_ORDERING", details={"order_by": call.query.get("order_by")})
    unknown = [one for one in found if order in _TIMES and getattr(one, order) is None]
    known = sorted((one for one in found if one not in unknown), key=_ORDERS[order], reverse=direction == "desc")
    shown, writer = [*known, *unknown][page], call.serializer()
    webhooks = {one.webhook.id: _webhook(one.webhook) for one in shown}
    return page_response([_call(one, writer) for one in shown], len(found), included=list(webhooks.values()))


def get_call(call: Request) -> Response:
    """`GET /webhook_calls/:id`"""
    one = _named_call(call)
    return json_response(_call(one, call.serializer()), included=[_webhook(one.webhook)])


def resend(call: Request) -> Response:
    """`POST /webhook_calls/:id/resend_webhook`"""
    one = _named_call(call)
    call.world.webhooks.resend(one)
    return json_response(_call(one, call.serializer()), included=[_webhook(one.webhook)])


def _named(call: Request) -> Webhook:
    call.demand("can_manage_webhooks")
    if webhook := call.world.webhooks.registered.get(call.ids["webhook_id"]):
        return webhook
    raise not_found("webhook", call.ids["webhook_id"])


def _named_call(call: Request) -> WebhookCall:
    call.demand("can_manage_webhooks")
    if found := call.world.webhooks.calls.get(call.ids["call_id"]):
        return found
    raise not_found("webhook_call", call.ids["call_id"])


def _matches(call: Request, one: WebhookCall) -> bool:
    for name, value in call.query.items():
        if name == "filter[ids]" and one.id not in value.split(","):
            return False
        if not name.startswith("filter[fields]"):
            continue
        parsed = _FILTER.fullmatch(name)
        if parsed is None:
            raise ApiError("INVALID_FILTER_FIELDS_PARAM", details={"parameter": name})
        column, operator = parsed.groups()
        if not _passes(one, column, operator, value):
            return False
    return True


def _passes(one: WebhookCall, column: str, operator: str, value: str) -> bool:
    if column in _TIMES and operator != "eq":
        at: datetime | None = getattr(one, column)
        return at is not None and (at > parse_time(value) if operator == "gt" else at < parse_time(value))
    match column:
        case "webhook_id":
            return one.webhook.id == value
        case "entity_type" | "event_type" | "status":
            return str(getattr(one, column)) == value
        case _:
            raise invalid_params(f"filter[fields][{column}]", "no such column")


def _webhook(webhook: Webhook) -> Resource:
    attributes = {
        "name": webhook.name,
        "enabled": webhook.enabled,
        "url": webhook.url,
        "custom_payload": webhook.custom_payload,
        "http_basic_user": webhook.http_basic_user,
        "http_basic_password": webhook.http_basic_password,
        "headers": webhook.headers,
        "events": list(webhook.events),
        "payload_api_version": webhook.payload_api_version,
        "nested_items_in_payload": webhook.nested_items_in_payload,
        "auto_retry": webhook.auto_retry,
    }
    return Resource(webhook.id, "webhook", attributes)


def _call(one: WebhookCall, writer: Serializer) -> Resource:
    attributes = {
        "entity_type": one.entity_type,
        "event_type": one.event_type,
        "created_at": writer.time(one.created_at),
        "request_url": one.webhook.url,
        "request_headers": one.request_headers,
        "request_payload": one.sent_payload,
        "response_status": one.response_status,
        "response_headers": one.response_headers,
        "response_payload": one.response_payload,
        "attempted_auto_retries_count": one.retries,
        "last_sent_at": writer.time(one.last_sent_at or one.created_at),
        "next_retry_at": writer.time(one.next_retry_at),
        "status": one.status.value,
    }
    return Resource(one.id, "webhook_call", attributes, {"webhook": reference("webhook", one.webhook.id)})


ROUTES = (
    Route("GET", "/webhooks", list_webhooks),
    Route("POST", "/webhooks", create_webhook),
    Route("GET", "/webhooks/{webhook_id}", get_webhook),
    Route("PUT", "/webhooks/{webhook_id}", update_webhook),
    Route("DELETE", "/webhooks/{webhook_id}", destroy_webhook),
    Route("GET", "/webhook_calls", list_calls),
    Route("GET", "/webhook_calls/{call_id}", get_call),
    Route("POST", "/webhook_calls/{call_id}/resend_webhook", resend),
)
