"""Roles that are made through the API, and what they let a token do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.simulator.conftest import Served
from versionsync.simulator import Editor, EditorKind, Token, World

READ_ALL = {"environment": "main", "action": "read", "on_creator": "anyone"}


def role_body(*, inherits: list[str] | None = None, **attributes: Any) -> dict[str, Any]:
    """The body of a request about a role."""
    data: dict[str, Any] = {"type": "role", "attributes": attributes}
    if inherits is not None:
        parents = [{"type": "role", "id": id} for id in inherits]
        data["relationships"] = {"inherits_permissions_from": {"data": parents}}
    return {"data": data}


def reading(*positive: dict[str, Any], without: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """The lists of a role that may do *positive*, but not *without*."""
    return {"positive_item_type_permissions": positive, "negative_item_type_permissions": without}


def made(served: Served, **order: Any) -> Any:
    """A new role, as the answer describes it."""
    return served.send("POST", "/roles", role_body(**order), status=201)["data"]


def token_with(served: Served, role_id: str) -> dict[str, str]:
    """The header of a token with this role."""

    def add(world: World) -> None:
        editor = Editor(EditorKind.ACCESS_TOKEN, world.ids.number(), "Narrow", role_id=role_id)
        world.people.add_token(Token("narrow", editor, world.people.roles[role_id]))

    served.act(add)
    return {"Authorization": "Bearer narrow"}


def listed(served: Served, header: dict[str, str]) -> int:
    """How many records the token sees."""
    total: int = served.http.get("/items?filter[type]=post", headers=header).json()["meta"]["total_count"]
    return total


def test_a_project_begins_with_two_roles(served: Served) -> None:
    """As upstream's do: administrators, who may do everything, and editors, who may not change the project."""
    admin, editor = served.get("/roles")["data"]
    assert (admin["attributes"]["name"], editor["attributes"]["name"]) == ("Admin", "Editor")
    assert (admin["attributes"]["can_edit_schema"], editor["attributes"]["can_edit_schema"]) == (True, False)
    assert editor["attributes"]["environments_access"] == "primary_only"
    assert editor["attributes"]["positive_item_type_permissions"][0]["action"] == "all"


def test_a_new_role_may_do_what_is_said_and_nothing_else(served: Served) -> None:
    role = made(served, name="Translator", can_edit_site=True, **reading(READ_ALL))
    attributes = role["attributes"]
    assert attributes["positive_item_type_permissions"] == [READ_ALL]
    assert attributes["positive_upload_permissions"] == []
    assert [name for name, value in attributes.items() if value is True] == ["can_edit_site"]
    assert attributes["environments_access"] == "primary_only"
    assert served.get(f"/roles/{role['id']}")["data"] == role


def test_where_a_new_role_may_go_is_a_switch(served: Served) -> None:
    served.http.post("/_simulator/switches", json={"environments_of_new_roles": "all"})
    assert made(served, name="R")["attributes"]["environments_access"] == "all"
    assert made(served, name="R", environments_access="none")["attributes"]["environments_access"] == "none"


def test_a_change_leaves_what_it_does_not_name(served: Served) -> None:
    role = made(served, name="A", can_edit_site=True, **reading(READ_ALL))
    changed = served.send("PUT", f"/roles/{role['id']}", role_body(name="B"))["data"]
    assert changed["attributes"] == role["attributes"] | {"name": "B"}
    changed = served.send("PUT", f"/roles/{role['id']}", role_body(**reading()))["data"]
    assert changed["attributes"]["positive_item_type_permissions"] == []
    assert changed["attributes"]["can_edit_site"] is True


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"name": ""},
        {"name": "R", "can_edit_site": "yes"},
        {"name": "R", "environments_access": "some"},
        {"name": "R", "positive_item_type_permissions": [READ_ALL]},
        {"name": "R", "positive_item_type_permissions": "all", "negative_item_type_permissions": []},
        {"name": "R", **reading({"environment": "main", "action": "look", "on_creator": "anyone"})},
        {"name": "R", **reading({"action": "read", "on_creator": "anyone"})},
        {"name": "R", **reading({"environment": "main", "action": "read"})},
        {"name": "R", **reading(READ_ALL | {"on_creator": "nobody"})},
        {"name": "R", **reading(READ_ALL | {"localization_scope": "all"})},
        {"name": "R", **reading(READ_ALL | {"item_type": "a", "workflow": "b"})},
        {"name": "R", **reading(READ_ALL | {"action": "all", "localization_scope": "localized", "locale": "en"})},
        {"name": "R", **reading({"environment": "main", "action": "create", "localization_scope": "localized"})},
    ],
)
def test_a_role_that_makes_no_sense_is_refused(served: Served, attributes: dict[str, Any]) -> None:
    answer = served.http.post("/roles", json=role_body(**attributes))
    assert served.refused(answer) == (422, "INVALID_FORMAT")
    assert len(served.get("/roles")["data"]) == 2


