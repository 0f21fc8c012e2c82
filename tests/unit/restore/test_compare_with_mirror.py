"""What a project has, and what the mirror has: equal, or named where it differs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from versionsync.history.diff.schema import Schema, SchemaField
from versionsync.ledger.records import Editor
from versionsync.restore.compare_with_mirror import Comparison, RecordState, Why, compare_with_mirror

AT = datetime(2026, 9, 1, 9, tzinfo=UTC)


def field(api_key: str, field_type: str, *, is_localized: bool = False) -> SchemaField:
    return SchemaField(
        id=f"id-{api_key}", api_key=api_key, label=api_key, field_type=field_type, is_localized=is_localized
    )


SCHEMA = Schema.of(
    [
        *(("post", field(type, type)) for type in ("string", "link", "links", "date_time", "structured_text")),
        ("post", field("by_locale", "link", is_localized=True)),
        ("post", field("sections", "rich_text")),
        ("quote", field("text", "string")),
        ("quote", field("source", "link")),
    ]
)


def content(**values: Any) -> bytes:
    return json.dumps({"string": "Hello", **values}).encode()


def quote(id: str, *, text: str = "Yes", source: str = "person-1") -> dict[str, Any]:
    model = {"item_type": {"data": {"id": "quote", "type": "item_type"}}}
    return {"type": "item", "id": id, "attributes": {"text": text, "source": source}, "relationships": model}


def record(id: str = "a", **changes: Any) -> RecordState:
    plain = RecordState(
        id=id,
        model_id="post",
        current=content(),
        published=content(),
        status="published",
        stage=None,
        creator=Editor("user", "1"),
        created_at=AT,
        first_published_at=AT,
    )
    return replace(plain, **changes)


def compared(mirrored: RecordState, restored: RecordState) -> list[tuple[str, str | None, str]]:
    """The part, the field and the way of each difference."""
    found = compare_with_mirror([mirrored], [restored], SCHEMA)
    assert found.equal == (not found.different)
    return [(one.part, one.field, one.why.value) for one in found.different]


def test_records_that_are_the_same_are_equal_and_their_contents_are_counted() -> None:
    draft = record("b", current=content(string="Draft"), status="updated")
    unpublished = record("c", published=None, status="draft")
    found = compare_with_mirror([record(), draft, unpublished], [record(), draft, unpublished], SCHEMA)
    assert found == Comparison(records=3, versions=4, equal=3, different=())


@pytest.mark.parametrize(
    "spelling",
    [
        b'{ "string" : "Hel\\u006co" , "date_time":"2026-09-01T10:00:00Z" }',
        b'{"date_time":"2026-09-01T12:00:00.000+02:00","string":"Hello"}',
    ],
)
def test_the_spelling_of_a_content_makes_no_difference(spelling: bytes) -> None:
    stored = content(date_time="2026-09-01T10:00:00Z")
    assert compared(record(current=stored), record(current=spelling)) == []


def test_times_are_compared_in_whole_seconds() -> None:
    later = AT + timedelta(milliseconds=300)
    assert compared(record(), record(created_at=later, first_published_at=later)) == []
    assert compared(record(), record(created_at=AT + timedelta(seconds=1))) == [("created_at", None, "value")]


@pytest.mark.parametrize(
    ("part", "value", "why"),
    [
        ("status", "updated", Why.VALUE),
        ("creator", Editor("user", "2"), Why.VALUE),
        ("creator", None, Why.MISSING),
        ("stage", "reviewing", Why.UNEXPECTED),
        ("first_published_at", None, Why.MISSING),
        ("published", None, Why.MISSING),
    ],
)
def test_what_differs_in_the_meta_is_named(part: str, value: object, why: Why) -> None:
    assert compared(record(), record(**{part: value})) == [(part, None, why.value)]


def test_a_field_that_differs_is_named_with_its_part() -> None:
    live = content(string="Bye", links=None)
    assert compared(record(), record(published=live)) == [
        ("published", "links", "unexpected"),
        ("published", "string", "value"),
    ]


@pytest.mark.parametrize(
    ("name", "before", "after", "why"),
    [
        ("sections", [quote("x")], [quote("y")], Why.BLOCK_IDS),
        ("sections", [quote("x")], [quote("x", source="person-2")], Why.LINKS),
        ("sections", [quote("x")], [quote("y", source="person-2")], Why.LINKS),
        ("sections", [quote("x")], [quote("x", text="No")], Why.VALUE),
        ("sections", [quote("x")], [], Why.VALUE),
        ("link", "one", None, Why.LINKS),
        ("links", ["one", "two"], ["two"], Why.LINKS),
        ("by_locale", {"en": "one", "it": "two"}, {"en": "one", "it": None}, Why.LINKS),
        ("by_locale", {"en": "one", "it": "two"}, {"en": "one"}, Why.VALUE),
        ("string", "one", "two", Why.VALUE),
    ],
)
def test_how_a_field_differs_is_said(name: str, before: object, after: object, why: Why) -> None:
    first, second = (record(current=content(**{name: value})) for value in (before, after))
    assert compared(first, second) == [("current", name, why.value)]


def test_a_link_in_a_structured_text_is_a_link() -> None:
    def text(target: str) -> dict[str, Any]:
        link = {"type": "itemLink", "item": target, "children": [{"type": "span", "value": "here"}]}
        paragraph = {"type": "paragraph", "children": [link]}
        return {"schema": "dast", "document": {"type": "root", "children": [paragraph]}}

    first, second = (record(current=content(structured_text=text(target))) for target in ("one", "two"))
    assert compared(first, second) == [("current", "structured_text", "links")]


def test_records_of_one_side_alone_are_named() -> None:
    found = compare_with_mirror([record("a"), record("b")], [record("b"), record("c")], SCHEMA)
    assert (found.records, found.versions, found.equal) == (2, 1, 1)
    assert [(one.record_id, one.part, one.why) for one in found.different] == [
        ("a", "record", Why.MISSING),
        ("c", "record", Why.UNEXPECTED),
    ]


def test_a_record_that_was_left_alone_is_counted_and_not_compared() -> None:
    found = compare_with_mirror([record("a"), record("b")], [record("b")], SCHEMA, ignored=["a"])
    assert found == Comparison(records=2, versions=1, equal=1, different=())
