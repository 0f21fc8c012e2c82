"""What differs between SQLite and PostgreSQL when all rows of a mirror are copied.

Values travel as SQLite has them: a time is text, a boolean is 0 or 1, a UUID is text. PostgreSQL reads all of these.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Boolean, Connection, MetaData, Table, text
from sqlalchemy.schema import AddConstraint, CreateIndex, DropIndex

from versionsync.mirror.engine.bulk import SqlRow, copy_many
from versionsync.mirror.engine.dialects import dialect_of, name_in_sql
from versionsync.mirror.engine.driver_errors import our_errors
from versionsync.mirror.engine.jsonb import jsonb_text
from versionsync.mirror.engine.sqlalchemy_urls import safe_url, sqlite_path
from versionsync.mirror.engine.types import JsonText, UtcTime, UuidText
from versionsync.mirror.errors import ContentRejected

__all__ = ["Convert", "CopyDialect", "copy_dialect_of"]

Convert = Callable[[Any], Any]
"""Converts a value that is not None."""


def copy_dialect_of(connection: Connection) -> CopyDialect:
    """Return what copying needs of this database."""
    return _DIALECTS[connection.dialect.name]


class CopyDialect(ABC):
    """Reads and writes rows in the neutral form, and takes the target's indexes and keys away while it is filled."""

    @abstractmethod
    def identity(self, connection: Connection) -> tuple[object, ...]:
        """Return a value that only this database and schema has."""

    @abstractmethod
    def set_up(self, connection: Connection) -> None:
        """Make a connection without a transaction ready to write rows in any order."""

    def reader(self, type_: object) -> Convert | None:
        """Return what converts a value of the driver to the neutral form. None: nothing does."""
        return None

    def writer(self, type_: object) -> Convert | None:
        """Return what converts a neutral value to the driver's form. None: nothing does."""
        return None

    @abstractmethod
    def insert(self, tx: Connection, table: Table, rows: Sequence[SqlRow]) -> None:
        """Insert rows of all columns, in the driver's form."""

    def drop_indexes(self, tx: Connection, metadata: MetaData) -> None:
        """Drop all indexes except the primary keys, and all foreign keys that can be dropped."""
        for table in metadata.sorted_tables:
            for index in table.indexes:
                tx.execute(DropIndex(index, if_exists=True))

    def make_indexes(self, tx: Connection, table: Table) -> None:
        """Make the indexes of a table that are not there yet."""
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            if index.info.get("only_on", tx.dialect.name) != tx.dialect.name:
                continue
            tx.execute(CreateIndex(index, if_not_exists=True))

    @abstractmethod
    def check_foreign_keys(self, tx: Connection, metadata: MetaData) -> None:
        """Make the foreign keys that are not there, and check all of them. Raises ContentRejected."""

    @abstractmethod
    def last_numbers(self, connection: Connection, tables: Iterable[Table]) -> dict[str, int]:
        """Return the last number that the database gave to a row of each table, or 0 if that is not known."""

    @abstractmethod
    def set_last_numbers(self, tx: Connection, numbers: Mapping[str, int]) -> None:
        """Let the database number new rows of these tables after the given numbers."""

    @abstractmethod
    def empty(self, tx: Connection, tables: Collection[Table]) -> None:
        """Delete all rows."""

    @abstractmethod
    def analyze(self, tx: Connection, tables: Collection[Table]) -> None:
        """Collect the statistics that queries are planned with."""


class _Sqlite(CopyDialect):
    def identity(self, connection: Connection) -> tuple[object, ...]:
        found = sqlite_path(connection.engine.url).stat()
        return ("sqlite", found.st_dev, found.st_ino)

    def set_up(self, connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        with our_errors(connection):
            driver.execute("PRAGMA foreign_keys = OFF")  # checked at the end, all at once

    def insert(self, tx: Connection, table: Table, rows: Sequence[SqlRow]) -> None:
        names = ", ".join(name_in_sql(column.name) for column in table.columns)
        values = ", ".join("?" * len(table.columns))
        tx.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({values})", list(map(tuple, rows)))  # noqa: S608

    def check_foreign_keys(self, tx: Connection, metadata: MetaData) -> None:
        found = tx.exec_driver_sql("PRAGMA foreign_key_check").first()
        if found is not None:
            where = safe_url(tx.engine.url)
            raise ContentRejected(f"a row of {found[0]} in {where} refers to one in {found[2]} that does not exist")

    def last_numbers(self, connection: Connection, tables: Iterable[Table]) -> dict[str, int]:
        rows = connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence")
        known = {row[0]: row[1] for row in rows}
        return {table.name: int(known.get(table.name) or 0) for table in tables}

    def set_last_numbers(self, tx: Connection, numbers: Mapping[str, int]) -> None:
        for name, number in numbers.items():
            tx.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": name})
            tx.execute(
                text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :number)"),
                {"name": name, "number": number},
            )

    def empty(self, tx: Connection, tables: Collection[Table]) -> None:
        for table in tables:
            tx.execute(table.delete())

    def analyze(self, tx: Connection, tables: Collection[Table]) -> None:
        dialect_of(tx).analyze_grown(tx)


