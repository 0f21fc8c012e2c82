"""Polling the log of webhook calls finds all changes without an open port, whatever happens to calls."""

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
from versionsync.backoff import Backoff
from versionsync.budget import Budget
from versionsync.daemon import webhook_log_poller as poller
from versionsync.daemon.membership import Pace
from versionsync.daemon.worker_state import LogStatus, PollOutcome
from versionsync.mirror.schema import webhook_queue
from versionsync.mirror.tables.runs import last_runs
from versionsync.mirror.tables.webhooks import invalidate_cursor, log_cursor, queue_record
from versionsync.simulator import FULL_ACCESS_TOKEN, FaultKind, World
from versionsync.simulator.world.webhooks import Webhook
from versionsync.webhooks.payload import WebhookResult
from versionsync.webhooks.registration import name_of

NOWHERE = "http://127.0.0.1:9/"
"""A target that never answers: the log of DatoCMS is enough."""


def register(sync_env: SyncEnv, name: str = name_of("website"), **settings: object) -> Webhook:
    """Register a webhook as `versionsync webhook install` does."""
    return sync_env.act(lambda world: world.webhooks.register(name, NOWHERE, auto_retry=False, **settings))


@asynccontextmanager
async def polling(sync_env: SyncEnv, **settings: object) -> AsyncIterator[RunningDaemon]:
    """Run a daemon that checks only every ten minutes, and has found the log."""
    source = replace(source_config(sync_env), **{"max_staleness": 600.0} | settings)
    async with running_daemon(sync_env.mirror, source) as watched:
        await eventually(lambda: watched.state().log_polls[PollOutcome.GAP] == 1)
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE])
        await eventually(lambda: is_mirrored(sync_env))
        yield watched


def post(sync_env: SyncEnv, title: str) -> str:
    """Let an editor write something new; returns the record's id."""
    return sync_env.act(lambda world: world.create(world.user, "post", {"title": title})).id


def queued(sync_env: SyncEnv) -> int | None:
    """Return how many records are queued."""
    with sync_env.mirror.read() as connection:
        return connection.scalar(select(func.count()).select_from(webhook_queue))


async def test_changes_in_the_log_are_mirrored_at_once(sync_env: SyncEnv) -> None:
    """An edit, a publication and a deletion, though no call is ever received."""
    register(sync_env)
    async with polling(sync_env) as watched:
        complete_at = watched.state().last_success_at
        id = post(sync_env, "one")
        await eventually(lambda: is_mirrored(sync_env))
        sync_env.act(lambda world: world.publish(world.user, id))
        await eventually(lambda: is_mirrored(sync_env))
        sync_env.act(lambda world: world.delete(world.user, id))
        await eventually(lambda: is_mirrored(sync_env))
        assert watched.state().webhook_results[WebhookResult.RECOVERED] == 4, (
            "deleting a published record makes two calls"
        )
        assert watched.state().last_success_at == complete_at  # only by queued records
        await eventually(lambda: queued(sync_env) == 0)
    with sync_env.mirror.read() as connection:
        assert {run.kind for run in last_runs(connection, limit=3)} == {"records"}
        up_to = log_cursor(connection, 1)
    assert up_to is not None
    assert up_to.last is not None


async def test_an_idle_poll_costs_one_request_and_writes_nothing(sync_env: SyncEnv) -> None:
    """However many calls were made before."""
    register(sync_env)
    for number in range(40):
        post(sync_env, f"post {number}")
    async with polling(sync_env) as watched:
        sync_env.wait(120)
        complete = watched.state().log_polls[PollOutcome.COMPLETE]
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE] > complete)
        asked, complete = sync_env.simulator.simulator.requests.total, watched.state().log_polls[PollOutcome.COMPLETE]
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE] >= complete + 2)
        assert sync_env.simulator.simulator.requests.total - asked <= 3
        assert watched.state().log_polls[PollOutcome.GAP] == 1


async def test_every_request_is_counted_by_how_it_ended(sync_env: SyncEnv) -> None:
    """Those of checks and of polls: as many as upstream counts, except for the last ones at the end of the daemon."""
    register(sync_env)
    async with polling(sync_env) as watched:
        post(sync_env, "one")
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE] > 2)
        state = watched.state()
    assert 0 <= sync_env.simulator.simulator.requests.total - state.requests.total() <= 2
    assert set(state.requests) == {cma.Result.OK}


async def test_a_pruned_log_leads_to_a_check(sync_env: SyncEnv) -> None:
    """Which finds what the log no longer shows."""
    register(sync_env)
    async with polling(sync_env) as watched:
        post(sync_env, "one")
        await eventually(lambda: is_mirrored(sync_env))

        def edit_and_prune(world: World) -> None:
            world.create(world.user, "post", {"title": "two"})
            world.create(world.user, "post", {"title": "three"})
            while len(world.webhooks.calls) > 1:
                world.webhooks.calls.popitem(last=False)

        sync_env.act(edit_and_prune)
        await eventually(lambda: is_mirrored(sync_env))
        assert watched.state().log_polls[PollOutcome.GAP] == 2
        assert len(watched.told("info", "webhook_log.gap")) == 1  # the first poll always has a gap


