"""The kinds of column and constraint that the mirror's tables are made of."""

from __future__ import annotations

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
from sqlalchemy import (
    text as sql_text,
)
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


def column(type_: TypeEngine[Any], comment: str, *, key: bool = False, default: str | None = None) -> Column[Any]:
    """A column that is NOT NULL unless its annotation allows None, with its meaning. `default` is SQL."""
    return Column(
        type_,
        primary_key=key,
        autoincrement=False,
        comment=comment,
        server_default=None if default is None else sql_text(default),
    )


def identifier(comment: str, *, key: bool = False) -> Column[Any]:
    """An id, or something else that is compared byte by byte."""
    return column(IdText(), comment, key=key)


def text(comment: str) -> Column[Any]:
    """Text for people, or one of a few words."""
    return column(PlainText(), comment)


def boolean(comment: str, default: str | None = None) -> Column[Any]:
    """True or false."""
    return column(Boolean(), comment, default=default)


def timestamp(comment: str, *, key: bool = False) -> Column[Any]:
    """A moment, in UTC."""
    return column(UtcTime(), comment, key=key)


def json(comment: str, default: str | None = None) -> Column[Any]:
    """A JSON document."""
    return column(JsonText(), comment, default=default)


def number(comment: str) -> Column[Any]:
    """A small whole number."""
    return column(Integer(), comment)


def count(comment: str, *, big: bool = False) -> Column[Any]:
    """A number that starts at 0."""
    return column(BigInteger() if big else Integer(), comment, default="0")


def binary(comment: str) -> Column[Any]:
    """Bytes, such as a hash."""
    return column(LargeBinary(), comment)


def source(*, key: bool = True) -> Column[Any]:
    """Which source a row belongs to; the first column of almost every key."""
    return column(Integer(), "The source that this row belongs to: `sources.id`.", key=key)


def autoincrement(comment: str) -> Column[Any]:
    """A number that the database gives to each new row, higher than all before."""
    return Column(AUTOINCREMENT, Identity(), primary_key=True, comment=comment)


def foreign_key(table: str, target: str, *columns: str) -> ForeignKeyConstraint:
    """A foreign key within the source, from `columns` to the rest of the primary key of `target`."""
    rest = ["type", "id"] if target == "editors" else ["id"]
    name = f"fk_{table}_{columns[-1]}"
    return ForeignKeyConstraint(
        ["source_id", *columns], [f"{target}.{column}" for column in ("source_id", *rest)], name=name
    )


def foreign_key_to_source(table: str) -> ForeignKeyConstraint:
    """A foreign key to the source itself."""
    return ForeignKeyConstraint(["source_id"], ["sources.id"], name=f"fk_{table}_source_id")


def foreign_key_to_run(table: str) -> ForeignKeyConstraint:
    """A foreign key to the run that wrote the row."""
    return ForeignKeyConstraint(["run_id"], ["runs.id"], name=f"fk_{table}_run_id")


def foreign_key_to_version(column: str) -> ForeignKeyConstraint:
    """From a record to one of its versions. Of the two tables one has to be made first: this comes after both."""
    return ForeignKeyConstraint(
        ["source_id", column],
        ["versions.source_id", "versions.id"],
        name=f"fk_records_{column}",
        use_alter=True,
    )


def both_or_none(first: str, second: str, name: str) -> CheckConstraint:
    """A rule for two columns that are one thing together."""
    return CheckConstraint(f"({first} IS NULL) = ({second} IS NULL)", name=name)


def partial(condition: str) -> dict[str, Any]:
    """What makes an index partial, on both databases."""
    return {"sqlite_where": sql_text(condition), "postgresql_where": sql_text(condition)}
