"""`versionsync webhook`: makes, shows, tries and removes a webhook of the source's own, and touches no other."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.integration.cli.conftest import Cli
from versionsync.cli.exit_codes import ExitCode
from versionsync.mirror.database import Mirror
from versionsync.mirror.tables.webhooks import LogCursor, log_cursor
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread, World
from versionsync.simulator.world.webhooks import Webhook

URL = "https://mirror.example/hooks"
RECEIVER = "https://mirror.example/webhooks/default"
NOWHERE = "http://127.0.0.1:9/"
ALL = ("create", "update", "delete", "publish", "unpublish")
TWO_SOURCES = '[[sources]]\nname = "one"\n\n[[sources]]\nname = "two"\n'


def there(upstream: SimulatorThread) -> list[Webhook]:
    """The webhooks of the project."""
    return upstream.act(lambda world: list(world.webhooks.registered.values()))


def edit(upstream: SimulatorThread) -> None:
    """Change a record, so that webhooks are called."""
    upstream.act(lambda world: world.update(world.user, next(iter(world.primary.records)), {"title": "edited"}))


@pytest.fixture
def answering() -> Iterator[str]:
    """A target that answers 204."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_it_is_made_once(cli: Cli, at: dict[str, str], upstream: SimulatorThread) -> None:
    """With what it should have; the second time there is nothing to do."""
    first = cli("webhook", "install", "--url", URL, **at)
    assert first.code == 0
    assert "It makes the webhook versionsync: default" in first.out
    assert URL in first.out
    second = cli("webhook", "install", "--url", URL, **at)
    assert second.code == 0
    assert "as it should be" in second.out
    assert cli("webhook", "install", "--json", **at).json["action"] == "none"
    (made,) = there(upstream)
    assert (made.name, made.url, made.enabled, made.auto_retry) == ("versionsync: default", URL, True, False)
    assert [(event.entity_type, event.event_types) for event in made.events] == [("item", ALL)]
    assert made.http_basic_user is None


def test_a_running_daemon_is_told(cli: Cli, at: dict[str, str], upstream: SimulatorThread, tmp_path: Path) -> None:
    """Through the database, where there is one that knows the source; when it is made, and when it is removed."""
    assert "within the hour" in cli("webhook", "install", "--url", NOWHERE, **at).out
    cli("sync", **at)
    cli("webhook", "remove", **at)
    with Mirror.open(str(tmp_path / "versionsync.db")) as mirror:

        def told() -> LogCursor:
            with mirror.read() as connection:
                found = log_cursor(connection, 1)
            assert found is not None
            assert found.is_invalid
            return found

        removed = told()
        assert "sees it within seconds" in cli("webhook", "install", "--url", NOWHERE, **at).out
        assert told().read_at > removed.read_at
        mended = told()
        assert "Done" not in cli("webhook", "install", **at).out
        assert told() == mended


def test_a_dry_run_does_nothing(cli: Cli, at: dict[str, str], upstream: SimulatorThread) -> None:
    """And says so."""
    ran = cli("webhook", "install", "--url", URL, "--dry-run", **at)
    assert (ran.code, there(upstream)) == (0, [])
    assert "It makes the webhook" in ran.out
    assert "Nothing was done." in ran.out
    told = cli("webhook", "install", "--url", URL, "--dry-run", "--json", **at).json
    assert (told["action"], told["done"], told["webhook"]["id"]) == ("create", False, None)
    cli("webhook", "install", "--url", URL, **at)
    assert "Would remove" in cli("webhook", "remove", "--dry-run", **at).out
    assert len(there(upstream)) == 1


