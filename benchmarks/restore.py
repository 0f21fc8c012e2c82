"""How long it takes to bring deleted records back, at the rate that DatoCMS allows, beside the least that it allows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

from benchmarks.databases import Databases
from benchmarks.engine.one_sync import open_client, sync_with
from benchmarks.tables import Table, thousands, times
from versionsync import cma
from versionsync.history.projections.filling import FillState, ProjectionFiller
from versionsync.mirror.database import Mirror
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema.migrate import upgrade
from versionsync.restore.execute import carry_out
from versionsync.restore.journal import Journal
from versionsync.restore.kept_plans import keep, kept_plan
from versionsync.restore.model import Act, Plan, Reason
from versionsync.restore.order import MOST_IN_BULK
from versionsync.restore.planning import PlanningOptions, make_plan
from versionsync.restore.proof import Proof, aims_of, prove
from versionsync.restore.selection import Wanted
from versionsync.simulator import RateLimit, SimulatorThread, World
from versionsync.sync.options import SyncOptions
from versionsync.sync.report import Progress

__all__ = ["Restored", "build", "least_requests", "measure", "restored"]

REQUESTS_PER_SECOND = 20
CYCLE = 10
SOURCE_ID = 1


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore took. `least`: the fewest requests that can do it; `requests`: those that were used."""

    plan: Plan
    proof: Proof
    seconds: float
    requests: int
    least: int


def measure(databases: Databases, *, small: bool) -> list[Table]:
    """The table of restores."""
    records = 100 if small else 1_000
    rows = []
    for checks in (True, False):
        database = databases.sqlite()
        upgrade(database.url)
        with SimulatorThread(build(records)) as simulator, Mirror.open(database.url) as mirror:
            found = asyncio.run(restored(simulator, mirror, checks=checks))
        seconds = found.least / REQUESTS_PER_SECOND
        rows.append(
            [
                "checked before" if checks else "unchecked",
                thousands(found.least),
                thousands(found.requests),
                times(found.requests, found.least),
                f"{seconds:.0f} s",
                f"{found.seconds:.0f} s",
                f"{found.proof.proven:,} of {records:,}",
            ]
        )
    return [
        Table(
            f"Restore of {thousands(records)} deleted records, 60 requests in 3 s",
            ("", "least requests", "used", "ratio", "least time", "time", "proven"),
            rows,
            (
                f"Cycles of {CYCLE} records link to each other; each has two blocks. Two in three were live, and one "
                "in three of these has a newer draft. A record goes live after the one that it links to, so a cycle "
                "takes 11 bulk publications in turn, each a job that takes a second or more. The time is that of "
                "planning, checking, writing, reading all histories again, and comparing them with what was sent.",
            ),
        )
    ]


def build(records: int) -> World:
    """A project in which all links are in cycles, and half of what is live has a newer draft."""
    world = World(seed=1)
    owner = world.account
    quote = world.create_model(owner, "quote", is_block=True)
    world.create_field(owner, quote, "words", "text")
    story = world.create_model(owner, "story")
    rule = {"item_item_type": {"item_types": [story.id]}}
    world.create_field(owner, story, "title")
    world.create_field(owner, story, "next", "link", validators=rule)
    world.create_field(owner, story, "body", "rich_text", validators={"rich_text_blocks": {"item_types": [quote.id]}})
    item_type = {"item_type": {"data": {"type": "item_type", "id": quote.id}}}

    def block(number: int) -> dict[str, Any]:
        words = {"words": f"What somebody said about story {number}. " * 10}
        return {"type": "item", "attributes": words, "relationships": item_type}

    ids = [
        world.create(world.user, story, {"title": f"Story {number}", "body": [block(number), block(number)]}).id
        for number in range(records)
    ]
    for begin in range(0, records, CYCLE):
        ring = ids[begin : begin + CYCLE]
        for one, other in zip(ring, [*ring[1:], ring[0]], strict=True):
            world.update(world.sso_user, one, {"next": other})
    live = [one for number, one in enumerate(ids) if number // CYCLE % 3]
    for begin in range(0, len(live), MOST_IN_BULK):
        world.publish_many(owner, live[begin : begin + MOST_IN_BULK])
    for one in live[::3]:
        world.update(owner, one, {"title": f"Newer {one}"})
    return world


async def restored(simulator: SimulatorThread, mirror: Mirror, *, checks: bool, limit: int | None = 60) -> Restored:
    """Mirror a project, delete all its records, and bring them back.

    Args:
        simulator: It serves the project.
        mirror: An empty mirror.
        checks: Whether DatoCMS is asked in advance.
        limit: How many requests it allows in 3 s. None: any number.
    """

    def delete_all(world: World) -> None:
        for one in list(world.primary.records.values()):
            world.delete(world.account, one.id)

    def now() -> datetime:
        return simulator.act(lambda world: world.now())

    async def sync(client: cma.Client) -> None:
        options = SyncOptions(wait_until_settled=False, allow_mass_delete=True)
        await sync_with(mirror, client, simulator.url, options, Progress(source="website"))

    async with open_client(simulator.url, cma.RateLimiter(cma.UNLIMITED)) as client:
        await sync(client)
        simulator.act(delete_all)
        await sync(client)
    _fill(mirror)
    if limit is not None:
        simulator.simulator.limits = RateLimit(limit)
    limiter = cma.RateLimiter(None if limit else cma.UNLIMITED)
    before, began = simulator.simulator.requests.total, time.monotonic()
    async with open_client(simulator.url, limiter) as client:
        wanted = Wanted(deleted=True, publishes=True)
        plan = await make_plan(mirror, "website", wanted, client, now=now, options=PlanningOptions(checks=checks))
        id = keep(mirror, SOURCE_ID, plan)
        holder = Holder.of_this_process()
        async with Journal(mirror, SOURCE_ID, id, holder=holder, now=now) as journal:
            await carry_out(plan, client, journal, now=now)
            await journal.finish("done", "{}")
        await sync(client)
    kept = kept_plan(mirror, SOURCE_ID, id)
    proof = mirror.query(lambda connection: prove(connection, SOURCE_ID, aims_of(plan, kept.steps, has_drafts={})))
    requests = simulator.simulator.requests.total - before
    return Restored(plan, proof, time.monotonic() - began, requests, least_requests(plan, checks=checks))


def least_requests(plan: Plan, *, checks: bool) -> int:
    """Return the fewest requests that can do what a plan does.

    Each record is created, and its history is read once. It is updated once if it closes a cycle, and once if its draft
    is newer than what is live. Up to 200 records are published at once, and each job is read once. Each content is
    checked once, if it is checked.
    """
    creates = _records(plan, Act.CREATE)
    closing = _records(plan, Act.UPDATE, Reason.LINKS)
    drafts = _records(plan, Act.UPDATE, Reason.DRAFT)
    contents = len(creates) + len(closing) + len(drafts)
    publications = ceil(len(set(_records(plan, Act.PUBLISH))) / MOST_IN_BULK)
    return contents * (2 if checks else 1) + 2 * publications + len(creates)


def _records(plan: Plan, act: Act, reason: Reason | None = None) -> Sequence[str]:
    steps = (step for step in plan.steps if step.act is act and reason in (None, step.reason))
    return [id for step in steps for id in step.record_ids]


def _fill(mirror: Mirror) -> None:
    filler = ProjectionFiller(mirror, SOURCE_ID)
    while filler.fill_batch().state is FillState.MORE:
        pass
