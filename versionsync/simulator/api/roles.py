"""Roles: `/roles`, what they may do, and how they look in an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from versionsync.simulator.api.request import Request, Response, Route, json_response
from versionsync.simulator.api.sent import SentBody, SentResource, malformed
from versionsync.simulator.world.people import ABILITIES, Role
from versionsync.simulator.world.permissions import LISTS
from versionsync.simulator.world.serialization import Resource

__all__ = ["ROUTES", "role_resource"]

_SETTINGS: Final[Mapping[str, object]] = {
    "name": str,
    "environments_access": Literal["all", "primary_only", "sandbox_only", "none"],
    **dict.fromkeys(ABILITIES, bool),
}
_PERMISSIONS: Final[Mapping[str, object]] = dict.fromkeys(LISTS, list[dict[str, Any]])


def list_roles(call: Request) -> Response:
    """`GET /roles`"""
    call.demand("can_manage_users")
    return json_response([role_resource(call, role) for role in call.world.people.roles.values()])


def get_role(call: Request) -> Response:
    """`GET /roles/:id`"""
    call.demand("can_manage_users")
    return json_response(role_resource(call, call.world.role(call.ids["id"])))


def create_role(call: Request) -> Response:
    """`POST /roles`"""
    sent = _sent(call)
    name, settings = sent.text("name"), _settings(sent)
    del settings["name"]
    return json_response(role_resource(call, call.world.create_role(call.editor, name, **settings)), status=201)


def update_role(call: Request) -> Response:
    """`PUT /roles/:id`"""
    sent = _sent(call)
    if "name" in sent.attributes:
        sent.text("name")
    return json_response(role_resource(call, call.world.update_role(call.editor, call.ids["id"], **_settings(sent))))


def duplicate_role(call: Request) -> Response:
    """`POST /roles/:id/duplicate`"""
    call.demand("can_manage_users")
    return json_response(role_resource(call, call.world.duplicate_role(call.editor, call.ids["id"])), status=201)


def destroy_role(call: Request) -> Response:
    """`DELETE /roles/:id`"""
    call.demand("can_manage_users")
    return json_response(role_resource(call, call.world.destroy_role(call.editor, call.ids["id"])))


def role_resource(call: Request, role: Role) -> Resource:
    """The resource of *role*: what it says itself, and what it may do with all that it inherits."""
    own = _permissions(call, role)
    attributes = {
        "name": role.name,
        **{ability: getattr(role, ability) for ability in ABILITIES},
        "environments_access": role.environments_access,
        **own,
    }
    inherited = [_permissions(call, one) for one in role.lineage[1:]]
    final = {
        **{ability: role.can(ability) for ability in ABILITIES},
        "environments_access": role.final_environments_access,
        **{name: [*own[name], *(entry for lists in inherited for entry in lists[name])] for name in LISTS},
    }
    parents = [{"id": parent.id, "type": "role"} for parent in role.parents]
    relationships = {"inherits_permissions_from": {"data": parents}}
    return Resource(role.id, "role", attributes, relationships, {"final_permissions": final})


def _sent(call: Request) -> SentResource:
    call.demand("can_manage_users")
    return call.decode(SentBody).data


def _settings(sent: SentResource) -> dict[str, Any]:
    settings = sent.settings(_SETTINGS)
    if permissions := sent.settings(_PERMISSIONS):
        settings["permissions"] = permissions
    match sent.relationships.get("inherits_permissions_from"):
        case None:
            pass
        case {"data": list(parents)}:
            settings["inherits"] = [_role_id(parent) for parent in parents]
        case _:
            raise malformed("relationships.inherits_permissions_from is no list of roles")
    return settings


def _role_id(sent: object) -> str:
    match sent:
        case {"id": str(id), "type": "role"}:
            return id
    raise malformed("relationships.inherits_permissions_from has something that is no role")


def _permissions(call: Request, role: Role) -> dict[str, list[Mapping[str, Any]]]:
    """The own permissions of *role*; where it says nothing: everything, but not to read records of hidden models."""
    all_models = None if call.world.options.all_models_in_roles == "null" else ""
    environments = call.world.environments.values()
    anything = {"action": "all", "on_creator": "anyone", "localization_scope": "all", "locale": None}
    unsaid: dict[str, list[Mapping[str, Any]]] = {
        **{name: [] for name in LISTS},
        "positive_item_type_permissions": [
            {**_OF_ALL_RECORDS, **anything, "to_stage": None, "environment": one.id, "item_type": all_models}
            for one in environments
        ],
        "negative_item_type_permissions": [
            {**_OF_ALL_RECORDS, "action": "read", "environment": environment.id, "item_type": model.id}
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
    return unsaid | {name: list(permissions) for name, permissions in role.permissions.items()}


_OF_ALL_RECORDS: Final = {"workflow": None, "on_stage": None, "on_creator": "anyone"}

ROUTES = (
    Route("GET", "/roles", list_roles),
    Route("POST", "/roles", create_role),
    Route("GET", "/roles/{id}", get_role),
    Route("PUT", "/roles/{id}", update_role),
    Route("DELETE", "/roles/{id}", destroy_role),
    Route("POST", "/roles/{id}/duplicate", duplicate_role),
)
