"""Making and upgrading databases: once, by whoever comes first; never somebody else's, never backwards."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import make_url, text

from tests.integration.mirror.writing import Desk, Shown
from versionsync.mirror.backup import back_up
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine import engine as engines
from versionsync.mirror.engine.engine import open_engine, reading
from versionsync.mirror.errors import DatabaseUnavailable, NotAMirror, SchemaBehind, SchemaNewer, SchemaUnreleased
from versionsync.mirror.schema import metadata, migrate
from versionsync.mirror.schema.migrate import (
    HEAD,
    REVISIONS,
    UNRELEASED,
    VERSION_TABLE,
    check,
    current,
    migrations_folder,
    revision_of,
    upgrade,
)
from versionsync.mirror.schema.refresh_views import create_views
from versionsync.mirror.schema.typed_views import rebuild_typed_views


def test_an_empty_database_becomes_a_mirror(empty_url: str) -> None:
    """And a second upgrade finds nothing to do."""
    assert current(empty_url) is None
    assert upgrade(empty_url) == (None, HEAD)
    assert current(empty_url) == HEAD
    assert upgrade(empty_url) == (HEAD, HEAD)
    check(empty_url)
    with Mirror.open(empty_url) as mirror, mirror.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM source_status")) == 0


def test_the_next_schema_keeps_every_row(empty_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A program with one migration more asks for the upgrade, and adds to a database with rows, views and all."""
    upgrade(empty_url)
    with Mirror.open(empty_url) as mirror:
        desk = Desk.open(mirror)
        desk.look(Shown("a", 1), Shown("b", 2, "cp"))
        with mirror.write() as tx:
            rebuild_typed_views(tx, desk.lease.source_id)
    before = _rows(empty_url)
    _add_a_migration(monkeypatch, tmp_path)
    with pytest.raises(SchemaBehind, match="at schema first, this program needs second: run `versionsync db upgrade"):
        Mirror.open(empty_url)
    assert upgrade(empty_url) == ("first", "second")
    after = _rows(empty_url)
    assert [row.pop("added") for row in after["versions"]] == ["yes", "yes"]
    assert after == before
    with Mirror.open(empty_url) as mirror, mirror.read() as connection:
        for view in ("source_status", "current_versions", "website_article_versions"):
            assert connection.scalar(text(f"SELECT count(*) FROM {view}")), view


def test_an_upgraded_database_is_only_read(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many processes start at once, none takes a lock, nor waits for a writer's."""
    monkeypatch.setattr(migrate, "_migrate", None)
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.1)
    with Mirror.open(database_url) as mirror, mirror.write() as tx:
        tx.execute(text("UPDATE leases SET epoch = epoch"))
        assert upgrade(database_url) == (HEAD, HEAD)
        assert current(database_url) == HEAD
        check(database_url)
        Mirror.open(database_url).close()


def test_many_processes_may_upgrade_at_once(empty_url: str) -> None:
    """One does, the others wait for it."""
    processes = get_context("forkserver")
    processes.set_forkserver_preload(["versionsync.mirror.schema.migrate"])
    with ProcessPoolExecutor(4, mp_context=processes) as pool:
        results = list(pool.map(upgrade, [empty_url] * 4))
    assert {after for _, after in results} == {HEAD}
    assert [before for before, _ in results].count(None) == 1
    check(empty_url)


def test_many_threads_may_upgrade_at_once(empty_url: str) -> None:
    """As a program with several sources would."""
    with ThreadPoolExecutor(4) as pool:
        assert {after for _, after in pool.map(upgrade, [empty_url] * 4)} == {HEAD}


@pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_a_new_file_that_another_process_makes_is_waited_for(tmp_path: Path, begin: str) -> None:
    """Between the two, SQLite does not wait by itself for the change to a write-ahead log."""
    path = tmp_path / "new.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute(begin)
        release = threading.Timer(0.5, other.execute, ["COMMIT"])
        release.start()
        try:
            assert upgrade(str(path)) == (None, HEAD)
        finally:
            release.join()


def test_a_new_file_that_stays_locked_is_named(tmp_path: Path) -> None:
    """Once `?timeout=` is over, which is the limit for every lock."""
    path = tmp_path / "new.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match=r"new.db\?timeout=1 is locked by another program"):
            upgrade(f"sqlite:///{path}?timeout=1")
        assert time.monotonic() - began >= 1


