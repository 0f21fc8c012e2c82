"""The client against the simulated DatoCMS: everything that can be read, and everything that can go wrong."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import pytest

from versionsync import cma
from versionsync.simulator import (
    FULL_ACCESS_TOKEN,
    Clock,
    FaultKind,
    RateLimit,
    SimulatorThread,
    World,
    expected_history,
)
from versionsync.simulator.scenarios.bulk import build_bulk
from versionsync.simulator.scenarios.news.site import News, build_news


@dataclass
class Site:
    """A running news site."""

    simulator: SimulatorThread
    news: News

    def client(self, **more: object) -> cma.Client:
        """A client of it, without a pace."""
        arguments = {"rate_limiter": cma.RateLimiter(cma.UNLIMITED), "deadline": 20.0} | more
        return cma.Client(self.simulator.url, FULL_ACCESS_TOKEN, **arguments)  # type: ignore[arg-type]


@pytest.fixture
def site() -> Iterator[Site]:
    world = World(seed=1, clock=Clock.stopped(datetime(2026, 9, 1, 9, 0, tzinfo=UTC)))
    news = build_news(world, articles=32)
    with SimulatorThread(world) as simulator:
        yield Site(simulator, news)


async def record_models(client: cma.Client) -> list[str]:
    """The ids of all models that are not block models."""
    return [model.id for model in await client.item_types() if not model.modular_block]


async def everything(client: cma.Client, *, limit: int = 500) -> dict[str, list[cma.ItemVersion]]:
    """All records with all their versions, by the two walks."""
    found: dict[str, list[cma.ItemVersion]] = {}
    async for page in cma.iterate_items(client, models=await record_models(client), limit=limit):
        assert not page.bad
        for item in page.items:
            found[item.id] = []
            async for versions in cma.iterate_versions(client, item.id, limit=5):
                assert not versions.bad
                found[item.id].extend(versions.items)
    return found


@pytest.mark.parametrize("limit", [500, 7])
async def test_the_walks_see_all_that_is_true(site: Site, limit: int) -> None:
    """Every record, every version, its flags, its editor, and its content byte for byte as JSON."""
    async with site.client() as client:
        found = await everything(client, limit=limit)
    true = site.simulator.act(lambda world: expected_history(world.event_log, "main"))
    assert found.keys() == {record.id for record in true.records.values() if record.alive}
    for record_id, versions in found.items():
        expected = {version.id: version for version in true.listed_versions(record_id)}
        assert [version.id for version in reversed(versions)] == list(expected)
        for version in versions:
            other = expected[version.id]
            assert (version.is_current, version.is_published) == (other.is_current, other.is_published)
            assert version.created_at == other.created_at.replace(microsecond=0)
            assert version.editor == cma.Ref(other.editor.type, other.editor.id)
            assert json.loads(version.attributes_raw) == json.loads(other.content)


async def test_the_rest_of_the_project_can_be_read(site: Site) -> None:
    """Schema, environments, all five kinds of editor, jobs, webhooks, usage."""
    async with site.client() as client:
        schema = await client.schema()
        assert client.usage.requests == 1
        assert {model.api_key for model in schema.item_types} >= {"article", "author", "category"}
        assert {field.item_type_id for field in schema.fields} <= {model.id for model in schema.item_types}
        (main,) = await client.environments()
        assert (main.id, main.primary, main.status) == ("main", True, "ready")
        assert await client.environment("main") == main
        assert client.last_environment == "main"
        people = [*await client.users(), *await client.sso_users(), *await client.access_tokens()]
        owners = await client.owners()
        assert {"account", "organization"} == {owner.type for owner in owners}
        assert {"user", "sso_user", "access_token"} <= {person.type for person in people}
        assert all(person.name for person in people)
        assert FULL_ACCESS_TOKEN.encode() not in b"".join(person.raw for person in people)
        assert await client.maintenance_mode() is False
        assert await client.webhooks() == ()
        assert (await client.webhook_calls_page()).total == 0


async def test_a_record_is_read_by_itself_and_a_missing_one_is_not_found(site: Site) -> None:
    """With its meta as in the list."""
    async with site.client() as client:
        page = await client.items_page(limit=1)
        assert await client.item(page.items[0].id) == page.items[0]
        with pytest.raises(cma.NotFound):
            await client.item("AAAAAAAAQACAAAAAAAAAAA")
        with pytest.raises(cma.NotFound):
            await client.versions_page("AAAAAAAAQACAAAAAAAAAAA")
        with pytest.raises(cma.NotFound):
            await client.version("AAAAAAAAQACAAAAAAAAAAA")


async def test_a_version_is_restored_by_a_job(site: Site) -> None:
    """A new current version with the old content."""
    async with site.client() as client:
        homepage = site.news.homepage
        versions = (await client.versions_page(homepage)).items
        result = await client.wait_for_job(await client.restore_version(versions[-1].id))
        assert result.status == 200
        after = (await client.versions_page(homepage)).items
        assert len(after) == len(versions) + 1
        assert json.loads(after[0].attributes_raw) == json.loads(versions[-1].attributes_raw)


async def test_webhooks_live_and_die(site: Site) -> None:
    """Made, changed, listed, deleted."""
    spec = cma.WebhookSpec(name="versionsync", url="http://127.0.0.1:9/", events={"item": ("update",)}, enabled=False)
    async with site.client() as client:
        made = await client.create_webhook(spec)
        assert await client.webhooks() == (made,)
        changed = await client.update_webhook(made.id, cma.WebhookSpec(name="other", url=spec.url, events=spec.events))
        assert (changed.id, changed.name) == (made.id, "other")
        headed = cma.WebhookSpec(name="other", url=spec.url, events=spec.events, headers={"X-Key": "k"})
        assert (await client.update_webhook(made.id, headed)).header_names == ("X-Key",)
        assert (await client.update_webhook(made.id, spec)).header_names == ("X-Key",)  # not said: kept
        await client.delete_webhook(made.id)
        assert await client.webhooks() == ()


async def test_a_call_is_made_once_more(site: Site) -> None:
    """It is the same entry of the log, and shows the result."""
    spec = cma.WebhookSpec(name="w", url="http://127.0.0.1:9/", events={"item": ("update",)}, auto_retry=False)
    async with site.client() as client:
        webhook = await client.create_webhook(spec)
        site.simulator.act(lambda world: world.update(world.user, site.news.homepage, {}))
        (call,) = (await client.webhook_calls_page(filters={"webhook_id": {"eq": webhook.id}})).items
        await client.resend_webhook_call(call.id)
        again = await client.webhook_call(call.id)
        assert (again.id, again.webhook_id, again.event_type) == (call.id, webhook.id, "update")
        with pytest.raises(cma.NotFound):
            await client.resend_webhook_call("1")


async def test_what_is_refused_has_its_own_error(site: Site) -> None:
    """Wrong token, unknown environment, unknown model."""
    async with cma.Client(site.simulator.url, "wrong-token") as client:
        with pytest.raises(cma.AuthenticationError, match="INVALID_AUTHORIZATION_HEADER"):
            await client.site()
    async with site.client(environment="nowhere") as client:
        with pytest.raises(cma.EnvironmentNotFound, match="INVALID_ENVIRONMENT"):
            await client.items_page()
    async with site.client() as client:
        with pytest.raises(cma.InvalidRequest):
            await client.items_page(models=["no_such_model"])
        with pytest.raises(cma.InvalidRequest):
            await client.items_page(order_by="id_ASC")


async def test_a_page_limit_that_is_refused_shrinks(site: Site) -> None:
    """Down to what upstream takes."""
    site.simulator.act(lambda world: setattr(world.options, "nested_versions_limit", 7))
    async with site.client() as client:
        versions = [v async for page in cma.iterate_versions(client, site.news.homepage) for v in page.items]
        assert client.page_limits == {"versions": 6}
    assert versions[0].is_current


async def test_environments_do_not_mix(site: Site) -> None:
    """A fork answers for itself, and a promotion is seen by who follows the primary one."""
    site.simulator.act(lambda world: world.fork(world.account, "main", "next"))
    async with site.client() as client:
        there = client.with_environment("next")
        assert (await there.items_page(limit=1)).total == (await client.items_page(limit=1)).total
        site.simulator.act(lambda world: world.promote(world.account, "next"))
        await client.site()
        assert client.last_environment == "next"


TRANSIENT = (
    FaultKind.INTERNAL_ERROR,
    FaultKind.BAD_GATEWAY,
    FaultKind.UNAVAILABLE,
    FaultKind.RESET,
    FaultKind.TRUNCATED,
    FaultKind.SLOW,
)


@pytest.mark.parametrize("seed", range(3))
async def test_transient_faults_change_nothing_that_is_read(
    site: Site, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth of all requests fails in one way or another: the same records and versions come out."""
    monkeypatch.setattr("versionsync.cma.retry.backoff", lambda *_, **__: 0.01)
    async with site.client() as client:
        expected = await everything(client)
    faults = site.simulator.simulator.faults
    faults.slow_seconds = (0.01, 0.05)
    faults.rates.update(dict.fromkeys(TRANSIENT, 0.1 / len(TRANSIENT)))
    async with site.client() as client:
        assert await everything(client) == expected
        assert client.usage.retries > 0


