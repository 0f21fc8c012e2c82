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

from tests.fixtures.daemons import Watched, eventually, followed, following, is_mirrored
from tests.fixtures.lab import Lab
from tests.fixtures.listening import LOGIN, listening, unreliable_way
from versionsync import cma
from versionsync.daemon import webhook_log_poller as feed
from versionsync.daemon.budget import Budget
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


def register(lab: Lab, name: str = name_of("website"), **settings: object) -> Webhook:
    """A webhook as `versionsync webhook install` makes it."""
    return lab.act(lambda world: world.webhooks.register(name, NOWHERE, auto_retry=False, **settings))


@asynccontextmanager
async def reading(lab: Lab, **settings: object) -> AsyncIterator[Watched]:
    """A daemon that looks by itself every ten minutes only, and has found the log."""
    source = replace(followed(lab), **{"max_staleness": 600.0} | settings)
    async with following(lab.mirror, source) as watched:
        await eventually(lambda: watched.state().log_polls[PollOutcome.GAP] == 1)
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE])
        await eventually(lambda: is_mirrored(lab))
        yield watched


def post(lab: Lab, title: str) -> str:
    """Let an editor write something new; returns the record's id."""
    return lab.act(lambda world: world.create(world.user, "post", {"title": title})).id


def hints_kept(lab: Lab) -> int | None:
    """How many are in the database."""
    with lab.mirror.read() as connection:
        return connection.scalar(select(func.count()).select_from(webhook_queue))


async def test_what_the_log_tells_is_mirrored_at_once(lab: Lab) -> None:
    """An edit, a publication and a deletion, though nobody ever receives a call."""
    register(lab)
    async with reading(lab) as watched:
        whole = watched.state().last_success_at
        id = post(lab, "one")
        await eventually(lambda: is_mirrored(lab), seconds=20)
        lab.act(lambda world: world.publish(world.user, id))
        await eventually(lambda: is_mirrored(lab), seconds=20)
        lab.act(lambda world: world.delete(world.user, id))
        await eventually(lambda: is_mirrored(lab), seconds=20)
        assert watched.state().webhook_results[WebhookResult.RECOVERED] == 4, (
            "a deletion of what is live is told as its end, too"
        )
        assert watched.state().last_success_at == whole  # by hints alone
        await eventually(lambda: hints_kept(lab) == 0)
    with lab.mirror.read() as connection:
        assert {run.kind for run in last_runs(connection, limit=3)} == {"records"}
        up_to = log_cursor(connection, 1)
    assert up_to is not None
    assert up_to.last is not None


async def test_an_idle_reading_costs_one_request_and_writes_nothing(lab: Lab) -> None:
    """However many calls were made before."""
    register(lab)
    for number in range(40):
        post(lab, f"post {number}")
    async with reading(lab) as watched:
        lab.wait(120)
        proven = watched.state().log_polls[PollOutcome.COMPLETE]
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE] > proven)
        asked, proven = lab.simulator.simulator.requests.total, watched.state().log_polls[PollOutcome.COMPLETE]
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE] >= proven + 2)
        assert lab.simulator.simulator.requests.total - asked <= 3
        assert watched.state().log_polls[PollOutcome.GAP] == 1


async def test_every_request_is_counted_by_how_it_ended(lab: Lab) -> None:
    """Those of looks and those of readings: upstream counts as many, besides what the end of the daemon cut off."""
    register(lab)
    async with reading(lab) as watched:
        post(lab, "one")
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE] > 2)
        state = watched.state()
    assert 0 <= lab.simulator.simulator.requests.total - state.requests.total() <= 2
    assert set(state.requests) == {cma.Result.OK}


async def test_a_pruned_log_is_followed_by_a_look(lab: Lab) -> None:
    """What it no longer tells is found all the same."""
    register(lab)
    async with reading(lab) as watched:
        post(lab, "one")
        await eventually(lambda: is_mirrored(lab))

        def edit_and_prune(world: World) -> None:
            world.create(world.user, "post", {"title": "two"})
            world.create(world.user, "post", {"title": "three"})
            while len(world.webhooks.calls) > 1:
                world.webhooks.calls.popitem(last=False)

        lab.act(edit_and_prune)
        await eventually(lambda: is_mirrored(lab), seconds=10)
        assert watched.state().log_polls[PollOutcome.GAP] == 2
        assert len(watched.told("info", "webhook_log.gap")) == 1  # the first reading can prove nothing


