"""Changes in words."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from tests.unit.history.diff.build import block, bullets, dast, diff_of, heading, para, schema, span
from versionsync.history.diff import Schema, SchemaField, compare, describe, summarize

LONG = "one two three four five six"
FOUR = "four five six"
RECORD = {"type": "inlineItem", "item": "r1"}


@pytest.mark.parametrize(
    ("field_type", "before", "after", "words"),
    [
        ("string", "one two three", "a b three", "2 words changed"),
        ("string", "one two three", "a two three four", "2 words added, 1 removed"),
        ("string", "one two", "one two three", "1 word added"),
        ("string", "one, two", "one two", "punctuation or spaces changed"),
        ("string", None, "one two", "text added (2 words)"),
        ("string", "one two", None, "text removed (2 words)"),
        ("integer", 12, 15, "changed from 12 to 15"),
        ("boolean", False, True, "changed from no to yes"),
        ("float", Raw(b"39e-1"), 4, "changed from 3.9 to 4"),
        ("date", None, "2026-01-01", "set to “2026-01-01”"),
        ("integer", 3, None, "removed (was 3)"),
        ("color", {"red": 1}, {"red": 2}, "changed"),
        ("link", "r1", "r2", "record replaced"),
        ("links", ["r1"], ["r1", "r2"], "record added"),
        ("file", {"upload_id": "u1"}, {"upload_id": "u2"}, "file replaced"),
        ("seo", {"title": "a b"}, {"title": "a c"}, "title 1 word changed"),
        ("rich_text", [block("b1", "a b")], [], "Quote block removed (2 words)"),
        ("rich_text", None, [block("b1", "a b"), block("b2", "a")], "2 Quote blocks added (3 words)"),
        ("single_block", block("b1", "a"), block("b2", "b"), "Quote block replaced"),
        ("structured_text", dast(para(LONG)), dast(para("one two three"), para("four five six")), "paragraph split"),
        ("structured_text", dast(para("one two three"), para(FOUR)), dast(para(LONG)), "2 paragraphs merged"),
        ("structured_text", dast(para(LONG)), dast(para(LONG), heading("a b")), "heading added (2 words)"),
        ("structured_text", dast(para(LONG)), dast(heading(LONG)), "paragraph turned into heading"),
        ("structured_text", dast(para(LONG)), dast(bullets(LONG)), "paragraph in another list or quote"),
        ("structured_text", dast(heading("a", 1)), dast(heading("a", 3)), "level changed from 1 to 3"),
        ("structured_text", dast(para("a b")), dast(para("a ", span("b", "strong"))), "formatting changed"),
        (
            "structured_text",
            dast(para("a b")),
            dast(para("a ", {"type": "link", "url": "https://example.com", "children": [span("b")]})),
            "link changed",
        ),
        ("structured_text", dast(para("a")), dast(para("a ", RECORD)), "link to a record added"),
    ],
)  # fmt: skip
def test_a_change_is_a_short_line(field_type: str, before: Any, after: Any, words: str) -> None:
    (change,) = diff_of(before, after, field_type).changes
    assert describe(change, schema(field_type)) == f"Value: {words}"


def test_changes_of_one_place_stand_together() -> None:
    before, after = (
        dast(para(LONG), para("a b c d e")),
        dast(para("one two"), para("three four five 6"), para("a b c d f")),
    )
    diff = diff_of(before, after, "structured_text")
    assert summarize(diff, schema("structured_text")) == "Value: 2 words changed, paragraph split"


def test_the_place_of_a_change_in_a_block_names_the_block() -> None:
    diff = diff_of([block("b1", "a b")], [block("b1", "a c")], "rich_text")
    assert summarize(diff, schema("rich_text")) == "Value › Quote › Words: 1 word changed"


def test_a_change_without_a_schema_is_named_by_its_api_keys() -> None:
    diff = compare({"a": 1}, {"a": 2}, Schema(), "any")
    assert summarize(diff, Schema()) == "a: changed from 1 to 2"
    assert summarize(compare({}, {}, Schema(), "any"), Schema()) == "no changes"


def test_what_does_not_fit_is_counted() -> None:
    names = ("a", "b", "c", "d", "e")
    fields = [
        ("m", SchemaField(id=name, api_key=name, label=name.upper(), field_type="string", is_localized=True))
        for name in names
    ]
    known = Schema.of(fields)
    diff = compare({}, {name: {"en": "x"} for name in names}, known, "m")
    assert summarize(diff, known, most=2) == "A (en): text added (1 word); B (en): text added (1 word); 3 more places"


def test_a_value_does_not_reach_the_terminal_as_an_escape_sequence() -> None:
    (change,) = diff_of("x", "\x1b[2J", "date").changes
    assert "\x1b" not in describe(change, schema("date"))
