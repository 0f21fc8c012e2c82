"""`versionsync db`: upgrade, current, check, url; on both databases."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.integration.cli.conftest import Cli


def test_a_sqlite_file_is_made_upgraded_and_found_current(cli: Cli, tmp_path: Path) -> None:
    assert cli("db", "upgrade").out == "The database is now at schema first.\n"
    assert (tmp_path / "versionsync.db").stat().st_mode & 0o077 == 0
    assert cli("db", "upgrade").out == "The database is at schema first already.\n"
    assert cli("db", "check").code == 0
    assert cli("db", "current", "--json").json == {"current": "first", "head": "first", "is_current": True}


def test_a_database_that_is_not_there_is_not_made_by_looking(cli: Cli, tmp_path: Path) -> None:
    assert cli("db", "current").out == "none (this version needs first)\n"
    ran = cli("db", "check")
    assert ran.code == 6
    assert "there is no database at sqlite:///versionsync.db" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_an_upgraded_database_of_either_kind_is_current(cli: Cli, database_url: str) -> None:
    assert cli("db", "check", "--json", VERSIONSYNC_DATABASE_URL=database_url).json["is_current"] is True


def test_the_url_is_shown_without_its_password(cli: Cli) -> None:
    ran = cli("db", "url", VERSIONSYNC_DATABASE_URL="postgresql://me:hunter22@db.example/mirror")
    assert (ran.code, ran.out) == (0, "postgresql://me:***@db.example/mirror\n")


def test_a_file_can_be_named_without_a_url(cli: Cli, tmp_path: Path) -> None:
    assert cli("db", "upgrade", "--database", "other.db").code == 0
    assert (tmp_path / "other.db").exists()


@pytest.mark.parametrize(
    "command",
    [
        "sync",
        "sync --dry-run",
        "sync --record abc",
        "run",
        "status",
        "events",
        "events --follow",
        "doctor",
        "db upgrade",
        "db current",
        "db check",
        "db backup copy.db",
        "demo --database versionsync.db",
    ],
)
def test_a_database_from_before_the_first_release_is_refused_everywhere(
    cli: Cli, at: dict[str, str], tmp_path: Path, command: str
) -> None:
    """In one line, with exit code 6. The file stays as it is, to the byte."""
    cli("db", "upgrade")
    file = tmp_path / "versionsync.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE versionsync_schema SET version_num = '0008'")
        database.commit()
    before = file.read_bytes()
    ran = cli(*command.split(), **at)
    assert ran.code == 6
    (line,) = [line for line in ran.written.splitlines() if "from before versionsync 0.1.0" in line]
    assert "at schema 0008" in line
    assert "keep it, and sync into a new database" in line
    assert file.read_bytes() == before
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.postgres
def test_a_postgresql_database_from_before_the_first_release_is_refused(
    cli: Cli, at: dict[str, str], empty_postgres_url: str
) -> None:
    here = at | {"VERSIONSYNC_DATABASE_URL": empty_postgres_url}
    cli("db", "upgrade", **here)
    with psycopg.connect(empty_postgres_url, autocommit=True) as server:
        server.execute("UPDATE versionsync_schema SET version_num = '0003'")
    for command in ("sync", "run", "status", "db upgrade", "db current", "doctor"):
        ran = cli(*command.split(), **here)
        assert ran.code == 6, command
        assert "from before versionsync 0.1.0" in ran.written, command
