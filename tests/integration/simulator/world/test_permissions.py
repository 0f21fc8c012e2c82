"""Tokens, roles and headers: who may do what, and how a refusal looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.simulator.conftest import Served
from versionsync.simulator import Editor, EditorKind, RateLimit, Role, SimulatorThread, Token, World


def limited(served: Served, *, can_access_cma: bool = True, **abilities: Any) -> dict[str, str]:
    """The header of a token whose role has other *abilities*."""

    def add(world: World) -> None:
        role = world.people.add_role(Role(world.ids.new(), "Limited", **abilities))
        editor = Editor(EditorKind.ACCESS_TOKEN, world.ids.number(), "Limited token", role_id=role.id)
        world.people.add_token(Token("limited", editor, role, can_access_cma))

    served.act(add)
    return {"Authorization": "Bearer limited"}


def test_no_token_at_all_names_no_project(served: Served) -> None:
    request = served.http.build_request("GET", "/site")
    del request.headers["Authorization"]
    assert served.refused(served.http.send(request)) == (401, "INVALID_SITE")


@pytest.mark.parametrize(("switch", "expected"), [("null", None), ("empty", "")])
def test_a_role_means_all_models_by_null_or_by_an_empty_text(served: Served, switch: str, expected: str | None) -> None:
    served.http.post("/_simulator/switches", json={"all_models_in_roles": switch})
    (role,) = served.get("/users/me?include=role")["included"]
    (permission,) = role["attributes"]["positive_item_type_permissions"]
    assert (permission["item_type"], permission["action"]) == (expected, "all")


@pytest.mark.parametrize("header", ["", "Bearer nobody", "Basic simulator-full-access", "simulator-full-access"])
def test_a_wrong_token_is_told_so(served: Served, header: str) -> None:
    answer = served.http.get("/site", headers={"Authorization": header})
    assert served.refused(answer) == (401, "INVALID_AUTHORIZATION_HEADER")


def test_a_right_token_without_permission_is_told_otherwise(served: Served) -> None:
    answer = served.http.get("/site", headers=limited(served, can_access_cma=False))
    assert served.refused(answer) == (401, "INSUFFICIENT_PERMISSIONS")
    assert answer.json()["data"][0]["attributes"]["details"]["ability"] == "can_access_cma"


@pytest.mark.parametrize(
    ("ability", "method", "path"),
    [
        ("can_read_versions", "GET", "/items/x/versions"),
        ("can_read_versions", "GET", "/versions/x"),
        ("can_read_uploads", "GET", "/uploads"),
        ("can_write", "DELETE", "/items/x"),
        ("can_edit_schema", "DELETE", "/item-types/post"),
        ("can_manage_users", "GET", "/users"),
        ("can_manage_users", "GET", "/sso-users"),
        ("can_manage_access_tokens", "GET", "/access_tokens"),
        ("can_manage_webhooks", "GET", "/webhooks"),
        ("can_manage_webhooks", "GET", "/webhook_calls"),
        ("can_manage_environments", "DELETE", "/environments/main"),
        ("can_promote_environments", "PUT", "/environments/main/promote"),
        ("can_promote_environments", "PUT", "/maintenance-mode/activate"),
        ("can_access_usage", "GET", "/daily-site-usages"),
    ],
)
def test_a_role_denies_what_it_denies(served: Served, ability: str, method: str, path: str) -> None:
    header = limited(served, **{ability: False})
    assert served.refused(served.http.request(method, path, headers=header)) == (401, "INSUFFICIENT_PERMISSIONS")
    assert served.http.get("/site", headers=header).status_code == 200


def test_records_of_hidden_models_are_simply_not_there(served: Served) -> None:
    id = served.act(lambda world: world.create(world.user, "post", {}).id)
    header = limited(served, hidden_models=frozenset({"post"}))
    assert served.http.get("/items", headers=header).json() == {"data": [], "meta": {"total_count": 0}}
    for path in (f"/items/{id}", f"/items/{id}/versions"):
        assert served.refused(served.http.get(path, headers=header)) == (404, "NOT_FOUND")
    assert served.get("/items")["meta"]["total_count"] == 1


def test_a_role_can_lose_sight_of_a_model(served: Served) -> None:
    header = limited(served)
    served.act(lambda world: world.create(world.user, "post", {}))
    count: Callable[[], int] = lambda: served.http.get("/items", headers=header).json()["meta"]["total_count"]  # noqa: E731
    assert count() == 1

    def hide(world: World) -> None:
        role = world.people.tokens["limited"].role
        world.people.add_role(replace(role, hidden_models=frozenset({"post"})))

    served.act(hide)
    assert count() == 0


@pytest.mark.parametrize(
    ("access", "primary", "sandbox"),
    [("all", 200, 200), ("primary_only", 200, 401), ("sandbox_only", 401, 200), ("none", 401, 401)],
)
def test_a_role_may_be_kept_to_some_environments(served: Served, access: str, primary: int, sandbox: int) -> None:
    served.act(lambda world: world.fork(world.account, "main", "next"))
    header = limited(served, environments_access=access)
    assert served.http.get("/items", headers=header).status_code == primary
    assert served.http.get("/items", headers=header | {"X-Environment": "next"}).status_code == sandbox


@pytest.mark.parametrize(
    ("name", "value", "status", "code"),
    [
        ("Accept", "text/html", 406, "INVALID_ACCEPT_HEADER"),
        ("Accept", "*/*", 406, "INVALID_ACCEPT_HEADER"),
        ("Accept", "", 406, "INVALID_ACCEPT_HEADER"),
        ("X-Api-Version", "9", 400, "INVALID_API_VERSION"),
        ("X-Environment", "nowhere", 404, "INVALID_ENVIRONMENT"),
    ],
)
def test_headers_that_make_no_sense_are_refused(served: Served, name: str, value: str, status: int, code: str) -> None:
    assert served.refused(served.http.get("/site", headers={name: value})) == (status, code)


def test_a_form_is_no_body(served: Served) -> None:
    assert served.refused(served.http.post("/items", data={"a": "b"})) == (415, "INVALID_CONTENT_TYPE_HEADER")


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("PATCH", "/items/x"), ("POST", "/site")])
def test_an_unknown_path_or_method_is_no_endpoint(served: Served, method: str, path: str) -> None:
    assert served.refused(served.http.request(method, path)) == (404, "INVALID_ENDPOINT")


def test_the_limit_is_announced_and_enforced() -> None:
    with SimulatorThread(World(), limits=RateLimit(3)) as simulator:
        served = Served(simulator, None, None)  # type: ignore[arg-type]
        with served.http:
            answers = [served.http.get("/site") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
        assert "X-RateLimit-Reset" not in answers[0].headers
        assert int(answers[4].headers["X-RateLimit-Reset"]) >= 1
        assert served.refused(answers[4]) == (429, "RATE_LIMIT_EXCEEDED")
        assert simulator.simulator.requests.by_status == {200: 3, 429: 2}


def test_the_log_names_tokens_and_never_holds_them(served: Served) -> None:
    served.get("/site")
    served.http.get("/site", headers={"Authorization": "Bearer a-secret"})
    known, unknown = served.simulator.simulator.requests
    assert (known.token, unknown.token) == ("Full-access API token", None)
    assert "secret" not in repr(unknown)
    assert "simulator-full-access" not in repr(known)


def test_a_token_can_ask_for_its_own_role(served: Served) -> None:
    """Whatever else it may not do; what is hidden from it is forbidden to be read."""
    header = limited(served, hidden_models=frozenset({"post"}), can_manage_users=False)
    answer = served.http.get("/users/me?include=role", headers=header).json()
    (role,) = answer["included"]
    final = role["meta"]["final_permissions"]
    assert [(entry["action"], entry["item_type"]) for entry in final["positive_item_type_permissions"]] == [
        ("all", None)
    ]
    (forbidden,) = final["negative_item_type_permissions"]
    assert (forbidden["action"], forbidden["item_type"], forbidden["environment"]) == ("read", served.post.id, "main")
    assert "included" not in served.http.get("/users/me", headers=header).json()
    assert served.refused(served.http.get("/users/me?include=site", headers=header)) == (422, "INVALID_PARAMS")
