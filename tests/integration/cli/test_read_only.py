"""Reading commands work where nothing can be written: on a read-only mount, a mounted backup, beside a daemon."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Cli
from tests.integration.cli.processes import PROGRAM, environment

READING = (
    ("status",),
    ("log", "--limit", "1"),
    ("changes", "--since", "2026-01-01"),
    ("pending",),
    ("deleted",),
    ("as-of", "now"),
    ("events",),
    ("show", "Post 0"),
    ("diff", "Post 0"),
    ("blame", "Post 0"),
    ("sql", "SELECT count(*) FROM versions"),
    ("grep", "post"),
)

Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.skipif(shutil.which("setpriv") is None and os.geteuid() == 0, reason="root writes everywhere")


@pytest.fixture
def mount(cli: Cli, at: dict[str, str], tmp_path: Path) -> Iterator[Path]:
    """A folder with a mirror, to be closed for writing."""
    cli("sync", **at)
    folder = tmp_path / "mount"
    folder.mkdir()
    (tmp_path / "versionsync.db").rename(folder / "versionsync.db")
    yield folder
    folder.chmod(0o755)


@pytest.fixture
def run(mount: Path, at: dict[str, str]) -> Run:
    """Run a command as a user who may write nothing in the folder."""
    less = "-dac_override,-dac_read_search"
    drop = ["setpriv", f"--bounding-set={less}", f"--inh-caps={less}"] if os.geteuid() == 0 else []

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        command = [*drop, *PROGRAM, *argv, "--database", str(mount / "versionsync.db")]
        return subprocess.run(command, env=environment(**at), capture_output=True, text=True, check=False)

    return run


def close(folder: Path) -> set[str]:
    """Let nothing be written in the folder; return what is in it."""
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("argv", READING, ids=" ".join)
def test_a_command_reads_a_mirror_on_a_read_only_mount(mount: Path, run: Run, argv: tuple[str, ...]) -> None:
    before = close(mount)
    ran = run(*argv)
    assert (ran.returncode, "error" in ran.stderr) == (0, False), ran.stderr
    assert ran.stdout
    assert {path.name for path in mount.iterdir()} == before == {"versionsync.db"}


def test_doctor_checks_a_mirror_on_a_read_only_mount(mount: Path, run: Run) -> None:
    """It says that a sync could not write, and checks everything else."""
    close(mount)
    ran = run("doctor")
    assert ran.returncode == 6
    assert "cannot be written" in ran.stdout
    assert "every page of the database was read and is correct" in ran.stdout
    assert "is read-only" not in ran.stdout


def test_a_command_that_writes_is_refused_there(mount: Path, run: Run) -> None:
    close(mount)
    ran = run("sync")
    assert ran.returncode == 6
    assert "cannot be made or opened (Permission denied)" in ran.stderr


def test_a_mounted_backup_is_read(cli: Cli, at: dict[str, str], mount: Path, run: Run) -> None:
    copy = mount.parent / "backup.db"
    assert cli("db", "backup", str(copy), "--database", str(mount / "versionsync.db"), **at).code == 0
    for path in mount.iterdir():
        path.unlink()
    copy.rename(mount / "versionsync.db")
    close(mount)
    assert run("log").returncode == run("status").returncode == 0


def test_what_a_daemon_is_writing_is_read_with_its_log(mount: Path, run: Run) -> None:
    """Rows that are only in the write-ahead log are seen too."""
    with closing(sqlite3.connect(mount / "versionsync.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE sources SET name = 'renamed'")
        writer.execute("COMMIT")
        writer.execute("BEGIN IMMEDIATE")  # it goes on writing
        before = close(mount)
        assert {"versionsync.db-wal", "versionsync.db-shm"} < before
        ran = run("events", "--json", "--limit", "1")
        assert ran.returncode == 0, ran.stderr
        assert '"source":"renamed"' in ran.stdout
        mount.chmod(0o755)
        for path in mount.iterdir():
            path.chmod(0o644)
        writer.execute("ROLLBACK")


def test_a_copy_with_an_unread_log_is_refused_with_what_to_do(mount: Path, run: Run) -> None:
    """Without the file beside it that says what is in the log, SQLite would have to write."""
    copy = mount.parent / "copy"
    copy.mkdir()
    with closing(sqlite3.connect(mount / "versionsync.db", isolation_level=None)) as writer:
        writer.execute("UPDATE sources SET name = 'renamed'")
        for name in ("versionsync.db", "versionsync.db-wal"):
            shutil.copy(mount / name, copy / name)
    for path in mount.iterdir():
        path.unlink()
    for path in copy.iterdir():
        path.rename(mount / path.name)
    close(mount)
    ran = run("status")
    assert ran.returncode == 6
    assert "its log cannot be read here, as nothing can be written" in ran.stderr
    mount.chmod(0o755)
    for path in mount.iterdir():
        path.chmod(0o644)
    assert run("status", "renamed").returncode != 6
