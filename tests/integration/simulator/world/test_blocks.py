"""Block records in the answers to readers: in lists and counts, by id, and when a model becomes a block model."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.simulator.conftest import Served
from versionsync.simulator import Editor, EditorKind, LoadedVersion, Role, Token, World
from versionsync.simulator.world.ids import is_valid

HIDING = "hides-posts"


def add_pages(world: World) -> None:
    """A model `page` without fields for blocks, with one record, and a token that may not read posts."""
    page = world.create_model(world.account, "page", draft_mode=False)
    world.create_field(world.account, page, "name")
    world.create(world.user, page, {"name": "a page"})
    role = world.people.add_role(Role(world.ids.new(), "No posts", hidden_models=frozenset({"post"})))
    editor = Editor(EditorKind.ACCESS_TOKEN, world.ids.number(), "No posts", role_id=role.id)
    world.people.add_token(Token(HIDING, editor, role))


def switch(served: Served, **switches: object) -> None:
    """Set *switches*, as another process would."""
    answer = served.http.post("/_simulator/switches", json=switches)
    assert answer.status_code == 200, answer.text


def post(served: Served, *texts: str) -> str:
    """The id of a new post with a paragraph for each text."""
    body = [served.paragraph(text) for text in texts]
    return served.act(lambda world: world.create(world.user, "post", {"title": {"en": "a"}, "body": body}).id)


def blocks_of(served: Served, record_id: str) -> list[str]:
    """The ids of the blocks in the body of a post."""
    body: list[str] = served.get(f"/items/{record_id}")["data"]["attributes"]["body"]
    return body


def listed(served: Served, query: str = "", token: str | None = None) -> list[str]:
    """The ids of a list, after a check of its count."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    document = served.get(f"/items?page[limit]=500&{query}", **headers)
    ids = [one["id"] for one in document["data"]]
    count = served.get(f"/items?page[limit]=0&{query}", **headers)
    assert (document["meta"]["total_count"], count) == (len(ids), {"data": [], "meta": {"total_count": len(ids)}})
    return ids


def test_blocks_are_listed_and_counted_among_the_records(served: Served) -> None:
    id = post(served, "one", "two")
    first, second = blocks_of(served, id)
    assert listed(served) == [id, first, second]
    switch(served, lists_blocks=False)
    assert listed(served) == [id]


def test_a_listed_block_has_a_whole_meta_but_no_creator(served: Served) -> None:
    id = post(served, "one")
    record, block = served.get("/items")["data"]
    assert block["relationships"] == {"item_type": {"data": {"id": served.block.id, "type": "item_type"}}}
    assert block["attributes"] == {"text": "one"}
    own = {"current_version"}
    assert {key: value for key, value in block["meta"].items() if key not in own} == {
        key: value for key, value in record["meta"].items() if key not in own
    }
    version_id = block["meta"]["current_version"]
    assert is_valid(version_id)
    assert version_id != record["meta"]["current_version"]
    served.act(lambda world: world.update(world.user, id, {"title": {"en": "b"}}))
    assert served.get("/items")["data"][1]["meta"]["current_version"] == version_id


@pytest.mark.parametrize("status", ["draft", "published", "updated"])
def test_a_block_has_the_status_of_its_record(served: Served, status: str) -> None:
    id = post(served, "one")
    if status != "draft":
        served.act(lambda world: world.publish(world.user, id))
    if status == "updated":
        served.act(lambda world: world.update(world.user, id, {"title": {"en": "b"}}))
    assert [one["meta"]["status"] for one in served.get("/items")["data"]] == [status, status]
    assert len(listed(served, f"filter[fields][_status][eq]={status}")) == 2
    assert len(listed(served, "version=published")) == (0 if status == "draft" else 2)


def test_blocks_are_listed_by_their_model(served: Served) -> None:
    served.act(add_pages)
    id = post(served, "one")
    (block,) = blocks_of(served, id)
    assert listed(served, "filter[type]=paragraph") == [block]
    assert listed(served, f"filter[type]={served.block.id}&order_by=id_ASC") == [block]
    assert listed(served, "filter[type]=post") == [id]
    assert listed(served, "filter[type]=post,paragraph") == [id, block]
    assert listed(served, "filter[type]=paragraph&filter[fields][text][eq]=one") == [block]
    assert listed(served, "filter[type]=paragraph&filter[fields][text][eq]=two") == []


