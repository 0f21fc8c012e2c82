"""The log of webhook calls is a feed of changes: no port is open, and whatever happens to calls, nothing is missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from sqlalchemy import func, select

from tests.fixtures.running_daemon import RunningDaemon, eventually, is_mirrored, running_daemon, source_config
from tests.fixtures.sync_env import SyncEnv
from tests.fixtures.webhook_proxy import LOGIN, unreliable_way, webhook_proxy
from versionsync import cma
from versionsync.budget import Budget
from versionsync.daemon import webhook_log_poller as feed
from versionsync.daemon.state import LogStatus, PollOutcome
from versionsync.mirror.schema import webhook_queue
from versionsync.mirror.tables.runs import last_runs
from versionsync.mirror.tables.webhooks import invalidate_cursor, log_cursor, queue_record
from versionsync.simulator import FULL_ACCESS_TOKEN, FaultKind, World
from versionsync.simulator.world.webhooks import Webhook
from versionsync.webhooks.payload import WebhookResult
from versionsync.webhooks.registration import name_of

NOWHERE = "http://127.0.0.1:9/"
"""A target that never answers: what DatoCMS logs is enough."""


def register(sync_env: SyncEnv, name: str = name_of("website"), **settings: object) -> Webhook:
    """A webhook as `versionsync webhook install` makes it."""
    return sync_env.act(lambda world: world.webhooks.register(name, NOWHERE, auto_retry=False, **settings))


@asynccontextmanager
async def reading(sync_env: SyncEnv, **settings: object) -> AsyncIterator[RunningDaemon]:
    """A daemon that looks by itself every ten minutes only, and has found the log."""
    source = replace(source_config(sync_env), **{"max_staleness": 600.0} | settings)
    async with running_daemon(sync_env.mirror, source) as watched:
        await eventually(lambda: watched.state().log_polls[PollOutcome.GAP] == 1)
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE])
        await eventually(lambda: is_mirrored(sync_env))
        yield watched


def post(sync_env: SyncEnv, title: str) -> str:
    """Let an editor write something new; returns the record's id."""
    return sync_env.act(lambda world: world.create(world.user, "post", {"title": title})).id


def hints_kept(sync_env: SyncEnv) -> int | None:
    """How many are in the database."""
    with sync_env.mirror.read() as connection:
        return connection.scalar(select(func.count()).select_from(webhook_queue))


async def test_what_the_log_tells_is_mirrored_at_once(sync_env: SyncEnv) -> None:
    """An edit, a publication and a deletion, though nobody ever receives a call."""
    register(sync_env)
    async with reading(sync_env) as watched:
        whole = watched.state().last_success_at
        id = post(sync_env, "one")
        await eventually(lambda: is_mirrored(sync_env), seconds=20)
        sync_env.act(lambda world: world.publish(world.user, id))
        await eventually(lambda: is_mirrored(sync_env), seconds=20)
        sync_env.act(lambda world: world.delete(world.user, id))
        await eventually(lambda: is_mirrored(sync_env), seconds=20)
        assert watched.state().webhook_results[WebhookResult.RECOVERED] == 4, (
            "a deletion of what is live is told as its end, too"
        )
        assert watched.state().last_success_at == whole  # by hints alone
        await eventually(lambda: hints_kept(sync_env) == 0)
    with sync_env.mirror.read() as connection:
        assert {run.kind for run in last_runs(connection, limit=3)} == {"records"}
        up_to = log_cursor(connection, 1)
    assert up_to is not None
    assert up_to.last is not None


async def test_an_idle_reading_costs_one_request_and_writes_nothing(sync_env: SyncEnv) -> None:
    """However many calls were made before."""
    register(sync_env)
    for number in range(40):
        post(sync_env, f"post {number}")
    async with reading(sync_env) as watched:
        sync_env.wait(120)
        proven = watched.state().log_polls[PollOutcome.COMPLETE]
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE] > proven)
        asked, proven = sync_env.simulator.simulator.requests.total, watched.state().log_polls[PollOutcome.COMPLETE]
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE] >= proven + 2)
        assert sync_env.simulator.simulator.requests.total - asked <= 3
        assert watched.state().log_polls[PollOutcome.GAP] == 1


async def test_every_request_is_counted_by_how_it_ended(sync_env: SyncEnv) -> None:
    """Those of looks and those of readings: upstream counts as many, besides what the end of the daemon cut off."""
    register(sync_env)
    async with reading(sync_env) as watched:
        post(sync_env, "one")
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE] > 2)
        state = watched.state()
    assert 0 <= sync_env.simulator.simulator.requests.total - state.requests.total() <= 2
    assert set(state.requests) == {cma.Result.OK}


