"""The daemon's server: it shows the status, and no content of a project."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.fake_upstreams import Given, gateway, unused_port
from tests.fixtures.running_daemon import (
    HeldRequest,
    RunningDaemon,
    eventually,
    is_mirrored,
    running_daemon,
    source_config,
)
from tests.fixtures.sync_env import SyncEnv
from versionsync.daemon.errors import CannotListen
from versionsync.daemon.http.app import App, serving
from versionsync.daemon.http.metrics import Metrics
from versionsync.daemon.systemd_notify import Activity
from versionsync.daemon.worker_state import WorkerState, WorkerStatus
from versionsync.mirror.tables.runs import Counts
from versionsync.simulator import FaultKind
from versionsync.status.snapshot import ActivityReader

QUIET = structlog.wrap_logger(structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(50))
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@dataclass(frozen=True)
class Served:
    """A daemon with its server, and a client of that."""

    watched: RunningDaemon
    http: httpx.AsyncClient


@asynccontextmanager
async def served(sync_env: SyncEnv, **tokens: str) -> AsyncIterator[Served]:
    """Serve the project as `website` and, with other tokens, under other names."""
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
            activity=ActivityReader(sync_env.mirror),
        )
        async with (
            serving(app, host="127.0.0.1", port=0, log=QUIET) as url,
            httpx.AsyncClient(base_url=url) as http,
        ):
            yield Served(watched, http)


async def test_ready_once_all_is_mirrored(sync_env: SyncEnv) -> None:
    """And not before: a load balancer or a test may wait for it."""
    first_request = HeldRequest(sync_env, "/site")
    async with served(sync_env) as one:
        early = await one.http.get("/readyz")
        first_request.release()
        assert (early.status_code, early.json()["ready"]) == (503, False)
        assert early.json()["reasons"] == ["website: its first run is not finished yet"]
        assert (await one.http.get("/livez")).json()["program"] == "versionsync"
        await eventually(lambda: one.watched.state().status is WorkerStatus.ACTIVE)
        assert is_mirrored(sync_env)
        ready = await one.http.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})


async def test_not_ready_while_one_source_fails(sync_env: SyncEnv) -> None:
    """The reason is shown, secrets masked; the daemon is alive nevertheless."""
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


async def test_a_stuck_daemon_says_so(sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the health check of a container, as to the watchdog of systemd."""
    async with served(sync_env) as one:
        await eventually(lambda: one.watched.state().status is WorkerStatus.ACTIVE)
        stuck = Activity("website:claim", mark=1, timeout=0.0)
        monkeypatch.setattr(one.watched.daemon.workers["website"], "activities", lambda: [stuck])
        assert (await one.http.get("/livez")).status_code == 200
        answer = await one.http.get("/livez")
        assert (answer.status_code, answer.json()["hanging"]) == (503, ["website:claim"])


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
    assert labels == {"source", "outcome", "state", "result", "error_kind", "version", "le"}
    assert all(family.documentation.endswith(".") for family in ours.values())
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value for f in ours.values() for sample in f.samples
    }
    assert samples["versionsync_versions_inserted_total", "website"] == 1
    assert samples["versionsync_runs_total", "succeeded", "website"] > 1
    assert samples["versionsync_source_state", "active", "website"] == 1
    assert samples["versionsync_requests_total", "ok", "website"] > 3
    assert samples["versionsync_source_last_success_timestamp_seconds", "website"] > 1e9
    assert samples["versionsync_run_duration_seconds_count", "website"] >= 1
    assert "process_resident_memory_bytes" in families


async def samples_of(served: Served) -> dict[tuple[str, ...], float]:
    """Return the values of /metrics by name and sorted labels, without the label `website`."""
    text = (await served.http.get("/metrics")).text
    families = text_string_to_metric_families(text)
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()) if value != "website")): sample.value
        for family in families
        for sample in family.samples
    }


async def test_requests_are_counted_by_how_they_ended(sync_env: SyncEnv) -> None:
    """Each attempt once."""
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


async def test_the_lag_counts_versions_after_the_backfill(sync_env: SyncEnv) -> None:
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
    """And its epoch afterwards."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"}))
    first_page = HeldRequest(sync_env, "/items")
    async with served(sync_env) as one:
        await eventually(first_page.arrived.is_set)
        during = await samples_of(one)
        first_page.release()
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
    first_page = HeldRequest(sync_env, "/items")
    seen: list[float] = []
    async with served(sync_env) as one:
        await eventually(first_page.arrived.is_set)
        during = (await samples_of(one))["versionsync_requests_total", "ok"]
        first_page.release()
        while not one.watched.state().runs["succeeded"]:
            seen.append((await samples_of(one))["versionsync_requests_total", "ok"])
            await asyncio.sleep(0.01)
        seen.append((await samples_of(one))["versionsync_requests_total", "ok"])
    assert 0 < during < seen[-1]
    assert seen == sorted(seen)


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
        fields = (await one.http.get("/status")).json()
        page = await one.http.get("/status", headers=BROWSER)
        again = await one.http.get("/status?format=json", headers=BROWSER)
        home = await one.http.get("/", follow_redirects=True)
    broken, website = fields["sources"]
    assert [source["source"] for source in fields["sources"]] == ["broken", "website"]  # the worst first
    assert {state: number for state, number in fields["summary"].items() if number} == {"failing": 1, "well": 1}
    assert website["state"] == "active"
    assert website["total"]["versions_inserted"] == 1
    assert (website["counts"]["records"], website["counts"]["versions"]) == (1, 1)
    assert website["last_runs"][0]["outcome"] == "succeeded"
    assert [run["counts"]["versions_inserted"] for run in website["last_changes"]] == [1]
    assert broken["error_kind"] == "refused"
    assert (broken["counts"]["records"], broken["last_runs"][0]["outcome"]) == (0, "failed")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "<h2>website</h2>" in page.text
    assert "<dt>mirrored</dt><dd>1 record, 1 version, " in page.text
    assert "<caption>Last runs</caption>" in page.text
    assert again.headers["Content-Type"] == "application/json"
    assert home.status_code == 200
    for text in (page.text, str(fields)):
        assert "very secret" not in text
        assert "revoked" not in text


async def test_status_answers_without_a_database(sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits a moment for it, and shows what it knows."""
    released = threading.Event()
    monkeypatch.setattr("versionsync.status.snapshot.WAIT_SECONDS", 0.1)
    async with served(sync_env) as one:
        await eventually(lambda: one.watched.state().status is WorkerStatus.ACTIVE)
        monkeypatch.setattr(ActivityReader, "_read", lambda *_: (released.wait(60), {})[1])
        fields = (await one.http.get("/status")).json()
        released.set()
    assert fields["sources"][0]["counts"] is None
    assert fields["sources"][0]["state"] == "active"


