"""The schema: models, fields, fieldsets, workflows."""

from __future__ import annotations

from typing import Any, Final

from versionsync.simulator.api.bodies import SentResource
from versionsync.simulator.api.listing import named_model, named_models
from versionsync.simulator.api.request import Request, Response, Routes, as_job, json_response
from versionsync.simulator.errors import named
from versionsync.simulator.world.models import MODEL_FIELDS, Field, Model, Workflow
from versionsync.simulator.world.serialization import (
    FIELD_ATTRIBUTES,
    FIELDSET_ATTRIBUTES,
    MODEL_ATTRIBUTES,
    Resource,
)
from versionsync.simulator.world.world import World

__all__ = ["ROUTES"]

ROUTES: Final = Routes()


@ROUTES("GET /item-types")
def list_models(request: Request) -> Response:
    serializer = request.serializer()
    return json_response([serializer.model(model) for model in named_models(request)])


@ROUTES("GET /item-types/{model_id}")
def get_model(request: Request) -> Response:
    return json_response(request.serializer().model(named_model(request, request.ids["model_id"])))


@ROUTES("POST /item-types", needs="can_edit_schema")
def create_model(request: Request) -> Response:
    sent = request.sent()
    sent.text("name")
    settings = {**_model_settings(sent), "api_key": sent.text("api_key")}
    model = request.act(World.create_model, id=sent.id, **settings)
    return json_response(request.serializer().model(model), status=201)


@ROUTES("PUT /item-types/{model_id}", needs="can_edit_schema")
def update_model(request: Request) -> Response:
    """Change a model, as a job if the switch `updating_models_is_job` is on."""
    settings, model = _model_settings(request.sent()), _model(request)

    def run() -> Response:
        return json_response(request.serializer().model(request.act(World.update_model, model.id, **settings)))

    return as_job(request, run) if request.world.options.updating_models_is_job else run()


@ROUTES("DELETE /item-types/{model_id}", needs="can_edit_schema")
def destroy_model(request: Request) -> Response:
    model = _model(request)

    def run() -> Response:
        return json_response(request.serializer().model(request.act(World.destroy_model, model.id)))

    return as_job(request, run)


@ROUTES("POST /item-types/{model_id}/duplicate", needs="can_edit_schema")
def duplicate_model(request: Request) -> Response:
    copy = request.act(World.duplicate_model, _model(request).id)
    return json_response(request.serializer().model(copy), status=201)


def _model(request: Request) -> Model:
    return request.environment.model(request.ids["model_id"])


def _model_settings(sent: SentResource) -> dict[str, Any]:
    found = sent.settings({name: type for name, (_, type) in MODEL_ATTRIBUTES.items()}, "name", "api_key")
    settings = {MODEL_ATTRIBUTES[name][0]: value for name, value in found.items()}
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
    sent, model = request.sent(), _model(request)
    sent.text("label")
    settings = {**_field_settings(sent), "api_key": sent.text("api_key"), "field_type": sent.text("field_type")}

    def run() -> Response:
        return _field_response(request, request.act(World.create_field, model, id=sent.id, **settings), model)

    return as_job(request, run, status=201)


@ROUTES("PUT /fields/{field_id}", needs="can_edit_schema")
def update_field(request: Request) -> Response:
    settings, field = _field_settings(request.sent()), _field(request)
    return as_job(request, lambda: _field_response(request, request.act(World.update_field, field.id, **settings)))


@ROUTES("DELETE /fields/{field_id}", needs="can_edit_schema")
def destroy_field(request: Request) -> Response:
    field = _field(request)
    model = request.environment.models[field.model_id]
    return as_job(request, lambda: _field_response(request, request.act(World.destroy_field, field.id), model))


@ROUTES("POST /fields/{field_id}/duplicate", needs="can_edit_schema")
def duplicate_field(request: Request) -> Response:
    field = _field(request)
    model = request.environment.models[field.model_id]

    def run() -> Response:
        return _field_response(request, request.act(World.duplicate_field, field.id), model)

    return as_job(request, run, status=201)


def _field(request: Request) -> Field:
    return request.environment.field(request.ids["field_id"])


def _field_settings(sent: SentResource) -> dict[str, Any]:
    settings = sent.settings(FIELD_ATTRIBUTES, "label", "api_key")
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
    sent, model = request.sent(), _model(request)
    settings = {**sent.settings(FIELDSET_ATTRIBUTES), "title": sent.text("title")}
    fieldset = request.act(World.create_fieldset, model.id, id=sent.id, **settings)
    serializer = request.serializer()
    return json_response(serializer.fieldset(fieldset), status=201, included=[serializer.model(model)])


@ROUTES("PUT /fieldsets/{fieldset_id}", needs="can_edit_schema")
def update_fieldset(request: Request) -> Response:
    settings = request.sent().settings(FIELDSET_ATTRIBUTES, "title")
    changed = request.act(World.update_fieldset, request.ids["fieldset_id"], **settings)
    return json_response(request.serializer().fieldset(changed))


@ROUTES("DELETE /fieldsets/{fieldset_id}", needs="can_edit_schema")
def destroy_fieldset(request: Request) -> Response:
    destroyed = request.act(World.destroy_fieldset, request.ids["fieldset_id"])
    return json_response(request.serializer().fieldset(destroyed))


@ROUTES("GET /workflows")
def list_workflows(request: Request) -> Response:
    return json_response([_workflow(workflow) for workflow in request.environment.workflows.values()])


@ROUTES("GET /workflows/{workflow_id}")
def get_workflow(request: Request) -> Response:
    return json_response(_workflow(named("workflow", request.ids["workflow_id"], request.environment.workflows)))


def _workflow(workflow: Workflow) -> Resource:
    stages = [
        {"id": stage, "name": stage.capitalize(), "description": None, "initial": stage == workflow.stages[0]}
        for stage in workflow.stages
    ]
    return Resource(workflow.id, "workflow", {"name": workflow.name, "api_key": workflow.api_key, "stages": stages})
