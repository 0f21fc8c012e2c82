"""Who there is: collaborators, single sign-on users, and whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from versionsync.simulator.calls import Call, Reply, Route, json_reply
from versionsync.simulator.editors import Editor, EditorKind
from versionsync.simulator.problems import invalid_params, not_found
from versionsync.simulator.resources import Resource, reference
from versionsync.simulator.routes_roles import role_resource

__all__ = ["ROUTES", "how_long_ago", "person"]


def person(call: Call, editor: Editor) -> Resource:
    """The resource of any kind of editor."""
    first, _, last = editor.name.partition(" ")
    roles = {"role": {"data": None} if editor.role_id is None else reference("role", editor.role_id)}
    match editor.kind:
        case EditorKind.ACCOUNT:
            attributes: dict[str, Any] = {
                "email": editor.email,
                "first_name": first,
                "last_name": last,
                "company": None,
            }
            return Resource(editor.id, "account", attributes)
        case EditorKind.ORGANIZATION:
            return Resource(editor.id, "organization", {"name": editor.name})
        case EditorKind.USER:
            attributes = {
                "email": editor.email,
                "full_name": editor.name,
                "is_active": editor.is_active,
                "is_2fa_active": False,
            }
            return Resource(editor.id, "user", attributes, roles, {"last_access": None})
        case EditorKind.SSO_USER:
            attributes = {
                "username": editor.email,
                "external_id": None,
                "is_active": editor.is_active,
                "first_name": first,
                "last_name": last,
            }
            return Resource(editor.id, "sso_user", attributes, {"groups": {"data": []}, **roles}, {"last_access": None})
        case EditorKind.ACCESS_TOKEN:
            token, is_told = call.world.people.token_of(editor.id), call.role.can("can_manage_access_tokens")
            attributes = {
                "name": editor.name,
                "token": token.secret if token and is_told else None,
                "can_access_cda": token.can_access_cda if token else True,
                "can_access_cda_preview": token.can_access_cda_preview if token else True,
                "can_access_cma": token.can_access_cma if token else True,
                "hardcoded_type": token.hardcoded_type if token else None,
                "last_cma_access": how_long_ago(call.world.people.last_used.get(editor.id), call.now),
                "last_cda_access": "never",
            }
            return Resource(editor.id, "access_token", attributes, roles)


def how_long_ago(at: datetime | None, now: datetime) -> str:
    """The word by which upstream says when a token was last used: from `today` to `last_month`, and `never`."""
    if at is None:
        return "never"
    day, today = at.date(), now.date()
    monday, first = today - timedelta(days=today.weekday()), today.replace(day=1)
    limits = (
        ("today", today),
        ("yesterday", today - timedelta(days=1)),
        ("this_week", monday),
        ("last_week", monday - timedelta(days=7)),
        ("this_month", first),
        ("last_month", (first - timedelta(days=1)).replace(day=1)),
    )
    return next((word for word, begins in limits if day >= begins), "never")


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
