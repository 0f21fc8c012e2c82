"""The daemon keeps the mirror up to date, whatever happens to upstream, the database and other daemons."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from tests.fixtures.claims import claim_for
from tests.fixtures.fault_injection import DisturbedMirror, Moment, Side
from tests.fixtures.running_daemon import HeldRequest, eventually, is_mirrored, running_daemon, source_config
from tests.fixtures.sync_env import MakeSyncEnv, SyncEnv
from versionsync.budget import Budget, Period
from versionsync.config import InvalidSetting
from versionsync.daemon import daemon as daemon_module
from versionsync.daemon import request_meter as request_meter
from versionsync.daemon.membership import Pace
from versionsync.daemon.worker_state import WorkerStatus
from versionsync.errors import ErrorKind
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import TransactionLost
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import daemons, source_claims
from versionsync.mirror.tables.daemons import active_daemon
from versionsync.mirror.tables.leases import acquire, current, release
from versionsync.mirror.tables.runs import last_runs
from versionsync.mirror.tables.usage import add_requests
from versionsync.simulator import FULL_ACCESS_TOKEN, FaultKind, RateLimit

ELSEWHERE = Holder(host="elsewhere", pid=7)


def post(sync_env: SyncEnv, title: str) -> str:
    """Let an editor write something new; returns the record's id."""
    return sync_env.act(lambda world: world.create(world.user, "post", {"title": title})).id


@pytest.mark.both_databases
async def test_an_edit_is_mirrored_by_itself(sync_env: SyncEnv) -> None:
    """And the one after it."""
    id = post(sync_env, "one")
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        await eventually(lambda: is_mirrored(sync_env))
        sync_env.act(lambda world: world.update(world.user, id, {"title": "two"}))
        await eventually(lambda: is_mirrored(sync_env))
        sync_env.act(lambda world: world.publish(world.user, id))
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: watched.state().status is WorkerStatus.ACTIVE)
    with sync_env.mirror.read() as connection:
        assert {run.trigger for run in last_runs(connection)} == {"schedule"}
        assert current(connection, 1) is None
        assert active_daemon(connection, 1) is None


async def test_the_active_daemon_is_known_after_the_first_run(sync_env: SyncEnv) -> None:
    """With its next check, so that `status` right after the start shows it."""
    post(sync_env, "one")
    async with running_daemon(sync_env.mirror, replace(source_config(sync_env), max_staleness=3600.0)) as watched:
        await eventually(lambda: watched.state().runs["succeeded"] == 1)

        def has_next_check() -> bool:
            with sync_env.mirror.read() as connection:
                daemon = active_daemon(connection, 1)
            return daemon is not None and daemon.next_check_at is not None

        await eventually(has_next_check)
        assert watched.state().runs["succeeded"] == 1


async def test_an_idle_check_costs_one_request(sync_env: SyncEnv) -> None:
    """Once all is mirrored and the last change is some seconds old."""
    post(sync_env, "one")
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        sync_env.wait(60)
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: watched.state().runs["succeeded"] > 2)
        runs, requests = watched.state().runs["succeeded"], watched.state().total.requests
        await eventually(lambda: watched.state().runs["succeeded"] >= runs + 3)
        state = watched.state()
        assert state.total.requests - requests == state.runs["succeeded"] - runs


async def test_only_a_run_with_changes_is_logged_at_info_level(sync_env: SyncEnv) -> None:
    """In words and numbers. A daemon makes more than a thousand checks a day that find nothing."""
    post(sync_env, "one")
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: watched.state().runs["succeeded"] > 3)
        loud, quiet = (watched.told(level, "run.finished") for level in ("info", "debug"))
    assert [(line["message"], line["versions_inserted"]) for line in loud] == [("1 new version, 3 events", 1)]
    assert {line["message"] for line in quiet} == {"no changes"}


async def test_a_failing_source_delays_no_other(sync_env: SyncEnv) -> None:
    """Its error is logged once, whatever the number of attempts."""
    post(sync_env, "one")
    async with running_daemon(
        sync_env.mirror, source_config(sync_env), source_config(sync_env, name="broken", token="revoked")
    ) as watched:
        await eventually(lambda: watched.state("broken").status is WorkerStatus.FAILING)
        for title in ("two", "three"):
            post(sync_env, title)
            await eventually(lambda: is_mirrored(sync_env, source_id=2))  # new sources are added by name
        watched.daemon.reload()  # tried at once
        await eventually(lambda: watched.state("broken").failures > 1)
        assert watched.state("broken").error_kind is ErrorKind.REFUSED
        assert len(watched.told("warning", "source.failing", "broken")) == 1
        assert watched.told("warning", "source.failing", "website") == []


