"""Who there is: collaborators, single sign-on users, and whoever asks."""

from __future__ import annotations

from collections.abc import Callable

from versionsync.simulator.calls import Call, Reply, Route, json_reply
from versionsync.simulator.editors import Editor, EditorKind
from versionsync.simulator.persons import person_resource
from versionsync.simulator.problems import invalid_params, not_found
from versionsync.simulator.resources import Resource
from versionsync.simulator.routes_roles import role_resource

__all__ = ["ROUTES", "person"]


def person(call: Call, editor: Editor) -> Resource:
    """The resource of any kind of editor; a token's secret only for those who manage tokens."""
    tells_secret = call.role.can("can_manage_access_tokens")
    return person_resource(call.world.people, editor, call.now, tells_secret=tells_secret)


def _list(kind: EditorKind, ability: str) -> Callable[[Call], Reply]:
    def handler(call: Call) -> Reply:
        call.demand(ability)
        return json_reply([person(call, editor) for editor in call.world.people.of_kind(kind)])

    return handler


def _get(kind: EditorKind, ability: str) -> Callable[[Call], Reply]:
    def handler(call: Call) -> Reply:
        call.demand(ability)
        if editor := call.world.people.editors.get((kind.value, call.ids["id"])):
            return json_reply(person(call, editor))
        raise not_found(kind.value, call.ids["id"])

    return handler


def get_me(call: Call) -> Reply:
    """`GET /users/me`: whoever the token speaks for, with its role when `include` asks for it."""
    wanted = call.query.get("include")
    if wanted not in (None, "role"):
        raise invalid_params("include", f"unknown: {wanted}")
    included = None if wanted is None else [role_resource(call, call.role)]
    return json_reply(person(call, call.editor), included=included)


ROUTES = (
    Route("GET", "/users", _list(EditorKind.USER, "can_manage_users")),
    Route("GET", "/users/me", get_me),
    Route("GET", "/users/{id}", _get(EditorKind.USER, "can_manage_users")),
    Route("GET", "/sso-users", _list(EditorKind.SSO_USER, "can_manage_users")),
    Route("GET", "/sso-users/{id}", _get(EditorKind.SSO_USER, "can_manage_users")),
)
