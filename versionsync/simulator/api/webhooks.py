"""Webhooks, and the log of their calls."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from versionsync.simulator.api.request import Request, Response, Routes, json_response, page_response
from versionsync.simulator.errors import ApiError, invalid_format, invalid_params, named
from versionsync.simulator.world.serialization import Resource, Serializer, members, reference
from versionsync.simulator.world.times import parse_time
from versionsync.simulator.world.webhooks import Event, Webhook, WebhookCall

__all__ = ["ROUTES"]

ROUTES: Final = Routes()

_FILTER: Final = re.compile(r"filter\[fields\]\[(\w+)\]\[(eq|gt|lt)\]")
_TIMES: Final = frozenset({"created_at", "last_sent_at", "next_retry_at"})
_ORDERS: Final[dict[str, Callable[[WebhookCall], Any]]] = {
    "webhook_id": lambda call: int(call.webhook.id),
    "created_at": lambda call: (call.created_at, int(call.id)),
    "last_sent_at": lambda call: (call.last_sent_at is not None, call.last_sent_at),
    "next_retry_at": lambda call: (call.next_retry_at is not None, call.next_retry_at),
}
_SETTINGS: Final[Mapping[str, object]] = {
    "name": str,
    "url": str,
    "events": tuple[Event, ...],
    "enabled": bool,
    "headers": dict[str, str],
    "http_basic_user": str | None,
    "http_basic_password": str | None,
    "custom_payload": str | None,
    "payload_api_version": str,
    "nested_items_in_payload": bool,
    "auto_retry": bool,
}
"""The settings of a webhook, and their types in requests."""


@ROUTES("GET /webhooks", needs="can_manage_webhooks")
def list_webhooks(request: Request) -> Response:
    return json_response([_webhook(webhook) for webhook in request.world.webhooks.registered.values()])


@ROUTES("POST /webhooks", needs="can_manage_webhooks")
def create_webhook(request: Request) -> Response:
    settings = request.sent().settings(_SETTINGS)
    for name in ("name", "url", "events"):
        if name not in settings:
            raise invalid_format(f"attributes.{name} is missing")
    name, url, events = settings.pop("name"), settings.pop("url"), settings.pop("events")
    return json_response(_webhook(request.world.webhooks.register(name, url, *events, **settings)), status=201)


@ROUTES("GET /webhooks/{webhook_id}", needs="can_manage_webhooks")
def get_webhook(request: Request) -> Response:
    return json_response(_webhook(_named(request)))


@ROUTES("PUT /webhooks/{webhook_id}", needs="can_manage_webhooks")
def update_webhook(request: Request) -> Response:
    webhook = _named(request)
    for name, value in request.sent().settings(_SETTINGS).items():
        setattr(webhook, name, value)
    return json_response(_webhook(webhook))


@ROUTES("DELETE /webhooks/{webhook_id}", needs="can_manage_webhooks")
def destroy_webhook(request: Request) -> Response:
    webhook = _named(request)
    del request.world.webhooks.registered[webhook.id]
    return json_response(_webhook(webhook))


@ROUTES("GET /webhook_calls", needs="can_manage_webhooks")
def list_calls(request: Request) -> Response:
    page = request.page(default=30, maximum=500)
    found = [one for one in request.world.webhooks.calls.values() if _matches(request, one)]
    order, _, direction = request.query.get("order_by", "created_at_desc").rpartition("_")
    if order not in _ORDERS or direction not in {"asc", "desc"}:
        raise ApiError("INVALID_ORDERING", order_by=request.query.get("order_by"))
    unknown = [one for one in found if order in _TIMES and getattr(one, order) is None]
    known = sorted((one for one in found if one not in unknown), key=_ORDERS[order], reverse=direction == "desc")
    shown, serializer = [*known, *unknown][page], request.serializer()
    webhooks = {one.webhook.id: _webhook(one.webhook) for one in shown}
    return page_response(
        [_call_resource(one, serializer) for one in shown], len(found), included=list(webhooks.values())
    )


@ROUTES("GET /webhook_calls/{call_id}", needs="can_manage_webhooks")
def get_call(request: Request) -> Response:
    return _call_response(request, _named_call(request))


@ROUTES("POST /webhook_calls/{call_id}/resend_webhook", needs="can_manage_webhooks")
def resend(request: Request) -> Response:
    call = _named_call(request)
    request.world.webhooks.resend(call)
    return _call_response(request, call)


def _named(request: Request) -> Webhook:
    return named("webhook", request.ids["webhook_id"], request.world.webhooks.registered)


def _named_call(request: Request) -> WebhookCall:
    return named("webhook_call", request.ids["call_id"], request.world.webhooks.calls)


def _matches(request: Request, call: WebhookCall) -> bool:
    for name, value in request.query.items():
        if name == "filter[ids]" and call.id not in value.split(","):
            return False
        if not name.startswith("filter[fields]"):
            continue
        parsed = _FILTER.fullmatch(name)
        if parsed is None:
            raise ApiError("INVALID_FILTER_FIELDS_PARAM", parameter=name)
        column, operator = parsed.groups()
        if not _passes(call, column, operator, value):
            return False
    return True


def _passes(call: WebhookCall, column: str, operator: str, value: str) -> bool:
    if column in _TIMES and operator != "eq":
        at: datetime | None = getattr(call, column)
        return at is not None and (at > parse_time(value) if operator == "gt" else at < parse_time(value))
    match column:
        case "webhook_id":
            return call.webhook.id == value
        case "entity_type" | "event_type" | "status":
            return str(getattr(call, column)) == value
        case _:
            raise invalid_params(f"filter[fields][{column}]", "no such column")


def _webhook(webhook: Webhook) -> Resource:
    return Resource(webhook.id, "webhook", members(webhook, *_SETTINGS))


def _call_response(request: Request, call: WebhookCall) -> Response:
    return json_response(_call_resource(call, request.serializer()), included=[_webhook(call.webhook)])


def _call_resource(call: WebhookCall, serializer: Serializer) -> Resource:
    attributes = {
        **members(call, "entity_type", "event_type", "status", "request_headers"),
        **members(call, "response_status", "response_headers", "response_payload"),
        "request_url": call.webhook.url,
        "request_payload": call.sent_payload,
        "attempted_auto_retries_count": call.retries,
        "created_at": serializer.time(call.created_at),
        "last_sent_at": serializer.time(call.last_sent_at or call.created_at),
        "next_retry_at": serializer.time(call.next_retry_at),
    }
    return Resource(call.id, "webhook_call", attributes, {"webhook": reference("webhook", call.webhook.id)})