async def test_a_token_that_is_revoked_and_comes_back(sync_env: SyncEnv) -> None:
    """The error is logged once, retried slowly, and the recovery is logged."""
    post(sync_env, "one")
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        await eventually(lambda: is_mirrored(sync_env))
        token = sync_env.act(lambda world: world.people.tokens.pop(FULL_ACCESS_TOKEN))
        await eventually(lambda: watched.state().status is WorkerStatus.FAILING)
        state = watched.state()
        assert state.error_kind is ErrorKind.REFUSED
        assert state.next_check_at is not None
        assert state.next_check_at - datetime.now(UTC) > timedelta(seconds=10)
        sync_env.act(lambda world: world.people.add_token(token))
        post(sync_env, "two")
        watched.daemon.reload()
        await eventually(lambda: watched.state().status is WorkerStatus.ACTIVE)
        await eventually(lambda: is_mirrored(sync_env))
        assert len(watched.told("warning", "source.failing")) == 1
        assert len(watched.told("info", "source.recovered")) == 1


async def test_a_stuck_upstream_is_a_failed_run_that_is_tried_again(sync_env: SyncEnv) -> None:
    """The answer does not come; the run's deadline does."""
    post(sync_env, "one")
    sync_env.simulator.simulator.faults.plant(FaultKind.STALL, path="/items", seconds=60)
    async with running_daemon(sync_env.mirror, source_config(sync_env), stall_seconds=3.0) as watched:
        await eventually(lambda: watched.state().failures == 1)
        assert watched.state().error_kind is ErrorKind.STALLED
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: watched.state().status is WorkerStatus.ACTIVE)
    with sync_env.mirror.read() as connection:
        failed = [run for run in last_runs(connection) if run.outcome == "failed"]
        assert {"nothing moved for 3 s" in (run.error or "") for run in failed} == {True}


@pytest.fixture
def disturbed(database_url: str) -> Iterator[DisturbedMirror]:
    """A mirror that can be lost for a while."""
    with DisturbedMirror.open(database_url, outage_seconds=0.2) as mirror:
        yield mirror


@pytest.mark.both_databases
async def test_a_database_that_is_unavailable_for_a_while(
    disturbed: DisturbedMirror, make_sync_env: MakeSyncEnv
) -> None:
    """It is logged once; then the daemon goes on by itself."""
    sync_env = make_sync_env()
    sync_env.act(lambda world: world.create_model(world.account, "post"))
    sync_env.act(lambda world: world.create_field(world.account, "post", "title"))
    post(sync_env, "one")

    def away(_: object) -> None:
        raise TransactionLost("the database is unavailable")

    async with running_daemon(disturbed, source_config(sync_env)) as watched:
        await eventually(lambda: is_mirrored(sync_env))
        disturbed.plant(away, moment=Moment.BEFORE, side=Side.READ, times=1_000_000)
        post(sync_env, "two")
        await eventually(lambda: watched.state().failures > 1)
        assert watched.state().error_kind is ErrorKind.DATABASE
        disturbed.leave_alone()
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: watched.state().status is WorkerStatus.ACTIVE)
        assert len(watched.told("warning", "source.failing")) == 1


@pytest.mark.both_databases
async def test_a_second_daemon_is_a_standby_and_takes_over(sync_env: SyncEnv) -> None:
    """It sends no request while the first one is there."""
    post(sync_env, "one")
    await asyncio.to_thread(sync_env.sync)
    with sync_env.mirror.write() as tx:
        other = claim_for(tx, 1, ELSEWHERE)
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        await eventually(lambda: watched.state().status is WorkerStatus.STANDBY)
        asked = sync_env.simulator.simulator.requests.total
        post(sync_env, "two")
        watched.daemon.reload()
        await asyncio.sleep(0.5)
        assert sync_env.simulator.simulator.requests.total == asked
        assert len(watched.told("info", "source.standby")) == 1
        with sync_env.mirror.write() as tx:
            tx.execute(update(daemons).where(daemons.c.id == other).values(expires_at=datetime(2026, 1, 1, tzinfo=UTC)))
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: watched.told("info", "source.active"))


async def test_the_daemon_of_the_first_run_claims_the_source_after_it(sync_env: SyncEnv) -> None:
    """And before it too: a second daemon that starts in between must not take it over."""
    post(sync_env, "one")
    async with running_daemon(sync_env.mirror, replace(source_config(sync_env), max_staleness=60.0)) as watched:
        await eventually(lambda: watched.state().last_success_at)
        await asyncio.sleep(0.3)
        with sync_env.mirror.read() as connection:
            following_it = active_daemon(connection, 1)
        assert following_it is not None
        assert following_it.next_check_at is not None


