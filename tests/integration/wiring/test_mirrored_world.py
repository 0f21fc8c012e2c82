"""A mirror becomes a local DatoCMS: a second mirror of the copy says the same as the first."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import Table, select

from tests.fixtures.databases import MakeDatabase
from tests.fixtures.news_site import NOON, MakeNewsSite, news_site
from tests.fixtures.sync_env import START, MakeSyncEnv, SyncEnv
from versionsync import cma
from versionsync.ledger.content import canonical
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import WrongProject
from versionsync.mirror.schema import editors, fields, models, records, versions
from versionsync.mirror.tables.sources import load_source
from versionsync.simulator import Clock, Selection, SimulatorThread, World
from versionsync.simulator.world.models import Workflow
from versionsync.sync import sync_source
from versionsync.sync.options import SourceSpec, SyncOptions
from versionsync.sync.report import Outcome, Progress, RunReport
from versionsync.wiring.mirrored_world import world_from_mirror, world_with_schema

__all__ = ["news_site"]

OBSERVED = {"source_id", "first_seen_at", "changed_at", "synced_at", "ordinal", "attributes", "attributes_exact"}
"""What is each mirror's own. Contents are compared by their hashes, orders by the order of the ordinals."""


MakeMirror = Callable[[str], Mirror]


@pytest.fixture
def make_mirror(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeMirror]:
    """Open an empty mirror in a database of a dialect."""
    with ExitStack() as stack:

        def make(dialect: str) -> Mirror:
            if dialect == "sqlite":
                template: Path = request.getfixturevalue("sqlite_template")
                url = f"sqlite:///{shutil.copy(template, tmp_path / 'copy.db')}"
            else:
                make_database: MakeDatabase = request.getfixturevalue("make_postgres_database")
                url = make_database()
            return stack.enter_context(Mirror.open(url))

        yield make


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def news(request: pytest.FixtureRequest, news_site: MakeNewsSite) -> Iterator[Mirror]:
    """The mirror of the news site, in each kind of database."""
    with Mirror.open(news_site(request.param).url, reads_only=True) as opened:
        yield opened


def rows(mirror: Mirror, table: Table, *order: str) -> list[dict[str, Any]]:
    """The rows of a table without what is each mirror's own."""
    with mirror.read() as connection:
        found = connection.execute(select(table).order_by(*(table.c[name] for name in order))).mappings().all()
    return [{name: _plain(name, value) for name, value in row.items() if name not in OBSERVED} for row in found]


def _plain(name: str, value: Any) -> Any:
    return canonical(value.encode()) if name == "payload" and value is not None else value


def copy_of(mirror: Mirror, *, name: str = "website", at: datetime, with_deleted: bool = False) -> World:
    with mirror.read() as connection:
        source = load_source(connection, name)
        assert source is not None
        return world_from_mirror(connection, source, with_deleted=with_deleted, clock=Clock.stopped(at))


def sync(mirror: Mirror, world: World) -> RunReport:
    async def run(url: str) -> RunReport:
        spec = SourceSpec(name="website", base_url=url)
        async with cma.Client(url, world.token, rate_limiter=cma.RateLimiter(cma.UNLIMITED)) as client:
            options = SyncOptions(wait_until_settled=False)
            progress = Progress(source=spec.name)
            return await sync_source(mirror, client, spec, options, progress=progress, log=structlog.get_logger())

    with SimulatorThread(world) as simulator:
        return asyncio.run(run(simulator.url))


def differing(left: Sequence[dict[str, Any]], right: Sequence[dict[str, Any]]) -> list[str]:
    """The columns in which rows differ, with both values."""
    if [row["id"] for row in left] != [row["id"] for row in right]:
        missing = {row["id"] for row in left} ^ {row["id"] for row in right}
        return [f"on one side only, or in another order: {sorted(missing)}"]
    return [
        f"{one['id']}.{name}: {one[name]!r} and {other[name]!r}"
        for one, other in zip(left, right, strict=True)
        for name in one
        if one[name] != other[name]
    ]


