"""What differs between SQLite and PostgreSQL: one class each, and `dialect_of` to get the one of a connection.

Column types are in `types.py`, opening a database is in `engine.py`.
"""

from __future__ import annotations

import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any, ClassVar, Final, Literal, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    MetaData,
    Select,
    Table,
    desc,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import SetColumnComment, SetTableComment
from sqlalchemy.sql.dml import Insert

from versionsync.mirror.engine.bulk import SqlRow, copy_many, insert_together
from versionsync.mirror.engine.driver_errors import our_errors
from versionsync.mirror.engine.jsonb import jsonb_form
from versionsync.mirror.engine.types import UtcTime
from versionsync.mirror.errors import NotAMirror

__all__ = [
    "IS_DATE",
    "IS_TIME",
    "OWN_VIEW",
    "READS",
    "ColumnType",
    "Dialect",
    "Occupant",
    "Postgres",
    "Sqlite",
    "dialect_of",
    "name_in_sql",
    "text_in_sql",
]

Condition: TypeAlias = Callable[[FromClause], ColumnElement[bool]]
"""Returns a condition on the rows of a table, or of an alias of it."""

OWN_VIEW: Final = "view by versionsync"
"""The mark of a view that versionsync made: in its SQL text on SQLite, in its comment on PostgreSQL."""
READS: Final = "versionsync_reads"
"""The execution option of an engine for SQLite that only reads."""

# Below this number of rows a table's statistics say little: it is analyzed again after the next write.
ENOUGH_ROWS = 1000
SAMPLED_ROWS = 1000
MIGRATION_LOCK = 0x7665727379  # "versy": any number that no other program uses

# Only dates that exist, since a cast of any other raises. PostgreSQL before 16 has no `pg_input_is_valid`.
_LEAP_YEAR = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][48]|[13579][26]|[2468]0)00)"
_DAY = (
    "(?!0000)("
    "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP_YEAR}-02-29)"
)
_CLOCK = "T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?(Z|[+-](0[0-9]|1[0-3]):?[0-5][0-9])"
PLAIN_KEY = re.compile("[A-Za-z0-9_]+")
IS_DATE = f"^{_DAY}$"
IS_TIME = f"^{_DAY}{_CLOCK}$"


class ColumnType(Enum):
    """What a column of a typed view holds."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class Occupant:
    """What has a name in the database: `table`, `view`, `index`, `type`… `is_ours`: a view that versionsync made."""

    kind: str
    is_ours: bool

    @property
    def with_article(self) -> str:
        """Return the kind as `a table`, `an index`."""
        return f"{'an' if self.kind[0] in 'aeiou' else 'a'} {self.kind}"


def name_in_sql(name: str) -> str:
    """Return `name` as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_in_sql(text: str) -> str:
    """Return `text` as a literal. Both databases read backslashes literally."""
    return "'" + text.replace("'", "''") + "'"


def dialect_of(database: Connection | Engine) -> Dialect:
    """Return the dialect of a connection or an engine."""
    return _DIALECTS[database.dialect.name]