@pytest.mark.parametrize(
    ("lists", "seen"),
    [
        (reading(), 0),
        (reading(READ_ALL), 1),
        (reading(READ_ALL | {"item_type": "POST"}), 1),
        (reading(READ_ALL | {"item_type": "BLOCK"}), 0),
        (reading(READ_ALL | {"environment": "elsewhere"}), 0),
        (reading(READ_ALL | {"workflow": "unknown"}), 0),
        (reading({"environment": "main", "action": "delete", "on_creator": "anyone"}), 0),
        (reading(READ_ALL, without=(READ_ALL | {"item_type": "POST"},)), 0),
        (reading(READ_ALL, without=(READ_ALL | {"item_type": "BLOCK"},)), 1),
        (reading(READ_ALL, without=(READ_ALL | {"on_creator": "self"},)), 1),
        (reading(READ_ALL, without=({"environment": "main", "action": "delete", "on_creator": "anyone"},)), 1),
    ],
)
def test_permissions_say_which_models_are_seen(served: Served, lists: dict[str, Any], seen: int) -> None:
    served.act(lambda world: world.create(world.user, "post", {}))
    models = {"POST": served.post.id, "BLOCK": served.block.id}
    lists = {
        name: [
            {key: models.get(value, value) if key == "item_type" else value for key, value in one.items()}
            for one in permissions
        ]
        for name, permissions in lists.items()
    }
    header = token_with(served, made(served, name="R", **lists)["id"])
    served.http.post("/_simulator/switches", json={"unknown_model_in_filter": "empty"})
    assert listed(served, header) == seen


def test_a_role_that_only_reads_does_not_write(served: Served) -> None:
    id = served.act(lambda world: world.create(world.user, "post", {}).id)
    role = made(served, name="R", **reading(READ_ALL))
    header = token_with(served, role["id"])
    answer = served.http.delete(f"/items/{id}", headers=header)
    assert served.refused(answer) == (401, "INSUFFICIENT_PERMISSIONS")
    deleting = {"environment": "main", "action": "delete", "on_creator": "anyone"}
    served.send("PUT", f"/roles/{role['id']}", role_body(**reading(READ_ALL, deleting)))
    assert served.http.delete(f"/items/{id}", headers=header).status_code == 202


def test_a_role_inherits_what_another_allows(served: Served) -> None:
    """And loses it with the other role; what one of them forbids stays forbidden."""
    served.act(lambda world: world.create(world.user, "post", {}))
    parent = made(served, name="Parent", can_edit_schema=True, environments_access="none", **reading(READ_ALL))["id"]
    heir = made(served, name="Heir", inherits=[parent])
    assert heir["attributes"]["can_edit_schema"] is False
    final = heir["meta"]["final_permissions"]
    assert (final["can_edit_schema"], final["environments_access"]) == (True, "primary_only")
    assert final["positive_item_type_permissions"] == [READ_ALL]
    header = token_with(served, heir["id"])
    assert listed(served, header) == 1
    served.send("PUT", f"/roles/{parent}", role_body(can_edit_schema=False, **reading(READ_ALL, without=(READ_ALL,))))
    assert served.get(f"/roles/{heir['id']}")["data"]["meta"]["final_permissions"]["can_edit_schema"] is False
    served.http.post("/_simulator/switches", json={"unknown_model_in_filter": "empty"})
    assert listed(served, header) == 0


def test_roles_do_not_inherit_in_a_circle(served: Served) -> None:
    parent = made(served, name="Parent")["id"]
    heir = made(served, name="Heir", inherits=[parent])["id"]
    for one in (parent, heir):
        answer = served.http.put(f"/roles/{parent}", json=role_body(inherits=[one]))
        assert served.refused(answer) == (422, "INVALID_FIELD")
    assert served.refused(served.http.put(f"/roles/{parent}", json=role_body(inherits=["x"]))) == (404, "NOT_FOUND")


def test_a_copy_of_a_role_has_a_name_of_its_own(served: Served) -> None:
    role = made(served, name="R", can_edit_site=True, **reading(READ_ALL))
    names = [served.send("POST", f"/roles/{role['id']}/duplicate", status=201)["data"] for _ in range(2)]
    assert [one["attributes"] for one in names] == [
        role["attributes"] | {"name": "R (copy #1)"},
        role["attributes"] | {"name": "R (copy #2)"},
    ]


def test_a_role_can_go_when_nobody_has_it(served: Served) -> None:
    """With the switch, its editors lose it and may do nothing."""
    role = made(served, name="R", environments_access="all")
    header = token_with(served, role["id"])
    assert served.refused(served.http.delete(f"/roles/{role['id']}")) == (422, "DELETE_RESTRICTION")
    served.http.post("/_simulator/switches", json={"roles_in_use_stay": False})
    assert served.send("DELETE", f"/roles/{role['id']}")["data"]["attributes"]["name"] == "R"
    assert served.refused(served.http.get(f"/roles/{role['id']}")) == (404, "NOT_FOUND")
    assert served.refused(served.http.get("/items", headers=header)) == (401, "INSUFFICIENT_PERMISSIONS")
    narrow = served.get("/access_tokens")["data"][-1]
    assert narrow["relationships"]["role"]["data"] is None


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/roles"), ("PUT", "/roles/x"), ("DELETE", "/roles/x"), ("POST", "/roles/x/duplicate")],
)
def test_who_may_not_manage_users_changes_no_role(served: Served, method: str, path: str) -> None:
    header = token_with(served, made(served, name="R", environments_access="all")["id"])
    body = role_body(name="S") if path == "/roles" or method == "PUT" else None
    answer = served.http.request(method, path, headers=header, json=body)
    assert served.refused(answer) == (401, "INSUFFICIENT_PERMISSIONS")