class _Postgres(CopyDialect):
    IDENTITY = text(
        """
        SELECT pg_postmaster_start_time()::text, (SELECT oid FROM pg_database WHERE datname = current_database()),
            current_schema()
        """
    )
    LAST_NUMBER = text(
        """
        SELECT CASE WHEN has_sequence_privilege(s.name, 'SELECT, USAGE') THEN pg_sequence_last_value(s.name) END
        FROM (SELECT pg_get_serial_sequence(:name, 'id')::regclass AS name) AS s
        """
    )
    SET_LAST_NUMBER = text("SELECT setval(pg_get_serial_sequence(:name, 'id')::regclass, :number)")
    FOREIGN_KEYS = text(
        """
        SELECT c.conname
        FROM pg_constraint AS c
        JOIN pg_class AS t ON t.oid = c.conrelid
        JOIN pg_namespace AS n ON n.oid = t.relnamespace AND n.nspname = current_schema()
        WHERE c.contype = 'f'
        """
    )

    def identity(self, connection: Connection) -> tuple[object, ...]:
        return tuple(connection.execute(self.IDENTITY).one())

    def set_up(self, connection: Connection) -> None:
        pass

    def reader(self, type_: object) -> Convert | None:
        match type_:
            case UtcTime():
                return _time_text
            case Boolean():
                return int
            case UuidText():
                return str
            case _:
                return None

    def writer(self, type_: object) -> Convert | None:
        match type_:
            case JsonText():
                return _jsonb
            case UtcTime() | UuidText() | Boolean():
                return None
            case _:
                return _without_nul

    def insert(self, tx: Connection, table: Table, rows: Sequence[SqlRow]) -> None:
        copy_many(tx, table.name, tuple(name_in_sql(column.name) for column in table.columns), rows)

    def drop_indexes(self, tx: Connection, metadata: MetaData) -> None:
        for table in metadata.sorted_tables:
            for key in table.foreign_key_constraints:
                tx.exec_driver_sql(f"ALTER TABLE {table.name} DROP CONSTRAINT IF EXISTS {key.name}")
        super().drop_indexes(tx, metadata)

    def check_foreign_keys(self, tx: Connection, metadata: MetaData) -> None:
        known = set(tx.scalars(self.FOREIGN_KEYS))
        for table in metadata.sorted_tables:
            for key in sorted(table.foreign_key_constraints, key=lambda key: str(key.name)):
                if key.name not in known:
                    tx.execute(AddConstraint(key, isolate_from_table=False))

    def last_numbers(self, connection: Connection, tables: Iterable[Table]) -> dict[str, int]:
        return {table.name: int(connection.scalar(self.LAST_NUMBER, {"name": table.name}) or 0) for table in tables}

    def set_last_numbers(self, tx: Connection, numbers: Mapping[str, int]) -> None:
        for name, number in numbers.items():
            tx.execute(self.SET_LAST_NUMBER, {"name": name, "number": number})

    def empty(self, tx: Connection, tables: Collection[Table]) -> None:
        tx.exec_driver_sql(f"TRUNCATE {', '.join(table.name for table in tables)}")

    def analyze(self, tx: Connection, tables: Collection[Table]) -> None:
        tx.exec_driver_sql(f"ANALYZE {', '.join(table.name for table in tables)}")


def _time_text(time: datetime) -> str:
    """Return what `format_time` would, of a time in UTC: every connection has that zone."""
    return time.isoformat(timespec="microseconds")[:26] + "Z"


def _jsonb(document: str) -> str:
    return jsonb_text(document.encode())


def _without_nul(value: Any) -> Any:
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


_DIALECTS: Final[Mapping[str, CopyDialect]] = {"sqlite": _Sqlite(), "postgresql": _Postgres()}