async def test_calls_of_another_environment_are_ignored(sync_env: SyncEnv) -> None:
    """A webhook belongs to the project, and is called for all environments."""
    register(sync_env)
    async with polling(sync_env) as watched:
        sync_env.act(lambda world: world.fork(world.account, "main", "sandbox"))
        runs = watched.state().runs["succeeded"]

        def edit(world: World) -> None:
            world.create(world.user, "post", {"title": "elsewhere"}, environment="sandbox")

        sync_env.act(edit)
        complete = watched.state().log_polls[PollOutcome.COMPLETE]
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE] >= complete + 2)
        assert watched.state().webhook_results[WebhookResult.RECOVERED] == 0
        assert watched.state().runs["succeeded"] - runs <= 1


async def test_a_token_that_may_not_read_the_log_works_without_it(
    sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged once, though it is tried again; checks are as frequent as without a log."""
    monkeypatch.setattr(poller, "SEARCH_SECONDS", 0.1)
    monkeypatch.setattr(poller, "SEARCH_CHECKS", 0.0)
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
async def test_an_incomplete_webhook_is_not_polled(sync_env: SyncEnv, settings: dict[str, object]) -> None:
    """The reason is logged once; checks are as frequent as without a log."""
    webhook = register(sync_env)
    sync_env.act(lambda world: [setattr(world.webhooks.registered[webhook.id], *each) for each in settings.items()])
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        await eventually(lambda: watched.state().webhook_log is LogStatus.ABSENT)
        (line,) = watched.told("info", "webhook_log.inactive")
        assert "does not report everything" in str(line["reason"])


async def test_a_removed_webhook_is_noticed(sync_env: SyncEnv) -> None:
    """By a check that finds what the log did not show; then checks come more often again."""
    webhook = register(sync_env)
    async with polling(sync_env) as watched:
        sync_env.act(lambda world: world.webhooks.registered.pop(webhook.id))
        post(sync_env, "unreported")
        watched.daemon.workers["website"].check_soon()
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: watched.state().webhook_log is LogStatus.ABSENT)


async def test_the_settings_can_turn_polling_off(sync_env: SyncEnv) -> None:
    """Then no request is sent for it."""
    register(sync_env)
    async with running_daemon(sync_env.mirror, replace(source_config(sync_env), polls_webhook_log=False)) as watched:
        await eventually(lambda: watched.state().runs["succeeded"] > 3)
        assert watched.state().webhook_log is LogStatus.UNKNOWN
    assert not any("webhook" in request.path for request in sync_env.simulator.simulator.requests)


async def test_a_poll_that_fails_is_tried_again(sync_env: SyncEnv) -> None:
    """It is no failure of the source, and nothing is missed."""
    register(sync_env)
    async with polling(sync_env) as watched:
        sync_env.simulator.simulator.faults.plant(FaultKind.WRONG_SHAPE, path="/webhook_calls", times=2)
        sync_env.simulator.simulator.faults.plant(FaultKind.EMPTY_PAGE, path="/webhook_calls", nth=4)
        post(sync_env, "one")
        await eventually(lambda: is_mirrored(sync_env))
        assert watched.state().log_polls[PollOutcome.FAILED] >= 1
        assert watched.told("warning", "source.failing") == []


async def test_a_failed_search_for_the_webhook_is_repeated(sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute, not after an hour."""
    monkeypatch.setattr(poller, "SEARCH_RETRY", Backoff(0.5, 3600))
    register(sync_env)
    sync_env.simulator.simulator.faults.plant(FaultKind.WRONG_SHAPE, path="/webhooks")
    async with polling(sync_env) as watched:
        assert watched.state().log_polls[PollOutcome.FAILED] == 1


async def test_a_later_webhook_is_found_after_a_reload(sync_env: SyncEnv) -> None:
    """Without a restart."""
    async with running_daemon(sync_env.mirror, replace(source_config(sync_env), max_staleness=600.0)) as watched:
        await eventually(lambda: watched.state().webhook_log is LogStatus.ABSENT)
        register(sync_env)
        watched.daemon.reload()
        await eventually(lambda: watched.state().webhook_log is LogStatus.ACTIVE)


async def test_a_later_webhook_is_found_through_the_database(sync_env: SyncEnv) -> None:
    """Within seconds of the command that registers or removes it."""
    config = replace(source_config(sync_env), max_staleness=600.0)
    async with running_daemon(sync_env.mirror, config, pace=Pace(heartbeat=0.3)) as watched:
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


async def test_a_restart_continues_at_the_position_in_the_log(sync_env: SyncEnv) -> None:
    """Without a gap."""
    register(sync_env)
    async with polling(sync_env):
        post(sync_env, "one")
        await eventually(lambda: is_mirrored(sync_env))
    post(sync_env, "two")
    async with running_daemon(sync_env.mirror, replace(source_config(sync_env), max_staleness=600.0)) as watched:
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE])
        assert watched.state().log_polls[PollOutcome.GAP] == 0
        await eventually(lambda: is_mirrored(sync_env))


