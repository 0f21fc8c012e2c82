"""`versionsync init`: tries what it was given, writes files that only their owner can read, overwrites nothing."""

from __future__ import annotations

import os
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from tests.integration.cli.conftest import Cli
from versionsync.cli.commands import init
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread

VARIABLE = {"DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A person at a terminal, who gives these answers in turn and then presses Ctrl-C. Empty: the default."""
    given: list[str] = []

    def prompt(question: str, default: str = "", **_: object) -> str:
        if not given:
            raise typer.Abort
        return given.pop(0) or default

    def confirm(question: str, *, default: bool, **_: object) -> bool:
        return prompt(question, "y" if default else "n") == "y"

    monkeypatch.setattr(typer, "prompt", prompt)
    monkeypatch.setattr(typer, "confirm", confirm)
    monkeypatch.setattr(init.sys.stdin, "isatty", lambda: True, raising=False)
    return given


def test_options_alone_write_a_file_with_which_a_sync_works(
    cli: Cli, upstream: SimulatorThread, tmp_path: Path
) -> None:
    ran = cli("init", "--yes", "--base-url", upstream.url, **VARIABLE)
    assert ran.code == 0
    assert "✓ token: it opens the project Simulated project" in ran.out
    assert "Next:    versionsync sync\n" in ran.out
    path = tmp_path / "versionsync.toml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert tomllib.loads(path.read_text()) == {
        "database_url": "sqlite:///versionsync.db",
        "sources": [
            {"name": "simulated-project", "api_token_env": "DATOCMS_API_TOKEN", "base_url": upstream.url},
        ],
        "daemon": {},
        "http": {},
    }
    assert FULL_ACCESS_TOKEN not in path.read_text()
    assert cli("sync", **VARIABLE).code == 0


@pytest.mark.parametrize(("file", "next"), [("versionsync.toml", ""), ("shop.toml", " --name shop")])
def test_settings_where_a_service_reads_them_are_followed_by_one(
    cli: Cli, upstream: SimulatorThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, next: str
) -> None:
    """A sync from there would fill another database, in the current folder."""
    monkeypatch.setattr("versionsync.cli.commands.init.SYSTEM_FILE", tmp_path / "versionsync.toml")
    ran = cli("init", "--yes", "--base-url", upstream.url, "--config", str(tmp_path / file), **VARIABLE)
    assert ran.code == 0
    assert f"Next:    versionsync service install{next}\n" in ran.out


def test_a_person_is_asked_and_the_token_goes_into_a_file_of_its_own(
    cli: Cli, upstream: SimulatorThread, tmp_path: Path, answers: list[str]
) -> None:
    upstream.act(lambda world: world.fork(world.account, "main", "spring"))
    answers += [FULL_ACCESS_TOKEN, "main", "website", "sqlite:///mine.db", "n", "n"]
    ran = cli("init", "--base-url", upstream.url)
    assert (ran.code, answers) == (0, [])
    assert "Project settings > API tokens" in ran.err
    settings = tomllib.loads((tmp_path / "versionsync.toml").read_text())
    assert settings["database_url"] == "sqlite:///mine.db"
    (source,) = settings["sources"]
    assert (source["name"], source["environment"], source["api_token_file"]) == (
        "website",
        "main",
        "versionsync.token",
    )
    token = tmp_path / "versionsync.token"
    assert (token.read_text(), token.stat().st_mode & 0o777) == (f"{FULL_ACCESS_TOKEN}\n", 0o600)
    assert cli("sync").code == 0
    assert (tmp_path / "mine.db").exists()


def test_nothing_is_overwritten_without_force(cli: Cli, upstream: SimulatorThread, tmp_path: Path) -> None:
    path = tmp_path / "versionsync.toml"
    path.write_text("# mine\n")
    ran = cli("init", "--yes", "--base-url", upstream.url, **VARIABLE)
    assert ran.code == 2
    assert "versionsync.toml exists already" in ran.err
    assert path.read_text() == "# mine\n"
    assert cli("init", "--yes", "--force", "--base-url", upstream.url, **VARIABLE).code == 0
    assert "[[sources]]" in path.read_text()


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_what_is_no_file_is_not_replaced(cli: Cli, tmp_path: Path, force: list[str]) -> None:
    """Not a link, dangling or not, nor a pipe: what it says names the file itself instead."""
    path = tmp_path / "versionsync.toml"
    (tmp_path / "mine.toml").write_text("# dear")
    for make, kind in (
        (lambda: path.symlink_to("mine.toml"), "a link to mine.toml"),
        (lambda: path.symlink_to("nowhere.toml"), "a link to nowhere.toml"),
        (lambda: os.mkfifo(path), "a named pipe"),
    ):
        make()
        before = path.lstat()
        ran = cli("init", "--yes", "--no-test", *force, "--config", str(path), **VARIABLE)
        assert ran.code == 2
        assert f"versionsync.toml is {kind}, which is not replaced" in ran.err
        assert os.path.samestat(path.lstat(), before)
        path.unlink()
    assert (tmp_path / "mine.toml").read_text() == "# dear"


