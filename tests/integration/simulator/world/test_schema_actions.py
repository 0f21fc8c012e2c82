"""Models, fields and fieldsets that are made, copied and arranged through the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.simulator.conftest import Served


def body(type: str, points: dict[str, tuple[str, str] | None] | None = None, **attributes: Any) -> dict[str, Any]:
    """The body of a request: *points* are the relationships, each a type and an id, or None."""
    links = {
        name: {"data": None if to is None else {"type": to[0], "id": to[1]}} for name, to in (points or {}).items()
    }
    return {"data": {"type": type, "attributes": attributes, "relationships": links}}


def model(served: Served, api_key: str = "page", **attributes: Any) -> Any:
    """A new model, as the answer describes it."""
    sent = body("item_type", name=api_key.capitalize(), api_key=api_key, **attributes)
    return served.send("POST", "/item-types", sent, status=201)["data"]


def field(
    served: Served,
    model_id: str,
    api_key: str,
    field_type: str = "string",
    fieldset: str | None = None,
    **attributes: Any,
) -> Any:
    """A new field, as the job describes it."""
    points = {"fieldset": ("fieldset", fieldset)} if fieldset else {}
    sent = body("field", points, label=api_key.capitalize(), api_key=api_key, field_type=field_type, **attributes)  # type: ignore[arg-type]
    status, payload = served.job("POST", f"/item-types/{model_id}/fields", sent)
    assert status == 201, payload
    return payload["data"]


def fieldset(served: Served, model_id: str, title: str = "Details", **attributes: Any) -> Any:
    """A new fieldset, as the answer describes it."""
    sent = body("fieldset", title=title, **attributes)
    return served.send("POST", f"/item-types/{model_id}/fieldsets", sent, status=201)["data"]


def links(served: Served, model_id: str) -> dict[str, Any]:
    """The relationships of a model, and where they point."""
    found: dict[str, Any] = served.get(f"/item-types/{model_id}")["data"]["relationships"]
    return {name: link["data"] and link["data"]["id"] for name, link in found.items() if name.endswith("_field")}


def api_keys(served: Served, model_id: str) -> list[str]:
    """The fields of a model, in their order."""
    return [one["attributes"]["api_key"] for one in served.get(f"/item-types/{model_id}/fields")["data"]]


def test_a_fieldset_is_kept_as_it_was_sent(served: Served) -> None:
    page = model(served)["id"]
    said = {"title": "Details", "hint": "a hint", "collapsible": True, "start_collapsed": True, "position": 3}
    made = fieldset(served, page, **{name: value for name, value in said.items() if name != "title"})
    assert made["attributes"] == said
    assert made["relationships"]["item_type"]["data"]["id"] == page
    assert served.get(f"/fieldsets/{made['id']}")["data"] == made
    assert served.get(f"/item-types/{page}/fieldsets")["data"] == [made]
    assert served.get("/site?include=item_types.fieldsets")["included"] == [made]
    changed = served.send("PUT", f"/fieldsets/{made['id']}", body("fieldset", title="More", hint=None))["data"]
    assert changed["attributes"] == said | {"title": "More", "hint": None}
    linked = served.get(f"/item-types/{page}")["data"]["relationships"]["fieldsets"]["data"]
    assert linked == [{"id": made["id"], "type": "fieldset"}]


@pytest.mark.parametrize(
    "attributes", [{}, {"title": ""}, {"title": "A", "position": "first"}, {"title": "A", "hint": 1}]
)
def test_a_fieldset_that_makes_no_sense_is_refused(served: Served, attributes: dict[str, Any]) -> None:
    path = f"/item-types/{served.post.id}/fieldsets"
    assert served.refused(served.http.post(path, json=body("fieldset", **attributes))) == (422, "INVALID_FORMAT")
    assert served.get(path)["data"] == []


def test_fields_stand_where_their_fieldset_stands(served: Served) -> None:
    page = model(served)["id"]
    field(served, page, "first")
    middle = fieldset(served, page)["id"]
    field(served, page, "last")
    field(served, page, "inner", fieldset=middle)
    assert api_keys(served, page) == ["first", "inner", "last"]
    inner = served.get(f"/item-types/{page}/fields")["data"][1]
    assert inner["relationships"]["fieldset"]["data"]["id"] == middle
    assert inner["attributes"]["position"] == 1


def test_a_field_moves_in_and_out_of_a_fieldset(served: Served) -> None:
    page = model(served)["id"]
    moved, _ = field(served, page, "moved"), field(served, page, "other")
    details = fieldset(served, page)["id"]
    for to, order in ((("fieldset", details), ["other", "moved"]), (None, ["other", "moved"])):
        status, payload = served.job("PUT", f"/fields/{moved['id']}", body("field", {"fieldset": to}))
        assert status == 200
        assert payload["data"]["relationships"]["fieldset"]["data"] == (to and {"type": to[0], "id": to[1]})
        assert api_keys(served, page) == order


def test_a_field_does_not_stand_in_the_fieldset_of_another_model(served: Served) -> None:
    page, foreign = model(served)["id"], fieldset(served, served.post.id)["id"]
    made = field(served, page, "title")
    sent = body("field", {"fieldset": ("fieldset", foreign)})
    status, payload = served.job("PUT", f"/fields/{made['id']}", sent)
    assert (status, payload["data"][0]["attributes"]["code"]) == (422, "INVALID_FIELD")
    assert served.get(f"/fields/{made['id']}")["data"] == made


def test_a_removed_fieldset_leaves_its_fields(served: Served) -> None:
    page = model(served)["id"]
    details = fieldset(served, page)["id"]
    for api_key in ("a", "b"):
        field(served, page, api_key, fieldset=details)
    field(served, page, "c")
    served.send("DELETE", f"/fieldsets/{details}")
    assert served.refused(served.http.get(f"/fieldsets/{details}")) == (404, "NOT_FOUND")
    fields = served.get(f"/item-types/{page}/fields")["data"]
    assert [one["attributes"]["api_key"] for one in fields] == ["c", "a", "b"]
    assert {one["relationships"]["fieldset"]["data"] for one in fields} == {None}


def test_a_copy_of_a_model_has_all_but_the_records(served: Served) -> None:
    """Its fields and fieldsets are its own: what becomes of them does not touch the original."""
    page = model(served, tree=True)["id"]
    title = field(served, page, "title", validators={"required": {}})
    details = fieldset(served, page)["id"]
    field(served, page, "body", fieldset=details)
    served.act(lambda world: world.create(world.user, "page", {"title": "words"}))
    copies = [served.send("POST", f"/item-types/{page}/duplicate", status=201)["data"] for _ in range(2)]
    assert [(one["attributes"]["name"], one["attributes"]["api_key"]) for one in copies] == [
        ("Page (copy #1)", "page_copy1"),
        ("Page (copy #2)", "page_copy2"),
    ]
    assert copies[0]["attributes"]["tree"] is True
    copy = copies[0]["id"]
    fields = served.get(f"/item-types/{copy}/fields")["data"]
    assert [one["attributes"]["api_key"] for one in fields] == ["title", "body"]
    assert fields[0]["attributes"]["validators"] == {"required": {}}
    assert links(served, copy)["title_field"] == fields[0]["id"] != title["id"]
    (group,) = served.get(f"/item-types/{copy}/fieldsets")["data"]
    assert fields[1]["relationships"]["fieldset"]["data"]["id"] == group["id"] != details
    assert {one["relationships"]["item_type"]["data"]["id"] for one in (*fields, group)} == {copy}
    served.job("DELETE", f"/fields/{fields[0]['id']}")
    assert api_keys(served, page) == ["title", "body"]
    assert served.get(f"/items?filter[type]={copy}")["meta"]["total_count"] == 0


def test_a_copy_of_a_field_is_empty(served: Served) -> None:
    page = model(served)["id"]
    title, _ = field(served, page, "title", hint="a hint"), field(served, page, "other")
    record = served.act(lambda world: world.create(world.user, "page", {"title": "words"}).id)
    status, payload = served.job("POST", f"/fields/{title['id']}/duplicate")
    copy = payload["data"]
    assert (status, copy["attributes"]["label"], copy["attributes"]["api_key"]) == (
        201,
        "Title (copy #1)",
        "title_copy1",
    )
    assert copy["attributes"]["hint"] == "a hint"
    assert payload["included"][0]["id"] == page
    assert api_keys(served, page) == ["title", "other", "title_copy1"]
    assert served.act(lambda world: world.update(world.user, record, {"title_copy1": "more"}).head.read()) == (
        b'{"title":"words","other":null,"title_copy1":"more"}'
    )


def test_the_first_string_is_the_title(served: Served) -> None:
    """As recorded: the job of the field says so of the model, and a block model has no title."""
    page, block = model(served)["id"], model(served, "quote", modular_block=True)["id"]
    field(served, page, "body", "text")
    sent = body("field", label="Title", api_key="title", field_type="string")
    _, payload = served.job("POST", f"/item-types/{page}/fields", sent)
    title = payload["data"]["id"]
    assert payload["included"][0]["relationships"]["title_field"]["data"]["id"] == title
    field(served, page, "subtitle")
    field(served, block, "words")
    assert {name: id for name, id in links(served, page).items() if id} == {"title_field": title}
    assert set(links(served, block).values()) == {None}
    served.job("DELETE", f"/fields/{title}")
    assert links(served, page)["title_field"] is None


def test_what_else_is_assigned_is_a_switch(served: Served) -> None:
    served.http.post("/_simulator/switches", json={"assigned_fields": "all"})
    page, block = model(served)["id"], model(served, "quote", modular_block=True)["id"]
    made = {name: field(served, page, name, name)["id"] for name in ("string", "text", "file", "gallery")}
    words = field(served, block, "words")["id"]
    assert {name: id for name, id in links(served, page).items() if id} == {
        "title_field": made["string"],
        "presentation_title_field": made["string"],
        "image_preview_field": made["file"],
        "presentation_image_field": made["file"],
        "excerpt_field": made["text"],
    }
    assert {name: id for name, id in links(served, block).items() if id} == {"presentation_title_field": words}
    served.http.post("/_simulator/switches", json={"assigned_fields": "none"})
    other = model(served, "other")["id"]
    field(served, other, "title")
    assert set(links(served, other).values()) == {None}


def test_a_model_points_to_the_fields_that_it_is_told(served: Served) -> None:
    page = model(served)["id"]
    title, image = field(served, page, "title"), field(served, page, "image", "file")
    points = {
        "title_field": None,
        "image_preview_field": ("field", image["id"]),
        "excerpt_field": ("field", title["id"]),
        "ordering_field": ("field", title["id"]),
    }
    sent = body("item_type", points, ordering_direction="desc")
    status, payload = served.job("PUT", f"/item-types/{page}", sent)
    assert (status, payload["data"]["attributes"]["ordering_direction"]) == (200, "desc")
    assert {name: id for name, id in links(served, page).items() if id} == {
        "image_preview_field": image["id"],
        "excerpt_field": title["id"],
        "ordering_field": title["id"],
    }


def test_a_model_does_not_point_just_anywhere(served: Served) -> None:
    page, block = model(served)["id"], model(served, "quote", modular_block=True)["id"]
    title, words = field(served, page, "title")["id"], field(served, block, "words")["id"]
    for changed, name, to in (
        (page, "title_field", words),
        (page, "image_preview_field", title),
        (page, "title_field", "nothing"),
        (block, "title_field", words),
    ):
        before = links(served, changed)
        status, payload = served.job("PUT", f"/item-types/{changed}", body("item_type", {name: ("field", to)}))
        assert (status, payload["data"][0]["attributes"]["code"]) == (422, "INVALID_FIELD")
        assert payload["data"][0]["attributes"]["details"]["field"] == name
        assert links(served, changed) == before


def test_records_are_ordered_by_a_field_or_by_a_time(served: Served) -> None:
    page = model(served)["id"]
    title = field(served, page, "title")["id"]
    assert served.job("PUT", f"/item-types/{page}", body("item_type", ordering_meta="created_at"))[0] == 200
    status, payload = served.job("PUT", f"/item-types/{page}", body("item_type", {"ordering_field": ("field", title)}))
    assert (status, payload["data"][0]["attributes"]["details"]["field"]) == (422, "ordering_meta")
    sent = body("item_type", {"ordering_field": ("field", title)}, ordering_meta=None)
    assert served.job("PUT", f"/item-types/{page}", sent)[0] == 200


@pytest.mark.parametrize(
    ("path", "attributes"),
    [
        ("/item-types", {"api_key": "page"}),
        ("/item-types", {"name": "Page"}),
        ("/item-types", {"name": "Page", "api_key": "page", "tree": "yes"}),
        ("/item-types", {"name": "Page", "api_key": "page", "ordering_direction": "up"}),
        ("/item-types/post/fields", {"api_key": "a", "field_type": "string"}),
        ("/item-types/post/fields", {"label": "A", "api_key": "a", "field_type": "string", "validators": []}),
    ],
)
def test_settings_that_make_no_sense_are_refused(served: Served, path: str, attributes: dict[str, Any]) -> None:
    assert served.refused(served.http.post(path, json=body("x", **attributes))) == (422, "INVALID_FORMAT")


def test_a_relationship_to_something_else_is_refused(served: Served) -> None:
    sent = body("item_type", {"title_field": ("fieldset", "x")})
    assert served.refused(served.http.put("/item-types/post", json=sent)) == (422, "INVALID_FORMAT")


def test_a_model_keeps_off_the_name_of_another(served: Served) -> None:
    page = model(served)["id"]
    status, payload = served.job("PUT", f"/item-types/{page}", body("item_type", api_key="post"))
    assert (status, payload["data"][0]["attributes"]["code"]) == (422, "INVALID_FIELD")
    assert served.job("PUT", f"/item-types/{page}", body("item_type", api_key="page"))[0] == 200


def test_a_field_does_not_become_of_an_unknown_type(served: Served) -> None:
    made = field(served, served.post.id, "extra")
    status, payload = served.job("PUT", f"/fields/{made['id']}", body("field", field_type="hologram"))
    assert (status, payload["data"][0]["attributes"]["code"]) == (422, "INVALID_ATTRIBUTES")
    assert served.get(f"/fields/{made['id']}")["data"] == made


def test_whether_a_change_of_a_model_is_a_job_is_a_switch(served: Served) -> None:
    """The vendor's types call it one; the answers of 2021 do not."""
    page = model(served)["id"]
    assert served.job("PUT", f"/item-types/{page}", body("item_type", name="A"))[1]["data"]["attributes"]["name"] == "A"
    served.http.post("/_simulator/switches", json={"updating_models_is_job": False})
    changed = served.send("PUT", f"/item-types/{page}", body("item_type", name="B"))
    assert changed["data"]["attributes"]["name"] == "B"
    taken = served.http.put(f"/item-types/{page}", json=body("item_type", api_key="post"))
    assert served.refused(taken) == (422, "INVALID_FIELD")


