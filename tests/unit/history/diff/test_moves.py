"""A block that is in another list or field is moved, not removed and added."""

from __future__ import annotations

from typing import Any

import jsonpatch
import pytest

from tests.unit.history.diff.build import block, dast, kinds, para, shown
from versionsync.history.diff import ContentDiff, Schema, SchemaField, apply, changes_meaning, compare, json_patch
from versionsync.history.diff import summarize as in_one_line

Json = Any


def _field(model: str, api_key: str, field_type: str) -> tuple[str, SchemaField]:
    label = api_key.capitalize()
    return model, SchemaField(id=api_key, api_key=api_key, label=label, field_type=field_type, is_localized=False)


SCHEMA = Schema.of(
    [
        _field("article", "body", "structured_text"),
        _field("article", "sections", "rich_text"),
        _field("article", "sidebar", "rich_text"),
        _field("article", "top", "single_block"),
        _field("article", "end", "single_block"),
        _field("quote", "words", "text"),
        _field("quote", "inner", "rich_text"),
    ],
    {"article": "Article", "quote": "Quote"},
)
QUOTE = block("b1", "one two three four")
EDITED = block("b1", "one two 3 four")
OTHER = block("b2", "five six seven")
THIRD = block("b3", "eight nine")


def diff_of(before: Json, after: Json) -> ContentDiff:
    """Compare two contents, and check that the diffs and the JSON Patches of both directions are complete."""
    for old, new in ((after, before), (before, after)):
        diff = compare(old, new, SCHEMA, "article")
        assert apply(diff, old) == new
        assert jsonpatch.apply_patch(old, json_patch(old, new)) == new
    return diff


def embedded(item: Json) -> Json:
    return {"type": "block", "item": item}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"sections": [OTHER, QUOTE], "sidebar": []}, {"sections": [OTHER], "sidebar": [QUOTE]}),
        ({"sections": [QUOTE], "sidebar": [OTHER]}, {"sections": [], "sidebar": [OTHER, QUOTE]}),
        ({"top": QUOTE, "sidebar": [OTHER]}, {"top": None, "sidebar": [QUOTE, OTHER]}),
        ({"top": QUOTE, "sidebar": [OTHER]}, {"sidebar": [QUOTE, OTHER]}),
        ({"top": QUOTE, "end": None}, {"top": None, "end": QUOTE}),
        ({"body": dast(para("a b"), embedded(QUOTE)), "sidebar": []}, {"body": dast(para("a b")), "sidebar": [QUOTE]}),
        ({"body": dast(para("a b"), embedded(QUOTE)), "top": None}, {"body": dast(para("a b")), "top": QUOTE}),
        (
            {"sections": [QUOTE, block("b2", "x", THIRD)]},
            {"sections": [block("b2", "x", QUOTE, THIRD)]},
        ),
    ],
)  # fmt: skip
def test_a_block_that_is_in_another_place_is_moved(before: Json, after: Json) -> None:
    diff = diff_of(before, after)
    assert kinds(diff.changes) == ["structure moved", "structure moved"]
    (gone,) = (change for change in diff.changes if change.moved_to is not None)
    (come,) = (change for change in diff.changes if change.moved_from is not None)
    assert (gone.moved_to, come.moved_from) == (come.place, gone.place)
    assert gone.place != come.place
    assert (diff.words_added, diff.words_removed) == (0, 0)
    assert gone.block_id == come.block_id == "b1"
    assert diff.only(changes_meaning) == ()


def test_what_changed_in_a_moved_block_is_shown_at_its_new_place() -> None:
    diff = diff_of({"sections": [OTHER, QUOTE], "sidebar": []}, {"sections": [OTHER], "sidebar": [EDITED]})
    assert kinds(diff.changes) == ["structure moved", "structure moved", "text changed"]
    text = diff.changes[2]
    assert shown(text) == "one two[- three][+ 3] four"
    assert (text.place.record_field, text.place.block_path) == ("sidebar", ("b1",))
    assert (text.sources[0][:2], text.targets[0][:2]) == (("sections", 1), ("sidebar", 0))


