"""Each type of field is compared by what its values are."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.history.diff.build import MODEL, block, dast, diff_of, kinds, para, schema, shown
from versionsync.history.diff import ABSENT, Operation, Schema, apply, changes_meaning, compare
from versionsync.ledger.content import parse_value

TYPES = (
    "boolean", "color", "date", "date_time", "file", "float", "gallery", "integer", "json", "lat_lon", "link", "links",
    "rich_text", "seo", "single_block", "slug", "string", "structured_text", "text", "video",
)  # fmt: skip


def test_texts_are_compared_by_words() -> None:
    (change,) = diff_of("The old house, by the sea.", "The new house by the sea", "string").changes
    assert shown(change) == "The[- old][+ new] house[-,] by the sea[-.]"
    assert (change.words_added, change.words_removed) == (1, 1)


def test_tags_of_html_are_not_words() -> None:
    (change,) = diff_of("<p>one two</p>", '<p>one <b class="x y">two</b></p>', "text").changes
    assert (change.words_added, change.words_removed) == (0, 0)
    assert shown(change) == '<p>one [+<b class="x y">]two</[+b></]p>'


def test_tags_that_only_format_words_are_formatting() -> None:
    plain = "<p>one two three</p>"
    for tagged in ("<p>one <strong>two</strong> three</p>", '<p>one <A href="/x">two</A> three</p>'):
        diff = diff_of(plain, tagged, "text")
        assert kinds(diff.changes) == ["formatting changed"]
        assert diff.only(changes_meaning) == ()
    assert kinds(diff_of('<a href="/x">one</a>', '<a href="/y">one</a>', "text").changes) == ["formatting changed"]


def test_words_and_tags_that_changed_are_two_changes() -> None:
    diff = diff_of("<p>one two three</p>", "<p>one <b>two</b> 3</p>", "text")
    assert kinds(diff.changes) == ["text changed", "formatting changed"]
    assert (diff.words_added, diff.words_removed) == (1, 1)
    assert diff.changes[0].spans == diff.changes[1].spans


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<p>one two</p>", "<p>one</p><p>two</p>"),
        ('<p>one <img src="/a.png"></p>', '<p>one <img src="/b.png"></p>'),
        ("one <b>two</b>", "one, <b>two</b>"),
        ("one < two", "one <b two"),
        ("", "<b></b>"),
    ],
)
def test_all_else_between_the_words_is_text(before: str, after: str) -> None:
    (change,) = diff_of(before, after, "text").changes
    assert change.kind == "text"


def test_a_character_of_a_script_without_spaces_is_a_word() -> None:
    (change,) = diff_of("日本語の本", "日本語の水", "string").changes
    assert shown(change) == "日本語の[-本][+水]"
    assert (change.words_added, change.words_removed) == (1, 1)


def test_combined_characters_stay_together() -> None:
    (change,) = diff_of("cafe\u0301 👩‍👩‍👧 x", "café 👩‍👩‍👦 x", "string").changes
    assert (change.words_added, change.words_removed) == (2, 2)


def test_spaces_are_text_and_no_words() -> None:
    (change,) = diff_of("a  b", "a b", "text").changes
    assert (change.kind, change.words_added, change.words_removed) == ("text", 0, 0)


@pytest.mark.parametrize(
    ("field_type", "before", "after"),
    [
        ("integer", 1, 2),
        ("float", 1, 1.5),
        ("boolean", False, True),
        ("date", "2026-01-01", "2026-01-02"),
        ("date_time", "2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z"),
        ("color", {"red": 1, "green": 2, "blue": 3, "alpha": 255}, {"red": 1, "green": 2, "blue": 4, "alpha": 255}),
        ("lat_lon", {"latitude": 1, "longitude": 2}, {"latitude": 1, "longitude": 3}),
        ("json", "no JSON", "{}"),
    ],
)
def test_a_value_is_changed_as_a_whole(field_type: str, before: Any, after: Any) -> None:
    diff = diff_of(before, after, field_type)
    assert kinds(diff.changes) == ["attribute changed"]
    assert (diff.changes[0].before, diff.changes[0].after) == (before, after)
    assert kinds(diff_of(None, after, field_type).changes) == ["attribute added"]
    assert kinds(diff_of(before, None, field_type).changes) == ["attribute removed"]


def test_one_instant_in_another_zone_is_no_change() -> None:
    diff = diff_of("2026-01-01T10:00:00Z", "2026-01-01T11:00:00.000+01:00", "date_time")
    assert not diff
    assert len(diff.respellings) == 1
    assert not diff_of({"x": ["2026-01-01T10:00:00Z"]}, {"x": ["2026-01-01 10:00:00 UTC"]}, "new_type")


def test_an_instant_within_a_text_is_text() -> None:
    assert kinds(diff_of("2026-01-01T10:00:00Z", "2026-01-01T11:00:00+01:00", "string").changes) == ["text changed"]


def test_numbers_are_compared_by_their_value() -> None:
    old, new = (
        parse_value(b'{"value":[1.0,1e400,12345678901234567890123]}'),
        parse_value(b'{"value":[1,1e401,12345678901234567890124]}'),
    )
    diff = compare(old, new, schema("unknown"), MODEL)  # type: ignore[arg-type]
    assert [change.place.member for change in diff.changes] == [(1,), (2,)]


def test_no_value_in_other_words_is_no_change() -> None:
    for before, after in ((None, ""), (None, []), ("", None), ([], "")):
        diff = diff_of(before, after, "string")
        assert not diff
        assert len(diff.respellings) == 1
    assert not compare({}, {"value": None}, schema("string"), MODEL)
    assert kinds(diff_of(None, False, "boolean").changes) == ["attribute added"]
    assert kinds(diff_of(None, 0, "integer").changes) == ["attribute added"]


def test_seo_is_compared_by_member() -> None:
    before = {"title": "one two", "description": None, "image": "u1", "no_index": False}
    after = {"title": "one 2", "description": "new", "image": "u2", "no_index": True}
    diff = diff_of(before, after, "seo")
    assert [(change.kind, change.place.member) for change in diff.changes] == [
        ("text", ("title",)),
        ("text", ("description",)),
        ("reference", ("image",)),
        ("attribute", ("no_index",)),
    ]
    assert (diff.words_added, diff.words_removed) == (2, 1)


def test_json_is_compared_by_member_though_it_is_a_text() -> None:
    diff = diff_of('{"a":1,"b":[1,2]}', '{ "a": 1, "b": [1,3], "c": null}', "json")
    assert [(change.place.member, change.before, change.after) for change in diff.changes] == [
        (("b", 1), 2, 3),
    ]
    assert not diff_of('{"a":1.0}', '{ "a" : 1 }', "json")


def test_a_file_is_a_reference_and_its_texts_are_text() -> None:
    before = {"upload_id": "u1", "alt": "one two", "title": None, "focal_point": {"x": 0.5, "y": 1}}
    after = {"upload_id": "u2", "alt": "one three", "title": None, "focal_point": {"x": 0.5, "y": 2}}
    diff = diff_of(before, after, "file")
    assert kinds(diff.changes) == ["reference changed", "text changed", "attribute changed"]
    assert diff.changes[2].place.member == ("focal_point", "y")
    assert kinds(diff_of(None, after, "file").changes) == ["reference added"]


def test_a_gallery_is_compared_by_file() -> None:
    one, two, three = ({"upload_id": f"u{number}", "alt": None} for number in range(3))
    diff = diff_of([one, two, three], [three, one, two | {"alt": "a"}], "gallery")
    assert kinds(diff.changes) == ["reference moved", "text added"]
    assert kinds(diff_of([one, two], [one, three], "gallery").changes) == ["reference removed", "reference added"]
    assert kinds(diff_of([one, one], [one], "gallery").changes) == ["reference removed"]


def test_links_are_compared_by_record() -> None:
    assert kinds(diff_of("r1", "r2", "link").changes) == ["reference changed"]
    diff = diff_of(["r1", "r2", "r3"], ["r3", "r1", "r4"], "links")
    assert kinds(diff.changes) == ["reference removed", "reference moved", "reference added"]
    assert [change.place.member for change in diff.changes] == [(1,), (0,), (2,)]


def test_modular_content_is_compared_by_block() -> None:
    before = [block("b1", "a b"), block("b2", "c d e"), block("b3", "f")]
    after = [block("b3", "f"), block("b1", "a x"), block("b4", "new")]
    diff = diff_of(before, after, "rich_text")
    assert sorted(kinds(diff.changes)) == ["structure added", "structure moved", "structure removed", "text changed"]
    assert [change.place.block_path for change in diff.changes if change.kind == "text"] == [("b1",)]
    assert sorted(change.block_id or "" for change in diff.changes) == ["b1", "b2", "b3", "b4"]
    assert (diff.words_added, diff.words_removed) == (2, 4)


def test_a_block_in_a_block_has_both_in_its_path() -> None:
    diff = diff_of([block("b1", "a", block("b2", "c"))], [block("b1", "a", block("b2", "d"))], "rich_text")
    (change,) = diff.changes
    assert change.place.block_path == ("b1", "b2")
    assert (change.place.record_field, change.place.record_field_id) == ("value", "f1")
    assert (change.place.field, change.place.field_id) == ("words", "f2")
    assert change.sources == (("value", 0, "attributes", "inner", 0, "attributes", "words"),)


def test_a_block_that_was_restored_with_another_id_is_no_change() -> None:
    diff = diff_of([block("b1", "a b c")], [block("b2", "a b c")], "rich_text")
    assert not diff
    diff = diff_of(block("b1", "a b c d"), block("b2", "a b c e"), "single_block")
    assert kinds(diff.changes) == ["text changed"]


def test_an_empty_block_that_was_added_elsewhere_is_another_one() -> None:
    stays = block("b1", "a b c d")
    diff = diff_of([block("b2", ""), stays], [stays, block("b3", "")], "rich_text")
    assert sorted(kinds(diff.changes)) == ["structure added", "structure removed"]


def test_a_single_block_is_compared_added_removed_and_replaced() -> None:
    assert kinds(diff_of(None, block("b1", "a"), "single_block").changes) == ["structure added"]
    assert kinds(diff_of(block("b1", "a"), None, "single_block").changes) == ["structure removed"]
    assert kinds(diff_of(block("b1", "a"), block("b1", "b"), "single_block").changes) == ["text changed"]
    diff = diff_of(block("b1", "a b c"), block("b2", "x y", model="other"), "single_block")
    assert kinds(diff.changes) == ["structure changed replaced"]


def test_a_structured_text_that_is_new_counts_its_words_and_those_of_its_blocks() -> None:
    diff = diff_of(None, dast(para("one two"), {"type": "block", "item": block("b1", "a b c")}), "structured_text")
    assert kinds(diff.changes) == ["text added"]
    assert diff.words_added == 5


def test_locales_are_compared_one_by_one() -> None:
    diff = diff_of({"en": "one", "it": "due"}, {"en": "two", "de": "drei"}, "string", localized=True)
    assert [(change.place.locale, change.operation) for change in diff.changes] == [
        ("en", Operation.CHANGED),
        ("it", Operation.REMOVED),
        ("de", Operation.ADDED),
    ]
    assert diff.changes[1].after is ABSENT


def test_a_localized_field_that_had_no_locales_shows_them() -> None:
    diff = diff_of(None, {"en": "one", "it": "due tre"}, "string", localized=True)
    assert [(change.place.locale, change.words_added) for change in diff.changes] == [("en", 1), ("it", 2)]


def test_a_field_that_was_localized_in_between_is_compared_as_json() -> None:
    assert kinds(diff_of("one", {"en": "one"}, "string", localized=True).changes) == ["attribute changed"]
    seo = {"title": "a", "description": "b", "image": None}
    assert diff_of(seo, {"en": seo}, "seo", localized=True).changes


@pytest.mark.parametrize("field_type", [*TYPES, "new_type"])
def test_values_that_are_not_what_their_type_says_lose_nothing(field_type: str) -> None:
    values: list[Any] = [None, True, 1, "a b", [], [1], {}, {"a": 1}, {"type": "item"}, dast(para("a")), dast(5), ["r"]]
    values += [block("b", "c"), [block("b", "c")], {"schema": "dast", "document": 5}]
    for before in values:
        for after in values:
            diff_of(before, after, field_type)
            diff_of({"en": before}, {"en": after}, field_type, localized=True)


def test_a_field_that_the_schema_does_not_know_is_compared_by_what_it_holds() -> None:
    content = [{"x": dast(para("one two"))}, {"x": dast(para("one 2"))}]
    diff = compare(content[0], content[1], Schema(), "any")
    assert kinds(diff.changes) == ["text changed"]
    assert diff.changes[0].place.field_id is None
    diff = compare({"x": {"en": "one two"}}, {"x": {"en": "one 2"}}, Schema(), "any")
    assert shown(diff.changes[0]) == "one[- two][+ 2]"


def test_a_value_nested_deeper_than_python_calls_is_compared_as_a_whole() -> None:
    deep: Any = 1
    other: Any = 2
    same: Any = 1
    for _ in range(100_000):
        deep, other, same = [deep], [other], [same]
    diff = compare({"value": deep}, {"value": other}, schema("new_type"), MODEL)
    assert diff.is_limited
    result = apply(diff, {"value": deep})
    assert result is not None
    assert result["value"] is other
    assert not compare({"value": deep}, {"value": same}, schema("new_type"), MODEL).changes
    for value in (deep, other, same):
        while isinstance(value, list):  # else Python frees a level a call
            value = value.pop()


def test_lone_surrogates_are_compared_as_they_are() -> None:
    old, new = parse_value(b'{"value":"a \\ud800 b"}'), parse_value(b'{"value":"a \\ud801 b"}')
    diff = compare(old, new, schema("string"), MODEL)  # type: ignore[arg-type]
    assert kinds(diff.changes) == ["text changed"]
    assert kinds(compare({"value": {"x": "\ud800 b"}}, {"value": {"x": "c"}}, schema("n"), MODEL).changes)
