"""Names and descriptions of the schema that databases and JSON libraries stumble over: half an emoji, U+0000."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from tests.fixtures.fake_upstreams import Given, gateway
from tests.fixtures.sync_env import SyncEnv
from versionsync.mirror.schema import editors, events, fields, models, sources
from versionsync.simulator import World
from versionsync.sync.report import Outcome

HALF = "half an emoji"  # as the simulator says it; the gateway sends the real one
NUL = "nul \x00 here"


def read_field_events(sync_env: SyncEnv) -> list[Any]:
    """What the events say that changed about fields."""
    with sync_env.mirror.read() as connection:
        found = connection.scalars(select(events.c.data).where(events.c.type == "field.changed").order_by(events.c.id))
        return [json.loads(data)["changes"] for data in found]


def set_hint(sync_env: SyncEnv, hint: str) -> None:
    def act(world: World) -> None:
        model = world.environment(None).model("post")
        world.update_field(world.account, next(iter(model.fields)), hint=hint)

    sync_env.act(act)


@pytest.fixture
def odd(sync_env: SyncEnv) -> Iterator[SyncEnv]:
    """A sync_env whose upstream sends half an emoji wherever the simulator says so."""
    behind = sync_env.simulator.url

    def spoiled(path: str) -> Given:
        headers = {"Authorization": f"Bearer {sync_env.token}", "Accept": "application/json", "X-Api-Version": "3"}
        answer = httpx.get(behind + path, headers=headers)
        text = answer.text.replace(HALF, "cut \\ud83d here")
        return Given(answer.status_code, text, {"Content-Type": "application/json", "Date": answer.headers["Date"]})

    with gateway(behind, instead=spoiled) as url:
        sync_env.spec = replace(sync_env.spec, base_url=url)
        yield sync_env


@pytest.mark.both_databases
@pytest.mark.parametrize("hint", [HALF, NUL])
def test_a_description_with_a_character_that_no_database_takes_is_told_once(odd: SyncEnv, hint: str) -> None:
    """Invariant 10: what the database keeps in another spelling is no change."""
    odd.sync()
    set_hint(odd, hint)
    assert odd.sync().outcome is Outcome.SUCCEEDED
    events_of_fields = read_field_events(odd)
    assert len(events_of_fields) == 1
    assert events_of_fields[0]["hint"][0] is None
    for _ in range(2):
        assert odd.sync(full=True).counts.events_written == 0
    set_hint(odd, "whole")
    odd.sync()
    assert [change["hint"][1] for change in read_field_events(odd)][1:] == ["whole"]


@pytest.mark.both_databases
def test_names_with_u0000_are_kept_without_it(sync_env: SyncEnv) -> None:
    """Of the project, of a model, of a field, of a person; no column of text holds it, on either database."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"}))

    def act(world: World) -> None:
        model = world.environment(None).model("post")
        world.update_model(world.account, model.id, name=NUL)
        world.update_field(world.account, next(iter(model.fields)), label=NUL)
        world.people.add(replace(world.user, name=NUL))
        world.name = NUL

    sync_env.act(act)
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert sync_env.sync(full=True).counts.events_written == 0
    with sync_env.mirror.read() as connection:
        assert connection.scalar(select(models.c.name).where(models.c.api_key == "post")) == "nul \ufffd here"
        for column in (fields.c.label, editors.c.name, sources.c.project_name):
            assert "nul \ufffd here" in connection.scalars(select(column)).all()