async def test_text_in_a_page_is_escaped(sync_env: SyncEnv) -> None:
    async with served(sync_env) as one:
        state = one.watched.state()
        await eventually(lambda: state.status is WorkerStatus.ACTIVE)
        state.next_check_reason = "<script>alert(1)</script>"
        page = await one.http.get("/status", headers=BROWSER)
    assert "<script" not in page.text or "&lt;script" in page.text
    assert re.search(r"<script", page.text) is None


@pytest.mark.parametrize("path", ["/nothing", "/status/x", "/webhooks"])
async def test_other_paths_are_404(sync_env: SyncEnv, path: str) -> None:
    """With the same headers as everything else."""
    async with served(sync_env) as one:
        answer = await one.http.get(path)
        assert answer.status_code == 404
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (await one.http.post("/status")).status_code == 405


def an_app() -> App:
    """Return the app of a daemon without sources."""
    return App(dict, Metrics(dict, now=lambda: datetime.now(UTC)), redact=str)


async def refusal(host: str, port: int) -> CannotListen:
    """Return the error of listening there."""
    with pytest.raises(CannotListen) as caught:
        async with serving(an_app(), host=host, port=port, log=QUIET):
            pass
    return caught.value


async def test_a_port_of_another_versionsync() -> None:
    """The error has its process."""
    port = unused_port()
    async with serving(an_app(), host="127.0.0.1", port=port, log=QUIET):
        error = await refusal("127.0.0.1", port)
    assert re.search(r"another versionsync \(process \d+\) already listens on", str(error))
    assert "standby" in error.hint


async def test_a_port_of_another_program() -> None:
    """Whatever it answers."""
    with gateway("http://127.0.0.1:9", instead=lambda path: Given(200, "[]")) as url:
        error = await refusal("127.0.0.1", int(url.rpartition(":")[2]))
    assert "another program already listens on" in str(error)


async def test_addresses_of_other_machines() -> None:
    assert "this machine has no address 192.0.2.1" in str(await refusal("192.0.2.1", 0))
    assert "there is no address no.such.host.invalid" in str(await refusal("no.such.host.invalid", 0))


async def test_a_port_that_is_not_permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ports below 1024 for every user but root."""

    async def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_server", refuse)
    error = await refusal("127.0.0.1", 80)
    assert "this user may not listen on port 80" in str(error)
    assert "1024" in error.hint


@asynccontextmanager
async def served_states(number: int) -> AsyncIterator[httpx.AsyncClient]:
    """Serve this many sources, whose first runs are not finished yet."""
    names, now = map(str, range(number)), datetime.now(UTC)
    states = {name: WorkerState(name=name, max_staleness=60, since=now) for name in names}
    app = App(lambda: states, Metrics(lambda: states, now=lambda: datetime.now(UTC)), redact=str)
    async with (
        serving(app, host="127.0.0.1", port=0, log=QUIET) as url,
        httpx.AsyncClient(base_url=url) as http,
    ):
        yield http


async def test_the_status_of_many_sources_is_bounded() -> None:
    async with served_states(1000) as http:
        whole = (await http.get("/status")).json()
        assert (len(whole["sources"]), whole["summary"]["starting"]) == (100, 1000)
        assert (await http.get("/status?limit=0")).json()["sources"] == []
        all_of_them = (await http.get("/status?limit=2000")).json()
        assert len(all_of_them["sources"]) == all_of_them["selection"]["matching"] == 1000
        found = (await http.get("/status?state=starting&state=failing&source=99*")).json()
        assert [source["source"] for source in found["sources"]] == ["99", *(f"99{n}" for n in range(10))]
        assert (await http.get("/status?state=failing")).json()["selection"]["matching"] == 0
        ready = (await http.get("/readyz")).json()
        assert (len(ready["reasons"]), ready["reasons"][-1]) == (51, "and 950 more sources")


@pytest.mark.parametrize("query", ["state=dead", "limit=-1", "limit=many", "limit=9999999"])
async def test_a_wrong_query_is_answered_with_what_is_wrong(query: str) -> None:
    async with served_states(1) as http:
        answer = await http.get(f"/status?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert query.split("=")[0] in answer.text
