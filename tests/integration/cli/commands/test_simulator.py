"""`versionsync simulator` and `demo`: as processes, as a newcomer meets them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.integration.cli.conftest import Cli
from tests.integration.cli.mirror_queries import rows
from tests.integration.cli.processes import PROGRAM, environment, running
from versionsync.cli.commands.demo import QUESTIONS
from versionsync.cli.commands.simulator import CONTROL_TOKEN_VARIABLE


def test_the_simulator_says_where_it_is_serves_a_sync_and_ends_at_a_signal(cli: Cli, tmp_path: Path) -> None:
    with running(
        "simulator", "--port", "0", "--records", "20", "--versions", "3", "--rate-limit", "none", "--json", cwd=tmp_path
    ) as process:
        assert process.stdout
        told = json.loads(process.stdout.readline())
        assert (told["records"], told["versions"]) == (20, 60)
        ran = cli("sync", "--json", DATOCMS_API_TOKEN=told["token"], VERSIONSYNC_BASE_URL=told["url"])
        assert ran.json["sources"][0]["counts"]["versions_inserted"] == 60
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_several_projects_are_told_with_their_tokens_and_are_mirrored_apart(cli: Cli, tmp_path: Path) -> None:
    with running(
        "simulator", "--port", "0", "--projects", "3", "--rate-limit", "none", "--json", cwd=tmp_path
    ) as process:
        assert process.stdout
        told = json.loads(process.stdout.readline())
        assert (told["records"], told["versions"]) == (30, 180)
        assert [project["token"] for project in told["projects"]] == [
            told["token"],
            "simulator-full-access-2",
            "simulator-full-access-3",
        ]
        for number, project in enumerate(told["projects"]):
            at = {"DATOCMS_API_TOKEN": project["token"], "VERSIONSYNC_BASE_URL": told["url"]}
            ran = cli("sync", "--json", "--database", f"{number}.db", **at)
            assert ran.json["sources"][0]["counts"]["versions_inserted"] == 60
    titles = "select json_extract(attributes, '$.title') from versions"
    mirrored = [{row[0] for row in rows(tmp_path / f"{number}.db", titles)} for number in range(3)]
    assert len(set.union(*mirrored)) == 180


def test_a_mirror_is_served_as_a_local_project_with_its_history(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    cli("sync", **at)
    with running(
        "simulator", "--from-mirror", "--port", "0", "--rate-limit", "none", "--json", cwd=tmp_path
    ) as process:
        assert process.stdout
        told = json.loads(process.stdout.readline())
        assert (told["records"], told["versions"]) == (3, 6)
        copy = {"DATOCMS_API_TOKEN": told["token"], "VERSIONSYNC_BASE_URL": told["url"]}
        ran = cli("sync", "--json", "--database", "copy.db", **copy)
        assert ran.json["sources"][0]["counts"]["versions_inserted"] == 6
    query = "select id, hex(attributes_hash), is_current, is_published, created_at, editor_id from versions order by id"
    assert rows(tmp_path / "copy.db", query) == rows(tmp_path / "versionsync.db", query)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--from-mirror", "--news"], "choose one of"),
        (["--from-mirror", "--projects", "2"], "the projects of the database"),
        (["--with-deleted"], "needs --from-mirror"),
        (["--from-mirror", "--source", "elsewhere"], "no source called elsewhere"),
    ],
)
def test_a_copy_of_a_mirror_refuses_what_makes_no_sense(
    cli: Cli, at: dict[str, str], arguments: list[str], why: str
) -> None:
    cli("sync", **at)
    ran = cli("simulator", "--port", "0", *arguments)
    assert (ran.code, why in " ".join(ran.err.replace("│", " ").split())) == (2, True), ran.err


def test_a_thousand_projects_fit_a_terminal(tmp_path: Path) -> None:
    with running("simulator", "--port", "0", "--projects", "1000", "--records", "0", cwd=tmp_path) as process:
        assert process.stdout
        told = [process.stdout.readline() for _ in range(9)]
    assert told[0] == "1,000 projects: 0 records, 0 versions.\n"
    assert told[-1] == "simulator-full-access-2 to simulator-full-access-1000.\n"
    assert max(len(line) for line in told) <= 80


def test_editors_work_by_themselves_and_what_they_do_is_mirrored(cli: Cli, tmp_path: Path) -> None:
    simulated = ["simulator", "--port", "0", "--records", "5", "--rate-limit", "none", "--json"]
    with running(*simulated, "--projects", "2", "--live", "--pace", "3000", cwd=tmp_path) as process:
        assert process.stdout
        told = json.loads(process.stdout.readline())
        for number, project in enumerate(told["projects"]):
            at = {"DATOCMS_API_TOKEN": project["token"], "VERSIONSYNC_BASE_URL": told["url"]}
            database = f"{number}.db"
            cli("sync", "--database", database, **at)
            time.sleep(0.5)
            ran = cli("sync", "--json", "--database", database, **at)
            assert ran.json["sources"][0]["counts"]["events_written"] > 0
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_what_editors_do_is_shown_with_v(tmp_path: Path) -> None:
    with running(
        "simulator", "--port", "0", "--live", "--pace", "3000", "-v", "--projects", "2", cwd=tmp_path
    ) as process:
        assert process.stderr
        line = process.stderr.readline()
    assert re.match(r"\d\d:\d\d:\d\d  (Simulated project|Project 206)  [A-Z]\w+ [A-Z]\w+ \w+ ", line)


def test_an_address_that_others_can_reach_is_warned_of(tmp_path: Path) -> None:
    at = ["simulator", "--port", "0", "--records", "0", "--json"]
    secret = "sixteen-letters-"
    told = {}
    for host, environ in (("0.0.0.0", {}), ("0.0.0.0", {CONTROL_TOKEN_VARIABLE: secret}), ("localhost", {})):
        with running(*at, "--host", host, cwd=tmp_path, **environ) as process:
            assert process.stdout
            url = json.loads(process.stdout.readline())["url"].replace("0.0.0.0", "127.0.0.1")
            elsewhere = {"X-Forwarded-For": "203.0.113.7"}
            assert httpx.get(f"{url}/_simulator/").status_code == 200
            assert httpx.get(f"{url}/_simulator/", headers=elsewhere).status_code == 403
            answer = httpx.get(f"{url}/_simulator/", headers=elsewhere | {"Authorization": f"Bearer {secret}"})
            assert answer.status_code == (200 if environ else 403)
            process.send_signal(signal.SIGINT)
            told[host, bool(environ)] = process.communicate(timeout=60)[1]
    assert "tokens are no secret" in told["0.0.0.0", False]
    assert "no other machine can use them" in told["0.0.0.0", False]
    assert "other machines need the control token" in told["0.0.0.0", True]
    assert secret not in told["0.0.0.0", True]
    assert told["localhost", False] == ""


def test_a_control_token_that_is_easy_to_guess_is_refused(cli: Cli) -> None:
    ran = cli("simulator", "--control-token", "secret")
    assert (ran.code, "16 characters or more" in ran.err) == (2, True)
    assert "16 characters or more" in cli("simulator", **{CONTROL_TOKEN_VARIABLE: "has a space in it "}).err


def test_a_git_history_is_mirrored(cli: Cli, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()

    def git(*argv: str) -> None:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *argv], cwd=repository, check=True, capture_output=True)

    git("init", "-b", "main")
    for text in ("first\n", "second\n"):
        (repository / "page.md").write_text(text)
        git("add", "page.md")
        git("commit", "-m", text)
    with running("simulator", "--port", "0", "--git", str(repository), "--json", cwd=tmp_path) as process:
        assert process.stdout
        told = json.loads(process.stdout.readline())
        assert cli("sync", DATOCMS_API_TOKEN=told["token"], VERSIONSYNC_BASE_URL=told["url"]).code == 0
    contents = [row[0] for row in rows(tmp_path / "versionsync.db", "select attributes from versions order by ordinal")]
    assert [("first" in content, "second" in content) for content in contents] == [(True, False), (False, True)]


def test_a_folder_without_a_git_history_is_told(cli: Cli, tmp_path: Path) -> None:
    ran = cli("simulator", "--port", "0", "--git", str(tmp_path))
    assert ran.code == 2
    assert "not a git repository" in ran.err


def test_a_port_that_is_taken_is_told(cli: Cli, tmp_path: Path) -> None:
    with running("simulator", "--port", "0", "--records", "1", "--json", cwd=tmp_path) as process:
        assert process.stdout
        port = json.loads(process.stdout.readline())["url"].rpartition(":")[2]
        ran = cli("simulator", "--port", port, "--records", "1")
    assert ran.code == 2
    assert f"another program listens on 127.0.0.1:{port} already; 0 takes a port that is free" in ran.err


def test_a_wrong_fault_and_a_wrong_limit_are_told(cli: Cli) -> None:
    assert "there are internal_error, " in cli("simulator", "--fault", "nonsense=1").err
    assert "a whole number, 1 or more" in cli("simulator", "--rate-limit", "often").err
    assert (
        "choose one of --news, --git, --from-mirror and --records" in cli("simulator", "--news", "--records", "3").err
    )
    assert "needs --live" in cli("simulator", "--pace", "3").err
    assert "more than 0" in cli("simulator", "--live", "--pace", "0").err
    assert "a Git history is one project" in cli("simulator", "--git", ".", "--projects", "2").err


@pytest.mark.nightly
def test_the_demo_needs_nothing_takes_a_few_seconds_of_cpu_and_leaves_a_database(tmp_path: Path) -> None:
    begun = os.times().children_user
    run = subprocess.run(
        [*PROGRAM, "demo"], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    assert os.times().children_user - begun < 10
    assert run.stderr == ""
    for question in QUESTIONS:
        assert question.question in run.stdout
    assert "version.became_current" in run.stdout
    for question in QUESTIONS:
        assert rows(tmp_path / "versionsync-demo.db", question.sql), question.question


def test_the_demo_for_programs_is_one_object_and_can_be_run_again(cli: Cli) -> None:
    for _ in range(2):
        told = cli("demo", "--fast", "--json").json
        assert told["backfill"]["versions_inserted"] > 100
        assert told["sync"]["events_written"] == len(told["events"]) > 5
        assert len(told["answers"]) == 4
        titles = {event[3]: event[4] for event in told["events"]}  # the old version and its successor
        assert titles["version.superseded"] not in (None, titles["version.published"])


def test_the_demo_does_not_overwrite_another_mirror(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    cli("sync", "--database", "mine.db", **at)
    before = (tmp_path / "mine.db").read_bytes()
    ran = cli("demo", "--fast", "--database", "mine.db")
    assert ran.code == 2
    assert "holds another mirror" in ran.err
    assert (tmp_path / "mine.db").read_bytes() == before
