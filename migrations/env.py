"""What Alembic runs for every command: connect, and migrate in one transaction.

The program passes an open transaction (`versionsync.mirror.schema.migrate`). A developer who runs `alembic` in the
checkout names the database with VERSIONSYNC_DATABASE_URL or `-x url=…`.
"""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection

from versionsync.mirror.engine.engine import open_engine
from versionsync.mirror.schema import metadata
from versionsync.mirror.schema.migrate import HEAD, VERSION_TABLE
from versionsync.mirror.schema.refresh_views import create_views, drop_all_views


def developers_url() -> str:
    """The database that a developer named."""
    url = context.get_x_argument(as_dictionary=True).get("url") or os.environ.get("VERSIONSYNC_DATABASE_URL")
    if not url:
        raise SystemExit("name the database: alembic -x url=sqlite:///scratch.db …, or VERSIONSYNC_DATABASE_URL")
    return url


def migrate(connection: Connection) -> None:
    """Run what was asked for in the transaction of `connection`."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        transactional_ddl=True,  # SQLite can: our connections begin by themselves
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        before = context.get_context().get_current_revision()
        if before != HEAD:
            drop_all_views(connection)
        context.run_migrations()
        if before != HEAD:
            create_views(connection)


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
elif context.is_offline_mode():
    raise SystemExit("versionsync's views need a connection: upgrade a scratch database and dump its schema instead")
else:
    engine = open_engine(developers_url(), create=True)
    with engine.begin() as transaction:
        migrate(transaction)
    engine.dispose()
