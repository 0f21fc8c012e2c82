"""`versionsync doctor`: each check a line with what to do; the first bad one decides; nothing is changed."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.fake_upstreams import Given, gateway, refusal
from tests.integration.cli.conftest import Cli, Ran
from tests.integration.cli.mirror_queries import rows
from versionsync.cli.checks import database as checks_database
from versionsync.mirror.database import Mirror
from versionsync.mirror.tables import leases
from versionsync.mirror.tables.sources import load_source
from versionsync.simulator import FULL_ACCESS_TOKEN, FaultKind, SimulatorThread, World


def findings(ran: Ran) -> dict[str, Any]:
    """The findings by the name of the check."""
    return {finding["check"]: finding for finding in ran.json["findings"]}


def test_where_all_is_well_it_says_so_and_ends_with_0(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    ran = cli("doctor", "--json", **at)
    found = findings(ran)
    assert ran.code == 0
    assert {name for name, finding in found.items() if finding["severity"] == "error"} == set()
    assert set(found) == {
        "settings",
        "file system",
        "disk space",
        "database",
        "schema",
        "integrity",
        "lease",
        "token",
        "environment",
        "versions",
        "history",
        "role",
        "users",
        "SSO users",
        "API tokens",
        "rate limit",
        "clock",
        "webhook",
    }


def test_people_see_a_symbol_and_a_line_for_each(cli: Cli, at: dict[str, str]) -> None:
    lines = cli("doctor", **at).out.splitlines()
    assert all(line[0] in "✓!✗ " for line in lines[:-2])
    assert "✓ default: environment: main, the primary one, is followed" in lines


def test_nothing_is_made_by_looking(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    assert cli("doctor", **at).code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_token_ends_with_the_code_that_a_sync_would_end_with(cli: Cli, at: dict[str, str]) -> None:
    ran = cli("doctor", "--json", **(at | {"DATOCMS_API_TOKEN": "0123456789abcdef"}))
    assert ran.code == 4
    token = findings(ran)["token"]
    assert (token["severity"], token["exit"]) == ("error", 4)
    assert "Set another token" in token["hint"]
    assert "0123456789abcdef" not in ran.written


def test_without_a_token_the_rest_is_still_looked_at(cli: Cli) -> None:
    ran = cli("doctor", "--json")
    found = findings(ran)
    assert ran.code == 2
    assert found["token"]["severity"] == "error"
    assert found["file system"]["severity"] == "ok"


def test_a_host_that_does_not_answer_is_told_soon(cli: Cli, at: dict[str, str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        ran = cli("doctor", "--json", **(at | {"VERSIONSYNC_BASE_URL": url}))
    assert ran.code == 5
    assert "Connection refused" in findings(ran)["token"]["message"]


@pytest.mark.parametrize("environment", [{}, {"VERSIONSYNC_ENVIRONMENT": "main"}])
def test_what_it_costs_that_the_role_may_not_see_the_environments_is_told(
    cli: Cli, at: dict[str, str], environment: dict[str, str]
) -> None:
    """Whether or not the settings name one: without the beacon no look is cheap."""
    refused = refusal("INSUFFICIENT_PERMISSIONS", 401)
    instead = {"/environments": refused}
    with gateway(at["VERSIONSYNC_BASE_URL"], instead=instead.get) as url:
        found = findings(cli("doctor", "--json", **at | environment | {"VERSIONSYNC_BASE_URL": url}))["environment"]
    assert found["severity"] == "warning"
    assert "each check costs as many requests as a list of all records" in found["hint"]
    assert ("promotion" in found["hint"]) is not bool(environment)


@pytest.mark.parametrize("is_named", [True, False])
def test_a_model_that_the_role_hides_is_told(
    cli: Cli, at: dict[str, str], upstream: SimulatorThread, is_named: bool
) -> None:
    """By its id, where upstream does not even name it."""

    def hide(world: World) -> tuple[str, str]:
        token = world.people.tokens[FULL_ACCESS_TOKEN]
        model = next(iter(world.primary.models.values()))
        role = world.people.add_role(replace(token.role, hidden_models=frozenset({model.id})))
        world.people.add_token(replace(token, role=role))
        world.options.hidden_models_are_named = is_named
        return model.id, model.api_key

    id, name = upstream.act(hide)
    found = findings(cli("doctor", "--json", **at))["role"]
    assert found["severity"] == "warning"
    assert (name if is_named else f"{id} (a model that is not named)") in found["message"]


def test_an_unknown_environment_is_told(cli: Cli, at: dict[str, str]) -> None:
    ran = cli("doctor", "--json", **at, VERSIONSYNC_ENVIRONMENT="nowhere")
    assert ran.code == 4
    assert findings(ran)["environment"]["severity"] == "error"


def test_broken_settings_are_the_only_finding(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "versionsync.toml").write_text("[[sources]]\nnmae = 'x'\n")
    ran = cli("doctor", "--json")
    assert ran.code == 2
    (finding,) = ran.json["findings"]
    assert finding["hint"] == "Did you mean sources[0].name?"


def test_files_with_sources_are_listed(cli: Cli, tmp_path: Path) -> None:
    """The first twenty, and how many more there are."""
    (tmp_path / "versionsync.toml").touch()
    (tmp_path / "sources.d").mkdir()

    def listed() -> list[str]:
        found = cli("doctor", "--json", DATOCMS_API_TOKEN="<token>").json["findings"]
        return [finding["message"] for finding in found if finding["check"] == "settings"]

    for name, sources in (("b", "cd"), ("a", "x")):
        text = "".join(f"[[sources]]\nname = '{source}'\n" for source in sources)
        (tmp_path / "sources.d" / f"{name}.toml").write_text(text)
    assert listed() == [
        "versionsync.toml; sources: x, c, d",
        "2 files in sources.d: a.toml (1 source), b.toml (2 sources)",
    ]
    for number in range(30):
        (tmp_path / "sources.d" / f"n{number:02}.toml").write_text(f"[[sources]]\nname = 's{number:02}'\n")
    settings, files = listed()
    assert settings.endswith(", s15, s16 and 13 more")
    assert files.startswith("32 files in sources.d: a.toml (1 source), ")
    assert files.endswith(", n17.toml (1 source) and 12 more")


def test_sources_are_checked_at_once_and_listed_in_order(
    cli: Cli, at: dict[str, str], upstream: SimulatorThread, tmp_path: Path
) -> None:
    names = [f"s{number}" for number in range(10)]
    entries = "".join(f"[[sources]]\nname = '{name}'\nbase_url = '{upstream.url}'\n" for name in names)
    (tmp_path / "versionsync.toml").write_text(entries)
    upstream.simulator.faults.plant(FaultKind.SLOW, path="/site", times=8, seconds=0.2)
    found = cli("doctor", "--json", DATOCMS_API_TOKEN=at["DATOCMS_API_TOKEN"]).json["findings"]
    tokens = [finding for finding in found if finding["check"] == "token"]
    assert [finding["source"] for finding in tokens] == names
    assert {finding["severity"] for finding in tokens} == {"ok"}


def test_a_variable_that_the_file_makes_void_is_worth_knowing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "versionsync.toml").write_text("[[sources]]\nname = 'x'\n")
    ran = cli("doctor", "--json", VERSIONSYNC_ENVIRONMENT="main")
    messages = [finding["message"] for finding in ran.json["findings"] if finding["severity"] == "warning"]
    assert "VERSIONSYNC_ENVIRONMENT has no effect: the file names its sources" in messages


def test_a_file_that_is_no_database_is_told(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "versionsync.db").write_text("hello " * 1000)
    ran = cli("doctor", "--json", **at)
    assert ran.code == 6
    assert (tmp_path / "versionsync.db").read_text() == "hello " * 1000


def test_a_full_disk_and_a_network_file_system_are_told(
    cli: Cli, at: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_database, "NO_SPACE", 1 << 62)
    monkeypatch.setattr(checks_database, "unsafe_for_wal", lambda _: "nfs4")
    found = findings(cli("doctor", "--json", **at))
    assert found["disk space"]["severity"] == "error"
    assert "is on nfs4, where SQLite's log is not safe" in found["file system"]["message"]


def test_a_postgresql_that_is_down_is_told_without_its_password(cli: Cli, at: dict[str, str]) -> None:
    ran = cli("doctor", "--json", **at, VERSIONSYNC_DATABASE_URL="postgresql://me:hunter22@127.0.0.1:1/x")
    assert ran.code == 6
    assert findings(ran)["database"]["severity"] == "error"
    assert "hunter22" not in ran.written


def test_somebody_who_writes_is_worth_knowing(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    with Mirror.open("versionsync.db") as mirror:
        with mirror.read() as connection:
            known = load_source(connection, "default")
        assert known is not None
        elsewhere = leases.Holder(host="elsewhere", pid=7)
        leases.acquire(mirror, known.id, elsewhere)
    lease = findings(cli("doctor", "--json", **at))["lease"]
    assert lease["severity"] == "warning"
    assert "process 7 on elsewhere is writing" in lease["message"]
    ran = cli("sync", **at)
    assert ran.code == 7
    assert "process 7 on elsewhere" in ran.err


def plan(limit: int | None) -> Given:
    """What a plan allows, as DatoCMS may state it."""
    attributes = {"code": "history_retention_days", "usage": 0, "limit": limit}
    body = json.dumps({"data": [{"id": "1", "type": "subscription_limit", "attributes": attributes}]})
    return Given(200, body, {"Content-Type": "application/json"})


def test_it_says_how_soon_history_is_lost(
    cli: Cli, at: dict[str, str], upstream: SimulatorThread, tmp_path: Path
) -> None:
    """Before the first sync, after it, and when too much time has passed."""

    def history(limit: int | None) -> dict[str, Any]:
        instead = {"/subscription-limits": plan(limit)}
        with gateway(at["VERSIONSYNC_BASE_URL"], instead=instead.get) as url:
            ran = cli("doctor", "--json", **at | {"VERSIONSYNC_BASE_URL": url})
        assert ran.code == 0, ran.written
        found: dict[str, Any] = findings(ran)["history"]
        return found

    upstream.act(lambda world: setattr(world.options, "limits_show_retention", False))
    assert "does not state" in findings(cli("doctor", "--json", **at))["history"]["message"]
    never = history(30)
    assert (never["severity"], "the mirror is not complete yet" in never["message"]) == ("warning", True)
    assert "sync default` now, then at least every 30 days" in never["hint"]
    cli("sync", **at)
    since = "2026-03-01T10:00:00.000000Z"
    rows(tmp_path / "versionsync.db", f"update sources set complete_as_of = '{since}'")
    well = history(36_500)
    assert well["severity"] == "ok"
    assert "sync before 2126-02-05 10:00:00 UTC, and at least every 36500 days" in well["message"]
    late = history(1)
    assert (late["severity"], "versions may be lost" in late["message"]) == ("warning", True)
    assert "at least once a day" in late["hint"]
    assert history(None)["message"] == "DatoCMS keeps all versions, by the project's plan"
    assert history(10**9)["severity"] == "ok"