def test_it_logs_in_with_the_password_of_the_settings(
    cli: Cli, at: dict[str, str], upstream: SimulatorThread, tmp_path: Path
) -> None:
    """Which is shown nowhere; another password is mended, and none at hand changes nothing."""
    (tmp_path / "versionsync.toml").write_text(
        f'[[sources]]\nname = "default"\nbase_url = "{upstream.url}"\nrate_limit = "none"\n'
        'webhook_password_env = "HOOK"\n'
    )
    ran = cli("webhook", "install", "--url", URL, **at, HOOK="hush-hush-hush-1")
    assert ran.code == 0
    (made,) = there(upstream)
    assert (made.http_basic_user, made.http_basic_password) == ("versionsync", "hush-hush-hush-1")
    again = cli("webhook", "install", **at, HOOK="hush-hush-hush-2")
    assert "another password" in again.out
    assert there(upstream)[0].http_basic_password == "hush-hush-hush-2"
    (tmp_path / "versionsync.toml").unlink()
    assert cli("webhook", "install", "--json", **at).json["action"] == "none"
    assert "hush" not in ran.written + again.written + cli("webhook", "status", "--json", **at).written


def with_password_in(file: str, upstream: SimulatorThread, tmp_path: Path) -> None:
    """Settings that name a file for the password of the webhook."""
    (tmp_path / "versionsync.toml").write_text(
        f'[[sources]]\nname = "default"\nbase_url = "{upstream.url}"\nrate_limit = "none"\n'
        f'webhook_password_file = "{file}"\n'
    )


def test_it_makes_a_password_and_stores_it(
    cli: Cli, at: dict[str, str], upstream: SimulatorThread, tmp_path: Path
) -> None:
    """Once, where the settings say; it is shown nowhere."""
    with_password_in("default.webhook", upstream, tmp_path)
    file = tmp_path / "default.webhook"
    dry = cli("webhook", "install", "--url", RECEIVER, "--dry-run", **at)
    assert (dry.code, file.exists()) == (0, False)
    assert "a new password" in dry.out
    ran = cli("webhook", "install", "--url", RECEIVER, **at)
    assert ran.code == 0
    password = file.read_text().strip()
    assert len(password) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert there(upstream)[0].http_basic_password == password
    again = cli("webhook", "install", **at)
    assert (again.code, file.read_text().strip()) == (0, password)
    assert "as it should be" in again.out
    assert password not in dry.written + ran.written + again.written


def test_a_password_that_cannot_be_stored_makes_no_webhook(
    cli: Cli, at: dict[str, str], upstream: SimulatorThread, tmp_path: Path
) -> None:
    """It would be lost."""
    with_password_in("nowhere/default.webhook", upstream, tmp_path)
    ran = cli("webhook", "install", "--url", RECEIVER, **at)
    assert (ran.code, there(upstream)) == (2, [])
    assert "cannot be stored" in ran.err


def test_a_receiver_without_a_password_is_refused(cli: Cli, at: dict[str, str], upstream: SimulatorThread) -> None:
    """It would answer every call with 404."""
    ran = cli("webhook", "install", "--url", RECEIVER, **at)
    assert (ran.code, there(upstream)) == (2, [])
    assert "no password" in ran.err
    assert 'webhook_password_file = "default.webhook"' in ran.err


@pytest.mark.parametrize("command", [("run",), ("webhook", "install", "--url", "https://mirror.example/hooks")])
def test_a_password_that_can_be_guessed_is_refused(
    cli: Cli, at: dict[str, str], upstream: SimulatorThread, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """With its length, and never itself."""
    with_password_in("default.webhook", upstream, tmp_path)
    (tmp_path / "default.webhook").write_text("fifteen-letters\n")
    (tmp_path / "default.webhook").chmod(0o600)
    ran = cli(*command, **at)
    assert (ran.code, there(upstream)) == (2, [])
    assert "has 15 characters" in ran.err
    assert "fifteen-letters" not in ran.written


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("enabled", False, "enabled"),
        ("auto_retry", True, "when nobody answers"),
        ("custom_payload", "{}", "payload"),
        ("events", (), "called for records"),
    ],
)
def test_what_is_wrong_with_it_is_mended(
    cli: Cli, at: dict[str, str], upstream: SimulatorThread, setting: str, value: object, told: str
) -> None:
    """And what was added to it stays."""
    cli("webhook", "install", "--url", URL, **at)
    right = getattr(there(upstream)[0], setting)
    upstream.act(lambda world: [setattr(one, setting, value) for one in world.webhooks.registered.values()])
    upstream.act(lambda world: [one.headers.update({"X-Way": "in"}) for one in world.webhooks.registered.values()])
    ran = cli("webhook", "install", **at)
    assert "It changes the webhook" in ran.out
    assert told in ran.out
    (mended,) = there(upstream)
    assert (getattr(mended, setting), mended.headers) == (right, {"X-Way": "in"})


