"""The database's own clock: the one that all processes share, whatever their hosts believe."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, literal_column

from versionsync.mirror.types import POSTGRES, UtcTime

__all__ = ["database_time"]


def database_time(connection: Connection, *, seconds: int = 0) -> ColumnElement[datetime]:
    """The time now, or `seconds` from now, as a `UtcTime` in SQL: the real time, not the transaction's."""
    if connection.dialect.name == POSTGRES:
        spelled = f"(clock_timestamp() + interval '{seconds:d} seconds')"
    else:  # SQLite knows milliseconds; the width is that of every time in the mirror
        spelled = f"(strftime('%Y-%m-%dT%H:%M:%f', 'now', '{seconds:+d} seconds') || '000Z')"
    return literal_column(spelled, UtcTime())
