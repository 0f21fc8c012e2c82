"""What a run costs upstream, exactly: the requests of each kind, as `benchmarks/engine/minimum_requests.py` counts."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from benchmarks.engine.minimum_requests import (
    BEACON,
    SCHEMA,
    least_for_backfill,
    least_for_changes,
    least_for_histories,
)
from tests.fixtures.sync_env import START, MakeSyncEnv, SyncEnv
from versionsync.simulator import Clock, LoadedVersion, World
from versionsync.simulator.scenarios.bulk import build_bulk
from versionsync.sync.report import Outcome

KINDS_OF_EDITOR = 4  # users, users of single sign-on, tokens, and the owner: one request each, once
PLAN = 1  # for how long versions are kept, once a day
PROOF = 4  # what was published since, and how many records there are, of each of two statuses
ALWAYS = 0


@pytest.fixture
def world() -> World:
    """A project of 520 records with two versions each; its clock does not move."""
    world = World(seed=1, clock=Clock.stopped(START))
    build_bulk(world, records=520, versions=2)
    return world


def synced(sync_env: SyncEnv, *, full: bool = False) -> int:
    """How many requests one run makes that has to succeed."""

    def run() -> None:
        report = sync_env.sync(quick_check_from=ALWAYS, full=full)
        assert report.outcome is Outcome.SUCCEEDED, report

    return sync_env.requests(run)


def test_a_backfill_costs_the_least_and_the_names_of_editors(make_sync_env: MakeSyncEnv, world: World) -> None:
    """One request for each record, two for the list, one for beacon and schema each (invariant 12)."""
    sync_env = make_sync_env(world)
    assert synced(sync_env) == least_for_backfill([2] * 520) + KINDS_OF_EDITOR + PLAN


def test_a_run_with_nothing_new_costs_the_beacon(make_sync_env: MakeSyncEnv, world: World) -> None:
    """As long as its answer is trusted."""
    sync_env = make_sync_env(world)
    synced(sync_env)
    assert synced(sync_env) == BEACON
    assert synced(sync_env) == BEACON


@pytest.mark.parametrize("changed", [1, 10])
def test_a_change_costs_its_records_and_a_proof(make_sync_env: MakeSyncEnv, world: World, changed: int) -> None:
    """However many records there are: what changed is asked for, and counting proves that it was all."""
    sync_env = make_sync_env(world)
    synced(sync_env)
    for record in list(world.primary.records.values())[:changed]:
        sync_env.act(partial(edit, record_id=record.id))
    assert synced(sync_env) == least_for_changes(changed) + PROOF
    assert synced(sync_env) == BEACON


def test_a_deletion_costs_a_sweep_two_confirmations_and_a_glance(make_sync_env: MakeSyncEnv, world: World) -> None:
    """What the token may read is asked for, then the deleted record, then once more, its model, and its versions.

    Nothing in the list is as young as the change, so it could be an old one: what is young is asked for once more.
    """
    sync_env = make_sync_env(world)
    synced(sync_env)
    deleted = next(iter(world.primary.records))
    sync_env.act(lambda world: world.delete(world.user, deleted))
    sweep, role, model, confirmations = 2, 2, 1, 2
    edits, publications, counts = 1, 1, 3
    before, after = edits + publications, edits + publications + counts
    assert synced(sync_env) == BEACON + SCHEMA + before + sweep + role + model + confirmations + after


@pytest.mark.parametrize("length", [49, 50, 51, 120])
def test_a_history_costs_a_request_for_each_fifty_versions(make_sync_env: MakeSyncEnv, length: int) -> None:
    """To the end when it is new, and only its first page when one version more was made."""
    world = World(seed=1, clock=Clock.stopped(START))
    bulk = build_bulk(world, records=1, versions=1)
    record = world.load(bulk.models[0], long_past(world, length))
    sync_env = make_sync_env(world)
    assert synced(sync_env) == least_for_backfill([1, length]) + kinds_of_editor(world) + PLAN
    sync_env.act(partial(edit, record_id=record.id))
    assert synced(sync_env) == least_for_changes(1) + PROOF
    assert synced(sync_env, full=True) == BEACON + SCHEMA + 1 + least_for_histories([1, length + 1])


def edit(world: World, record_id: str) -> None:
    """Another title."""
    world.update(world.user, record_id, {"title": "edited"})


def long_past(world: World, length: int) -> list[LoadedVersion]:
    """So many versions, a minute apart, never published."""
    begins = world.now() - timedelta(minutes=length + 1)
    return [
        LoadedVersion(partial(b'{"title":"%d"}'.__mod__, place), world.user, begins + timedelta(minutes=place), ())
        for place in range(length)
    ]


def kinds_of_editor(world: World) -> int:
    """How many kinds of editor made its versions."""
    return len({version.editor.kind for version in world.primary.versions.values()})
