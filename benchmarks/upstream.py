"""The upstream of a measurement: a simulated project of a given form, in a process of its own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache, partial
from multiprocessing.connection import Connection

from benchmarks.processes import SPAWN
from benchmarks.project import Project
from versionsync.simulator import (
    Clock,
    FaultKind,
    Faults,
    LoadedVersion,
    RateLimit,
    Simulator,
    World,
    serve,
)
from versionsync.simulator.scenarios.bulk import build_bulk
from versionsync.simulator.scenarios.news.prose import paragraph

__all__ = ["build", "serving"]

LATENCY = (0.05, 0.3)
LATE = {"answers": FaultKind.SLOW, "requests": FaultKind.LATE}
START_SECONDS = 600
STEP = timedelta(minutes=1)
PROSE_STEP = 37


def build(project: Project) -> World:
    """The project, with a clock that stands still."""
    world = World(seed=1, clock=Clock.stopped())
    bulk = build_bulk(
        world, records=project.records, versions=project.versions, bytes_per_version=project.bytes_per_version
    )
    for number in range(project.long):
        begins = world.now() - STEP * (project.long_versions + 1)
        world.load(
            bulk.models[0],
            [
                LoadedVersion(
                    partial(_content, number, place, project.bytes_per_version), world.user, begins + STEP * place, ()
                )
                for place in range(project.long_versions)
            ],
        )
    world.clock.advance(timedelta(hours=1))  # no change is so fresh that it could not be trusted
    return world


@contextmanager
def serving(project: Project) -> Iterator[str]:
    """The project answers, without a delay or pace unless it has some, until the block ends; yields its URL."""
    ours, theirs = SPAWN.Pipe(duplex=False)
    server = SPAWN.Process(target=_serve, args=(project, theirs), daemon=True)
    server.start()
    theirs.close()
    try:
        if not ours.poll(START_SECONDS):
            raise TimeoutError(f"the simulator did not start within {START_SECONDS} s")
        yield ours.recv()
    finally:
        server.terminate()
        server.join()


def _serve(project: Project, ready: Connection) -> None:
    faults = Faults(seed=1, rates={LATE[project.late]: 1.0} if project.late else {}, slow_seconds=LATENCY)
    limits = RateLimit(project.limit, scope="project", windows=project.windows) if project.limit else None

    def tell(simulator: Simulator) -> None:
        ready.send(simulator.url)

    serve(build(project), faults=faults, limits=limits, on_start=tell)


def _content(number: int, place: int, size: int) -> bytes:
    words = _prose(size + PROSE_STEP * 100)[PROSE_STEP * (place % 100) :][: max(size - 60, 40)]
    return f'{{"title":"Long {number}, {place}","edition":{place},"price":1.50,"text":"{words}"}}'.encode()


@lru_cache(maxsize=4)
def _prose(length: int) -> str:
    """Text that compresses about as well as what people write."""
    rng = random.Random(1)
    text = ""
    while len(text) < length:
        text += paragraph(rng).en.replace('"', "'") + " "
    return text