async def test_calls_of_another_environment_are_left_alone(lab: Lab) -> None:
    """A webhook is the project's, and hears of all environments."""
    register(lab)
    async with reading(lab) as watched:
        lab.act(lambda world: world.fork(world.account, "main", "sandbox"))
        runs = watched.state().runs["succeeded"]

        def edit(world: World) -> None:
            world.create(world.user, "post", {"title": "elsewhere"}, environment="sandbox")

        lab.act(edit)
        proven = watched.state().log_polls[PollOutcome.COMPLETE]
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE] >= proven + 2)
        assert watched.state().webhook_results[WebhookResult.RECOVERED] == 0
        assert watched.state().runs["succeeded"] - runs <= 1


async def test_a_token_that_may_not_read_it_goes_on_as_before(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told once, though it is tried again and again; looks come as often as without."""
    monkeypatch.setattr(feed, "FIND_SECONDS", 0.1)
    monkeypatch.setattr(feed, "FIND_PATIENCE", 0.0)
    register(lab)

    def restrict(world: World) -> None:
        role = world.people.tokens[FULL_ACCESS_TOKEN].role
        world.people.add_role(replace(role, can_manage_webhooks=False))

    lab.act(restrict)
    async with following(lab.mirror, followed(lab)) as watched:
        await eventually(lambda: watched.state().webhook_log is LogStatus.REFUSED)
        post(lab, "one")
        await eventually(lambda: is_mirrored(lab))
        await eventually(lambda: lab.simulator.simulator.requests.count("GET /webhooks") >= 3)
        assert len(watched.told("info", "webhook_log.inactive")) == 1
        assert watched.told("warning", "source.failing") == []


@pytest.mark.parametrize(
    "settings",
    [{"enabled": False}, {"custom_payload": "{}"}, {"events": ()}],
    ids=["disabled", "custom payload", "no events"],
)
async def test_a_webhook_that_does_not_tell_all_is_not_followed(lab: Lab, settings: dict[str, object]) -> None:
    """It says why, once, and looks as often as without."""
    webhook = register(lab)
    lab.act(lambda world: [setattr(world.webhooks.registered[webhook.id], *each) for each in settings.items()])
    async with following(lab.mirror, followed(lab)) as watched:
        await eventually(lambda: watched.state().webhook_log is LogStatus.ABSENT)
        (told,) = watched.told("info", "webhook_log.inactive")
        assert "does not tell all" in str(told["reason"])


async def test_a_webhook_that_is_removed_is_noticed(lab: Lab) -> None:
    """By a look that finds what the log did not tell; from then on looks come more often again."""
    webhook = register(lab)
    async with reading(lab) as watched:
        lab.act(lambda world: world.webhooks.registered.pop(webhook.id))
        post(lab, "untold")
        watched.daemon.workers["website"].check_soon()
        await eventually(lambda: is_mirrored(lab))
        await eventually(lambda: watched.state().webhook_log is LogStatus.ABSENT)


async def test_the_settings_can_do_without_it(lab: Lab) -> None:
    """Then nothing is asked."""
    register(lab)
    async with following(lab.mirror, replace(followed(lab), reads_webhook_log=False)) as watched:
        await eventually(lambda: watched.state().runs["succeeded"] > 3)
        assert watched.state().webhook_log is LogStatus.UNKNOWN
    assert not any("webhook" in request.path for request in lab.simulator.simulator.requests)


async def test_a_reading_that_fails_is_tried_again(lab: Lab) -> None:
    """It is no trouble of the source's, and nothing is missed."""
    register(lab)
    async with reading(lab) as watched:
        lab.simulator.simulator.faults.plant(FaultKind.WRONG_SHAPE, path="/webhook_calls", times=2)
        lab.simulator.simulator.faults.plant(FaultKind.EMPTY_PAGE, path="/webhook_calls", nth=4)
        post(lab, "one")
        await eventually(lambda: is_mirrored(lab), seconds=10)
        assert watched.state().log_polls[PollOutcome.FAILED] >= 1
        assert watched.told("warning", "source.failing") == []


async def test_a_webhook_is_looked_for_again_where_that_failed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute, not after an hour."""
    monkeypatch.setattr("versionsync.daemon.webhook_log_poller.FIND_AGAIN_SECONDS", 0.5)
    register(lab)
    lab.simulator.simulator.faults.plant(FaultKind.WRONG_SHAPE, path="/webhooks")
    async with reading(lab) as watched:
        assert watched.state().log_polls[PollOutcome.FAILED] == 1


async def test_a_webhook_that_is_made_later_is_found_when_told(lab: Lab) -> None:
    """By SIGHUP, without a restart."""
    async with following(lab.mirror, replace(followed(lab), max_staleness=600.0)) as watched:
        await eventually(lambda: watched.state().webhook_log is LogStatus.ABSENT)
        register(lab)
        watched.daemon.reload()
        await eventually(lambda: watched.state().webhook_log is LogStatus.ACTIVE)


async def test_a_webhook_that_is_made_later_is_found_through_the_database(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within seconds of the command that makes it, once, and just so when it is removed."""
    monkeypatch.setattr("versionsync.daemon.worker.KEEP_SECONDS", 0.3)
    async with following(lab.mirror, replace(followed(lab), max_staleness=600.0)) as watched:
        await eventually(lambda: watched.state().webhook_log is LogStatus.ABSENT)
        asked = lab.simulator.simulator.requests.total
        await asyncio.sleep(1)
        assert lab.simulator.simulator.requests.total == asked
        webhook = register(lab)
        with lab.mirror.write() as tx:
            invalidate_cursor(tx, 1, at=datetime.now(UTC))
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE])
        assert watched.state().log_gaps == 0
        lab.act(lambda world: world.webhooks.registered.pop(webhook.id))
        with lab.mirror.write() as tx:
            invalidate_cursor(tx, 1, at=datetime.now(UTC))
        await eventually(lambda: watched.state().webhook_log is LogStatus.ABSENT)


