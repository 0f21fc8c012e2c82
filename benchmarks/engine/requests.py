"""How many requests the engine makes, beside the least that the API allows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from benchmarks.databases import Databases
from benchmarks.engine.minimum_requests import BEACON, least_for_backfill, least_for_changes
from benchmarks.engine.one_sync import open_client, sync_with
from benchmarks.project import Project
from benchmarks.tables import Table, thousands, times
from benchmarks.upstream import build
from versionsync import cma
from versionsync.mirror.database import Mirror
from versionsync.mirror.schema.migrate import upgrade
from versionsync.simulator import SimulatorThread, World
from versionsync.sync.options import SyncOptions
from versionsync.sync.report import Progress

__all__ = ["measure"]


def measure(databases: Databases, *, small: bool) -> list[Table]:
    """The table of requests: first sync, an idle one, and after changes."""
    records = 2_000 if small else 20_000
    project = Project(records=records - records // 200, versions=2, long=records // 200, long_versions=120)
    database = databases.sqlite()
    upgrade(database.url)
    rows: list[list[str]] = []
    with SimulatorThread(build(project)) as simulator, Mirror.open(database.url) as mirror:
        bench = _Bench(simulator, mirror)
        rows.append(bench.row("first sync", least_for_backfill(project.histories)))
        rows.append(bench.row("nothing changed", BEACON))
        rows.extend(bench.row_of_edits(number) for number in (1, 10))
        simulator.act(lambda world: world.delete(world.user, next(iter(world.primary.records))))
        rows.append(bench.row("1 deleted", least_for_changes(1)))
        rows.append(bench.row_of_edits(1_000))
    return [
        Table(
            f"Requests, {thousands(records)} records, one in 200 with 120 versions",
            ("run", "least", "used", "ratio", "more", "what for"),
            rows,
            (
                "The least after a change assumes that nothing else changed. The engine verifies it in four requests: "
                "it asks for publications beside edits and counts records by status. If the counts differ, it lists "
                "all records.",
            ),
        )
    ]


class _Bench:
    def __init__(self, simulator: SimulatorThread, mirror: Mirror) -> None:
        self._simulator = simulator
        self._mirror = mirror

    def row(self, name: str, least: int) -> list[str]:
        """Run once and compare."""
        self._simulator.act(lambda world: world.clock.advance(timedelta(minutes=1)))
        log = self._simulator.simulator.requests
        log.reset()
        asyncio.run(self._run())
        used = log.total
        return [
            name,
            thousands(least),
            thousands(used),
            times(used, least),
            f"{used - least:+,}",
            _what_for(log.by_route),
        ]

    def row_of_edits(self, number: int) -> list[str]:
        """So many edits, and a run."""
        self._simulator.act(_edit(number))
        return self.row(f"{thousands(number)} edited", least_for_changes(number))

    async def _run(self) -> None:
        async with open_client(self._simulator.url, cma.RateLimiter(cma.UNLIMITED)) as client:
            report = await sync_with(
                self._mirror,
                client,
                self._simulator.url,
                SyncOptions(wait_until_settled=False),
                Progress(source="website"),
            )
        if report.outcome != "succeeded":
            raise RuntimeError(f"the sync did not succeed: {report}") from report.error


def _edit(number: int) -> Callable[[World], None]:
    def edit(world: World) -> None:
        world.clock.advance(timedelta(hours=1))
        for record in list(world.primary.records.values())[:number]:
            world.update(world.user, record.id, {"title": "edited"})

    return edit


def _what_for(routes: Counter[str]) -> str:
    """The requests by what they ask for, most first."""
    names = Counter[str]()
    for route, count in routes.items():
        path = route.split(" ")[1]
        names[NAMES.get(path, path)] += count
    return ", ".join(f"{thousands(count)} {name}" for name, count in names.most_common())


NAMES = {
    "/environments": "beacon",
    "/environments/{environment_id}": "beacon",
    "/site": "project and owners",
    "/items": "records",
    "/items/{item_id}": "single records",
    "/items/{item_id}/versions": "versions",
    "/versions/{version_id}": "single versions",
    "/users/me": "own role",
    "/users": "editors",
    "/sso-users": "editors",
    "/access_tokens": "editors",
}
