"""Which records and uploads a content names, and how the steps of versions become intervals."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from versionsync.history.diff.schema import Schema, SchemaField
from versionsync.history.projections.changes import VersionContent
from versionsync.history.projections.links import (
    InconsistentSteps,
    Link,
    LinkStep,
    RecordLinks,
    link_rows,
    links_in,
    step_between,
)
from versionsync.history.schema_at import SchemaState

FIELDS = {
    "title": "string",
    "note": "json",
    "near": "links",
    "author": "link",
    "picture": "file",
    "pictures": "gallery",
    "preview": "seo",
    "parts": "rich_text",
    "part": "single_block",
    "body": "structured_text",
}


def state(**localized: bool) -> SchemaState:
    """A model `m` and a block model `b` with these fields; those that are named are localized in `m`."""

    def fields(model: str, **by_locale: bool) -> list[tuple[str, SchemaField]]:
        return [
            (
                model,
                SchemaField(
                    id=f"{model}-{key}", api_key=key, label=key, field_type=type, is_localized=key in by_locale
                ),
            )
            for key, type in FIELDS.items()
        ]

    return SchemaState(0, Schema.of([*fields("m", **localized), *fields("b")]), {"m": {"former": "author"}}, {})


def found(attributes: dict[str, Any], of: SchemaState | None = None) -> list[tuple[str | None, ...]]:
    """Kind, target, field, locale and blocks of each link, in the order of the content."""
    content = VersionContent(
        version_id="v",
        record_id="r",
        model_id="m",
        created_at=datetime(2026, 9, 1, tzinfo=UTC),
        hash=b"",
        attributes=attributes,
        state=of or state(),
    )
    return [
        (one.target_kind, one.target_id, one.field, one.locale, one.block_path) for one in links_in(content).values()
    ]


def block(id: str, attributes: dict[str, Any], model: str = "b") -> dict[str, Any]:
    """A whole block."""
    return {
        "id": id,
        "type": "item",
        "attributes": attributes,
        "relationships": {"item_type": {"data": {"id": model, "type": "item_type"}}},
    }


def text(*nodes: dict[str, Any]) -> dict[str, Any]:
    """A structured text."""
    return {
        "schema": "dast",
        "document": {"type": "root", "children": [{"type": "paragraph", "children": list(nodes)}]},
    }


def test_every_kind_of_field_shows_what_it_names() -> None:
    assert found({"author": "a", "near": ["b", "c", "b"], "picture": {"upload_id": "p", "alt": "x"}}) == [
        ("record", "a", "author", None, None),
        ("record", "b", "near", None, None),
        ("record", "c", "near", None, None),
        ("upload", "p", "picture", None, None),
    ]
    assert found({"pictures": [{"upload_id": "p"}, {"upload_id": "q"}], "preview": {"title": "x", "image": "s"}}) == [
        ("upload", "p", "pictures", None, None),
        ("upload", "q", "pictures", None, None),
        ("upload", "s", "preview", None, None),
    ]


def test_what_only_looks_like_a_link_is_none() -> None:
    assert found({"title": "a", "note": '{"upload_id": "p"}', "author": None, "near": [], "preview": {}}) == []
    assert found({"picture": {"upload_id": None}, "unknown": "a", "preview": {"image": None}}) == []


def test_a_structured_text_names_records_in_the_order_of_the_text() -> None:
    nodes = (
        {"type": "span", "value": "x"},
        {"type": "itemLink", "item": "b", "children": [{"type": "span", "value": "a"}]},
        {"type": "inlineItem", "item": "a"},
        {"type": "block", "item": "a-block-by-its-id"},
        {"type": "inlineBlock", "item": block("k", {"picture": {"upload_id": "p"}})},
    )
    assert found({"body": text(*nodes)}) == [
        ("record", "b", "body", None, None),
        ("record", "a", "body", None, None),
        ("upload", "p", "picture", None, "k"),
    ]


def test_blocks_and_locales_are_named() -> None:
    inner = block("i", {"near": ["a"]})
    attributes = {
        "parts": {"en": [block("o", {"parts": [inner]})], "it": None},
        "part": block("k", {"author": "z"}),
        "picture": {"en": {"upload_id": "p"}, "it": {"upload_id": "p"}},
    }
    assert found(attributes, state(parts=True, picture=True)) == [
        ("record", "a", "near", "en", "o/i"),
        ("record", "z", "author", None, "k"),
        ("upload", "p", "picture", "en", None),
        ("upload", "p", "picture", "it", None),
    ]


def test_a_field_that_the_schema_does_not_have_shows_files_and_texts() -> None:
    """A text in it may be anything, an object with an upload is what it says."""
    attributes = {"gone": {"en": {"upload_id": "p"}}, "lost": text({"type": "inlineItem", "item": "a"}), "odd": "a"}
    assert found(attributes) == [("upload", "p", "gone", None, None), ("record", "a", "lost", None, None)]


def test_a_field_by_its_former_name_is_the_field() -> None:
    assert found({"former": "a"}) == [("record", "a", "former", None, None)]


def test_a_content_that_nests_too_deep_has_no_links() -> None:
    value: Any = {"upload_id": "p"}
    for _ in range(5000):
        value = [value]
    assert found({"picture": {"upload_id": "q"}, "pictures": value}) == []


def link(id: str) -> Link:
    """A link of the field `near`."""
    return Link("record", id, "m-near", "near", None, None)


def test_steps_and_the_rows_that_they_made_give_the_same_rows_again() -> None:
    """Whichever steps are computed anew, for random histories."""
    chance = random.Random(5)
    for _ in range(200):
        states = [
            {one.key: one for one in map(link, chance.sample("abcde", chance.randrange(5)))}
            for _ in range(chance.randrange(1, 9))
        ]
        steps = {at * 7: step_between(states[at - 1] if at else {}, after) for at, after in enumerate(states)}
        every = RecordLinks(frozenset(steps), steps)
        rows = link_rows("r", every, ())
        for ordinal, links in zip(steps, states, strict=True):
            shown = {
                row.target_id
                for row in rows
                if row.from_ordinal <= ordinal and (row.until_ordinal is None or ordinal < row.until_ordinal)
            }
            assert shown == {one.target_id for one in links.values()}
        some = {ordinal: steps[ordinal] for ordinal in chance.sample(sorted(steps), chance.randrange(len(steps) + 1))}
        assert set(link_rows("r", RecordLinks(frozenset(steps), some), rows)) == set(rows)


@pytest.mark.parametrize(
    "steps",
    [
        {1: LinkStep([link("a")]), 2: LinkStep([link("a")])},
        {1: LinkStep(), 2: LinkStep(removed=[link("a").key])},
        {1: LinkStep(), 9: LinkStep([link("a")])},
    ],
    ids=["added twice", "removed without a beginning", "at a version that is not there"],
)
def test_steps_that_do_not_go_together_are_refused(steps: dict[int, LinkStep]) -> None:
    with pytest.raises(InconsistentSteps):
        link_rows("r", RecordLinks(frozenset({1, 2}), steps), ())
