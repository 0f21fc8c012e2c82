"""API tokens that are made, changed and removed through the API."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.simulator.conftest import Served
from versionsync.simulator import FULL_ACCESS_TOKEN
from versionsync.simulator.world.serialization import last_access

ACCESS = {"can_access_cda": True, "can_access_cda_preview": False, "can_access_cma": True}


def body(role_id: str | None = None, **attributes: Any) -> dict[str, Any]:
    """The body of a request about a token."""
    data: dict[str, Any] = {"type": "access_token", "attributes": attributes}
    if role_id is not None:
        data["relationships"] = {"role": {"data": {"type": "role", "id": role_id}}}
    return {"data": data}


def roles(served: Served) -> tuple[str, str]:
    """The ids of the roles of administrators and of editors."""
    admin, editor = served.get("/roles")["data"]
    return admin["id"], editor["id"]


def made(served: Served, role_id: str, **attributes: Any) -> Any:
    """A new token, as the answer describes it."""
    sent = body(role_id, **{"name": "Build", **ACCESS, **attributes})
    return served.send("POST", "/access_tokens", sent, status=201)["data"]


def speak_for(served: Served, secret: str) -> None:
    """Let the next requests show this token."""
    served.http.headers["Authorization"] = f"Bearer {secret}"


def status(served: Served, secret: str, path: str = "/site") -> int:
    """How a request with this token ends."""
    return served.http.get(path, headers={"Authorization": f"Bearer {secret}"}).status_code


def test_a_new_token_opens_what_its_role_may_do(served: Served) -> None:
    _, editors = roles(served)
    token = made(served, editors)
    assert token["attributes"] | ACCESS == token["attributes"]
    assert token["relationships"]["role"]["data"]["id"] == editors
    assert status(served, token["attributes"]["token"]) == 200
    assert status(served, token["attributes"]["token"], "/access_tokens") == 401
    assert len(served.get("/access_tokens")["data"]) == 2
    assert served.get(f"/access_tokens/{token['id']}")["data"]["id"] == token["id"]


def test_a_token_may_be_kept_from_the_management_api(served: Served) -> None:
    token = made(served, roles(served)[0], can_access_cma=False)
    secret = token["attributes"]["token"]
    assert status(served, secret) == 401
    served.send("PUT", f"/access_tokens/{token['id']}", body(name="Build", **ACCESS))
    assert status(served, secret) == 200


def test_a_change_of_role_is_felt_at_once(served: Served) -> None:
    admin, editors = roles(served)
    token = made(served, editors)
    changed = served.send("PUT", f"/access_tokens/{token['id']}", body(admin, name="New name", **ACCESS))["data"]
    assert (changed["attributes"]["name"], changed["attributes"]["token"]) == ("New name", token["attributes"]["token"])
    assert status(served, token["attributes"]["token"], "/access_tokens") == 200


@pytest.mark.parametrize("missing", ["name", "role", *ACCESS])
def test_a_token_is_described_whole(served: Served, missing: str) -> None:
    sent = body(None if missing == "role" else roles(served)[0], **{"name": "Build", **ACCESS})
    sent["data"]["attributes"].pop(missing, None)
    assert served.refused(served.http.post("/access_tokens", json=sent)) == (422, "INVALID_FORMAT")


def test_a_token_has_a_role_that_there_is(served: Served) -> None:
    answer = served.http.post("/access_tokens", json=body("nothing", name="Build", **ACCESS))
    assert served.refused(answer) == (404, "NOT_FOUND")


def test_a_new_secret_ends_the_old_one(served: Served) -> None:
    token = made(served, roles(served)[0])
    renewed = served.send("POST", f"/access_tokens/{token['id']}/regenerate_token")["data"]
    old, new = token["attributes"]["token"], renewed["attributes"]["token"]
    assert renewed["id"] == token["id"]
    assert (status(served, old), status(served, new)) == (401, 200)


def test_the_project_knows_its_token_by_the_new_secret(served: Served) -> None:
    (own,) = served.get("/access_tokens")["data"]
    renewed = served.send("POST", f"/access_tokens/{own['id']}/regenerate_token")["data"]["attributes"]["token"]
    assert served.http.get("/_simulator/projects").json()[0]["token"] == renewed
    assert status(served, FULL_ACCESS_TOKEN) == 401


def test_a_removed_token_opens_nothing(served: Served) -> None:
    """What it made is still said to be its own, unless somebody takes it over."""
    tokens = [made(served, roles(served)[0]) for _ in range(2)]
    link = {"item_type": {"data": {"id": served.post.id, "type": "item_type"}}}
    records = []
    for token in tokens:
        speak_for(served, token["attributes"]["token"])
        sent = {"data": {"type": "item", "attributes": {}, "relationships": link}}
        records.append(served.send("POST", "/items", sent, status=201)["data"]["id"])
    speak_for(served, FULL_ACCESS_TOKEN)
    deleted = served.send("DELETE", f"/access_tokens/{tokens[0]['id']}")["data"]
    assert deleted["attributes"]["token"] == tokens[0]["attributes"]["token"]
    heir = f"destination_user_type=account&destination_user_id={served.act(lambda world: world.account.id)}"
    served.send("DELETE", f"/access_tokens/{tokens[1]['id']}?{heir}")
    creators = [served.get(f"/items/{id}")["data"]["relationships"]["creator"]["data"]["type"] for id in records]
    assert creators == ["access_token", "account"]
    assert [status(served, token["attributes"]["token"]) for token in tokens] == [401, 401]
    assert served.refused(served.http.get(f"/access_tokens/{tokens[0]['id']}")) == (404, "NOT_FOUND")


def test_nobody_unknown_takes_over(served: Served) -> None:
    token = made(served, roles(served)[0])
    path = f"/access_tokens/{token['id']}?destination_user_type=access_token&destination_user_id="
    for id in ("1", token["id"]):
        assert served.refused(served.http.delete(path + id)) == (422, "INVALID_PARAMS")
    assert status(served, token["attributes"]["token"]) == 200


def test_a_token_that_upstream_made_is_not_changed(served: Served) -> None:
    token = made(served, roles(served)[0])

    served.act(lambda world: world.people.add_token(replace(world.access_token(token["id"]), hardcoded_type="read")))
    answer = served.http.put(f"/access_tokens/{token['id']}", json=body(name="Other", **ACCESS))
    assert served.refused(answer) == (422, "NON_EDITABLE_ACCESS_TOKEN")
    assert served.send("DELETE", f"/access_tokens/{token['id']}")["data"]["attributes"]["hardcoded_type"] == "read"


def test_only_who_manages_tokens_reads_secrets(served: Served) -> None:
    token = made(served, roles(served)[1])
    speak_for(served, token["attributes"]["token"])
    assert served.get("/users/me")["data"]["attributes"]["token"] is None
    speak_for(served, FULL_ACCESS_TOKEN)
    assert served.get("/users/me")["data"]["attributes"]["token"] == FULL_ACCESS_TOKEN


def test_it_is_told_when_a_token_was_used(served: Served) -> None:
    token = made(served, roles(served)[0])
    assert token["attributes"]["last_cma_access"] == "never"
    status(served, token["attributes"]["token"])
    assert served.get(f"/access_tokens/{token['id']}")["data"]["attributes"]["last_cma_access"] == "today"


@pytest.mark.parametrize(
    ("day", "word"),
    [
        ("2026-09-16", "today"),
        ("2026-09-15", "yesterday"),
        ("2026-09-14", "this_week"),
        ("2026-09-07", "last_week"),
        ("2026-09-01", "this_month"),
        ("2026-08-01", "last_month"),
        ("2026-07-31", "never"),
    ],
)
def test_the_time_of_use_is_told_by_a_word(day: str, word: str) -> None:
    """Seen from a Wednesday."""
    now = datetime(2026, 9, 16, 12, tzinfo=UTC)
    assert last_access(datetime.fromisoformat(f"{day}T23:00:00+00:00"), now) == word