def assert_same(first: Mirror, second: Mirror) -> None:
    """Assert that two mirrors say the same of everything that is not deleted."""
    deleted = {row["id"] for row in rows(first, records, "id") if row["deleted_at"] is not None}
    for table, order in ((models, ["id"]), (fields, ["id"]), (records, ["id"]), (versions, ["record_id", "ordinal"])):
        expected = [row for row in rows(first, table, *order) if deleted.isdisjoint((row["id"], row.get("record_id")))]
        assert differing(expected, rows(second, table, *order)) == [], table.name
    known = {(row["type"], row["id"]): row["name"] for row in rows(second, editors, "id")}
    assert {(row["type"], row["id"]): row["name"] for row in rows(first, editors, "id")} == known


def test_a_sync_of_the_copy_of_a_news_site_mirrors_the_same(news: Mirror, make_mirror: MakeMirror) -> None:
    second = make_mirror(news.dialect.name)
    report = sync(second, copy_of(news, at=NOON + timedelta(hours=3)))
    assert report.outcome is Outcome.SUCCEEDED, report
    assert len(rows(second, versions, "id")) > 200
    assert_same(news, second)


def odd_project(world: World) -> dict[str, str]:
    """What a news site has not: a workflow, a tree, a selective publication, a plan, milliseconds, another zone."""
    user, where = world.user, world.primary
    where.workflows["flow"] = Workflow("flow", "Review", "review", ("drafting", "reviewing"))
    page = world.create_model(world.account, "page", tree=True, workflow_id="flow", ordering_direction="asc")
    group = world.create_fieldset(world.account, page.id, "Search engines")
    world.create_field(world.account, page, "title", localized=True, validators={"required": {}}, default_value="New")
    world.create_field(world.account, page, "seo", "seo", fieldset_id=group.id)
    world.create_field(world.account, page, "opens_at", "date_time", default_value=None)
    parent = world.create(user, page, {"title": {"en": "Parent"}, "opens_at": "2026-09-01T10:00:00Z"}, stage="drafting")
    world.clock.advance(timedelta(minutes=1))
    world.publish(user, parent.id)
    child = world.create(
        user, page, {"title": {"en": "Child", "it": "Figlio"}, "parent_id": parent.id, "position": 1}, stage="reviewing"
    )
    world.publish(user, child.id)
    for minute in range(3):
        world.clock.advance(timedelta(minutes=1))
        title = {"en": f"Child {minute}", "it": f"Figlio {minute}"}
        world.update(world.account, child.id, {"title": title})
    world.publish(user, child.id, Selection.of(["it"]))
    world.options.uploads_must_exist = False
    planned = world.create(user, page, {"title": {"en": "Planned"}, "seo": {"title": "A", "image": "picture-of-seo"}})
    world.schedule_publication(user, planned.id, world.now() + timedelta(days=30))
    gone = world.create(user, page, {"title": {"en": "Gone"}})
    return {"child": child.id, "gone": gone.id, "planned": planned.id}


@pytest.fixture
def odd(make_sync_env: MakeSyncEnv) -> SyncEnv:
    """A sync_env of the odd project."""
    world = World(seed=3, clock=Clock.stopped(START), locales=("en", "it"), timezone="Europe/Rome", project_id="77")
    world.options.milliseconds = True
    return make_sync_env(world)


@pytest.mark.both_databases
def test_a_sync_of_the_copy_of_an_odd_project_mirrors_the_same(odd: SyncEnv, make_mirror: MakeMirror) -> None:
    odd.act(odd_project)
    odd.sync()
    second = make_mirror(odd.mirror.dialect.name)
    report = sync(second, copy_of(odd.mirror, at=START + timedelta(hours=1)))
    assert report.outcome is Outcome.SUCCEEDED, report
    assert_same(odd.mirror, second)


