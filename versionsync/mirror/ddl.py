"""Making and dropping views; names and texts are quoted here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from versionsync.mirror.types import POSTGRES

__all__ = ["comment_on_view", "drop_view", "name_in_sql", "replace_view", "run_ddl", "text_in_sql"]


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
    """Drop the view, if it is there."""
    run_ddl(tx, f"DROP VIEW IF EXISTS {name_in_sql(name)}")


def comment_on_view(tx: Connection, name: str, comment: str, columns: Mapping[str, str]) -> None:
    """Say in the database what a view and its columns mean; SQLite keeps no comments."""
    if tx.dialect.name != POSTGRES:
        return
    run_ddl(tx, f"COMMENT ON VIEW {name_in_sql(name)} IS {text_in_sql(comment)}")
    for column, meaning in columns.items():
        run_ddl(tx, f"COMMENT ON COLUMN {name_in_sql(name)}.{name_in_sql(column)} IS {text_in_sql(meaning)}")
