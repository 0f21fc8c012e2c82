"""How soon the daemon mirrors an edit, and what that costs: measured for minutes, simulated for a month."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from random import Random

from sqlalchemy import make_url

from benchmarks.daemon.budget_month import tables as simulated
from benchmarks.daemon.process import Settings, free_port, running
from benchmarks.daemon.webhook_proxy import Reliability, way
from benchmarks.databases import Databases
from benchmarks.processes import SPAWN
from benchmarks.project import Project
from benchmarks.tables import Table, seconds_at, thousands
from benchmarks.upstream import LATENCY, build
from tests.fixtures.compare_with_expected import differences
from versionsync.mirror.database import Mirror
from versionsync.simulator import FaultKind, Faults, RateLimit, SimulatorThread, World
from versionsync.simulator.world.expected_history import expected_history
from versionsync.simulator.world.webhooks import Webhook

__all__ = ["measure"]

LIMIT = 60
RECORDS = 400
MEAN_SECONDS = 3.0
MAX_STALENESS = 60.0
POLL_SECONDS = 0.02
START_SECONDS = 120.0
PATIENCE_SECONDS = 4 * MAX_STALENESS
NOWHERE = "http://127.0.0.1:9/"
"""Calls to it fail at once, and are in the log all the same."""


@dataclass(frozen=True, slots=True)
class Case:
    """How the daemon hears of changes besides its looks, and what becomes of the calls on their way to it."""

    receives: bool = False
    reads_log: bool = False
    reliability: Reliability | None = None


UNRELIABLE = Reliability(lost=0.3, doubled=0.3, late=0.3, late_seconds=5.0)
CASES: dict[str, Case] = {
    "receiver and webhook log": Case(receives=True, reads_log=True),
    "receiver alone": Case(receives=True),
    "webhook log alone": Case(reads_log=True),
    "neither: checks alone": Case(),
    "receiver and webhook log, unreliable calls": Case(receives=True, reads_log=True, reliability=UNRELIABLE),
    "receiver alone, unreliable calls": Case(receives=True, reliability=UNRELIABLE),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """`latencies`: seconds of the edits that were seen. `missing`: those that never were, and what else differs."""

    latencies: list[float]
    missing: int
    requests: int


def measure(databases: Databases, *, small: bool) -> list[Table]:
    """The tables of following: latency, a month within a budget, idle days. All cases of the first run side by side."""
    edits = 20 if small else 120
    with ProcessPoolExecutor(max_workers=len(CASES), mp_context=SPAWN) as executor:
        started = {
            name: executor.submit(_follow, case, databases.sqlite().url, edits, seed)
            for seed, (name, case) in enumerate(CASES.items())
        }
        seen = {name: future.result() for name, future in started.items()}
    return [_latency(seen, edits), *simulated(days=7 if small else 30)]


def _latency(seen: Mapping[str, Seen], edits: int) -> Table:
    return Table(
        f"From an edit to its event in the mirror, {thousands(edits)} edits, one every {MEAN_SECONDS:g} s on average",
        ("changes come by", "p50", "p99", "most", "requests an edit", "missed"),
        [
            [
                name,
                seconds_at(one.latencies, 0.5),
                seconds_at(one.latencies, 0.99),
                seconds_at(one.latencies, 1.0),
                f"{one.requests / edits:.1f}",
                thousands(one.missing),
            ]
            for name, one in seen.items()
        ],
        (
            f"At {LIMIT} requests in 3 s, 50 to 300 ms an answer, max_staleness = {MAX_STALENESS:g}, on SQLite. "
            "Edits come at random, each of another record. Unreliable: three in ten calls are lost, three in ten "
            "come twice, and three in ten come up to five seconds late, so that others overtake them. Missed is what "
            "the mirror lacks at the end. The simulator makes each call at once: the time that DatoCMS needs for it "
            "is not included.",
        ),
    )


def _follow(case: Case, database: str, edits: int, seed: int) -> Seen:
    """One case, in a process of its own: the simulator in a thread, the daemon as a program beside it."""
    world = build(Project(records=RECORDS, versions=2))
    world.clock.run()
    faults = Faults(seed=seed, rates={FaultKind.SLOW: 1.0}, slow_seconds=LATENCY)
    with SimulatorThread(world, faults=faults, limits=RateLimit(LIMIT, scope="project")) as simulator:
        return asyncio.run(_watch(case, simulator, database, edits, seed))


async def _watch(case: Case, simulator: SimulatorThread, database: str, edits: int, seed: int) -> Seen:
    settings = Settings(
        upstream=simulator.url,
        database=database,
        port=free_port(),
        max_staleness=MAX_STALENESS,
        receives=case.receives,
        reads_log=case.reads_log,
    )
    random = Random(seed)
    async with way(settings.receiver, case.reliability, random=Random(seed)) as address:
        if case.receives or case.reads_log:
            url = address if case.receives else NOWHERE
            await asyncio.to_thread(simulator.act, lambda world: _register(world, settings, url))
        async with running(settings):
            path = make_url(database).database or ""
            await _until_mirrored(path, simulator)
            before = simulator.simulator.requests.total
            made, seen = await _edit_and_poll(path, simulator, edits, random)
            requests = simulator.simulator.requests.total - before
            missing = await _missing(database, simulator, made.keys() - seen.keys())
    return Seen([seen[id] - made[id] for id in seen if id in made], missing, requests)


def _register(world: World, settings: Settings, url: str) -> Webhook:
    return world.webhooks.register(
        "versionsync: website",
        url,
        auto_retry=False,
        http_basic_user="versionsync",
        http_basic_password=settings.password,
    )


async def _until_mirrored(path: str, simulator: SimulatorThread) -> None:
    """Until the first sync is over and what follows from it is done: whole looks, the first reading of the log."""
    deadline = time.monotonic() + START_SECONDS
    while _ask(path, "SELECT count(*) FROM runs WHERE outcome = 'succeeded'") < 1:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the first sync did not succeed within {START_SECONDS:.0f} s")
        await asyncio.sleep(0.2)
    await asyncio.sleep(5)


def _ask(path: str, query: str) -> int:
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(query).fetchone()[0])
    return 0  # it has no tables yet


async def _edit_and_poll(
    path: str, simulator: SimulatorThread, edits: int, random: Random
) -> tuple[dict[str, float], dict[str, float]]:
    """When each record was edited, and when another connection first saw the event of that."""
    made: dict[str, float] = {}
    seen: dict[str, float] = {}
    ids: list[str] = await asyncio.to_thread(simulator.act, lambda world: list(world.primary.records))
    with closing(sqlite3.connect(path)) as connection:
        last = connection.execute("SELECT max(id) FROM events").fetchone()[0]

        async def poll() -> None:
            nonlocal last
            while len(seen) < edits:
                rows = connection.execute("SELECT id, record_id FROM events WHERE id > ? ORDER BY id", (last,))
                for last, record_id in rows.fetchall():  # noqa: B007 - the next poll goes on after it
                    seen.setdefault(record_id, time.monotonic())
                await asyncio.sleep(POLL_SECONDS)

        polling = asyncio.create_task(poll())
        for id in random.sample(ids, edits):
            await asyncio.sleep(random.expovariate(1 / MEAN_SECONDS))
            made[id] = time.monotonic()
            await asyncio.to_thread(_edit, simulator, id)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await polling
    return made, seen


def _edit(simulator: SimulatorThread, id: str) -> None:
    simulator.act(lambda world: world.update(world.user, id, {"title": "edited"}))


async def _missing(database: str, simulator: SimulatorThread, unseen: set[str]) -> int:
    """How many edits were not seen, or else in how many ways the mirror is not as the truth is."""
    if unseen:
        return len(unseen)
    with Mirror.open(database) as mirror:
        what = await asyncio.to_thread(simulator.act, lambda world: expected_history(world.event_log, "main"))
        return len(await asyncio.to_thread(differences, mirror, what))
