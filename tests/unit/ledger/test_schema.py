"""What changed between two looks at the models and fields."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from versionsync.ledger.events import Event, EventType, TimeBasis
from versionsync.ledger.ids import ModelId
from versionsync.ledger.schema import Field, Model, Schema, SchemaPlan, plan_schema

from .build import at

NOTHING = Schema({}, {})


def document(attributes: dict[str, Any], **members: Any) -> str:
    return json.dumps({"id": "x", "attributes": attributes, **members})


def model(id: str, **attributes: Any) -> Model:
    shown = {"name": "Article", "api_key": "article", "singleton": False, **attributes}
    return Model(
        id=ModelId(id),
        api_key=shown["api_key"],
        name=shown["name"],
        is_block=False,
        is_singleton=shown["singleton"],
        draft_mode=True,
        payload=document(shown),
    )


def field(id: str, model_id: str, **attributes: Any) -> Field:
    shown = {"label": "Title", "api_key": "title", "localized": False, "position": 1, "validators": {}, **attributes}
    return Field(
        id=id,
        model_id=ModelId(model_id),
        api_key=shown["api_key"],
        label=shown["label"],
        field_type="string",
        is_localized=shown["localized"],
        position=shown["position"],
        payload=document(shown),
    )


def schema(*things: Model | Field) -> Schema:
    models = {thing.id: thing for thing in things if isinstance(thing, Model)}
    return Schema(models, {thing.id: thing for thing in things if isinstance(thing, Field)})


def plan(known: Schema, seen: Schema) -> SchemaPlan:
    return plan_schema(known, seen, seen_before=at(10), observed_at=at(20))


def told(plan: SchemaPlan) -> list[tuple[str, str | None, object]]:
    return [(event.type, event.model_id, event.data.get("changes")) for event in plan.events]


ARTICLE, TITLE = model("m"), field("f", "m")


def test_the_same_schema_changes_nothing() -> None:
    both = schema(ARTICLE, TITLE)
    assert plan(both, both) == SchemaPlan((), (), (), (), ())
    assert plan(NOTHING, NOTHING) == SchemaPlan((), (), (), (), ())


def test_the_first_look_finds_a_schema_and_no_change_of_it() -> None:
    found = plan_schema(NOTHING, schema(ARTICLE, TITLE), seen_before=None, observed_at=at(20))
    assert found == SchemaPlan((ARTICLE,), (TITLE,), (), (), ())


def test_a_new_model_and_its_field_are_told_and_written() -> None:
    found = plan(NOTHING, schema(ARTICLE, TITLE))
    assert (found.models, found.fields) == ((ARTICLE,), (TITLE,))
    assert found.events == (
        Event(
            type=EventType.MODEL_CREATED,
            key="model.created:m:observed:2026-07-01T12:00:20.000000Z",
            occurred_at=at(20),
            basis=TimeBasis.OBSERVED,
            model_id=ModelId("m"),
            data={"after": "2026-07-01T12:00:10.000000Z", "model": {"id": "m", "api_key": "article"}},
        ),
        Event(
            type=EventType.FIELD_CREATED,
            key="field.created:f:observed:2026-07-01T12:00:20.000000Z",
            occurred_at=at(20),
            basis=TimeBasis.OBSERVED,
            model_id=ModelId("m"),
            data={"after": "2026-07-01T12:00:10.000000Z", "field": {"id": "f", "api_key": "title"}},
        ),
    )


def test_a_renamed_field_tells_both_names() -> None:
    renamed = field("f", "m", api_key="headline")
    found = plan(schema(ARTICLE, TITLE), schema(ARTICLE, renamed))
    assert (found.models, found.fields) == ((), (renamed,))
    assert told(found) == [("field.changed", "m", {"api_key": ["title", "headline"]})]
    assert found.events[0].data["field"] == {"id": "f", "api_key": "headline"}


def test_a_changed_model_tells_all_that_changed() -> None:
    found = plan(schema(ARTICLE), schema(model("m", name="News", hint="short")))
    assert told(found) == [("model.changed", "m", {"hint": [None, "short"], "name": ["Article", "News"]})]


@pytest.mark.parametrize(
    ("before", "after"),
    [(0, False), (1, True), ([1], [True]), ({"on": 0}, {"on": False}), ("1", 1), (None, False), ([], {})],
)
def test_values_that_python_takes_for_equal_are_a_change(before: object, after: object) -> None:
    found = plan(schema(field("f", "m", validators=before)), schema(field("f", "m", validators=after)))
    assert told(found) == [("field.changed", "m", {"validators": [before, after]})]


@pytest.mark.parametrize("text", ["cut \ud83d here", "nul \x00 here"])
def test_text_that_json_libraries_refuse_is_a_change_as_any_other(text: str) -> None:
    """Editors paste half an emoji, and upstream sends it on."""
    odd = field("f", "m", hint=text)
    assert told(plan(schema(TITLE), schema(odd))) == [("field.changed", "m", {"hint": [None, text]})]
    assert told(plan(schema(odd), schema(TITLE))) == [("field.changed", "m", {"hint": [text, None]})]
    assert plan(schema(odd), schema(odd)) == SchemaPlan((), (), (), (), ())


def test_numbers_that_python_cannot_hold_are_a_change_as_any_other() -> None:
    small, large = (
        replace(TITLE, payload=TITLE.payload.replace('"validators": {}', f'"validators": {{"max": {number}}}'))
        for number in ("1", "1e400")
    )
    ((_, _, changes),) = told(plan(schema(small), schema(large)))
    assert changes == {"validators": [{"max": 1}, {"max": "1e400"}]}


def test_another_spelling_is_no_change_and_writes_nothing() -> None:
    """PostgreSQL keeps the payload's value, not its text."""
    spaced = json.dumps(json.loads(TITLE.payload), indent=2, sort_keys=True)
    assert spaced != TITLE.payload
    assert plan(schema(replace(TITLE, payload=spaced)), schema(TITLE)) == SchemaPlan((), (), (), (), ())


