"""Who there is: collaborators, single sign-on users, and whoever asks."""

from __future__ import annotations

from collections.abc import Callable

from versionsync.simulator.api.request import Request, Response, Route, json_response
from versionsync.simulator.api.roles import role_resource
from versionsync.simulator.errors import invalid_params, not_found
from versionsync.simulator.world.people import Editor, EditorKind
from versionsync.simulator.world.persons import person_resource
from versionsync.simulator.world.serialization import Resource

__all__ = ["ROUTES", "person"]


def person(call: Request, editor: Editor) -> Resource:
    """The resource of any kind of editor; a token's secret only for those who manage tokens."""
    tells_secret = call.role.can("can_manage_access_tokens")
    return person_resource(call.world.people, editor, call.now, tells_secret=tells_secret)


def _list(kind: EditorKind, ability: str) -> Callable[[Request], Response]:
    def handler(call: Request) -> Response:
        call.demand(ability)
        return json_response([person(call, editor) for editor in call.world.people.of_kind(kind)])

    return handler


def _get(kind: EditorKind, ability: str) -> Callable[[Request], Response]:
    def handler(call: Request) -> Response:
        call.demand(ability)
        if editor := call.world.people.editors.get((kind.value, call.ids["id"])):
            return json_response(person(call, editor))
        raise not_found(kind.value, call.ids["id"])

    return handler


def get_me(call: Request) -> Response:
    """`GET /users/me`: whoever the token speaks for, with its role when `include` asks for it."""
    wanted = call.query.get("include")
    if wanted not in (None, "role"):
        raise invalid_params("include", f"unknown: {wanted}")
    included = None if wanted is None else [role_resource(call, call.role)]
    return json_response(person(call, call.editor), included=included)


ROUTES = (
    Route("GET", "/users", _list(EditorKind.USER, "can_manage_users")),
    Route("GET", "/users/me", get_me),
    Route("GET", "/users/{id}", _get(EditorKind.USER, "can_manage_users")),
    Route("GET", "/sso-users", _list(EditorKind.SSO_USER, "can_manage_users")),
    Route("GET", "/sso-users/{id}", _get(EditorKind.SSO_USER, "can_manage_users")),
)
