"""What differs between two contents, and contents of which only parts are taken."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.unit.history.diff.build import dast, para
from tests.unit.restore.contents import ARTICLE, block, field, project
from versionsync.restore.parts import changed_attributes, only_parts, with_later_fields

RULES = project(
    field("title", localized=True),
    field("mood", localized=True),
    field("size", "integer"),
    field("body", "rich_text"),
    field("one", "single_block"),
    field("text", "structured_text", localized=True),
)


def taken(before: Any, wanted: Any, **parts: Any) -> Any:
    return only_parts(before, wanted, RULES, ARTICLE, **parts)


def node(block: Any) -> Any:
    return {"type": "block", "item": block}


def test_only_members_that_differ_are_sent() -> None:
    before = {"a": 1, "b": msgspec.Raw(b"15e-1"), "c": True, "d": {"x": 1, "y": 2}, "meta": 0}
    after = {"a": 1, "b": msgspec.Raw(b"15e-1"), "c": 1, "d": {"y": 2, "x": 1}, "new": None}
    assert changed_attributes(before, after) == {"c": 1, "new": None}


def test_without_parts_all_is_taken() -> None:
    assert taken({"size": 1, "body": []}, {"size": 2}) == {"size": 2, "body": []}


def test_a_field_made_later_has_the_locales_of_the_others() -> None:
    before = {"title": {"en": "new", "de": "neu"}, "mood": {"en": "a", "de": "b"}, "size": 1}
    wanted = {"title": {"en": "old", "it": "vecchio"}}
    expected = {**wanted, "mood": {"en": "a", "it": None}}
    assert with_later_fields(before, wanted, RULES, ARTICLE) == expected
    assert taken(before, wanted) == {**expected, "size": 1}
    assert with_later_fields(before, {"size": 2}, RULES, ARTICLE) == {"size": 2}


def test_only_some_fields_are_taken() -> None:
    before, wanted = {"size": 1, "title": {"en": "new"}}, {"size": 2, "title": {"en": "old"}}
    assert taken(before, wanted, fields=["size"]) == {"size": 2, "title": {"en": "new"}}
    assert taken(before, {}, fields=["size"]) == before


def test_a_field_does_not_change_the_locales_of_its_record() -> None:
    before = {"title": {"en": "new", "it": "nuovo"}, "mood": {"en": "a", "it": "b"}}
    assert taken(before, {"title": {"en": "old"}}, fields=["title"]) == {
        **before,
        "title": {"en": "old", "it": "nuovo"},
    }
    less = {"title": {"en": "new"}}
    assert taken(less, {"title": {"en": "old", "it": "vecchio"}}, fields=["title"]) == {"title": {"en": "old"}}


def test_only_some_locales_are_taken() -> None:
    before = {"title": {"en": "new", "it": "nuovo"}, "size": 1}
    wanted = {"title": {"en": "old", "it": "vecchio"}, "size": 2}
    assert taken(before, wanted, locales=["it"]) == {"title": {"en": "new", "it": "vecchio"}, "size": 1}


def test_a_locale_that_comes_back_is_there_in_all_localized_fields() -> None:
    before = {"title": {"en": "new"}, "mood": {"en": "a"}}
    assert taken(before, {"title": {"en": "old", "it": "vecchio"}}, locales=["it"]) == {
        "title": {"en": "new", "it": "vecchio"},
        "mood": {"en": "a", "it": None},
    }


def test_a_locale_that_was_not_there_is_removed_unless_only_some_fields_are_taken() -> None:
    before, wanted = {"title": {"en": "new", "it": "nuovo"}, "mood": {"en": "a", "it": "b"}}, {"title": {"en": "old"}}
    assert taken(before, wanted, locales=["it"]) == {"title": {"en": "new"}, "mood": {"en": "a"}}
    assert taken(before, wanted, fields=["title"], locales=["it"]) == before
    assert taken({"title": {"it": "nuovo"}}, wanted, locales=["it"]) == {"title": {"it": "nuovo"}}


def test_a_block_is_taken_at_any_depth() -> None:
    before = {"body": [block("b1", words="new", inner=[block("b2", words="new")])], "size": 1}
    wanted = {"body": [block("b1", words="old", inner=[block("b2", words="old")])], "size": 2}
    assert taken(before, wanted, blocks=["b2"]) == {
        "body": [block("b1", words="new", inner=[block("b2", words="old")])],
        "size": 1,
    }
    assert taken(before, wanted, blocks=["b1"])["body"] == wanted["body"]


def test_a_deleted_block_comes_back_after_the_block_that_it_followed() -> None:
    one, two, three, new = block("b1"), block("b2"), block("b3"), block("b4")
    assert taken({"body": [three, one, new]}, {"body": [one, two, three]}, blocks=["b2"]) == {
        "body": [three, one, two, new]
    }
    assert taken({"body": [three]}, {"body": [one, two, three]}, blocks=["b1"]) == {"body": [one, three]}
    assert taken({"body": None}, {"body": [one]}, blocks=["b1"]) == {"body": [one]}


def test_a_deleted_block_comes_back_within_its_block_and_not_without_it() -> None:
    wanted = {"body": [block("b1", words="old", inner=[block("b2"), block("b3")])]}
    before = {"body": [block("b0"), block("b1", inner=[block("b2")])]}
    assert taken(before, wanted, blocks=["b3"]) == {
        "body": [block("b0"), block("b1", inner=[block("b2"), block("b3")])]
    }
    assert taken({"body": [block("b0")]}, wanted, blocks=["b3"]) == {"body": [block("b0")]}


def test_a_block_that_did_not_exist_is_removed() -> None:
    before = {"body": [block("b1"), block("b2")], "one": block("b3")}
    assert taken(before, {"body": [block("b1")], "one": None}, blocks=["b2", "b3"]) == {
        "body": [block("b1")],
        "one": None,
    }


def test_a_single_block_comes_back_in_place_of_another() -> None:
    assert taken({"one": block("b1")}, {"one": block("b2")}, blocks=["b2"]) == {"one": block("b2")}


@pytest.mark.parametrize(
    ("before", "wanted", "expected"),
    [
        (dast(para("a"), node(block("b1", words="new"))), dast(node(block("b1"))), dast(para("a"), node(block("b1")))),
        (dast(para("a"), para("b")), dast(para("a"), node(block("b1")), para("b")), "as wanted"),
        (dast(para("a")), dast(para("x"), para("y"), node(block("b1"))), dast(para("a"), node(block("b1")))),
        (dast(node(block("b1")), para("a")), dast(para("a")), dast(para("a"))),
        (dast(node(block("b1"))), dast(para("a")), None),
        (None, dast(para("a"), node(block("b1"))), dast(node(block("b1")))),
        (dast(para({"type": "inlineBlock", "item": block("b1")})), dast(para("a")), dast(para(""))),
    ],
)
def test_blocks_of_a_structured_text_are_taken(before: Any, wanted: Any, expected: Any) -> None:
    expected = wanted if expected == "as wanted" else expected
    result = taken({"text": {"en": before, "it": before}}, {"text": {"en": wanted}}, blocks=["b1"])
    assert result == {"text": {"en": expected, "it": before}}


def test_blocks_are_taken_only_in_the_fields_and_locales_asked_for() -> None:
    before = {"text": {"en": dast(node(block("b1", words="new"))), "it": dast(node(block("b1", words="new")))}}
    wanted = {"text": {"en": dast(node(block("b1"))), "it": dast(node(block("b1")))}}
    assert taken(before, wanted, blocks=["b1"], fields=["body"]) == before
    assert taken(before, wanted, blocks=["b1"], locales=["it"])["text"] == {
        "en": before["text"]["en"],
        "it": wanted["text"]["it"],
    }
