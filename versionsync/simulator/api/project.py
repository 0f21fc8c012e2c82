"""The project: its settings and environments, maintenance, usage and plan, jobs, and lists that are always empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from versionsync.simulator.api.listing import named_models
from versionsync.simulator.api.people_roles_tokens import person
from versionsync.simulator.api.request import (
    Handler,
    Request,
    Response,
    Routes,
    as_job,
    json_response,
    page_response,
)
from versionsync.simulator.errors import invalid_format, invalid_params, named, not_found
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.people_roles_tokens import EditorKind
from versionsync.simulator.world.serialization import Resource, reference, references
from versionsync.simulator.world.world import World

__all__ = ["ROUTES"]

ROUTES: Final = Routes()

INCLUDABLE: Final = frozenset(
    {"item_types", "item_types.fields", "item_types.fieldsets", "item_types.singleton_item", "account"}
)
_LISTS: Final[Mapping[str, str | None]] = {
    **dict.fromkeys(("/plugins", "/menu-items", "/schema-menu-items", "/item-type-filters", "/editing-sessions")),
    **dict.fromkeys(("/build-triggers", "/search-indexes", "/upload-filters", "/upload-collections")),
    "/site-invitations": "can_manage_users",
    "/sso-groups": "can_manage_sso",
}
"""Empty lists without pages, and the ability that a role needs. A client that reads a whole project gets no 404."""
_FEATURES: Final = ("audit_log", "workflows", "sso", "item_locking")
_PAGED_LISTS: Final[Mapping[str, tuple[str | None, int, int]]] = {
    "/build-events": ("can_access_build_events_log", 30, 500),
    "/search-index-events": ("can_access_search_index_events_log", 30, 500),
    "/search-results": ("can_perform_site_search", 20, 100),
    "/upload-tags": (None, 50, 500),
    "/upload-smart-tags": (None, 50, 500),
}
"""Empty lists with pages: the ability, and the default and the maximum size of a page."""
_SITE_SETTINGS: Final[Mapping[str, object]] = {
    "name": str | None,
    "timezone": str | None,
    "locales": list[str] | None,
}
"""The settings of a project that a request can change, and their types."""


@ROUTES("GET /site")
def get_site(request: Request) -> Response:
    world, where, serializer = request.world, request.environment, request.serializer()
    wanted = {part.strip() for part in request.query.get("include", "").split(",") if part.strip()}
    if unknown := wanted - INCLUDABLE:
        raise invalid_params("include", f"unknown: {', '.join(sorted(unknown))}")
    options, models = world.options, named_models(request)
    attributes: dict[str, Any] = {
        "name": world.name,
        "domain": None,
        "internal_domain": f"{world.project_id}.admin.datocms.com",
        "locales": where.locales,
        "timezone": world.timezone,
        "no_index": False,
        "favicon": None,
        "google_maps_api_token": None,
        "imgix_host": "www.datocms-assets.com",
        "last_data_change_at": serializer.time(where.last_data_change_at(request.now, options.data_change_delay)),
        "require_2fa": False,
        "ip_tracking_enabled": True,
        "force_use_of_sandbox_environments": False,
        "assets_cdn_default_settings": {"image": {}, "video": {}},
        "theme": {"type": "monochromatic", "hue": 210, "logo": None},
        "global_seo": None,
    }
    relationships = {
        "account": reference("account", world.account.id),
        "owner": reference("organization", world.organization.id),
        "item_types": references("item_type", (model.id for model in models)),
    }
    meta = {
        "created_at": serializer.time(world.created_at),
        "draft_mode_default": True,
        "improved_timezone_management": options.improved_timezone_management,
        "improved_hex_management": True,
        "improved_gql_multilocale_fields": True,
        "improved_gql_visibility_control": True,
        "improved_boolean_fields": True,
        "improved_validation_at_publishing": options.improved_validation_at_publishing,
        "improved_exposure_of_inline_blocks_in_cda": True,
        "improved_items_listing": options.lists_current_versions,
        "milliseconds_in_datetime": options.milliseconds,
        "non_localized_focal_points": True,
        "allow_custom_theme": True,
    }
    included: list[Any] = []
    if "account" in wanted:
        included += [person(request, editor) for editor in world.people.of_kind(EditorKind.ACCOUNT)]
    if "item_types" in wanted or "item_types.fields" in wanted:
        included += [serializer.model(model) for model in models]
    if "item_types.fields" in wanted:
        included += [serializer.field(field) for model in models for field in model.ordered_fields]
    if "item_types.fieldsets" in wanted:
        included += [serializer.fieldset(fieldset) for model in models for fieldset in model.ordered_fieldsets]
    site = Resource(world.project_id, "site", attributes, relationships, meta)
    return json_response(site, included=included if wanted else None)


@ROUTES("PUT /site", needs="can_edit_site")
def update_site(request: Request) -> Response:
    """Change the name, the time zone or the locales. Other settings are accepted and change nothing."""
    settings = request.sent().settings(_SITE_SETTINGS)
    return as_job(request, lambda: _changed_site(request, World.update_site, **settings))


@ROUTES("PUT /site/activate-milliseconds-in-datetime", needs="can_edit_site")
def activate_milliseconds(request: Request) -> Response:
    return _changed_site(request, World.activate_milliseconds)


@ROUTES("PUT /site/activate-improved-timezone-management", needs="can_edit_site")
def activate_improved_timezone_management(request: Request) -> Response:
    return as_job(request, lambda: _changed_site(request, World.activate_improved_timezone_management))


def _changed_site(request: Request, action: Callable[..., None], **settings: Any) -> Response:
    request.act(action, **settings)
    return get_site(request)


@ROUTES("GET /environments")
def list_environments(request: Request) -> Response:
    serializer, environments = request.serializer(), request.world.environments.values()
    return json_response([serializer.environment(one) for one in environments if request.role.may_use(one.is_primary)])


@ROUTES("GET /environments/{environment_id}")
def get_environment(request: Request) -> Response:
    return _environment_response(request, _environment(request))


@ROUTES("POST /environments/{environment_id}/fork", needs="can_manage_environments")
def fork(request: Request) -> Response:
    """Fork an environment: as a job, or at once with `immediate_return`."""
    source, new_id = _environment(request), _new_id(request)

    def run() -> Response:
        forked = request.world.fork(request.editor, source.id, new_id)
        return json_response(request.serializer().environment(forked), status=201)

    return run() if request.flag("immediate_return") else as_job(request, run)


@ROUTES("PUT /environments/{environment_id}/promote", needs="can_promote_environments")
def promote(request: Request) -> Response:
    return _environment_response(request, request.world.promote(request.editor, _environment(request).id))


@ROUTES("PUT /environments/{environment_id}/rename", needs="can_manage_environments")
def rename(request: Request) -> Response:
    renamed = request.world.rename(request.editor, _environment(request).id, _new_id(request))
    return _environment_response(request, renamed)


@ROUTES("DELETE /environments/{environment_id}", needs="can_manage_environments")
def destroy(request: Request) -> Response:
    world, id = request.world, _environment(request).id
    return as_job(request, lambda: _environment_response(request, world.destroy_environment(request.editor, id)))


def _environment(request: Request) -> Environment:
    environment = request.world.environments.get(request.ids["environment_id"])
    if environment is None or not request.role.may_use(environment.is_primary):
        raise not_found("environment", request.ids["environment_id"])
    return environment


def _new_id(request: Request) -> str:
    if new_id := request.sent().id:
        return new_id
    raise invalid_format("data.id is missing")


def _environment_response(request: Request, environment: Environment) -> Response:
    return json_response(request.serializer().environment(environment))


@ROUTES("GET /maintenance-mode")
def get_maintenance_mode(request: Request) -> Response:
    return json_response(request.serializer().maintenance_mode(active=request.world.maintenance_mode))


@ROUTES("PUT /maintenance-mode/activate", needs="can_promote_environments")
def activate_maintenance_mode(request: Request) -> Response:
    request.world.set_maintenance_mode(request.editor, active=True)
    return get_maintenance_mode(request)


@ROUTES("PUT /maintenance-mode/deactivate", needs="can_promote_environments")
def deactivate_maintenance_mode(request: Request) -> Response:
    request.world.set_maintenance_mode(request.editor, active=False)
    return get_maintenance_mode(request)


@ROUTES("GET /daily-site-usages", needs="can_access_usage")
def daily_usages(request: Request) -> Response:
    """Return a row for each day with requests, and one for today."""
    calls: Counter[str] = Counter()
    traffic: Counter[str] = Counter()
    for logged in request.project.requests:
        day = logged.at.date().isoformat()
        calls[day] += 1
        traffic[day] += logged.size
    not_counted = dict.fromkeys(
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
                {"date": day, "cma_api_calls": calls[day], "cma_traffic_bytes": traffic[day], **not_counted},
            )
            for day in sorted({*calls, request.now.date().isoformat()})
        ]
    )


@ROUTES("GET /usage-log-counters/{counter_id}", needs="can_access_usage")
def usage_counter(request: Request) -> Response:
    """Return how many requests each token sent."""
    period = request.query.get("period", "today")
    if period not in {"today", "current_month", "last_month"}:
        raise invalid_params("period", "today, current_month or last_month")
    if request.ids["counter_id"] != "cma_user_requests":
        raise not_found("usage_counter", request.ids["counter_id"])
    callers = Counter(logged.token for logged in request.project.requests if logged.token is not None)
    result = [{"value": name, "counter": count} for name, count in callers.most_common()]
    return json_response(Resource("cma_user_requests", "usage_counter", {"result": result}))


@ROUTES("GET /subscription-limits")
def subscription_limits(request: Request) -> Response:
    return json_response(list(_limits(request).values()))


@ROUTES("GET /subscription-limits/{limit_id}")
def subscription_limit(request: Request) -> Response:
    return json_response(named("subscription_limit", request.ids["limit_id"], _limits(request)))


def _limits(request: Request) -> dict[str, Resource]:
    where, world = request.environment, request.world
    limits: dict[str, tuple[int, int | None]] = {
        "item_types": (len(where.models), None),
        "items": (len(where.records), 300_000),
        "locales": (len(where.locales), 50),
        "sandbox_environments": (len(world.environments) - 1, 10),
        "cma_api_calls": (request.project.requests.total, 1_000_000),
    }
    if world.options.limits_show_retention:
        limits["history_retention_days"] = (0, world.options.history_retention_days)
    return {
        code: Resource(code, "subscription_limit", {"code": code, "usage": usage, "limit": limit})
        for code, (usage, limit) in limits.items()
    }


@ROUTES("GET /subscription-features")
def subscription_features(request: Request) -> Response:
    features = {code: {"code": code, "enabled": True, "in_use": False} for code in _FEATURES}
    features["audit_log"]["enabled"] = request.world.options.plan_has_audit_log
    features["workflows"]["in_use"] = bool(request.environment.workflows)
    return json_response([Resource(code, "subscription_feature", feature) for code, feature in features.items()])


@ROUTES("GET /job-results/{job_id}")
def job_result(request: Request) -> Response:
    job = request.project.jobs.result(request.ids["job_id"])
    attributes = {
        "status": job.status,
        "statusText": HTTPStatus(job.status).phrase,
        "payload": msgspec.Raw(job.payload or b"null"),
    }
    return json_response(Resource(job.id, "job_result", attributes))


def _empty_page(default: int, maximum: int) -> Handler:
    def handler(request: Request) -> Response:
        request.page(default=default, maximum=maximum)
        return page_response([], 0)

    return handler


for _path, _ability in _LISTS.items():
    ROUTES(f"GET {_path}", needs=_ability)(lambda request: json_response([]))
for _path, (_ability, _default, _maximum) in _PAGED_LISTS.items():
    ROUTES(f"GET {_path}", needs=_ability)(_empty_page(_default, _maximum))