def test_a_models_meta_and_its_lists_of_fields_are_written_and_not_told() -> None:
    """The one moves by itself, the others with fields that have events of their own."""
    fields = {"fields": {"data": [{"id": "f", "type": "field"}]}, "fieldsets": {"data": []}}
    moved = document({"name": "Article", "api_key": "article", "singleton": False}, relationships=fields, meta={"a": 1})
    changed = replace(ARTICLE, payload=moved)
    assert plan(schema(ARTICLE), schema(changed)) == SchemaPlan((changed,), (), (), (), ())


def test_another_relationship_is_told() -> None:
    def with_title(id: str) -> Model:
        link = {"title_field": {"data": {"id": id, "type": "field"}}}
        return replace(ARTICLE, payload=document({}, relationships=link))

    found = plan(schema(with_title("f")), schema(with_title("g")))
    assert [*found.events[0].data["changes"]] == ["title_field"]  # type: ignore[misc]


def test_what_is_gone_is_told_by_its_last_name() -> None:
    found = plan(schema(ARTICLE, model("n", api_key="page"), TITLE, field("g", "n", api_key="body")), schema(ARTICLE))
    assert (found.models, found.fields) == ((), ())
    assert (found.deleted_models, found.deleted_fields) == (("n",), ("f", "g"))
    told = [(event.type, event.model_id, event.data.get("model") or event.data["field"]) for event in found.events]
    assert [(type, model_id, (last["id"], last["api_key"])) for type, model_id, last in told] == [  # type: ignore[index,call-overload]
        ("model.deleted", "n", ("n", "page")),
        ("field.deleted", "m", ("f", "title")),
        ("field.deleted", "n", ("g", "body")),
    ]


def test_what_is_gone_is_described_as_it_was_last() -> None:
    """Its row may be written again later, as another environment has it."""
    link = {"title_field": {"data": {"id": "f", "type": "field"}}}
    titled = replace(ARTICLE, payload=document({}, relationships=link))
    found = plan(schema(titled, TITLE), schema())
    assert [event.data.get("model") or event.data["field"] for event in found.events] == [
        {
            "id": "m",
            "api_key": ARTICLE.api_key,
            "name": ARTICLE.name,
            "presentation_title_field": None,
            "title_field": {"data": {"id": "f", "type": "field"}},
        },
        {
            "id": "f",
            "api_key": "title",
            "label": TITLE.label,
            "field_type": TITLE.field_type,
            "localized": TITLE.is_localized,
            "position": TITLE.position,
        },
    ]


