"""Collaborators, single sign-on users, roles and API tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from versionsync.simulator.api.bodies import SentResource
from versionsync.simulator.api.request import Handler, Request, Response, Routes, json_response
from versionsync.simulator.errors import invalid_format, invalid_params, not_found
from versionsync.simulator.world.people_roles_tokens import ABILITIES, LISTS, Editor, EditorKind, Role
from versionsync.simulator.world.serialization import TOKEN_ACCESS, Resource, members, person_resource, references

__all__ = ["ROUTES", "person", "role_resource"]

ROUTES: Final = Routes()

_ROLE_SETTINGS: Final[Mapping[str, object]] = {
    "name": str,
    "environments_access": Literal["all", "primary_only", "sandbox_only", "none"],
    **dict.fromkeys(ABILITIES, bool),
}
_PERMISSIONS: Final[Mapping[str, object]] = dict.fromkeys(LISTS, list[dict[str, Any]])
_ALL_RECORDS: Final = {"workflow": None, "on_stage": None, "on_creator": "anyone"}


def person(request: Request, editor: Editor) -> Resource:
    """Return the resource of any kind of editor; with a token's secret only for roles that manage tokens."""
    with_secret = request.role.can("can_manage_access_tokens")
    return person_resource(request.world.people, editor, request.now, with_secret=with_secret)


@ROUTES("GET /users/me")
def get_me(request: Request) -> Response:
    wanted = request.query.get("include")
    if wanted not in (None, "role"):
        raise invalid_params("include", f"unknown: {wanted}")
    included = None if wanted is None else [role_resource(request, request.role)]
    return json_response(person(request, request.editor), included=included)


def _list_of(kind: EditorKind) -> Handler:
    return lambda request: json_response([person(request, one) for one in request.world.people.of_kind(kind)])


def _getter_of(kind: EditorKind) -> Handler:
    def handler(request: Request) -> Response:
        if editor := request.world.people.editors.get((kind.value, request.ids["id"])):
            return json_response(person(request, editor))
        raise not_found(kind.value, request.ids["id"])

    return handler


for _path, _kind in (("/users", EditorKind.USER), ("/sso-users", EditorKind.SSO_USER)):
    ROUTES(f"GET {_path}", needs="can_manage_users")(_list_of(_kind))
    ROUTES(f"GET {_path}/{{id}}", needs="can_manage_users")(_getter_of(_kind))


@ROUTES("GET /roles", needs="can_manage_users")
def list_roles(request: Request) -> Response:
    return json_response([role_resource(request, role) for role in request.world.people.roles.values()])


@ROUTES("GET /roles/{id}", needs="can_manage_users")
def get_role(request: Request) -> Response:
    return json_response(role_resource(request, request.world.role(request.ids["id"])))


@ROUTES("POST /roles", needs="can_manage_users")
def create_role(request: Request) -> Response:
    sent = request.sent()
    settings = {**_role_settings(sent), "name": sent.text("name")}
    return json_response(role_resource(request, request.world.create_role(request.editor, **settings)), status=201)


@ROUTES("PUT /roles/{id}", needs="can_manage_users")
def update_role(request: Request) -> Response:
    settings = _role_settings(request.sent())
    changed = request.world.update_role(request.editor, request.ids["id"], **settings)
    return json_response(role_resource(request, changed))


@ROUTES("POST /roles/{id}/duplicate", needs="can_manage_users")
def duplicate_role(request: Request) -> Response:
    copy = request.world.duplicate_role(request.editor, request.ids["id"])
    return json_response(role_resource(request, copy), status=201)


@ROUTES("DELETE /roles/{id}", needs="can_manage_users")
def destroy_role(request: Request) -> Response:
    return json_response(role_resource(request, request.world.destroy_role(request.editor, request.ids["id"])))


def role_resource(request: Request, role: Role) -> Resource:
    """Return the resource of *role*: its own permissions, and the final ones with all that it inherits."""
    own = _permissions(request, role)
    attributes = {**members(role, "name", *ABILITIES, "environments_access"), **own}
    inherited = [_permissions(request, one) for one in role.lineage[1:]]
    final = {
        **{ability: role.can(ability) for ability in ABILITIES},
        "environments_access": role.final_environments_access,
        **{name: [*own[name], *(entry for lists in inherited for entry in lists[name])] for name in LISTS},
    }
    relationships = {"inherits_permissions_from": references("role", (parent.id for parent in role.parents))}
    return Resource(role.id, "role", attributes, relationships, {"final_permissions": final})


