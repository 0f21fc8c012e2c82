"""An old answer of the schema, as upstream's caches give: no event says what did not happen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from tests.fixtures.fake_upstreams import Given, gateway, refusal
from tests.fixtures.sync_env import START, SyncEnv
from versionsync import cma
from versionsync.mirror.schema import events, fields, models, records
from versionsync.simulator import FULL_ACCESS_TOKEN, World
from versionsync.sync import schema_check
from versionsync.sync.report import Outcome
from versionsync.sync.run_limits import Limits

SCHEMA = "/site?include="
LASTING = 1_000


@dataclass
class Upstream:
    """What a gateway before the simulator has seen, and how many old answers it still gives."""

    old: str
    left: int
    paths: list[str]
    missing: list[Given] = field(default_factory=list)
    """Answers about single models and fields."""

    def asked(self, path: str) -> int:
        """How many requests had a path that begins so."""
        return sum(each.startswith(path) for each in self.paths)

    def instead(self, path: str) -> Given | None:
        """The old answer to a request for the schema, as often as there is one left."""
        self.paths.append(path)
        if self.missing and path.startswith(("/fields/", "/item-types/")):
            return self.missing.pop()
        if not path.startswith(SCHEMA) or not self.left:
            return None
        self.left -= 1
        return Given(200, self.old, {"Content-Type": "application/json"})


def schema_now(sync_env: SyncEnv) -> str:
    """The present answer."""
    url = f"{sync_env.simulator.url}{SCHEMA}item_types,item_types.fields"
    headers = {"Authorization": f"Bearer {FULL_ACCESS_TOKEN}", "Accept": "application/json"}
    return httpx.get(url, headers=headers).text


@contextmanager
def answering(sync_env: SyncEnv, old: str, times: int) -> Iterator[Upstream]:
    """The first requests for the schema are answered with `old`."""
    direct, upstream = sync_env.spec, Upstream(old, times, [])
    with gateway(sync_env.simulator.url, instead=upstream.instead) as url:
        sync_env.spec = replace(direct, base_url=url)
        try:
            yield upstream
        finally:
            sync_env.spec = direct


def written_events(sync_env: SyncEnv) -> list[tuple[str, Any]]:
    """Type and subject of all events of the schema."""
    query = (
        select(events.c.type, events.c.data)
        .where(events.c.type.like("model.%") | events.c.type.like("field.%"))
        .order_by(events.c.id)
    )
    with sync_env.mirror.read() as connection:
        found = [(type, json.loads(data)) for type, data in connection.execute(query)]
    return [(type, (data.get("field") or data.get("model"))["api_key"]) for type, data in found]


def rows(sync_env: SyncEnv) -> list[Any]:
    """All models and fields."""
    with sync_env.mirror.read() as connection:
        return [connection.execute(select(table).order_by(table.c.id)).all() for table in (models, fields)]


def field_of(sync_env: SyncEnv, api_key: str, model: str = "post") -> str:
    """Make a field; returns its id."""
    return sync_env.act(lambda world: world.create_field(world.account, model, api_key)).id


def sync_long_ago(sync_env: SyncEnv) -> None:
    """A run, after which no model or field is so young that an answer can be older than it."""
    sync_env.sync()
    with sync_env.mirror.write() as tx:
        for table in (models, fields):
            tx.execute(update(table).values(first_seen_at=START - timedelta(days=2)))


def grow(sync_env: SyncEnv) -> None:
    field_of(sync_env, "subtitle")


def shrink(sync_env: SyncEnv) -> None:
    (deleted,) = sync_env.simulator.act(
        lambda world: [field.id for field in world.primary.model("price").fields.values() if field.api_key == "title"]
    )
    sync_env.act(lambda world: world.destroy_field(world.account, deleted))


def rename(sync_env: SyncEnv) -> None:
    (id,) = sync_env.simulator.act(
        lambda world: [field.id for field in world.primary.model("post").fields.values() if field.api_key == "title"]
    )
    sync_env.act(lambda world: world.update_field(world.account, id, api_key="headline"))


def rename_model(sync_env: SyncEnv) -> None:
    sync_env.act(lambda world: world.update_model(world.account, "price", name="Offer"))


def add_model(sync_env: SyncEnv) -> None:
    model = sync_env.act(lambda world: world.create_model(world.account, "page"))
    field_of(sync_env, "title", model.id)
    sync_env.act(lambda world: world.create(world.user, "page", {"title": "A page"}))


def remove_model(sync_env: SyncEnv) -> None:
    sync_env.act(lambda world: world.destroy_model(world.account, "price"))


CHANGES = [grow, shrink, rename, rename_model, add_model, remove_model]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("how", [{"full": True}, {"full": True, "allow_mass_delete": True}, {"scrub": 3}])
def test_an_old_answer_is_asked_for_again(sync_env: SyncEnv, change: Any, how: dict[str, Any]) -> None:
    """It contradicts what the mirror wrote last. No event comes of it, and the run succeeds."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "A post"}))
    sync_env.sync()
    old = schema_now(sync_env)
    change(sync_env)
    sync_env.sync()
    before, kept = written_events(sync_env), rows(sync_env)
    assert before
    with answering(sync_env, old, 1) as upstream:
        assert sync_env.sync(**how).outcome is Outcome.SUCCEEDED
    assert upstream.asked(SCHEMA) == 2
    assert (written_events(sync_env), rows(sync_env)) == (before, kept)