async def test_a_daemon_that_lost_its_claim_is_a_standby_before_its_next_check(
    sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which may be far away with a small budget."""
    post(sync_env, "one")
    await asyncio.to_thread(sync_env.sync)
    config = replace(source_config(sync_env), max_staleness=600.0)
    async with running_daemon(sync_env.mirror, config, pace=Pace(heartbeat=0.2)) as watched:
        await eventually(lambda: watched.state().status is WorkerStatus.ACTIVE)
        with sync_env.mirror.write() as tx:
            tx.execute(update(source_claims).values(daemon_id=None))
            claim_for(tx, 1, ELSEWHERE)
        await eventually(lambda: watched.state().status is WorkerStatus.STANDBY)


async def test_the_daemon_waits_for_a_manual_sync(sync_env: SyncEnv) -> None:
    """It is no failure: another process writes for a moment."""
    post(sync_env, "one")
    await asyncio.to_thread(sync_env.sync)
    lease = acquire(sync_env.mirror, 1, ELSEWHERE)
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        await eventually(lambda: watched.state().status is WorkerStatus.STANDBY)
        assert watched.state().failures == 0
        assert len(watched.told("info", "source.locked")) == 1
        assert not watched.told("info", "run.finished")
        release(sync_env.mirror, lease)
        post(sync_env, "two")
        await eventually(lambda: is_mirrored(sync_env))


async def test_settings_are_read_again(sync_env: SyncEnv) -> None:
    """A new source is added, a removed one is released."""
    post(sync_env, "one")
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        await eventually(lambda: is_mirrored(sync_env))
        watched.sources = [source_config(sync_env, name="other")]
        os.kill(os.getpid(), signal.SIGHUP)
        await eventually(lambda: list(watched.daemon.states) == ["other"])
        await eventually(lambda: is_mirrored(sync_env, source_id=2))
        with sync_env.mirror.read() as connection:
            assert active_daemon(connection, 1) is None


async def test_a_bug_while_settings_are_read_does_not_stop_later_reloads(
    sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged, and SIGHUP works as before."""
    monkeypatch.setattr(daemon_module, "RESTART_SECONDS", 0.1)
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        monkeypatch.setattr(watched.daemon, "_load", lambda: 1 // 0)
        watched.daemon.reload()
        await eventually(lambda: watched.told("error", "helper.failed"))
        monkeypatch.setattr(watched.daemon, "_load", lambda: watched.sources)
        watched.daemon.reload()
        await eventually(lambda: watched.told("info", "settings.reloaded"))
        assert len(watched.told("error", "helper.failed")) == 1


async def test_bad_settings_are_refused_and_the_old_ones_kept(
    sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line that says what is wrong."""
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:

        def bad() -> None:
            raise InvalidSetting("versionsync.toml: no", hint="fix it")

        monkeypatch.setattr(watched.daemon, "_load", bad)
        watched.daemon.reload()
        await eventually(lambda: watched.told("error", "settings.refused"))
        post(sync_env, "one")
        await eventually(lambda: is_mirrored(sync_env))


async def test_old_histories_are_read_again(sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """In slices, between checks."""
    monkeypatch.setattr("versionsync.daemon.source_worker.SCRUB_SECONDS", 0.5)
    for number in range(3):
        post(sync_env, f"post {number}")
    async with running_daemon(sync_env.mirror, source_config(sync_env, scrub=24)):
        await eventually(lambda: "scrub" in kinds(sync_env.mirror))


def kinds(mirror: Mirror) -> set[str]:
    """Return the kinds of the runs."""
    with mirror.read() as connection:
        return {run.kind for run in last_runs(connection, limit=100)}


async def test_the_reason_of_the_next_check_is_in_the_database(sync_env: SyncEnv) -> None:
    async with running_daemon(sync_env.mirror, source_config(sync_env)):

        def reason() -> object:
            with sync_env.mirror.read() as connection:
                return connection.scalar(select(source_claims.c.next_check_reason))

        await eventually(reason)


@pytest.fixture
def full_day_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a full day at any time: what a budget allows in a second depends on how much of its day is left."""
    start, _ = Period.DAY.bounds(datetime.now(UTC))
    monkeypatch.setattr(Period, "bounds", lambda _period, now: (start, now + timedelta(days=1)))


@pytest.mark.usefixtures("full_day_left")
async def test_a_budget_is_counted_and_slows_the_checks_down(sync_env: SyncEnv) -> None:
    """It is logged at the start with its numbers, and a new daemon knows what the old one spent."""
    post(sync_env, "one")
    small = replace(source_config(sync_env), budget=Budget.parse("100/day"), polls_webhook_log=False)
    async with running_daemon(sync_env.mirror, small) as watched:
        await eventually(lambda: watched.state().status is WorkerStatus.ACTIVE)
        (line,) = watched.told("warning", "budget.too_small")
        assert "of 100 requests a day" in str(line["reason"])
        state = watched.state()
        assert state.next_check_at is not None
        assert state.next_check_at - datetime.now(UTC) > timedelta(minutes=1)
        sent = state.total.requests
    async with running_daemon(sync_env.mirror, small) as watched:
        await eventually(lambda: watched.state().budget)
        budget = watched.state().budget
        assert budget is not None
        assert budget.spent == sent


@pytest.mark.usefixtures("full_day_left")
async def test_the_daemon_waits_when_the_budget_is_spent(sync_env: SyncEnv) -> None:
    """It sends no request, logs it once, and uses a larger budget at once."""
    post(sync_env, "one")
    await asyncio.to_thread(sync_env.sync)
    with sync_env.mirror.write() as tx:
        add_requests(tx, 1, datetime.now(UTC).date(), 95)
    asked = sync_env.simulator.simulator.requests.total
    post(sync_env, "two")
    async with running_daemon(
        sync_env.mirror, replace(source_config(sync_env), budget=Budget.parse("100/day"))
    ) as watched:
        await eventually(lambda: watched.state().error_kind is ErrorKind.BUDGET)
        watched.daemon.reload()
        await asyncio.sleep(0.5)
        assert sync_env.simulator.simulator.requests.total == asked
        assert len(watched.told("warning", "source.failing")) == 1
        assert "all 100 requests a day are spent; the next run is at" in (watched.state().error or "")
        watched.sources = [replace(source_config(sync_env), budget=Budget.parse("1000000/day"))]
        watched.daemon.reload()
        await eventually(lambda: is_mirrored(sync_env))


@pytest.mark.usefixtures("full_day_left")
async def test_a_run_leaves_the_share_of_the_other_sources(sync_env: SyncEnv) -> None:
    """Of 300 requests that are left one run may send half, and each of two sources of a project a quarter."""
    website = sync_env.spec
    for name in ("website", "other"):
        sync_env.spec = replace(website, name=name)
        await asyncio.to_thread(sync_env.sync)
    with sync_env.mirror.write() as tx:
        for source_id in (1, 2):
            add_requests(tx, source_id, datetime.now(UTC).date(), 50)
    for number in range(200):
        post(sync_env, str(number))
    sync_env.simulator.simulator.limits = RateLimit(60)  # the limit is checked five times a second
    async with running_daemon(
        sync_env.mirror, replace(source_config(sync_env), budget=Budget.parse("400/day"))
    ) as watched:
        await eventually(lambda: watched.state().failures_by_kind)
        budget = watched.state().budget
        assert budget is not None
        assert (budget.shared_by, budget.left, budget.per_run) == (2, 300, 75)
        assert watched.state().failures_by_kind == {ErrorKind.BUDGET: 1}
        assert 75 <= watched.state().total.requests < 150


@pytest.mark.usefixtures("full_day_left")
async def test_the_cost_of_a_sweep_is_learned_from_the_number_of_records(
    sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beacon, schema and total, and a request for each page of the list; a page is of two records here."""
    monkeypatch.setattr(request_meter, "ITEMS_PAGE", 2)
    for number in range(7):
        post(sync_env, str(number))
    large = replace(source_config(sync_env), budget=Budget.parse("1000000/day"), polls_webhook_log=False)
    async with running_daemon(sync_env.mirror, large) as watched:
        await eventually(lambda: watched.state().runs["succeeded"])
        watched.sources = [replace(large, budget=Budget.parse("100/day"))]
        watched.daemon.reload()
        await eventually(lambda: watched.told("warning", "budget.too_small"))
        assert "a sweep 7 " in str(watched.told("warning", "budget.too_small")[0]["reason"])


async def test_a_check_requested_during_another_one_comes_after_it(sync_env: SyncEnv) -> None:
    """The first one may have missed the reason for the request."""
    first_request = HeldRequest(sync_env, "/site")
    seldom = replace(source_config(sync_env), max_staleness=600.0)
    async with running_daemon(sync_env.mirror, seldom) as watched:
        await eventually(first_request.arrived.is_set)
        watched.daemon.reload()
        await eventually(lambda: watched.told("info", "settings.reloaded"))
        first_request.release()
        await eventually(lambda: watched.state().runs["succeeded"] >= 2)
