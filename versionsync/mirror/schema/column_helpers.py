"""The types of columns and constraints in the mirror's tables."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
)
from sqlalchemy import text as sql_text
from sqlalchemy.types import TypeEngine

from versionsync.mirror.engine.types import IdText, JsonText, PlainText, UtcTime

__all__ = [
    "autoincrement",
    "binary",
    "boolean",
    "both_or_none",
    "column",
    "count",
    "foreign_key",
    "foreign_key_to_run",
    "foreign_key_to_source",
    "foreign_key_to_version",
    "identifier",
    "json",
    "metadata",
    "number",
    "partial",
    "source",
    "text",
    "timestamp",
]

metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})


AUTOINCREMENT = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers only an INTEGER PRIMARY KEY by itself


def column(
    type_: Callable[[], TypeEngine[Any]], comment: str, default: str | None = None, *, key: bool = False
) -> Column[Any]:
    """Return a column with its meaning. It is NOT NULL unless its annotation allows None. `default` is SQL."""
    return Column(
        type_(),
        primary_key=key,
        autoincrement=False,
        comment=comment,
        server_default=None if default is None else sql_text(default),
    )


identifier = functools.partial(column, IdText)
"""A column for an id, or other text that is compared byte by byte."""
text = functools.partial(column, PlainText)
"""A column for text, or one of a few values."""
boolean = functools.partial(column, Boolean)
timestamp = functools.partial(column, UtcTime)
json = functools.partial(column, JsonText)
number = functools.partial(column, Integer)
"""A column for a 32-bit integer."""
binary = functools.partial(column, LargeBinary)
"""A column for bytes, such as a hash."""


def count(comment: str, *, big: bool = False) -> Column[Any]:
    """Return a column for a number that starts at 0."""
    return column(BigInteger if big else Integer, comment, "0")


def source(*, key: bool = True) -> Column[Any]:
    """Return the column for the source of a row: the first column of almost every key."""
    return column(Integer, "Its source: `sources.id`.", key=key)


def autoincrement(comment: str) -> Column[Any]:
    """Return a key column that the database numbers, higher for each new row."""
    return Column(AUTOINCREMENT, Identity(), primary_key=True, comment=comment)


def foreign_key(table: str, target: str, *columns: str) -> ForeignKeyConstraint:
    """Return a foreign key within the source, from `columns` to the rest of the primary key of `target`."""
    rest = ["type", "id"] if target == "editors" else ["id"]
    name = f"fk_{table}_{columns[-1]}"
    return ForeignKeyConstraint(
        ["source_id", *columns], [f"{target}.{column}" for column in ("source_id", *rest)], name=name
    )


def foreign_key_to_source(table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["source_id"], ["sources.id"], name=f"fk_{table}_source_id")


def foreign_key_to_run(table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["run_id"], ["runs.id"], name=f"fk_{table}_run_id")


def foreign_key_to_version(column: str) -> ForeignKeyConstraint:
    """Return a foreign key from a record to one of its versions, added once both tables exist."""
    return ForeignKeyConstraint(
        ["source_id", column], ["versions.source_id", "versions.id"], name=f"fk_records_{column}", use_alter=True
    )


def both_or_none(first: str, second: str, name: str) -> CheckConstraint:
    """Return a check that two columns are NULL only together."""
    return CheckConstraint(f"({first} IS NULL) = ({second} IS NULL)", name=name)


def partial(condition: str) -> dict[str, Any]:
    """Return the options that make an index partial on both databases."""
    return {"sqlite_where": sql_text(condition), "postgresql_where": sql_text(condition)}