def test_nested_blocks_and_blocks_of_all_locales_are_listed(served: Served) -> None:
    def model(world: World) -> None:
        box = world.create_model(world.account, "box", is_block=True)
        world.create_field(world.account, box, "inner", "rich_text")
        world.create_field(world.account, served.post, "extra", "single_block", localized=True)

    served.act(model)
    link = {"item_type": {"data": {"id": served.act(lambda world: world.primary.model("box").id), "type": "item_type"}}}
    boxes = {
        locale: {"type": "item", "attributes": {"inner": [served.paragraph(locale)]}, "relationships": link}
        for locale in ("en", "it")
    }
    served.act(lambda world: world.create(world.user, "post", {"extra": boxes}))
    document = served.get("/items")
    assert document["meta"]["total_count"] == 5
    flat = {one["id"]: one["attributes"] for one in document["data"]}
    inner = [attributes["inner"][0] for attributes in flat.values() if "inner" in attributes]
    assert [flat[id]["text"] for id in inner] == ["en", "it"]
    nested = served.get("/items?nested=true&filter[type]=box")["data"]
    assert [one["attributes"]["inner"][0]["attributes"]["text"] for one in nested] == ["en", "it"]


def test_only_blocks_of_current_content_are_listed(served: Served) -> None:
    id = post(served, "one")
    (old,) = blocks_of(served, id)
    served.act(lambda world: world.publish(world.user, id))
    served.act(lambda world: world.update(world.user, id, {"body": [served.paragraph("two")]}))
    (new,) = blocks_of(served, id)
    assert old != new
    assert listed(served) == [id, new]
    served.act(lambda world: world.delete(world.user, id))
    assert listed(served) == []


def test_filters_on_meta_apply_to_blocks(served: Served) -> None:
    earlier = post(served, "one")
    served.act(lambda world: world.clock.advance(timedelta(minutes=5)))
    later = post(served, "two")
    (block,) = blocks_of(served, later)
    assert listed(served, "filter[fields][_updated_at][gt]=2026-09-01T09:01:00Z") == [later, block]
    assert listed(served, "filter[fields][_created_at][exists]=true") == listed(served)
    assert listed(served, f"filter[fields][_creator][eq]={served.act(lambda world: world.user.id)}") == [later, earlier]


def test_a_list_of_models_that_are_no_blocks_reads_no_content(served: Served) -> None:
    def unreadable() -> bytes:
        raise AssertionError("the content was read")

    def load(world: World) -> str:
        return world.load(served.post, [LoadedVersion(unreadable, world.user, world.now())]).id

    served.act(load)
    assert served.get("/items?page[limit]=0&filter[type]=post")["meta"] == {"total_count": 1}
    assert served.http.get("/items?page[limit]=0").status_code == 500


def test_content_is_read_again_only_where_it_changed(served: Served) -> None:
    reads: list[str] = []

    def content(name: str) -> Any:
        def read() -> bytes:
            reads.append(name)
            return b'{"body":[]}'

        return read

    def load(world: World) -> None:
        for name in ("one", "two"):
            world.load(served.post, [LoadedVersion(content(name), world.user, world.now())])

    served.act(load)
    served.get("/items?page[limit]=0")
    assert reads == ["one", "two"]
    post(served)
    served.get("/items?page[limit]=0")
    assert reads == ["one", "two"]


@pytest.mark.parametrize(
    ("answer", "expected"), [("404", (404, "NOT_FOUND")), ("422", (422, "INVALID_ENTITY_ID")), ("block", None)]
)
def test_what_a_block_answers_by_id(served: Served, answer: str, expected: tuple[int, str] | None) -> None:
    (block,) = blocks_of(served, post(served, "one"))
    switch(served, block_by_id=answer)
    got = served.http.get(f"/items/{block}")
    if expected is None:
        assert got.json()["data"]["attributes"] == {"text": "one"}
        assert "creator" not in got.json()["data"]["relationships"]
    else:
        assert served.refused(got) == expected
    unknown = served.act(lambda world: world.ids.new())
    assert served.http.get(f"/items/{unknown}").status_code == 404


@pytest.mark.parametrize("answer", ["404", "422", "empty", "versions"])
def test_what_the_versions_of_a_block_answer(served: Served, answer: str) -> None:
    id = post(served, "one")
    (block,) = blocks_of(served, id)
    switch(served, block_versions=answer)
    got = served.http.get(f"/items/{block}/versions")
    match answer:
        case "404":
            assert served.refused(got) == (404, "NOT_FOUND")
        case "422":
            assert served.refused(got) == (422, "INVALID_ENTITY_ID")
        case "empty":
            assert got.json() == {"data": [], "meta": {"total_count": 0}}
        case _:
            (version,) = got.json()["data"]
            assert version["id"] == served.get(f"/items?filter[ids]={block}")["data"][0]["meta"]["current_version"]
            assert version["relationships"]["item"]["data"]["id"] == block
            assert version["meta"]["is_current"] is True
    assert served.get(f"/items/{id}/versions")["meta"] == {"total_count": 1}


