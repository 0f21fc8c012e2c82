"""The daemon's own server: who asks is told how it stands, and nothing that is in a project."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.fake_upstreams import Given, gateway, unused_port
from tests.fixtures.running_daemon import RunningDaemon, eventually, is_mirrored, running_daemon, source_config
from tests.fixtures.sync_env import SyncEnv
from versionsync.daemon.errors import CannotListen
from versionsync.daemon.http.app import App, serving
from versionsync.daemon.http.metrics import Metrics
from versionsync.daemon.state import WorkerState, WorkerStatus
from versionsync.daemon.systemd_notify import Activity
from versionsync.simulator import FaultKind
from versionsync.sync.report import Counts

QUIET = structlog.wrap_logger(structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(50))
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@dataclass(frozen=True)
class Served:
    """A daemon with its server, and a client of that."""

    watched: RunningDaemon
    http: httpx.AsyncClient


@asynccontextmanager
async def served(sync_env: SyncEnv, **tokens: str) -> AsyncIterator[Served]:
    """The sync_env's project, followed as `website` and, with other tokens, under other names."""
    sources = [
        source_config(sync_env),
        *(source_config(sync_env, name=name, token=token) for name, token in tokens.items()),
    ]
    async with running_daemon(sync_env.mirror, *sources) as watched:
        metrics = Metrics(
            lambda: watched.daemon.states, scheduler=watched.daemon.scheduler, now=lambda: datetime.now(UTC)
        )
        app = App(
            lambda: watched.daemon.states,
            metrics,
            redact=lambda text: text.replace("revoked", "***"),
            stuck=watched.daemon.stuck,
        )
        async with (
            serving(app, host="127.0.0.1", port=0, log=QUIET) as url,
            httpx.AsyncClient(base_url=url) as http,
        ):
            yield Served(watched, http)


async def test_ready_once_all_is_mirrored(sync_env: SyncEnv) -> None:
    """And not before: a load balancer or a test may wait for it."""
    sync_env.simulator.simulator.faults.plant(FaultKind.SLOW, path="/site", seconds=0.5)
    async with served(sync_env) as one:
        early = await one.http.get("/readyz")
        assert (early.status_code, early.json()["ready"]) == (503, False)
        assert early.json()["reasons"] == ["website: its first run is not done yet"]
        assert (await one.http.get("/livez")).json()["program"] == "versionsync"
        await eventually(lambda: one.watched.state().status is WorkerStatus.ACTIVE)
        assert is_mirrored(sync_env)
        ready = await one.http.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})


async def test_not_ready_while_one_source_fails(sync_env: SyncEnv) -> None:
    """The reason is told, secrets masked; it lives all the same."""
    async with served(sync_env, broken="revoked") as one:
        await eventually(lambda: one.watched.state("broken").failures)
        one.watched.daemon.reload()
        await eventually(lambda: one.watched.state("broken").failures > 1)
        await eventually(lambda: one.watched.state().status is WorkerStatus.ACTIVE)
        answer = await one.http.get("/readyz")
        assert answer.status_code == 503
        assert len(answer.json()["reasons"]) == 1
        assert "broken: 2 failures in a row" in answer.json()["reasons"][0]
        assert (await one.http.get("/livez")).status_code == 200


