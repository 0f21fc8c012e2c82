"""Who there is: collaborators, single sign-on users, API tokens, roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from versionsync.simulator.calls import Call, Reply, Route, json_reply
from versionsync.simulator.editors import Editor, EditorKind, Role
from versionsync.simulator.problems import invalid_params, not_found
from versionsync.simulator.resources import Resource, reference

__all__ = ["ROUTES", "person"]


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
            token = next((token for token in call.world.people.tokens.values() if token.editor.id == editor.id), None)
            attributes = {
                "name": editor.name,
                "token": token.secret if token else None,
                "can_access_cda": True,
                "can_access_cda_preview": True,
                "can_access_cma": token.can_access_cma if token else True,
                "hardcoded_type": None,
                "last_cma_access": "today",
                "last_cda_access": "never",
            }
            return Resource(editor.id, "access_token", attributes, roles)


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
    included = None if wanted is None else [_role(call, call.role)]
    return json_reply(person(call, call.editor), included=included)


def list_roles(call: Call) -> Reply:
    """`GET /roles`"""
    call.demand("can_manage_users")
    return json_reply([_role(call, role) for role in call.world.people.roles.values()])


def get_role(call: Call) -> Reply:
    """`GET /roles/:id`"""
    call.demand("can_manage_users")
    if role := call.world.people.roles.get(call.ids["id"]):
        return json_reply(_role(call, role))
    raise not_found("role", call.ids["id"])


def _role(call: Call, role: Role) -> Resource:
    abilities = {
        **dict.fromkeys(_ABILITIES_OF_EVERYBODY, True),
        **{permissions: [] for permissions in _PERMISSIONS_NOT_SIMULATED},
        **_permissions(call, role),
        "can_edit_schema": role.can_edit_schema,
        "can_edit_site": role.can_edit_site,
        "can_manage_users": role.can_manage_users,
        "can_manage_access_tokens": role.can_manage_access_tokens,
        "can_manage_webhooks": role.can_manage_webhooks,
        "can_manage_environments": role.can_manage_environments,
        "can_promote_environments": role.can_manage_environments,
        "environments_access": role.environments_access,
    }
    return Resource(
        role.id,
        "role",
        {"name": role.name, **abilities},
        {"inherits_permissions_from": {"data": []}},
        {"final_permissions": abilities},
    )


def _permissions(call: Call, role: Role) -> dict[str, list[dict[str, Any]]]:
    """What *role* may do to records: everything, but not read those of hidden models."""
    all_models = None if call.world.switches.all_models_in_roles == "null" else ""
    of_everybody = {"item_type": all_models, "workflow": None, "on_creator": "anyone"}
    anything = {"action": "all", "on_stage": None, "to_stage": None, "localization_scope": "all", "locale": None}
    environments = call.world.environments.values()
    return {
        "positive_item_type_permissions": [
            {**of_everybody, **anything, "environment": environment.id} for environment in environments
        ],
        "negative_item_type_permissions": [
            {**of_everybody, "action": "read", "environment": environment.id, "item_type": model.id}
            for environment in environments
            for model in environment.models.values()
            if role.hides(model)
        ],
    }


_ABILITIES_OF_EVERYBODY: Final = (
    *("can_edit_favicon", "can_manage_menu", "can_edit_environment", "can_manage_shared_filters"),
    *("can_manage_upload_collections", "can_manage_build_triggers", "can_manage_search_indexes", "can_manage_sso"),
    *("can_access_audit_log", "can_manage_workflows", "can_perform_site_search", "can_access_build_events_log"),
    "can_access_search_index_events_log",
)
_PERMISSIONS_NOT_SIMULATED: Final = tuple(
    f"{sign}_{subject}_permissions"
    for subject in ("upload", "build_trigger", "search_index")
    for sign in ("positive", "negative")
)

ROUTES = (
    Route("GET", "/users", _list(EditorKind.USER, "can_manage_users")),
    Route("GET", "/users/me", get_me),
    Route("GET", "/users/{id}", _get(EditorKind.USER, "can_manage_users")),
    Route("GET", "/sso-users", _list(EditorKind.SSO_USER, "can_manage_users")),
    Route("GET", "/sso-users/{id}", _get(EditorKind.SSO_USER, "can_manage_users")),
    Route("GET", "/access_tokens", _list(EditorKind.ACCESS_TOKEN, "can_manage_access_tokens")),
    Route("GET", "/access_tokens/{id}", _get(EditorKind.ACCESS_TOKEN, "can_manage_access_tokens")),
    Route("GET", "/roles", list_roles),
    Route("GET", "/roles/{id}", get_role),
)
