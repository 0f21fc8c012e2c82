"""The steps of docs/replication.md: a second PostgreSQL follows `events` and `changes`, whatever happens to them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from tests.fixtures.pages import ROOT
from tests.fixtures.postgres_server import OwnServer, own_server, packaged_program
from tests.fixtures.projections import fill
from tests.fixtures.sync_env import START, SyncEnv
from versionsync.erasure.carry_out import erase, plan_erasure
from versionsync.history.projections.filling import request_rebuild
from versionsync.mirror.database import Mirror
from versionsync.mirror.schema.migrate import upgrade
from versionsync.simulator import Clock, SimulatorOptions, SimulatorThread, World
from versionsync.sync.report import Outcome

pytestmark = pytest.mark.postgres

PAGE = ROOT / "docs" / "replication.md"
TABLES = ("events", "changes")
PATIENCE_SECONDS = 60


def shown(kind: str, number: int = 0) -> str:
    """A block of SQL of the page; some are within a numbered step."""
    found: list[list[str]] = []
    inside = False
    for line in PAGE.read_text().splitlines():
        if line.strip() == f"```sql {kind}":
            inside = True
            found.append([])
        elif line.strip() == "```":
            inside = False
        elif inside:
            found[-1].append(line)
    return "\n".join(found[number])


@dataclass
class Feed:
    """A mirror on a server of its own, and a database on another one that follows it."""

    env: SyncEnv
    server: OwnServer
    mirror_url: str
    warehouse_url: str
    subscribe: str
    post: str

    def sync(self) -> None:
        """A real sync, and what is filled after it."""
        assert self.env.sync().outcome is Outcome.SUCCEEDED
        fill(self.env.mirror)

    def edit(self, title: str) -> None:
        """An editor saves the post."""
        self.env.act(lambda world: world.update(world.user, self.post, {"title": title}))

    def rows(self, url: str, table: str) -> list[tuple[Any, ...]]:
        """All rows of a table, in one order."""
        with psycopg.connect(url) as connection:
            columns = connection.execute(
                "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname) FROM pg_attribute"
                " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                [table],
            ).fetchone()
            assert columns is not None
            return connection.execute(f"SELECT {columns[0]} FROM {table} ORDER BY {columns[0]}".encode()).fetchall()

    def assert_followed(self) -> None:
        """Wait until the warehouse has confirmed all that the mirror's server has written; then compare all rows."""
        self.wait_for(
            self.mirror_url,
            "SELECT count(*) = 1 FROM pg_replication_slots WHERE database = current_database()"
            f" AND confirmed_flush_lsn >= '{self.written()}'",
        )
        self.wait_for(self.warehouse_url, "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")
        for table in TABLES:
            rows = self.rows(self.mirror_url, table)
            assert len(rows) > 2
            assert self.rows(self.warehouse_url, table) == rows

    def written(self) -> str:
        """How far the log of the mirror's server is."""
        with psycopg.connect(self.mirror_url) as connection:
            found = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
            # A slot confirms commits only: here is one more.
            connection.execute("SELECT pg_logical_emit_message(true, 'versionsync', '')")
            assert found is not None
            return str(found[0])

    def wait_for(self, url: str, question: str) -> None:
        """Wait until the answer is yes."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with psycopg.connect(url, autocommit=True) as connection:
            while connection.execute(question.encode()).fetchone() != (True,):
                assert time.monotonic() < deadline, question
                time.sleep(0.05)


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A second server, that of the mirrors, as the page wants it."""
    with own_server(Path(gettempdir()) / f"versionsync-feed-{uuid4().hex[:12]}") as running:
        _run(running.url, shown("server"))
        running.stop("fast")
        running.start()
        yield running


