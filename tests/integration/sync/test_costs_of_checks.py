"""What the simulated month counts for each kind of run is what such a run costs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from benchmarks.daemon import run_costs as costs
from tests.fixtures.sync_env import START, MakeSyncEnv, SyncEnv
from versionsync.simulator import Clock, World
from versionsync.simulator.scenarios.bulk import build_bulk
from versionsync.sync.report import Outcome

pytestmark = pytest.mark.nightly  # each test mirrors the whole project first

RECORDS = 520
ALWAYS = 0


@pytest.fixture
def sync_env(make_sync_env: MakeSyncEnv) -> SyncEnv:
    """A project of 520 records, mirrored."""
    world = World(seed=1, clock=Clock.stopped(START))
    build_bulk(world, records=RECORDS, versions=2)
    sync_env = make_sync_env(world)
    costs_of(sync_env)
    return sync_env


def costs_of(sync_env: SyncEnv, **options: object) -> int:
    """How many requests one run makes that has to succeed."""

    def run() -> None:
        report = sync_env.sync(quick_check_from=ALWAYS, **options)
        assert report.outcome is Outcome.SUCCEEDED, report

    return sync_env.requests(run)


def edit(sync_env: SyncEnv, number: int) -> tuple[str, ...]:
    """Change the titles of this many records, and return their ids."""
    ids: list[str] = sync_env.act(lambda world: list(world.primary.records))[:number]
    sync_env.act(lambda world: [world.update(world.user, id, {"title": "edited"}) for id in ids])
    return tuple(ids)


@pytest.mark.parametrize("changed", [1, 7])
def test_a_look(sync_env: SyncEnv, changed: int) -> None:
    """That finds changes, and the idle one after it."""
    edit(sync_env, changed)
    assert costs_of(sync_env) == costs.of_look(changed)
    assert costs_of(sync_env) == costs.IDLE


@pytest.mark.parametrize("changed", [1, 7])
def test_a_look_at_what_webhooks_named(sync_env: SyncEnv, changed: int) -> None:
    """And the whole one after it, which finds nothing more."""
    assert costs_of(sync_env, record_ids=edit(sync_env, changed)) == costs.of_hints(changed)
    assert costs_of(sync_env) == costs.of_look(0)


def test_old_histories(sync_env: SyncEnv) -> None:
    """Ten of them."""
    assert costs_of(sync_env, scrub=10) == costs.of_scrub(10)


@pytest.mark.parametrize("changed", [0, 3])
def test_a_sweep(sync_env: SyncEnv, changed: int) -> None:
    """Of all records, when the beacon is not trusted any more."""
    edit(sync_env, changed)
    assert costs_of(sync_env, beacon_trust=timedelta(0)) == costs.of_sweep(RECORDS, changed)
