"""Writing the schema: models and fields. All but the making of a model are jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from versionsync.simulator.calls import Call, Reply, Route, encode, json_reply
from versionsync.simulator.models import Field, Model
from versionsync.simulator.problems import Refused
from versionsync.simulator.resources import Document
from versionsync.simulator.routes_jobs import as_job

__all__ = ["ROUTES"]

_MODEL_SETTINGS: Final[Mapping[str, str]] = {
    "name": "name",
    "api_key": "api_key",
    "singleton": "is_singleton",
    "modular_block": "is_block",
    "draft_mode_active": "draft_mode",
    "draft_saving_active": "draft_saving",
    "sortable": "sortable",
    "tree": "tree",
    "all_locales_required": "all_locales_required",
    "collection_appearance": "collection_appearance",
    "hint": "hint",
}
"""The API's names of a model's settings, and ours."""

_FIELD_SETTINGS: Final = frozenset(
    {
        *("label", "field_type", "api_key", "localized", "validators", "appearance", "position", "hint"),
        *("default_value", "deep_filtering_enabled"),
    }
)


class SentResource(msgspec.Struct):
    """A model or field as a request sends it."""

    id: str | None = None
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)
    relationships: dict[str, Any] = msgspec.field(default_factory=dict)


class Body(msgspec.Struct):
    """The body of such a request."""

    data: SentResource


def create_model(call: Call) -> Reply:
    """`POST /item-types`"""
    sent = _sent(call)
    settings = _model_settings(sent)
    api_key = _required(settings, "api_key")
    model = call.world.create_model(call.editor, api_key, id=sent.id, environment=call.environment.id, **settings)
    return json_reply(call.writer().model(model), status=201)


def update_model(call: Call) -> Reply:
    """`PUT /item-types/:id`, a job."""
    settings = _model_settings(_sent(call))
    model = call.environment.model(call.ids["model_id"])
    return as_job(
        call,
        lambda: _model(
            call, call.world.update_model(call.editor, model.id, environment=call.environment.id, **settings)
        ),
    )


def destroy_model(call: Call) -> Reply:
    """`DELETE /item-types/:id`, a job."""
    call.demand("can_edit_schema")
    model = call.environment.model(call.ids["model_id"])
    return as_job(
        call, lambda: _model(call, call.world.destroy_model(call.editor, model.id, environment=call.environment.id))
    )


def create_field(call: Call) -> Reply:
    """`POST /item-types/:id/fields`, a job."""
    sent = _sent(call)
    settings = _field_settings(sent)
    model = call.environment.model(call.ids["model_id"])
    api_key, field_type = _required(settings, "api_key"), _required(settings, "field_type")
    return as_job(
        call,
        lambda: _field(
            call,
            call.world.create_field(
                call.editor, model, api_key, field_type, id=sent.id, environment=call.environment.id, **settings
            ),
        ),
    )


def update_field(call: Call) -> Reply:
    """`PUT /fields/:id`, a job."""
    settings = _field_settings(_sent(call))
    field = call.environment.field(call.ids["field_id"])
    return as_job(
        call,
        lambda: _field(
            call, call.world.update_field(call.editor, field.id, environment=call.environment.id, **settings)
        ),
    )


def destroy_field(call: Call) -> Reply:
    """`DELETE /fields/:id`, a job."""
    call.demand("can_edit_schema")
    field = call.environment.field(call.ids["field_id"])
    return as_job(
        call, lambda: _field(call, call.world.destroy_field(call.editor, field.id, environment=call.environment.id))
    )


def _sent(call: Call) -> SentResource:
    call.demand("can_edit_schema")
    return call.decode(Body).data


def _model_settings(sent: SentResource) -> dict[str, Any]:
    settings = {_MODEL_SETTINGS[name]: value for name, value in sent.attributes.items() if name in _MODEL_SETTINGS}
    match sent.relationships.get("workflow"):
        case {"data": {"id": str(workflow_id)}}:
            settings["workflow_id"] = workflow_id
        case {"data": None}:
            settings["workflow_id"] = None
    return settings


def _field_settings(sent: SentResource) -> dict[str, Any]:
    return {name: value for name, value in sent.attributes.items() if name in _FIELD_SETTINGS}


def _required(settings: dict[str, Any], name: str) -> str:
    value = settings.pop(name, None)
    if not isinstance(value, str) or not value:
        raise Refused("INVALID_FORMAT", details={"reason": f"attributes.{name} is missing"})
    return value


def _model(call: Call, model: Model) -> bytes:
    return encode(Document(call.writer().model(model)))


def _field(call: Call, field: Field) -> bytes:
    return encode(Document(call.writer().field(field)))


ROUTES = (
    Route("POST", "/item-types", create_model),
    Route("PUT", "/item-types/{model_id}", update_model),
    Route("DELETE", "/item-types/{model_id}", destroy_model),
    Route("POST", "/item-types/{model_id}/fields", create_field),
    Route("PUT", "/fields/{field_id}", update_field),
    Route("DELETE", "/fields/{field_id}", destroy_field),
)