async def test_polls_count_towards_the_budget(sync_env: SyncEnv) -> None:
    """And stop when it is spent."""
    register(sync_env)
    async with polling(sync_env, budget=Budget.parse("1000000/day")) as watched:  # pays for it at any time of the day
        complete = watched.state().log_polls[PollOutcome.COMPLETE]
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE] >= complete + 2)
        watched.daemon.workers["website"].check_soon()
        await asyncio.sleep(0.5)
        await eventually(lambda: (budget := watched.state().budget) and budget.spent >= complete + 2)
        total = watched.state().total.requests
        assert total <= sync_env.simulator.simulator.requests.total <= total + 4


async def test_more_than_a_page_at_once_is_read_too(sync_env: SyncEnv) -> None:
    """Between two polls; more than a few pages lead to a complete check."""
    register(sync_env)
    async with polling(sync_env) as watched:
        sync_env.pause = timedelta(0)
        for number in range(60):
            post(sync_env, f"post {number}")
        await eventually(lambda: is_mirrored(sync_env))
        assert watched.state().webhook_results[WebhookResult.RECOVERED] >= 60


VERBS = ("create", "create", "update", "publish", "unpublish", "delete")


def edit_a_lot(sync_env: SyncEnv, *, seed: int, acts: int = 30) -> None:
    """Simulate a busy day: everything that can happen to a record; some are written and never touched again."""
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
    """Return an edit of the title."""
    return lambda world: world.update(world.user, record, {"title": f"edit {number}"})


def act_on(record: str, verb: str) -> Callable[[World], object]:
    """Return a publication, its end or a deletion."""
    return lambda world: getattr(world, verb)(world.user, record)


async def test_unreliable_delivery_misses_nothing(sync_env: SyncEnv) -> None:
    """A third of the calls is lost, a third doubled, all are reordered: all is there long before the next check."""
    post(sync_env, "before")
    async with webhook_proxy(sync_env) as one, unreliable_way(one, seed=11) as url:
        sync_env.act(lambda world: world.webhooks.register(name_of("website"), url, auto_retry=False))
        one.watched.daemon.reload()
        await eventually(lambda: one.watched.state().log_polls[PollOutcome.COMPLETE])
        await asyncio.to_thread(edit_a_lot, sync_env, seed=11)
        await eventually(lambda: is_mirrored(sync_env))
        assert one.heard(WebhookResult.ACCEPTED) > 0


async def test_a_call_that_was_never_received_is_found(sync_env: SyncEnv) -> None:
    """Once, in the log. A call that was received is not counted again."""
    async with webhook_proxy(sync_env) as one:
        webhook = sync_env.act(lambda world: world.webhooks.register(name_of("website"), one.url, auto_retry=False))
        webhook.http_basic_user, webhook.http_basic_password = LOGIN
        one.watched.daemon.reload()
        await eventually(lambda: one.watched.state().log_polls[PollOutcome.COMPLETE])
        post(sync_env, "heard")
        await eventually(lambda: is_mirrored(sync_env))
        assert one.heard(WebhookResult.ACCEPTED) == 1
        recovered = one.heard(WebhookResult.RECOVERED)  # a poll may have come before the call did
        sync_env.act(lambda world: setattr(world.webhooks.registered[webhook.id], "url", NOWHERE))
        post(sync_env, "lost")
        await eventually(lambda: is_mirrored(sync_env))
        assert (one.heard(WebhookResult.ACCEPTED), one.heard(WebhookResult.RECOVERED) - recovered) == (1, 1)


async def test_a_call_that_another_daemon_received_is_not_recovered(sync_env: SyncEnv) -> None:
    """It is checked once, and counted by the daemon that received it."""
    register(sync_env)
    async with polling(sync_env) as watched:

        def edit_and_take(world: World) -> None:
            id = world.create(world.user, "post", {"title": "one"}).id
            with sync_env.mirror.write() as tx:
                queue_record(tx, 1, id, event_type="create", received_at=datetime.now(UTC))

        sync_env.act(edit_and_take)
        await eventually(lambda: is_mirrored(sync_env))
        assert watched.state().webhook_results[WebhookResult.RECOVERED] == 0
        post(sync_env, "two")
        await eventually(lambda: is_mirrored(sync_env))
        assert watched.state().webhook_results[WebhookResult.RECOVERED] == 1


async def test_an_unreliable_log_misses_nothing(sync_env: SyncEnv) -> None:
    """Old, reversed and empty pages and errors: every gap leads to a check."""
    register(sync_env)
    async with polling(sync_env) as watched:
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
        await eventually(lambda: is_mirrored(sync_env))
        assert watched.told("warning", "source.failing") == []