async def test_a_pruned_log_is_followed_by_a_look(sync_env: SyncEnv) -> None:
    """What it no longer tells is found all the same."""
    register(sync_env)
    async with reading(sync_env) as watched:
        post(sync_env, "one")
        await eventually(lambda: is_mirrored(sync_env))

        def edit_and_prune(world: World) -> None:
            world.create(world.user, "post", {"title": "two"})
            world.create(world.user, "post", {"title": "three"})
            while len(world.webhooks.calls) > 1:
                world.webhooks.calls.popitem(last=False)

        sync_env.act(edit_and_prune)
        await eventually(lambda: is_mirrored(sync_env), seconds=10)
        assert watched.state().log_polls[PollOutcome.GAP] == 2
        assert len(watched.told("info", "webhook_log.gap")) == 1  # the first reading can prove nothing


async def test_calls_of_another_environment_are_left_alone(sync_env: SyncEnv) -> None:
    """A webhook is the project's, and hears of all environments."""
    register(sync_env)
    async with reading(sync_env) as watched:
        sync_env.act(lambda world: world.fork(world.account, "main", "sandbox"))
        runs = watched.state().runs["succeeded"]

        def edit(world: World) -> None:
            world.create(world.user, "post", {"title": "elsewhere"}, environment="sandbox")

        sync_env.act(edit)
        proven = watched.state().log_polls[PollOutcome.COMPLETE]
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE] >= proven + 2)
        assert watched.state().webhook_results[WebhookResult.RECOVERED] == 0
        assert watched.state().runs["succeeded"] - runs <= 1


async def test_a_token_that_may_not_read_it_goes_on_as_before(
    sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told once, though it is tried again and again; looks come as often as without."""
    monkeypatch.setattr(feed, "SEARCH_SECONDS", 0.1)
    monkeypatch.setattr(feed, "SEARCH_CHECKS", 0.0)
    register(sync_env)

    def restrict(world: World) -> None:
        role = world.people.tokens[FULL_ACCESS_TOKEN].role
        world.people.add_role(replace(role, can_manage_webhooks=False))

    sync_env.act(restrict)
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        await eventually(lambda: watched.state().webhook_log is LogStatus.REFUSED)
        post(sync_env, "one")
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: sync_env.simulator.simulator.requests.count("GET /webhooks") >= 3)
        assert len(watched.told("info", "webhook_log.inactive")) == 1
        assert watched.told("warning", "source.failing") == []


@pytest.mark.parametrize(
    "settings",
    [{"enabled": False}, {"custom_payload": "{}"}, {"events": ()}],
    ids=["disabled", "custom payload", "no events"],
)
async def test_a_webhook_that_does_not_tell_all_is_not_followed(sync_env: SyncEnv, settings: dict[str, object]) -> None:
    """It says why, once, and looks as often as without."""
    webhook = register(sync_env)
    sync_env.act(lambda world: [setattr(world.webhooks.registered[webhook.id], *each) for each in settings.items()])
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        await eventually(lambda: watched.state().webhook_log is LogStatus.ABSENT)
        (told,) = watched.told("info", "webhook_log.inactive")
        assert "does not tell all" in str(told["reason"])


async def test_a_webhook_that_is_removed_is_noticed(sync_env: SyncEnv) -> None:
    """By a look that finds what the log did not tell; from then on looks come more often again."""
    webhook = register(sync_env)
    async with reading(sync_env) as watched:
        sync_env.act(lambda world: world.webhooks.registered.pop(webhook.id))
        post(sync_env, "untold")
        watched.daemon.workers["website"].check_soon()
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: watched.state().webhook_log is LogStatus.ABSENT)


async def test_the_settings_can_do_without_it(sync_env: SyncEnv) -> None:
    """Then nothing is asked."""
    register(sync_env)
    async with running_daemon(sync_env.mirror, replace(source_config(sync_env), polls_webhook_log=False)) as watched:
        await eventually(lambda: watched.state().runs["succeeded"] > 3)
        assert watched.state().webhook_log is LogStatus.UNKNOWN
    assert not any("webhook" in request.path for request in sync_env.simulator.simulator.requests)


async def test_a_reading_that_fails_is_tried_again(sync_env: SyncEnv) -> None:
    """It is no trouble of the source's, and nothing is missed."""
    register(sync_env)
    async with reading(sync_env) as watched:
        sync_env.simulator.simulator.faults.plant(FaultKind.WRONG_SHAPE, path="/webhook_calls", times=2)
        sync_env.simulator.simulator.faults.plant(FaultKind.EMPTY_PAGE, path="/webhook_calls", nth=4)
        post(sync_env, "one")
        await eventually(lambda: is_mirrored(sync_env), seconds=10)
        assert watched.state().log_polls[PollOutcome.FAILED] >= 1
        assert watched.told("warning", "source.failing") == []


async def test_a_webhook_is_looked_for_again_where_that_failed(
    sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a minute, not after an hour."""
    monkeypatch.setattr("versionsync.daemon.webhook_log_poller.FIND_AGAIN_SECONDS", 0.5)
    register(sync_env)
    sync_env.simulator.simulator.faults.plant(FaultKind.WRONG_SHAPE, path="/webhooks")
    async with reading(sync_env) as watched:
        assert watched.state().log_polls[PollOutcome.FAILED] == 1


async def test_a_webhook_that_is_made_later_is_found_when_told(sync_env: SyncEnv) -> None:
    """By SIGHUP, without a restart."""
    async with running_daemon(sync_env.mirror, replace(source_config(sync_env), max_staleness=600.0)) as watched:
        await eventually(lambda: watched.state().webhook_log is LogStatus.ABSENT)
        register(sync_env)
        watched.daemon.reload()
        await eventually(lambda: watched.state().webhook_log is LogStatus.ACTIVE)


async def test_a_webhook_that_is_made_later_is_found_through_the_database(
    sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within seconds of the command that makes it, once, and just so when it is removed."""
    monkeypatch.setattr("versionsync.daemon.worker.CLAIM_SECONDS", 0.3)
    async with running_daemon(sync_env.mirror, replace(source_config(sync_env), max_staleness=600.0)) as watched:
        await eventually(lambda: watched.state().webhook_log is LogStatus.ABSENT)
        asked = sync_env.simulator.simulator.requests.total
        await asyncio.sleep(1)
        assert sync_env.simulator.simulator.requests.total == asked
        webhook = register(sync_env)
        with sync_env.mirror.write() as tx:
            invalidate_cursor(tx, 1, at=datetime.now(UTC))
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE])
        assert watched.state().log_gaps == 0
        sync_env.act(lambda world: world.webhooks.registered.pop(webhook.id))
        with sync_env.mirror.write() as tx:
            invalidate_cursor(tx, 1, at=datetime.now(UTC))
        await eventually(lambda: watched.state().webhook_log is LogStatus.ABSENT)


