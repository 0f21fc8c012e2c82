"""A PostgreSQL server fails in the middle of a run: the run survives a short outage, and reports anything else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from tests.fixtures.databases import MakeDatabase
from tests.fixtures.fault_injection import DisturbedMirror, Moment, Side
from tests.fixtures.kill_loop import EVER, READS, KillLoop, everywhere, failed, kill_loop, succeeded
from tests.fixtures.postgres_server import OwnServer, own_server
from versionsync.mirror.database import MAX_ATTEMPTS, Mirror
from versionsync.mirror.errors import TransactionLost
from versionsync.mirror.schema.migrate import upgrade

pytestmark = pytest.mark.postgres


@pytest.fixture
def end_connections(postgres_server: str) -> Iterator[Callable[[Mirror], None]]:
    """End all connections of a mirror to its server, as an administrator or a restart does."""
    with psycopg.connect(postgres_server, autocommit=True) as superuser:

        def end(mirror: Mirror) -> None:
            name = make_url(mirror.where).database
            pids = superuser.execute("SELECT pid FROM pg_stat_activity WHERE datname = %s", [name]).fetchall()
            for (pid,) in pids:
                superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

        yield end


@contextmanager
def administrator(sync_env: KillLoop) -> Iterator[psycopg.Connection]:
    """Another connection to the mirror's database, each statement its own transaction."""
    url = make_url(sync_env.url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("moment", Moment)
def test_a_connection_that_is_ended_is_replaced(
    moment: Moment, make_postgres_database: MakeDatabase, end_connections: Callable[[Mirror], None]
) -> None:
    """At each write: what was not committed is done again without a failure. A lost commit may have been done."""
    everywhere(
        make_postgres_database,
        lambda sync_env: lambda _: end_connections(sync_env.mirror),
        succeeded if moment is not Moment.DONE else failed("lost the connection during a commit", "run this again"),
        moment=moment,
    )


def test_a_connection_that_is_ended_within_a_batch_is_replaced(make_postgres_database: MakeDatabase) -> None:
    """While versions are on their way to the server: all of them are sent again."""
    with kill_loop(make_postgres_database()) as sync_env, administrator(sync_env) as connection:
        connection.execute("""
            CREATE SEQUENCE rows_seen;
            CREATE FUNCTION end_once() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('rows_seen') = 3 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER end_once BEFORE INSERT ON versions FOR EACH ROW EXECUTE FUNCTION end_once();
        """)
        report = sync_env.sync_and_tell()
        assert connection.execute("SELECT last_value > 3 FROM rows_seen").fetchone() == (True,)
        succeeded(report)
        sync_env.make_it_right(after=report)
        assert sync_env.outcomes() == ["succeeded"]


def test_a_reading_that_is_ended_is_asked_again(
    make_postgres_database: MakeDatabase, end_connections: Callable[[Mirror], None]
) -> None:
    """Each one that a run does."""
    with kill_loop(make_postgres_database()) as sync_env:
        sync_env.make_it_right()
        for nth in range(1, READS + 1):
            sync_env.edit()
            sync_env.mirror.plant(lambda _: end_connections(sync_env.mirror), nth=nth, side=Side.READ)
            report = sync_env.sync_and_tell()
            assert sync_env.mirror.happened, "there were fewer transactions than there must be: the test is void"
            succeeded(report)
            sync_env.make_it_right(after=report)


def test_a_connection_that_is_ended_each_time_ends_the_run(
    make_postgres_database: MakeDatabase, end_connections: Callable[[Mirror], None]
) -> None:
    """It is tried a few times, not for ever; what was written before stays."""
    with kill_loop(make_postgres_database()) as sync_env:
        sync_env.mirror.plant(lambda _: end_connections(sync_env.mirror), nth=4, times=EVER)
        report = sync_env.sync_and_tell()
        failed("is shutting down or starting, or has ended our connection: try again later")(report)
        assert isinstance(report.error, TransactionLost)
        assert sync_env.mirror.happened == 2 * MAX_ATTEMPTS, "the work, then the noting of the outcome"
        sync_env.make_it_right()
        assert sync_env.outcomes() == ["interrupted", "succeeded"]


def fail_with(state: str) -> str:
    """SQL that lets the writing of versions fail with an error code of PostgreSQL's."""
    return f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$;
        CREATE TRIGGER fail AFTER INSERT ON versions FOR EACH STATEMENT EXECUTE FUNCTION fail();
    """


@pytest.mark.parametrize(
    ("state", "words"),
    {
        "53100": "cannot grow: the server's disk is full; free some space, then run this again",
        "53200": "lacks a resource",
        "25006": "is read-only (a standby?): use the primary server",
        "57014": "cancelled the statement (statement_timeout?): raise the limit",
        "58030": "reports an error of its system (disk or files): see the server's log",
        "XX001": "reports an internal error, perhaps damage: see the server's log",
        "40P01": "could not keep this transaction apart from another one: try again",
    }.items(),
)
def test_what_the_server_refuses_ends_the_run(state: str, words: str, make_postgres_database: MakeDatabase) -> None:
    """Nothing of the batch is there, no record counts as seen; the outcome is recorded, since that can be written."""
    with kill_loop(make_postgres_database()) as sync_env, administrator(sync_env) as connection:
        connection.execute(fail_with(state))
        failed(words)(sync_env.sync_and_tell())
        assert sync_env.outcomes() == ["failed"]
        assert connection.execute("SELECT count(*) FROM versions").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM records").fetchone() == (0,)
        connection.execute("DROP TRIGGER fail ON versions")
        sync_env.make_it_right()


def test_a_mirror_that_turns_read_only_ends_the_run(
    make_postgres_database: MakeDatabase, end_connections: Callable[[Mirror], None]
) -> None:
    """As when a standby takes the place of a primary that is behind the same name."""
    with kill_loop(make_postgres_database()) as sync_env:

        def turn(is_read_only: str) -> None:
            with administrator(sync_env) as connection:
                connection.execute("SET default_transaction_read_only = off")
                name = make_url(sync_env.mirror.where).database
                connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {is_read_only}')
            end_connections(sync_env.mirror)

        sync_env.mirror.plant(lambda _: turn("on"), nth=4, moment=Moment.BEFORE)
        failed("is read-only (a standby?): use the primary server")(sync_env.sync_and_tell())
        turn("off")
        sync_env.make_it_right()


@pytest.mark.parametrize(
    ("limit", "words"), [("lock_timeout", "is locked by another session"), ("statement_timeout", "raise the limit")]
)
def test_a_table_that_somebody_locks_ends_the_run(limit: str, words: str, make_postgres_database: MakeDatabase) -> None:
    """Where the user has set how long to wait."""
    with kill_loop(make_postgres_database()) as sync_env, administrator(sync_env) as connection:
        connection.execute(f"ALTER DATABASE \"{make_url(sync_env.mirror.where).database}\" SET {limit} = '200ms'")
        with DisturbedMirror.open(sync_env.url) as sync_env.mirror, connection.transaction():
            connection.execute("LOCK TABLE versions IN SHARE MODE")
            failed(words)(sync_env.sync_and_tell())
            assert sync_env.outcomes() == ["failed"]
        with DisturbedMirror.open(sync_env.url) as sync_env.mirror:
            sync_env.make_it_right()


def test_of_a_deadlock_nobody_notices(make_postgres_database: MakeDatabase) -> None:
    """Somebody locks `versions`, which we want, and wants our lease's row; the server ends ours, and we try again."""
    with kill_loop(make_postgres_database()) as sync_env, administrator(sync_env) as other:
        other.execute("SET deadlock_timeout = '1h'")  # it is for us to find it
        taken = threading.Event()

        def be_in_the_way() -> None:
            with other.transaction():
                other.execute("LOCK TABLE versions IN SHARE MODE")
                taken.set()
                with administrator(sync_env) as looking:
                    while not looking.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                        time.sleep(0.01)
                other.execute("UPDATE leases SET expires_at = expires_at")

        thread = threading.Thread(target=be_in_the_way)
        thread.start()
        assert taken.wait(60)
        report = sync_env.sync_and_tell()
        thread.join()
        succeeded(report)
        sync_env.make_it_right(after=report)
        with administrator(sync_env) as looking:
            looking.execute("SELECT pg_stat_force_next_flush()")
            deadlocks = looking.execute(
                "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            ).fetchone()
        assert deadlocks is not None
        assert deadlocks[0] >= 1  # a slow machine may meet it again


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A server that these tests may stop."""
    with own_server(Path(gettempdir()) / f"versionsync-pg-own-{uuid4().hex[:12]}") as running:
        yield running


@pytest.fixture
def url(server: OwnServer) -> str:
    """An upgraded database of it."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    made = make_url(server.url).set(database=name).render_as_string(hide_password=False)
    upgrade(made)
    return made


@pytest.mark.parametrize("mode", ["fast", "immediate"])
@pytest.mark.parametrize("side", Side)
def test_a_restart_of_the_server_is_outlasted(mode: str, side: Side, server: OwnServer, url: str) -> None:
    """The server is away for a second, begun within a transaction: the run goes on when it is back."""

    def restart() -> None:
        server.stop(mode)
        thread = threading.Thread(target=start_later)
        thread.start()
        threads.append(thread)

    def start_later() -> None:
        time.sleep(0.5)
        server.start()

    threads: list[threading.Thread] = []
    with kill_loop(url, outage_seconds=30) as sync_env:
        sync_env.mirror.plant(lambda _: restart(), nth=5, side=side)
        report = sync_env.sync_and_tell()
        for thread in threads:
            thread.join()
        assert sync_env.mirror.happened == 1
        succeeded(report)
        sync_env.make_it_right(after=report)
        assert sync_env.outcomes() == ["succeeded"]


@pytest.mark.nightly  # compares seconds
def test_a_server_that_stays_away_ends_the_run(server: OwnServer, url: str) -> None:
    """It is waited for once, not for each transaction; the next run begins where this one was."""
    with kill_loop(url, outage_seconds=3.0) as sync_env:
        sync_env.mirror.plant(lambda _: server.stop("fast"), nth=4, moment=Moment.BEFORE)
        began = time.monotonic()
        report = sync_env.sync_and_tell()
        seconds = time.monotonic() - began
        try:
            failed("cannot be reached: is the server running")(report)
            assert isinstance(report.error, TransactionLost)
            assert 2.0 < seconds < 5.5, "once; for each of the transactions that were to come it would be twice as long"
            with pytest.raises(TransactionLost, match="cannot be reached"):
                Mirror.open(url)
        finally:
            server.start()
        sync_env.make_it_right()
        assert sync_env.outcomes() == ["interrupted", "succeeded"]
