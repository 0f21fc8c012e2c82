"""A project that is edited all the time, in a process of its own, and answers about itself through a pipe."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection

from tests.fixtures.editing_load import EditingLoad
from tests.nightly.soak.plan import EDITS_A_SECOND, FAULTS
from versionsync.simulator import Faults, RateLimit, SimulatorThread, World
from versionsync.simulator.world.expected_history import ExpectedHistory, expected_history

__all__ = ["Tally", "Upstream", "upstream"]

RECORDS = 200
LIMIT = 60
START_SECONDS = 60.0


@dataclass(slots=True)
class Tally:
    """What happened: acts of editors by their name, requests, faults by their kind."""

    acts: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)


class Upstream:
    """The project as its tester sees it. One thread at a time may ask."""

    def __init__(self, pipe: Connection, url: str) -> None:
        self._pipe = pipe
        self.url = url

    def call(self, url: str, user: str, password: str) -> None:
        """From now on a webhook calls this URL for whatever happens to a record."""
        self._ask("call", url, user, password)

    def rest(self) -> None:
        """Nothing is edited any more, and every request is answered well."""
        self._ask("rest")

    def tally(self) -> Tally:
        """What happened so far."""
        return self._ask("tally")  # type: ignore[no-any-return]

    def truth(self) -> ExpectedHistory:
        """What a perfect mirror would hold."""
        return self._ask("truth")  # type: ignore[no-any-return]

    def _ask(self, *question: str):  # type: ignore[no-untyped-def]
        self._pipe.send(question)
        return self._pipe.recv()


@contextmanager
def upstream(seed: int) -> Iterator[Upstream]:
    """The project while the block runs."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, seed), daemon=True, name="upstream")
    process.start()
    theirs.close()
    try:
        assert ours.poll(START_SECONDS), "upstream did not start"
        yield Upstream(ours, ours.recv())
    finally:
        ours.close()
        process.terminate()
        process.join()


def _serve(pipe: Connection, seed: int) -> None:
    faults = Faults(seed=seed, rates=dict(FAULTS), stall_seconds=40.0)
    with SimulatorThread(World(seed=seed), faults=faults, limits=RateLimit(LIMIT)) as simulator:
        newsroom, tally, resting = EditingLoad(seed), Tally(), threading.Event()
        simulator.act(lambda world: newsroom.open(world, records=RECORDS))
        editors = threading.Thread(target=_edit, args=(simulator, newsroom, tally, resting, seed), daemon=True)
        editors.start()
        pipe.send(simulator.url)
        while True:
            try:
                question = pipe.recv()
            except EOFError:
                return
            match question:
                case ("call", url, user, password):
                    simulator.act(_calling(url, user, password))
                    pipe.send(None)
                case ("rest",):
                    resting.set()
                    editors.join()
                    faults.clear()
                    pipe.send(None)
                case ("tally",):
                    tally.requests = simulator.simulator.requests.total
                    tally.faults = Counter({kind.value: times for kind, times in faults.injected.items()})
                    pipe.send(tally)
                case ("truth",):
                    pipe.send(simulator.act(lambda world: expected_history(world.event_log, "main")))


def _edit(simulator: SimulatorThread, newsroom: EditingLoad, tally: Tally, resting: threading.Event, seed: int) -> None:
    pauses = random.Random(seed)
    while not resting.wait(pauses.expovariate(EDITS_A_SECOND)):
        tally.acts[simulator.act(newsroom.act).split(":")[0]] += 1


def _calling(url: str, user: str, password: str):  # type: ignore[no-untyped-def]
    def act(world: World) -> None:
        world.webhooks.register("soak", url, http_basic_user=user, http_basic_password=password)

    return act
