"""`versionsync status`: what is mirrored, how fresh, and what needs attention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Cli
from versionsync.cli.status import ago


def test_people_see_numbers_freshness_and_the_last_run(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    lines = [line.strip() for line in cli("status", **at).out.splitlines()]
    assert lines[0] == "default"
    assert lines[1].startswith("project      Simulated project (id ")
    assert lines[2] == "environment  main (the primary one, followed)"
    assert lines[3] == "mirrored     3 records, 6 versions, 20 events, 1 model"
    assert lines[4].startswith("fresh as of  ")
    assert lines[5].startswith("last run     #1 backfill, succeeded, ")


def test_programs_see_the_same(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    (source,) = cli("status", "--json", **at).json["sources"]
    assert source["mirrored"]["versions"] == 6
    assert source["last_run"]["outcome"] == "succeeded"
    assert source["attention"] == []


def test_a_failed_run_needs_attention(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    cli("sync", **(at | {"DATOCMS_API_TOKEN": "0123456789abcdef"}))
    (source,) = cli("status", "--json", **at).json["sources"]
    assert source["last_run"]["outcome"] == "failed"
    assert source["attention"][0].startswith("the last run failed: ")
    assert "0123456789abcdef" not in str(source)


def test_a_source_that_was_never_synced_is_shown_with_what_to_do(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    cli("sync", **at)
    (tmp_path / "versionsync.toml").write_text("[[sources]]\nname = 'default'\n[[sources]]\nname = 'shop'\n")
    assert cli("status").out.splitlines()[-1] == "! shop: not synced yet. Run: versionsync sync shop"


def test_an_empty_database_says_what_to_do(cli: Cli) -> None:
    cli("db", "upgrade")
    assert cli("status").out == "Nothing is mirrored yet. Run: versionsync sync\n"


def test_a_source_that_is_not_there_is_answered_with_the_nearest(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    ran = cli("status", "defalt", **at)
    assert ran.code == 2
    assert "Did you mean default?" in ran.err


@pytest.mark.parametrize(
    ("passed", "told"),
    [
        (timedelta(seconds=1), "1 second ago"),
        (timedelta(seconds=100), "100 seconds ago"),
        (timedelta(minutes=3), "3 minutes ago"),
        (timedelta(hours=30), "30 hours ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(seconds=-5), "0 seconds ago"),
    ],
)
def test_a_time_is_told_in_words(passed: timedelta, told: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert ago(now - passed, now) == told
