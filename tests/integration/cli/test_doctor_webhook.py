"""What `doctor` says of a source's webhook: advice, never a failure, for two requests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.commands.test_webhook import NOWHERE, edit
from tests.integration.cli.commands.test_webhook import RECEIVER as URL
from tests.integration.cli.conftest import Cli
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread, World


def told(cli: Cli, at: dict[str, str]) -> list[dict[str, Any]]:
    """What it says of the webhook and its calls; all else is well."""
    ran = cli("doctor", "--json", **at)
    assert ran.code == 0, ran.written
    return [finding for finding in ran.json["findings"] if finding["check"].startswith("webhook")]


def change(upstream: SimulatorThread, **settings: object) -> None:
    """Somebody changes it in DatoCMS."""

    def set_all(world: Any) -> None:
        for webhook in world.webhooks.registered.values():
            for name, value in settings.items():
                setattr(webhook, name, value)

    upstream.act(set_all)


def test_none_is_needed_and_one_is_advised(cli: Cli, at: dict[str, str]) -> None:
    (none,) = told(cli, at)
    assert (none["severity"], none["message"]) == ("warning", "there is none, and none is needed")
    assert "versionsync webhook install default --url" in none["hint"]


def test_one_that_was_installed_is_good(cli: Cli, at: dict[str, str], upstream: SimulatorThread) -> None:
    """Also without a receiver: that nobody answers its calls does no harm, their log is read."""
    cli("webhook", "install", "--url", NOWHERE, **at)
    webhook, calls = told(cli, at)
    assert (webhook["severity"], calls["severity"]) == ("ok", "ok")
    assert NOWHERE in webhook["message"]
    assert calls["message"] == "there was none yet; their log can be read"
    edit(upstream)
    before = upstream.simulator.requests.total
    _, calls = told(cli, at)
    assert calls["severity"] == "ok"
    assert "their log can be read" in calls["message"]
    assert upstream.simulator.requests.total - before < 16


@pytest.mark.parametrize(
    ("settings", "flaw"),
    [
        ({"enabled": False}, "it is disabled"),
        ({"auto_retry": True}, "DatoCMS repeats a failed call"),
        ({"url": "https://mirror.example/hooks"}, "which is not the receiver of default"),
        ({"http_basic_user": "somebody"}, "its user or password is not that of the settings"),
    ],
)
def test_what_somebody_changed_is_told(
    cli: Cli, at: dict[str, str], upstream: SimulatorThread, settings: dict[str, object], flaw: str
) -> None:
    """With what mends it."""
    toml = f"[[sources]]\nname = 'default'\nbase_url = '{at['VERSIONSYNC_BASE_URL']}'\nrate_limit = 'none'\n"
    Path("versionsync.toml").write_text(f"{toml}webhook_password_env = 'WEBHOOK_PASSWORD'\n")
    at = {"DATOCMS_API_TOKEN": at["DATOCMS_API_TOKEN"], "WEBHOOK_PASSWORD": "correct horse battery"}
    cli("webhook", "install", "--url", URL, **at)
    assert [finding["severity"] for finding in told(cli, at)] == ["ok", "ok"]
    change(upstream, **settings)
    found = told(cli, at)[0]
    assert found["severity"] == "warning"
    assert flaw in found["message"]
    assert found["hint"]
    assert "correct horse battery" not in str(found)


def test_calls_that_are_to_be_made_again_have_not_arrived(
    cli: Cli, at: dict[str, str], upstream: SimulatorThread
) -> None:
    """With automatic retries a call is `rescheduled` for days before DatoCMS gives up on it."""
    toml = f"[[sources]]\nname = 'default'\nbase_url = '{at['VERSIONSYNC_BASE_URL']}'\nrate_limit = 'none'\n"
    Path("versionsync.toml").write_text(f"{toml}webhook_password_env = 'WEBHOOK_PASSWORD'\n")
    at = {"DATOCMS_API_TOKEN": at["DATOCMS_API_TOKEN"], "WEBHOOK_PASSWORD": "correct horse battery"}
    cli("webhook", "install", "--url", URL, **at)
    change(upstream, auto_retry=True)
    edit(upstream)
    upstream.act(lambda world: [setattr(call, "status", "rescheduled") for call in world.webhooks.calls.values()])
    calls = told(cli, at)[-1]
    assert (calls["check"], calls["severity"]) == ("webhook calls", "warning")
    assert "of the last" in calls["message"]
    assert "did not arrive" in calls["message"]


def test_a_receiver_without_a_password_is_told(cli: Cli, at: dict[str, str], upstream: SimulatorThread) -> None:
    """It would answer 404 to every call."""
    cli("webhook", "install", "--url", NOWHERE, **at)
    change(upstream, url=URL)
    assert "the settings have no password for it" in told(cli, at)[0]["message"]


def test_a_role_that_may_not_see_webhooks_is_no_failure(
    cli: Cli, at: dict[str, str], upstream: SimulatorThread
) -> None:
    """Changes are found by looks."""

    def forbid(world: World) -> None:
        world.people.add_role(replace(world.people.tokens[FULL_ACCESS_TOKEN].role, can_manage_webhooks=False))

    upstream.act(forbid)
    (unknown,) = told(cli, at)
    assert unknown["severity"] == "warning"
    assert "may not say whether there is a webhook" in unknown["message"]