def test_a_job_says_how_the_request_would_have_been_answered(served: Served) -> None:
    page = model(served)["id"]
    title = field(served, page, "title")
    for method, path, status, text in (
        ("POST", f"/fields/{title['id']}/duplicate", 201, "Created"),
        ("DELETE", f"/fields/{title['id']}", 200, "OK"),
    ):
        job = served.send(method, path, status=202)["data"]["id"]
        found = served.get(f"/job-results/{job}")["data"]["attributes"]
        assert (found["status"], found["statusText"]) == (status, text)
        assert [one["id"] for one in found["payload"]["included"]] == [page]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/item-types/post/duplicate"),
        ("POST", "/fields/x/duplicate"),
        ("POST", "/item-types/post/fieldsets"),
        ("PUT", "/fieldsets/x"),
        ("DELETE", "/fieldsets/x"),
    ],
)
def test_the_schema_is_changed_by_those_who_may(served: Served, method: str, path: str) -> None:
    def forbid(world: Any) -> None:
        (token,) = world.people.tokens.values()
        world.update_role(world.account, token.role.id, can_edit_schema=False)

    served.act(forbid)
    sent = body("fieldset", title="A") if "duplicate" not in path else None
    assert served.refused(served.http.request(method, path, json=sent)) == (401, "INSUFFICIENT_PERMISSIONS")