def test_two_mirrors_do_not_fight_over_one_webhook(cli: Cli, at: dict[str, str], upstream: SimulatorThread) -> None:
    """Each has its own, by its URL; which one is meant must be said."""
    other = "https://other.example/hooks"
    cli("webhook", "install", "--url", URL, **at)
    ran = cli("webhook", "install", "--url", other, **at)
    assert "Left alone: versionsync: default" in ran.out
    assert {(one.name, one.url) for one in there(upstream)} == {
        ("versionsync: default", URL),
        ("versionsync: default (other.example)", other),
    }
    unclear = cli("webhook", "remove", **at)
    assert unclear.code == ExitCode.USAGE
    assert other in unclear.err
    assert cli("webhook", "remove", "--url", other, **at).code == 0
    assert [one.url for one in there(upstream)] == [URL]


def test_only_ours_is_removed(cli: Cli, at: dict[str, str], upstream: SimulatorThread) -> None:
    """Once; others stay, also one that is called nearly so."""
    upstream.act(lambda world: world.webhooks.register("versionsync: default-2", URL))
    upstream.act(lambda world: world.webhooks.register("build", "https://build.example/"))
    assert cli("webhook", "remove", "--json", **at).json["done"] is False
    cli("webhook", "install", "--url", URL, **at)
    assert cli("webhook", "remove", **at).code == 0
    assert "nothing to remove" in cli("webhook", "remove", **at).out
    assert {one.name for one in there(upstream)} == {"versionsync: default-2", "build"}


def test_status_shows_the_last_calls(cli: Cli, at: dict[str, str], upstream: SimulatorThread, answering: str) -> None:
    """Before, without and with calls; for people and for programs."""
    nothing = cli("webhook", "status", **at)
    assert (nothing.code, "webhook install" in nothing.out) == (0, True)
    assert cli("webhook", "status", "--json", **at).json["sources"][0]["installed"] is False
    cli("webhook", "install", "--url", answering, **at)
    assert "none yet" in cli("webhook", "status", **at).out
    edit(upstream)
    assert cli("webhook", "test", **at).code == 0
    shown = cli("webhook", "status", **at).out
    assert "update" in shown
    assert "success" in shown
    assert "204" in shown
    (webhook,) = cli("webhook", "status", "--json", **at).json["sources"][0]["webhooks"]
    assert (webhook["url"], webhook["tells_all"], webhook["events"]) == (answering, True, sorted(ALL))
    assert (webhook["calls"][0]["status"], webhook["calls"][0]["http_status"]) == ("success", 204)
    upstream.act(lambda world: [setattr(one, "enabled", False) for one in world.webhooks.registered.values()])
    assert "it is disabled" in cli("webhook", "status", **at).out


def test_one_source_that_cannot_be_asked_hides_no_other(
    cli: Cli, at: dict[str, str], upstream: SimulatorThread, tmp_path: Path
) -> None:
    """It is named, and the others are shown."""
    settings = "".join(
        f"[[sources]]\nname = '{name}'\nbase_url = '{url}'\n"
        for name, url in (("gone", NOWHERE), ("web", upstream.url))
    )
    (tmp_path / "versionsync.toml").write_text(settings)
    ran = cli("webhook", "status", **at)
    assert ran.code == ExitCode.UPSTREAM_UNAVAILABLE
    assert "error: gone: GET /webhooks: no connection" in ran.err
    assert "versionsync webhook install web --url URL" in ran.out
    gone, web = cli("webhook", "status", "--json", **at).json["sources"]
    assert (gone["error"]["kind"], web["installed"]) == ("upstream_unavailable", False)


