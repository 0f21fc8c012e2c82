"""The data dictionary is made of the definitions, and is current."""

from __future__ import annotations

from docs.generate.schema_page import ORDER, schema_page
from versionsync.mirror.schema import metadata
from versionsync.mirror.schema.views import VIEWS


def test_every_table_column_and_view_is_in_it() -> None:
    """And each of them has a comment."""
    page = schema_page()
    assert set(ORDER) == set(metadata.tables)
    for table in metadata.tables.values():
        assert table.comment, table.name
        for column in table.columns:
            assert column.comment, column
            assert f"`{column.name}`" in page
    for view in VIEWS:
        assert f"### `{view.name}`" in page
