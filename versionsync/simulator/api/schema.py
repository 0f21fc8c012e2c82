"""Reading the schema: `/site`, `/item-types`, fields, workflows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from versionsync.simulator.api.job_routes import as_job
from versionsync.simulator.api.listing import named_model, named_models
from versionsync.simulator.api.people import person
from versionsync.simulator.api.request import Request, Response, Route, encode, json_response
from versionsync.simulator.api.sent import SentBody, SentResource
from versionsync.simulator.errors import invalid_params, not_found
from versionsync.simulator.world.models import MODEL_FIELDS, Field, Model, Workflow
from versionsync.simulator.world.people import EditorKind
from versionsync.simulator.world.serialization import Document, Resource, reference

__all__ = ["ROUTES", "WRITE_ROUTES"]

_MODEL_SETTINGS: Final[Mapping[str, tuple[str, object]]] = {
    "name": ("name", str),
    "api_key": ("api_key", str),
    "singleton": ("is_singleton", bool),
    "modular_block": ("is_block", bool),
    "draft_mode_active": ("draft_mode", bool),
    "draft_saving_active": ("draft_saving", bool),
    "sortable": ("sortable", bool),
    "tree": ("tree", bool),
    "all_locales_required": ("all_locales_required", bool),
    "collection_appearance": ("collection_appearance", Literal["compact", "table"]),
    "ordering_direction": ("ordering_direction", Literal["asc", "desc"] | None),
    "ordering_meta": (
        "ordering_meta",
        Literal["created_at", "updated_at", "first_published_at", "published_at"] | None,
    ),
    "inverse_relationships_enabled": ("inverse_relationships_enabled", bool),
    "hint": ("hint", str | None),
}
"""The API's names of a model's settings, and ours with the type of each."""

_FIELD_SETTINGS: Final[Mapping[str, object]] = {
    "label": str,
    "field_type": str,
    "api_key": str,
    "localized": bool,
    "validators": dict[str, Any],
    "appearance": dict[str, Any] | None,
    "position": int,
    "hint": str | None,
    "default_value": Any,
    "deep_filtering_enabled": bool,
    "content_link_enabled": bool,
}


def create_model(call: Request) -> Response:
    """`POST /item-types`"""
    sent = _sent(call)
    sent.text("name")
    api_key, settings = sent.text("api_key"), _model_settings(sent)
    del settings["api_key"]
    model = call.world.create_model(call.editor, api_key, id=sent.id, environment=call.environment.id, **settings)
    return json_response(call.serializer().model(model), status=201)


def update_model(call: Request) -> Response:
    """`PUT /item-types/:id`, a job, unless the switch `updating_models_is_job` says otherwise."""
    settings = _model_settings(_sent(call))
    model = call.environment.model(call.ids["model_id"])

    def run() -> bytes:
        return _model(call, call.world.update_model(call.editor, model.id, environment=call.environment.id, **settings))

    return as_job(call, run) if call.world.options.updating_models_is_job else Response(run())


def destroy_model(call: Request) -> Response:
    """`DELETE /item-types/:id`, a job."""
    call.demand("can_edit_schema")
    model = call.environment.model(call.ids["model_id"])
    return as_job(
        call, lambda: _model(call, call.world.destroy_model(call.editor, model.id, environment=call.environment.id))
    )


def duplicate_model(call: Request) -> Response:
    """`POST /item-types/:id/duplicate`"""
    call.demand("can_edit_schema")
    model = call.environment.model(call.ids["model_id"])
    copy = call.world.duplicate_model(call.editor, model.id, environment=call.environment.id)
    return json_response(call.serializer().model(copy), status=201)


def create_field(call: Request) -> Response:
    """`POST /item-types/:id/fields`, a job."""
    sent = _sent(call)
    sent.text("label")
    api_key, field_type, settings = sent.text("api_key"), sent.text("field_type"), _field_settings(sent)
    del settings["api_key"], settings["field_type"]
    model = call.environment.model(call.ids["model_id"])

    def run() -> bytes:
        field = call.world.create_field(
            call.editor, model, api_key, field_type, id=sent.id, environment=call.environment.id, **settings
        )
        return _field(call, field, model)

    return as_job(call, run, status=201)


def update_field(call: Request) -> Response:
    """`PUT /fields/:id`, a job."""
    settings = _field_settings(_sent(call))
    field = call.environment.field(call.ids["field_id"])

    def run() -> bytes:
        return _field(call, call.world.update_field(call.editor, field.id, environment=call.environment.id, **settings))

    return as_job(call, run)


def destroy_field(call: Request) -> Response:
    """`DELETE /fields/:id`, a job."""
    call.demand("can_edit_schema")
    field = call.environment.field(call.ids["field_id"])
    model = call.environment.models[field.model_id]
    return as_job(
        call,
        lambda: _field(call, call.world.destroy_field(call.editor, field.id, environment=call.environment.id), model),
    )


def duplicate_field(call: Request) -> Response:
    """`POST /fields/:id/duplicate`, a job."""
    call.demand("can_edit_schema")
    field = call.environment.field(call.ids["field_id"])
    model = call.environment.models[field.model_id]
    return as_job(
        call,
        lambda: _field(call, call.world.duplicate_field(call.editor, field.id, environment=call.environment.id), model),
        status=201,
    )


def _sent(call: Request) -> SentResource:
    call.demand("can_edit_schema")
    return call.decode(SentBody).data


def _model_settings(sent: SentResource) -> dict[str, Any]:
    found = sent.settings({name: form for name, (_, form) in _MODEL_SETTINGS.items()})
    settings = {_MODEL_SETTINGS[name][0]: value for name, value in found.items()}
    for name in ("name", "api_key"):
        if name in settings:
            sent.text(name)
    if "workflow" in (pointers := sent.pointers(["workflow"], "workflow")):
        settings["workflow_id"] = pointers["workflow"]
    if chosen := sent.pointers(MODEL_FIELDS, "field"):
        settings["chosen_fields"] = chosen
    return settings


def _field_settings(sent: SentResource) -> dict[str, Any]:
    settings = sent.settings(_FIELD_SETTINGS)
    for name in ("label", "api_key"):
        if name in settings:
            sent.text(name)
    if "fieldset" in (pointers := sent.pointers(["fieldset"], "fieldset")):
        settings["fieldset_id"] = pointers["fieldset"]
    return settings


def _model(call: Request, model: Model) -> bytes:
    return encode(Document(call.serializer().model(model)))


def _field(call: Request, field: Field, beside: Model | None = None) -> bytes:
    """The answer about *field*, with its model *beside* it where the request changes that, too."""
    writer = call.serializer()
    return encode(Document(writer.field(field), included=None if beside is None else [writer.model(beside)]))


WRITE_ROUTES = (
    Route("POST", "/item-types", create_model),
    Route("PUT", "/item-types/{model_id}", update_model),
    Route("DELETE", "/item-types/{model_id}", destroy_model),
    Route("POST", "/item-types/{model_id}/duplicate", duplicate_model),
    Route("POST", "/item-types/{model_id}/fields", create_field),
    Route("PUT", "/fields/{field_id}", update_field),
    Route("DELETE", "/fields/{field_id}", destroy_field),
    Route("POST", "/fields/{field_id}/duplicate", duplicate_field),
)


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


def get_site(call: Request) -> Response:
    """`GET /site`, with the whole schema when `include` asks for it."""
    world, where, writer = call.world, call.environment, call.serializer()
    wanted = {part.strip() for part in call.query.get("include", "").split(",") if part.strip()}
    if unknown := wanted - INCLUDABLE:
        raise invalid_params("include", f"unknown: {', '.join(sorted(unknown))}")
    switches, models = world.options, named_models(call)
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
    return json_response(site, included=included if wanted else None)


def update_site(call: Request) -> Response:
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


def activate_milliseconds(call: Request) -> Response:
    """`PUT /site/activate-milliseconds-in-datetime`"""
    call.demand("can_edit_site")
    call.world.activate_milliseconds(call.editor, environment=call.environment.id)
    return get_site(call)


def activate_improved_timezone_management(call: Request) -> Response:
    """`PUT /site/activate-improved-timezone-management`, a job."""
    call.demand("can_edit_site")

    def run() -> bytes:
        call.world.activate_improved_timezone_management(call.editor, environment=call.environment.id)
        return get_site(call).body

    return as_job(call, run)


def list_models(call: Request) -> Response:
    """`GET /item-types`"""
    writer = call.serializer()
    return json_response([writer.model(model) for model in named_models(call)])


def get_model(call: Request) -> Response:
    """`GET /item-types/:id`"""
    return json_response(call.serializer().model(named_model(call, call.ids["model_id"])))


def list_fields(call: Request) -> Response:
    """`GET /item-types/:id/fields`"""
    writer = call.serializer()
    return json_response([writer.field(field) for field in named_model(call, call.ids["model_id"]).ordered_fields])


def get_field(call: Request) -> Response:
    """`GET /fields/:id`"""
    return json_response(call.serializer().field(call.environment.field(call.ids["field_id"])))


def list_workflows(call: Request) -> Response:
    """`GET /workflows`"""
    return json_response([_workflow(workflow) for workflow in call.environment.workflows.values()])


def get_workflow(call: Request) -> Response:
    """`GET /workflows/:id`"""
    if workflow := call.environment.workflows.get(call.ids["workflow_id"]):
        return json_response(_workflow(workflow))
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
