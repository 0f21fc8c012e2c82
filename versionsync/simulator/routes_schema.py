"""Reading the schema: `/site`, `/item-types`, fields, workflows."""

from __future__ import annotations

from typing import Any

import msgspec

from versionsync.simulator.calls import Call, Reply, Route, json_reply
from versionsync.simulator.editors import EditorKind
from versionsync.simulator.models import Workflow
from versionsync.simulator.problems import invalid_params, not_found
from versionsync.simulator.resources import Resource, reference
from versionsync.simulator.routes_jobs import as_job
from versionsync.simulator.routes_people import person
from versionsync.simulator.visibility import named_model, named_models

__all__ = ["ROUTES"]

INCLUDABLE = frozenset(
    {"item_types", "item_types.fields", "item_types.fieldsets", "item_types.singleton_item", "account"}
)


class SentSite(msgspec.Struct):
    """The settings of a project that a request may change here."""

    name: str | None = None
    timezone: str | None = None
    locales: list[str] | None = None


class SiteData(msgspec.Struct):
    """The data of such a request."""

    attributes: SentSite = msgspec.field(default_factory=SentSite)


class SiteBody(msgspec.Struct):
    """The body of such a request."""

    data: SiteData


def get_site(call: Call) -> Reply:
    """`GET /site`, with the whole schema when `include` asks for it."""
    world, where, writer = call.world, call.environment, call.writer()
    wanted = {part.strip() for part in call.query.get("include", "").split(",") if part.strip()}
    if unknown := wanted - INCLUDABLE:
        raise invalid_params("include", f"unknown: {', '.join(sorted(unknown))}")
    switches, models = world.switches, named_models(call)
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
        "last_data_change_at": writer.time(where.last_data_change_at(call.now, switches.data_change_delay)),
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
        "item_types": {"data": [{"id": model.id, "type": "item_type"} for model in models]},
    }
    meta = {
        "created_at": writer.time(world.created_at),
        "draft_mode_default": True,
        "improved_timezone_management": switches.improved_timezone_management,
        "improved_hex_management": True,
        "improved_gql_multilocale_fields": True,
        "improved_gql_visibility_control": True,
        "improved_boolean_fields": True,
        "improved_validation_at_publishing": True,
        "improved_exposure_of_inline_blocks_in_cda": True,
        "improved_items_listing": switches.lists_current_versions,
        "milliseconds_in_datetime": switches.milliseconds,
        "non_localized_focal_points": True,
        "allow_custom_theme": True,
    }
    included: list[Any] = []
    if "account" in wanted:
        included += [person(call, editor) for editor in world.people.of_kind(EditorKind.ACCOUNT)]
    if "item_types" in wanted or "item_types.fields" in wanted:
        included += [writer.model(model) for model in models]
    if "item_types.fields" in wanted:
        included += [writer.field(field) for model in models for field in model.ordered_fields]
    if "item_types.fieldsets" in wanted:
        included += [writer.fieldset(fieldset) for model in models for fieldset in model.ordered_fieldsets]
    site = Resource(world.project_id, "site", attributes, relationships, meta)
    return json_reply(site, included=included if wanted else None)


def update_site(call: Call) -> Reply:
    """`PUT /site`, a job: the name, the time zone, the locales; other settings are taken, and change nothing."""
    call.demand("can_edit_site")
    sent = call.decode(SiteBody).data.attributes

    def run() -> bytes:
        call.world.update_site(
            call.editor,
            name=sent.name,
            timezone=sent.timezone,
            locales=sent.locales,
            environment=call.environment.id,
        )
        return get_site(call).body

    return as_job(call, run)


def activate_milliseconds(call: Call) -> Reply:
    """`PUT /site/activate-milliseconds-in-datetime`"""
    call.demand("can_edit_site")
    call.world.activate_milliseconds(call.editor, environment=call.environment.id)
    return get_site(call)


def activate_improved_timezone_management(call: Call) -> Reply:
    """`PUT /site/activate-improved-timezone-management`, a job."""
    call.demand("can_edit_site")

    def run() -> bytes:
        call.world.activate_improved_timezone_management(call.editor, environment=call.environment.id)
        return get_site(call).body

    return as_job(call, run)


def list_models(call: Call) -> Reply:
    """`GET /item-types`"""
    writer = call.writer()
    return json_reply([writer.model(model) for model in named_models(call)])


def get_model(call: Call) -> Reply:
    """`GET /item-types/:id`"""
    return json_reply(call.writer().model(named_model(call, call.ids["model_id"])))


def list_fields(call: Call) -> Reply:
    """`GET /item-types/:id/fields`"""
    writer = call.writer()
    return json_reply([writer.field(field) for field in named_model(call, call.ids["model_id"]).ordered_fields])


def get_field(call: Call) -> Reply:
    """`GET /fields/:id`"""
    return json_reply(call.writer().field(call.environment.field(call.ids["field_id"])))


def list_workflows(call: Call) -> Reply:
    """`GET /workflows`"""
    return json_reply([_workflow(workflow) for workflow in call.environment.workflows.values()])


def get_workflow(call: Call) -> Reply:
    """`GET /workflows/:id`"""
    if workflow := call.environment.workflows.get(call.ids["workflow_id"]):
        return json_reply(_workflow(workflow))
    raise not_found("workflow", call.ids["workflow_id"])


def _workflow(workflow: Workflow) -> Resource:
    stages = [
        {"id": stage, "name": stage.capitalize(), "description": None, "initial": stage == workflow.stages[0]}
        for stage in workflow.stages
    ]
    return Resource(workflow.id, "workflow", {"name": workflow.name, "api_key": workflow.api_key, "stages": stages})


ROUTES = (
    Route("GET", "/site", get_site),
    Route("PUT", "/site", update_site),
    Route("PUT", "/site/activate-milliseconds-in-datetime", activate_milliseconds),
    Route("PUT", "/site/activate-improved-timezone-management", activate_improved_timezone_management),
    Route("GET", "/item-types", list_models),
    Route("GET", "/item-types/{model_id}", get_model),
    Route("GET", "/item-types/{model_id}/fields", list_fields),
    Route("GET", "/fields/{field_id}", get_field),
    Route("GET", "/workflows", list_workflows),
    Route("GET", "/workflows/{workflow_id}", get_workflow),
)
