"""`versionsync erase`: the plan, the confirmation, what is written, and what programs read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.conftest import Cli
from versionsync.history.names import short_id
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


@pytest.fixture
def post(synced: Path) -> tuple[str, str]:
    """The id and the title of a post."""
    (found,) = rows(synced, "SELECT record_id, title FROM titles ORDER BY record_id, version_id DESC LIMIT 1")
    return found


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Somebody sits before standard input."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    return monkeypatch


def test_a_dry_run_shows_the_plan_and_changes_nothing(
    cli: Cli, at: dict[str, str], synced: Path, post: tuple[str, str]
) -> None:
    before = synced.read_bytes()
    ran = cli("erase", post[0], "--dry-run", **at)
    assert ran.code == 0
    assert f"Erase all content of post {short_id(post[0])} (default):" in ran.out
    assert "cannot be undone" in ran.out
    assert post[1] not in ran.written
    found = cli("erase", post[0], "--dry-run", "--json", **at).json
    assert found == {
        "source": "default",
        "record_id": post[0],
        "field_id": None,
        "locale": None,
        "covered_by": None,
        "versions": 2,
        "rewrites": 0,
        "events": 0,
        "projections": {**found["projections"], "titles": 2, "links": 0},
        "restore_plans": [],
        "erased": False,
    }
    assert set(found["projections"]) == {"changes", "titles", "links", "passages"}
    assert synced.read_bytes() == before


def test_without_a_terminal_nothing_is_erased_unless_yes_is_said(
    cli: Cli, at: dict[str, str], synced: Path, post: tuple[str, str]
) -> None:
    for options in ((), ("--json",)):
        ran = cli("erase", post[0], *options, **at)
        assert ran.code == 2
        assert "use --yes" in ran.err
    assert rows(synced, "SELECT count(*) FROM erasures") == [(0,)]


@pytest.mark.parametrize(("typed", "erasures"), [("short", 1), ("long", 1), ("yes", 0)])
def test_the_short_id_confirms(
    cli: Cli,
    at: dict[str, str],
    synced: Path,
    post: tuple[str, str],
    terminal: pytest.MonkeyPatch,
    typed: str,
    erasures: int,
) -> None:
    words = {"short": short_id(post[0]), "long": post[0]}
    terminal.setattr("typer.prompt", lambda *_, **__: words.get(typed, typed))
    ran = cli("erase", post[0], **at)
    assert ran.code == 0
    assert post[1] in ran.err, "a person who is asked sees the title"
    assert post[1] not in ran.out
    assert rows(synced, "SELECT count(*) FROM erasures") == [(erasures,)]


def test_no_log_line_and_no_result_has_content(
    cli: Cli, at: dict[str, str], synced: Path, post: tuple[str, str]
) -> None:
    ran = cli("erase", post[0], "--yes", "--json", "--reason", "request 117", "--debug", **at)
    assert (ran.code, ran.json["erased"], ran.json["cleaned"], ran.json["erasure"]) == (0, True, True, 1)
    assert '"record.erased"' in ran.err
    assert post[1] not in ran.written
    assert post[1].encode() not in synced.read_bytes()
    (row,) = cli("erase", "--list", "--json", **at).lines
    assert (row["record_id"], row["reason"], row["lifted_at"]) == (post[0], "request 117", None)
    assert row["cleaned_at"] is not None
    assert "request 117" in cli("erase", "--list", **at).out
    events = cli("events", "--record", post[0], "--raw", **at).out
    assert "record.erased" in events
    assert "erased here on request" in cli("events", "--record", post[0], **at).out


def test_an_erasure_is_lifted(cli: Cli, at: dict[str, str], post: tuple[str, str]) -> None:
    assert cli("erase", post[0], "--yes", **at).code == 0
    ran = cli("erase", "--lift", "1", **at)
    assert ran.code == 0
    assert "later versions" in ran.out
    assert "lifted" in cli("erase", "--list", **at).out
    again = cli("erase", "--lift", "1", **at)
    assert again.code == 2
    assert "lifted already" in again.err
    assert "there is no erasure 7" in cli("erase", "--lift", "7", **at).err


def test_a_source_that_is_written_to_is_code_7(
    cli: Cli, at: dict[str, str], synced: Path, post: tuple[str, str]
) -> None:
    with Mirror.open(f"sqlite:///{synced}") as mirror:
        acquire(mirror, 1, Holder("elsewhere", 1))
    ran = cli("erase", post[0], "--yes", "--wait", "0", **at)
    assert ran.code == 7
    assert "--wait SECONDS" in ran.err
    assert rows(synced, "SELECT count(*) FROM erasures") == [(0,)]


def test_a_full_disk_is_partial_and_the_content_is_gone(
    cli: Cli, at: dict[str, str], synced: Path, post: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction is done; only the file is not written again."""
    from versionsync.mirror.errors import DatabaseUnavailable

    def full(*_: object) -> bool:
        raise DatabaseUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Mirror, "clean", full)
        ran = cli("erase", post[0], "--yes", **at)
    assert ran.code == 3
    assert "run the same command again" in ran.err
    assert rows(synced, "SELECT count(*) FROM titles WHERE record_id = '%s'" % post[0]) == [(0,)]  # noqa: UP031
    assert cli("erase", post[0], "--yes", **at).code == 0
    assert cli("erase", "--list", "--json", **at).lines[0]["cleaned_at"] is not None


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("one", "--list"),
        ("--list", "--lift", "1"),
        ("one", "--locale", "en"),
        ("one", "--upload", "two"),
        ("--upload", "two", "--field", "title"),
    ],
    ids=" ".join,
)
def test_one_thing_is_asked_at_a_time(cli: Cli, at: dict[str, str], synced: Path, argv: tuple[str, ...]) -> None:
    assert cli("erase", *argv, **at).code == 2


