"""Which passages a version added and removed."""

from __future__ import annotations

from typing import Any

from versionsync.history.diff.schema import Schema, SchemaField
from versionsync.history.search.passages import changed_passages

MODEL = "article"


def schema(**types: str) -> Schema:
    fields = [
        (MODEL, SchemaField(id=f"id-{key}", api_key=key, label=key, field_type=type_, is_localized=key == "local"))
        for key, type_ in types.items()
    ]
    return Schema.of(fields)


def changed(before: Any, after: Any, **types: str) -> tuple[list[str], list[str]]:
    added, removed = changed_passages(before, after, schema(**types), MODEL)
    return [one.text for one in added], [one.text for one in removed]


def test_only_lines_that_changed_are_passages() -> None:
    before, after = {"text": "one\ntwo\nthree"}, {"text": "three\none\nfour"}
    assert changed(before, after, text="text") == (["four"], ["two"])


def test_a_first_version_adds_all_it_has() -> None:
    assert changed(None, {"text": "one\n\n one  two "}, text="text") == (["one", "one two"], [])


def test_the_same_text_in_another_field_or_locale_is_another_passage() -> None:
    assert changed({"a": "fish"}, {"b": "fish"}, a="string", b="string") == (["fish"], ["fish"])
    assert changed({"local": {"en": "fish"}}, {"local": {"it": "fish"}}, local="string") == (["fish"], ["fish"])


def test_html_is_read_as_people_read_it() -> None:
    html = '<h1 class="x">Old <em>fi</em>sh</h1>caf&eacute; &amp; tea<br/>noon &unknown; 1 < 2'
    assert changed(None, {"text": html}, text="text")[0] == ["Old fish", "café & tea", "noon &unknown; 1 < 2"]


def test_what_both_databases_cannot_store_is_replaced() -> None:
    assert changed(None, {"text": "a\0b \ud800"}, text="text")[0] == ["a\ufffdb \ufffd"]


def test_a_content_nested_without_end_has_no_passages() -> None:
    deep: Any = "fish"
    for _ in range(100_000):
        deep = [deep]
    assert changed({"json": deep}, {"json": [deep], "text": "fish"}, json="json", text="text") == (["fish"], [])