def test_a_test_needs_a_call_to_repeat(cli: Cli, at: dict[str, str], upstream: SimulatorThread) -> None:
    """Nothing is touched to have one; and without a webhook there is nothing at all."""
    assert cli("webhook", "test", **at).code == ExitCode.USAGE
    cli("webhook", "install", "--url", NOWHERE, **at)
    ran = cli("webhook", "test", **at)
    assert (ran.code, "Save any record" in ran.out) == (ExitCode.PARTIAL, True)
    assert cli("webhook", "test", "--json", **at).json == {"source": "default", "tested": False}


def test_a_test_tells_the_answer_and_how_long_it_took(
    cli: Cli, at: dict[str, str], upstream: SimulatorThread, answering: str
) -> None:
    """Or that nobody answered, with another exit code."""
    upstream.act(lambda world: world.clock.run())
    cli("webhook", "install", "--url", answering, **at)
    edit(upstream)
    ran = cli("webhook", "test", **at)
    assert (ran.code, "answered 204 within" in ran.out) == (0, True)
    assert cli("webhook", "test", "--json", **at).json["http_status"] == 204
    upstream.act(lambda world: [setattr(one, "url", NOWHERE) for one in world.webhooks.registered.values()])
    failed = cli("webhook", "test", **at)
    assert (failed.code, "did not answer" in failed.out) == (ExitCode.PARTIAL, True)


def test_a_test_does_not_wait_for_the_retries_of_days(cli: Cli, at: dict[str, str], upstream: SimulatorThread) -> None:
    """A call that failed and is rescheduled has failed: that is reported within seconds."""
    upstream.act(lambda world: world.clock.run())
    cli("webhook", "install", "--url", NOWHERE, **at)
    upstream.act(lambda world: [setattr(one, "auto_retry", True) for one in world.webhooks.registered.values()])
    edit(upstream)
    ran = cli("webhook", "test", "--json", **at)
    assert (ran.code, ran.json["status"]) == (ExitCode.PARTIAL, "rescheduled")
    assert ran.json["seconds"] < 15


def test_a_role_that_may_not_manage_webhooks_is_told(cli: Cli, at: dict[str, str], upstream: SimulatorThread) -> None:
    """By every verb, with what it lacks."""

    def restrict(world: World) -> None:
        world.people.add_role(replace(world.people.tokens[FULL_ACCESS_TOKEN].role, can_manage_webhooks=False))

    upstream.act(restrict)
    for verb in (["install", "--url", URL], ["status"], ["remove"], ["test"]):
        ran = cli("webhook", *verb, **at)
        assert ran.code == ExitCode.UPSTREAM_REFUSED, verb
        assert "manage webhooks" in ran.err


@pytest.mark.parametrize(
    "url", ["mirror.example", "ftp://x.example/", "https://", "https://u:p@x.example/", "https://x y/"]
)
def test_a_bad_url_is_refused(cli: Cli, at: dict[str, str], upstream: SimulatorThread, url: str) -> None:
    """Without anything being made."""
    ran = cli("webhook", "install", "--url", url, **at)
    assert (ran.code, there(upstream)) == (ExitCode.USAGE, [])
    assert "u:p" not in ran.written


def test_what_is_meant_must_be_clear(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """A URL for a new one; a source where there are several."""
    assert "--url" in cli("webhook", "install", **at).err
    (tmp_path / "versionsync.toml").write_text(TWO_SOURCES)
    ran = cli("webhook", "install", "--url", URL, **at)
    assert (ran.code, "one, two" in ran.err) == (ExitCode.USAGE, True)
