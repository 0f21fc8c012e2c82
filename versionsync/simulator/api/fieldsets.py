"""Fieldsets: `/item-types/:id/fieldsets` and `/fieldsets`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from versionsync.simulator.api.listing import named_model
from versionsync.simulator.api.request import Request, Response, Route, json_response
from versionsync.simulator.api.sent import SentBody, SentResource

__all__ = ["ROUTES"]

_SETTINGS: Final[Mapping[str, object]] = {
    "title": str,
    "hint": str | None,
    "position": int,
    "collapsible": bool,
    "start_collapsed": bool,
}


def list_fieldsets(call: Request) -> Response:
    """`GET /item-types/:id/fieldsets`"""
    model, writer = named_model(call, call.ids["model_id"]), call.serializer()
    return json_response([writer.fieldset(fieldset) for fieldset in model.ordered_fieldsets])


def get_fieldset(call: Request) -> Response:
    """`GET /fieldsets/:id`"""
    return json_response(call.serializer().fieldset(call.environment.fieldset(call.ids["fieldset_id"])))


def create_fieldset(call: Request) -> Response:
    """`POST /item-types/:id/fieldsets`: the model is beside the answer."""
    sent, settings = _sent(call)
    title = sent.text("title")
    del settings["title"]
    model = call.environment.model(call.ids["model_id"])
    fieldset = call.world.create_fieldset(
        call.editor, model.id, title, id=sent.id, environment=call.environment.id, **settings
    )
    writer = call.serializer()
    return json_response(writer.fieldset(fieldset), status=201, included=[writer.model(model)])


def update_fieldset(call: Request) -> Response:
    """`PUT /fieldsets/:id`"""
    sent, settings = _sent(call)
    if "title" in settings:
        sent.text("title")
    changed = call.world.update_fieldset(
        call.editor, call.ids["fieldset_id"], environment=call.environment.id, **settings
    )
    return json_response(call.serializer().fieldset(changed))


def destroy_fieldset(call: Request) -> Response:
    """`DELETE /fieldsets/:id`"""
    call.demand("can_edit_schema")
    gone = call.world.destroy_fieldset(call.editor, call.ids["fieldset_id"], environment=call.environment.id)
    return json_response(call.serializer().fieldset(gone))


def _sent(call: Request) -> tuple[SentResource, dict[str, Any]]:
    call.demand("can_edit_schema")
    sent = call.decode(SentBody).data
    return sent, sent.settings(_SETTINGS)


ROUTES = (
    Route("GET", "/item-types/{model_id}/fieldsets", list_fieldsets),
    Route("POST", "/item-types/{model_id}/fieldsets", create_fieldset),
    Route("GET", "/fieldsets/{fieldset_id}", get_fieldset),
    Route("PUT", "/fieldsets/{fieldset_id}", update_fieldset),
    Route("DELETE", "/fieldsets/{fieldset_id}", destroy_fieldset),
)
