"""The schema: models, fields, fieldsets, workflows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from versionsync.simulator.api.bodies import Body, SentResource
from versionsync.simulator.api.listing import named_model, named_models
from versionsync.simulator.api.request import Request, Response, Routes, as_job, json_response
from versionsync.simulator.errors import not_found
from versionsync.simulator.world.models import MODEL_FIELDS, Field, Model, Workflow
from versionsync.simulator.world.serialization import Resource

__all__ = ["ROUTES"]

ROUTES: Final = Routes()

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
"""The API's names of a model's settings; the names and types in `Model`."""

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
_FIELDSET_SETTINGS: Final[Mapping[str, object]] = {
    "title": str,
    "hint": str | None,
    "position": int,
    "collapsible": bool,
    "start_collapsed": bool,
}


@ROUTES("GET /item-types")
def list_models(request: Request) -> Response:
    serializer = request.serializer()
    return json_response([serializer.model(model) for model in named_models(request)])


@ROUTES("GET /item-types/{model_id}")
def get_model(request: Request) -> Response:
    return json_response(request.serializer().model(named_model(request, request.ids["model_id"])))


@ROUTES("POST /item-types", needs="can_edit_schema")
def create_model(request: Request) -> Response:
    sent = request.decode(Body[SentResource]).data
    sent.text("name")
    settings = {**_model_settings(sent), "api_key": sent.text("api_key")}
    model = request.world.create_model(request.editor, id=sent.id, environment=request.environment.id, **settings)
    return json_response(request.serializer().model(model), status=201)


@ROUTES("PUT /item-types/{model_id}", needs="can_edit_schema")
def update_model(request: Request) -> Response:
    """Change a model, as a job if the switch `updating_models_is_job` is on."""
    settings = _model_settings(request.decode(Body[SentResource]).data)
    model = _model(request)

    def run() -> Response:
        changed = request.world.update_model(request.editor, model.id, environment=request.environment.id, **settings)
        return json_response(request.serializer().model(changed))

    return as_job(request, run) if request.world.options.updating_models_is_job else run()


@ROUTES("DELETE /item-types/{model_id}", needs="can_edit_schema")
def destroy_model(request: Request) -> Response:
    model = _model(request)

    def run() -> Response:
        destroyed = request.world.destroy_model(request.editor, model.id, environment=request.environment.id)
        return json_response(request.serializer().model(destroyed))

    return as_job(request, run)


@ROUTES("POST /item-types/{model_id}/duplicate", needs="can_edit_schema")
def duplicate_model(request: Request) -> Response:
    copy = request.world.duplicate_model(request.editor, _model(request).id, environment=request.environment.id)
    return json_response(request.serializer().model(copy), status=201)


def _model(request: Request) -> Model:
    return request.environment.model(request.ids["model_id"])


def _model_settings(sent: SentResource) -> dict[str, Any]:
    found = sent.settings({name: type for name, (_, type) in _MODEL_SETTINGS.items()}, "name", "api_key")
    settings = {_MODEL_SETTINGS[name][0]: value for name, value in found.items()}
    if "workflow" in (pointers := sent.pointers(["workflow"], "workflow")):
        settings["workflow_id"] = pointers["workflow"]
    if chosen := sent.pointers(MODEL_FIELDS, "field"):
        settings["chosen_fields"] = chosen
    return settings


@ROUTES("GET /item-types/{model_id}/fields")
def list_fields(request: Request) -> Response:
    model, serializer = named_model(request, request.ids["model_id"]), request.serializer()
    return json_response([serializer.field(field) for field in model.ordered_fields])


@ROUTES("GET /fields/{field_id}")
def get_field(request: Request) -> Response:
    return json_response(request.serializer().field(_field(request)))


@ROUTES("POST /item-types/{model_id}/fields", needs="can_edit_schema")
def create_field(request: Request) -> Response:
    sent = request.decode(Body[SentResource]).data
    sent.text("label")
    settings = {**_field_settings(sent), "api_key": sent.text("api_key"), "field_type": sent.text("field_type")}
    model = _model(request)

    def run() -> Response:
        field = request.world.create_field(
            request.editor, model, id=sent.id, environment=request.environment.id, **settings
        )
        return _field_response(request, field, model)

    return as_job(request, run, status=201)


@ROUTES("PUT /fields/{field_id}", needs="can_edit_schema")
def update_field(request: Request) -> Response:
    settings = _field_settings(request.decode(Body[SentResource]).data)
    field = _field(request)

    def run() -> Response:
        changed = request.world.update_field(request.editor, field.id, environment=request.environment.id, **settings)
        return _field_response(request, changed)

    return as_job(request, run)


@ROUTES("DELETE /fields/{field_id}", needs="can_edit_schema")
def destroy_field(request: Request) -> Response:
    field = _field(request)
    model = request.environment.models[field.model_id]

    def run() -> Response:
        destroyed = request.world.destroy_field(request.editor, field.id, environment=request.environment.id)
        return _field_response(request, destroyed, model)

    return as_job(request, run)


@ROUTES("POST /fields/{field_id}/duplicate", needs="can_edit_schema")
def duplicate_field(request: Request) -> Response:
    field = _field(request)
    model = request.environment.models[field.model_id]

    def run() -> Response:
        copy = request.world.duplicate_field(request.editor, field.id, environment=request.environment.id)
        return _field_response(request, copy, model)

    return as_job(request, run, status=201)


def _field(request: Request) -> Field:
    return request.environment.field(request.ids["field_id"])


def _field_settings(sent: SentResource) -> dict[str, Any]:
    settings = sent.settings(_FIELD_SETTINGS, "label", "api_key")
    if "fieldset" in (pointers := sent.pointers(["fieldset"], "fieldset")):
        settings["fieldset_id"] = pointers["fieldset"]
    return settings


def _field_response(request: Request, field: Field, model: Model | None = None) -> Response:
    """Return the resource of *field*; includes its *model* if the request changed that, too."""
    serializer = request.serializer()
    return json_response(serializer.field(field), included=None if model is None else [serializer.model(model)])


@ROUTES("GET /item-types/{model_id}/fieldsets")
def list_fieldsets(request: Request) -> Response:
    model, serializer = named_model(request, request.ids["model_id"]), request.serializer()
    return json_response([serializer.fieldset(fieldset) for fieldset in model.ordered_fieldsets])


@ROUTES("GET /fieldsets/{fieldset_id}")
def get_fieldset(request: Request) -> Response:
    return json_response(request.serializer().fieldset(request.environment.fieldset(request.ids["fieldset_id"])))


@ROUTES("POST /item-types/{model_id}/fieldsets", needs="can_edit_schema")
def create_fieldset(request: Request) -> Response:
    sent = request.decode(Body[SentResource]).data
    settings = {**sent.settings(_FIELDSET_SETTINGS), "title": sent.text("title")}
    model = _model(request)
    fieldset = request.world.create_fieldset(
        request.editor, model.id, id=sent.id, environment=request.environment.id, **settings
    )
    serializer = request.serializer()
    return json_response(serializer.fieldset(fieldset), status=201, included=[serializer.model(model)])


@ROUTES("PUT /fieldsets/{fieldset_id}", needs="can_edit_schema")
def update_fieldset(request: Request) -> Response:
    settings = request.decode(Body[SentResource]).data.settings(_FIELDSET_SETTINGS, "title")
    changed = request.world.update_fieldset(
        request.editor, request.ids["fieldset_id"], environment=request.environment.id, **settings
    )
    return json_response(request.serializer().fieldset(changed))


@ROUTES("DELETE /fieldsets/{fieldset_id}", needs="can_edit_schema")
def destroy_fieldset(request: Request) -> Response:
    destroyed = request.world.destroy_fieldset(
        request.editor, request.ids["fieldset_id"], environment=request.environment.id
    )
    return json_response(request.serializer().fieldset(destroyed))


@ROUTES("GET /workflows")
def list_workflows(request: Request) -> Response:
    return json_response([_workflow(workflow) for workflow in request.environment.workflows.values()])


@ROUTES("GET /workflows/{workflow_id}")
def get_workflow(request: Request) -> Response:
    if workflow := request.environment.workflows.get(request.ids["workflow_id"]):
        return json_response(_workflow(workflow))
    raise not_found("workflow", request.ids["workflow_id"])


def _workflow(workflow: Workflow) -> Resource:
    stages = [
        {"id": stage, "name": stage.capitalize(), "description": None, "initial": stage == workflow.stages[0]}
        for stage in workflow.stages
    ]
    return Resource(workflow.id, "workflow", {"name": workflow.name, "api_key": workflow.api_key, "stages": stages})
