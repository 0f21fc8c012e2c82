"""Making and upgrading databases: once, by whoever comes first; never somebody else's, never backwards."""

from __future__ import annotations

import stat
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import inspect, text

from versionsync.mirror import engines, migrate
from versionsync.mirror.database import Mirror
from versionsync.mirror.engines import open_engine
from versionsync.mirror.errors import DatabaseUnavailable, NotAMirror, SchemaBehind, SchemaNewer
from versionsync.mirror.migrate import HEAD, VERSION_TABLE, check, current, migrations_folder, upgrade
from versionsync.mirror.runs import last_runs
from versionsync.mirror.sources import sources_of


def test_an_empty_database_becomes_a_mirror(empty_url: str) -> None:
    """And a second upgrade finds nothing to do."""
    assert current(empty_url) is None
    assert upgrade(empty_url) == (None, HEAD)
    assert current(empty_url) == HEAD
    assert upgrade(empty_url) == (HEAD, HEAD)
    check(empty_url)
    with Mirror.open(empty_url) as mirror, mirror.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM source_status")) == 0


def test_a_database_of_the_first_schema_keeps_its_rows(empty_url: str) -> None:
    """And has what was added since."""
    _make(
        empty_url,
        "0001",
        "INSERT INTO sources (name, project_id, environment, follows_primary, base_url, locales, created_at) "
        "VALUES ('website', '1', 'main', true, 'https://cms.example', '[]', '2026-01-01T00:00:00.000000Z')",
    )
    with pytest.raises(SchemaBehind, match="versionsync db upgrade"):
        Mirror.open(empty_url)
    assert upgrade(empty_url) == ("0001", HEAD)
    with Mirror.open(empty_url) as mirror, mirror.read() as connection:
        assert connection.scalar(text("SELECT source FROM source_status")) == "website"
        indexes = {index["name"] for index in inspect(connection).get_indexes("records")}
        assert {"records_to_be_published", "records_to_be_unpublished"} <= indexes
        for added in ("followers", "usage", "hints", "webhook_logs", "webhooks", "notices"):
            assert connection.scalar(text(f"SELECT count(*) FROM {added}")) == 0


def test_a_source_is_whole_as_of_the_last_run_that_is_known_to_have_seen_all(empty_url: str) -> None:
    """0006: runs that read a few records only, or fell short, do not count; and nothing is made up about old errors."""
    started = {
        ("old", "backfill", "succeeded"): 1,
        ("old", "incremental", "succeeded"): 2,
        ("old", "records", "succeeded"): 3,
        ("old", "scrub", "succeeded"): 4,
        ("old", "incremental", "failed"): 5,
        ("swept", "records", "succeeded"): 6,
    }
    _make(
        empty_url,
        "0005",
        *(
            "INSERT INTO sources (name, project_id, environment, follows_primary, base_url, created_at, "
            f"last_complete_sweep_at) VALUES ('{name}', '1', 'main', true, 'https://x.test', '{_hour(0)}', {swept})"
            for name, swept in (("old", f"'{_hour(1)}'"), ("swept", f"'{_hour(3)}'"), ("new", "NULL"))
        ),
        *(
            "INSERT INTO runs (source_id, kind, trigger, holder, started_at, finished_at, outcome, error) "
            f"SELECT id, '{kind}', 'cli', 'me', '{_hour(hour)}', '{_hour(hour)}', '{outcome}', 'the token is revoked' "
            f"FROM sources WHERE name = '{name}'"
            for (name, kind, outcome), hour in started.items()
        ),
    )
    assert upgrade(empty_url) == ("0005", HEAD)
    with Mirror.open(empty_url) as mirror, mirror.read() as connection:
        whole = {one.name: one.checkpoint.whole_as_of for one in sources_of(connection)}
        assert whole == {"old": _time(2), "swept": _time(3), "new": None}
        assert [run.error_kind for run in last_runs(connection)] == [None] * len(started)
        (old,) = connection.execute(text("SELECT last_run_error FROM source_status WHERE source = 'old'")).all()
        assert old == ("the token is revoked",)


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
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(upgrade, [empty_url] * 4))
    assert {after for _, after in results} == {HEAD}
    assert [before for before, _ in results].count(None) == 1
    check(empty_url)


def test_many_threads_may_upgrade_at_once(empty_url: str) -> None:
    """As a program with several sources would."""
    with ThreadPoolExecutor(4) as pool:
        assert {after for _, after in pool.map(upgrade, [empty_url] * 4)} == {HEAD}


def test_a_database_of_a_newer_program_is_left_alone(database_url: str) -> None:
    """The error says which of the two to upgrade."""
    _stamp(database_url, "9999")
    for attempt in (upgrade, check, Mirror.open):
        with pytest.raises(SchemaNewer, match=r"9999, which is newer.*upgrade versionsync"):
            attempt(database_url)


def test_a_database_of_an_older_program_is_not_opened(database_url: str) -> None:
    """Until it is upgraded."""
    _stamp(database_url, "0000")
    with pytest.raises(SchemaBehind, match="versionsync db upgrade") as caught:
        Mirror.open(database_url)
    assert (caught.value.current, caught.value.head) == ("0000", HEAD)


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
    monkeypatch.setattr("versionsync.mirror.furnish.make_views", _fail)
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


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Opening makes nothing."""
    with pytest.raises(NotAMirror, match="there is no database at"):
        Mirror.open(f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(DatabaseUnavailable, match="folder"):
        upgrade(f"sqlite:///{tmp_path}/no/such/folder/x.db")
    assert list(tmp_path.iterdir()) == []


def test_the_program_knows_the_newest_migration(tmp_path: Path) -> None:
    """Without importing Alembic; and revisions are numbers."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [HEAD]
    assert all(script.revision.isdigit() and len(script.revision) == 4 for script in scripts.walk_revisions())


def _make(url: str, revision: str, *rows: str) -> None:
    """A database of an older program, with rows in it."""
    engine = open_engine(url, create=True)
    with engine.begin() as transaction:
        config = Config()
        config.set_main_option("script_location", str(migrations_folder()))
        config.attributes["connection"] = transaction
        command.upgrade(config, revision)
        for row in rows:
            transaction.execute(text(row))
    engine.dispose()


def _hour(hour: int) -> str:
    return f"2026-01-01T{hour:02}:00:00.000000Z"


def _time(hour: int) -> datetime:
    return datetime(2026, 1, 1, hour, tzinfo=UTC)


def _stamp(url: str, revision: str) -> None:
    engine = open_engine(url)
    with engine.begin() as tx:
        tx.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = :revision"), {"revision": revision})
    engine.dispose()


def _fail(*_: object) -> None:
    raise ZeroDivisionError
