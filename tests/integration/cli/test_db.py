"""`versionsync db`: upgrade, current, check, url; on both databases."""

from __future__ import annotations

from pathlib import Path

from tests.integration.cli.conftest import Cli


def test_a_sqlite_file_is_made_upgraded_and_found_current(cli: Cli, tmp_path: Path) -> None:
    assert cli("db", "upgrade").out == "The database is now at schema 0008.\n"
    assert (tmp_path / "versionsync.db").stat().st_mode & 0o077 == 0
    assert cli("db", "upgrade").out == "The database is at schema 0008 already.\n"
    assert cli("db", "check").code == 0
    assert cli("db", "current", "--json").json == {"current": "0008", "head": "0008", "is_current": True}


def test_a_database_that_is_not_there_is_not_made_by_looking(cli: Cli, tmp_path: Path) -> None:
    assert cli("db", "current").out == "none (this version needs 0008)\n"
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
