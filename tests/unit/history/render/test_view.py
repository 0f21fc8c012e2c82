"""What people see of any diff: all of it, in words, and nothing that a page or a terminal would obey."""

from __future__ import annotations

import os
from typing import Any

import pytest
from rich.console import Console

from tests.unit.history.diff.build import bullets, dast, para, span
from tests.unit.history.diff.generator import SCHEMA as RANDOM_SCHEMA
from tests.unit.history.diff.generator import Generator
from tests.unit.history.render.examples import EXAMPLES, HISTORY, MARKET, MODEL, NAMES, SCHEMA, SELLERS, Example
from tests.unit.history.render.test_golden import HEADING, terminal, view
from versionsync.history.diff import ChangeKind, SpanOperation, compare
from versionsync.history.render.as_json import rows_of
from versionsync.history.render.content import values_of
from versionsync.history.render.html import page_of
from versionsync.history.render.passages import Shown, runs_of
from versionsync.history.render.terminal import lines_of, summary_of
from versionsync.history.render.view import Entry, Filter, view_of
from versionsync.history.render.words import Names, value_in_words

PAIRS = int(os.environ.get("VERSIONSYNC_TEST_PAIRS", "300"))


def entries(example: Example, shows: Filter = Filter.ALL) -> list[Entry]:
    shown = view_of(example.diff, NAMES, before=example.before, after=example.after, model_id=MODEL, shows=shows)
    return [entry for section in shown.sections for entry in section.entries]