async def test_a_restart_goes_on_where_the_log_was_read_to(sync_env: SyncEnv) -> None:
    """Proven from the first reading on."""
    register(sync_env)
    async with reading(sync_env):
        post(sync_env, "one")
        await eventually(lambda: is_mirrored(sync_env))
    post(sync_env, "two")
    async with running_daemon(sync_env.mirror, replace(source_config(sync_env), max_staleness=600.0)) as watched:
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE])
        assert watched.state().log_polls[PollOutcome.GAP] == 0
        await eventually(lambda: is_mirrored(sync_env))


async def test_readings_count_towards_the_budget(sync_env: SyncEnv) -> None:
    """And stop when it is spent."""
    register(sync_env)
    async with reading(sync_env, budget=Budget.parse("1000000/day")) as watched:  # pays for it at any time of the day
        proven = watched.state().log_polls[PollOutcome.COMPLETE]
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE] >= proven + 2)
        watched.daemon.workers["website"].check_soon()
        await asyncio.sleep(0.5)
        await eventually(lambda: (purse := watched.state().budget) and purse.spent >= proven + 2)
        total = watched.state().total.requests
        assert total <= sync_env.simulator.simulator.requests.total <= total + 4


async def test_more_than_a_page_at_once_is_read_too(sync_env: SyncEnv) -> None:
    """Between two readings; with more than a few pages all is looked at."""
    register(sync_env)
    async with reading(sync_env) as watched:
        sync_env.pause = timedelta(0)
        for number in range(60):
            post(sync_env, f"post {number}")
        await eventually(lambda: is_mirrored(sync_env), seconds=20)
        assert watched.state().webhook_results[WebhookResult.RECOVERED] >= 60


VERBS = ("create", "create", "update", "publish", "unpublish", "delete")


