"""Listen to the messages of other processes on one PostgreSQL database: one connection for a process, no thread.

Each mirror has a channel of its own, as several may share a database in schemas of their own. A message that is sent
while the connection is lost does not come again. So it is only a hint to look at the tables, which hold the truth.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine

from versionsync.mirror.engine.driver_errors import translate_error
from versionsync.mirror.engine.engine import CONNECT_SECONDS, POOLED
from versionsync.mirror.engine.sqlalchemy_urls import safe_url, secrets_in
from versionsync.mirror.errors import DatabaseUnavailable

if TYPE_CHECKING:
    import psycopg

__all__ = ["can_listen", "messages"]

PROBE_SECONDS: Final = 10.0
"""How often a silent connection is tried: a server that vanished closes nothing."""
CHANNEL: Final = b"SELECT 'versionsync_' || oid FROM pg_namespace WHERE nspname = current_schema()"


def can_listen(connection: Connection) -> bool:
    """Return whether messages reach a process: not on SQLite, nor through a pooler, which keeps no session."""
    return connection.dialect.name == "postgresql" and not connection.connection.info.get(POOLED, False)


async def messages(engine: Engine) -> AsyncGenerator[str]:
    """Connect, and yield an empty message once that is done, then each message of any process, also of this one.

    Raises DatabaseUnavailable when the connection cannot be made or is lost.
    """
    import psycopg

    where, secrets = safe_url(engine.url), secrets_in(engine.url)
    try:
        async with asyncio.timeout(2 * CONNECT_SECONDS):
            connection = await _connect(engine)
        async with connection:
            yield ""
            while True:
                async with aclosing(connection.notifies(timeout=PROBE_SECONDS)) as received:
                    async for message in received:
                        yield message.payload
                async with asyncio.timeout(CONNECT_SECONDS):
                    await connection.execute("SELECT 1")
    except TimeoutError as error:
        raise DatabaseUnavailable(f"the database {where} does not answer") from error
    except psycopg.Error as error:
        raise translate_error(error, where, secrets=secrets) or error from error


async def _connect(engine: Engine) -> psycopg.AsyncConnection:
    import psycopg

    options: dict[str, Any] = {"application_name": "versionsync", "connect_timeout": CONNECT_SECONDS}
    options.update(engine.dialect.create_connect_args(engine.url)[1])
    connection = await psycopg.AsyncConnection.connect(**options, autocommit=True)
    try:
        row = await (await connection.execute(CHANNEL)).fetchone()
        if row is None:
            raise DatabaseUnavailable(f"the database {safe_url(engine.url)} has no schema to listen in")
        await connection.execute(f"LISTEN {row[0]}".encode())
    except BaseException:
        await connection.close()
        raise
    return connection
