"""What leaves the program besides the mirror: notifications, heartbeats, traces."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from tests.fixtures.http_sink import HttpSink, http_sink
from tests.fixtures.running_daemon import eventually
from tests.integration.cli.conftest import Cli
from tests.integration.cli.processes import running
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread


def settings(folder: Path, upstream: SimulatorThread, *notifications: str, more: str = "") -> None:
    """A settings file of one source that is checked each second, with these notifications."""
    text = (
        f"[[sources]]\nname = 'website'\nbase_url = '{upstream.url}'\nrate_limit = 'none'\nmax_staleness = 1\n{more}\n"
    )
    text += "[http]\nport = 0\n" + "".join(f"[[notifications]]\n{one}\n" for one in notifications)
    path = folder / "versionsync.toml"
    path.write_text(text)
    path.chmod(0o600)


def hook(listener: HttpSink) -> str:
    """The address of a listener as Apprise wants it, with a secret in it."""
    return f"json://{listener.address}/hook-of-mine"


async def test_a_daemon_tells_of_a_revoked_token_and_of_its_return(upstream: SimulatorThread, tmp_path: Path) -> None:
    """Its addresses are not in the log; the switch was called while all was well."""
    async with http_sink() as listener, http_sink() as switch:
        more = f"heartbeat_url = 'http://{switch.address}/ping-of-mine'"
        settings(tmp_path, upstream, f"url = '{hook(listener)}'\nafter_failures = 1", more=more)
        with running("run", "-vv", cwd=tmp_path, DATOCMS_API_TOKEN=FULL_ACCESS_TOKEN) as process:
            await eventually(lambda: switch.heard)
            token = upstream.act(lambda world: world.people.tokens.pop(FULL_ACCESS_TOKEN))
            await eventually(listener.titles)
            upstream.act(lambda world: world.people.add_token(token))
            process.send_signal(signal.SIGHUP)
            await eventually(lambda: len(listener.heard) > 1)
            process.send_signal(signal.SIGTERM)
            _, err = await asyncio.to_thread(process.communicate, None, 30)
    assert process.returncode == 0
    assert listener.titles() == ["versionsync: website: failing (1 in a row)", "versionsync: website: recovered"]
    assert switch.heard == [("GET", "/ping-of-mine", None)]
    assert "notification.sent" in err
    assert "of-mine" not in err


async def test_a_place_that_is_added_while_it_runs_is_told(upstream: SimulatorThread, tmp_path: Path) -> None:
    """And bad settings change nothing."""
    async with http_sink() as listener:
        settings(tmp_path, upstream)
        with running("run", cwd=tmp_path, DATOCMS_API_TOKEN="revoked-since-long") as process:
            assert process.stderr is not None
            await asyncio.to_thread(_line, process.stderr, "daemon.started")
            settings(tmp_path, upstream, "url = 'nonsense'")
            process.send_signal(signal.SIGHUP)
            line = await asyncio.to_thread(_line, process.stderr, "settings.refused")
            assert line["reason"] == "notifications[0]: Apprise does not understand this address"
            settings(tmp_path, upstream, f"url = '{hook(listener)}'\nafter_failures = 1")
            process.send_signal(signal.SIGHUP)
            await eventually(listener.titles)


def _line(lines: object, event: str) -> dict[str, object]:
    """The next line of the log about `event`."""
    for text in lines:  # type: ignore[attr-defined]
        line: dict[str, object] = json.loads(text)
        if line["event"] == event:
            return line
    raise AssertionError(f"no {event}")


@pytest.mark.parametrize("verb", ["run", "doctor"])
def test_notifications_without_their_extra_are_refused(
    cli: Cli, at: dict[str, str], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Before anything is done, with what to install."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    ran = cli(verb, **at, VERSIONSYNC_HTTP_PORT="0", VERSIONSYNC_NOTIFICATION_URL="json://localhost/hook")
    assert ran.code == 2
    assert "notifications[0] needs Apprise, which is not installed" in ran.written
    assert "pip install 'versionsync[notifications]'" in ran.written


def test_a_sync_needs_no_notifications(cli: Cli, at: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the daemon's."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert cli("sync", **at, VERSIONSYNC_NOTIFICATION_URL="json://localhost/hook").code == 0


async def test_doctor_sends_a_test_notification_on_request(cli: Cli, at: dict[str, str]) -> None:
    """And says what came of it; without being asked it only looks whether the address is understood."""
    async with http_sink() as listener:
        at = {
            **at,
            "VERSIONSYNC_NOTIFICATION_URL": hook(listener),
            "VERSIONSYNC_HEARTBEAT_URL": f"http://{listener.address}/ping",
        }
        assert (await asyncio.to_thread(lambda: cli("doctor", **at))).code == 0
        assert listener.heard == []
        ran = await asyncio.to_thread(lambda: cli("doctor", "--send-test-notification", **at))
        assert ran.code == 0
        assert listener.titles() == ["versionsync: a test"]
        listener.status = 500
        ran = await asyncio.to_thread(lambda: cli("doctor", "--send-test-notification", **at))
        assert ran.code == 2
        assert "did not arrive" in ran.out
        assert "hook-of-mine" not in ran.written


def test_a_test_notification_without_a_channel_is_an_error(cli: Cli, at: dict[str, str]) -> None:
    assert cli("doctor", "--send-test-notification", **at).code == 2


async def test_traces_go_where_the_variables_of_opentelemetry_say(
    upstream: SimulatorThread, at: dict[str, str], tmp_path: Path
) -> None:
    async with http_sink() as listener:
        endpoint = f"http://{listener.address}"
        with running("sync", cwd=tmp_path, **at, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as process:
            assert await asyncio.to_thread(process.wait, 60) == 0
        assert {path for _, path, _ in listener.heard} == {"/v1/traces"}


async def test_a_collector_that_hangs_does_not_delay_the_end(at: dict[str, str], tmp_path: Path) -> None:
    """By default the exporter would wait ten seconds for it; one that refuses is told in the log."""
    async with http_sink() as listener:
        listener.status = None
        at = {**at, "VERSIONSYNC_HTTP_PORT": "0", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{listener.address}"}
        at["OTEL_EXPORTER_OTLP_TIMEOUT"] = "600"  # much longer than this test waits for the end
        with running("run", cwd=tmp_path, **at) as process:
            assert process.stderr is not None
            await asyncio.to_thread(_line, process.stderr, "run.finished")
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 60) == 0
        listener.status = 403
        with running("sync", cwd=tmp_path, **at) as process:
            _, err = await asyncio.to_thread(process.communicate, None, 60)
        assert len([line for line in err.splitlines() if "tracing.failing" in line]) == 1


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED=true", "OTEL_TRACES_EXPORTER=none"])
async def test_traces_can_be_switched_off(at: dict[str, str], tmp_path: Path, variable: str) -> None:
    name, _, value = variable.partition("=")
    async with http_sink() as listener:
        more = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{listener.address}", name: value}
        with running("sync", cwd=tmp_path, **at, **more) as process:
            assert await asyncio.to_thread(process.wait, 60) == 0
        assert listener.heard == []


def test_a_value_that_opentelemetry_does_not_take_costs_the_traces_alone(at: dict[str, str], tmp_path: Path) -> None:
    """It may be set for every program of a machine."""
    more = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "0"}
    with running("sync", cwd=tmp_path, **at, **more) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert len([line for line in err.splitlines() if "tracing.failing" in line]) == 1


def test_traces_without_their_extra_are_only_missing(
    cli: Cli, at: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their variables may be set for every program of a machine."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    ran = cli("sync", "-v", **at, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert ran.code == 0
    assert "tracing.not_installed" in ran.err