def test_a_field_that_moves_to_another_model_is_written() -> None:
    moved = replace(TITLE, model_id=ModelId("n"))
    assert plan(schema(TITLE), schema(moved)).fields == (moved,)


def test_each_look_has_its_own_keys() -> None:
    """A model that changes and changes back is told twice."""
    first, second = schema(model("m", name="A")), schema(model("m", name="B"))
    there = plan_schema(first, second, seen_before=at(0), observed_at=at(10)).events
    again = plan_schema(first, second, seen_before=at(20), observed_at=at(30)).events
    assert len({event.key for event in (*there, *again)}) == 2


def test_all_of_it_is_told_in_one_order() -> None:
    """Whichever way the sets of a run hash: consumers see the same from two mirrors."""
    known = schema(*(model(f"m{n}") for n in range(9)), *(field(f"f{n}", "m0") for n in range(9)))
    found = plan(known, NOTHING)
    assert found.deleted_models == tuple(f"m{n}" for n in range(9))
    assert [event.key.split(":")[1] for event in found.events] == [f"m{n}" for n in range(9)] + [
        f"f{n}" for n in range(9)
    ]


# --- times in a field's description ---

NOON, NOON_IN_ROME, LATER = "2026-03-01T11:00:00Z", "2026-03-01T12:00:00.195+01:00", "2026-03-01T11:00:01Z"


def date_time(**attributes: Any) -> Field:
    return replace(field("f", "m", **attributes), field_type="date_time")


@pytest.mark.parametrize("make", [lambda text: {"default_value": text}, lambda text: {"default_value": {"en": text}}])
def test_a_default_time_that_is_printed_in_another_form_is_no_change(make: Any) -> None:
    found = plan(schema(model("m"), date_time(**make(NOON))), schema(model("m"), date_time(**make(NOON_IN_ROME))))
    assert (found.fields, found.events) == ((), ())
    found = plan(schema(model("m"), date_time(**make(NOON))), schema(model("m"), date_time(**make(LATER))))
    assert [event.type for event in found.events] == [EventType.FIELD_CHANGED]
    assert found.events[0].data["changes"] == {
        "default_value": [make(NOON)["default_value"], make(LATER)["default_value"]]
    }
    assert found.fields == (date_time(**make(LATER)),)


def test_a_limit_of_times_that_is_printed_in_another_form_is_no_change() -> None:
    limits = [date_time(validators={"date_time_range": {"min": text}}) for text in (NOON, NOON_IN_ROME, LATER)]
    assert plan(schema(limits[0]), schema(limits[1])).fields == ()
    assert plan(schema(limits[0]), schema(limits[2])).fields == (limits[2],)


def test_what_changes_beside_a_time_in_another_form_is_told_alone() -> None:
    before, after = date_time(default_value=NOON, hint="a"), date_time(default_value=NOON_IN_ROME, hint="b")
    found = plan(schema(before), schema(after))
    assert [event.data["changes"] for event in found.events] == [{"hint": ["a", "b"]}]
    assert found.fields == (after,)


def test_the_default_of_a_text_field_is_a_text() -> None:
    found = plan(schema(field("f", "m", default_value=NOON)), schema(field("f", "m", default_value=NOON_IN_ROME)))
    assert [event.data["changes"] for event in found.events] == [{"default_value": [NOON, NOON_IN_ROME]}]


def test_a_document_without_attributes_is_compared() -> None:
    bare = replace(date_time(), payload='{"id":"x","n":1}')
    assert plan(schema(bare), schema(replace(bare, payload='{"id":"x","n":2}'))).fields != ()
    assert plan(schema(bare), schema(replace(bare, payload='{"n":1.0,"id":"x"}'))).fields == ()
