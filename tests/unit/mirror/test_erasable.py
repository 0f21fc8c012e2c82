"""Every table is known to an erasure."""

from __future__ import annotations

from sqlalchemy import LargeBinary, Table

from versionsync.mirror.engine.types import JsonText, PlainText
from versionsync.mirror.erasable import FREE, PLACES, Kind
from versionsync.mirror.schema import metadata

WITHOUT_CONTENT = {
    "events": {"occurred_basis"},
    "upload_changes": {"kind"},
    "restore_plans": {"made_by", "state", "holder"},
    "restore_steps": {"act", "state"},
}
"""The other columns with text, JSON or bytes of tables that hold content in some."""


def free_form(table: Table) -> set[str]:
    """The columns that could hold content: text, JSON and bytes, but no ids."""
    return {column.name for column in table.columns if isinstance(column.type, JsonText | PlainText | LargeBinary)}


def test_every_table_holds_content_that_is_erased_or_none() -> None:
    covered = {place.table.name for place in PLACES}
    assert covered | set(FREE) == set(metadata.tables), "add a new table to PLACES or FREE"
    assert not covered & set(FREE)


def test_every_free_column_of_a_table_with_content_is_judged() -> None:
    for place in PLACES:
        name = place.table.name
        if place.kind is Kind.DERIVED:
            assert not place.columns, name
            assert {"source_id", "record_id"} <= set(place.table.columns.keys()), name
        else:
            judged = set(place.columns) | WITHOUT_CONTENT.get(name, set())
            assert free_form(place.table) <= judged, name
            assert set(place.columns) <= set(place.table.columns.keys()), name
