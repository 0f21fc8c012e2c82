"""The daemon follows: without being asked, whatever happens to upstream, the database and other daemons."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from tests.fixtures.fault_injection import DisturbedMirror, Moment, Side
from tests.fixtures.running_daemon import eventually, is_mirrored, running_daemon, source_config
from tests.fixtures.sync_env import MakeSyncEnv, SyncEnv
from versionsync.config import InvalidSetting
from versionsync.daemon import daemon as service
from versionsync.daemon import request_meter as spending
from versionsync.daemon import worker as follower
from versionsync.daemon.budget import Budget, Period
from versionsync.daemon.state import WorkerStatus
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import TransactionLost
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import source_claims
from versionsync.mirror.tables.daemons import active_daemon, claim_source
from versionsync.mirror.tables.leases import acquire, current, release
from versionsync.mirror.tables.runs import last_runs
from versionsync.mirror.tables.usage import add_requests
from versionsync.simulator import FULL_ACCESS_TOKEN, FaultKind, RateLimit
from versionsync.sync.error_kinds import ErrorKind

ELSEWHERE = Holder(host="elsewhere", pid=7)


def post(sync_env: SyncEnv, title: str) -> str:
    """Let an editor write something new; returns the record's id."""
    return sync_env.act(lambda world: world.create(world.user, "post", {"title": title})).id


@pytest.mark.both_databases
async def test_an_edit_is_mirrored_without_anyone_asking(sync_env: SyncEnv) -> None:
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