@pytest.fixture
def feed(server: OwnServer, empty_postgres_url: str) -> Iterator[Feed]:
    """A mirror that was synced, and a warehouse that the page's steps have made."""
    name = f"feed_{uuid4().hex[:12]}"
    _run(server.url, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    mirror_url, warehouse = _url(server.url, name), _url(empty_postgres_url)
    upgrade(mirror_url)
    stands_for = {
        "host=mirror.example": f"host={make_url(server.url).query['host']}",
        "dbname=website": f"dbname={name}",
        "user=feed": f"user={name}",
        "ROLE feed": f"ROLE {name}",
        "TO feed": f"TO {name}",
        "SUBSCRIPTION versionsync": f"SUBSCRIPTION {name}",
    }
    world = World(seed=1, clock=Clock.stopped(START), options=SimulatorOptions(history_resolution=timedelta(hours=1)))
    with SimulatorThread(world, limits=None) as simulator, Mirror.open(mirror_url) as mirror:
        env = SyncEnv(simulator, mirror)
        model = env.act(lambda world: world.create_model(world.account, "post"))
        env.act(lambda world: world.create_field(world.account, model, "title"))
        post, *_ = [env.act(lambda world, n=n: world.create(world.user, "post", {"title": f"{n}"})) for n in range(4)]
        made = Feed(env, server, mirror_url, warehouse, _with(shown("warehouse"), stands_for), post.id)
        made.sync()
        _run(mirror_url, _with(shown("mirror"), stands_for))
        _copy_tables(mirror_url, warehouse)
        _run(warehouse, made.subscribe)
        yield made
    _run(warehouse, f"DROP SUBSCRIPTION IF EXISTS {name}")


def test_rows_from_before_and_all_later_ones_arrive(feed: Feed) -> None:
    """Also those of publications, of a version that was rewritten, and of deletions."""
    feed.assert_followed()
    acts: list[Callable[[World], object]] = [
        lambda world: world.publish(world.user, feed.post),
        lambda world: world.unpublish(world.user, feed.post),
        lambda world: world.delete(world.user, max(set(world.environment(None).records) - {feed.post})),
    ]
    for act in acts:
        feed.env.act(act)
        feed.edit(f"after {act}")
        feed.sync()
    feed.assert_followed()
    types = {row[0] for row in _ask(feed.warehouse_url, "SELECT DISTINCT type FROM events")}
    assert types >= {"version.rewritten", "version.published", "version.unpublished", "record.deleted"}


def test_an_erasure_and_a_rebuild_arrive(feed: Feed) -> None:
    """No hash of what was erased is left in the warehouse."""
    feed.edit("a name")
    feed.sync()
    feed.assert_followed()
    hashes = f"SELECT count(*) FROM events WHERE record_id = '{feed.post}' AND data ->> 'hash' IS NOT NULL"
    before = f"SELECT count(*) FROM changes WHERE record_id = '{feed.post}' AND after_hash IS NOT NULL"
    assert [_ask(feed.warehouse_url, query)[0][0] > 0 for query in (hashes, before)] == [True, True]
    target = plan_erasure(feed.env.mirror, (), feed.post).target
    erase(feed.env.mirror, target, reason=None, now=lambda: datetime.now(UTC), wait_seconds=0)
    fill(feed.env.mirror)
    feed.assert_followed()
    assert [_ask(feed.warehouse_url, query)[0][0] for query in (hashes, before)] == [0, 0]
    assert _ask(feed.warehouse_url, "SELECT count(*) FROM events WHERE type = 'record.erased'") == [(1,)]
    feed.env.mirror.transact(lambda tx: request_rebuild(tx, 1, ["changes"]))
    fill(feed.env.mirror)
    feed.assert_followed()


def test_a_warehouse_that_was_away_gets_what_it_missed(feed: Feed) -> None:
    name = _ask(
        feed.warehouse_url,
        "SELECT subname FROM pg_subscription WHERE subenabled AND subdbid = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())",
    )[0][0]
    feed.assert_followed()
    _run(feed.warehouse_url, f"ALTER SUBSCRIPTION {name} DISABLE")
    feed.wait_for(feed.mirror_url, f"SELECT NOT active FROM pg_replication_slots WHERE slot_name = '{name}'")
    feed.edit("while it was away")
    feed.sync()
    assert feed.rows(feed.warehouse_url, "events") != feed.rows(feed.mirror_url, "events")
    (behind,) = _ask(feed.mirror_url, shown("mirror", 1).replace("slots;", f"slots WHERE slot_name = '{name}'"))
    assert behind[1] is False
    assert behind[3] > 0
    _run(feed.warehouse_url, f"ALTER SUBSCRIPTION {name} ENABLE")
    feed.assert_followed()
    _run(feed.warehouse_url, shown("again").replace("EXISTS versionsync", f"EXISTS {name}"))
    _run(feed.warehouse_url, feed.subscribe)
    feed.assert_followed()


def test_a_column_that_only_the_mirror_has_stops_it_until_it_is_added(feed: Feed) -> None:
    """Nothing is lost. Added on both sides in the order of the page, nothing stops."""
    feed.assert_followed()
    _run(feed.mirror_url, "ALTER TABLE events ADD COLUMN note text DEFAULT 'new'")
    feed.edit("after the upgrade")
    feed.sync()
    feed.wait_for(
        feed.warehouse_url,
        "SELECT max(apply_error_count) > 0 FROM pg_stat_subscription_stats"
        " JOIN pg_subscription ON oid = subid AND subdbid = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    _run(feed.warehouse_url, "ALTER TABLE events ADD COLUMN note text DEFAULT 'new'")
    feed.assert_followed()
    _run(feed.warehouse_url, "ALTER TABLE events ADD COLUMN later text")
    feed.edit("before the next upgrade")
    feed.sync()
    _run(feed.mirror_url, "ALTER TABLE events ADD COLUMN later text")
    feed.edit("after the next upgrade")
    feed.sync()
    feed.assert_followed()


def test_a_filter_on_events_would_break_erasures(feed: Feed) -> None:
    """What the page warns of is so."""
    _run(feed.mirror_url, "ALTER PUBLICATION versionsync SET TABLE changes, events WHERE (type = 'version.published')")
    with pytest.raises(psycopg.errors.InvalidColumnReference, match="replica identity"):
        _run(feed.mirror_url, "UPDATE events SET data = '{}' WHERE id = 1")


def _url(url: str, database: str | None = None) -> str:
    parsed = make_url(url).set(drivername="postgresql")
    return (parsed.set(database=database) if database else parsed).render_as_string(hide_password=False)


def _run(url: str, sql: str) -> None:
    """One statement after another: some of these cannot share a transaction."""
    with psycopg.connect(_url(url), autocommit=True) as connection:
        for statement in filter(None, map(str.strip, sql.split(";"))):
            connection.execute(statement.encode())


def _ask(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(sql.encode()).fetchall()


def _with(sql: str, stands_for: dict[str, str]) -> str:
    for here, there in stands_for.items():
        sql = sql.replace(here, there)
    return sql


def _copy_tables(mirror_url: str, warehouse_url: str) -> None:
    """The page's shell line, with the programs of the wheel."""
    (line,) = (line.strip() for line in PAGE.read_text().splitlines() if line.strip().startswith("pg_dump"))
    assert line.endswith("website | psql warehouse")
    options = line.split("website")[0].split()[1:]
    dumped = subprocess.run(
        [packaged_program("pg_dump"), *options, mirror_url], check=True, capture_output=True, text=True
    )
    subprocess.run(
        [packaged_program("psql"), "-v", "ON_ERROR_STOP=1", warehouse_url],
        check=True,
        input=dumped.stdout,
        capture_output=True,
        text=True,
    )
