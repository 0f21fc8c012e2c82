"""The bulk project: any size, quickly, the same each time, and as varied as it says."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from versionsync.simulator import Clock, World
from versionsync.simulator.scenarios.bulk import build_bulk
from versionsync.simulator.world.expected_history import expected_history


def bulk_world(records: int, versions: int, *, seed: int | None = None, bytes_per_version: int = 1000) -> World:
    world = World(seed=3, clock=Clock.stopped())
    build_bulk(world, records=records, versions=versions, seed=seed, bytes_per_version=bytes_per_version)
    return world


def test_there_are_as_many_records_and_versions_as_asked_for() -> None:
    expected = expected_history(bulk_world(50, 6).event_log, "main")
    assert len(expected.records) == 50
    assert len(expected.versions) == 300


def test_a_project_without_records_has_no_models_either() -> None:
    """It is as empty as a project that was just made."""
    world = bulk_world(0, 6)
    assert not world.primary.models
    assert world.created_at == world.now()


def test_every_status_is_there() -> None:
    statuses = Counter(record.status for record in bulk_world(48, 3).primary.records.values())
    assert set(statuses) == {"draft", "published", "updated"}
    assert min(statuses.values()) >= 12


def test_every_version_of_a_record_has_other_content() -> None:
    expected = expected_history(bulk_world(40, 7).event_log, "main")
    contents = [version.content for version in expected.versions.values()]
    assert len(set(contents)) == len(contents)
    assert all(json.loads(content)["title"].startswith("Number ") for content in contents)


@pytest.mark.parametrize("size", [200, 1_000, 20_000])
def test_contents_are_about_as_long_as_asked_for(size: int) -> None:
    expected = expected_history(bulk_world(10, 2, bytes_per_version=size).event_log, "main")
    assert all(0.85 * size <= len(version.content) <= 1.1 * size for version in expected.versions.values())


def test_everything_lies_before_the_worlds_present() -> None:
    world = bulk_world(500, 4)
    expected = expected_history(world.event_log, "main")
    assert max(transition.at for transition in expected.transitions) < world.now()
    assert world.created_at <= min(transition.at for transition in expected.transitions)


def test_the_same_arguments_give_the_same_project_and_another_seed_other_content() -> None:
    one, same, other = bulk_world(30, 3, seed=1), bulk_world(30, 3, seed=1), bulk_world(30, 3, seed=2)
    assert expected_history(one.event_log, "main").to_json() == expected_history(same.event_log, "main").to_json()
    assert expected_history(one.event_log, "main").to_json() != expected_history(other.event_log, "main").to_json()


@pytest.mark.parametrize(("records", "versions"), [(-1, 1), (1, 0)])
def test_a_size_that_cannot_be_is_refused(records: int, versions: int) -> None:
    with pytest.raises(ValueError, match=f"{records} records with {versions} versions"):
        bulk_world(records, versions)


def test_nothing_is_a_size_too() -> None:
    assert expected_history(bulk_world(0, 1).event_log, "main").versions == {}
