"""`versionsync db copy`: what it says, its exit codes, and what it refuses."""

from __future__ import annotations

import json
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Cli
from tests.integration.cli.processes import running

PAGE = (Path(__file__).parents[3] / "docs/postgresql.md").read_text()
MOVING = [
    shlex.split(line)[1:]
    for line in PAGE.partition("## Move from SQLite")[2].partition("\n## ")[0].splitlines()
    if line.startswith("versionsync ")
]
"""The commands that move a mirror to PostgreSQL and back, as the page has them."""


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.postgres
def test_a_mirror_moves_to_postgresql_and_back(
    cli: Cli, at: dict[str, str], empty_postgres_url: str, tmp_path: Path
) -> None:
    """With the commands of docs/postgresql.md. `settings` is the database of the settings: its URL holds a password."""
    there = at | {"VERSIONSYNC_DATABASE_URL": empty_postgres_url}
    cli("sync", **at)
    moved = [cli(*command, **there) for command in MOVING]
    assert [(ran.code, ran.err) for ran in moved] == [(0, "")] * len(moved)
    assert [command[:3] for command in MOVING].count(["db", "copy", "settings"]) == 1
    assert "6 versions of 3 records" in words(moved[0].out)
    assert "rows are the same" in words(moved[0].out)
    assert cli("sync", "--json", **there).json["sources"][0]["counts"]["versions_inserted"] == 0
    told = cli("db", "copy", "--json", "settings", "back.db", **there).json
    assert (told["copied"], told["resumed"], told["is_same"], told["differences"]) == (True, False, True, [])
    assert (told["rows"]["versions"], told["to"]) == (6, "sqlite:///back.db")
    assert len(told["hashes"]["versions"]) == 64
    assert cli("sync", "--json", "--database", "back.db", **at).json["sources"][0]["counts"]["versions_inserted"] == 0
    assert cli("doctor", "--database", "back.db", **at).code == 0


def test_verify_only_compares_and_copies_nothing(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """Exit code 8, with the table and the key of what differs."""
    cli("sync", **at)
    assert cli("db", "copy", "versionsync.db", "copy.db").code == 0
    assert "was compared with" in words(cli("db", "copy", "--verify-only", "versionsync.db", "copy.db").out)
    with closing(sqlite3.connect(tmp_path / "copy.db")) as database, database:
        database.execute("UPDATE models SET name = 'Other'")
        (key,) = database.execute("SELECT source_id || ' ' || id FROM models").fetchone()
    ran = cli("db", "copy", "--verify-only", "versionsync.db", "copy.db")
    assert ran.code == 8
    assert f"models: 1 row in FROM, 1 row in TO. Not the same: {key}." in words(ran.out)
    ran = cli("db", "copy", "--verify-only", "--json", "versionsync.db", "copy.db")
    assert ran.err == ""
    told = ran.json
    assert [(one["table"], one["keys"]) for one in told["differences"]] == [("models", [key])]


def test_bad_names_have_one_line(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    cli("sync", **at)
    (tmp_path / "folder").mkdir()
    for names, code, said in (
        (("versionsync.db", "versionsync.db"), 2, "both are the same database"),
        (("versionsync.db", "settings"), 2, "both are the same database"),
        (("none.db", "copy.db"), 6, "there is no database at"),
        (("versionsync.db", "nowhere/copy.db"), 6, "cannot be made or opened"),
        (("versionsync.db", "folder"), 6, "folder"),
        (("versionsync.db", "mysql://a/b"), 2, "does not know databases of the kind mysql (TO)"),
        (("postgresql://me:secret@localhost/a", "copy.db"), 2, "a password on the command line"),
    ):
        ran = cli("db", "copy", *names, **at)
        assert (ran.code, ran.out) == (code, ""), names
        assert said in words(ran.err), ran.err
        assert "secret" not in ran.err
        assert len(ran.err.splitlines()) <= 2, ran.err
    away = at | {"VERSIONSYNC_DATABASE_URL": "postgresql://me:secret@127.0.0.1:1/website"}
    ran = cli("db", "copy", "versionsync.db", "settings", **away)
    assert (ran.code, "secret" in ran.written, "127.0.0.1:1/website" in ran.err) == (6, False, True)
    assert cli("db", "copy", "--restart", "--verify-only", "a", "b").code == 2
    cli("db", "copy", "versionsync.db", "copy.db")
    ran = cli("db", "copy", "versionsync.db", "copy.db")
    assert (ran.code, "is not empty (it has rows in" in words(ran.err)) == (2, True)


def test_a_file_that_may_not_be_read_or_written_is_named(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    cli("sync", **at)
    (tmp_path / "text.db").write_text("Dear Sir or Madam, this is long enough to be taken for a database. " * 20)
    ran = cli("db", "copy", "versionsync.db", "text.db")
    assert (ran.code, "is no SQLite database" in words(ran.err)) == (6, True)


def test_a_running_daemon_is_stopped_first(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """Exit code 7, and how to stop it. Once it has ended, the copy is made."""
    cli("sync", **at)
    with running("run", "-v", "--json", cwd=tmp_path, **at) as daemon:
        assert daemon.stderr is not None
        for line in daemon.stderr:
            if json.loads(line).get("event") == "run.finished":
                break
        ran = cli("db", "copy", "versionsync.db", "copy.db")
        assert (ran.code, "stop it first (`systemctl stop versionsync`" in words(ran.err)) == (7, True)
        assert not (tmp_path / "copy.db").exists()
        daemon.terminate()
        daemon.communicate()
    assert cli("db", "copy", "versionsync.db", "copy.db").code == 0
