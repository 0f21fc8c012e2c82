"""`versionsync status`: what is mirrored, how fresh, and what needs attention."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Cli
from tests.integration.cli.mirror_queries import rows
from tests.integration.cli.processes import PROGRAM, environment
from versionsync.mirror.database import Mirror
from versionsync.mirror.holder import Holder
from versionsync.mirror.tables.sources import add_sources


def test_people_see_numbers_freshness_and_the_last_run(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    lines = [line.strip() for line in cli("status", **at).out.splitlines()]
    assert lines[0] == "default"
    assert lines[1].startswith("project      Simulated project (id ")
    assert lines[2] == "environment  main (the primary one)"
    assert lines[3] == "mirrored     3 records, 6 versions, 20 events, 1 model"
    assert lines[4].startswith("complete     as of ")
    assert lines[5].startswith("last run     #1 backfill, succeeded, ")
    assert re.fullmatch(r"last change  \d+ seconds? ago: 6 new versions, 20 events \(run #1\)", lines[6])


def test_programs_see_the_same(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    (source,) = cli("status", "--json", **at).json["sources"]
    assert source["counts"]["versions"] == 6
    assert source["last_run"]["outcome"] == "succeeded"
    assert source["last_runs"] == source["last_changes"] == [source["last_run"]]
    assert source["attention"] == []


def test_it_shows_when_history_will_be_lost(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """If that is known: as a line, as JSON, and as a warning when it is too late."""
    cli("sync", **at)
    assert "history" not in cli("status", **at).out
    (source,) = cli("status", "--json", **at).json["sources"]
    assert source["history"] is None
    database = tmp_path / "versionsync.db"
    rows(database, "update sources set history_retention_days = 36500, complete_as_of = '2026-03-01T10:00:00.000000Z'")
    line = "history      DatoCMS keeps versions for 36,500 days: sync before 2126-02-05 10:00:00 UTC"
    assert line in cli("status", **at).out
    (source,) = cli("status", "--json", **at).json["sources"]
    assert source["history"]["retention_days"] == 36_500
    assert time(source["history"]["sync_before"]) == datetime(2126, 2, 5, 10, tzinfo=UTC)
    assert not any("lost" in line for line in source["attention"])
    rows(database, "update sources set history_retention_days = 1, complete_as_of = '2026-01-01T00:00:00.000000Z'")
    late = cli("status", "--json", "--max-age", "1000000000", **at)
    assert (late.code, len(late.json["sources"][0]["attention"])) == (3, 1)
    assert "versions may be lost: DatoCMS keeps them for 1 day" in late.json["sources"][0]["attention"][0]


def test_a_failed_run_needs_attention(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    cli("sync", **(at | {"DATOCMS_API_TOKEN": "0123456789abcdef"}))
    (source,) = cli("status", "--json", **at).json["sources"]
    assert source["last_run"]["outcome"] == "failed"
    assert source["attention"][0].startswith("the last run failed: ")
    assert (source["exit"], source["last_run"]["error_kind"]) == (4, "refused")
    assert cli("status", **at).code == 4
    assert "0123456789abcdef" not in str(source)


def test_a_record_id_that_is_unknown_says_nothing_about_the_source(cli: Cli, at: dict[str, str]) -> None:
    """The command was wrong, and it said so. The run before it counts."""
    cli("sync", **at)
    for _ in range(4):
        assert cli("sync", "--record", "AAAAAAAAQACAAAAAAAAAAA", **at).code == 3
        ran = cli("status", "--json", **at)
        (source,) = ran.json["sources"]
        assert (ran.code, source["exit"], source["attention"]) == (0, 0, [])
        assert (source["last_run"]["outcome"], source["last_run"]["error_kind"]) == ("partial", "unknown_record")
    cli("sync", **(at | {"DATOCMS_API_TOKEN": "0123456789abcdef"}))
    for _ in range(4):
        cli("sync", "--record", "AAAAAAAAQACAAAAAAAAAAA", **at)
    assert cli("status", **at).code == 4
    cli("sync", **at)
    assert cli("status", **at).code == 0


def test_a_source_that_was_never_synced_has_a_hint(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    cli("sync", **at)
    (tmp_path / "versionsync.toml").write_text("[[sources]]\nname = 'default'\n[[sources]]\nname = 'shop'\n")
    assert cli("status").out.splitlines()[-1] == "! shop: not synced yet. Run: versionsync sync shop"


def test_an_empty_database_has_a_hint(cli: Cli) -> None:
    cli("db", "upgrade")
    assert cli("status").out == "Nothing is mirrored yet. Run: versionsync sync\n"


def test_an_unknown_source_is_answered_with_the_nearest(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    ran = cli("status", "defalt", **at)
    assert ran.code == 2
    assert "Did you mean default?" in ran.err


def test_the_exit_code_is_for_monitoring(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """0 right after a sync; 3 for what was never synced or is too old; 6 without a database."""
    assert cli("status", **at).code == 6
    cli("sync", **at)
    assert cli("status", **at).code == 0
    long_ago = "2026-01-01T00:00:00.000000Z"
    rows(tmp_path / "versionsync.db", f"update sources set complete_as_of = '{long_ago}'")
    stale = cli("status", "--json", **at)
    assert (stale.code, stale.json["exit"]) == (3, 3)
    assert "no complete check for" in stale.json["sources"][0]["attention"][0]
    assert cli("status", "--max-age", "1000000000", **at).code == 0
    cli("sync", **at)
    (tmp_path / "versionsync.toml").write_text("[[sources]]\nname = 'default'\n[[sources]]\nname = 'shop'\n")
    assert cli("status").code == 3
    assert cli("status", "default").code == 0


def test_a_source_whose_first_run_failed_is_shown_with_the_error(cli: Cli, at: dict[str, str]) -> None:
    """Its project is not known; the next run that succeeds puts that right."""
    failed = cli("sync", **at | {"DATOCMS_API_TOKEN": "wrong"})
    assert failed.code == 4
    shown = cli("status", **at)
    lines = [line.strip() for line in shown.out.splitlines()]
    assert lines[:3] == [
        "default",
        "project      not known yet: no run has read it",
        "mirrored     0 records, 0 versions, 0 events, 0 models",
    ]
    assert any(line.startswith("last run     #1 backfill, failed, ") for line in lines)
    assert "! the last run failed: " in shown.out
    assert "! no run has succeeded yet" in shown.out
    assert shown.code == 4
    assert cli("status", "default", **at).out.splitlines()[0] == "default"
    told = cli("status", "--json", **at).json
    (source,) = told["sources"]
    assert (told["exit"], told["unsynced"]) == (4, [])
    assert (source["project"], source["environment"]) == ({"id": None, "name": None}, None)
    assert source["last_run"]["error"] in source["attention"][0]
    assert source["requests"] == {"today": 1, "this_month": 1}
    assert cli("sync", **at).code == 0
    assert cli("status", **at).code == 0


def test_other_commands_say_that_nothing_is_mirrored_after_a_failed_first_run(cli: Cli, at: dict[str, str]) -> None:
    """As before it; a source that is named is not called unknown."""
    cli("sync", **at | {"DATOCMS_API_TOKEN": "wrong"})
    for command in (("events",), ("events", "--source", "default")):
        ran = cli(*command, **at)
        assert (ran.code, "nothing is mirrored yet" in ran.err) == (6, True)
    ran = cli("export", "--source", "default", "--format", "ndjson", **at)
    assert ran.code == 2
    assert "nothing of the source default is mirrored yet" in ran.err
    assert "versionsync status default" in ran.err
    assert "no process is writing" in cli("doctor", **at).out


def test_only_sources_of_the_settings_are_shown_before_anything_of_them_is_mirrored(
    cli: Cli, at: dict[str, str], tmp_path: Path
) -> None:
    """A name that was misspelled once, and has only a failed run, is no trouble for ever."""

    def settings(*names: str) -> None:
        url = at["VERSIONSYNC_BASE_URL"]
        sources = "".join(f"[[sources]]\nname = '{name}'\nbase_url = '{url}'\n" for name in names)
        (tmp_path / "versionsync.toml").write_text(sources)

    wrong = at | {"DATOCMS_API_TOKEN": "wrong"}
    settings("webiste")
    cli("sync", **wrong)
    settings("website", "shop")
    cli("sync", "website", **at)
    with Mirror.open(f"sqlite:///{tmp_path / 'versionsync.db'}") as mirror, mirror.write() as tx:
        add_sources(tx, ["shop"])
    told = cli("status", "--json", **at).json
    assert [source["source"] for source in told["sources"]] == ["website"]
    assert told["unsynced"] == ["shop"]
    named = cli("status", "shop", **at)
    assert (named.code, "shop: not synced yet" in named.out) == (3, True)
    assert cli("status", "webiste", **at).code == 4
    unknown, unread = (cli("events", "--source", name, **at) for name in ("nowhere", "shop"))
    assert unread.code == unknown.code
    assert "nothing of the source shop is mirrored yet" in unread.err


def test_several_sources_have_a_line_each_and_one_that_is_named_has_all_of_it(cli: Cli, at: dict[str, str]) -> None:
    """What needs attention is shown of each of them."""
    toml = "".join(f"[[sources]]\nname = '{name}'\nbase_url = '{at['VERSIONSYNC_BASE_URL']}'\n" for name in "ab")
    Path("versionsync.toml").write_text(toml.replace("name = 'b'\n", "name = 'b'\nbudget = '500/day'\n"))
    cli("sync", **at)
    # Either of them may come first and have the id 1.
    a_id = "(select id from sources where name = 'a')"
    rows(Path("versionsync.db"), f"update runs set outcome = 'failed', error = 'too bad' where source_id = {a_id}")
    rows(Path("versionsync.db"), f"delete from request_usage where source_id = {a_id}")
    rows(Path("versionsync.db"), "update request_usage set requests = 123")
    shown = cli("status", **at)
    head, a, b, attention, *_ = shown.out.splitlines()
    assert head.split() == ["source", "versions", "complete", "last", "run", "next", "run", "budget", "left"]
    assert a.split()[:3] == ["!", "a", "6"]
    assert b.split()[1:3] == ["b", "6"]
    assert b.split()[-1] == "377"
    assert attention == "! a: the last run failed: too bad"
    assert shown.code == 3
    assert "  budget       500 requests a day: 123 spent, 377 left, " in cli("status", "b", **at).out
    (budget,) = [one["budget"] for one in cli("status", "b", "--json", **at).json["sources"]]
    assert (budget["spent"], budget["left"], budget["period"]) == (123, 377, "day")


def test_the_sql_view_shows_the_same(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    cli("sync", **at)
    (source,) = cli("status", "--json", **at).json["sources"]
    (seen,) = rows(
        tmp_path / "versionsync.db",
        "select source, records, versions, last_success_at, last_complete_sweep_at, last_run_id, last_run_outcome "
        "from source_status",
    )
    run, counts = source["last_run"], source["counts"]
    expected = (source["source"], counts["records"], counts["versions"])
    times = [source["last_success_at"], source["last_complete_sweep_at"]]
    assert seen[:3] == expected
    assert [time(text) for text in seen[3:5]] == [time(text) for text in times]
    assert seen[5:] == (run["id"], run["outcome"])


def test_a_run_in_progress_is_shown(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """And needs no attention."""
    cli("sync", **at)
    database = tmp_path / "versionsync.db"
    me = Holder.of_this_process().to_json()
    rows(database, "update runs set outcome = 'running', finished_at = null")
    rows(database, f"update leases set holder = '{me}', expires_at = '2126-01-01T00:00:00.000000Z'")
    shown = cli("status", **at)
    assert "running      #1 backfill, since 0:0" in shown.out
    assert "3 records read, 20 events" in shown.out
    assert shown.code == 0
    assert cli("status", "--json", **at).json["sources"][0]["current_run"]["events"] == 20


def test_the_lag_and_a_lost_daemon_are_shown(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """In words for people, in seconds for programs."""
    cli("sync", **at)
    database = tmp_path / "versionsync.db"
    rows(database, "update runs set kind = 'incremental'")
    gone = replace(Holder.of_this_process(), start=1).to_json()
    times = "'2026-01-01T00:00:00.000000Z', '2126-01-01T00:00:00.000000Z'"
    rows(database, f"insert into daemons values (7, '{gone}', '[]', {times})")
    rows(database, "insert into source_claims values (1, 7, null, null)")
    took = "occurred_at = '2026-11-01T00:00:00.000000Z', observed_at = '2026-11-01T00:00:01.500000Z'"
    rows(database, f"update events set {took} where type = 'version.created'")
    shown = cli("status", **at)
    (source,) = cli("status", "--json", **at).json["sources"]
    assert "lag          half of the last 6 versions took at most 1.5 s, 90 % at most 1.5 s" in shown.out
    assert "daemon       none: process " in shown.out
    assert shown.code == 0
    assert source["lag"] == {"p50_seconds": 1.5, "p90_seconds": 1.5, "versions": 6}
    assert source["next_check"] is None


@pytest.mark.skipif(shutil.which("setpriv") is None and os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_database_is_shown(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """Whether its folder can be written or not."""
    cli("sync", **at)
    folder = tmp_path / "closed"
    folder.mkdir()
    (tmp_path / "versionsync.db").rename(folder / "versionsync.db")
    (folder / "versionsync.db").chmod(0o444)
    less = "-dac_override,-dac_read_search"
    drop = ["setpriv", f"--bounding-set={less}", f"--inh-caps={less}"] if os.geteuid() == 0 else []
    for mode in (0o555, 0o755):
        folder.chmod(mode)
        command = [*drop, *PROGRAM, "status", "--database", "versionsync.db"]
        ran = subprocess.run(command, cwd=folder, env=environment(**at), capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stderr) == (0, "")
    folder.chmod(0o755)


def time(text: str) -> datetime:
    """Return a time from the database or JSON."""
    return datetime.fromisoformat(text).astimezone(UTC)
