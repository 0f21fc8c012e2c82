"""A disk without room for the mirror, or for temporary files, ends the real program's run with one line."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.compare_with_expected import differences
from tests.fixtures.sync_env import START, MakeSyncEnv, SyncEnv
from versionsync.cli.exit_codes import ExitCode
from versionsync.simulator import Clock, World
from versionsync.simulator.scenarios.bulk import build_bulk

LARGEST_FILE_BYTES = 400_000
RECORDS = 20
BYTES_PER_VERSION = 100_000
"""All of them are more than the largest file, one record's are less than what is kept in memory."""


def sync(sync_env: SyncEnv, database_url: str, folder: Path, *, largest_file: int | None = None) -> tuple[int, str]:
    """The exit code of `sync`, and what it said to a person."""
    return program("sync", sync_env=sync_env, database_url=database_url, folder=folder, largest_file=largest_file)


def program(
    *argv: str, sync_env: SyncEnv, database_url: str, folder: Path, largest_file: int | None = None
) -> tuple[int, str]:
    """The exit code of the program, and what it said to a person."""

    def limit() -> None:
        if largest_file is not None:  # no file grows beyond it, as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))

    ran = subprocess.run(
        [sys.executable, "-m", "versionsync", *argv],
        env={**sync_env.environ(database_url), "TMPDIR": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )
    return ran.returncode, ran.stderr


def project(make_sync_env: MakeSyncEnv, *, records: int, bytes_per_version: int) -> SyncEnv:
    """A project with records of that size."""
    world = World(seed=1, clock=Clock.stopped(START))
    build_bulk(world, records=records, versions=1, bytes_per_version=bytes_per_version)
    sync_env = make_sync_env(world)
    sync_env.wait(60)
    return sync_env


def made_right(sync_env: SyncEnv, database_url: str, folder: Path) -> None:
    """With room, the next run ends as the truth is."""
    code, said = sync(sync_env, database_url, folder)
    assert code == ExitCode.OK, said
    assert differences(sync_env.mirror, sync_env.truth()) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_mirror_that_cannot_grow_is_told(make_sync_env: MakeSyncEnv, database_url: str, tmp_path: Path) -> None:
    """The file of a SQLite database, or its log."""
    sync_env = project(make_sync_env, records=RECORDS, bytes_per_version=BYTES_PER_VERSION)
    code, said = sync(sync_env, database_url, tmp_path, largest_file=LARGEST_FILE_BYTES)
    assert code == ExitCode.DATABASE, said
    assert "cannot be read or written: the disk reports an error (is it full, or broken?)" in said
    assert "Traceback" not in said
    made_right(sync_env, database_url, tmp_path)


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_full_temporary_files_are_reported(make_sync_env: MakeSyncEnv, database_url: str, tmp_path: Path) -> None:
    """A record's contents, when they are too large for memory. The mirror itself is elsewhere."""
    sync_env = project(make_sync_env, records=2, bytes_per_version=RECORDS * BYTES_PER_VERSION)
    code, said = sync(sync_env, database_url, tmp_path, largest_file=LARGEST_FILE_BYTES)
    assert code == ExitCode.DATABASE, said
    assert f"there is no room for temporary files in {tmp_path}" in said
    assert "TMPDIR" in said
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    made_right(sync_env, database_url, tmp_path)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_backup_without_room_leaves_nothing(make_sync_env: MakeSyncEnv, database_url: str, tmp_path: Path) -> None:
    """Above all not something that looks like a backup; the old one is as it was."""
    sync_env = project(make_sync_env, records=RECORDS, bytes_per_version=BYTES_PER_VERSION)
    made_right(sync_env, database_url, tmp_path)
    (tmp_path / "backup.db").write_text("the last one")
    backup = ("db", "backup", "--force", "backup.db")
    code, said = program(
        *backup, sync_env=sync_env, database_url=database_url, folder=tmp_path, largest_file=LARGEST_FILE_BYTES
    )
    assert code == ExitCode.DATABASE, said
    assert "backup.db.partial cannot be read or written: the disk reports an error (is it full" in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.glob("backup*")] == ["backup.db"]
    assert (tmp_path / "backup.db").read_text() == "the last one"
    code, said = program(*backup, sync_env=sync_env, database_url=database_url, folder=tmp_path)
    assert code == ExitCode.OK, said
