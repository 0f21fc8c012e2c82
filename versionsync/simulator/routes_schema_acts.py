"""Writing the schema: models and fields. All but the making of a model are jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from versionsync.simulator.calls import Call, Reply, Route, encode, json_reply
from versionsync.simulator.models import MODEL_FIELDS, Field, Model
from versionsync.simulator.resources import Document
from versionsync.simulator.routes_jobs import as_job
from versionsync.simulator.sent import SentBody, SentResource

__all__ = ["ROUTES"]

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


def create_model(call: Call) -> Reply:
    """`POST /item-types`"""
    sent = _sent(call)
    sent.text("name")
    api_key, settings = sent.text("api_key"), _model_settings(sent)
    del settings["api_key"]
    model = call.world.create_model(call.editor, api_key, id=sent.id, environment=call.environment.id, **settings)
    return json_reply(call.writer().model(model), status=201)


def update_model(call: Call) -> Reply:
    """`PUT /item-types/:id`, a job, unless the switch `updating_models_is_job` says otherwise."""
    settings = _model_settings(_sent(call))
    model = call.environment.model(call.ids["model_id"])

    def run() -> bytes:
        return _model(call, call.world.update_model(call.editor, model.id, environment=call.environment.id, **settings))

    return as_job(call, run) if call.world.switches.updating_models_is_job else Reply(run())


def destroy_model(call: Call) -> Reply:
    """`DELETE /item-types/:id`, a job."""
    call.demand("can_edit_schema")
    model = call.environment.model(call.ids["model_id"])
    return as_job(
        call, lambda: _model(call, call.world.destroy_model(call.editor, model.id, environment=call.environment.id))
    )


def duplicate_model(call: Call) -> Reply:
    """`POST /item-types/:id/duplicate`"""
    call.demand("can_edit_schema")
    model = call.environment.model(call.ids["model_id"])
    copy = call.world.duplicate_model(call.editor, model.id, environment=call.environment.id)
    return json_reply(call.writer().model(copy), status=201)


def create_field(call: Call) -> Reply:
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


def update_field(call: Call) -> Reply:
    """`PUT /fields/:id`, a job."""
    settings = _field_settings(_sent(call))
    field = call.environment.field(call.ids["field_id"])

    def run() -> bytes:
        return _field(call, call.world.update_field(call.editor, field.id, environment=call.environment.id, **settings))

    return as_job(call, run)


def destroy_field(call: Call) -> Reply:
    """`DELETE /fields/:id`, a job."""
    call.demand("can_edit_schema")
    field = call.environment.field(call.ids["field_id"])
    model = call.environment.models[field.model_id]
    return as_job(
        call,
        lambda: _field(call, call.world.destroy_field(call.editor, field.id, environment=call.environment.id), model),
    )


def duplicate_field(call: Call) -> Reply:
    """`POST /fields/:id/duplicate`, a job."""
    call.demand("can_edit_schema")
    field = call.environment.field(call.ids["field_id"])
    model = call.environment.models[field.model_id]
    return as_job(
        call,
        lambda: _field(call, call.world.duplicate_field(call.editor, field.id, environment=call.environment.id), model),
        status=201,
    )


def _sent(call: Call) -> SentResource:
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


def _model(call: Call, model: Model) -> bytes:
    return encode(Document(call.writer().model(model)))


def _field(call: Call, field: Field, beside: Model | None = None) -> bytes:
    """The answer about *field*, with its model *beside* it where the request changes that, too."""
    writer = call.writer()
    return encode(Document(writer.field(field), included=None if beside is None else [writer.model(beside)]))


ROUTES = (
    Route("POST", "/item-types", create_model),
    Route("PUT", "/item-types/{model_id}", update_model),
    Route("DELETE", "/item-types/{model_id}", destroy_model),
    Route("POST", "/item-types/{model_id}/duplicate", duplicate_model),
    Route("POST", "/item-types/{model_id}/fields", create_field),
    Route("PUT", "/fields/{field_id}", update_field),
    Route("DELETE", "/fields/{field_id}", destroy_field),
    Route("POST", "/fields/{field_id}/duplicate", duplicate_field),
)
