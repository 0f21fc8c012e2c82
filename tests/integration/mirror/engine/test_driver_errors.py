"""What can happen to a database is told in one clear line, without a password, and loses nothing."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import QueuePool, make_url, text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tests.integration.mirror.writing import Desk, Shown
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine import engine as engines
from versionsync.mirror.engine.driver_errors import translate_error
from versionsync.mirror.errors import ContentRejected, DatabaseUnavailable
from versionsync.mirror.schema.migrate import upgrade

SECRET = "s3cr3t-pa55"


@pytest.fixture
def sqlite_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A mirror in a SQLite file that does not wait long for others."""
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.1)
    url = f"sqlite:///{tmp_path / 'mirror.db'}"
    upgrade(url)
    with Mirror.open(url) as mirror:
        yield Desk.open(mirror)


def test_a_locked_file_is_named(sqlite_desk: Desk, tmp_path: Path) -> None:
    """Another program writes to it, longer than we wait; reading goes on."""
    with sqlite3.connect(tmp_path / "mirror.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable, match=r"mirror.db is locked by another program"):
            sqlite_desk.look(Shown("a", 1, "c"))
        assert sqlite_desk.rows("SELECT count(*) FROM records") == [(0,)]
        other.execute("ROLLBACK")
    other.close()
    assert sqlite_desk.look(Shown("a", 1, "c")).versions_inserted == 1


def test_how_long_to_wait_for_others_is_said_in_the_url(tmp_path: Path) -> None:
    """In seconds."""
    path = tmp_path / "mirror.db"
    upgrade(f"sqlite:///{path}")
    with Mirror.open(f"sqlite:///{path}?timeout=0.25") as mirror, mirror.read() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 250
    with pytest.raises(DatabaseUnavailable, match=r"`timeout` of .* must be a number of seconds"):
        Mirror.open(f"sqlite:///{path}?timeout=soon")


def test_a_full_disk_loses_nothing(sqlite_desk: Desk) -> None:
    """What was committed stays, and when there is room again the same writing succeeds."""
    sqlite_desk.look(Shown("a", 1, "c"))
    large = Shown("big", 2, "c", b'{"text": "' + b"x" * 2_000_000 + b'"}')
    with sqlite_desk.mirror.write() as tx:
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar()
        tx.exec_driver_sql(f"PRAGMA max_page_count = {pages + 50}")
    with pytest.raises(DatabaseUnavailable, match="the disk is full; free some space"):
        sqlite_desk.look(Shown("a", 1), large)
    assert sqlite_desk.rows("SELECT id, is_current FROM versions") == [("a", 1)]
    with sqlite_desk.mirror.write() as tx:
        tx.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert sqlite_desk.look(Shown("a", 1), large).versions_inserted == 1


def test_a_read_only_file_is_named(sqlite_desk: Desk, tmp_path: Path) -> None:
    """As it is for a user without the right to write."""
    connection = sqlite3.connect(f"file:{tmp_path}/mirror.db?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("DELETE FROM leases")
    connection.close()
    assert "is read-only" in str(translate_error(caught.value, "sqlite:///mirror.db"))


def test_a_damaged_file_is_named(sqlite_desk: Desk, tmp_path: Path) -> None:
    """Whoever damaged it."""
    for number in range(30):
        sqlite_desk.look(Shown(f"v{number}", 1, "c", b'{"x": "' + b"y" * 3000 + b'"}'), id=f"r{number}")
    sqlite_desk.mirror.close()
    path = tmp_path / "mirror.db"
    raw = bytearray(path.read_bytes())
    raw[4096 * 4 :] = b"\xaa" * len(raw[4096 * 4 :])
    path.write_bytes(raw)
    with pytest.raises(DatabaseUnavailable, match="is damaged: restore it from a backup"):
        sqlite_desk.rows("SELECT sum(length(attributes)) FROM versions")


def test_a_mirror_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a file is made there."""
    monkeypatch.setattr(engines, "unsafe_for_wal", lambda path: "nfs4")
    with pytest.raises(DatabaseUnavailable, match=r"nfs4.*local disk, or use PostgreSQL"):
        upgrade(f"sqlite:///{tmp_path}/x.db")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_cannot_write(mirror: Mirror) -> None:
    """On either database."""
    with pytest.raises(DatabaseUnavailable, match="read-only"), mirror.read() as connection:
        connection.execute(text("UPDATE leases SET epoch = 1"))
    with mirror.write() as tx:  # the same connection writes again
        tx.execute(text("UPDATE leases SET epoch = epoch"))


def test_a_reader_sees_one_moment_and_waits_for_nobody(mirror: Mirror) -> None:
    """Neither what is uncommitted, nor what is committed after it began."""
    count = text("SELECT count(*) FROM sources")
    insert = text(
        "INSERT INTO sources (name, project_id, environment, follows_primary, base_url, created_at) "
        "VALUES ('s', 'p', 'main', true, 'u', '2026-01-01T00:00:00.000000Z')"
    )
    with mirror.read() as connection:
        assert connection.scalar(count) == 0
        with mirror.write() as tx:
            tx.execute(insert)
            assert connection.scalar(count) == 0
        assert connection.scalar(count) == 0
    with mirror.read() as connection:
        assert connection.scalar(count) == 1


def test_writers_take_turns(mirror: Mirror) -> None:
    """Reading, then writing what was read: no update is lost, and nobody fails half way."""
    with mirror.write() as tx:
        tx.execute(
            text(
                "INSERT INTO sources (id, name, project_id, environment, follows_primary, base_url, created_at) "
                "VALUES (1, 's', 'p', 'main', true, 'u', '2026-01-01T00:00:00.000000Z')"
            )
        )
        tx.execute(text("INSERT INTO leases (source_id) VALUES (1)"))

    def add() -> None:
        for _ in range(25):
            with mirror.write() as tx:
                lock = " FOR UPDATE" if mirror.dialect.name == "postgresql" else ""
                epoch = tx.scalar(text(f"SELECT epoch FROM leases{lock}"))
                tx.execute(text("UPDATE leases SET epoch = :epoch"), {"epoch": epoch + 1})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with mirror.read() as connection:
        assert connection.scalar(text("SELECT epoch FROM leases")) == 100


@pytest.mark.postgres
def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    """By socket, by port, and by a name that nobody knows; the password is in none of it."""
    for url, words in {
        f"postgresql://me:{SECRET}@/db?host={tmp_path}": "is the server running",
        f"postgres://me:{SECRET}@127.0.0.1:1/db": "is the server running",
        f"postgresql://me:{SECRET}@no-such-host.invalid/db": "host name is not known",
    }.items():
        with pytest.raises(DatabaseUnavailable, match=words) as caught:
            Mirror.open(url)
        assert SECRET not in str(caught.value)
        assert SECRET not in repr(caught.value)


@pytest.mark.postgres
def test_a_wrong_password_is_told_and_not_shown(postgres_server: str) -> None:
    """The server is told to ask this user for one."""
    with psycopg.connect(postgres_server, autocommit=True) as superuser, _asks_for_password(superuser, "locked_out"):
        url = make_url(postgres_server).set(username="locked_out", password=SECRET + "-wrong")
        with pytest.raises(DatabaseUnavailable, match="refuses the user or the password") as caught:
            Mirror.open(url.render_as_string(hide_password=False))
        right = url.set(password=SECRET).render_as_string(hide_password=False)
        with pytest.raises(Exception, match=r"empty|versionsync db upgrade|another program"):
            Mirror.open(right)
    assert SECRET not in str(caught.value)


@pytest.mark.postgres
def test_a_database_that_is_not_there_is_named(postgres_server: str) -> None:
    """With the command that makes it."""
    url = make_url(postgres_server).set(database="no_such_database").render_as_string(hide_password=False)
    with pytest.raises(DatabaseUnavailable, match="does not exist: create it"):
        Mirror.open(url)


@pytest.mark.postgres
def test_a_lost_connection_is_told_and_the_next_transaction_finds_another(
    make_postgres_database: object, postgres_server: str
) -> None:
    """A server may be restarted at any time."""
    assert callable(make_postgres_database)
    with Mirror.open(make_postgres_database()) as mirror:
        with pytest.raises(DatabaseUnavailable), mirror.write() as tx, psycopg.connect(postgres_server) as superuser:
            pid = tx.scalar(text("SELECT pg_backend_pid()"))
            superuser.execute("SELECT pg_terminate_backend(%s)", [pid])
            tx.execute(text("SELECT 1"))
        with mirror.read() as connection:
            assert connection.scalar(text("SELECT 1")) == 1


@pytest.mark.postgres
def test_a_connection_that_was_lost_while_it_rested_is_replaced_at_once(
    make_postgres_database: object, postgres_server: str
) -> None:
    """As by a restart between two runs: without any waiting."""
    assert callable(make_postgres_database)
    with Mirror.open(make_postgres_database(), outage_seconds=0.0) as mirror:
        with mirror.read() as connection:
            pid = connection.scalar(text("SELECT pg_backend_pid()"))
        with psycopg.connect(postgres_server) as superuser:
            superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        with mirror.write() as tx:
            assert tx.scalar(text("SELECT pg_backend_pid()")) != pid


@pytest.mark.postgres
def test_a_connection_that_was_just_used_is_not_tried(
    make_postgres_database: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That would be a transaction more for each."""
    assert callable(make_postgres_database)
    with Mirror.open(make_postgres_database()) as mirror:
        tried: list[object] = []
        monkeypatch.setattr(mirror._engine.dialect, "do_ping", tried.append)
        for seconds, number in ((3600.0, 0), (-1.0, 1)):
            monkeypatch.setattr("versionsync.mirror.engine.engine.PING_SECONDS", seconds)
            mirror.query(lambda connection: connection.scalar(text("SELECT 1")))
            assert len(tried) == number


def test_a_mirror_has_a_connection_for_each_thread(database_url: str) -> None:
    """And one for heartbeats; no thread waits for the connection of another."""
    with Mirror.open(database_url, threads=7) as mirror, ExitStack() as held:
        for _ in range(8):
            held.enter_context(mirror.read())
        pool = mirror._engine.pool
        assert isinstance(pool, QueuePool)
        assert pool.checkedout() == 8
        pool._timeout = 0.05
        with pytest.raises(PoolTimeout):
            held.enter_context(mirror._engine.connect())


@pytest.mark.postgres
def test_a_database_that_cannot_hold_every_character_is_refused(postgres_server: str) -> None:
    """Found when it is opened, not when the first emoji comes."""
    with psycopg.connect(postgres_server, autocommit=True) as superuser:
        superuser.execute("DROP DATABASE IF EXISTS latin")
        superuser.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        url = make_url(postgres_server).set(database="latin").render_as_string(hide_password=False)
        with pytest.raises(DatabaseUnavailable, match=r"LATIN1.*ENCODING 'UTF8'"):
            upgrade(url)
        superuser.execute("DROP DATABASE latin WITH (FORCE)")


def test_refused_content_is_not_quoted(desk: Desk) -> None:
    """An error goes to logs; content does not."""
    now = desk.now()
    plan = desk.plan([Shown("a", 1, "c")], now=now)
    with pytest.raises(ContentRejected, match="version a is not UTF-8 at byte 16") as caught:
        desk.write([plan], [Shown("a", 1, "c", b'{"title": "top s\xffcret"}')], now=now)
    assert "cret" not in str(caught.value)
    if desk.mirror.dialect.name == "postgresql":
        with pytest.raises(ContentRejected, match="refuses a row") as caught:
            desk.write([plan], [Shown("a", 1, "c", b'{"title": "top secret", oops}')], now=now)
        assert "secret" not in str(caught.value)


class _asks_for_password:  # noqa: N801 - a context
    """A user of that name with SECRET as its password, whom the server lets in with it only."""

    def __init__(self, superuser: psycopg.Connection, name: str) -> None:
        self._superuser = superuser
        self._name = name
        row = superuser.execute("SHOW hba_file").fetchone()
        assert row is not None
        self._rules = Path(row[0])
        self._before = self._rules.read_text()

    def __enter__(self) -> None:
        self._superuser.execute(f"DROP ROLE IF EXISTS {self._name}")
        self._superuser.execute(f"CREATE ROLE {self._name} LOGIN PASSWORD '{SECRET}'")
        self._rules.write_text(f"local all {self._name} scram-sha-256\n{self._before}")
        self._superuser.execute("SELECT pg_reload_conf()")

    def __exit__(self, *_: object) -> None:
        self._rules.write_text(self._before)
        self._superuser.execute("SELECT pg_reload_conf()")
        self._superuser.execute(f"DROP ROLE {self._name}")