def edit_a_lot(sync_env: SyncEnv, *, seed: int, acts: int = 30) -> None:
    """A busy day of editors: everything that can happen to a record; some are written and never touched again."""
    random, ids = Random(seed), [post(sync_env, "first")]
    for number in range(acts):
        record, verb = (
            random.choice(ids),
            random.choice(("create", "create", "update", "publish", "unpublish", "delete")),
        )
        if verb == "create" or len(ids) < 3:
            ids.append(post(sync_env, f"post {number}"))
        elif verb == "update":
            sync_env.act(edit_of(record, number))
        else:
            sync_env.act(act_on(record, verb))
            if verb == "delete":
                ids.remove(record)


def edit_of(record: str, number: int) -> Callable[[World], object]:
    """Another title."""
    return lambda world: world.update(world.user, record, {"title": f"edit {number}"})


def act_on(record: str, verb: str) -> Callable[[World], object]:
    """Publish it, take it back, delete it."""
    return lambda world: getattr(world, verb)(world.user, record)


async def test_an_unreliable_way_misses_nothing(sync_env: SyncEnv) -> None:
    """A third of the calls is lost, a third doubled, all are mixed up: long before the next whole look all is there."""
    post(sync_env, "before")
    async with webhook_proxy(sync_env) as one, unreliable_way(one, seed=11) as url:
        sync_env.act(lambda world: world.webhooks.register(name_of("website"), url, auto_retry=False))
        one.watched.daemon.reload()
        await eventually(lambda: one.watched.state().log_polls[PollOutcome.COMPLETE])
        await asyncio.to_thread(edit_a_lot, sync_env, seed=11)
        await eventually(lambda: is_mirrored(sync_env), seconds=30)
        assert one.heard(WebhookResult.ACCEPTED) > 0


async def test_a_call_that_the_receiver_never_got_is_found(sync_env: SyncEnv) -> None:
    """Once, and by the log alone; what the receiver has taken the log does not tell again."""
    async with webhook_proxy(sync_env) as one:
        webhook = sync_env.act(lambda world: world.webhooks.register(name_of("website"), one.url, auto_retry=False))
        webhook.http_basic_user, webhook.http_basic_password = LOGIN
        one.watched.daemon.reload()
        await eventually(lambda: one.watched.state().log_polls[PollOutcome.COMPLETE])
        post(sync_env, "heard")
        await eventually(lambda: is_mirrored(sync_env))
        assert one.heard(WebhookResult.ACCEPTED) == 1
        found = one.heard(WebhookResult.RECOVERED)  # a reading may have come before the call did
        sync_env.act(lambda world: setattr(world.webhooks.registered[webhook.id], "url", NOWHERE))
        post(sync_env, "lost")
        await eventually(lambda: is_mirrored(sync_env), seconds=20)
        assert (one.heard(WebhookResult.ACCEPTED), one.heard(WebhookResult.RECOVERED) - found) == (1, 1)


async def test_what_the_receiver_of_another_daemon_took_is_not_found(sync_env: SyncEnv) -> None:
    """It is looked at, once, and counted by who took it."""
    register(sync_env)
    async with reading(sync_env) as watched:

        def edit_and_take(world: World) -> None:
            id = world.create(world.user, "post", {"title": "one"}).id
            with sync_env.mirror.write() as tx:
                queue_record(tx, 1, id, event_type="create", received_at=datetime.now(UTC))

        sync_env.act(edit_and_take)
        await eventually(lambda: is_mirrored(sync_env), seconds=20)
        assert watched.state().webhook_results[WebhookResult.RECOVERED] == 0
        post(sync_env, "two")
        await eventually(lambda: is_mirrored(sync_env), seconds=20)
        assert watched.state().webhook_results[WebhookResult.RECOVERED] == 1


async def test_an_unreliable_log_misses_nothing(sync_env: SyncEnv) -> None:
    """Old answers, pages back to front, empty ones and errors: what is not proven is looked at."""
    register(sync_env)
    async with reading(sync_env) as watched:
        faults = sync_env.simulator.simulator.faults
        faults.path = "/webhook_calls"
        faults.rates.update(
            {
                FaultKind.REORDERED: 0.1,
                FaultKind.STALE: 0.1,
                FaultKind.EMPTY_PAGE: 0.1,
                FaultKind.REPEATED_PAGE: 0.05,
                FaultKind.INTERNAL_ERROR: 0.05,
                FaultKind.WRONG_SHAPE: 0.05,
            }
        )
        await asyncio.to_thread(edit_a_lot, sync_env, seed=12)
        await eventually(lambda: is_mirrored(sync_env), seconds=60)
        assert watched.told("warning", "source.failing") == []
