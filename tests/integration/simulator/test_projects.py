"""Several projects in one simulator, selected by the API token."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.simulator.conftest import Served
from versionsync.simulator import FULL_ACCESS_TOKEN, Token
from versionsync.simulator.http.server import REQUESTS_KEPT_OF_OTHERS


def new_project(served: Served, **order: str) -> Any:
    """Make another project, and return what the simulator says of it."""
    return served.http.post("/_simulator/projects", json=order).json()


def models_of(served: Served, token: str) -> list[str]:
    """The api_keys of the models that this token sees."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    answer = httpx.get(f"{served.simulator.url}/item-types", headers=headers)
    return [model["attributes"]["api_key"] for model in answer.json()["data"]]


def test_a_new_project_is_empty_and_has_a_token_of_its_own(served: Served) -> None:
    """What is made with its token is made there alone."""
    first, second = new_project(served), new_project(served, name="Second")
    assert second["name"] == "Second"
    assert len({first["token"], second["token"], first["project_id"], second["project_id"]}) == 4
    served.http.headers["Authorization"] = f"Bearer {second['token']}"
    served.send(
        "POST", "/item-types", {"data": {"type": "item_type", "attributes": {"name": "A", "api_key": "a"}}}, status=201
    )
    assert models_of(served, second["token"]) == ["a"]
    assert models_of(served, first["token"]) == []
    assert served.get("/site")["data"]["id"] == second["project_id"]


def test_a_new_project_can_have_a_token_of_choice(served: Served) -> None:
    """A harness that knows the token beforehand finds the project by it."""
    made = new_project(served, token="a-token-of-choice")
    assert made["token"] == "a-token-of-choice"
    assert models_of(served, "a-token-of-choice") == []
    assert models_of(served, FULL_ACCESS_TOKEN) == ["paragraph", "post"]


@pytest.mark.parametrize("token", [FULL_ACCESS_TOKEN, "second", "", "two words"])
def test_a_token_that_names_another_project_or_none_is_refused(served: Served, token: str) -> None:
    """A token of a project that was made in the API counts, too; nothing is made."""
    served.act(
        lambda world: world.people.add_token(Token("second", world.api, next(iter(world.people.roles.values()))))
    )
    assert served.http.post("/_simulator/projects", json={"token": token}).status_code == 400
    assert len(served.http.get("/_simulator/projects").json()) == 1


def test_the_control_endpoints_can_name_a_project(served: Served) -> None:
    """Without a name it is the first one."""
    made = new_project(served)
    listed = served.http.get("/_simulator/projects").json()
    assert [project["project_id"] for project in listed] == ["205", made["project_id"]]
    overview = served.http.get("/_simulator/", params={"project": made["project_id"]}).json()
    assert (overview["project_id"], overview["tokens"]) == (made["project_id"], [made["token"]])
    assert served.http.get("/_simulator/").json()["project_id"] == "205"
    assert served.http.get("/_simulator/", params={"project": "1"}).status_code == 400


def test_a_new_project_prints_times_as_projects_made_today_do(served: Served) -> None:
    """With milliseconds and an offset; the first project keeps its own form."""
    made = new_project(served)
    assert served.get("/environments/main")["data"]["meta"]["created_at"] == "2026-09-01T09:00:00Z"
    served.http.headers["Authorization"] = f"Bearer {made['token']}"
    assert served.get("/environments/main")["data"]["meta"]["created_at"] == "2026-09-01T09:00:00.000+00:00"
    assert served.get("/site")["data"]["meta"]["milliseconds_in_datetime"] is True


def test_a_switch_of_one_project_leaves_the_others_alone(served: Served) -> None:
    """Each project has switches of its own."""
    made = new_project(served)
    served.http.post("/_simulator/switches", params={"project": made["project_id"]}, json={"lists_blocks": False})
    assert served.http.get("/_simulator/switches").json()["lists_blocks"] is True
    of_the_new = served.http.get("/_simulator/switches", params={"project": made["project_id"]}).json()
    assert of_the_new["lists_blocks"] is False


