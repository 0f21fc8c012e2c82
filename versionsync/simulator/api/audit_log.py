"""The audit log: `POST /audit-log-events/query`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from versionsync.simulator.api.bodies import Attributes, Body
from versionsync.simulator.api.request import Request, Response, Routes, json_response
from versionsync.simulator.errors import ApiError
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.audit_log import AuditEvent, occurred_at, read_filter
from versionsync.simulator.world.serialization import Resource
from versionsync.simulator.world.times import parse_time

__all__ = ["ROUTES"]

ROUTES: Final = Routes()

PAGE: Final = 100


class Query(msgspec.Struct):
    since: str | None = None
    before: str | None = None
    filter: str | None = None
    next_token: str | None = None
    detailed_log: bool = False


@ROUTES("POST /audit-log-events/query")
def search(request: Request) -> Response:
    """Return the events that match, and a token for the next page if there are more."""
    options, log = request.world.options, request.project.audit_log
    if not options.plan_has_audit_log:
        raise ApiError("PLAN_UPGRADE_REQUIRED", feature="audit_log")
    request.role.require("can_access_audit_log")
    query = request.decode(Body[Attributes[Query]]).data.attributes
    since = None if query.since is None else parse_time(query.since)
    before = None if query.before is None else parse_time(query.before)
    matches = None if query.filter is None else read_filter(query.filter)
    found = [
        event
        for event in (reversed(log) if options.audit_log_order == "newest_first" else log)
        if (since is None or event.at >= since)
        and (before is None or event.at < before)
        and (matches is None or matches(_members(event)))
    ]
    if query.next_token is not None:
        found = found[_position_after(found, query.next_token) :]
    shown = found[:PAGE]
    return json_response(
        [_resource(event, detailed=query.detailed_log) for event in shown],
        meta={"next_token": shown[-1].id if len(found) > PAGE else None},
    )


def _members(event: AuditEvent) -> dict[str, Any]:
    """Return the members of *event* that a filter can use."""
    meta = {"occurred_at": occurred_at(event)}
    return {"id": event.id, **event.document(detailed=True, read=contents.load), "meta": meta}


def _position_after(found: Sequence[AuditEvent], token: str) -> int:
    """Return the number of events up to the one whose id is *token*."""
    for position, event in enumerate(found, start=1):
        if event.id == token:
            return position
    raise ApiError("INVALID_ATTRIBUTES", attribute="next_token", reason="unknown")


def _resource(event: AuditEvent, *, detailed: bool) -> Resource:
    meta = {"occurred_at": occurred_at(event)}
    return Resource(event.id, "audit_log_event", event.document(detailed=detailed), meta=meta)