async def test_one_that_hangs_says_so(sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the watchdog of systemd hears, whoever restarts containers hears too."""
    async with served(sync_env) as one:
        await eventually(lambda: one.watched.state().status is WorkerStatus.ACTIVE)
        stuck = Activity("website:keep", mark=1, timeout=0.0)
        monkeypatch.setattr(one.watched.daemon.workers["website"], "activities", lambda: [stuck])
        assert (await one.http.get("/livez")).status_code == 200
        answer = await one.http.get("/livez")
        assert (answer.status_code, answer.json()["hanging"]) == (503, ["website:keep"])


async def test_metrics_have_units_and_few_labels(sync_env: SyncEnv) -> None:
    """Prometheus's own parser reads them."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"}))
    async with served(sync_env) as one:
        await eventually(lambda: one.watched.state().runs["succeeded"] > 1)
        answer = await one.http.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    ours = {name: family for name, family in families.items() if name.startswith("versionsync_")}
    labels = {label for family in ours.values() for sample in family.samples for label in sample.labels}
    assert labels == {"source", "outcome", "stance", "result", "trouble", "version", "le"}
    assert all(family.documentation.endswith(".") for family in ours.values())
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value for f in ours.values() for sample in f.samples
    }
    assert samples["versionsync_versions_inserted_total", "website"] == 1
    assert samples["versionsync_runs_total", "succeeded", "website"] > 1
    assert samples["versionsync_source_state", "following", "website"] == 1
    assert samples["versionsync_requests_total", "ok", "website"] > 3
    assert samples["versionsync_source_last_success_timestamp_seconds", "website"] > 1e9
    assert samples["versionsync_run_duration_seconds_count", "website"] >= 1
    assert "process_resident_memory_bytes" in families


async def samples_of(served: Served) -> dict[tuple[str, ...], float]:
    """The values of /metrics by name and labels in the order of their names, those of `website` without that label."""
    text = (await served.http.get("/metrics")).text
    families = text_string_to_metric_families(text)
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()) if value != "website")): sample.value
        for family in families
        for sample in family.samples
    }


async def test_requests_are_counted_by_how_they_ended(sync_env: SyncEnv) -> None:
    """Each try once, the last word of upstream included."""
    faults = sync_env.simulator.simulator.faults
    async with served(sync_env) as one:
        await eventually(lambda: one.watched.state().runs["succeeded"])
        faults.plant(FaultKind.UNAVAILABLE, path="/site")
        faults.plant(FaultKind.THROTTLED, path="/site", nth=2)
        sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"}))
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: one.watched.state().requests["throttled"])
        found = await samples_of(one)
    assert found["versionsync_requests_total", "error"] == 1
    assert found["versionsync_requests_total", "throttled"] == 1
    assert found["versionsync_requests_total", "refused"] == found["versionsync_requests_total", "no_answer"] == 0


async def test_the_lag_of_what_came_after_the_backfill(sync_env: SyncEnv) -> None:
    """What was there before is none of it."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "old"}))
    async with served(sync_env) as one:
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: one.watched.state().runs["succeeded"])
        assert (await samples_of(one))["versionsync_version_lag_seconds_count",] == 0
        sync_env.act(lambda world: world.create(world.user, "post", {"title": "new"}))
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: sum(one.watched.state().lag.counts))
        found = await samples_of(one)
    assert found["versionsync_version_lag_seconds_count",] == 1
    assert found["versionsync_version_lag_seconds_bucket", "+Inf"] == 1


async def test_the_lease_while_a_run_holds_it(sync_env: SyncEnv) -> None:
    """And which epoch it was, when it does no longer."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"}))
    sync_env.simulator.simulator.faults.plant(FaultKind.SLOW, path="/items", seconds=1.0)
    async with served(sync_env) as one:
        await eventually(lambda: (run := one.watched.state().progress) is not None and run.lease)
        during = await samples_of(one)
        await eventually(lambda: one.watched.state().runs["succeeded"])
        sync_env.simulator.simulator.faults.plant(FaultKind.SLOW, path="/site", seconds=2.0)
        await eventually(lambda: one.watched.state().progress is None)
        after = one.watched.state()
    assert during["versionsync_lease_held",] == 1
    assert 20 < during["versionsync_lease_remaining_seconds",] <= 30
    assert during["versionsync_lease_epoch",] == 1 <= after.lease_epoch
    assert during["versionsync_run_running_seconds",] > 0