def test_a_token_that_does_not_work_leaves_nothing_behind(
    cli: Cli, upstream: SimulatorThread, tmp_path: Path, answers: list[str]
) -> None:
    """A person is asked again until Ctrl-C; without one the command ends."""
    answers += ["0123456789abcdef", "<token>"]
    ran = cli("init", "--base-url", upstream.url)
    assert (ran.code, answers) == (130, [])
    assert "the API token is wrong" in ran.err
    assert "Nothing was written.\nTry another token, or press Ctrl-C to stop." in ran.err
    assert list(tmp_path.iterdir()) == []
    assert "0123456789abcdef" not in ran.written
    ran = cli("init", "--yes", "--base-url", upstream.url, DATOCMS_API_TOKEN="0123456789abcdef")
    assert ran.code == 4
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value", "code"), [("--environment", "nowhere", 4), ("--base-url", "ftp://x", 2), ("--name", "a b", 2)]
)
def test_a_wrong_option_is_no_reason_to_ask_for_another_token(
    cli: Cli, upstream: SimulatorThread, answers: list[str], option: str, value: str, code: int
) -> None:
    answers += [FULL_ACCESS_TOKEN, FULL_ACCESS_TOKEN]
    ran = cli("init", "--base-url", upstream.url, option, value)
    assert ran.code == code
    assert "Try another token" not in ran.err


def test_a_person_may_try_another_token(
    cli: Cli, upstream: SimulatorThread, tmp_path: Path, answers: list[str]
) -> None:
    """The project has one environment, so there is nothing to choose."""
    answers += ["0123456789abcdef", FULL_ACCESS_TOKEN, "", "", ""]
    assert cli("init", "--base-url", upstream.url).code == 0
    assert (tmp_path / "versionsync.token").read_text() == f"{FULL_ACCESS_TOKEN}\n"


def test_an_answer_that_cannot_be_is_asked_for_again(cli: Cli, upstream: SimulatorThread, answers: list[str]) -> None:
    upstream.act(lambda world: world.fork(world.account, "main", "spring"))
    answers += [
        FULL_ACCESS_TOKEN,
        "summer",
        "spring",
        "not a name!",
        "website",
        "mysql://x",
        "sqlite:///a.db",
        "y",
        "ftp://x",
        "",
    ]
    ran = cli("init", "--base-url", upstream.url)
    assert (ran.code, answers) == (0, [])
    assert "there is no environment summer" in ran.err
    source = tomllib.loads(Path("versionsync.toml").read_text())["sources"][0]
    assert (source["environment"], source["name"]) == ("spring", "website")


def test_the_first_sync_starts_at_once(cli: Cli, upstream: SimulatorThread, answers: list[str]) -> None:
    """It says how long that takes, and what comes next."""
    answers += [FULL_ACCESS_TOKEN, "website", "", "n", "y"]
    ran = cli("init", "--base-url", upstream.url)
    assert (ran.code, answers) == (0, [])
    assert "copies the whole history: 3 records, in less than a minute." in ran.err
    assert "safe on a live project" in " ".join(ran.err.split())
    assert "succeeded" in ran.out
    assert ran.out.endswith("Next:    versionsync run\n")
    assert Path("versionsync.db").exists()