@pytest.mark.parametrize("kind", [FaultKind.THROTTLED, FaultKind.THROTTLED_BARE])
async def test_a_429_below_the_limit_is_waited_out(site: Site, kind: FaultKind) -> None:
    """With and without headers that say for how long."""
    site.simulator.simulator.faults.plant(kind, path="/items")
    async with site.client() as client:
        began = time.monotonic()
        await client.items_page(limit=1)
        assert time.monotonic() - began > 0.9
        assert (client.usage.throttled, client.usage.requests) == (1, 2)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.WRONG_SHAPE, cma.ProtocolError),
        (FaultKind.REPEATED_PAGE, cma.ProtocolError),
        (FaultKind.EMPTY_PAGE, cma.ProtocolError),
    ],
)
async def test_a_listing_that_cannot_be_trusted_is_an_error(
    site: Site, kind: FaultKind, error: type[cma.CmaError]
) -> None:
    """A partial list never passes for a complete one."""
    site.simulator.simulator.faults.plant(kind, path="/items", nth=3, times=2)
    async with site.client() as client:
        with pytest.raises(error):
            async for _ in cma.iterate_items(client, limit=7):
                pass


async def test_an_edit_between_two_pages_is_noticed(site: Site) -> None:
    """The edited record moves to the front of the list, and the pages do not overlap any more."""
    async with site.client() as client:
        models = await record_models(client)
        last = [item.id async for page in cma.iterate_items(client, models=models) for item in page.items][-1]
        site.simulator.simulator.faults.run_after(
            lambda world: world.update(world.account, last, {}), path="/items", nth=1
        )
        with pytest.raises(cma.PageShifted):
            async for _ in cma.iterate_items(client, models=models, limit=7):
                pass


@pytest.mark.nightly
@pytest.mark.parametrize("windows", ["sliding", "fixed"])
async def test_the_real_rate_is_used_and_not_exceeded(windows: Literal["sliding", "fixed"]) -> None:
    """In real time, over real connections: three windows of work, next to no 429."""
    world = World(seed=1)
    build_bulk(world, records=1, versions=1)
    limits = RateLimit(60, windows=windows)
    with SimulatorThread(world, limits=limits) as simulator:
        async with cma.Client(simulator.url, FULL_ACCESS_TOKEN) as client:
            record = (await client.items_page(limit=1)).items[0].id
            count = 3 * 60
            began = time.monotonic()

            async def reader(numbers: Iterator[int]) -> None:
                for _ in numbers:
                    await client.versions_page(record)

            numbers = iter(range(count))
            async with asyncio.TaskGroup() as group:
                for _ in range(16):
                    group.create_task(reader(numbers))
            seconds = time.monotonic() - began
            assert client.usage.throttled <= 1
            # The last one has to wait for all windows before it; two seconds are for a busy machine, a window is three.
            assert seconds <= count / 60 * 3 / 0.98 + 2
