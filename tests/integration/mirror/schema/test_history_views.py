"""The view of changes, and the columns of typed views that come from projections, on both databases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fixtures.projections import fill
from tests.integration.mirror.writing import RECORD, Desk, Shown, a_field, at
from versionsync.mirror.schema.typed_views import rebuild_typed_views
from versionsync.mirror.tables.editors import EditorRow, upsert_editors
from versionsync.mirror.tables.leases import release
from versionsync.mirror.tables.models import upsert_schema


@pytest.fixture
def written(desk: Desk) -> Desk:
    """A record of two versions, by Ada: texts in two locales, a block within a block, a number, a flag."""
    fields = [
        a_field("title", is_localized=True, position=1),
        a_field("parts", "rich_text", position=2),
        a_field("price", "float", position=3),
        a_field("open", "boolean", position=4),
    ]
    with desk.mirror.write() as tx:
        upsert_schema(tx, desk.lease, [], fields, observed_at=at(0))
        upsert_editors(tx, desk.lease, [EditorRow(type="user", id="7", name="Ada", payload="{}")])
        rebuild_typed_views(tx, desk.lease.source_id)
    first = content("Fish", "Pesce", "To be sold", 1.5, True)
    second = content("Fresh fish", "Pesce", "To be given away", 2, False)
    desk.look(Shown("a", 1, "", first, live=(2, 8)), Shown("b", 9, "c", second))
    release(desk.mirror, desk.lease)
    fill(desk.mirror)
    return desk


def content(en: str, it: str, said: str, price: float, is_open: bool) -> bytes:
    inner = {"id": "inner", "type": "item", "attributes": {"text": said}}
    outer = {"id": "outer", "type": "item", "attributes": {"parts": [inner]}}
    return json.dumps({"title": {"en": en, "it": it}, "parts": [outer], "price": price, "open": is_open}).encode()


def test_the_changes_of_a_version_have_their_values_before_and_after(written: Desk) -> None:
    """Of a field in its locale, and of a field in a block that is in another one."""
    rows = written.rows(
        "SELECT field, locale, block_path, operation, before, after FROM record_changes WHERE version_id = 'b'"
    )
    found: dict[Any, tuple[str | None, ...]] = {
        (field, locale, path): (operation, _plain(before), _plain(after))
        for field, locale, path, operation, before, after in rows
    }
    assert found == {
        ("title", "en", None): ("changed", "Fish", "Fresh fish"),
        ("text", None, "outer/inner"): ("changed", "To be sold", "To be given away"),
        ("price", None, None): ("changed", "1.5", "2"),
        ("open", None, None): ("changed", "true", "false"),
    }


def _plain(value: str | None) -> str | None:
    return value.removesuffix(".0") if value else value


def test_a_change_has_its_editor_and_the_title_in_its_own_locale(written: Desk) -> None:
    rows = written.rows(
        "SELECT DISTINCT source, model, record_id, previous_version_id, editor_name, locale, record_title "
        "FROM record_changes ORDER BY previous_version_id, locale"
    )
    assert set(rows) == {
        ("website", "article", RECORD, None, "Ada", "en", "Fish"),
        ("website", "article", RECORD, None, "Ada", "it", "Pesce"),
        ("website", "article", RECORD, None, "Ada", None, "Fish"),
        ("website", "article", RECORD, "a", "Ada", "en", "Fresh fish"),
        ("website", "article", RECORD, "a", "Ada", None, "Fresh fish"),
    }


def test_the_first_version_added_everything(written: Desk) -> None:
    rows = written.rows("SELECT DISTINCT operation, before FROM record_changes WHERE version_id = 'a'")
    assert rows == [("added", None)]


def test_a_typed_view_has_title_editor_and_publication(written: Desk) -> None:
    """The title is that of the main locale; a version that was never live has no times."""
    rows = written.rows(
        "SELECT version_id, version_ordinal, editor_name, record_title, live_from IS NULL, live_until IS NULL, "
        "source_name FROM website_article_versions ORDER BY version_ordinal"
    )
    shown = [(*row[:4], bool(row[4]), bool(row[5]), row[6]) for row in rows]
    assert shown == [
        ("a", 1024, "Ada", "Fish", False, False, "website"),
        ("b", 2048, "Ada", "Fresh fish", True, True, "website"),
    ]
    joined = written.rows(
        "SELECT count(*) FROM website_article_versions AS v JOIN publications AS p ON p.version_id = v.version_id "
        "WHERE v.live_from = p.live_from AND v.live_until = p.live_until"
    )
    assert joined == [(1,)]


def test_before_projections_are_filled_their_columns_are_null(desk: Desk) -> None:
    with desk.mirror.write() as tx:
        upsert_schema(tx, desk.lease, [], [a_field("title")], observed_at=at(0))
        rebuild_typed_views(tx, desk.lease.source_id)
    desk.look(Shown("a", 1, "cp", live=(2, None)))
    assert desk.rows("SELECT version_id, record_title, live_from FROM website_article_current") == [("a", None, None)]
    assert desk.rows("SELECT * FROM record_changes") == []
