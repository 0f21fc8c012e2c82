"""The rest of a project: maintenance, usage, what the plan allows."""

from __future__ import annotations

from collections import Counter

from versionsync.simulator.api.request import Request, Response, Route, json_response
from versionsync.simulator.errors import invalid_params, not_found
from versionsync.simulator.world.serialization import Resource

__all__ = ["ROUTES"]


def get_maintenance_mode(call: Request) -> Response:
    """`GET /maintenance-mode`"""
    return json_response(call.serializer().maintenance_mode(active=call.world.maintenance_mode))


def activate_maintenance_mode(call: Request) -> Response:
    """`PUT /maintenance-mode/activate`"""
    call.demand("can_promote_environments")
    call.world.set_maintenance_mode(call.editor, active=True)
    return get_maintenance_mode(call)


def deactivate_maintenance_mode(call: Request) -> Response:
    """`PUT /maintenance-mode/deactivate`"""
    call.demand("can_promote_environments")
    call.world.set_maintenance_mode(call.editor, active=False)
    return get_maintenance_mode(call)


def daily_usages(call: Request) -> Response:
    """`GET /daily-site-usages`: one row a day on which there were requests, and one for today."""
    call.demand("can_access_usage")
    calls: Counter[str] = Counter()
    traffic: Counter[str] = Counter()
    for request in call.services.requests:
        day = request.at.date().isoformat()
        calls[day] += 1
        traffic[day] += request.size
    nothing = dict.fromkeys(
        (
            *("cda_api_calls", "cda_traffic_bytes", "assets_traffic_bytes", "mux_delivered_seconds"),
            *("mux_high_resolution_delivered_seconds", "mux_encoded_seconds", "smart_tags_detections"),
        ),
        0,
    )
    return json_response(
        [
            Resource(
                day,
                "daily_usage",
                {"date": day, "cma_api_calls": calls[day], "cma_traffic_bytes": traffic[day], **nothing},
            )
            for day in sorted({*calls, call.now.date().isoformat()})
        ]
    )


def usage_counter(call: Request) -> Response:
    """`GET /usage-log-counters/:id?period=…`: requests by caller."""
    call.demand("can_access_usage")
    period = call.query.get("period", "today")
    if period not in {"today", "current_month", "last_month"}:
        raise invalid_params("period", "today, current_month or last_month")
    if call.ids["counter_id"] != "cma_user_requests":
        raise not_found("usage_counter", call.ids["counter_id"])
    callers = Counter(request.token for request in call.services.requests if request.token is not None)
    result = [{"value": name, "counter": count} for name, count in callers.most_common()]
    return json_response(Resource("cma_user_requests", "usage_counter", {"result": result}))


def subscription_limits(call: Request) -> Response:
    """`GET /subscription-limits`: what the plan allows, and how much of it is used."""
    return json_response(list(_limits(call).values()))


def subscription_limit(call: Request) -> Response:
    """`GET /subscription-limits/:id`"""
    if limit := _limits(call).get(call.ids["limit_id"]):
        return json_response(limit)
    raise not_found("subscription_limit", call.ids["limit_id"])


def subscription_features(call: Request) -> Response:
    """`GET /subscription-features`: what the plan allows to do."""
    audit_log = call.world.options.plan_has_audit_log
    features = {"audit_log": audit_log, "workflows": True, "sso": True, "item_locking": True}
    in_use = {"workflows": bool(call.environment.workflows)}
    return json_response(
        [
            Resource(
                code, "subscription_feature", {"code": code, "enabled": enabled, "in_use": in_use.get(code, False)}
            )
            for code, enabled in features.items()
        ]
    )


def _limits(call: Request) -> dict[str, Resource]:
    where, world = call.environment, call.world
    limits: dict[str, tuple[int, int | None]] = {
        "item_types": (len(where.models), None),
        "items": (len(where.records), 300_000),
        "locales": (len(where.locales), 50),
        "sandbox_environments": (len(world.environments) - 1, 10),
        "cma_api_calls": (call.services.requests.total, 1_000_000),
    }
    if world.options.limits_show_retention:
        limits["history_retention_days"] = (0, world.options.history_retention_days)
    return {
        code: Resource(code, "subscription_limit", {"code": code, "usage": usage, "limit": limit})
        for code, (usage, limit) in limits.items()
    }


ROUTES = (
    Route("GET", "/maintenance-mode", get_maintenance_mode),
    Route("PUT", "/maintenance-mode/activate", activate_maintenance_mode),
    Route("PUT", "/maintenance-mode/deactivate", deactivate_maintenance_mode),
    Route("GET", "/subscription-limits", subscription_limits),
    Route("GET", "/subscription-limits/{limit_id}", subscription_limit),
    Route("GET", "/subscription-features", subscription_features),
    Route("GET", "/daily-site-usages", daily_usages),
    Route("GET", "/usage-log-counters/{counter_id}", usage_counter),
)