def test_an_unknown_record_is_named(cli: Cli, at: dict[str, str], synced: Path) -> None:
    ran = cli("erase", "no-such-post", "--dry-run", **at)
    assert ran.code == 2
    assert "no-such-post" in ran.err


def test_a_file_is_erased(cli: Cli, at: dict[str, str], synced: Path) -> None:
    with closing(sqlite3.connect(synced)) as database, database:
        database.execute(
            "INSERT INTO uploads (source_id, id, filename, basename, first_seen_at, changed_at, tags)"
            " SELECT 1, 'abcdefghijklmnop', 'portrait.jpg', 'portrait', first_seen_at, first_seen_at, '[]'"
            " FROM records LIMIT 1"
        )
    ran = cli("erase", "--upload", "portrait.jpg", "--dry-run", **at)
    assert ran.code == 0
    assert "Erase what is known of the file abcdefgh (default):" in ran.out
    assert cli("erase", "--upload", "portrait.jpg", "--dry-run", "--json", **at).json == {
        "source": "default",
        "upload_id": "abcdefghijklmnop",
        "covered_by": None,
        "uploads": 1,
        "upload_changes": 0,
        "records": [],
        "versions": 0,
        "rewrites": 0,
        "restore_plans": [],
        "erased": False,
    }
    ran = cli("erase", "--upload", "portrait.jpg", "--yes", "--json", "--debug", **at)
    assert (ran.code, ran.json["erased"], ran.json["cleaned"], ran.json["erasure"]) == (0, True, True, 1)
    assert '"upload.erased"' in ran.err
    assert b"portrait" not in synced.read_bytes()
    assert "abcdefghijklmnop" in cli("erase", "--list", **at).out
    lifted = cli("erase", "--lift", "1", "--json", **at)
    assert (lifted.code, lifted.json["upload_id"]) == (0, "abcdefghijklmnop")


def test_an_unknown_file_is_named(cli: Cli, at: dict[str, str], synced: Path) -> None:
    ran = cli("erase", "--upload", "no-such-file.jpg", "--dry-run", **at)
    assert ran.code == 2
    assert "no-such-file.jpg" in ran.err