async def test_counters_rise_while_a_run_goes_on_and_never_fall(sync_env: SyncEnv) -> None:
    """A first backfill may take hours."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"}))
    sync_env.simulator.simulator.faults.plant(FaultKind.SLOW, path="/items", seconds=1.0)
    seen: list[float] = []
    async with served(sync_env) as one:
        while not one.watched.state().runs["succeeded"]:
            seen.append((await samples_of(one))["versionsync_requests_total", "ok"])
            await asyncio.sleep(0.01)
        seen.append((await samples_of(one))["versionsync_requests_total", "ok"])
    assert seen == sorted(seen)
    assert any(0 < count < seen[-1] for count in seen)


async def test_every_count_of_a_run_is_a_metric() -> None:
    """Also one that is added later."""
    states = {"one": WorkerState(name="one", max_staleness=60, since=datetime.now(UTC), total=Counts(events_written=7))}
    text = Metrics(lambda: states, now=lambda: datetime.now(UTC)).text().decode()
    assert 'versionsync_events_written_total{source="one"} 7.0' in text


async def test_status_is_json_for_programs_and_a_page_for_people(sync_env: SyncEnv) -> None:
    """And neither has any content."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "very secret"}))
    async with served(sync_env, broken="revoked") as one:
        await eventually(lambda: one.watched.state().status is WorkerStatus.ACTIVE)
        await eventually(lambda: one.watched.state("broken").failures)
        told = (await one.http.get("/status")).json()
        page = await one.http.get("/status", headers=BROWSER)
        again = await one.http.get("/status?format=json", headers=BROWSER)
        home = await one.http.get("/", follow_redirects=True)
    assert [source["source"] for source in told["sources"]] == ["website", "broken"]
    assert told["sources"][0]["stance"] == "following"
    assert told["sources"][0]["total"]["versions_inserted"] == 1
    assert told["sources"][1]["trouble"] == "refused"
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "<h2>website</h2>" in page.text
    assert again.headers["Content-Type"] == "application/json"
    assert home.status_code == 200
    for text in (page.text, str(told)):
        assert "very secret" not in text
        assert "revoked" not in text


async def test_what_is_in_a_page_is_no_html(sync_env: SyncEnv) -> None:
    """An error may say anything."""
    async with served(sync_env) as one:
        state = one.watched.state()
        await eventually(lambda: state.status is WorkerStatus.ACTIVE)
        state.next_check_reason = "<script>alert(1)</script>"
        page = await one.http.get("/status", headers=BROWSER)
    assert "<script" not in page.text or "&lt;script" in page.text
    assert re.search(r"<script", page.text) is None


@pytest.mark.parametrize("path", ["/nothing", "/status/x", "/webhooks"])
async def test_what_is_not_there_is_404(sync_env: SyncEnv, path: str) -> None:
    """With the same headers as everything else."""
    async with served(sync_env) as one:
        answer = await one.http.get(path)
        assert answer.status_code == 404
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (await one.http.post("/status")).status_code == 405


def an_app() -> App:
    """Of a daemon without sources."""
    return App(dict, Metrics(dict, now=lambda: datetime.now(UTC)), redact=str)


async def refusal(host: str, port: int) -> CannotListen:
    """Why it cannot listen there."""
    with pytest.raises(CannotListen) as caught:
        async with serving(an_app(), host=host, port=port, log=QUIET):
            pass
    return caught.value


async def test_a_port_that_another_versionsync_has() -> None:
    """It is named by its process."""
    port = unused_port()
    async with serving(an_app(), host="127.0.0.1", port=port, log=QUIET):
        error = await refusal("127.0.0.1", port)
    assert re.search(r"another versionsync \(process \d+\) is running here already", str(error))
    assert "stands by" in error.hint


async def test_a_port_that_another_program_has() -> None:
    """Whatever it answers."""
    with gateway("http://127.0.0.1:9", instead=lambda path: Given(200, "[]")) as url:
        error = await refusal("127.0.0.1", int(url.rpartition(":")[2]))
    assert "another program listens on" in str(error)


async def test_addresses_that_this_machine_has_not() -> None:
    """Each says what to set instead."""
    assert "this machine has no address 192.0.2.1" in str(await refusal("192.0.2.1", 0))
    assert "there is no address no.such.host.invalid" in str(await refusal("no.such.host.invalid", 0))


async def test_a_port_that_is_not_permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for everybody but root below 1024."""

    async def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_server", refuse)
    error = await refusal("127.0.0.1", 80)
    assert "this user may not listen on port 80" in str(error)
    assert "1024" in error.hint
