"""What the simulated month counts for each kind of run is what such a run costs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from benchmarks.daemon import run_costs as costs
from tests.fixtures.lab import START, Lab, MakeLab
from versionsync.simulator import Clock, World
from versionsync.simulator.scenarios.bulk import build_bulk
from versionsync.sync.report import Outcome

RECORDS = 520
ALWAYS = 0


@pytest.fixture
def lab(make_lab: MakeLab) -> Lab:
    """A project of 520 records, mirrored."""
    world = World(seed=1, clock=Clock.stopped(START))
    build_bulk(world, records=RECORDS, versions=2)
    lab = make_lab(world)
    costs_of(lab)
    return lab


def costs_of(lab: Lab, **options: object) -> int:
    """How many requests one run makes that has to succeed."""

    def run() -> None:
        report = lab.sync(quick_check_from=ALWAYS, **options)
        assert report.outcome is Outcome.SUCCEEDED, report

    return lab.requests(run)


def edit(lab: Lab, number: int) -> tuple[str, ...]:
    """Another title for so many records; returns their ids."""
    ids: list[str] = lab.act(lambda world: list(world.primary.records))[:number]
    lab.act(lambda world: [world.update(world.user, id, {"title": "edited"}) for id in ids])
    return tuple(ids)


@pytest.mark.parametrize("changed", [1, 7])
def test_a_look(lab: Lab, changed: int) -> None:
    """That finds changes, and the idle one after it."""
    edit(lab, changed)
    assert costs_of(lab) == costs.of_look(changed)
    assert costs_of(lab) == costs.IDLE


@pytest.mark.parametrize("changed", [1, 7])
def test_a_look_at_what_webhooks_named(lab: Lab, changed: int) -> None:
    """And the whole one after it, which finds nothing more."""
    assert costs_of(lab, record_ids=edit(lab, changed)) == costs.of_hints(changed)
    assert costs_of(lab) == costs.of_look(0)


def test_old_histories(lab: Lab) -> None:
    """Ten of them."""
    assert costs_of(lab, scrub=10) == costs.of_scrub(10)


@pytest.mark.parametrize("changed", [0, 3])
def test_a_sweep(lab: Lab, changed: int) -> None:
    """Of all records, when the beacon is not trusted any more."""
    edit(lab, changed)
    assert costs_of(lab, beacon_trust=timedelta(0)) == costs.of_sweep(RECORDS, changed)