async def test_a_restart_goes_on_where_the_log_was_read_to(lab: Lab) -> None:
    """Proven from the first reading on."""
    register(lab)
    async with reading(lab):
        post(lab, "one")
        await eventually(lambda: is_mirrored(lab))
    post(lab, "two")
    async with following(lab.mirror, replace(followed(lab), max_staleness=600.0)) as watched:
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE])
        assert watched.state().log_polls[PollOutcome.GAP] == 0
        await eventually(lambda: is_mirrored(lab))


async def test_readings_count_towards_the_budget(lab: Lab) -> None:
    """And stop when it is spent."""
    register(lab)
    async with reading(lab, budget=Budget.parse("1000000/day")) as watched:  # pays for it at any time of the day
        proven = watched.state().log_polls[PollOutcome.COMPLETE]
        await eventually(lambda: watched.state().log_polls[PollOutcome.COMPLETE] >= proven + 2)
        watched.daemon.workers["website"].check_soon()
        await asyncio.sleep(0.5)
        await eventually(lambda: (purse := watched.state().budget) and purse.spent >= proven + 2)
        total = watched.state().total.requests
        assert total <= lab.simulator.simulator.requests.total <= total + 4


async def test_more_than_a_page_at_once_is_read_too(lab: Lab) -> None:
    """Between two readings; with more than a few pages all is looked at."""
    register(lab)
    async with reading(lab) as watched:
        lab.pause = timedelta(0)
        for number in range(60):
            post(lab, f"post {number}")
        await eventually(lambda: is_mirrored(lab), seconds=20)
        assert watched.state().webhook_results[WebhookResult.RECOVERED] >= 60


VERBS = ("create", "create", "update", "publish", "unpublish", "delete")


