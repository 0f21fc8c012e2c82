"""What a version is called."""

from __future__ import annotations

from typing import Any

from versionsync.history.diff.schema import Schema, SchemaField
from versionsync.history.projections.titles import titles_of
from versionsync.history.schema_at import SchemaState


def state(*, is_localized: bool = False, former: dict[str, str] | None = None) -> SchemaState:
    """A model whose title is the field `title`."""
    one = SchemaField(id="f", api_key="title", label="Title", field_type="string", is_localized=is_localized)
    return SchemaState(0, Schema.of([("m", one)]), {"m": former or {}}, {"m": one})


def titles(attributes: dict[str, Any], of: SchemaState | None = None) -> list[tuple[str, str]]:
    """Locale and title."""
    return [(row.locale, row.title) for row in titles_of("v", "r", "m", attributes, of or state())]


def test_a_title_is_one_line_of_at_most_300_characters() -> None:
    assert titles({"title": "Fish"}) == [("", "Fish")]
    assert titles({"title": "  Fresh\n fish\t"}) == [("", "Fresh fish")]
    ((_, long),) = titles({"title": "x" * 1000})
    assert len(long) == 300


def test_each_locale_has_its_own() -> None:
    assert titles({"title": {"en": "Fish", "it": "Pesce", "de": None, "fr": ""}}, state(is_localized=True)) == [
        ("en", "Fish"),
        ("it", "Pesce"),
    ]


def test_a_version_without_a_title_has_none() -> None:
    for value in (None, "", "  ", 7, ["Fish"], {"en": "Fish"}):
        assert titles({"title": value}) == []
    assert titles({}) == []
    assert titles_of("v", "r", "unknown", {"title": "Fish"}, state()) == []


def test_a_content_from_before_the_field_was_localized_still_has_it() -> None:
    assert titles({"title": "Fish"}, state(is_localized=True)) == [("", "Fish")]


def test_a_content_may_have_the_former_name_of_the_field() -> None:
    assert titles({"name": "Fish"}, state(former={"name": "title"})) == [("", "Fish")]


def test_what_a_database_cannot_store_is_replaced() -> None:
    assert titles({"title": "a\0b\ud83dc"}) == [("", "a\ufffdb\ufffdc")]
    assert titles({"title": {"e\0": "Fish", "e\ufffd": "Pesce"}}, state(is_localized=True)) == [("e\ufffd", "Fish")]
