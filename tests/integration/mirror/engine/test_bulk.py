"""Rows that are inserted many at a time, whatever their number and size."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, select

from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.dialects import dialect_of

ROWS = Table(
    "bulk_rows",
    MetaData(),
    Column("number", Integer, primary_key=True),
    Column("attributes", Text, nullable=False),
    *(Column(f"more_{index}", Integer) for index in range(80)),
)
"""So wide that a statement of 500 rows would have more values than SQLite takes."""
NARROW = ("number", "attributes")


@pytest.mark.parametrize("number", [0, 1, 3, 4, 99, 503, 1627])
@pytest.mark.parametrize("columns", [NARROW, tuple(ROWS.columns.keys())], ids=["narrow", "wide"])
def test_all_rows_are_inserted_in_their_order(mirror: Mirror, number: int, columns: tuple[str, ...]) -> None:
    rows = [(each, f"row {each}", *range(len(columns) - 2)) for each in range(number)]
    with mirror.write() as tx:
        ROWS.create(tx)
        count = dialect_of(tx).insert_many(tx, ROWS, columns, iter(rows))
        found = tx.execute(select(*(ROWS.c[name] for name in columns)).order_by(ROWS.c.number)).all()
        ROWS.drop(tx)
    assert count == number
    assert [tuple(row) for row in found] == rows