@pytest.mark.parametrize("mode", ["delete", "persist", "truncate", "wal"])
def test_another_programs_file_is_looked_at_and_left_as_it_was(tmp_path: Path, mode: str) -> None:
    """To the byte, with its own kind of journal."""
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute(f"PRAGMA journal_mode = {mode}")
        theirs.execute("CREATE TABLE photos (id integer)")
        theirs.execute("INSERT INTO photos VALUES (1)")
        theirs.commit()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    target = tmp_path / "backup.db"
    attempts = (upgrade, check, current, Mirror.open, lambda url: back_up(url, target))
    for attempt in attempts:
        with pytest.raises(NotAMirror, match=r"belongs to another program .*photos|there is nothing to back up"):
            attempt(str(path))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_mirror_that_was_given_another_kind_of_journal_gets_its_own_back(tmp_path: Path) -> None:
    """As by a program that copies databases."""
    path = tmp_path / "mirror.db"
    upgrade(str(path))
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
    with Mirror.open(str(path)) as mirror, mirror.read() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"


def test_a_database_of_a_newer_program_is_left_alone(database_url: str) -> None:
    """The error says which of the two to upgrade."""
    for revision in ("history_pages", "0009", "9999"):
        _stamp(database_url, revision)
        for attempt in (upgrade, check, Mirror.open):
            with pytest.raises(SchemaNewer, match=rf"{revision}, which is newer.*upgrade versionsync"):
                attempt(database_url)
        assert current(database_url) == revision


@pytest.mark.parametrize("revision", sorted(UNRELEASED))
def test_a_database_from_before_the_first_release_is_refused(database_url: str, revision: str) -> None:
    """In one line, wherever it is opened; nothing in it is changed."""
    _stamp(database_url, revision)
    for attempt in (upgrade, check, current, Mirror.open):
        with pytest.raises(
            SchemaUnreleased, match=f"at schema {revision}, from before versionsync 0.1.0.*keep it, and "
        ):
            attempt(database_url)
    engine = open_engine(database_url)
    with engine.connect() as connection:
        assert revision_of(connection) == revision
    engine.dispose()


def test_an_empty_database_is_not_opened(empty_url: str) -> None:
    """The error says what makes it a mirror."""
    with pytest.raises(NotAMirror, match="versionsync db upgrade"):
        Mirror.open(empty_url)


def test_another_programs_database_is_not_touched(empty_url: str) -> None:
    """It has a table of ours that is not ours."""
    engine = open_engine(empty_url, create=True)
    with engine.begin() as tx:
        tx.execute(text("CREATE TABLE events (id integer)"))
    engine.dispose()
    for attempt in (upgrade, check, current, Mirror.open):
        with pytest.raises(NotAMirror, match=r"belongs to another program .*events"):
            attempt(empty_url)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("make", "named"),
    [
        ("CREATE VIEW publications AS SELECT 1 AS one", "a view publications"),
        ("CREATE MATERIALIZED VIEW source_status AS SELECT 1 AS one", "a materialized view source_status"),
        ("CREATE TYPE versions AS ENUM ('one')", "a type versions"),
        ("CREATE DOMAIN records AS integer", "a type records"),
        ("CREATE TABLE theirs (id integer); CREATE INDEX events_in_order ON theirs (id)", "an index events_in_order"),
        ("CREATE TABLE theirs (id integer CONSTRAINT pk_models PRIMARY KEY)", "an index pk_models"),
        ("CREATE SEQUENCE leases", "a sequence leases"),
        ("CREATE TYPE versions AS ENUM ('one'); CREATE TABLE events (id integer)", "a table events"),
    ],
)
def test_what_is_in_the_way_is_named(empty_postgres_url: str, make: str, named: str) -> None:
    """Not with SQL, and it is left as it was, above all a view that somebody has written."""
    with psycopg.connect(empty_postgres_url, autocommit=True) as connection:
        connection.execute(make.encode())
    for attempt in (upgrade, check, current, Mirror.open):
        with pytest.raises(NotAMirror, match=rf"belongs to another program \(it has {named}\): choose another"):
            attempt(empty_postgres_url)
    with psycopg.connect(empty_postgres_url) as connection:
        count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = 'sources'"
        assert connection.execute(count).fetchone() == (0,)