def edit_a_lot(lab: Lab, *, seed: int, acts: int = 30) -> None:
    """A busy day of editors: everything that can happen to a record; some are written and never touched again."""
    random, ids = Random(seed), [post(lab, "first")]
    for number in range(acts):
        record, verb = (
            random.choice(ids),
            random.choice(("create", "create", "update", "publish", "unpublish", "delete")),
        )
        if verb == "create" or len(ids) < 3:
            ids.append(post(lab, f"post {number}"))
        elif verb == "update":
            lab.act(edit_of(record, number))
        else:
            lab.act(act_on(record, verb))
            if verb == "delete":
                ids.remove(record)


def edit_of(record: str, number: int) -> Callable[[World], object]:
    """Another title."""
    return lambda world: world.update(world.user, record, {"title": f"edit {number}"})


def act_on(record: str, verb: str) -> Callable[[World], object]:
    """Publish it, take it back, delete it."""
    return lambda world: getattr(world, verb)(world.user, record)


async def test_an_unreliable_way_misses_nothing(lab: Lab) -> None:
    """A third of the calls is lost, a third doubled, all are mixed up: long before the next whole look all is there."""
    post(lab, "before")
    async with listening(lab) as one, unreliable_way(one, seed=11) as url:
        lab.act(lambda world: world.webhooks.register(name_of("website"), url, auto_retry=False))
        one.watched.daemon.reload()
        await eventually(lambda: one.watched.state().log_polls[PollOutcome.COMPLETE])
        await asyncio.to_thread(edit_a_lot, lab, seed=11)
        await eventually(lambda: is_mirrored(lab), seconds=30)
        assert one.heard(WebhookResult.ACCEPTED) > 0


async def test_a_call_that_the_receiver_never_got_is_found(lab: Lab) -> None:
    """Once, and by the log alone; what the receiver has taken the log does not tell again."""
    async with listening(lab) as one:
        webhook = lab.act(lambda world: world.webhooks.register(name_of("website"), one.url, auto_retry=False))
        webhook.http_basic_user, webhook.http_basic_password = LOGIN
        one.watched.daemon.reload()
        await eventually(lambda: one.watched.state().log_polls[PollOutcome.COMPLETE])
        post(lab, "heard")
        await eventually(lambda: is_mirrored(lab))
        assert one.heard(WebhookResult.ACCEPTED) == 1
        found = one.heard(WebhookResult.RECOVERED)  # a reading may have come before the call did
        lab.act(lambda world: setattr(world.webhooks.registered[webhook.id], "url", NOWHERE))
        post(lab, "lost")
        await eventually(lambda: is_mirrored(lab), seconds=20)
        assert (one.heard(WebhookResult.ACCEPTED), one.heard(WebhookResult.RECOVERED) - found) == (1, 1)


async def test_what_the_receiver_of_another_daemon_took_is_not_found(lab: Lab) -> None:
    """It is looked at, once, and counted by who took it."""
    register(lab)
    async with reading(lab) as watched:

        def edit_and_take(world: World) -> None:
            id = world.create(world.user, "post", {"title": "one"}).id
            with lab.mirror.write() as tx:
                queue_record(tx, 1, id, event_type="create", received_at=datetime.now(UTC))

        lab.act(edit_and_take)
        await eventually(lambda: is_mirrored(lab), seconds=20)
        assert watched.state().webhook_results[WebhookResult.RECOVERED] == 0
        post(lab, "two")
        await eventually(lambda: is_mirrored(lab), seconds=20)
        assert watched.state().webhook_results[WebhookResult.RECOVERED] == 1


async def test_an_unreliable_log_misses_nothing(lab: Lab) -> None:
    """Old answers, pages back to front, empty ones and errors: what is not proven is looked at."""
    register(lab)
    async with reading(lab) as watched:
        faults = lab.simulator.simulator.faults
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
        await asyncio.to_thread(edit_a_lot, lab, seed=12)
        await eventually(lambda: is_mirrored(lab), seconds=60)
        assert watched.told("warning", "source.failing") == []
