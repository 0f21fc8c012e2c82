"""The audit log: `POST /audit-log-events/query`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from versionsync.simulator.api.request import Request, Response, Route, json_response
from versionsync.simulator.errors import ApiError
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.audit_filter import read_filter
from versionsync.simulator.world.audit_log import AuditEvent, occurred_at
from versionsync.simulator.world.serialization import Resource
from versionsync.simulator.world.times import parse_time

__all__ = ["ROUTES"]

PAGE: Final = 100


class Sought(msgspec.Struct):
    """What is sought; all of it may be left out."""

    since: str | None = None
    before: str | None = None
    filter: str | None = None
    next_token: str | None = None
    detailed_log: bool = False


class Query(msgspec.Struct):
    """The data of a request."""

    attributes: Sought


class Body(msgspec.Struct):
    """Its body."""

    data: Query


def query(call: Request) -> Response:
    """`POST /audit-log-events/query`: the events that match, and a token for the rest if there are more."""
    switches, log = call.world.options, call.services.audit_log
    if not switches.plan_has_audit_log:
        raise ApiError("PLAN_UPGRADE_REQUIRED", details={"feature": "audit_log"})
    call.demand("can_access_audit_log")
    sought = call.decode(Body).data.attributes
    wanted = _condition(sought)
    events = reversed(log) if switches.audit_log_order == "newest_first" else iter(log)
    found = [event for event in events if wanted(event)]
    if sought.next_token is not None:
        found = found[_place_after(found, sought.next_token) :]
    shown = found[:PAGE]
    return json_response(
        [_resource(event, detailed=sought.detailed_log) for event in shown],
        meta={"next_token": shown[-1].id if len(found) > PAGE else None},
    )


def _condition(sought: Sought) -> Callable[[AuditEvent], bool]:
    """What an event must be like."""
    since = None if sought.since is None else parse_time(sought.since)
    before = None if sought.before is None else parse_time(sought.before)
    matches = None if sought.filter is None else read_filter(sought.filter)

    def holds(event: AuditEvent) -> bool:
        if (since is not None and event.at < since) or (before is not None and event.at >= before):
            return False
        return matches is None or matches(_members(event))

    return holds


def _members(event: AuditEvent) -> dict[str, Any]:
    """What a filter can ask about *event*."""
    return {
        "id": event.id,
        **event.document(detailed=True, read=contents.load),
        "meta": {"occurred_at": occurred_at(event)},
    }


def _place_after(found: Sequence[AuditEvent], token: str) -> int:
    """Where the rest begins: after the event whose id is *token*."""
    for place, event in enumerate(found, start=1):
        if event.id == token:
            return place
    raise ApiError("INVALID_ATTRIBUTES", details={"attribute": "next_token", "reason": "unknown"})


def _resource(event: AuditEvent, *, detailed: bool) -> Resource:
    return Resource(
        event.id,
        "audit_log_event",
        event.document(detailed=detailed),
        meta={"occurred_at": occurred_at(event)},
    )


ROUTES = (Route("POST", "/audit-log-events/query", query),)