@pytest.mark.parametrize("change", CHANGES)
def test_an_old_answer_that_lasts_is_never_believed(sync_env: SyncEnv, change: Any) -> None:
    """The rows that are known stay. The run is partial and says why; the next one is not."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "A post"}))
    sync_env.sync()
    old = schema_now(sync_env)
    change(sync_env)
    sync_env.sync()
    before, kept = written_events(sync_env), rows(sync_env)
    with answering(sync_env, old, LASTING) as upstream:
        report = sync_env.sync(full=True)
        assert report.outcome is Outcome.PARTIAL
        assert any("the list of models and fields contradicts" in note for note in report.notes)
        assert upstream.asked(SCHEMA) == 1 + schema_check.ATTEMPTS
        # Each that contradicts is asked for by itself: with its title a model loses what its `title_field` points to.
        assert upstream.asked("/fields/") + upstream.asked("/item-types/") == (2 if change is shrink else 1)
    assert (written_events(sync_env), rows(sync_env)) == (before, kept)
    with sync_env.mirror.read() as connection:
        assert connection.scalar(select(func.count()).where(records.c.deleted_at.is_not(None))) == 0
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert (written_events(sync_env), rows(sync_env)) == (before, kept)


@pytest.mark.parametrize("add", [grow, add_model])
def test_what_has_just_been_made_is_not_deleted_by_old_answers(sync_env: SyncEnv, add: Any) -> None:
    """The list is from before it was made, and so are five answers about it alone."""
    sync_env.sync()
    old = schema_now(sync_env)
    add(sync_env)
    sync_env.sync()
    before, kept = written_events(sync_env), rows(sync_env)
    missing = refusal("NOT_FOUND", 404)
    with answering(sync_env, old, LASTING) as upstream:
        upstream.missing = [missing] * 5
        assert sync_env.sync(full=True).outcome is Outcome.PARTIAL
        assert not upstream.missing
    assert (written_events(sync_env), rows(sync_env)) == (before, kept)


def test_what_really_changed_is_believed(sync_env: SyncEnv) -> None:
    """Deleted, returned, and named as before: each costs one question, asked by its id."""
    subtitle = field_of(sync_env, "subtitle")
    sync_long_ago(sync_env)
    sync_env.act(lambda world: world.update_field(world.account, subtitle, api_key="teaser"))
    sync_env.sync()
    with answering(sync_env, "", 0) as upstream:
        sync_env.act(lambda world: world.update_field(world.account, subtitle, api_key="subtitle"))
        assert sync_env.sync().outcome is Outcome.SUCCEEDED
        sync_env.act(lambda world: world.destroy_field(world.account, subtitle))
        assert sync_env.sync().outcome is Outcome.SUCCEEDED
        sync_env.act(lambda world: world.create_field(world.account, "post", "subtitle", id=subtitle))
        assert sync_env.sync().outcome is Outcome.SUCCEEDED
        assert upstream.asked("/fields/") == 3
        assert upstream.asked(SCHEMA) == 3
    assert written_events(sync_env) == [
        ("field.changed", "teaser"),
        ("field.changed", "subtitle"),
        ("field.deleted", "subtitle"),
        ("field.created", "subtitle"),
    ]


def test_the_fields_of_a_model_need_no_question_of_their_own(sync_env: SyncEnv) -> None:
    """Neither when it is deleted, nor when it is back."""
    for number in range(5):
        field_of(sync_env, f"field_{number}", "price")
    sync_long_ago(sync_env)
    price = sync_env.simulator.act(lambda world: world.primary.model("price"))
    with answering(sync_env, "", 0) as upstream:
        sync_env.act(lambda world: world.destroy_model(world.account, "price"))
        assert sync_env.sync().outcome is Outcome.SUCCEEDED
        assert (upstream.asked("/item-types/"), upstream.asked("/fields/")) == (1, 0)
        sync_env.act(lambda world: put_back(world, price))
        assert sync_env.sync().outcome is Outcome.SUCCEEDED
        assert (upstream.asked("/item-types/"), upstream.asked("/fields/")) == (2, 0)
    assert [type for type, _ in written_events(sync_env)] == [
        "model.deleted",
        *["field.deleted"] * 6,
        "model.created",
        *["field.created"] * 6,
    ]


def put_back(world: World, model: Any) -> None:
    """Make a model again, with its id and those of its fields."""
    made = world.create_model(world.account, model.api_key, id=model.id)
    for each in model.fields.values():
        world.create_field(world.account, made, each.api_key, id=each.id)


def test_many_deleted_fields_are_confirmed_over_several_runs(sync_env: SyncEnv) -> None:
    """One question each, a limited number in a run. The runs between do not skip anything."""
    sync_env.limits = Limits(schema_questions=5)
    ids = [field_of(sync_env, f"field_{number}") for number in range(12)]
    sync_long_ago(sync_env)
    for id in ids:
        sync_env.act(lambda world, deleted=id: world.destroy_field(world.account, deleted))
    seen = []
    with answering(sync_env, "", 0) as upstream:
        for _ in range(4):
            report = sync_env.sync()
            assert report.outcome is Outcome.SUCCEEDED
            seen.append((upstream.asked("/fields/"), len(written_events(sync_env)), bool(report.notes)))
    assert seen == [(5, 5, True), (10, 10, True), (12, 12, False), (12, 12, False)]
    assert sync_env.requests(sync_env.sync) == 1


def test_many_fields_that_are_back_are_confirmed_over_several_runs(sync_env: SyncEnv) -> None:
    """As a promoted environment brings them."""
    sync_env.limits = Limits(schema_questions=5)
    ids = [field_of(sync_env, f"field_{number}") for number in range(7)]
    sync_env.sync()
    for id in ids:
        sync_env.act(lambda world, deleted=id: world.destroy_field(world.account, deleted))
    sync_env.sync()
    sync_env.sync()
    for number, id in enumerate(ids):
        sync_env.act(lambda world, n=number, back=id: world.create_field(world.account, "post", f"field_{n}", id=back))
    created = []
    for _ in range(3):
        assert sync_env.sync().outcome is Outcome.SUCCEEDED
        created.append(sum(type == "field.created" for type, _ in written_events(sync_env)))
    assert created == [5, 7, 7]


def test_a_refusal_is_no_absence(sync_env: SyncEnv) -> None:
    """Only NOT_FOUND shows that a field is deleted."""
    subtitle = field_of(sync_env, "subtitle")
    sync_env.sync()
    sync_env.act(lambda world: world.destroy_field(world.account, subtitle))
    refused = refusal("INSUFFICIENT_PERMISSIONS", 401)
    direct = sync_env.spec
    with gateway(direct.base_url, instead=lambda path: refused if path.startswith("/fields/") else None) as url:
        sync_env.spec = replace(direct, base_url=url)
        assert isinstance(sync_env.sync().error, cma.PermissionDenied)
    assert written_events(sync_env) == []
    sync_env.spec = direct
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert written_events(sync_env) == [("field.deleted", "subtitle")]


def test_a_dry_run_believes_no_old_answer_either(sync_env: SyncEnv) -> None:
    """It says what a sync would do, and writes nothing."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "A post"}))
    sync_env.sync()
    old = schema_now(sync_env)
    add_model(sync_env)
    sync_env.sync()
    with answering(sync_env, old, LASTING):
        report = sync_env.sync(full=True, dry_run=True)
    assert report.outcome is Outcome.PARTIAL
    assert (report.would_pull, report.would_delete) == (2, 0)