@pytest.mark.parametrize("seed", range(8))
def test_any_pair_of_contents_can_be_shown_in_every_form(seed: int) -> None:
    """Each change is in an entry, and each passage is whole: before and after can be read from its runs."""
    generator = Generator(seed)
    for pair in (pair for _ in range(PAIRS // 40) for pair in generator.pairs(5)):
        diff = compare(pair.before, pair.after, RANDOM_SCHEMA, "article")
        names = Names(RANDOM_SCHEMA)
        shown = view_of(diff, names, before=pair.before, after=pair.after, model_id="article", is_short=False)
        assert bool(shown.sections) == bool(diff.changes)
        for change in diff.changes:
            for is_before in (True, False):
                gone = SpanOperation.ADDED if is_before else SpanOperation.REMOVED
                part = Shown.BEFORE if is_before else Shown.AFTER
                runs = runs_of(change.spans, names)
                text = "".join(run.text for run in runs if part in run.shown)
                spans = [one for one in change.spans if one.operation is not gone]
                words = "".join("\n" if one.is_border else one.text for one in spans).split()
                nodes = sum(one.node is not None for one in spans)
                if not nodes:
                    assert text.replace("¶\n", "\n").translate(VISIBLE).split() == " ".join(words).split()
        console = Console(width=80)
        for color in (True, False):
            for side_by_side in (True, False):
                assert list(lines_of(shown, console, color=color, side_by_side=side_by_side)) or not diff.changes
        assert page_of([(HEADING, shown)], side_by_side=seed % 2 == 0)
        rows = rows_of(
            diff.changes, names, source="s", record_id="r", previous_version_id="a", version_id="b", created_at=None
        )
        assert len(list(rows)) == len(diff.changes)


VISIBLE = str.maketrans({"␣": " ", "↵": None, "⇥": "\t"})


def test_formatting_can_be_hidden() -> None:
    assert entries(EXAMPLES["only-formatting"], Filter.WITHOUT_FORMATTING) == []
    example = EXAMPLES["much-at-once"]
    runs = [run for entry in entries(example, Filter.WITHOUT_FORMATTING) for run in entry.runs]
    assert runs
    assert all(run.operation is not SpanOperation.FORMATTED for run in runs)


def test_only_what_changed_the_meaning_can_be_shown() -> None:
    for name in ("only-formatting", "paragraph-moved", "paragraphs-merged", "paragraph-became-heading", "block-moved"):
        assert entries(EXAMPLES[name], Filter.MEANING) == [], name
    (split,) = entries(EXAMPLES["paragraph-split"], Filter.MEANING)
    assert split.what == ()
    assert (
        summary_of(view_of(EXAMPLES["only-formatting"].diff, NAMES, model_id=MODEL, shows=Filter.MEANING))
        == "Nothing changed that is shown. 1 change hidden by the filter."
    )


def test_a_limited_diff_says_so_in_every_form() -> None:
    example = EXAMPLES["huge-text-limited"]
    assert "limited: too long" in " ".join(terminal(example, 80).split())
    page = page_of([(HEADING, view(example))])
    assert 'class="what warning"' in page
    assert "Limited at 1 place" in page
    row, *_ = rows_of(
        example.diff.changes, NAMES, source="s", record_id="r", previous_version_id="a", version_id="b", created_at=None
    )
    assert row["is_limited"] is True


def test_a_page_escapes_what_it_shows() -> None:
    evil = '<script>alert(1)</script> & "quotes" \u202e'
    example = Example({"intro": "harmless", "seo": {"title": evil}}, {"intro": evil, evil: evil})
    page = page_of([(HEADING, view(example))])
    assert "<script" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page


def test_a_terminal_gets_no_control_characters() -> None:
    evil = "\x1b[31mred \x07 \u202e"
    example = Example({"intro": "harmless"}, {"intro": evil, evil: evil})
    assert not set("\x1b\x07\u202e") & set(terminal(example, 80))
    assert "\x07" not in terminal(example, 80, color=True)


def test_each_span_names_the_version_that_it_comes_from() -> None:
    example = EXAMPLES["text-edited"]
    rows = list(
        rows_of(
            example.diff.changes,
            NAMES,
            source="s",
            record_id="r",
            previous_version_id="a",
            version_id="b",
            created_at=None,
        )
    )
    assert {(one["operation"], one["version_id"]) for row in rows for one in row["spans"]} == {
        ("equal", "a"),
        ("removed", "a"),
        ("added", "b"),
    }
    assert rows[1]["targets"] == ["/body/en/document/children/0"]


@pytest.mark.parametrize(
    ("value", "field_type", "words"),
    [
        (None, "string", "–"),
        ("", "text", "–"),
        (True, "boolean", "yes"),
        (12.5, "float", "12.5"),
        ("2026-03-03", "date", "3 March 2026"),
        ("2026-03-03T12:00:00Z", "date_time", "3 March 2026, 12:00 UTC"),
        ("2026-03-03T12:00:05+01:00", "date_time", "3 March 2026, 12:00:05 (+01:00)"),
        ("soon", "date", "soon"),
        ({"red": 255, "green": 0, "blue": 10, "alpha": 255}, "color", "#ff000a"),
        ({"red": 255, "green": 0, "blue": 10, "alpha": 51}, "color", "#ff000a, 20 % opaque"),
        ({"latitude": -45.5, "longitude": 9.19}, "lat_lon", "45.5° S, 9.19° E"),
        ("r-anna", "link", "“Anna Marino”"),
        (["r-anna", "A" * 22], "links", "“Anna Marino”, record AAAAAAAA"),
        (["1", "2", "3", "4", "5", "6", "7"], None, "1, 2, 3, 4, 5, 2 more"),
        ({"upload_id": "4711", "alt": "Stalls"}, "file", "file 4711 (“Stalls”)"),
        (
            {"url": "https://video.example/1", "provider": "x", "title": "Boats"},
            "video",
            "“Boats” (https://video.example/1)",
        ),
        ({"a": [1, None]}, "json", '{"a":[1,null]}'),
        (dast(para("One"), bullets("Two")), "structured_text", "One ¶ Two"),
    ],
)
def test_values_are_said_in_words(value: Any, field_type: str, words: str) -> None:
    assert value_in_words(value, field_type, NAMES) == words


def test_a_content_is_shown_field_by_field() -> None:
    content = {
        "unknown": 1,
        "title": {"en": "Fish", "it": ""},
        "body": {"en": dast(para("See ", {"type": "inlineItem", "item": "r-anna"}), bullets("Tuna"))},
        "sections": [EXAMPLES["block-added"].after["sections"][0]],  # type: ignore[index]
    }
    shown = {
        (one.label, one.locale): [(line.label, line.text) for line in one.lines]
        for one in values_of(content, MODEL, NAMES)
    }
    assert shown == {
        ("Title", "en"): [("", "Fish")],
        ("Body", "en"): [("", "See [“Anna Marino”]"), ("", "• Tuna")],
        ("Sections", None): [
            ("Quote › Words", "The sea gives, and the sea waits."),
            ("Quote › Said by", "A fisherman"),
        ],
        ("unknown", None): [("", "1")],
    }


def test_a_paragraph_that_was_moved_and_split_says_both() -> None:
    first, second, last = (f"{MARKET} And here is {number}." for number in ("the first", "one more", "the last"))
    before = {"body": {"en": dast(para(f"{SELLERS} {HISTORY}"), para(first), para(second), para(last))}}
    after = {"body": {"en": dast(para(first), para(second), para(last), para(SELLERS), para(HISTORY))}}
    (entry,) = entries(Example(before, after))
    assert entry.what == ("moved down, from place 1 to 4 and split into 2 paragraphs",)


def test_a_word_in_bold_and_other_words_are_one_entry() -> None:
    before, after = dast(para("The old market")), dast(para("The new ", span("market", "strong")))
    diff = compare({"body": {"en": before}}, {"body": {"en": after}}, SCHEMA, MODEL)
    assert {change.kind for change in diff.changes} == {ChangeKind.TEXT, ChangeKind.FORMATTING}
    (section,) = view_of(diff, NAMES, model_id=MODEL).sections
    (entry,) = section.entries
    assert [(run.text, run.note) for run in entry.runs if run.note] == [("market", "now bold")]


def test_a_block_that_was_moved_elsewhere_names_its_homes_in_json() -> None:
    example = EXAMPLES["block-moved-elsewhere"]
    rows = rows_of(
        example.diff.changes,
        NAMES,
        source="s",
        record_id="r",
        previous_version_id="a",
        version_id="b",
        created_at=None,
    )
    moves = [
        (row["record_field"], (row.get("moved_to") or row["moved_from"])["record_field"], "moved_to" in row)
        for row in rows
        if row["operation"] == "moved"
    ]
    assert moves == [
        ("body", "sections", True),
        ("sections", "sidebar", True),
        ("sections", "body", False),
        ("sidebar", "sections", False),
    ]
