"""Backups: whole while others write, never in the way, and the mirror goes on from a restored one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.fixtures.compare_with_expected import differences
from tests.fixtures.sync_env import START, SyncEnv
from versionsync.mirror import backup
from versionsync.mirror.backup import back_up, pg_dump_command
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import BackupError, DatabaseUnavailable, NotAMirror
from versionsync.mirror.schema import leases
from versionsync.mirror.schema.migrate import HEAD, current
from versionsync.simulator import World
from versionsync.sync.report import Outcome

RECORDS = 60


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A SQLite mirror: PostgreSQL has backups of its own."""
    path = tmp_path / "mirror.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


def _write(world: World, title: str = "Hello") -> None:
    for number in range(RECORDS):
        record = world.create(world.user, "post" if number % 2 else "price", {"title": f"{title} {number}"})
        world.update(world.user, record.id, {"title": f"{title} {number}, again"})


def test_a_backup_is_of_one_moment_whatever_is_written_meanwhile(
    sync_env: SyncEnv, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two steps a whole run may be committed: nothing of it is in the backup, nor begins it again."""
    monkeypatch.setattr(backup, "PAGES_AT_ONCE", 20)
    sync_env.act(_write)
    sync_env.sync()
    then, left = sync_env.truth(), []

    def meanwhile(pages: int, of: int) -> None:
        left.append(of - pages)
        if len(left) < 4:
            sync_env.act(lambda world: world.create(world.user, "post", {"title": "Meanwhile"}))
            sync_env.sync()

    made = back_up(database_url, tmp_path / "backup.db", copied=meanwhile)
    assert left == sorted(left, reverse=True)
    assert len(left) > 4
    assert left[-1] == 0
    assert (made.revision, made.rows["records"], made.rows["versions"]) == (HEAD, RECORDS, 2 * RECORDS)
    assert made.size_bytes == (tmp_path / "backup.db").stat().st_size
    with Mirror.open(str(tmp_path / "backup.db")) as restored:
        assert differences(restored, then) == []
        again = SyncEnv(sync_env.simulator, restored)
        assert again.sync().counts.versions_inserted == 3
        assert differences(restored, again.truth()) == []
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_backup_from_the_middle_of_a_first_run_goes_on_from_there(
    sync_env: SyncEnv, database_url: str, tmp_path: Path
) -> None:
    """As many as can be made while it runs: each, restored, becomes what the undisturbed mirror is."""
    sync_env.act(_write)
    sync_env.act(lambda world: _write(world, "Good bye"))
    ended, made = threading.Event(), []

    def keep_backing_up() -> None:
        while not ended.is_set():
            made.append(back_up(database_url, tmp_path / f"{len(made)}.db"))

    thread = threading.Thread(target=keep_backing_up)
    thread.start()
    try:
        sync_env.sync()
    finally:
        ended.set()
        thread.join()
    assert made
    for each in {made[0].path, made[len(made) // 2].path, made[-1].path}:
        with Mirror.open(str(each)) as restored:
            with restored.write() as tx:  # it is restored later, when the lease of the run that made it is over
                tx.execute(update(leases).where(leases.c.holder.is_not(None)).values(expires_at=START))
            again = SyncEnv(sync_env.simulator, restored)
            assert again.sync().outcome is Outcome.SUCCEEDED
            assert differences(restored, again.truth()) == []


def test_only_the_owner_can_read_a_backup(database_url: str, tmp_path: Path) -> None:
    """It holds unpublished content; and nothing else is left beside it."""
    back_up(database_url, tmp_path / "backups.db")
    assert stat.S_IMODE((tmp_path / "backups.db").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.glob("backups*")) == ["backups.db"]


def test_a_mirror_of_another_schema_is_backed_up_as_it_is(database_url: str, tmp_path: Path) -> None:
    """You want a backup before an upgrade, when the new program is installed already."""
    with closing(sqlite3.connect(tmp_path / "mirror.db")) as database, database:
        database.execute("UPDATE versionsync_schema SET version_num = 'another'")
    assert back_up(database_url, tmp_path / "backup.db").revision == "another"
    assert current(str(tmp_path / "backup.db")) == "another"


def test_a_file_that_is_there_is_not_replaced_unless_asked(database_url: str, tmp_path: Path) -> None:
    target = tmp_path / "dear.txt"
    target.write_text("Dear Sir or Madam")
    with pytest.raises(BackupError, match=r"is there already: .*--force"):
        back_up(database_url, target)
    assert target.read_text() == "Dear Sir or Madam"
    assert back_up(database_url, target, replace=True).path == target
    assert target.read_bytes().startswith(b"SQLite format 3")


def test_a_replaced_file_stays_until_its_successor_is_whole(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle leaves the old backup, and nothing of the new one."""
    monkeypatch.setattr(backup, "PAGES_AT_ONCE", 5)
    target = tmp_path / "backup.db"
    target.write_text("the last one")

    def interrupt(pages: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(database_url, target, replace=True, copied=interrupt)
    assert target.read_text() == "the last one"
    assert not list(tmp_path.glob("*.partial"))


def test_what_a_killed_backup_left_is_used_again(database_url: str, tmp_path: Path) -> None:
    """It is neither in the way, nor is anything of it in the new one."""
    (tmp_path / "backup.db.partial").write_bytes(b"SQLite format 3\0" + b"rest" * 100_000)
    back_up(database_url, tmp_path / "backup.db")
    assert not list(tmp_path.glob("*.partial"))


def test_two_backups_to_one_file_do_not_meet(database_url: str, tmp_path: Path) -> None:
    """The second is refused; the first ends well."""

    def second(pages: int, of: int) -> None:
        with pytest.raises(BackupError, match=r"another backup to .*backup\.db is being made"):
            back_up(database_url, tmp_path / "backup.db")

    assert back_up(database_url, tmp_path / "backup.db", copied=second).path.exists()


@pytest.mark.parametrize("at", [0, 40, 8192], ids=["its head", "its schema", "a page"])
def test_a_backup_that_the_disk_spoils_is_not_called_one(at: int, database_url: str, tmp_path: Path) -> None:
    """It is read to its end before it takes its name."""

    def spoil(pages: int, of: int) -> None:
        if pages == of:
            with (tmp_path / "backup.db.partial").open("r+b") as file:
                file.seek(at)
                file.write(b"\xff" * 20_000)

    with pytest.raises(DatabaseUnavailable, match=r"the backup is damaged .*and was removed"):
        back_up(database_url, tmp_path / "backup.db", copied=spoil)
    assert not list(tmp_path.glob("backup.db*"))


def test_a_backup_that_lacks_rows_is_not_called_one(database_url: str, tmp_path: Path) -> None:
    """Whole in SQLite's eyes, and all the same not what the database is."""

    def take_away(pages: int, of: int) -> None:
        if pages == of:
            with closing(sqlite3.connect(tmp_path / "backup.db.partial", isolation_level=None)) as copy:
                copy.execute("PRAGMA journal_mode = DELETE")
                copy.execute("DELETE FROM versionsync_schema")

    with pytest.raises(DatabaseUnavailable, match="has 0 rows in versionsync_schema where the database has 1"):
        back_up(database_url, tmp_path / "backup.db", copied=take_away)
    assert not list(tmp_path.glob("backup.db*"))


def test_a_database_in_use_is_never_replaced(database_url: str, tmp_path: Path) -> None:
    """SQLite would play the old one's log into the new one: itself, another mirror, one that was not closed."""
    own = tmp_path / "mirror.db"
    with pytest.raises(BackupError, match="is the database itself"):
        back_up(database_url, own, replace=True)
    (tmp_path / "link.db").symlink_to(own)
    with pytest.raises(BackupError, match="is the database itself"):
        back_up(database_url, tmp_path / "link.db", replace=True)
    (tmp_path / "other.db-wal").write_bytes(b"log")
    for replace in (True, False):
        with pytest.raises(BackupError, match=r"a database in use, or one that was not closed \(other.db-wal"):
            back_up(database_url, tmp_path / "other.db", replace=replace)


@pytest.mark.parametrize("name", ["backup.db", "backup.db.partial"])
@pytest.mark.parametrize("replace", [True, False])
def test_what_is_no_file_is_not_replaced(database_url: str, tmp_path: Path, name: str, replace: bool) -> None:
    """A link leads somewhere, a device is everybody's: neither shall become a file, whatever was said."""
    target, place = tmp_path / "backup.db", tmp_path / name
    (tmp_path / "elsewhere.db").write_text("dear")
    for make, kind in (
        (lambda: os.mkfifo(place), "a named pipe"),
        (lambda: place.symlink_to(tmp_path / "elsewhere.db"), "a link to .*elsewhere.db"),
        (lambda: place.symlink_to(tmp_path / "nowhere"), "a link to .*nowhere"),
        (lambda: place.symlink_to("/dev/null"), "a link to /dev/null"),
        (lambda: place.symlink_to(tmp_path), "a link to "),
    ):
        make()
        before = place.lstat()
        with pytest.raises(BackupError, match=rf"{name} is {kind}|{name} is a database in use"):
            back_up(database_url, target, replace=replace)
        assert os.path.samestat(place.lstat(), before)
        place.unlink()
    assert (tmp_path / "elsewhere.db").read_text() == "dear"
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(BackupError, match="/dev/null is a device, which is not replaced"):
        back_up(database_url, Path("/dev/null"), replace=replace)


def test_a_place_that_cannot_be_written_to_is_named(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is a folder"):
        back_up(database_url, tmp_path)
    with pytest.raises(BackupError, match=r"none/backup.db.partial cannot be written .*folder exists"):
        back_up(database_url, tmp_path / "none" / "backup.db")


def test_an_empty_or_foreign_database_is_not_backed_up(tmp_path: Path) -> None:
    """Nobody shall take it for a backup of a mirror."""
    with pytest.raises(NotAMirror, match="there is no database"):
        back_up(str(tmp_path / "none.db"), tmp_path / "backup.db")
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as theirs:
        theirs.execute("CREATE TABLE letters (id)")
    with pytest.raises(NotAMirror):
        back_up(str(tmp_path / "theirs.db"), tmp_path / "backup.db")
    assert not list(tmp_path.glob("backup.db*"))


def test_the_command_for_postgresql_has_no_password() -> None:
    """A process list would show it (invariant 11); pg_dump asks, or finds it where libpq does."""
    url = "postgresql+psycopg://me:hunter22@db.example:5433/mirror?sslmode=require&sslpassword=hunter23"
    with pytest.raises(BackupError) as refused:
        back_up(url, Path("my backups/mirror.dump"))
    assert "hunter" not in str(refused.value)
    assert pg_dump_command(url, Path("my backups/mirror.dump")) == (
        "pg_dump --format=custom --file='my backups/mirror.dump' 'postgresql://me@db.example:5433/mirror?sslmode=require'"
    )
