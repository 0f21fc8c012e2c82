"""The data dictionary is made of the definitions, and is current."""

from __future__ import annotations

import pytest

from docs.generate.schema_page import ORDER, PAGE, dictionary, main
from versionsync.mirror.schema import metadata
from versionsync.mirror.schema.views import VIEWS


def test_the_page_is_current() -> None:
    """Otherwise: python -m docs.generate.schema_page."""
    assert PAGE.read_text() == dictionary()
    assert main(["--check"]) == 0


def test_an_old_page_is_noticed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With the command that mends it."""
    monkeypatch.setattr("docs.generate.schema_page.PAGE", PAGE.with_name("README.md"))
    assert main(["--check"]) == 1
    assert "python -m docs.generate.schema_page" in capsys.readouterr().err


def test_every_table_column_and_view_is_in_it() -> None:
    """And each of them has a comment."""
    page = dictionary()
    assert set(ORDER) == set(metadata.tables)
    for table in metadata.tables.values():
        assert table.comment, table.name
        for column in table.columns:
            assert column.comment, column
            assert f"`{column.name}`" in page
    for view in VIEWS:
        assert f"### `{view.name}`" in page
