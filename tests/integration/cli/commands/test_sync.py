"""`versionsync sync`, `events`: what a person and what a program see, and how it ends."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Cli
from tests.integration.cli.mirror_queries import version_count
from tests.integration.cli.worlds import blog
from versionsync.mirror.database import Mirror
from versionsync.mirror.tables.usage import requests_by_source
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread


def test_the_first_sync_makes_the_database_and_copies_everything(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    ran = cli("sync", **at)
    assert (ran.code, ran.err) == (0, "")
    head, row = ran.out.splitlines()
    assert head.split()[:3] == ["source", "outcome", "records"]
    assert row.split()[:4] == ["default", "succeeded", "3", "6"]
    assert version_count(tmp_path / "versionsync.db") == 6


def test_a_second_sync_writes_nothing(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    (source,) = cli("sync", "--json", **at).json["sources"]
    counts = source["counts"]
    assert (counts["versions_inserted"], counts["events_written"]) == (0, 0)


def test_what_is_sent_by_hand_is_counted_for_the_budget(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """Of each sync, but of no dry run, which writes nothing."""
    sent = 0
    for arguments in ((), ("--dry-run",), ("--full",)):
        (source,) = cli("sync", "--json", *arguments, **at).json["sources"]
        sent += 0 if arguments == ("--dry-run",) else source["counts"]["requests"]
        with Mirror.open(str(tmp_path / "versionsync.db")) as mirror, mirror.read() as connection:
            assert requests_by_source(connection, [1], since=date.min)[1] == sent


def test_json_is_one_object_and_nothing_else(cli: Cli, at: dict[str, str]) -> None:
    ran = cli("sync", "--json", **at)
    assert ran.err == ""
    assert ran.json["exit"] == 0
    (source,) = ran.json["sources"]
    assert source["source"] == "default"
    assert source["outcome"] == "succeeded"
    assert source["counts"]["versions_inserted"] == 6
    assert source["error"] is None


def test_a_dry_run_tells_and_writes_nothing(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    ran = cli("sync", "--dry-run", **at)
    assert ran.code == 0
    assert "default: 3 records would be read, 0 marked as deleted. Nothing was written." in ran.out
    assert version_count(tmp_path / "versionsync.db") == 0


def test_single_records_are_synced_alone(cli: Cli, at: dict[str, str], upstream: SimulatorThread) -> None:
    cli("sync", **at)
    one = upstream.act(lambda world: next(iter(world.environment(None).records)))
    (source,) = cli("sync", "--record", one, "--json", **at).json["sources"]
    assert (source["kind"], source["counts"]["records_pulled"]) == ("records", 1)


def test_a_record_that_nobody_knows_is_not_said_to_be_tried_again(cli: Cli, at: dict[str, str]) -> None:
    ran = cli("sync", "--record", "AAAAAAAAQACAAAAAAAAAAA", **at)
    assert ran.code == 3
    assert "record AAAAAAAAQACAAAAAAAAAAA: " in ran.err
    assert "tried again" not in ran.err


def test_what_excludes_each_other_is_refused(cli: Cli, at: dict[str, str]) -> None:
    for options in (("--record", "x", "--scrub", "2"), ("--full", "--scrub", "2"), ("--full", "--record", "x")):
        ran = cli("sync", *options, **at)
        assert (ran.code, "choose one of --full, --record and --scrub" in ran.err) == (2, True)


@pytest.mark.parametrize("id", ["", ".", "..", "a\nb", "x" * 70_000])
def test_what_cannot_be_an_id_is_refused_before_anything_is_asked(cli: Cli, at: dict[str, str], id: str) -> None:
    """As from a script whose variable is empty."""
    ran = cli("sync", "--record", id, **at)
    assert (ran.code, ran.out) == (2, "")
    assert "Invalid value for --record: this is not an id" in ran.err


def test_several_sources_run_side_by_side_and_a_failing_one_stops_no_other(
    cli: Cli, upstream: SimulatorThread, tmp_path: Path
) -> None:
    (tmp_path / "good.token").write_text(FULL_ACCESS_TOKEN)
    (tmp_path / "bad.token").write_text("0123456789abcdef")
    for name in ("good", "bad"):
        (tmp_path / f"{name}.token").chmod(0o600)
    (tmp_path / "versionsync.toml").write_text(
        "".join(
            f"[[sources]]\nname = '{name}'\napi_token_file = '{token}.token'\n"
            f"base_url = '{upstream.url}'\nrate_limit = 'none'\n"
            for name, token in (("first", "good"), ("broken", "bad"), ("second", "good"))
        )
    )
    ran = cli("sync")
    assert ran.code == 4
    outcomes = {line.split()[0]: line.split()[1] for line in ran.out.splitlines()[1:]}
    assert outcomes == {"first": "succeeded", "broken": "failed", "second": "succeeded"}
    assert "error: broken: " in ran.err
    assert "first" not in ran.err
    assert cli("sync", "first", "second").code == 0


def test_a_source_is_chosen_by_name_and_a_wrong_name_is_answered_with_the_nearest(cli: Cli, at: dict[str, str]) -> None:
    ran = cli("sync", "defualt", **at)
    assert ran.code == 2
    assert "there is no source called defualt" in ran.err
    assert "Did you mean default?" in ran.err


def test_events_show_the_last_ones_in_order(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    rows = cli("events", "--raw", "--limit", "3", **at).out.splitlines()
    ids = [int(row.split()[0]) for row in rows[1:]]
    assert len(ids) == 3
    assert ids == sorted(ids)
    assert cli("events", "--json", **at).lines[-1]["id"] == ids[-1]


def test_events_since_an_id_are_all_that_follow(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    every = cli("events", "--after", "0", "--json", **at).lines
    assert len(every) >= 20
    middle = every[len(every) // 2]["id"]
    later = cli("events", "--after", str(middle), "--json", **at).lines
    assert later == [event for event in every if event["id"] > middle]


def test_events_are_chosen_by_type(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    published = cli("events", "--type", "version.published", "--json", **at).lines
    assert {event["type"] for event in published} == {"version.published"}
    assert len(published) == 2
    assert published[0]["occurred_basis"] == "upstream"
    assert published[0]["occurred_at"] == "2026-09-01T09:00:00.000000Z"


def test_a_wrong_type_is_answered_with_the_nearest(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    ran = cli("events", "--type", "version.publshed", **at)
    assert ran.code == 2
    assert "Did you mean version.published?" in ran.err


def test_events_of_a_long_history_come_in_order_and_each_once(cli: Cli) -> None:
    with SimulatorThread(blog(records=60, versions=12)) as simulator:
        environ = {
            "DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN,
            "VERSIONSYNC_BASE_URL": simulator.url,
            "VERSIONSYNC_RATE_LIMIT": "none",
        }
        cli("sync", **environ)
        ids = [event["id"] for event in cli("events", "--after", "0", "--json", **environ).lines]
    assert len(ids) > 2000
    assert ids == sorted(set(ids))
