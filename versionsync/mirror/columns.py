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
    text,
)
from sqlalchemy.types import TypeEngine

from versionsync.mirror.types import IdText, JsonText, UtcTime, WordsText

__all__ = [
    "both_or_none",
    "column",
    "count",
    "flag",
    "identifier",
    "json",
    "number",
    "octets",
    "only_where",
    "refer",
    "refer_to_run",
    "refer_to_source",
    "refer_to_version",
    "rising",
    "source",
    "time",
    "words",
]

RISING = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers only an INTEGER PRIMARY KEY by itself


def column(type_: TypeEngine[Any], comment: str, *, key: bool = False, default: str | None = None) -> Column[Any]:
    """A column that is NOT NULL unless its annotation allows None, with its meaning. `default` is SQL."""
    return Column(
        type_,
        primary_key=key,
        autoincrement=False,
        comment=comment,
        server_default=None if default is None else text(default),
    )


def identifier(comment: str, *, key: bool = False) -> Column[Any]:
    """An id, or something else that is compared byte by byte."""
    return column(IdText(), comment, key=key)


def words(comment: str) -> Column[Any]:
    """Text for people, or one of a few words."""
    return column(WordsText(), comment)


def flag(comment: str, default: str | None = None) -> Column[Any]:
    """True or false."""
    return column(Boolean(), comment, default=default)


def time(comment: str, *, key: bool = False) -> Column[Any]:
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


def octets(comment: str) -> Column[Any]:
    """Bytes, such as a hash."""
    return column(LargeBinary(), comment)


def source(*, key: bool = True) -> Column[Any]:
    """Which source a row belongs to; the first column of almost every key."""
    return column(Integer(), "The source that this row belongs to: `sources.id`.", key=key)


def rising(comment: str) -> Column[Any]:
    """A number that the database gives to each new row, higher than all before."""
    return Column(RISING, Identity(), primary_key=True, comment=comment)


def refer(table: str, target: str, *columns: str) -> ForeignKeyConstraint:
    """A foreign key within the source, from `columns` to the rest of the primary key of `target`."""
    rest = ["type", "id"] if target == "editors" else ["id"]
    name = f"fk_{table}_{columns[-1]}"
    return ForeignKeyConstraint(
        ["source_id", *columns], [f"{target}.{column}" for column in ("source_id", *rest)], name=name
    )


def refer_to_source(table: str) -> ForeignKeyConstraint:
    """A foreign key to the source itself."""
    return ForeignKeyConstraint(["source_id"], ["sources.id"], name=f"fk_{table}_source_id")


def refer_to_run(table: str) -> ForeignKeyConstraint:
    """A foreign key to the run that wrote the row."""
    return ForeignKeyConstraint(["run_id"], ["runs.id"], name=f"fk_{table}_run_id")


def refer_to_version(column: str) -> ForeignKeyConstraint:
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


def only_where(condition: str) -> dict[str, Any]:
    """What makes an index partial, on both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}