def test_a_token_leads_to_its_project_whatever_becomes_of_it(served: Served) -> None:
    """Deleted it is refused, and in another project it leads there: what was found before is only a hint."""
    first, second = new_project(served, name="First"), new_project(served, name="Second")
    worlds = {project.world.token: project.world for project in served.simulator.simulator.server.projects}
    served.http.headers["Authorization"] = f"Bearer {first['token']}"
    assert served.get("/site")["data"]["id"] == first["project_id"]

    token = served.act(lambda _: worlds[first["token"]].people.tokens.pop(first["token"]))
    assert served.refused(served.http.get("/site")) == (401, "INVALID_AUTHORIZATION_HEADER")

    served.act(lambda _: worlds[second["token"]].people.add_token(token))
    assert served.get("/site")["data"]["id"] == second["project_id"]


def test_a_token_that_the_api_changes_leads_to_its_project(served: Served) -> None:
    """Created, regenerated and removed, in a project that is not the first."""
    project = new_project(served)

    def asked_with(token: str) -> tuple[int, str | None]:
        answer = served.http.get("/site", headers={"Authorization": f"Bearer {token}"})
        return answer.status_code, answer.json()["data"]["id"] if answer.is_success else None

    def send(method: str, path: str, body: object = None) -> Any:
        own = {"Authorization": f"Bearer {project['token']}"}
        return served.http.request(method, path, json=body, headers=own).json()["data"]

    (role, *_) = send("GET", "/roles")
    access = {"can_access_cda": True, "can_access_cda_preview": True, "can_access_cma": True}
    link = {"role": {"data": {"type": "role", "id": role["id"]}}}
    sent = {"data": {"type": "access_token", "attributes": {"name": "Shop", **access}, "relationships": link}}
    made = send("POST", "/access_tokens", sent)
    first = made["attributes"]["token"]
    assert asked_with(first) == (200, project["project_id"])

    second = send("POST", f"/access_tokens/{made['id']}/regenerate_token")["attributes"]["token"]
    assert asked_with(first) == (401, None)
    assert asked_with(second) == (200, project["project_id"])

    send("DELETE", f"/access_tokens/{made['id']}")
    assert asked_with(second) == (401, None)


def test_switches_and_limits_are_those_of_one_project(served: Served) -> None:
    """A new project begins with those of the first."""
    served.http.post("/_simulator/limits", json={"limit": 2})
    served.http.post("/_simulator/switches", json={"versions_order": "oldest_first"})
    first, second = new_project(served), new_project(served)
    of_second = {"project": second["project_id"]}
    assert served.http.get("/_simulator/switches", params=of_second).json()["versions_order"] == "oldest_first"

    served.http.post("/_simulator/switches", params=of_second, json={"versions_order": "newest_first"})
    served.http.post("/_simulator/limits", params=of_second, json={"reserve": 2})
    assert served.http.get("/_simulator/switches").json()["versions_order"] == "oldest_first"
    answers = [
        served.http.get("/site", headers={"Authorization": f"Bearer {token}"})
        for token in (first["token"], second["token"])
    ]
    assert [answer.status_code for answer in answers] == [200, 429]


def test_the_log_of_an_added_project_keeps_fewer_requests(served: Served) -> None:
    """A thousand full logs would take gigabytes; the counts are of all requests."""
    made = new_project(served)
    served.http.post("/_simulator/limits", params={"project": made["project_id"]}, json={"limit": None})
    log = served.simulator.simulator.server.project(made["project_id"]).requests
    for _ in range(REQUESTS_KEPT_OF_OTHERS + 1):
        models_of(served, made["token"])
    assert (len(log), log.total) == (REQUESTS_KEPT_OF_OTHERS, REQUESTS_KEPT_OF_OTHERS + 1)
