"""A model, a field or an environment that cannot be read: it is named, stays as it was, and stops no other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from tests.fixtures.compare_with_expected import differences
from tests.fixtures.sync_env import SyncEnv
from tests.integration.sync.test_bad_entries import Spoil, spoiled
from versionsync.mirror.schema import events, fields, models
from versionsync.simulator import World
from versionsync.sync.report import Outcome, RunReport


def ids(sync_env: SyncEnv) -> tuple[str, str]:
    """Of the model `price` and its field."""

    def find(world: World) -> tuple[str, str]:
        model = world.environment(None).model("price")
        return model.id, next(iter(model.fields))

    return sync_env.simulator.act(find)


def entity(id: str, change: Any) -> Spoil:
    """The entity of this id among those that are included is what `change` makes of it, as text."""

    def spoil(_: str, text: str) -> str:
        document = json.loads(text)
        if "included" not in document:
            return text
        place = next(n for n, each in enumerate(document["included"]) if each["id"] == id)
        changed = change(document["included"][place])
        document["included"][place] = "HERE"
        return json.dumps(document).replace('"HERE"', changed)

    return spoil


def without_attributes(one: dict[str, Any]) -> str:
    return json.dumps(one | {"attributes": None})


def not_a_number(one: dict[str, Any]) -> str:
    return json.dumps(one | {"meta": "HERE TOO"}).replace('"HERE TOO"', "NaN")


def nested(one: dict[str, Any]) -> str:
    return json.dumps(one | {"meta": "HERE TOO"}).replace('"HERE TOO"', "[" * 100_000 + "]" * 100_000)


def without_id(one: dict[str, Any]) -> str:
    return json.dumps(one | {"id": None})


def no_id(one: dict[str, Any]) -> str:
    return json.dumps(one | {"id": ".."})


def written_events(sync_env: SyncEnv) -> list[str]:
    with sync_env.mirror.read() as connection:
        return list(connection.scalars(select(events.c.type).where(events.c.record_id.is_(None))))


def partial(report: RunReport, name: str) -> None:
    assert report.outcome is Outcome.PARTIAL, report
    assert any("cannot be read stay as they were known" in note and name in note for note in report.notes), report


@pytest.mark.parametrize("change", [without_attributes, not_a_number, nested, without_id, no_id])
@pytest.mark.parametrize("kind", ["model", "field"])
def test_a_known_one_stays_as_it_was(sync_env: SyncEnv, kind: str, change: Any) -> None:
    """Its records are still mirrored, and nothing is marked deleted."""
    price = sync_env.act(lambda world: world.create(world.user, "price", {"title": "1"})).id
    sync_env.sync()
    before = written_events(sync_env)
    sync_env.act(lambda world: world.update(world.user, price, {"title": "2"}))
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "3"}))
    id = ids(sync_env)[kind == "field"]
    with spoiled(sync_env, entity(id, change), path="/site"):
        report = sync_env.sync()
        if change in (without_id, no_id):  # its id is unknown; asked for by its id it can be read
            assert report.outcome is Outcome.PARTIAL
            assert report.counts.records_pulled >= 1
        else:
            partial(report, "price" if kind == "model" else "title")
            assert report.counts.records_pulled == 2
        assert written_events(sync_env) == before
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert written_events(sync_env) == before
    assert differences(sync_env.mirror, sync_env.truth()) == []


@pytest.mark.parametrize("kind", ["model", "field"])
def test_a_new_one_comes_when_it_can_be_read(sync_env: SyncEnv, kind: str) -> None:
    """Until then the run says which one is missing."""
    sync_env.act(lambda world: world.create(world.user, "price", {"title": "1"}))
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "1"}))
    model, field = ids(sync_env)
    id = model if kind == "model" else field
    with spoiled(sync_env, entity(id, not_a_number), path="/site"):
        report = sync_env.sync()
        partial(report, id)
        assert report.counts.records_pulled == (1 if kind == "model" else 2)
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []
    with sync_env.mirror.read() as connection:
        assert connection.scalar(select(models.c.api_key).where(models.c.id == model)) == "price"
        assert connection.scalar(select(fields.c.api_key).where(fields.c.id == field)) == "title"


def test_a_place_that_no_column_holds_stops_nothing(sync_env: SyncEnv) -> None:
    """The whole number of a field's place has no limit in JSON."""
    _, field = ids(sync_env)

    def far(one: dict[str, Any]) -> str:
        return json.dumps(one | {"attributes": one["attributes"] | {"position": 10**15}})

    with spoiled(sync_env, entity(field, far), path="/site"):
        assert sync_env.sync().outcome is Outcome.SUCCEEDED


def test_another_environment_that_cannot_be_read_is_no_concern(sync_env: SyncEnv) -> None:
    """The primary one is among the others."""
    sync_env.act(lambda world: world.fork(world.account, "main", "other"))

    def spoil(_: str, text: str) -> str:
        document = json.loads(text)
        for each in document["data"]:
            if each["id"] == "other":
                each["meta"] = None
        return json.dumps(document)

    with spoiled(sync_env, spoil, path="/environments"):
        assert sync_env.sync().outcome is Outcome.SUCCEEDED
