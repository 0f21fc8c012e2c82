"""What a database at this program's schema has besides its tables: comments, and views.

They hold no data, so they have no history: every migration makes them anew from what this program says.
"""

from __future__ import annotations

from sqlalchemy import Connection, select
from sqlalchemy.schema import SetColumnComment, SetTableComment

from versionsync.mirror.engine.types import POSTGRES
from versionsync.mirror.schema import metadata, sources
from versionsync.mirror.schema.migrate import head, revision_of
from versionsync.mirror.schema.typed_views import drop_typed_views, rebuild_typed_views
from versionsync.mirror.schema.views import drop_views, make_views

__all__ = ["create_views", "drop_all_views"]


def drop_all_views(connection: Connection) -> None:
    """Before a migration: SQLite alters no table on which a view stands (PostgreSQL adds to it all the same)."""
    if connection.dialect.name != POSTGRES:
        drop_typed_views(connection)
        drop_views(connection)


def create_views(connection: Connection) -> None:
    """Give the database its comments and views, if it is at this program's schema."""
    if revision_of(connection) != head():
        return
    if connection.dialect.name == POSTGRES:
        _comment(connection)
    make_views(connection)
    for source_id in connection.scalars(select(sources.c.id)).all():
        rebuild_typed_views(connection, source_id)


def _comment(connection: Connection) -> None:
    for each in metadata.sorted_tables:
        connection.execute(SetTableComment(each))
        for one in each.columns:
            connection.execute(SetColumnComment(one))