class Dialect(ABC):
    """What differs between the two databases. A method does nothing if its database does not need it."""

    name: ClassVar[Literal["sqlite", "postgresql"]]
    can_alter_under_views: ClassVar[bool]
    """Whether a table can be altered while a view reads it."""
    divides_sources: ClassVar[bool]
    """Whether several daemons on one database divide its sources. If not, one has all of them."""
    marks: ClassVar[str]
    """The query for names and marks of views whose mark is LIKE `:mark`."""

    @abstractmethod
    def reading(self, engine: Engine) -> Engine:
        """Return `engine` for transactions that only read, each from one snapshot."""

    @abstractmethod
    def now(self, *, seconds: int = 0) -> ColumnElement[datetime]:
        """Return the time `seconds` from now as SQL: the clock's time, not the transaction's."""

    def notify(self, tx: Connection, message: str) -> None:  # noqa: B027 - for one database only
        """Send a message to all processes that listen, when this transaction is committed."""

    @abstractmethod
    def newest(self, table: Table, owners: Table, limit: int, condition: Condition = lambda _: true()) -> Select[Any]:
        """Return a SELECT of the newest rows of `table` of each of `owners`, at most `limit` each, in any order.

        `table` has a `source_id` and an `id` that rises, with an index on both; `owners` are the sources. A condition
        on the owners can be added to the SELECT. `condition` is that of the rows.
        """

    @abstractmethod
    def insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        """Return an INSERT that knows ON CONFLICT."""

    def insert_ignore(self, table: Table) -> Insert:
        """Return an INSERT that leaves an existing row unchanged."""
        return _insert_ignore(self, table)

    def upsert(self, table: Table, columns: Sequence[str]) -> Insert:
        """Return an INSERT that sets `columns` of a row with the same primary key, unless they are equal already."""
        return _upsert(self, table, tuple(columns))

    @abstractmethod
    def insert_many(self, tx: Connection, table: Table, columns: tuple[str, ...], rows: Iterable[SqlRow]) -> int:
        """Insert `rows`, whose values are those of `columns`, and return their number. Raises MirrorError.

        `rows` may be an iterator of any length: only a few rows are in memory at a time.
        """

    def storable_json(self, raw: bytes) -> tuple[str, bytes | None]:
        """Return what to write for the JSON text `raw`, and `raw` itself if the column cannot hold all of it.

        Raises UnicodeDecodeError.
        """
        return raw.decode(), None

    def storable_json_text(self, text: str) -> str:
        """Return what to write for `text` in a JSON column that has no exact copy beside it."""
        return text

    def set_lock_timeout(self, tx: Connection, seconds: float | None) -> None:  # noqa: B027 - for one database only
        """Limit how long this transaction waits for a lock. None: use the server's own limit."""

    def analyze_new(self, tx: Connection, *tables: Table) -> None:  # noqa: B027 - for one database only
        """Analyze `tables` while the first of them is new."""

    def analyze_grown(self, tx: Connection) -> None:  # noqa: B027 - for one database only
        """Analyze all tables after many rows were written."""

    def overwrite_deleted(self, tx: Connection) -> None:  # noqa: B027 - for one database only
        """Overwrite what this transaction deletes, instead of leaving it in free parts of the file."""

    @abstractmethod
    def clean(self, engine: Engine, *tables: Table) -> bool:
        """Free the database of what was deleted or replaced in `tables` and is still in its files.

        SQLite writes the whole file again and empties its log; that needs free space of twice the file. PostgreSQL
        vacuums and analyzes the tables: no query can read the old rows any more.

        Returns:
            Whether that is done. False: another process reads an old state, so the log of SQLite still has some of it.
        """

    def lock_migrations(self, tx: Connection) -> None:  # noqa: B027 - for one database only
        """Let other processes wait with their migration until this transaction ends."""

    def check_search_path(self, tx: Connection, table: str, where: str) -> None:  # noqa: B027 - for one database only
        """Raise NotAMirror unless tables are made in the schema in which `table` is found."""

    @abstractmethod
    def occupants(self, tx: Connection, names: Collection[str]) -> dict[str, Occupant]:
        """Return what has these names already."""

    def in_the_way(self, tx: Connection, name: str) -> str | None:
        """Return what keeps us from making a view of this name, as `a table`, or None."""
        occupant = self.occupants(tx, [name]).get(name)
        if occupant is None or occupant.is_ours:
            return None
        return "a view of another program" if occupant.kind == "view" else occupant.with_article

    def drop_view(self, tx: Connection, name: str) -> None:
        """Drop the view if it exists and versionsync made it."""
        occupant = self.occupants(tx, [name]).get(name)
        if occupant is not None and occupant.is_ours:
            self.run_ddl(tx, f"DROP VIEW {name_in_sql(name)}")

    @abstractmethod
    def another_programs(self, tx: Connection, names: Collection[str]) -> dict[str, Occupant]:
        """Return what shows that another program uses this database. `names` are those that a migration makes."""

    @abstractmethod
    def run_ddl(self, tx: Connection, statement: str) -> None:
        """Run a statement without parameters. It may contain any character."""

    @abstractmethod
    def replace_view(
        self,
        tx: Connection,
        name: str,
        query: str,
        *,
        mark: str,
        comment: str | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        """Make a view, or give it another query.

        Args:
            tx: The transaction.
            name: The view's name. Check first that nothing else has it.
            query: Its SELECT.
            mark: What identifies it as ours. It contains OWN_VIEW.
            comment: Its comment in PostgreSQL, which contains the mark. None: the mark alone.
            columns: The comments of its columns in PostgreSQL.
        """

    def comment(self, tx: Connection, metadata: MetaData) -> None:  # noqa: B027 - for one database only
        """Write the comments of all tables and columns to the database."""

    @abstractmethod
    def member(self, kind: ColumnType, key: str) -> str:
        """Return the SQL of the member `key` of `v.attributes`; NULL if it holds another type than `kind`."""

    @abstractmethod
    def changed_value(self, content: str) -> str:
        """Return the SQL of the value, as text, that the row `c` of `changes` is about, in the column `content`."""


class Sqlite(Dialect):
    """SQLite: one writer at a time, no schemas, no roles, no comments."""

    name = "sqlite"
    can_alter_under_views = False
    divides_sources = False  # it has one writer at a time: a second daemon would only wait for the first one
    marks = "SELECT name, sql FROM sqlite_master WHERE type = 'view' AND sql LIKE :mark"

    def reading(self, engine: Engine) -> Engine:
        return engine.execution_options(**{READS: True})

    def now(self, *, seconds: int = 0) -> ColumnElement[datetime]:
        # SQLite knows milliseconds; the width is that of every time in the mirror.
        return literal_column(f"(strftime('%Y-%m-%dT%H:%M:%f', 'now', '{seconds:+d} seconds') || '000Z')", UtcTime())

    def newest(self, table: Table, owners: Table, limit: int, condition: Condition = lambda _: true()) -> Select[Any]:
        # SQLite has no LATERAL, but reads the oldest of these rows once for each owner, and then a part of the index.
        counted = table.alias("counted")
        ordered = select(counted.c.id).where(counted.c.source_id == owners.c.id, condition(counted))
        oldest = ordered.order_by(desc(counted.c.id)).limit(1).offset(limit - 1).scalar_subquery()
        is_new = (table.c.source_id == owners.c.id) & (table.c.id >= func.coalesce(oldest, 0))
        return select(*table.c).select_from(owners).join(table, is_new).where(condition(table))

    def insert(self, table: Table) -> sqlite.Insert:
        return sqlite.insert(table)

    def insert_many(self, tx: Connection, table: Table, columns: tuple[str, ...], rows: Iterable[SqlRow]) -> int:
        return insert_together(tx, _plain_insert(table), columns, rows)

    def analyze_grown(self, tx: Connection) -> None:
        """Analyze a sample of all tables, which takes milliseconds at any size.

        A query that names a record but no source then finds its rows by the index.
        """
        tx.exec_driver_sql(f"PRAGMA analysis_limit = {SAMPLED_ROWS:d}")
        tx.exec_driver_sql("ANALYZE")

    def overwrite_deleted(self, tx: Connection) -> None:
        tx.exec_driver_sql("PRAGMA secure_delete = ON")

    def clean(self, engine: Engine, *tables: Table) -> bool:
        with engine.connect() as connection, our_errors(connection):
            driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
            driver.execute("PRAGMA query_only = OFF")  # a transaction that reads leaves it on
            driver.execute("PRAGMA secure_delete = ON")
            if driver.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone():
                # The statistics may hold samples of titles.
                driver.execute(f"PRAGMA analysis_limit = {SAMPLED_ROWS:d}")
                driver.execute("ANALYZE")
            driver.execute("VACUUM")
            is_busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not is_busy

    def occupants(self, tx: Connection, names: Collection[str]) -> dict[str, Occupant]:
        wanted = {name.casefold(): name for name in names}  # SQLite's names ignore case
        rows = tx.exec_driver_sql("SELECT name, type, coalesce(sql, '') FROM sqlite_master")
        return {
            wanted[name.casefold()]: Occupant(kind, is_ours=kind == "view" and OWN_VIEW in sql)
            for name, kind, sql in rows
            if name.casefold() in wanted
        }

    def another_programs(self, tx: Connection, names: Collection[str]) -> dict[str, Occupant]:
        """Return all tables: a file belongs to one program."""
        rows = tx.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite|_%' ESCAPE '|'"
        )
        return {name: Occupant("table", is_ours=False) for (name,) in rows}

    def run_ddl(self, tx: Connection, statement: str) -> None:
        tx.exec_driver_sql(statement)

    def replace_view(
        self,
        tx: Connection,
        name: str,
        query: str,
        *,
        mark: str,
        comment: str | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        self.run_ddl(tx, f"DROP VIEW IF EXISTS {name_in_sql(name)}")
        self.run_ddl(tx, f"CREATE VIEW {name_in_sql(name)} AS\n-- {mark}\n{query}")

    def member(self, kind: ColumnType, key: str) -> str:
        if PLAIN_KEY.fullmatch(key):
            path = text_in_sql(f'$."{key}"')
            value, type_ = f"json_extract(v.attributes, {path})", f"json_type(v.attributes, {path})"
        else:  # a path cannot name every key
            member = f"FROM json_each(v.attributes) AS m WHERE m.key = {text_in_sql(key)}"
            value, type_ = f"(SELECT m.value {member})", f"(SELECT m.type {member})"
        match kind:
            case ColumnType.TEXT | ColumnType.DATE | ColumnType.TIME:
                return value
            case ColumnType.NUMBER:
                return f"CASE WHEN {type_} IN ('integer', 'real') THEN {value} END"
            case ColumnType.BOOLEAN:
                return f"CASE WHEN {type_} IN ('true', 'false') THEN {value} END"
            case ColumnType.JSON:
                return f"CASE {type_} WHEN 'text' THEN json_quote({value}) ELSE {value} END"

    def changed_value(self, content: str) -> str:
        block = (
            f"SELECT json_extract({content}, b.path || '.attributes') FROM json_tree({content}) AS b "  # noqa: S608
            "WHERE b.key = 'id' AND b.atom = c.block_id "
            f"AND json_type({content}, b.path || '.attributes') = 'object' LIMIT 1"
        )
        whole, of_locale = (
            f"CASE {one}.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST({one}.value AS TEXT) END"
            for one in ("w", "l")
        )
        members = "json_each(CASE w.type WHEN 'object' THEN w.value ELSE '{}' END) AS l WHERE l.key = c.locale"
        return (
            "(SELECT CASE WHEN c.locale IS NULL "  # noqa: S608
            f"OR (c.block_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {members})) THEN {whole} "
            f"ELSE (SELECT {of_locale} FROM {members}) END "
            f"FROM json_each(CASE WHEN c.block_id IS NULL THEN {content} ELSE ({block}) END) AS w "
            "WHERE w.key = c.field)"
        )


class Postgres(Dialect):
    """PostgreSQL: many writers, roles, a schema of its own within a database, comments, `jsonb`."""

    name = "postgresql"
    can_alter_under_views = True
    divides_sources = True
    marks = """
        SELECT c.relname, d.description
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = current_schema()
        JOIN pg_description AS d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
        WHERE c.relkind = 'v' AND d.description LIKE :mark
        """

    # PostgreSQL keeps tables, views and indexes in one list. The name of a type is taken too: each table has one.
    OCCUPANTS = text(
        """
        SELECT c.relname, c.relkind::text, coalesce(d.description, '')
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = current_schema()
        LEFT JOIN pg_description AS d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
        WHERE c.relname = ANY(:names)
        UNION ALL
        SELECT t.typname, 'T', ''
        FROM pg_type AS t
        JOIN pg_namespace AS n ON n.oid = t.typnamespace AND n.nspname = current_schema()
        WHERE t.typname = ANY(:names) AND t.typrelid = 0
        """
    )
    KINDS: Final = {
        "r": "table",
        "p": "table",
        "f": "foreign table",
        "v": "view",
        "m": "materialized view",
        "i": "index",
        "I": "index",
        "S": "sequence",
        "c": "type",
        "T": "type",
    }
    SEARCH_PATH = text(
        """
        SELECT current_schema(), current_setting('search_path'), (
            SELECT n.nspname
            FROM pg_class AS c
            JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE c.relname = :name AND pg_table_is_visible(c.oid)
        )
        """
    )
    NOTIFY = text(
        "SELECT pg_notify('versionsync_' || oid, :message) FROM pg_namespace WHERE nspname = current_schema()"
    )
    ROWS_WHEN_LAST_ANALYZED = text("SELECT reltuples FROM pg_class WHERE oid = CAST(:name AS regclass)")

    def reading(self, engine: Engine) -> Engine:
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def now(self, *, seconds: int = 0) -> ColumnElement[datetime]:
        return literal_column(f"(clock_timestamp() + interval '{seconds:d} seconds')", UtcTime())

    def newest(self, table: Table, owners: Table, limit: int, condition: Condition = lambda _: true()) -> Select[Any]:
        # Without LATERAL the server reads the whole table, and looks for the oldest of these rows once for each row.
        own = select(*table.c).where(table.c.source_id == owners.c.id, condition(table))
        newest = own.order_by(desc(table.c.id)).limit(limit).lateral("newest")
        return select(*newest.c).select_from(owners).join(newest, true())

    def notify(self, tx: Connection, message: str) -> None:
        tx.execute(self.NOTIFY, {"message": message})

    def insert(self, table: Table) -> postgresql.Insert:
        return postgresql.insert(table)

    def insert_many(self, tx: Connection, table: Table, columns: tuple[str, ...], rows: Iterable[SqlRow]) -> int:
        return copy_many(tx, table.name, columns, rows)

    def storable_json(self, raw: bytes) -> tuple[str, bytes | None]:
        return jsonb_form(raw)

    def storable_json_text(self, text: str) -> str:
        return jsonb_form(text.encode())[0]

    def set_lock_timeout(self, tx: Connection, seconds: float | None) -> None:
        limit = "DEFAULT" if seconds is None else f"{int(seconds * 1000):d}"
        tx.exec_driver_sql(f"SET LOCAL lock_timeout TO {limit}")

    def analyze_new(self, tx: Connection, *tables: Table) -> None:
        """Analyze `tables` as soon as the first of them has rows, in the middle of a first backfill.

        Without statistics PostgreSQL finds a row by its source alone, as all keys start with the source. Each check
        of a foreign key then takes longer the more rows there are. Autovacuum analyzes only after a minute or more.
        """
        known = tx.scalar(self.ROWS_WHEN_LAST_ANALYZED, {"name": tables[0].name}) or 0
        if known < ENOUGH_ROWS:
            tx.exec_driver_sql(f"ANALYZE {', '.join(table.name for table in tables)}")

    def clean(self, engine: Engine, *tables: Table) -> bool:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"VACUUM (ANALYZE) {', '.join(table.name for table in tables)}")
        return True

    def lock_migrations(self, tx: Connection) -> None:
        tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})

    def check_search_path(self, tx: Connection, table: str, where: str) -> None:
        current, path, other = tx.execute(self.SEARCH_PATH, {"name": table}).one()
        if current is None:
            raise NotAMirror(
                f"the database {where} has none of the schemas that search_path names ({path}): create one "
                "(CREATE SCHEMA …), or name another one (?options=-csearch_path%3DSCHEMA)"
            )
        if other is not None and other != current:
            raise NotAMirror(
                f"the database {where} shows a mirror in the schema {other}, but search_path ({path}) begins with the "
                f"schema {current}, which has none: use one of them alone, with ?options=-csearch_path%3D{other} or "
                f"?options=-csearch_path%3D{current}"
            )

    def occupants(self, tx: Connection, names: Collection[str]) -> dict[str, Occupant]:
        """Return what has these names in the current schema."""
        found = {}
        for name, sort, comment in tx.execute(self.OCCUPANTS, {"names": list(names)}):
            kind = self.KINDS.get(sort, sort)
            found[name] = Occupant(kind, is_ours=kind == "view" and OWN_VIEW in comment)
        return found

    def another_programs(self, tx: Connection, names: Collection[str]) -> dict[str, Occupant]:
        return {name: one for name, one in self.occupants(tx, names).items() if not one.is_ours}

    def run_ddl(self, tx: Connection, statement: str) -> None:
        tx.exec_driver_sql(statement.replace("%", "%%"))

    def replace_view(
        self,
        tx: Connection,
        name: str,
        query: str,
        *,
        mark: str,
        comment: str | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        """Make a view, or give it another query; drop it only if its columns cannot be changed otherwise.

        A user's own views may depend on it.
        """
        quoted = name_in_sql(name)
        try:
            with tx.begin_nested():
                self.run_ddl(tx, f"CREATE OR REPLACE VIEW {quoted} AS\n{query}")
        except DBAPIError:  # other columns than before
            self.run_ddl(tx, f"DROP VIEW IF EXISTS {quoted}")
            self.run_ddl(tx, f"CREATE VIEW {quoted} AS\n{query}")
        self.run_ddl(tx, f"COMMENT ON VIEW {quoted} IS {text_in_sql(comment or mark)}")
        for column, meaning in (columns or {}).items():
            self.run_ddl(tx, f"COMMENT ON COLUMN {quoted}.{name_in_sql(column)} IS {text_in_sql(meaning)}")

    def comment(self, tx: Connection, metadata: MetaData) -> None:
        for table in metadata.sorted_tables:
            tx.execute(SetTableComment(table))
            for column in table.columns:
                tx.execute(SetColumnComment(column))

    def member(self, kind: ColumnType, key: str) -> str:
        member, text = f"v.attributes -> {text_in_sql(key)}", f"v.attributes ->> {text_in_sql(key)}"
        match kind:
            case ColumnType.TEXT:
                return f"({text})"
            case ColumnType.NUMBER:
                return f"CASE jsonb_typeof({member}) WHEN 'number' THEN ({text})::numeric END"
            case ColumnType.BOOLEAN:
                return f"CASE jsonb_typeof({member}) WHEN 'boolean' THEN ({text})::boolean END"
            case ColumnType.DATE:
                return f"CASE WHEN ({text}) ~ {text_in_sql(IS_DATE)} THEN ({text})::date END"
            case ColumnType.TIME:
                return f"CASE WHEN ({text}) ~ {text_in_sql(IS_TIME)} THEN ({text})::timestamptz END"
            case ColumnType.JSON:
                return f"nullif({member}, 'null')"

    def changed_value(self, content: str) -> str:
        block = "'strict $.** ? (@.type == \"item\" && @.id == $id)'"
        owner = (
            f"CASE WHEN c.block_id IS NULL THEN {content} ELSE jsonb_path_query_first({content}, {block}, "
            "jsonb_build_object('id', c.block_id), true) -> 'attributes' END"
        )
        return (
            "(SELECT CASE WHEN c.locale IS NULL OR (c.block_id IS NOT NULL AND w.value -> c.locale IS NULL) "  # noqa: S608
            "THEN w.value #>> '{}' ELSE w.value ->> c.locale END "
            f"FROM (SELECT ({owner}) -> c.field AS value) AS w)"
        )


_DIALECTS: Final[Mapping[str, Dialect]] = {one.name: one for one in (Sqlite(), Postgres())}


# One statement object for each table, since `run_many` keeps what it compiled by the statement.
@lru_cache
def _plain_insert(table: Table) -> Insert:
    return insert(table)


@lru_cache
def _insert_ignore(dialect: Dialect, table: Table) -> Insert:
    return dialect.insert(table).on_conflict_do_nothing()


@lru_cache
def _upsert(dialect: Dialect, table: Table, columns: tuple[str, ...]) -> Insert:
    upsert = dialect.insert(table)
    keys = [column.name for column in table.primary_key]
    new = {name: upsert.excluded[name] for name in columns}
    differs = or_(*(table.c[name].is_distinct_from(value) for name, value in new.items()))
    return upsert.on_conflict_do_update(index_elements=keys, set_=new, where=differs)
