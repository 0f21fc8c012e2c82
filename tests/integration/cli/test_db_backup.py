"""`versionsync db backup`: what it says, its exit codes; and that a mirror is restored as the page says."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests.fixtures.postgres_server import packaged_program
from tests.integration.cli.conftest import Cli


def test_a_backup_is_told_in_one_sentence_and_for_programs(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    cli("sync", **at)
    ran = cli("db", "backup", "backup.db")
    assert (ran.code, ran.err) == (0, "")
    assert "backup.db: 6 versions of 3 records" in ran.out
    told = cli("db", "backup", "--json", "--force", "backup.db").json
    assert told["file"] == str(tmp_path / "backup.db")
    assert told["size_bytes"] == (tmp_path / "backup.db").stat().st_size
    assert (told["rows"]["versions"], told["rows"]["records"]) == (6, 3)


def test_a_file_that_is_there_is_kept(cli: Cli, at: dict[str, str]) -> None:
    """Exit code 2, and how to replace it."""
    cli("sync", **at)
    cli("db", "backup", "backup.db")
    ran = cli("db", "backup", "backup.db")
    assert ran.code == 2
    assert "is there already: name another file, or replace it (--force)" in " ".join(ran.err.split())


def test_a_database_that_is_not_there_is_no_backup(cli: Cli, tmp_path: Path) -> None:
    """Exit code 6, and no file."""
    assert cli("db", "backup", "backup.db").code == 6
    assert list(tmp_path.iterdir()) == []


def test_a_restored_sqlite_file_is_synced_on(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """Put where the database was, its log taken away: what happened since the backup is mirrored once more."""
    cli("sync", **at)
    cli("db", "backup", "backup.db")
    for lost in tmp_path.glob("versionsync.db*"):
        lost.unlink()
    shutil.copy("backup.db", "versionsync.db")
    assert cli("db", "check").code == 0
    assert cli("doctor", **at).code == 0
    assert cli("sync", "--json", **at).json["sources"][0]["counts"]["versions_inserted"] == 0


@pytest.mark.postgres
def test_a_restored_postgresql_database_is_synced_on(
    cli: Cli, at: dict[str, str], empty_postgres_url: str, other_postgres_url: str, tmp_path: Path
) -> None:
    """The command that is shown is run as it is; pg_restore makes of it what the next sync goes on from."""
    here, there = (at | {"VERSIONSYNC_DATABASE_URL": url} for url in (empty_postgres_url, other_postgres_url))
    cli("db", "upgrade", **here)
    cli("sync", **here)
    ran = cli("db", "backup", "mirror.dump", **here)
    assert ran.code == 2
    program, *arguments = shlex.split(ran.err[ran.err.index("pg_dump") :])
    subprocess.run([packaged_program(program), *arguments], check=True)
    restore = ["--no-owner", f"--dbname={other_postgres_url}", tmp_path / "mirror.dump"]
    subprocess.run([packaged_program("pg_restore"), *restore], check=True)
    assert cli("db", "check", **there).code == 0
    assert cli("sync", "--json", **there).json["sources"][0]["counts"]["versions_inserted"] == 0
    assert "6 versions" in cli("status", **there).out


@pytest.fixture
def other_postgres_url(empty_postgres_url: str) -> Iterator[str]:
    """A second empty database on the same server."""
    url = make_url(empty_postgres_url)
    name = f"{url.database}_restored"
    with psycopg.connect(empty_postgres_url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        yield url.set(database=name).render_as_string(hide_password=False)
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
