"""Links and files: what they may point to, and what becomes of them when their target goes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.simulator.conftest import Served
from versionsync.simulator import World

NOWHERE = "AAAAAAAAQACAAAAAAAAAAA"
ALLOWED = {"link": "item_item_type", "links": "items_item_type", "prose": "structured_text_links"}


class Linked:
    """A served project in which the posts link to posts, in three fields and in blocks."""

    def __init__(self, served: Served, **strategies: str) -> None:
        self.served = served

        def build(world: World) -> None:
            owner, post = world.account, served.post
            rule = {"item_types": [post.id], **strategies}
            types = {"link": "link", "links": "links", "prose": "structured_text"}
            for model in (post, served.block):
                for key, validator in ALLOWED.items():
                    world.create_field(owner, model, key, types[key], validators={validator: rule})
            world.create_field(owner, post, "cover", "file")
            world.create_field(owner, post, "pictures", "gallery")
            world.create_field(owner, post, "seo", "seo")
            other = world.create_model(owner, "other")
            self.other = world.create(owner, other, {}).id

        served.act(build)

    def create(self, *, status: int = 201, **attributes: Any) -> Any:
        """Create a post and return its id; or the code and details of the refusal."""
        link = {"item_type": {"data": {"id": self.served.post.id, "type": "item_type"}}}
        sent = {"data": {"type": "item", "attributes": attributes, "relationships": link}}
        data = self.served.send("POST", "/items", sent, status=status)["data"]
        return (
            data["id"] if status == 201 else [(one["attributes"]["code"], one["attributes"]["details"]) for one in data]
        )

    def block(self, **attributes: Any) -> Any:
        """A block with links."""
        return self.served.paragraph("x") | {"attributes": attributes}

    def publish(self, id: str, *, status: int = 200) -> Any:
        return self.served.send("PUT", f"/items/{id}/publish", status=status)

    def read(self, id: str, version: str = "current") -> Any:
        """The attributes of a record."""
        return self.served.get(f"/items/{id}?version={version}&nested=true")["data"]["attributes"]

    def status(self, id: str) -> str:
        return str(self.served.get(f"/items/{id}")["data"]["meta"]["status"])


def prose(*ids: str) -> Any:
    """A document with a link around words, and a link without words, to each record."""
    nodes = [
        node
        for id in ids
        for node in (
            {"type": "itemLink", "item": id, "children": [{"type": "span", "value": "there"}]},
            {"type": "inlineItem", "item": id},
        )
    ]
    children = [{"type": "paragraph", "children": [{"type": "span", "value": "See "}, *nodes]}]
    return {"schema": "dast", "document": {"type": "root", "children": children}}


@pytest.fixture
def linked(served: Served) -> Linked:
    return Linked(served)


def test_a_link_needs_an_existing_record(linked: Linked) -> None:
    """In every kind of field, and in blocks; the error names the place."""
    for sent, place in (
        ({"link": NOWHERE}, "link"),
        ({"links": [NOWHERE]}, "links"),
        ({"body": [linked.block(link=NOWHERE)]}, "body.0.link"),
        ({"body": [linked.block(), linked.block(links=[NOWHERE])]}, "body.1.links"),
    ):
        ((code, details),) = linked.create(**sent, status=422)
        rule = "VALIDATION_ITEMS_ITEM_TYPE" if place.endswith("links") else "VALIDATION_ITEM_ITEM_TYPE"
        assert (code, details["field"], details["code"]) == ("INVALID_FIELD", place, rule)
    found = linked.create(prose=prose(NOWHERE), status=422)
    assert {details["code"] for _, details in found} == {"VALIDATION_STRUCTURED_TEXT_LINKS"}
    target = linked.create()
    linked.create(link=target, links=[target], prose=prose(target), body=[linked.block(link=target)])


def test_a_link_needs_a_record_of_an_allowed_model(linked: Linked) -> None:
    ((code, details),) = linked.create(links=[linked.other], status=422)
    assert (code, details["code"]) == ("INVALID_FIELD", "VALIDATION_ITEMS_ITEM_TYPE")


def test_switches_decide_about_links_and_uploads_to_nothing(linked: Linked) -> None:
    served = linked.served
    served.http.post("/_simulator/switches", json={"missing_link_code": "INVALID_LINK"})
    ((_, details),) = linked.create(link=NOWHERE, status=422)
    assert details["code"] == "INVALID_LINK"
    served.http.post("/_simulator/switches", json={"links_must_exist": False, "uploads_must_exist": False})
    linked.create(link=NOWHERE, cover={"upload_id": NOWHERE})


def test_a_file_needs_an_existing_upload(linked: Linked) -> None:
    for sent in (
        {"cover": {"upload_id": NOWHERE}},
        {"pictures": [{"upload_id": NOWHERE}]},
        {"seo": {"title": "x", "image": NOWHERE}},
    ):
        ((code, details),) = linked.create(**sent, status=422)
        assert (code, details["field"], details["code"]) == ("INVALID_FIELD", next(iter(sent)), "INVALID_UPLOAD")


def test_a_deleted_record_takes_the_links_to_it_away(linked: Linked) -> None:
    """The words of a link stay; the published content loses them, too."""
    target, other = linked.create(), linked.create()
    block = linked.block(links=[target, other])
    record = linked.create(link=target, links=[other, target], prose=prose(target), body=[block])
    for id in (target, other, record):
        linked.publish(id)
    linked.served.send("PUT", f"/items/{record}", {"data": {"type": "item", "attributes": {"links": [target]}}})
    assert linked.served.job("DELETE", f"/items/{target}")[0] == 200
    current, live = linked.read(record), linked.read(record, "published")
    assert (current["links"], live["links"]) == ([], [other])
    for content in (current, live):
        assert content["link"] is None
        assert content["body"][0]["attributes"]["links"] == [other]
        spans = content["prose"]["document"]["children"][0]["children"]
        assert [span["value"] for span in spans] == ["See ", "there"]
    assert linked.served.get(f"/items/{record}/versions")["meta"]["total_count"] == 4


@pytest.mark.parametrize("switch", ["rewritten", "kept"])
def test_links_to_a_deleted_record_may_go_in_place_or_stay(linked: Linked, switch: str) -> None:
    linked.served.http.post("/_simulator/switches", json={"deleted_links": switch})
    target = linked.create()
    record = linked.create(link=target)
    linked.served.job("DELETE", f"/items/{target}")
    assert linked.read(record)["link"] == (target if switch == "kept" else None)
    assert linked.served.get(f"/items/{record}/versions")["meta"]["total_count"] == 1


def test_a_required_link_forbids_deletion(linked: Linked) -> None:
    target = linked.create()
    record = linked.create(link=target)
    linked.served.act(lambda world: _require(world, linked.served.post.id, "link"))
    status, payload = linked.served.job("DELETE", f"/items/{target}")
    (error,) = payload["data"]
    assert (status, error["attributes"]["code"]) == (422, "DELETE_RESTRICTION")
    assert error["attributes"]["details"]["item_ids"] == [record]


def _require(world: World, model_id: str, key: str) -> None:
    field = world.primary.models[model_id].field_by_key(key)
    assert field is not None
    world.update_field(world.account, field.id, validators={**field.validators, "required": {}})


def test_publishing_needs_published_links(linked: Linked) -> None:
    """Also in blocks and texts, and for a part of the locales."""
    target = linked.create()
    for sent in ({"link": target}, {"prose": prose(target)}, {"body": [linked.block(links=[target])]}):
        record = linked.create(**sent)
        error = linked.publish(record, status=422)["data"][0]["attributes"]
        assert (error["code"], error["details"]["unpublished_item"]) == ("UNPUBLISHED_LINK", target)
    linked.publish(target)
    linked.publish(record)


def test_publishing_may_publish_what_is_linked(served: Served) -> None:
    """Through several records, and in a circle."""
    linked = Linked(served, on_publish_with_unpublished_references_strategy="publish_references")
    first = linked.create()
    second = linked.create(link=first)
    served.send("PUT", f"/items/{first}", {"data": {"type": "item", "attributes": {"links": [second]}}})
    third = linked.create(body=[linked.block(link=second)])
    linked.publish(third)
    assert [linked.status(id) for id in (first, second, third)] == ["published"] * 3


def test_what_is_linked_must_be_valid_to_be_published_with_it(served: Served) -> None:
    """Nothing is published then, not even half of it."""
    linked = Linked(served, on_publish_with_unpublished_references_strategy="publish_references")
    served.act(lambda world: world.update_model(world.account, "post", draft_saving=True))
    cover = {"upload_id": None}
    fine, broken = linked.create(cover=cover), linked.create()
    record = linked.create(cover=cover, links=[fine, broken])
    served.act(lambda world: _require(world, served.post.id, "cover"))
    linked.publish(record, status=422)
    assert {linked.status(id) for id in (fine, broken, record)} == {"draft"}
    served.send("PUT", f"/items/{broken}", {"data": {"type": "item", "attributes": {"cover": cover}}})
    linked.publish(record)


def test_without_draft_mode_saving_is_publishing(served: Served) -> None:
    linked = Linked(served)
    draft = linked.create()
    served.act(lambda world: world.update_model(world.account, "other", draft_mode=False))
    served.act(lambda world: world.create_field(world.account, "other", "link", "link"))

    def save(world: World) -> Any:
        return world.update(world.user, linked.other, {"link": draft})

    with pytest.raises(Exception, match="UNPUBLISHED_LINK"):
        served.act(save)
    linked.publish(draft)
    served.act(save)


@pytest.mark.parametrize("together", [True, False])
def test_records_that_link_to_each_other_are_published_at_once_or_not_at_all(linked: Linked, together: bool) -> None:
    served = linked.served
    served.http.post("/_simulator/switches", json={"bulk_publishes_together": together})
    first, draft = linked.create(), linked.create()
    second = linked.create(link=first)
    third = linked.create(links=[draft])
    served.send("PUT", f"/items/{first}", {"data": {"type": "item", "attributes": {"link": second}}})
    items = [{"type": "item", "id": id} for id in (first, second, third)]
    sent = {"data": {"type": "item_bulk_publish_operation", "relationships": {"items": {"data": items}}}}
    status, payload = served.job("POST", "/items/bulk/publish", sent)
    assert status == 200
    assert payload["meta"] == ({"successful": 2, "failed": 1} if together else {"successful": 0, "failed": 3})
    assert [linked.status(id) == "published" for id in (first, second, third)] == [together, together, False]


@pytest.mark.parametrize(
    ("strategy", "after"), [("fail", "published"), ("unpublish", "draft"), ("delete_references", "published")]
)
def test_unpublishing_follows_the_strategy_of_those_that_link(served: Served, strategy: str, after: str) -> None:
    linked = Linked(served, on_reference_unpublish_strategy=strategy)
    target = linked.create()
    record = linked.create(link=target)
    outer = linked.create(body=[linked.block(links=[record])])
    for id in (target, record, outer):
        linked.publish(id)
    answer = served.http.put(f"/items/{target}/unpublish")
    if strategy == "fail":
        assert served.refused(answer) == (422, "PUBLISHED_REFERENCES")
    else:
        assert linked.status(target) == "draft"
    assert linked.status(record) == after
    assert linked.status(outer) == after
    assert linked.read(record)["link"] == (None if strategy == "delete_references" else target)


def test_unpublishing_leaves_the_links_of_a_newer_draft(served: Served) -> None:
    linked = Linked(served, on_reference_unpublish_strategy="delete_references")
    target = linked.create()
    record = linked.create(link=target)
    for id in (target, record):
        linked.publish(id)
    served.send("PUT", f"/items/{record}", {"data": {"type": "item", "attributes": {"links": [target]}}})
    served.send("PUT", f"/items/{target}/unpublish")
    assert (linked.read(record, "published")["link"], linked.read(record)["link"]) == (None, target)
    linked.publish(record, status=422)


@pytest.mark.parametrize("improved", [True, False])
def test_publishing_checks_with_the_validators_of_today(linked: Linked, improved: bool) -> None:
    """Or only what its save found, in projects that did not opt in."""
    linked.served.http.post("/_simulator/switches", json={"improved_validation_at_publishing": improved})
    record = linked.create()
    linked.served.act(lambda world: _require(world, linked.served.post.id, "cover"))
    answer = linked.publish(record, status=422 if improved else 200)
    if improved:
        assert answer["data"][0]["attributes"]["details"]["code"] == "VALIDATION_REQUIRED"
    assert linked.served.get("/site")["data"]["meta"]["improved_validation_at_publishing"] is improved
