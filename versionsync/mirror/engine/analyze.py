"""What a database knows of how its tables look: by that it chooses how to find rows.

All keys start with the source, of which there are few. A database that was never shown this guesses otherwise.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table, text

from versionsync.mirror.engine.types import POSTGRES

__all__ = ["analyze_grown", "analyze_new"]

# Fewer rows than this tell little, so they are looked at again after the next writing.
ENOUGH_ROWS = 1000
SAMPLED_ROWS = 1000

_ROWS_WHEN_LAST_ANALYZED = text("SELECT reltuples FROM pg_class WHERE oid = CAST(:name AS regclass)")


def analyze_new(tx: Connection, *tables: Table) -> None:
    """Show PostgreSQL the tables as soon as there are rows in the first of them, in the middle of a first backfill.

    It finds a row by its source alone until then, and so takes longer for each the more there are: foreign keys are
    checked that way. By itself it learns better only after a minute or more. A user who may not ask is ignored.
    """
    if tx.dialect.name == POSTGRES:
        known = tx.scalar(_ROWS_WHEN_LAST_ANALYZED, {"name": tables[0].name}) or 0
        if known < ENOUGH_ROWS:
            tx.exec_driver_sql(f"ANALYZE {', '.join(table.name for table in tables)}")


def analyze_grown(tx: Connection) -> None:
    """Show SQLite a sample of its tables, which takes milliseconds at any size; PostgreSQL goes on by itself.

    A question that names a record but no source then finds its rows by the index all the same.
    """
    if tx.dialect.name != POSTGRES:
        tx.exec_driver_sql(f"PRAGMA analysis_limit = {SAMPLED_ROWS:d}")
        tx.exec_driver_sql("ANALYZE")
