"""What a write is refused for besides its content: ids, meta, locks, modes, quotas and roles."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.simulator.conftest import Served
from versionsync.simulator import Editor, EditorKind, Faults, World
from versionsync.simulator.world.people_roles_tokens import LISTS, Role, Token

OLD = "2020-02-02T02:02:02Z"
CHOSEN = "hWl-mnkWRYmMCSTq4z_piQ"
ANOTHER = "AAAAAAAAQACAAAAAAAAAAA"


def sent(served: Served, attributes: Any = None, **members: Any) -> dict[str, Any]:
    """The body of a create or update."""
    link = {"item_type": {"data": {"id": served.post.id, "type": "item_type"}}}
    relationships = link | members.pop("relationships", {})
    return {"data": {"type": "item", "attributes": attributes or {}, "relationships": relationships, **members}}


def create(served: Served, attributes: Any = None, **members: Any) -> Any:
    return served.send("POST", "/items", sent(served, attributes, **members), status=201)["data"]


def switch(served: Served, **values: object) -> None:
    assert served.http.post("/_simulator/switches", json=values).status_code == 200


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["data"][0]["attributes"]["code"]


def block(served: Served, id: str) -> dict[str, Any]:
    return served.paragraph("x") | {"id": id}


def test_a_client_may_choose_the_id_of_a_new_block(served: Served) -> None:
    """Kept, refused or replaced: it is not documented. The id of a block that is there always stays."""
    assert create(served, {"body": [block(served, CHOSEN)]})["attributes"]["body"] == [CHOSEN]
    switch(served, new_block_ids="refused")
    body = {"body": [block(served, ANOTHER)]}
    assert code(served.http.post("/items", json=sent(served, body))) == (422, "INVALID_FIELD")
    switch(served, new_block_ids="replaced")
    record = create(served, body)
    (chosen,) = record["attributes"]["body"]
    assert chosen != ANOTHER
    again = served.send("PUT", f"/items/{record['id']}", sent(served, {"body": [block(served, chosen)]}))
    assert again["data"]["attributes"]["body"] == [chosen]


def test_the_id_of_a_block_is_used_once(served: Served) -> None:
    """Neither in another record, nor twice in one; also if only a published version still has it."""
    record = create(served, {"body": [block(served, CHOSEN)]})
    served.send("PUT", f"/items/{record['id']}/publish")
    served.send("PUT", f"/items/{record['id']}", sent(served, {"body": []}))
    assert code(served.http.post("/items", json=sent(served, {"body": [block(served, CHOSEN)]})))[0] == 422
    served.job("DELETE", f"/items/{record['id']}")
    twice = {"body": [block(served, CHOSEN), block(served, CHOSEN)]}
    assert code(served.http.post("/items", json=sent(served, twice)))[0] == 422
    create(served, {"body": [block(served, CHOSEN)]})


@pytest.mark.parametrize("how", ["accepted", "ignored", "refused"])
def test_a_new_record_may_claim_its_past(served: Served, how: str) -> None:
    """Its creation, first publication and creator; its other times never."""
    switch(served, create_accepts_meta=how)
    user = served.act(lambda world: world.user)
    creator = {"creator": {"data": {"type": "user", "id": user.id}}}
    meta = {"created_at": OLD, "first_published_at": OLD, "published_at": OLD, "updated_at": OLD}
    answer = served.http.post("/items", json=sent(served, meta=meta, relationships=creator))
    if how == "refused":
        assert code(answer) == (422, "INVALID_FORMAT")
        create(served)
        return
    record = answer.json()["data"]
    told = [record["meta"][name] for name in ("created_at", "first_published_at", "published_at", "updated_at")]
    is_taken = how == "accepted"
    assert [text == OLD for text in told] == [is_taken, is_taken, False, False]
    assert (record["relationships"]["creator"]["data"]["id"] == user.id) is is_taken


def test_times_that_upstream_sets_may_be_refused(served: Served) -> None:
    switch(served, read_only_meta="refused")
    for name in ("published_at", "updated_at"):
        assert code(served.http.post("/items", json=sent(served, meta={name: OLD}))) == (422, "INVALID_FORMAT")


def test_an_editor_who_is_gone_is_no_creator(served: Served) -> None:
    user = served.act(lambda world: world.user)
    served.act(lambda world: world.people.remove(user))
    creator = {"creator": {"data": {"type": "user", "id": user.id}}}
    assert code(served.http.post("/items", json=sent(served, relationships=creator))) == (422, "INVALID_ATTRIBUTES")


def test_a_stage_is_one_of_the_workflow(served: Served) -> None:
    def with_workflow(world: World) -> str:
        workflow = world.create_workflow(world.account, "flow", ("one", "two"), name="Flow")
        world.update_model(world.account, "post", workflow_id=workflow.id)
        return workflow.stages[1]

    stage = served.act(with_workflow)
    assert create(served, meta={"stage": stage})["meta"]["stage"] == stage
    assert code(served.http.post("/items", json=sent(served, meta={"stage": "x"}))) == (422, "INVALID_ATTRIBUTES")
    switch(served, create_accepts_stage="ignored")
    assert create(served, meta={"stage": stage})["meta"]["stage"] != stage
    switch(served, create_accepts_stage="refused")
    assert code(served.http.post("/items", json=sent(served, meta={"stage": stage})))[0] == 422


@pytest.mark.parametrize("covered", ["saving", "everything"])
def test_a_record_that_an_editor_has_open_cannot_be_saved(served: Served, covered: str) -> None:
    """By others: publishing and deleting it may still work."""
    switch(served, locks_forbid=covered)
    record = create(served)
    path = f"/items/{record['id']}"
    served.act(lambda world: world.lock(world.user, record["id"]))
    assert code(served.http.put(path, json=sent(served))) == (422, "ITEM_LOCKED")
    assert code(served.http.post(f"{path}/validate", json=sent(served))) == (422, "ITEM_LOCKED")
    served.send("PUT", f"{path}/publish", status=422 if covered == "everything" else 200)
    served.act(lambda world: world.update(world.user, record["id"], {"title": {"en": "x"}}))
    served.act(lambda world: world.unlock(world.user, record["id"]))
    served.send("PUT", path, sent(served))


def test_an_environment_may_be_read_only(served: Served) -> None:
    """Reading goes on, and so do other environments."""
    record = create(served)
    served.act(lambda world: world.fork(world.account, "main", "copy"))
    served.act(lambda world: world.set_read_only_mode(world.account, True))
    for method, path in (("POST", "/items"), ("PUT", f"/items/{record['id']}"), ("DELETE", f"/items/{record['id']}")):
        answer = served.http.request(method, path, json=sent(served))
        assert code(answer) == (422, "ENVIRONMENT_IN_READ_ONLY_MODE")
    assert served.get("/environments/main")["data"]["meta"]["read_only_mode"] is True
    assert served.http.post("/items", json=sent(served), headers={"X-Environment": "copy"}).status_code == 201
    served.act(lambda world: world.set_read_only_mode(world.account, False))
    create(served)


@pytest.mark.parametrize("name", ["TOO_MANY_OPERATIONS", "PLAN_UPGRADE_REQUIRED"])
def test_a_quota_ends_all_writes(served: Served, name: str) -> None:
    """Refused writes and dry runs do not count."""
    switch(served, max_writes=2, max_writes_code=name)
    record = create(served)
    served.http.post("/items", json={})
    served.http.post("/items/validate", json=sent(served))
    served.send("PUT", f"/items/{record['id']}", sent(served))
    assert code(served.http.post("/items", json=sent(served))) == (422, name)
    assert served.get("/items")["meta"]["total_count"] == 1


@pytest.mark.parametrize(("answers", "expected"), [("404", "INVALID_ENDPOINT"), ("401", "INSUFFICIENT_PERMISSIONS")])
def test_validating_may_not_be_there(served: Served, answers: str, expected: str) -> None:
    switch(served, validate_answers=answers)
    record = create(served)
    for path in ("/items/validate", f"/items/{record['id']}/validate"):
        assert code(served.http.post(path, json=sent(served))) == (int(answers), expected)


def test_validating_finds_what_writing_would_find(served: Served) -> None:
    """A stale version, and an id that is taken."""
    record = create(served)
    stale = sent(served, meta={"current_version": CHOSEN})
    assert code(served.http.post(f"/items/{record['id']}/validate", json=stale)) == (422, "STALE_ITEM_VERSION")
    taken = sent(served, id=record["id"])
    assert code(served.http.post("/items/validate", json=taken)) == (422, "INVALID_ENTITY_ID")


def test_a_parent_must_exist_and_be_above(served: Served) -> None:
    served.act(lambda world: world.update_model(world.account, "post", tree=True))
    top = create(served)["id"]
    below = create(served, {"parent_id": top})["id"]
    for parent, expected in ((CHOSEN, "INVALID_PARENT_ID"), (below, "INVALID_PARENT"), (top, "INVALID_PARENT")):
        answer = served.http.put(f"/items/{top}", json=sent(served, {"parent_id": parent}))
        assert code(answer) == (422, expected)
    served.send("PUT", f"/items/{below}", sent(served, {"parent_id": None}))


@pytest.mark.parametrize("what", ["roots", "refused", "deleted", "kept"])
def test_deleting_a_parent_does_something_to_its_children(served: Served, what: str) -> None:
    switch(served, deleted_parents=what)
    served.act(lambda world: world.update_model(world.account, "post", tree=True))
    top = create(served)["id"]
    child = create(served, {"parent_id": top})["id"]
    status, _ = served.job("DELETE", f"/items/{top}")
    assert status == (422 if what == "refused" else 200)
    answer = served.http.get(f"/items/{child}")
    assert answer.status_code == (404 if what == "deleted" else 200)
    if what in {"roots", "kept"}:
        assert answer.json()["data"]["attributes"]["parent_id"] == (top if what == "kept" else None)


def test_a_role_needs_a_permission_for_each_kind_of_write(served: Served) -> None:
    """For records of the model: a role that edits may still not publish, delete, or write in another name."""
    record = create(served)["id"]

    def restricted(world: World) -> None:
        allowed = [
            {"environment": "main", "action": action, "item_type": served.post.id, "on_creator": "anyone"}
            for action in ("read", "create", "update")
        ]
        lists = dict.fromkeys(LISTS, ()) | {"positive_item_type_permissions": tuple(allowed)}
        role = world.people.add_role(Role(world.ids.new(), "Writer", permissions=lists))
        bot = Editor(EditorKind.ACCESS_TOKEN, world.ids.number(), "Bot")
        world.people.add_token(Token("writer", bot, role))

    served.act(restricted)
    headers, user = {"Authorization": "Bearer writer"}, served.act(lambda world: world.user)
    assert served.http.put(f"/items/{record}", json=sent(served), headers=headers).status_code == 200
    assert served.http.post("/items", json=sent(served), headers=headers).status_code == 201
    creator = {"creator": {"data": {"type": "user", "id": user.id}}}
    items = {"items": {"data": [{"type": "item", "id": record}]}}
    for method, path, body, ability in (
        ("PUT", f"/items/{record}/publish", None, "publish"),
        ("DELETE", f"/items/{record}", None, "delete"),
        ("POST", "/items/bulk/publish", {"data": {"type": "x", "relationships": items}}, "publish"),
        ("POST", "/items", sent(served, relationships=creator), "edit_creator"),
    ):
        answer = served.http.request(method, path, json=body, headers=headers)
        assert code(answer) == (401, "INSUFFICIENT_PERMISSIONS")
        assert answer.json()["data"][0]["attributes"]["details"]["ability"] == ability


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", ["internal_error", "throttled", "bad_gateway", "lost"])
def test_a_write_may_fail_before_or_after_it_was_done(served: Served, kind: str, after: bool) -> None:
    """The next one works, and reading shows what became of the first."""
    planted = {"kind": kind, "method": "POST", "path": "^/items$", "after": after}
    assert served.http.post("/_simulator/faults", json={"plant": [planted]}).status_code == 200
    try:
        answer = served.http.post("/items", json=sent(served, id=CHOSEN))
    except httpx.RemoteProtocolError:
        assert kind == "lost"
    else:
        assert answer.status_code == {"internal_error": 500, "throttled": 429, "bad_gateway": 502}[kind]
    assert served.get("/items")["meta"]["total_count"] == int(after)
    assert served.http.post("/items", json=sent(served, id=CHOSEN)).status_code == (422 if after else 201)


def test_a_transient_error_can_be_planted_for_a_write(served: Served) -> None:
    record = create(served)["id"]
    error = {"kind": "refused", "code": "CONCURRENT_ITEM_UPDATE", "status": 422, "transient": True, "method": "PUT"}
    served.http.post("/_simulator/faults", json={"plant": [error]})
    answer = served.http.put(f"/items/{record}", json=sent(served))
    assert code(answer) == (422, "CONCURRENT_ITEM_UPDATE")
    assert answer.json()["data"][0]["attributes"]["transient"] is True
    served.send("PUT", f"/items/{record}", sent(served))


def test_an_editor_can_act_between_two_requests(served: Served, faults: Faults) -> None:
    """Right before the second update, so that its version is stale, and right after the third."""
    record = create(served)
    path = f"/items/{record['id']}"

    def edit(world: World) -> object:
        return world.update(world.user, record["id"], {"title": {"en": "foreign"}})

    faults.run_before(edit, method="PUT", path=f"^{path}", nth=2)
    faults.run_after(edit, method="PUT", path=f"^{path}", nth=3)
    for expected in (200, 422, 200):
        version = served.get(path)["data"]["meta"]["current_version"]
        answer = served.http.put(path, json=sent(served, {"title": {"en": "own"}}, meta={"current_version": version}))
        assert answer.status_code == expected
    assert served.get(path)["data"]["attributes"]["title"] == {"en": "foreign"}
