"""Many small projects in one process, which knows the daemon of each request by its token."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection

import msgspec
from aiohttp import web

from benchmarks.processes import SPAWN
from benchmarks.upstream import LATENCY, START_SECONDS
from tests.fixtures.compare_with_expected import differences
from versionsync.mirror.database import Mirror
from versionsync.simulator import Clock, FaultKind, Faults, RateLimit, Simulator, World
from versionsync.simulator.http.project import secret_of
from versionsync.simulator.scenarios.bulk import bulk_worlds
from versionsync.simulator.world.expected_history import expected_history

__all__ = ["DIFFERENCES_PATH", "REQUESTS_PATH", "Comparison", "Upstream", "serving", "token_of"]

LIMIT = 60
REQUESTS_PATH = "/_fleet/requests"
DIFFERENCES_PATH = "/_fleet/differences"
AGE = timedelta(hours=1)
TOKEN = "fleet"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Comparison(msgspec.Struct):
    """Which mirrors to compare with the truth: the database, and the id of the source of each project, by its place."""

    database: str
    sources: dict[int, int]


@dataclass(frozen=True, slots=True)
class Upstream:
    """A running server: its URL, its process, and the id of each project in order."""

    url: str
    pid: int
    project_ids: Sequence[str]


def token_of(project: int, daemon: int) -> str:
    """Return the token with which a daemon, by its number, reads the project in a place, counted from 0."""
    return f"{TOKEN}-{project}-{daemon}"


@contextmanager
def serving(projects: int, *, daemons: int, records: int, versions: int) -> Iterator[Upstream]:
    """Serve so many projects until the block ends; each has a token for each of so many daemons."""
    ours, theirs = SPAWN.Pipe(duplex=False)
    arguments = (projects, daemons, records, versions, theirs)
    server = SPAWN.Process(target=_serve, args=arguments, daemon=True)
    server.start()
    theirs.close()
    try:
        if not ours.poll(START_SECONDS):
            raise TimeoutError(f"the simulator did not start within {START_SECONDS} s")
        url, project_ids = ours.recv()
        assert server.pid is not None
        yield Upstream(url, server.pid, project_ids)
    finally:
        server.terminate()
        server.join()


def _serve(projects: int, daemons: int, records: int, versions: int, ready: Connection) -> None:
    asyncio.run(_run(_build(projects, daemons, records, versions), ready))


def _build(projects: int, daemons: int, records: int, versions: int) -> list[World]:
    """The projects, with a clock that shows the real time, and no change that is too fresh to be trusted."""
    first = World(seed=1, clock=Clock.stopped(datetime.now(UTC) - AGE))
    worlds = list(bulk_worlds(first, projects, records=records, versions=versions))
    for place, world in enumerate(worlds):
        own = world.people.tokens[world.token]
        for daemon in range(1, daemons + 1):
            world.people.add_token(replace(own, secret=token_of(place, daemon)))
    first.clock.set(datetime.now(UTC))
    first.clock.run()
    return worlds


async def _run(worlds: Sequence[World], ready: Connection) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    faults = Faults(seed=1, rates={FaultKind.SLOW: 1.0}, slow_seconds=LATENCY)
    limits = RateLimit(LIMIT, scope="project", windows="fixed")
    simulator = Simulator(worlds[0], others=worlds[1:], faults=faults, limits=limits)
    simulator.server.app.middlewares.append(_Observer(worlds).answer)
    async with simulator:
        gc.freeze()
        ready.send((simulator.url, [world.project_id for world in worlds]))
        await stop.wait()


class _Observer:
    """Notes the requests of each daemon, and answers what the benchmark asks."""

    def __init__(self, worlds: Sequence[World]) -> None:
        self._worlds = worlds
        self._noted: list[tuple[int, int, float, float]] = []

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == REQUESTS_PATH:
            noted, self._noted = self._noted, []
            return _json(noted)
        if request.path == DIFFERENCES_PATH:
            return _json(self._differences(msgspec.json.decode(await request.read(), type=Comparison)))
        secret, began = secret_of(request), time.time()
        try:
            return await handler(request)
        finally:
            if secret is not None and secret.startswith(TOKEN):
                _, project, daemon = secret.split("-")
                self._noted.append((int(project), int(daemon), began, time.time()))

    def _differences(self, wanted: Comparison) -> Mapping[int, Sequence[str]]:
        """Return in which ways the mirror of each project is not as the truth is, without those that are."""
        with Mirror.open(wanted.database) as mirror:
            found = {
                place: differences(
                    mirror,
                    expected_history(self._worlds[place].event_log, self._worlds[place].primary.id),
                    source_id=source_id,
                )
                for place, source_id in wanted.sources.items()
            }
        return {place: differing for place, differing in found.items() if differing}


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