def test_a_moved_block_that_is_nested_too_deep_to_be_compared_is_shown_as_a_whole() -> None:
    deep: Json = "a"
    for _ in range(3000):
        deep = [deep]
    old, new = {**QUOTE, "more": deep}, {**QUOTE, "more": [deep]}
    diff = compare({"sections": [old], "sidebar": []}, {"sections": [], "sidebar": [new]}, SCHEMA, "article")
    assert diff.is_limited
    assert apply(diff, {"sections": [old], "sidebar": []})["sidebar"][0] is new  # type: ignore[index]


def test_two_single_blocks_can_change_places() -> None:
    diff = diff_of({"top": QUOTE, "end": OTHER}, {"top": OTHER, "end": QUOTE})
    assert kinds(diff.changes) == ["structure moved"] * 4
    assert (diff.words_added, diff.words_removed) == (0, 0)


def test_a_block_that_takes_the_place_of_another_one_is_moved_and_the_other_one_is_removed() -> None:
    diff = diff_of({"top": OTHER, "sidebar": [QUOTE]}, {"top": QUOTE, "sidebar": []})
    assert sorted(kinds(diff.changes)) == ["structure moved", "structure moved", "structure removed"]
    assert (diff.words_added, diff.words_removed) == (0, 3)
    diff = diff_of({"top": QUOTE, "sidebar": []}, {"top": OTHER, "sidebar": [QUOTE]})
    assert sorted(kinds(diff.changes)) == ["structure added", "structure moved", "structure moved"]


def test_a_block_can_be_moved_out_of_one_that_is_moved_too() -> None:
    diff = diff_of(
        {"sections": [block("b2", "x", QUOTE, THIRD)], "sidebar": []},
        {"sections": [QUOTE], "sidebar": [block("b2", "x", THIRD)]},
    )
    assert kinds(diff.changes) == ["structure moved"] * 4


def test_a_block_does_not_hide_behind_one_that_says_the_same() -> None:
    """Blocks with other ids are one if their content is, unless the ids say that they are elsewhere."""
    same = block("b4", "one two three four")
    for before, after in (
        ({"sections": [QUOTE], "sidebar": []}, {"sections": [same], "sidebar": [QUOTE]}),
        ({"top": QUOTE, "sidebar": []}, {"top": same, "sidebar": [QUOTE]}),
        ({"body": dast(embedded(QUOTE)), "sidebar": []}, {"body": dast(embedded(same)), "sidebar": [QUOTE]}),
    ):
        assert sorted(kinds(diff_of(before, after).changes)) == [
            "structure added",
            "structure moved",
            "structure moved",
        ]


def test_a_block_that_two_places_have_is_not_moved() -> None:
    diff = diff_of(
        {"sections": [QUOTE], "sidebar": [], "top": None}, {"sections": [], "sidebar": [QUOTE], "top": QUOTE}
    )
    assert "structure moved" not in kinds(diff.changes)


def test_a_block_of_another_model_is_not_the_same_block() -> None:
    other = block("b1", "one two three four", model="note")
    diff = diff_of({"sections": [QUOTE], "sidebar": []}, {"sections": [], "sidebar": [other]})
    assert kinds(diff.changes) == ["structure removed", "structure added"]


def test_a_line_names_both_places() -> None:
    diff = diff_of({"sections": [OTHER, QUOTE], "sidebar": []}, {"sections": [OTHER], "sidebar": [QUOTE]})
    assert in_one_line(diff, SCHEMA) == (
        "Sections: Quote block moved to Sidebar; Sidebar: Quote block moved from Sections"
    )


def test_a_json_patch_moves_the_block() -> None:
    patch = json_patch(
        {"sections": [OTHER, QUOTE], "sidebar": [THIRD]}, {"sections": [OTHER], "sidebar": [EDITED, THIRD]}
    )
    assert [operation["op"] for operation in patch] == ["move", "replace"]
    assert patch[0] == {"op": "move", "from": "/sections/1", "path": "/sidebar/0"}
