"""Make what a database has besides its tables: comments and views.

They hold no data, so they have no history: every migration makes them again as this program declares them.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import metadata, migrate, sources
from versionsync.mirror.schema.typed_views import drop_typed_views, rebuild_typed_views
from versionsync.mirror.schema.views import drop_views, make_views

__all__ = ["create_views", "drop_all_views"]


def drop_all_views(connection: Connection) -> None:
    """Drop all views before a migration, if the database cannot alter a table that a view reads."""
    if not dialect_of(connection).can_alter_under_views:
        drop_typed_views(connection)
        drop_views(connection)


def create_views(connection: Connection) -> None:
    """Write comments and views to the database, if it is at this program's schema."""
    if migrate.revision_of(connection) != migrate.HEAD:
        return
    dialect_of(connection).comment(connection, metadata)
    make_views(connection)
    for source_id in connection.scalars(select(sources.c.id)).all():
        rebuild_typed_views(connection, source_id)