def test_a_webhook_is_created_if_wanted(
    cli: Cli, upstream: SimulatorThread, tmp_path: Path, answers: list[str]
) -> None:
    """With a password of its own, which the receiver will ask for."""
    url = "https://my.host/webhooks/website"
    answers += [FULL_ACCESS_TOKEN, "website", "", "y", url, "n"]
    ran = cli("init", "--base-url", upstream.url)
    assert (ran.code, answers) == (0, [])
    assert "Next:    versionsync sync\n" in ran.out
    webhooks = cli("webhook", "status", "--json").json["sources"][0]["webhooks"]
    assert [webhook["url"] for webhook in webhooks] == [url]
    password = tmp_path / "website.webhook"
    assert password.stat().st_mode & 0o777 == 0o600
    assert password.read_text().strip() not in ran.written
    (source,) = tomllib.loads((tmp_path / "versionsync.toml").read_text())["sources"]
    assert source["webhook_password_file"] == "website.webhook"
    assert upstream.act(lambda world: [hook.http_basic_password for hook in world.webhooks.registered.values()]) == [
        password.read_text().strip()
    ]


def test_ctrl_c_at_a_question_leaves_nothing(
    cli: Cli, upstream: SimulatorThread, tmp_path: Path, answers: list[str]
) -> None:
    """Up to the last one before the files are written."""
    for given in ([FULL_ACCESS_TOKEN], [FULL_ACCESS_TOKEN, "", "", "y"]):
        answers += given
        ran = cli("init", "--base-url", upstream.url)
        assert (ran.code, answers) == (130, [])
        assert list(tmp_path.iterdir()) == []


def test_a_role_that_may_not_make_webhooks_is_no_obstacle(
    cli: Cli, upstream: SimulatorThread, answers: list[str]
) -> None:
    """The command that makes one later is shown."""
    upstream.act(
        lambda world: world.people.add_role(
            replace(world.people.tokens[FULL_ACCESS_TOKEN].role, can_manage_webhooks=False)
        )
    )
    answers += [FULL_ACCESS_TOKEN, "website", "", "y", "https://my.host/x", "n"]
    ran = cli("init", "--base-url", upstream.url)
    assert (ran.code, answers) == (0, [])
    assert "versionsync webhook install website --url https://my.host/x\n" in ran.err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "less than a minute"), (100, "about 2 minutes"), (7000, "about 117 minutes"), (10_000, "about 3 hours")],
)
def test_a_duration_is_written_in_words(seconds: float, words: str) -> None:
    assert init._about(seconds) == words


def test_without_a_terminal_and_without_a_token_it_says_what_is_missing(cli: Cli, tmp_path: Path) -> None:
    ran = cli("init")
    assert ran.code == 2
    assert "DATOCMS_API_TOKEN is not set" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_token_file_that_is_there_is_named_in_the_settings(
    cli: Cli, upstream: SimulatorThread, tmp_path: Path
) -> None:
    token = tmp_path / "mine.token"
    token.write_text(FULL_ACCESS_TOKEN)
    token.chmod(0o600)
    assert cli("init", "--yes", "--token-file", "mine.token", "--base-url", upstream.url).code == 0
    (source,) = tomllib.loads((tmp_path / "versionsync.toml").read_text())["sources"]
    assert source["api_token_file"] == "mine.token"


def test_an_environment_that_is_not_there_is_refused(cli: Cli, upstream: SimulatorThread, tmp_path: Path) -> None:
    ran = cli("init", "--yes", "--environment", "nowhere", "--base-url", upstream.url, **VARIABLE)
    assert ran.code == 4
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_option_is_reported_like_a_wrong_setting(cli: Cli) -> None:
    ran = cli("init", "--yes", "--base-url", "ftp://x", **VARIABLE)
    assert ran.code == 2
    assert "base_url must be an address that starts with https:// or http://" in ran.err


def test_without_trying_no_network_is_needed(cli: Cli, tmp_path: Path) -> None:
    ran = cli("init", "--yes", "--no-test", "--name", "web", "--json", **VARIABLE)
    assert ran.json == {"written": ["versionsync.toml"], "source": "web"}


def test_the_password_of_a_database_stays_in_its_variable(cli: Cli, tmp_path: Path) -> None:
    cli("init", "--yes", "--no-test", VERSIONSYNC_DATABASE_URL="postgresql://me:hunter22@db/x", **VARIABLE)
    assert "hunter22" not in (tmp_path / "versionsync.toml").read_text()


@pytest.mark.parametrize(
    ("project", "name"), [("Acme News (2026)", "acme-news-2026"), ("Ünïcode", "n-code"), ("日本", "default")]
)
def test_a_source_is_named_after_its_project(project: str, name: str) -> None:
    assert init._slug(project) == name
