"""The schema of any time, from that of now and the events in between."""

from __future__ import annotations

from typing import Any

from versionsync.history.schema_at import SchemaHistory, SchemaState
from versionsync.mirror.tables.events import SchemaEvent
from versionsync.mirror.tables.models import FieldState, ModelState


def model(
    id: str = "m", *, titles: tuple[str | None, str | None] = (None, None), is_deleted: bool = False
) -> ModelState:
    """A model with its two title fields."""
    links = ", ".join(
        f'"{name}": {{"data": {"null" if field is None else f"""{{"id": "{field}", "type": "field"}}"""}}}'
        for name, field in zip(("presentation_title_field", "title_field"), titles, strict=True)
    )
    payload = f'{{"attributes": {{}}, "relationships": {{{links}}}}}'
    return ModelState(id=id, api_key=id, name=id.title(), payload=payload, is_deleted=is_deleted)


def a_field(id: str, api_key: str = "", *, type: str = "string", position: int = 1, **more: Any) -> FieldState:
    """A field of the model."""
    values: dict[str, Any] = {"model_id": "m", "is_localized": False, "is_deleted": False, **more}
    return FieldState(id=id, api_key=api_key or id, label=id, field_type=type, position=position, **values)


def happened(id: int, type: str, subject: str, **changes: tuple[object, object]) -> SchemaEvent:
    """An event of a field or a model."""
    kind = type.partition(".")[0]
    data: dict[str, Any] = {kind: {"id": subject, "api_key": subject}}
    if changes:
        data["changes"] = {name: list(values) for name, values in changes.items()}
    return SchemaEvent(id, type, "m", data)


def keys(state: SchemaState) -> dict[str, str]:
    """The id of each field by its API key."""
    return {key: one.id for key, one in state.schema.of_model("m").items()}


def test_a_renamed_field_has_its_name_of_then() -> None:
    history = SchemaHistory.of(
        [model()],
        [a_field("f", "headline")],
        [
            happened(10, "field.changed", "f", api_key=("name", "title")),
            happened(20, "field.changed", "f", api_key=("title", "headline")),
        ],
    )
    assert [keys(history.at(id)) for id in (9, 10, 19, 20, 99)] == [
        {"name": "f"},
        {"title": "f"},
        {"title": "f"},
        {"headline": "f"},
        {"headline": "f"},
    ]
    assert history.at(99).former_keys == {"m": {"name": "headline", "title": "headline"}}
    assert history.at(15).former_keys == {"m": {"name": "title"}}
    assert history.at(1).former_keys == {}


def test_a_field_is_there_from_its_creation_to_its_deletion() -> None:
    history = SchemaHistory.of(
        [model()],
        [a_field("old", is_deleted=True), a_field("new")],
        [happened(10, "field.created", "new"), happened(20, "field.deleted", "old")],
    )
    assert [set(keys(history.at(id))) for id in (20, 10, 5, 15)] == [{"new"}, {"old", "new"}, {"old"}, {"old", "new"}]


def test_a_field_that_returned_as_another_one_is_what_it_was_before_its_deletion() -> None:
    """Its row has the state of now; the event of its deletion has the one of then."""
    gone = SchemaEvent(
        10,
        "field.deleted",
        "m",
        {
            "field": {
                "id": "f",
                "api_key": "old_name",
                "label": "Old",
                "field_type": "text",
                "localized": True,
                "position": 4,
            }
        },
    )
    history = SchemaHistory.of(
        [model()], [a_field("f", "new_name", type="json")], [gone, happened(20, "field.created", "f")]
    )
    before = history.at(5).schema.of_model("m")["old_name"]
    assert (before.field_type, before.is_localized, before.position, before.label) == ("text", True, 4, "Old")
    assert keys(history.at(15)) == {}
    assert history.at(25).schema.of_model("m")["new_name"].field_type == "json"


def test_types_and_places_are_those_of_then() -> None:
    history = SchemaHistory.of(
        [model()],
        [a_field("f", type="text", position=3, is_localized=True)],
        [
            happened(10, "field.changed", "f", field_type=("string", "text"), localized=(False, True)),
            happened(20, "field.changed", "f", position=(1, 3)),
        ],
    )
    (first,) = history.at(1).schema.of_model("m").values()
    (last,) = history.at(30).schema.of_model("m").values()
    assert (first.field_type, first.is_localized, first.position) == ("string", False, 1)
    assert (last.field_type, last.is_localized, last.position) == ("text", True, 3)


def title(history: SchemaHistory, at: int) -> str | None:
    """The id of the title field."""
    found = history.at(at).title_fields.get("m")
    return None if found is None else found.id


def test_the_title_is_the_one_that_the_model_names_else_its_first_short_text() -> None:
    fields = [
        a_field("long", type="text", position=1),
        a_field("second", position=3),
        a_field("first", position=2),
        a_field("named", type="text", position=9),
    ]
    assert title(SchemaHistory.of([model()], fields, []), 0) == "first"
    assert title(SchemaHistory.of([model(titles=(None, "named"))], fields, []), 0) == "named"
    assert title(SchemaHistory.of([model(titles=("second", "named"))], fields, []), 0) == "second"
    assert title(SchemaHistory.of([model(titles=("gone", None))], fields, []), 0) == "first"
    assert title(SchemaHistory.of([model()], fields[:1], []), 0) is None


def test_the_title_field_is_that_of_then() -> None:
    def link(id: str | None) -> object:
        return {"data": None if id is None else {"id": id, "type": "field"}}

    history = SchemaHistory.of(
        [model(titles=(None, "b"))],
        [a_field("a"), a_field("b")],
        [
            happened(10, "model.changed", "m", presentation_title_field=(link(None), link("a"))),
            happened(20, "model.changed", "m", presentation_title_field=(link("a"), link(None))),
            happened(30, "model.changed", "m", title_field=(link("a"), link("b"))),
        ],
    )
    assert [title(history, id) for id in (1, 10, 20, 30)] == ["a", "a", "a", "b"]
    history = SchemaHistory.of(
        [model(titles=(None, "b"))],
        [a_field("a"), a_field("b")],
        [happened(20, "model.changed", "m", presentation_title_field=(link("a"), link(None)))],
    )
    assert [title(history, id) for id in (1, 20)] == ["a", "b"]


def test_states_are_found_again_in_any_order() -> None:
    """Also after so many that the first ones were dropped."""
    count = 60
    history = SchemaHistory.of(
        [model()],
        [a_field("f", f"name_{count}")],
        [
            happened(number, "field.changed", "f", api_key=(f"name_{number - 1}", f"name_{number}"))
            for number in range(1, count + 1)
        ],
    )
    for number in (*range(count + 1), *range(count, -1, -1), 30, 2, 59):
        assert keys(history.at(number)) == {f"name_{number}": "f"}
