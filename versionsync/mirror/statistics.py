"""PostgreSQL's knowledge of how its tables look, learnt in time for a first backfill.

All keys start with the source, of which there are few. Until a table has been analyzed, PostgreSQL guesses otherwise,
finds a row by its source alone, and takes longer for each the more there are: foreign keys are checked that way. Left
to itself it learns better after a minute or more, in which a backfill would crawl.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from versionsync.mirror.types import POSTGRES

__all__ = ["learn_first_statistics"]

# Fewer rows than this tell little, so they are looked at again after the next writing.
ENOUGH_ROWS = 1000

_ROWS_WHEN_LAST_ANALYZED = text("SELECT reltuples FROM pg_class WHERE oid = 'versions'::regclass")
_ANALYZE = text("ANALYZE records, versions, events, editors, models")


def learn_first_statistics(tx: Connection) -> None:
    """Let PostgreSQL look at the tables, if it never saw them with many rows; a user who may not ask is ignored."""
    if tx.dialect.name == POSTGRES and (tx.scalar(_ROWS_WHEN_LAST_ANALYZED) or 0) < ENOUGH_ROWS:
        tx.execute(_ANALYZE)