async def test_who_follows_is_known_as_soon_as_the_first_run_has_ended(
    sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And when it looks next: `status` right after the start is not told that nobody follows."""
    monkeypatch.setattr("versionsync.daemon.worker.KEEP_SECONDS", 60.0)
    post(sync_env, "one")
    async with running_daemon(sync_env.mirror, replace(source_config(sync_env), max_staleness=3600.0)) as watched:
        await eventually(lambda: watched.state().runs["succeeded"] == 1)

        def looks_next() -> bool:
            with sync_env.mirror.read() as connection:
                follower = active_daemon(connection, 1)
            return follower is not None and follower.next_check_at is not None

        await eventually(looks_next)
        assert watched.state().runs["succeeded"] == 1


async def test_an_idle_look_costs_one_request(sync_env: SyncEnv) -> None:
    """Once all is mirrored and the last change is a moment old."""
    post(sync_env, "one")
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        sync_env.wait(60)
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: watched.state().runs["succeeded"] > 2)
        runs, requests = watched.state().runs["succeeded"], watched.state().total.requests
        await eventually(lambda: watched.state().runs["succeeded"] >= runs + 3)
        state = watched.state()
        assert state.total.requests - requests == state.runs["succeeded"] - runs


async def test_a_failing_source_delays_no_other(sync_env: SyncEnv) -> None:
    """Its trouble is told once, whatever the number of tries."""
    post(sync_env, "one")
    async with running_daemon(
        sync_env.mirror, source_config(sync_env), source_config(sync_env, name="broken", token="revoked")
    ) as watched:
        await eventually(lambda: watched.state("broken").status is WorkerStatus.FAILING)
        for title in ("two", "three"):
            post(sync_env, title)
            await eventually(lambda: is_mirrored(sync_env), seconds=20)
        watched.daemon.reload()  # tried at once
        await eventually(lambda: watched.state("broken").failures > 1)
        assert watched.state("broken").error_kind is ErrorKind.REFUSED
        assert len(watched.told("warning", "source.failing", "broken")) == 1
        assert watched.told("warning", "source.failing", "website") == []


async def test_a_token_that_is_revoked_and_comes_back(sync_env: SyncEnv) -> None:
    """It is told once, tried again gently, and its recovery is told."""
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


async def test_a_hung_upstream_is_a_failed_run_that_is_tried_again(sync_env: SyncEnv) -> None:
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
        assert ["nothing moved for 3 s" in (run.error or "") for run in failed] == [True]


@pytest.fixture
def disturbed(database_url: str) -> Iterator[DisturbedMirror]:
    """A mirror that can be lost for a while."""
    with DisturbedMirror.open(database_url, outage_seconds=0.2) as mirror:
        yield mirror


@pytest.mark.both_databases
async def test_a_database_that_goes_and_comes_back(disturbed: DisturbedMirror, make_sync_env: MakeSyncEnv) -> None:
    """Told once; then it goes on by itself."""
    sync_env = make_sync_env()
    sync_env.act(lambda world: world.create_model(world.account, "post"))
    sync_env.act(lambda world: world.create_field(world.account, "post", "title"))
    post(sync_env, "one")

    def away(_: object) -> None:
        raise TransactionLost("the database is away")

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
async def test_the_second_daemon_stands_by_and_takes_over(sync_env: SyncEnv) -> None:
    """It asks upstream nothing while the first one is there."""
    post(sync_env, "one")
    await asyncio.to_thread(sync_env.sync)
    with sync_env.mirror.write() as tx:
        claim_source(tx, 1, ELSEWHERE)
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        await eventually(lambda: watched.state().status is WorkerStatus.STANDBY)
        asked = sync_env.simulator.simulator.requests.total
        post(sync_env, "two")
        watched.daemon.reload()
        await asyncio.sleep(0.5)
        assert sync_env.simulator.simulator.requests.total == asked
        assert len(watched.told("info", "source.standby")) == 1
        with sync_env.mirror.write() as tx:
            tx.execute(update(source_claims).values(expires_at=datetime(2026, 1, 1, tzinfo=UTC)))
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: watched.told("info", "source.active"))


async def test_who_does_the_first_run_is_who_follows_as_soon_as_it_is_done(sync_env: SyncEnv) -> None:
    """Before it, the source is not in the database; a second daemon that starts in between must not take it over."""
    post(sync_env, "one")
    async with running_daemon(sync_env.mirror, replace(source_config(sync_env), max_staleness=60.0)) as watched:
        await eventually(lambda: watched.state().last_success_at)
        await asyncio.sleep(0.3)
        with sync_env.mirror.read() as connection:
            following_it = active_daemon(connection, 1)
        assert following_it is not None
        assert following_it.next_check_at is not None


async def test_one_that_is_overtaken_stands_by_before_its_next_look(
    sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which may be far away, where looks are dear."""
    monkeypatch.setattr(follower, "KEEP_SECONDS", 0.2)
    post(sync_env, "one")
    await asyncio.to_thread(sync_env.sync)
    async with running_daemon(sync_env.mirror, replace(source_config(sync_env), max_staleness=600.0)) as watched:
        await eventually(lambda: watched.state().status is WorkerStatus.ACTIVE)
        with sync_env.mirror.write() as tx:
            tx.execute(update(source_claims).values(holder=ELSEWHERE.to_json()))
        await eventually(lambda: watched.state().status is WorkerStatus.STANDBY, seconds=20)


async def test_a_sync_by_hand_is_waited_for(sync_env: SyncEnv) -> None:
    """No failure: somebody else writes for a moment."""
    post(sync_env, "one")
    await asyncio.to_thread(sync_env.sync)
    lease = acquire(sync_env.mirror, 1, ELSEWHERE)
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        await eventually(lambda: watched.state().status is WorkerStatus.STANDBY)
        assert watched.state().failures == 0
        assert len(watched.told("info", "source.locked")) == 1
        release(sync_env.mirror, lease)
        post(sync_env, "two")
        await eventually(lambda: is_mirrored(sync_env))


async def test_settings_are_read_again(sync_env: SyncEnv) -> None:
    """A source that is new is followed, one that is gone is left."""
    post(sync_env, "one")
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        await eventually(lambda: is_mirrored(sync_env))
        watched.sources = [source_config(sync_env, name="other")]
        os.kill(os.getpid(), signal.SIGHUP)
        await eventually(lambda: list(watched.daemon.states) == ["other"])
        await eventually(lambda: is_mirrored(sync_env, source_id=2))
        with sync_env.mirror.read() as connection:
            assert active_daemon(connection, 1) is None


async def test_a_fault_while_settings_are_read_costs_no_later_reading(
    sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, and SIGHUP is heard as before."""
    monkeypatch.setattr(service, "AGAIN_SECONDS", 0.1)
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
            raise InvalidSetting("versionsync.toml: no", hint="mend it")

        monkeypatch.setattr(watched.daemon, "_load", bad)
        watched.daemon.reload()
        await eventually(lambda: watched.told("error", "settings.refused"))
        post(sync_env, "one")
        await eventually(lambda: is_mirrored(sync_env))


async def test_old_histories_are_read_again(sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """In slices, between looks."""
    monkeypatch.setattr("versionsync.daemon.worker.SCRUB_SECONDS", 0.5)
    for number in range(3):
        post(sync_env, f"post {number}")
    async with running_daemon(sync_env.mirror, source_config(sync_env, scrub=24)):
        await eventually(lambda: "scrub" in kinds(sync_env.mirror))


def kinds(mirror: Mirror) -> set[str]:
    """What the runs were."""
    with mirror.read() as connection:
        return {run.kind for run in last_runs(connection, limit=100)}


async def test_who_looks_next_and_why_is_in_the_database(sync_env: SyncEnv) -> None:
    """For whoever asks the database alone."""
    async with running_daemon(sync_env.mirror, source_config(sync_env)):

        def told() -> object:
            with sync_env.mirror.read() as connection:
                return connection.scalar(select(source_claims.c.next_check_reason))

        await eventually(told)


@pytest.fixture
def hours_of_the_day_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole day, whatever o'clock it is: what a budget allows in a second depends on how much of its day is left."""
    start, _ = Period.DAY.bounds(datetime.now(UTC))
    monkeypatch.setattr(Period, "bounds", lambda _period, now: (start, now + timedelta(days=1)))


@pytest.mark.usefixtures("hours_of_the_day_are_left")
async def test_a_budget_is_counted_and_slows_the_looks_down(sync_env: SyncEnv) -> None:
    """It is told at the start, with its arithmetic, and a new daemon knows what the old one spent."""
    post(sync_env, "one")
    small = replace(source_config(sync_env), budget=Budget.parse("100/day"), reads_webhook_log=False)
    async with running_daemon(sync_env.mirror, small) as watched:
        await eventually(lambda: watched.state().status is WorkerStatus.ACTIVE)
        (told,) = watched.told("warning", "budget.too_small")
        assert "of 100 requests a day" in str(told["arithmetic"])
        state = watched.state()
        assert state.next_check_at is not None
        assert state.next_check_at - datetime.now(UTC) > timedelta(minutes=1)
        sent = state.total.requests
    async with running_daemon(sync_env.mirror, small) as watched:
        await eventually(lambda: watched.state().budget)
        purse = watched.state().budget
        assert purse is not None
        assert purse.spent == sent


@pytest.mark.usefixtures("hours_of_the_day_are_left")
async def test_a_budget_that_is_spent_is_waited_for(sync_env: SyncEnv) -> None:
    """Nothing is asked any more, it is told once, and more budget helps at once."""
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
        assert "100 requests a day are spent (95): it goes on at" in (watched.state().error or "")
        watched.sources = [replace(source_config(sync_env), budget=Budget.parse("1000000/day"))]
        watched.daemon.reload()
        await eventually(lambda: is_mirrored(sync_env))


@pytest.mark.usefixtures("hours_of_the_day_are_left")
async def test_a_run_leaves_the_share_of_the_other_sources(sync_env: SyncEnv) -> None:
    """Of the 300 requests that are left one run may send half, and of two sources of a project each a quarter."""
    website = sync_env.spec
    for name in ("website", "other"):
        sync_env.spec = replace(website, name=name)
        await asyncio.to_thread(sync_env.sync)
    with sync_env.mirror.write() as tx:
        for source_id in (1, 2):
            add_requests(tx, source_id, datetime.now(UTC).date(), 50)
    for number in range(200):
        post(sync_env, str(number))
    sync_env.simulator.simulator.limits = RateLimit(60)  # what was sent is looked at five times a second
    async with running_daemon(
        sync_env.mirror, replace(source_config(sync_env), budget=Budget.parse("400/day"))
    ) as watched:
        await eventually(lambda: watched.state().last_run_at)
        purse = watched.state().budget
        assert purse is not None
        assert (purse.shared_by, purse.left, purse.per_run) == (2, 300, 75)
        assert watched.state().failures_by_kind == {ErrorKind.BUDGET: 1}
        assert 75 <= watched.state().total.requests < 150


@pytest.mark.usefixtures("hours_of_the_day_are_left")
async def test_what_a_sweep_costs_is_learned_from_the_number_of_records(
    sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beacon, schema and total, and a request for each page of the list; a page is of two records here."""
    monkeypatch.setattr(spending, "ITEMS_PAGE", 2)
    for number in range(7):
        post(sync_env, str(number))
    large = replace(source_config(sync_env), budget=Budget.parse("1000000/day"), reads_webhook_log=False)
    async with running_daemon(sync_env.mirror, large) as watched:
        await eventually(lambda: watched.state().runs["succeeded"])
        watched.sources = [replace(large, budget=Budget.parse("100/day"))]
        watched.daemon.reload()
        await eventually(lambda: watched.told("warning", "budget.too_small"))
        assert "a sweep 7 " in str(watched.told("warning", "budget.too_small")[0]["arithmetic"])


async def test_a_look_that_is_asked_for_during_another_one_comes_after_it(sync_env: SyncEnv) -> None:
    """Whatever it was asked for may have happened behind the first one's back."""
    sync_env.simulator.simulator.faults.plant(FaultKind.SLOW, path="/site", seconds=1.0)
    slow = replace(source_config(sync_env), max_staleness=600.0)
    async with running_daemon(sync_env.mirror, slow) as watched:
        await eventually(lambda: watched.state().progress)
        watched.daemon.reload()
        await eventually(lambda: watched.state().runs["succeeded"] >= 2, seconds=20)