@pytest.mark.parametrize("bad", ["unknown", "hidden"])
@pytest.mark.parametrize(
    ("answer", "alone", "beside"),
    [
        ("refused", None, None),
        ("ignored", "everything", "pages"),
        ("empty", "nothing", "pages"),
        ("all_ignored", "everything", "everything"),
        ("all_empty", "nothing", "nothing"),
    ],
)
def test_a_filter_with_an_id_that_is_not_seen(
    served: Served, bad: str, answer: str, alone: str | None, beside: str | None
) -> None:
    post(served, "one")
    served.act(add_pages)
    switch(served, unknown_model_in_filter=answer)
    token = HIDING if bad == "hidden" else None
    wanted = served.post.id if bad == "hidden" else served.act(lambda world: world.ids.new())
    results = {
        "everything": listed(served, token=token),
        "pages": listed(served, "filter[type]=page", token=token),
        "nothing": [],
    }
    assert len(results["everything"]) > len(results["pages"]) == 1
    for query, expected in ((wanted, alone), (f"page,{wanted}", beside)):
        if expected is None:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            refusal = served.http.get(f"/items?filter[type]={query}", headers=headers)
            assert served.refused(refusal) == (422, "ITEM_TYPE_NOT_FOUND")
        else:
            assert listed(served, f"filter[type]={query}", token=token) == results[expected]


@pytest.mark.parametrize(("answer", "expected"), [("published", "published"), ("null", None)])
def test_the_status_of_records_without_draft_mode(served: Served, answer: str, expected: str | None) -> None:
    served.act(add_pages)
    switch(served, status_without_drafts=answer)
    (page,) = served.get("/items?filter[type]=page")["data"]
    assert page["meta"]["status"] == expected


def test_records_of_a_model_that_becomes_a_block_model_are_blocks_until_it_is_turned_back(served: Served) -> None:
    id = post(served)
    versions = served.get(f"/items/{id}/versions")
    before = served.get(f"/items/{id}")
    turn = {"data": {"id": served.post.id, "type": "item_type", "attributes": {"modular_block": True}}}
    assert served.job("PUT", f"/item-types/{served.post.id}", turn)[0] == 200

    (block,) = served.get("/items")["data"]
    assert (block["id"], "creator" in block["relationships"]) == (id, False)
    assert block["meta"] == before["data"]["meta"]
    assert served.refused(served.http.get(f"/items/{id}")) == (404, "NOT_FOUND")
    assert served.refused(served.http.get(f"/items/{id}/versions"))[0] == 404
    assert served.refused(served.http.get(f"/versions/{block['meta']['current_version']}"))[0] == 404
    assert served.refused(served.http.put(f"/items/{id}/publish"))[0] == 404
    switch(served, block_versions="versions", lists_blocks=False)
    assert served.get(f"/items/{id}/versions") == versions
    assert listed(served) == []
    story = served.get("/_simulator/truth")
    assert [one["alive"] for one in story["records"]] == [True]

    served.act(lambda world: world.update_model(world.account, "post", is_block=False))
    assert served.get(f"/items/{id}") == before
    assert served.get(f"/items/{id}/versions") == versions
    assert listed(served) == [id]


def test_blocks_are_not_listed_while_their_model_is_one_of_records(served: Served) -> None:
    id = post(served, "one")
    served.act(lambda world: world.update_model(world.account, "paragraph", is_block=False))
    assert listed(served) == [id]
    served.act(lambda world: world.update_model(world.account, "paragraph", is_block=True))
    assert len(listed(served)) == 2


def test_a_plan_for_a_record_that_is_a_block_by_now_is_dropped(served: Served) -> None:
    id = post(served)

    def plan(world: World) -> None:
        world.schedule_publication(world.user, id, world.now() + timedelta(hours=1))
        world.update_model(world.account, "post", is_block=True)
        world.clock.advance(timedelta(hours=2))

    served.act(plan)
    served.get("/items")
    served.act(lambda world: world.update_model(world.account, "post", is_block=False))
    meta = served.get(f"/items/{id}")["data"]["meta"]
    assert (meta["publication_scheduled_at"], meta["status"]) == (None, "draft")


def test_a_switch_takes_only_its_own_values(served: Served) -> None:
    answer = served.http.post("/_simulator/switches", json={"block_by_id": "405"})
    assert answer.status_code == 400
    assert served.act(lambda world: world.options.block_by_id) == "404"
