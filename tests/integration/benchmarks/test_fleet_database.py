"""What the benchmark of several daemons asks the database fits its schema, today's and the one before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from benchmarks.fleet.database import FleetDatabase
from versionsync.mirror.schema.migrate import upgrade

pytestmark = pytest.mark.postgres


@pytest.fixture
def database(empty_postgres_url: str) -> Iterator[FleetDatabase]:
    with closing(FleetDatabase(empty_postgres_url)) as opened:
        yield opened


def test_all_questions_can_be_asked_before_there_is_a_source(database: FleetDatabase, empty_postgres_url: str) -> None:
    upgrade(empty_postgres_url)
    assert database.held() == {}
    assert database.complete() == database.queued() == database.last_event_id() == 0
    assert database.source_ids() == database.record_ids() == database.first_success() == {}
    assert database.runs_since(0) == []
    assert database.outcomes_since(0) == {}
    assert database.seen([(1, "record", 0)]) == set()
    assert database.transactions() > 0
    assert database.connections() >= 0


def test_a_claim_names_a_daemon_that_is_alive(database: FleetDatabase, empty_postgres_url: str) -> None:
    """The one with the id 2 is not."""
    with psycopg.connect(empty_postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE daemons (id bigint, holder text, expires_at timestamptz)")
        connection.execute("CREATE TABLE source_claims (source_id int, daemon_id bigint)")
        connection.execute(
            "INSERT INTO daemons VALUES (1, %s, now() + interval '1 minute'), (2, %s, now())",
            (_holder(11), _holder(12)),
        )
        connection.execute("INSERT INTO source_claims VALUES (1, 1), (2, 1), (3, 2), (4, NULL)")
    assert database.held() == {11: 2}


def test_before_there_were_daemons_a_claim_said_it_all(database: FleetDatabase, empty_postgres_url: str) -> None:
    with psycopg.connect(empty_postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE source_claims (source_id int, holder jsonb, expires_at timestamptz)")
        connection.execute(
            "INSERT INTO source_claims VALUES (1, %s, now() + interval '1 minute'), (2, %s, now()), (3, NULL, NULL)",
            (_holder(11), _holder(12)),
        )
    assert database.held() == {11: 1}


def _holder(pid: int) -> str:
    return json.dumps({"host": "here", "pid": pid})
