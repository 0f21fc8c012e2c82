"""How much of the allowed rate is used, and how many requests are refused: alone, and beside another program."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Literal

import httpx

from benchmarks.databases import Databases
from benchmarks.engine.one_sync import open_client, sync_with
from benchmarks.processes import in_own_process
from benchmarks.project import TOKEN, Project
from benchmarks.tables import Table, share, thousands
from benchmarks.upstream import serving
from versionsync import cma
from versionsync.mirror.database import Mirror
from versionsync.mirror.schema.migrate import upgrade
from versionsync.sync.options import SyncOptions
from versionsync.sync.report import Progress

__all__ = ["measure"]

LIMIT = 60
WINDOW_SECONDS = 3.0
SETTLING_SECONDS = 6.0
TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True)
class Other:
    """Another program that uses the same project. It sends `at_once` requests together, at regular times."""

    at_once: int
    every: float


@dataclass(slots=True)
class _Use:
    requests: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class _Paced:
    """Both programs' requests between `SETTLING_SECONDS` and the end, and their refusals of the whole time."""

    seconds: float
    ours: _Use
    theirs: _Use
    all_requests: int


EVENLY, AT_ONCE = Other(1, WINDOW_SECONDS / 20), Other(20, WINDOW_SECONDS)
CASES: dict[str, tuple[Literal["fixed", "sliding"], Literal["answers", "requests"], Other | None]] = {
    "fixed windows, time after the count": ("fixed", "answers", None),
    "fixed windows, time before the count": ("fixed", "requests", None),
    "sliding windows, time after the count": ("sliding", "answers", None),
    "sliding windows, time before the count": ("sliding", "requests", None),
    "fixed, beside 20 requests in 3 s, evenly": ("fixed", "answers", EVENLY),
    "fixed, beside 20 requests in 3 s, at once": ("fixed", "answers", AT_ONCE),
    "sliding, beside 20 requests in 3 s, evenly": ("sliding", "answers", EVENLY),
}


def measure(databases: Databases, *, small: bool, large: bool) -> list[Table]:
    """The table of pace."""
    rows = []
    for name, (windows, late, other) in CASES.items():
        seconds = 20.0 if small else 300.0 if large and other is None else 90.0
        records = int((seconds + SETTLING_SECONDS) * 25) + 500
        with serving(Project(records=records, versions=2, limit=LIMIT, late=late, windows=windows)) as upstream:
            database = databases.sqlite()
            paced = in_own_process(_pace, upstream, database.url, other, seconds)
        allowed = LIMIT / WINDOW_SECONDS * paced.seconds
        answered = paced.ours.requests + paced.theirs.requests
        refused = paced.ours.refused + paced.theirs.refused
        rows.append(
            [
                name,
                f"{thousands(seconds)} s",
                share(paced.ours.requests, allowed),
                share(paced.theirs.requests, allowed) if other else "",
                share(answered, allowed),
                share(paced.ours.refused, paced.all_requests),
                share(refused, paced.all_requests),
            ]
        )
    return [
        Table(
            f"Pace, {LIMIT} requests in 3 s, 50 to 300 ms an answer",
            ("", "for", "of the limit: versionsync", "the other", "together", "our 429s", "all 429s"),
            rows,
            ("The limit counts for the whole project. Shares are those after 6 s, 429s those of all the time.",),
        )
    ]


def _pace(upstream: str, database: str, other: Other | None, seconds: float) -> _Paced:
    upgrade(database)
    return asyncio.run(_run(upstream, database, other, seconds))


async def _run(upstream: str, database: str, other: Other | None, seconds: float) -> _Paced:
    theirs = _Use()
    with Mirror.open(database) as mirror:
        async with open_client(upstream, cma.RateLimiter()) as client, asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[object]] = [
                group.create_task(
                    sync_with(
                        mirror, client, upstream, SyncOptions(wait_until_settled=False), Progress(source="website")
                    )
                )
            ]
            if other is not None:
                tasks.append(group.create_task(_ask(upstream, other, theirs)))
            usage = client.usage
            await asyncio.sleep(SETTLING_SECONDS)
            ours_before, theirs_before, began = usage.requests - usage.throttled, theirs.requests, time.monotonic()
            await asyncio.sleep(seconds)
            ours = _Use(usage.requests - usage.throttled - ours_before, usage.throttled)
            others = _Use(theirs.requests - theirs_before, theirs.refused)
            took = time.monotonic() - began
            everything = usage.requests + theirs.requests + theirs.refused
            if any(task.done() for task in tasks):
                raise RuntimeError("there was too little to do")
            for task in tasks:
                task.cancel()
    return _Paced(took, ours, others, everything)


async def _ask(upstream: str, other: Other, use: _Use) -> None:
    """Run the other program. It sends requests at its own times, whatever the answers."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json", "X-Api-Version": "3"}
    async with httpx.AsyncClient(base_url=upstream, headers=headers, timeout=30) as http, asyncio.TaskGroup() as group:

        async def one() -> None:
            if (await http.get("/site")).status_code == TOO_MANY_REQUESTS:
                use.refused += 1
            else:
                use.requests += 1

        while True:
            for _ in range(other.at_once):
                group.create_task(one())
            await asyncio.sleep(other.every)
