"""Validating: what a save would be refused for, and nothing saved."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.simulator.conftest import Served
from versionsync.simulator import World


@pytest.fixture
def strict(served: Served) -> Served:
    """A project in which titles, prices and the texts of blocks are required."""

    def require(world: World) -> None:
        for model in (served.post, served.block):
            for field in list(model.fields.values()):
                if field.api_key in {"title", "text"}:
                    world.update_field(world.account, field.id, validators={"required": {}})
        world.create_field(world.account, served.post, "price", "integer", validators={"required": {}})
        world.create_field(world.account, served.post, "code", "string", validators={"unique": {}})
        world.create_field(world.account, served.post, "one", "single_block", localized=True)
        world.create_field(world.account, served.post, "prose", "structured_text")
        world.create_field(world.account, served.block, "inner", "rich_text")

    served.act(require)
    return served


def body(served: Served, **attributes: Any) -> dict[str, Any]:
    """The body of a create."""
    link = {"item_type": {"data": {"id": served.post.id, "type": "item_type"}}}
    return {"data": {"type": "item", "attributes": attributes, "relationships": link}}


def problems(served: Served, path: str, sent: Any, method: str = "POST") -> list[tuple[str, str]]:
    """The field and the code of each error."""
    answer = served.http.request(method, path, json=sent)
    if answer.status_code in {200, 201, 204}:
        return []
    assert answer.status_code == 422
    errors = [error["attributes"] for error in answer.json()["data"]]
    assert {error["code"] for error in errors} == {"INVALID_FIELD"}
    return [(error["details"]["field"], error["details"]["code"]) for error in errors]


def fine(served: Served, **more: Any) -> dict[str, Any]:
    """Attributes that are valid."""
    return {"title": {"en": "a"}, "price": 1, **more}


def test_what_is_valid_is_answered_with_nothing(strict: Served) -> None:
    """And saved neither by one route nor by the other."""
    answer = strict.http.post("/items/validate", json=body(strict, **fine(strict, body=[strict.paragraph("x")])))
    assert (answer.status_code, answer.content) == (204, b"")
    assert strict.get("/items")["meta"]["total_count"] == 0
    record = strict.send("POST", "/items", body(strict, **fine(strict)), status=201)["data"]
    answer = strict.http.post(f"/items/{record['id']}/validate", json=body(strict, price=2))
    assert (answer.status_code, answer.content) == (204, b"")
    assert strict.get(f"/items/{record['id']}")["data"] == record


def test_validating_is_refused_with_what_saving_is_refused_with(strict: Served) -> None:
    """All of it at once: each field that is missing, or is not unique."""
    strict.send("POST", "/items", body(strict, **fine(strict, code="x")), status=201)
    for sent, expected in (
        ({}, [("title", "VALIDATION_REQUIRED"), ("price", "VALIDATION_REQUIRED")]),
        ({"title": {"en": ""}, "price": 1}, [("title", "VALIDATION_REQUIRED")]),
        ({"title": {"en": "a"}, "code": "x"}, [("price", "VALIDATION_REQUIRED"), ("code", "VALIDATION_UNIQUE")]),
    ):
        assert problems(strict, "/items/validate", body(strict, **sent)) == expected
        assert problems(strict, "/items", body(strict, **sent)) == expected
    record = strict.send("POST", "/items", body(strict, **fine(strict, code="y")), status=201)["data"]
    changed = body(strict, price=None, code="x")
    expected = [("price", "VALIDATION_REQUIRED"), ("code", "VALIDATION_UNIQUE")]
    assert problems(strict, f"/items/{record['id']}/validate", changed) == expected
    assert problems(strict, f"/items/{record['id']}", changed, "PUT") == expected
    assert problems(strict, f"/items/{record['id']}/validate", body(strict, code="y")) == []


@pytest.mark.parametrize("name", ["path", "field"])
def test_blocks_are_validated_where_they_are(strict: Served, name: str) -> None:
    """In lists, by locale, in documents, and in blocks; upstream does not say how it names the place."""
    strict.http.post("/_simulator/switches", json={"block_problems_name": name})
    good, bad = strict.paragraph("x"), strict.paragraph("")
    nest = strict.paragraph("x")
    nest["attributes"]["inner"] = [good, bad]
    nodes = [{"type": "block", "item": one} for one in (good, bad)]
    prose = {"schema": "dast", "document": {"type": "root", "children": nodes}}
    one = {"en": bad, "it": good}
    sent = body(strict, **fine(strict, title=dict.fromkeys(one, "a"), body=[good, bad, nest], one=one, prose=prose))
    places = ["body.1.text", "body.2.inner.1.text", "one.en.text", "prose.1.text"]
    if name == "field":
        places = ["body", "body", "one", "prose"]
    expected = [(place, "VALIDATION_REQUIRED") for place in places]
    assert problems(strict, "/items/validate", sent) == expected
    assert problems(strict, "/items", sent) == expected


def test_a_block_that_is_kept_is_valid_as_it_is(strict: Served) -> None:
    """It is sent as its id, and one of its fields alone may change."""
    record = strict.send("POST", "/items", body(strict, **fine(strict, body=[strict.paragraph("x")])), status=201)
    block, path = record["data"]["attributes"]["body"][0], f"/items/{record['data']['id']}/validate"
    assert problems(strict, path, body(strict, body=[block])) == []
    emptied = {**strict.paragraph(""), "id": block}
    assert problems(strict, path, body(strict, body=[emptied])) == [("body.0.text", "VALIDATION_REQUIRED")]


def test_a_model_may_keep_what_is_invalid_as_a_draft(strict: Served) -> None:
    """Then neither saving nor validating is refused, but publishing is."""
    strict.act(lambda world: world.update_model(world.account, "post", draft_saving=True))
    sent = body(strict, **fine(strict, body=[strict.paragraph("")]))
    assert strict.http.post("/items/validate", json=sent).status_code == 204
    record = strict.send("POST", "/items", sent, status=201)["data"]
    assert record["meta"]["is_valid"] is False
    assert strict.http.put(f"/items/{record['id']}/publish").status_code == 422


def test_a_second_record_of_a_singleton_is_not_valid(served: Served) -> None:
    """As it cannot be created."""

    def single(world: World) -> Any:
        model = world.create_model(world.account, "home", is_singleton=True)
        world.create(world.user, model, {})
        return model.id

    link = {"item_type": {"data": {"id": served.act(single), "type": "item_type"}}}
    sent = {"data": {"type": "item", "attributes": {}, "relationships": link}}
    assert served.refused(served.http.post("/items/validate", json=sent)) == (422, "DUPLICATE_SINGLETON")


def test_validating_uses_up_no_id(served: Served) -> None:
    """A project that was validated in goes on like one that was not."""
    before = served.act(lambda world: world.ids._random.getstate())
    served.http.post("/items/validate", json=body(served, body=[served.paragraph("x")]))
    assert served.act(lambda world: world.ids._random.getstate()) == before
