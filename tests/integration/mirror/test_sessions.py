"""Settings of PostgreSQL's sessions that an administrator, a role or the environment sets: none of them matters."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text

from tests.fixtures.databases import MakeDatabase
from tests.fixtures.poolers import pooler
from tests.integration.mirror.writing import Desk, Shown
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import DatabaseUnavailable

pytestmark = pytest.mark.postgres

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)

SETTINGS = [
    ("TimeZone", "America/Los_Angeles"),
    ("TimeZone", "Pacific/Kiritimati"),
    ("DateStyle", "SQL, DMY"),
    ("DateStyle", "German"),
    ("DateStyle", "Postgres, DMY"),
    ("IntervalStyle", "sql_standard"),
    ("client_encoding", "LATIN1"),
    ("client_encoding", "SQL_ASCII"),
    ("bytea_output", "escape"),
    ("standard_conforming_strings", "off"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_deferrable", "on"),
    ("transform_null_equals", "on"),
    ("quote_all_identifiers", "on"),
]


def _works(mirror: Mirror) -> None:
    """Write a record with the earliest and latest times, and whatever else a session could spoil, and read it."""
    desk = Desk.open(mirror)
    desk.look(Shown("v1", content=b'{"title": "\\u0000 \\\\ \xe2\x82\xac"}'))
    with mirror.write() as tx:
        for column, time in (("created_at", EARLIEST), ("published_at", LATEST)):
            tx.execute(text(f"UPDATE records SET {column} = :time"), {"time": time})
    desk.look(Shown("v1", content=b'{"title": "\\u0000 \\\\ \xe2\x82\xac"}'), Shown("v2", 1, "c"))
    assert desk.rows("SELECT id, attributes ->> 'title' FROM versions ORDER BY id") == [
        ("v1", "\ufffd \\ €"),
        ("v2", "v2"),
    ]
    with mirror.write() as tx:
        assert tx.scalar(text("SHOW transaction_isolation")) == "read committed"


@pytest.mark.parametrize(("name", "value"), SETTINGS)
def test_a_session_has_the_settings_that_the_mirror_depends_on(
    make_postgres_database: MakeDatabase, name: str, value: str
) -> None:
    """What an administrator sets for the database changes nothing, with the first and last time that there is."""
    url = make_postgres_database()
    database = make_url(url).database
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database} SET {name} = '{value}'".encode())
    with Mirror.open(url) as mirror:
        _works(mirror)


def test_what_another_client_leaves_behind_a_pooler_matters_to_no_transaction(
    make_postgres_database: MakeDatabase, tmp_path: Path
) -> None:
    """One that keeps no settings apart gives us a connection as the last client has left it."""
    url = make_postgres_database()
    with pooler(url, tmp_path) as through, Mirror.open(through) as mirror:
        with mirror.write() as tx:
            for name, value in (("TimeZone", "America/Los_Angeles"), ("DateStyle", "German")):
                tx.execute(text("SELECT set_config(:name, :value, false)"), {"name": name, "value": value})
        _works(mirror)


@pytest.mark.parametrize(
    ("parameter", "value", "told"),
    [
        ("pgbouncer", "true", "a parameter that PostgreSQL does not know, pgbouncer: leave it out$"),
        ("schema", "public", "schema: leave it out, or write options=-csearch_path%3DSCHEMA"),
        ("connect_timeout", "soon", "cannot be used like this: bad value for connect_timeout: 'soon'"),
        ("options", "-cno_such_setting=1", 'cannot be used like this: .*unrecognized configuration parameter "no_such'),
        ("target_session_attrs", "standby", "cannot be .*server is not in hot standby mode"),
    ],
)
def test_a_parameter_that_is_refused_is_named(
    make_postgres_database: MakeDatabase, parameter: str, value: str, told: str
) -> None:
    """At once, and not as a value of a row, nor as something that later goes away."""
    url = f"{make_postgres_database()}&{parameter}={value}"
    with pytest.raises(DatabaseUnavailable, match=told):
        Mirror.open(url, outage_seconds=600)  # longer than a test may take