@pytest.mark.both_databases
def test_a_content_that_a_database_cannot_hold_is_in_the_copy_as_it_was(odd: SyncEnv, make_mirror: MakeMirror) -> None:
    strange = rb'{"title":{"en":"\u0000 and \ud800"},"amount":1e400,"exact":1.00,"body":"' + b"long " * 100 + b'"}'

    def write(world: World) -> str:
        model = world.create_model(world.account, "page")
        for api_key, type in (("title", "string"), ("amount", "float"), ("exact", "float"), ("body", "text")):
            world.create_field(world.account, model, api_key, type, localized=api_key == "title")
        return world.create(world.user, model, strange).id

    id = odd.act(write)
    odd.sync()
    copy = copy_of(odd.mirror, at=START + timedelta(hours=1))
    assert canonical(copy.primary.records[id].head.read()) == canonical(strange)
    second = make_mirror(odd.mirror.dialect.name)
    assert sync(second, copy).outcome is Outcome.SUCCEEDED
    assert_same(odd.mirror, second)


@pytest.fixture
def odd_with_deletion(odd: SyncEnv) -> tuple[SyncEnv, dict[str, str]]:
    """The odd project, mirrored, and a record deleted since."""
    ids = odd.act(odd_project)
    odd.sync()
    odd.act(lambda world: world.delete(world.user, ids["gone"]))
    odd.sync()
    return odd, ids


def test_a_deleted_record_is_in_the_copy_only_on_request(odd_with_deletion: tuple[SyncEnv, dict[str, str]]) -> None:
    odd, ids = odd_with_deletion
    at = START + timedelta(hours=1)
    without, included = (copy_of(odd.mirror, at=at, with_deleted=wanted).primary for wanted in (False, True))
    assert (ids["gone"] in without.records, ids["gone"] in without.deleted) == (False, False)
    assert (ids["gone"] in included.records, ids["gone"] in included.deleted) == (False, True)


def test_a_version_that_upstream_lost_is_in_the_copy(odd: SyncEnv) -> None:
    ids = odd.act(odd_project)
    odd.sync()
    (first, *_) = odd.act(lambda world: [version.id for version in world.primary.records[ids["child"]].versions])

    def forget(world: World) -> None:
        world.options.versions_kept = 2
        world.update(world.user, ids["child"], {"title": {"en": "Newest", "it": "Nuovo"}})

    odd.act(forget)
    odd.sync(full=True)
    versions_of_child = copy_of(odd.mirror, at=START + timedelta(hours=1)).primary.records[ids["child"]].versions
    assert first not in odd.act(lambda world: set(world.primary.versions))
    assert versions_of_child[0].id == first


def test_the_copy_is_never_taken_for_the_original(odd: SyncEnv) -> None:
    ids = odd.act(odd_project)
    odd.sync()
    copy = copy_of(odd.mirror, at=START + timedelta(hours=1))
    copy.update(copy.user, ids["child"], {"title": {"en": "Tried out"}})
    report = sync(odd.mirror, copy)
    assert isinstance(report.error, WrongProject)


def test_new_ids_of_a_copy_are_new(odd: SyncEnv) -> None:
    ids = odd.act(odd_project)
    odd.sync()
    world = copy_of(odd.mirror, at=START + timedelta(hours=1))
    before = set(world.primary.versions)
    for number in range(20):
        world.update(world.user, ids["child"], {"title": {"en": f"New {number}", "it": "Nuovo"}})
    assert before <= set(world.primary.versions)
    assert len(world.primary.versions) == len(before) + 20


def test_a_project_with_the_schema_alone_has_the_places_that_contents_name(odd: SyncEnv) -> None:
    odd.act(odd_project)
    odd.sync()
    with odd.mirror.read() as connection:
        source = load_source(connection, "website")
        assert source is not None
        world = world_with_schema(connection, source, clock=Clock.stopped(START))
    where = world.primary
    assert (world.project_id, where.locales, world.timezone) == ("77", ["en", "it"], "Europe/Rome")
    assert where.records == {}
    assert list(where.uploads) == ["picture-of-seo"]
    assert {id: set(flow.stages) for id, flow in where.workflows.items()} == {"flow": {"drafting", "reviewing"}}
    (page,), (original,) = where.models.values(), odd.act(lambda world: list(world.primary.models.values()))
    assert [field.id for field in page.ordered_fields] == [field.id for field in original.ordered_fields]
    made = world.create(world.user, page, {"title": {"en": "Made"}}, stage="reviewing")
    assert made.stage == "reviewing"
