"""Making and dropping views; names and texts are quoted here and nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from versionsync.mirror.engine.types import POSTGRES

__all__ = [
    "OWN_VIEW",
    "Occupant",
    "comment_on_view",
    "drop_view",
    "in_the_way",
    "name_in_sql",
    "occupants",
    "replace_view",
    "run_ddl",
    "text_in_sql",
]

OWN_VIEW = "view by versionsync"
"""How our views are told from others: in SQLite by a comment in their text, in PostgreSQL by their comment."""

# What stands in the current schema under these names: PostgreSQL keeps tables, views and indexes in one list, and the
# name of a type is taken too, since each table has one.
POSTGRES_OCCUPANTS = text(
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
SQLITE_OCCUPANTS = text("SELECT name, type, coalesce(sql, '') FROM sqlite_master")
KINDS = {
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


@dataclass(frozen=True, slots=True)
class Occupant:
    """What has a name in the database: `table`, `view`, `index`, `type`…; `is_ours`: a view that versionsync made."""

    kind: str
    is_ours: bool

    @property
    def with_article(self) -> str:
        """As `a table`, `an index`."""
        return f"{'an' if self.kind[0] in 'aeiou' else 'a'} {self.kind}"


def occupants(tx: Connection, names: Collection[str]) -> dict[str, Occupant]:
    """What has these names already, in the current schema of PostgreSQL or in the file."""
    if tx.dialect.name == POSTGRES:
        wanted = {name: name for name in names}
        rows = tx.execute(POSTGRES_OCCUPANTS, {"names": list(names)})
    else:  # to SQLite, upper and lower case are one
        wanted = {name.casefold(): name for name in names}
        rows = tx.execute(SQLITE_OCCUPANTS)
    found = {}
    for name, sort, said in rows:
        kind = KINDS.get(sort, sort)
        if asked := wanted.get(name if tx.dialect.name == POSTGRES else name.casefold()):
            found[asked] = Occupant(kind, is_ours=kind == "view" and OWN_VIEW in said)
    return found


def in_the_way(tx: Connection, name: str) -> str | None:
    """What keeps a view of ours from being made under this name, as `a table` or `a view of somebody else's`."""
    there = occupants(tx, [name]).get(name)
    if there is None or there.is_ours:
        return None
    return "a view of somebody else's" if there.kind == "view" else there.with_article


def name_in_sql(name: str) -> str:
    """`name` as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_in_sql(text: str) -> str:
    """`text` as a literal; both databases read backslashes as they are."""
    return "'" + text.replace("'", "''") + "'"


def run_ddl(tx: Connection, statement: str) -> None:
    """Run a statement without parameters, whatever characters it has."""
    tx.exec_driver_sql(statement.replace("%", "%%") if tx.dialect.name == POSTGRES else statement)


def replace_view(tx: Connection, name: str, query: str) -> None:
    """Make the view, or give it another query.

    On PostgreSQL a user's own views may stand on it: it is dropped only where its columns cannot otherwise be changed.
    See first that nothing of somebody else's is `in_the_way`.
    """
    create = f"VIEW {name_in_sql(name)} AS\n{query}"
    if tx.dialect.name != POSTGRES:
        drop_view(tx, name)
        run_ddl(tx, f"CREATE {create}")
        return
    try:
        with tx.begin_nested():
            run_ddl(tx, f"CREATE OR REPLACE {create}")
    except DBAPIError:  # other columns than before
        drop_view(tx, name)
        run_ddl(tx, f"CREATE {create}")


def drop_view(tx: Connection, name: str) -> None:
    """Drop the view, if it is there and ours."""
    there = occupants(tx, [name]).get(name)
    if there is not None and there.is_ours:
        run_ddl(tx, f"DROP VIEW {name_in_sql(name)}")


def comment_on_view(tx: Connection, name: str, comment: str, columns: Mapping[str, str]) -> None:
    """Say in the database what a view and its columns mean; SQLite keeps no comments."""
    if tx.dialect.name != POSTGRES:
        return
    run_ddl(tx, f"COMMENT ON VIEW {name_in_sql(name)} IS {text_in_sql(comment)}")
    for column, meaning in columns.items():
        run_ddl(tx, f"COMMENT ON COLUMN {name_in_sql(name)}.{name_in_sql(column)} IS {text_in_sql(meaning)}")
