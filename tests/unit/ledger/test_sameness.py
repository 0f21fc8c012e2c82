"""The same in other words is the same; anything that an editor entered is not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.ledger.content import content_hash
from versionsync.ledger.ids import ModelId
from versionsync.ledger.sameness import (
    ContentFields,
    Sameness,
    compare_contents,
    keep_record_times,
    keep_version_times,
    same_value,
)

from .build import MODEL, Pull, at, record, seen
from .memory_mirror import MemoryMirror
from .printing import FORMATS, INSTANTS, Format, print_time

BLOCK = ModelId("block")
FIELDS = ContentFields(
    {
        MODEL: {
            "title": "string",
            "when": "date_time",
            "body": "structured_text",
            "blocks": "rich_text",
            "one": "single_block",
            "price": "float",
            "seo": "seo",
            "future": "a_type_of_tomorrow",
        },
        BLOCK: {"text": "text", "starts": "date_time", "inner": "rich_text"},
        ModelId("emptied"): {},
    },
    {},
)
NOON, NOON_IN_ROME, LATER = "2026-03-01T11:00:00Z", "2026-03-01T12:00:00.195+01:00", "2026-03-01T11:00:01Z"
SAME, MOVED, DIFFERENT = Sameness.SAME, Sameness.MOVED, Sameness.DIFFERENT


def compare(
    stored: object,
    shown: object,
    *,
    model: str = MODEL,
    fields: ContentFields = FIELDS,
    stored_by: int = 0,
) -> Sameness:
    """How two contents compare, either way round."""
    one, other = json.dumps(stored).encode(), json.dumps(shown).encode()
    found = compare_contents(one, other, fields, ModelId(model), stored_by=stored_by)
    assert compare_contents(other, one, fields, ModelId(model), stored_by=stored_by) is found
    return found


def block(model: str = BLOCK, id: str = "b1", meta: object = None, **attributes: object) -> dict[str, object]:
    return {
        "id": id,
        "type": "item",
        "attributes": attributes,
        "relationships": {"item_type": {"data": {"id": model, "type": "item_type"}}},
        "meta": meta or {"created_at": NOON},
    }


def document(*children: object) -> dict[str, object]:
    return {"schema": "dast", "document": {"type": "root", "children": list(children)}}


# --- members of a version ---


@pytest.mark.parametrize(
    ("stored", "shown", "found"),
    [
        ({"when": NOON}, {"when": NOON_IN_ROME}, SAME),
        ({"when": NOON}, {"when": LATER}, DIFFERENT),
        ({"when": NOON}, {"when": None}, DIFFERENT),
        ({"when": NOON}, {"when": "soon"}, DIFFERENT),
        ({"when": "soon"}, {"when": "later"}, DIFFERENT),
        ({"when": {"en": NOON, "it": None}}, {"when": {"en": NOON_IN_ROME, "it": None}}, SAME),
        ({"when": {"en": NOON}}, {"when": {"en": LATER}}, DIFFERENT),
        ({"when": {"en": NOON}}, {"when": {"it": NOON}}, DIFFERENT),
        ({"when": "2026-03-01T11:00:00.195Z"}, {"when": "2026-03-01T11:00:00.196Z"}, DIFFERENT),
        ({"title": NOON}, {"title": NOON_IN_ROME}, DIFFERENT),
        ({"title": {"en": NOON}}, {"title": {"en": NOON_IN_ROME}}, DIFFERENT),
        ({"seo": {"title": NOON}}, {"seo": {"title": NOON_IN_ROME}}, DIFFERENT),
        ({"future": [NOON]}, {"future": [NOON_IN_ROME]}, SAME),
        ({"future": [NOON]}, {"future": [LATER]}, DIFFERENT),
        ({"future": [NOON]}, {"future": [NOON, NOON]}, DIFFERENT),
        ({"title": "one"}, {"title": "two"}, DIFFERENT),
        ({"title": "one"}, {"title": None}, DIFFERENT),
        ({"title": "one"}, {}, DIFFERENT),
        ({"title": None}, {}, SAME),
        ({"title": False}, {}, DIFFERENT),
        ({"price": True}, {"price": 1}, DIFFERENT),
        ({"price": 0}, {"price": False}, DIFFERENT),
        ({"title": ""}, {}, DIFFERENT),
    ],
)
def test_a_field_is_compared_by_its_type(stored: object, shown: object, found: Sameness) -> None:
    assert compare(stored, shown) is found


@pytest.mark.parametrize("model", [MODEL, "emptied"])
@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ({}, {"created_at": NOON}),
        ({"updated_at": NOON}, {"updated_at": LATER}),
        ({"removed": "text", "other": 1}, {"other": [2]}),
    ],
)
def test_what_is_no_field_makes_no_difference(model: str, stored: dict[str, object], shown: dict[str, object]) -> None:
    """Also if the model lost all of its fields."""
    assert compare(stored, shown, model=model) is SAME
    if model == MODEL:
        assert compare(stored | {"title": "one"}, shown | {"title": "two"}) is DIFFERENT


def test_without_a_known_field_all_members_count() -> None:
    assert compare({"a": NOON, "b": [1]}, {"a": NOON_IN_ROME, "b": [1]}, model="unknown") is SAME
    assert compare({"a": NOON}, {"a": LATER}, model="unknown") is DIFFERENT
    assert compare({"a": NOON}, {"a": NOON, "b": None}, model="unknown") is DIFFERENT
    assert compare({"a": {"x": NOON}}, {"a": {"y": NOON}}, model="unknown") is DIFFERENT


def test_a_field_that_was_reshaped_after_the_content_was_stored_makes_no_difference() -> None:
    fields = replace(FIELDS, reshaped={MODEL: {"title": 10}})
    assert compare({"title": "1"}, {"title": 1}, fields=fields, stored_by=9) is SAME
    assert compare({"title": "1"}, {"title": 1}, fields=fields, stored_by=11) is DIFFERENT
    assert compare({"price": 1}, {"price": 2}, fields=fields, stored_by=9) is DIFFERENT
    assert compare({"old_title": "1"}, {"title": 1}, fields=fields, stored_by=9) is DIFFERENT, "it was renamed, too"


# --- blocks ---


@pytest.mark.parametrize("key", ["blocks", "future"])
@pytest.mark.parametrize(
    ("stored", "shown", "found"),
    [
        (block(starts=NOON), block(starts=NOON_IN_ROME), SAME),
        (block(starts=NOON), block(starts=LATER), DIFFERENT),
        (block(text=NOON), block(text=NOON_IN_ROME), DIFFERENT),
        (block(text="a", created_at=NOON), block(text="a", updated_at=LATER), SAME),
        (block(meta={"created_at": NOON}), block(meta={"created_at": NOON_IN_ROME}), SAME),
        (block(meta={"created_at": NOON}), block(meta={"created_at": LATER}), DIFFERENT),
        (block(id="b1"), block(id="b2"), DIFFERENT),
        (block(text="a"), block("other", text="a"), DIFFERENT),
        (block("other", text=NOON), block("other", text=NOON_IN_ROME), SAME),
        (block("other", text=NOON), block("other", text=LATER), DIFFERENT),
        (block(inner=[block(starts=NOON)]), block(inner=[block(starts=NOON_IN_ROME)]), SAME),
        (block(inner=[block(text=NOON)]), block(inner=[block(text=NOON_IN_ROME)]), DIFFERENT),
        (block(inner=[block(text="a")]), block(inner=["b1"]), DIFFERENT),
    ],
)
def test_a_block_is_compared_by_the_fields_of_its_model(
    key: str, stored: object, shown: object, found: Sameness
) -> None:
    assert compare({key: [stored]}, {key: [shown]}) is found
    assert compare({"one": stored}, {"one": shown}) is found
    assert compare({"one": {"en": stored}}, {"one": {"en": shown}}) is found
    nodes = ({"type": "block", "item": stored}, {"type": "block", "item": shown})
    assert compare({"body": document(nodes[0])}, {"body": document(nodes[1])}) is found


def test_what_editors_write_around_blocks_counts() -> None:
    """A text that looks like a time is a text."""
    spans = [{"type": "span", "value": text} for text in (NOON, NOON_IN_ROME)]
    assert compare({"body": document(spans[0])}, {"body": document(spans[1])}) is DIFFERENT
    assert compare({"blocks": [block(), block(id="b2")]}, {"blocks": [block(id="b2"), block()]}) is DIFFERENT
    assert compare({"blocks": [block()]}, {"blocks": []}) is DIFFERENT


def test_what_only_resembles_a_block_is_none() -> None:
    for broken in ({"attributes": {"text": "a"}}, {"attributes": [], "relationships": {}}):
        assert compare({"blocks": [broken]}, {"blocks": [broken | {"id": "x"}]}) is DIFFERENT
    one = {**block(text="a", created_at=NOON), "relationships": {"item_type": {"data": None}}}
    other = {**block(text="a", created_at=LATER), "relationships": {"item_type": {"data": None}}}
    assert compare({"blocks": [one]}, {"blocks": [other]}) is DIFFERENT


# --- a zone that moves instants ---


@pytest.mark.parametrize(
    ("stored", "shown", "found"),
    [
        ({"when": "2026-03-01T11:00:00Z"}, {"when": "2026-03-01T11:00:00+01:00"}, MOVED),
        ({"when": "2026-03-01T11:00:00.5+02:00"}, {"when": "2026-03-01T11:00:00+01:00"}, MOVED),
        ({"one": block(starts=NOON)}, {"one": block(starts="2026-03-01T11:00:00+01:00")}, MOVED),
        ({"when": "2026-03-01T11:00:00Z"}, {"when": "2026-03-01T11:00:01+01:00"}, DIFFERENT),
        ({"future": "2026-03-01T11:00:00Z"}, {"future": "2026-03-01T11:00:00+01:00"}, DIFFERENT),
        ({"title": "2026-03-01T11:00:00Z"}, {"title": "2026-03-01T11:00:00+01:00"}, DIFFERENT),
        ({"when": NOON, "x": 1}, {"when": "2026-03-01T11:00:00+01:00", "x": 2}, MOVED),
        ({"when": NOON, "price": 1}, {"when": "2026-03-01T11:00:00+01:00", "price": 2}, DIFFERENT),
        ({"when": {"en": NOON, "it": LATER}}, {"when": {"en": NOON, "it": "2026-03-01T11:00:01+01:00"}}, MOVED),
    ],
)
def test_the_same_time_of_day_in_another_zone_moved(stored: object, shown: object, found: Sameness) -> None:
    assert compare(stored, shown) is found


# --- any content ---


@given(st.lists(INSTANTS, min_size=3, max_size=3), FORMATS, FORMATS)
def test_a_content_is_the_same_in_every_format(times: list[datetime], before: Format, now: Format) -> None:
    def printed(form: Format) -> object:
        one, two, three = (print_time(time, form) for time in times)
        return {
            "title": "2026-03-01T11:00:00Z",
            "when": {"en": one},
            "blocks": [block(starts=two, inner=[block(starts=three)], meta={"created_at": one})],
            "created_at": one,
        }

    assert compare(printed(before), printed(now)) is SAME


@pytest.mark.parametrize(
    ("stored", "shown", "found"),
    [
        (b'{"price":1}', b'{"price":1.0}', SAME),
        (b'{"price":1e400}', b'{"price":10e399}', SAME),
        (b'{"price":1e400}', b'{"price":1e401}', DIFFERENT),
        (b'{"price":' + b"7" * 5000 + b"}", b'{"price":7.' + b"7" * 4999 + b"e4999}", SAME),
        (b'{"price":' + b"7" * 5000 + b"}", b'{"price":' + b"7" * 4999 + b"8}", DIFFERENT),
        (b'{"price":2,"title":"\\ud800"}', b'{"title":"\\uD800","price":2.0}', SAME),
        (b'{"title":"\\ud800"}', b'{"title":"\\ud801"}', DIFFERENT),
        (b'{"title":"\\ud800"}', b'{"title":"\\\\ud800"}', DIFFERENT),
        (b'{"when":"\\ud800"}', b'{"when":"\\ud801"}', DIFFERENT),
        (b'{"seo":{"a":1,"b":2}}', b'{"seo":{"b":2,"a":1}}', SAME),
        (b'{"future":{"a":1,"b":[2]}}', b'{"future":{"b":[2.0],"a":1e0}}', SAME),
        (b"{}", b"{", DIFFERENT),
        (b"[]", b"[]", SAME),
        (b"[]", b"{}", DIFFERENT),
    ],
)
def test_values_are_exact(stored: bytes, shown: bytes, found: Sameness) -> None:
    for one, other in ((stored, shown), (shown, stored)):
        assert compare_contents(one, other, FIELDS, MODEL, stored_by=0) is found


@pytest.mark.parametrize("field", ["title", "future", "blocks", "when"])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_content_is_compared_or_different(field: str, opening: bytes, closing: bytes) -> None:
    def content(text: str) -> bytes:
        depth = 700
        return b'{"%s":' % field.encode() + opening * depth + b'"%s"' % text.encode() + closing * depth + b"}"

    assert len(content_hash(content("a"))) == 32, "it can be read"
    assert compare_contents(content("a"), content("a"), FIELDS, MODEL, stored_by=0) is SAME
    assert compare_contents(content("a"), content("b"), FIELDS, MODEL, stored_by=0) is DIFFERENT
    tolerant = SAME if field in ("when", "future") else DIFFERENT
    assert compare_contents(content(NOON), content(NOON_IN_ROME), FIELDS, MODEL, stored_by=0) is tolerant


def test_a_value_without_fields_is_compared_by_instants() -> None:
    assert same_value(b'{"min":"2026-03-01T11:00:00Z","n":1}', b'{"n":1.0,"min":"2026-03-01T12:00:00+01:00"}')
    assert not same_value(b'"2026-03-01T11:00:00Z"', b'"2026-03-01T11:00:00+01:00"')


# --- times of records and versions ---

FINE = 0.195


def test_a_time_of_a_version_that_is_the_same_instant_stays() -> None:
    known = replace(seen("a", 5), published_from=at(6), published_until=at(7))
    shown = seen("a", 5 + FINE, live=(6 + FINE, 7 + FINE))
    kept = keep_version_times(known, shown)
    assert (kept.created_at, kept.published_from, kept.published_until) == (at(5), at(6), at(7))
    moved = keep_version_times(known, seen("a", 4, live=(8, None)))
    assert (moved.created_at, moved.published_from, moved.published_until) == (at(4), at(8), None)


def test_another_publication_of_the_same_second_has_a_time_of_its_own() -> None:
    known = replace(seen("a"), published_from=at(6 + FINE), published_until=at(6.5))
    again = keep_version_times(known, seen("a", live=(6, None)))
    assert (again.published_from, again.published_until) == (at(6), None)
    still = keep_version_times(replace(known, is_published=True), seen("a", live=(6, None)))
    assert still.published_from == at(6 + FINE)


def test_a_time_of_a_record_that_is_the_same_instant_stays() -> None:
    mirror = MemoryMirror()
    names = ("created_at", "updated_at", "published_at", "first_published_at")
    mirror.look(
        Pull(record=record(**dict.fromkeys(names, at(5))), seen=[seen("a", 5, "c")], is_complete=True),
        at(9),
    )
    kept = keep_record_times(mirror.known, record(**dict.fromkeys(names, at(5 + FINE))))
    assert [getattr(kept, name) for name in names] == [at(5)] * 4
    moved = keep_record_times(mirror.known, record(**dict.fromkeys(names, at(6))))
    assert [getattr(moved, name) for name in names] == [at(6)] * 4
    assert keep_record_times(None, moved) is moved


def test_a_former_name_is_compared_as_the_field_that_it_was() -> None:
    """Upstream may show old versions with it. In one content only, it is no present field."""
    fields = ContentFields({MODEL: {"starts": "date_time", "name": "string"}}, {}, {MODEL: {"begins": "starts"}})

    def compare(stored: dict[str, object], seen: dict[str, object]) -> Sameness:
        texts = [json.dumps(each).encode() for each in (stored, seen)]
        return compare_contents(*texts, fields, MODEL, stored_by=1)

    assert compare({"begins": NOON}, {"begins": NOON_IN_ROME}) is SAME
    assert compare({"begins": NOON}, {"begins": "2026-03-01T11:00:00+09:00"}) is MOVED
    assert compare({"begins": NOON}, {"begins": LATER}) is DIFFERENT
    assert compare({"begins": NOON}, {}) is SAME
    taken = ContentFields({MODEL: {"starts": "date_time", "begins": "string"}}, {}, {MODEL: {"begins": "starts"}})
    texts = [json.dumps({"begins": text}).encode() for text in (NOON, NOON_IN_ROME)]
    assert compare_contents(*texts, taken, MODEL, stored_by=1) is DIFFERENT, "another field has the name now"