@pytest.mark.postgres
def test_only_the_current_schema_counts(empty_postgres_url: str) -> None:
    """What is in others is no concern; where another one shows a mirror, nobody knows which one is meant."""
    with psycopg.connect(empty_postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA mine")
        connection.execute("CREATE TABLE public.events (id integer)")
        connection.execute("CREATE VIEW public.publications AS SELECT 1 AS one")

    def within(path: str) -> str:
        query = {**make_url(empty_postgres_url).query, "options": f"-csearch_path={path}"}
        return make_url(empty_postgres_url).set(query=query).render_as_string(False)

    assert upgrade(within("mine,public")) == (None, HEAD)
    check(within("mine,public"))
    with Mirror.open(within("mine,public")) as mirror:
        desk = Desk.open(mirror)
        desk.look(Shown("v1", 1, "c"))
        with mirror.write() as tx:
            assert rebuild_typed_views(tx, desk.lease.source_id).made[0] == "website_article_versions"
        assert desk.rows("SELECT version_id FROM website_article_versions") == [("v1",)]
        assert desk.rows("SELECT * FROM public.publications") == [(1,)]
    with psycopg.connect(empty_postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA other")
    for attempt in (upgrade, check, current, Mirror.open):
        with pytest.raises(NotAMirror, match=r"shows a mirror in the schema mine, but search_path \(other, ?mine\)"):
            attempt(within("other,mine"))
        with pytest.raises(NotAMirror, match=r"none of the schemas that search_path names \(nowhere\): create one"):
            attempt(within("nowhere"))
    assert upgrade(within("other")) == (None, HEAD)


def test_a_view_of_ours_that_somebody_has_replaced_stops_an_upgrade(database_url: str) -> None:
    """It is theirs now."""
    engine = open_engine(database_url)
    with engine.begin() as tx:
        tx.execute(text("DROP VIEW publications"))
        tx.execute(text("CREATE VIEW publications AS SELECT 'theirs' AS one"))
    refused = "the view publications cannot be made, as a view of another program"
    with pytest.raises(DatabaseUnavailable, match=refused), engine.begin() as tx:
        create_views(tx)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT one FROM publications")) == "theirs"
    engine.dispose()


def test_another_program_may_share_a_postgresql_database(empty_postgres_url: str) -> None:
    """Even one that keeps its own schema with Alembic."""
    engine = open_engine(empty_postgres_url)
    with engine.begin() as tx:
        tx.execute(text("CREATE TABLE alembic_version (version_num text)"))
        tx.execute(text("INSERT INTO alembic_version VALUES ('theirs')"))
    engine.dispose()
    upgrade(empty_postgres_url)
    check(empty_postgres_url)


def test_an_interrupted_migration_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is one transaction, on SQLite too."""
    monkeypatch.setattr("versionsync.mirror.schema.refresh_views.make_views", _fail)
    with pytest.raises(ZeroDivisionError):
        upgrade(empty_url)
    assert current(empty_url) is None
    monkeypatch.undo()
    assert upgrade(empty_url) == (None, HEAD)


def test_a_new_sqlite_file_is_its_owners_alone(tmp_path: Path) -> None:
    """It holds unpublished content; what SQLite puts beside it has the same mode."""
    path = tmp_path / "new.db"
    upgrade(str(path))
    with Mirror.open(str(path)) as mirror, mirror.write() as tx:
        tx.execute(text("UPDATE leases SET epoch = epoch"))
        modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes == {0o600}


def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path) -> None:
    """It may be dear to somebody."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir or Madam, " * 100)
    for attempt in (upgrade, check, current, Mirror.open):
        with pytest.raises(NotAMirror, match="is no SQLite database"):
            attempt(str(path))
    assert path.read_text().startswith("Dear Sir")


def test_what_is_no_file_is_no_database(tmp_path: Path) -> None:
    """A pipe would be read for ever."""
    os.mkfifo(tmp_path / "pipe")
    for place, kind in ((tmp_path / "pipe", "a named pipe"), (Path("/dev/zero"), "a device")):
        for attempt in (upgrade, check, current, Mirror.open):
            with pytest.raises(NotAMirror, match=f"is {kind}, not a file: choose another file name"):
                attempt(f"sqlite:///{place}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Opening makes nothing."""
    with pytest.raises(NotAMirror, match="there is no database at"):
        Mirror.open(f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(DatabaseUnavailable, match="folder"):
        upgrade(f"sqlite:///{tmp_path}/no/such/folder/x.db")
    assert list(tmp_path.iterdir()) == []


def test_the_program_knows_all_migrations_and_their_order() -> None:
    """Without importing Alembic. No name is one that a database from before the first release can have."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    scripts = ScriptDirectory.from_config(config)
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(REVISIONS)
    assert not UNRELEASED & set(REVISIONS)


NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "second"
down_revision = "first"


def upgrade() -> None:
    op.add_column("versions", sa.Column("added", sa.Text(), server_default="yes"))
"""


def _add_a_migration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From here on the program has one migration more."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrations_folder(), folder)
    (folder / "versions" / "second_schema.py").write_text(NEXT)
    monkeypatch.setattr(migrate, "migrations_folder", lambda: folder)
    monkeypatch.setattr(migrate, "REVISIONS", ("first", "second"))
    monkeypatch.setattr(migrate, "HEAD", "second")


def _rows(url: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of all tables, in an order that depends only on their content."""
    engine = open_engine(url)
    try:
        with reading(engine).connect() as connection:
            return {
                name: sorted(
                    (dict(row) for row in connection.execute(text(f"SELECT * FROM {name}")).mappings()), key=repr
                )
                for name in metadata.tables
            }
    finally:
        engine.dispose()


def _stamp(url: str, revision: str) -> None:
    engine = open_engine(url)
    with engine.begin() as tx:
        tx.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = :revision"), {"revision": revision})
    engine.dispose()


def _fail(*_: object) -> None:
    raise ZeroDivisionError
