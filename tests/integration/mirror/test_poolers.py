"""A mirror behind a pooler of connections, where transactions take turns on those of the server."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from tests.fixtures.databases import MakeDatabase
from tests.fixtures.poolers import pooler
from tests.integration.mirror.writing import Desk, Shown
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.engine import open_engine

pytestmark = pytest.mark.postgres


def prepares(engine: Engine) -> bool:
    """Whether statements that come again and again are prepared on the server."""
    connection = engine.raw_connection()
    try:
        assert isinstance(connection.driver_connection, psycopg.Connection)
        return connection.driver_connection.prepare_threshold is not None
    finally:
        connection.close()
        engine.dispose()


def test_nothing_is_prepared_behind_a_pooler(make_postgres_database: MakeDatabase, tmp_path: Path) -> None:
    """Another client's statement may bear the same name there; a server of our own is left its advantage."""
    url = make_postgres_database()
    assert prepares(open_engine(url))
    with pooler(url, tmp_path) as through:
        assert not prepares(open_engine(through))


def test_a_mirror_works_behind_a_pooler(make_postgres_database: MakeDatabase, tmp_path: Path) -> None:
    """As often as not: nothing is left on the server's connection."""
    url = make_postgres_database()
    with pooler(url, tmp_path) as through, Mirror.open(through) as mirror:
        desk = Desk.open(mirror)
        for number in range(12):
            desk.look(*(Shown(f"v{place}", place) for place in range(number)), Shown("last", 99, "c"))
        assert desk.rows("SELECT count(*) FROM versions") == [(12,)]
        assert desk.rows("SELECT count(*) FROM pg_prepared_statements") == [(0,)]
