"""`versionsync db rebuild`, and what `sync` fills by itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.claims import claim_for
from tests.integration.cli.conftest import Cli
from versionsync.mirror.database import Mirror
from versionsync.mirror.tables.leases import Holder, acquire


@pytest.fixture
def synced(cli: Cli, at: dict[str, str], tmp_path: Path) -> Path:
    """The file of a mirror of the blog."""
    assert cli("sync", **at).code == 0
    return tmp_path / "versionsync.db"


def rows(file: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as database:
        return database.execute(query).fetchall()


def write(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute(statement)
        database.commit()


def test_sync_fills_the_projections(synced: Path) -> None:
    """Of all versions, up to the last event."""
    assert rows(synced, "SELECT count(DISTINCT version_id) FROM titles") == [(6,)]
    assert rows(synced, "SELECT DISTINCT event_id = (SELECT max(id) FROM events) FROM projection_cursors") == [(1,)]


def test_a_dry_run_fills_nothing(cli: Cli, at: dict[str, str], synced: Path) -> None:
    write(synced, "DELETE FROM projection_cursors")
    assert cli("sync", "--dry-run", **at).code == 0
    assert rows(synced, "SELECT * FROM projection_cursors") == []


def test_everything_is_filled_again(cli: Cli, at: dict[str, str], synced: Path) -> None:
    tables = ("changes", "intervals", "titles")
    before = {table: sorted(map(repr, rows(synced, f"SELECT * FROM {table}"))) for table in tables}
    write(synced, "UPDATE titles SET title = 'wrong'")
    write(synced, "DELETE FROM intervals")
    ran = cli("db", "rebuild", **at)
    assert (ran.code, ran.out) == (0, "default: 6 versions computed again.\n")
    assert {table: sorted(map(repr, rows(synced, f"SELECT * FROM {table}"))) for table in tables} == before


def test_one_projection_is_filled_again_and_the_others_stay(cli: Cli, at: dict[str, str], synced: Path) -> None:
    write(synced, "UPDATE titles SET title = 'wrong'")
    write(synced, "UPDATE intervals SET version_id = 'wrong'")
    ran = cli("db", "rebuild", "titles", "--json", **at)
    assert ran.json == {"source": "default", "projections": ["titles"], "filled_by": "command", "versions": 6}
    assert rows(synced, "SELECT count(*) FROM titles WHERE title = 'wrong'") == [(0,)]
    assert rows(synced, "SELECT DISTINCT version_id FROM intervals") == [("wrong",)]


def test_an_unknown_name_is_refused_with_the_known_ones(cli: Cli, at: dict[str, str], synced: Path) -> None:
    ran = cli("db", "rebuild", "title", **at)
    assert ran.code == 2
    assert "there is no projection 'title': choose from changes, intervals, links, titles" in " ".join(ran.err.split())


def test_a_daemon_that_runs_fills_them_itself(cli: Cli, at: dict[str, str], synced: Path) -> None:
    """Only the request is written."""
    with Mirror.open(f"sqlite:///{synced}") as mirror:
        mirror.transact(lambda tx: claim_for(tx, 1, Holder.of_this_process()))
    ran = cli("db", "rebuild", **at)
    assert (ran.code, ran.out) == (
        0,
        "default: the daemon fills them again. Until then they answer only in part.\n",
    )
    assert rows(synced, "SELECT * FROM projection_cursors") == []


def test_a_sync_that_runs_fills_them_itself(cli: Cli, at: dict[str, str], synced: Path) -> None:
    with Mirror.open(f"sqlite:///{synced}") as mirror:
        acquire(mirror, 1, Holder.of_this_process())
    ran = cli("db", "rebuild", "--json", **at)
    assert (ran.code, ran.json["filled_by"], ran.json["versions"]) == (0, "sync", None)


def test_an_empty_mirror_has_nothing_to_rebuild(cli: Cli) -> None:
    cli("db", "upgrade")
    ran = cli("db", "rebuild")
    assert (ran.code, ran.out) == (0, "")