def _role_settings(sent: SentResource) -> dict[str, Any]:
    settings = sent.settings(_ROLE_SETTINGS, "name")
    if permissions := sent.settings(_PERMISSIONS):
        settings["permissions"] = permissions
    if (parents := sent.ids("inherits_permissions_from", "role")) is not None:
        settings["inherits"] = parents
    return settings


def _permissions(request: Request, role: Role) -> dict[str, list[Mapping[str, Any]]]:
    """Return the own permissions of *role*. Lists that it does not have allow all but its hidden models."""
    all_models = None if request.world.options.all_models_in_roles == "null" else ""
    environments = request.world.environments.values()
    anything = {"action": "all", "on_creator": "anyone", "localization_scope": "all", "locale": None}
    defaults: dict[str, list[Mapping[str, Any]]] = {
        **{name: [] for name in LISTS},
        "positive_item_type_permissions": [
            {**_ALL_RECORDS, **anything, "to_stage": None, "environment": one.id, "item_type": all_models}
            for one in environments
        ],
        "negative_item_type_permissions": [
            {**_ALL_RECORDS, "action": "read", "environment": environment.id, "item_type": model.id}
            for environment in environments
            for model in environment.models.values()
            if role.forbids_reading(model, environment.id)
        ],
        "positive_upload_permissions": [
            {**anything, "environment": one.id, "upload_collection": None} for one in environments
        ],
        "positive_build_trigger_permissions": [{"build_trigger": None}],
        "positive_search_index_permissions": [{"search_index": None}],
    }
    return defaults | {name: list(permissions) for name, permissions in role.permissions.items()}


ROUTES("GET /access_tokens", needs="can_manage_access_tokens")(_list_of(EditorKind.ACCESS_TOKEN))


@ROUTES("GET /access_tokens/{id}", needs="can_manage_access_tokens")
def get_token(request: Request) -> Response:
    return json_response(person(request, request.world.access_token(request.ids["id"]).editor))


@ROUTES("POST /access_tokens", needs="can_manage_access_tokens")
def create_token(request: Request) -> Response:
    name, role_id, access = _sent_token(request)
    if role_id is None:
        raise invalid_format("relationships.role is missing")
    created = request.world.create_access_token(request.editor, name, role_id, **access)
    return json_response(person(request, created.editor), status=201)


@ROUTES("PUT /access_tokens/{id}", needs="can_manage_access_tokens")
def update_token(request: Request) -> Response:
    name, role_id, access = _sent_token(request)
    id = request.ids["id"]
    changed = request.world.update_access_token(request.editor, id, name=name, role_id=role_id, **access)
    return json_response(person(request, changed.editor))


@ROUTES("POST /access_tokens/{id}/regenerate_token", needs="can_manage_access_tokens")
def regenerate_token(request: Request) -> Response:
    changed = request.world.regenerate_access_token(request.editor, request.ids["id"])
    return json_response(person(request, changed.editor))


@ROUTES("DELETE /access_tokens/{id}", needs="can_manage_access_tokens")
def destroy_token(request: Request) -> Response:
    """Delete a token; the query may name the editor who takes over what it created."""
    editor = request.world.access_token(request.ids["id"]).editor
    resource = person(request, editor)  # before the deletion: it has the secret of the token
    request.world.destroy_access_token(request.editor, editor.id, heir=_heir(request))
    return json_response(resource)


def _sent_token(request: Request) -> tuple[str, str | None, dict[str, Any]]:
    """Return the name, the role and the kinds of access of a request. Only the role may be missing."""
    sent = request.sent()
    name, access = sent.text("name"), sent.settings(TOKEN_ACCESS)
    for missing in TOKEN_ACCESS.keys() - access.keys():
        raise invalid_format(f"attributes.{missing} is missing")
    return name, sent.pointers(["role"], "role").get("role"), access


def _heir(request: Request) -> Editor | None:
    kind, id = request.query.get("destination_user_type"), request.query.get("destination_user_id")
    if kind is None and id is None:
        return None
    heir = request.world.people.editors.get((kind or "", id or ""))
    if heir is None or heir.id == request.ids["id"]:
        raise invalid_params("destination_user_id", f"there is no {kind} {id}")
    return heir
