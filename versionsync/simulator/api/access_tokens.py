"""API tokens: `/access_tokens`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from versionsync.simulator.api.people import person
from versionsync.simulator.api.request import Request, Response, Route, json_response
from versionsync.simulator.api.sent import SentBody, malformed
from versionsync.simulator.errors import invalid_params
from versionsync.simulator.world.people import Editor, EditorKind, Token
from versionsync.simulator.world.serialization import Resource

__all__ = ["ROUTES"]

_ACCESS: Final[Mapping[str, object]] = {"can_access_cda": bool, "can_access_cda_preview": bool, "can_access_cma": bool}


def list_tokens(call: Request) -> Response:
    """`GET /access_tokens`"""
    call.demand("can_manage_access_tokens")
    return json_response([person(call, editor) for editor in call.world.people.of_kind(EditorKind.ACCESS_TOKEN)])


def get_token(call: Request) -> Response:
    """`GET /access_tokens/:id`"""
    call.demand("can_manage_access_tokens")
    return json_response(_token(call, call.world.access_token(call.ids["id"])))


def create_token(call: Request) -> Response:
    """`POST /access_tokens`"""
    name, role_id, access = _sent(call)
    if role_id is None:
        raise malformed("relationships.role is missing")
    return json_response(_token(call, call.world.create_access_token(call.editor, name, role_id, **access)), status=201)


def update_token(call: Request) -> Response:
    """`PUT /access_tokens/:id`"""
    name, role_id, access = _sent(call)
    changed = call.world.update_access_token(call.editor, call.ids["id"], name=name, role_id=role_id, **access)
    return json_response(_token(call, changed))


def regenerate_token(call: Request) -> Response:
    """`POST /access_tokens/:id/regenerate_token`"""
    call.demand("can_manage_access_tokens")
    return json_response(_token(call, call.world.regenerate_access_token(call.editor, call.ids["id"])))


def destroy_token(call: Request) -> Response:
    """`DELETE /access_tokens/:id`: the query may say who takes over what the token made."""
    call.demand("can_manage_access_tokens")
    gone = call.world.access_token(call.ids["id"])
    resource = _token(call, gone)  # as it was: without the token there is no secret to tell
    call.world.destroy_access_token(call.editor, gone.editor.id, heir=_heir(call))
    return json_response(resource)


def _sent(call: Request) -> tuple[str, str | None, dict[str, Any]]:
    """The name, the role and the kinds of access of a request; all but the role must be there."""
    call.demand("can_manage_access_tokens")
    sent = call.decode(SentBody).data
    name, access = sent.text("name"), sent.settings(_ACCESS)
    for missing in _ACCESS.keys() - access.keys():
        raise malformed(f"attributes.{missing} is missing")
    return name, sent.pointers(["role"], "role").get("role"), access


def _heir(call: Request) -> Editor | None:
    kind, id = call.query.get("destination_user_type"), call.query.get("destination_user_id")
    if kind is None and id is None:
        return None
    heir = call.world.people.editors.get((kind or "", id or ""))
    if heir is None or heir.id == call.ids["id"]:
        raise invalid_params("destination_user_id", f"there is no {kind} {id}")
    return heir


def _token(call: Request, token: Token) -> Resource:
    return person(call, token.editor)


ROUTES = (
    Route("GET", "/access_tokens", list_tokens),
    Route("POST", "/access_tokens", create_token),
    Route("GET", "/access_tokens/{id}", get_token),
    Route("PUT", "/access_tokens/{id}", update_token),
    Route("DELETE", "/access_tokens/{id}", destroy_token),
    Route("POST", "/access_tokens/{id}/regenerate_token", regenerate_token),
)
