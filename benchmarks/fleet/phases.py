"""What happens to several daemons on one database, one thing after the other, and what was seen of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

import aiohttp

from benchmarks.databases import Database
from benchmarks.fleet.daemons import Fleet, name_of
from benchmarks.fleet.database import FleetDatabase
from benchmarks.fleet.editing import Edits, Place
from benchmarks.fleet.observations import Sample, Span, ended_by_kill, held_at, longest_pause, overlapping
from benchmarks.fleet.upstream import DIFFERENCES_PATH, REQUESTS_PATH, Upstream
from benchmarks.fleet.usage import Meter, Size, cpu_seconds, size_of

__all__ = ["Change", "Cold", "Durations", "Idle", "Phases", "Restarts", "Truth"]

SAMPLE_SECONDS = 0.5
SEEN_SECONDS = 150.0
"""Longer than max_staleness: by then each source has been checked, whether a call was lost or not."""
LISTENING_SECONDS = 120.0
BEFORE_SECONDS = 300.0
"""Runs that began so long before a phase are read with it, since pauses begin with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Seconds: how long to wait at most until all is mirrored, and how long the other phases take."""

    complete: float
    idle: float
    editing: float
    change: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cold:
    """A start of all daemons at once. `requests` are those until the first success of each source."""

    seconds: float
    complete: int
    requests: int
    least: int
    failed: Counter[str]
    overlaps: int
    cpu: Mapping[str, float]
    connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """A time in which no one edits. `cpu`: seconds of CPU in each second, by process."""

    seconds: float
    cpu: Mapping[str, float]
    sizes: Mapping[str, Size]
    transactions: float
    runs: int
    connections: int
    own_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What followed when the daemons changed at `at`, until `until`. `longest_pause`: None if no source ran twice."""

    what: str
    at: float
    until: float
    daemons: int
    samples: Sequence[Sample]
    longest_pause: float | None
    double_runs: int
    double_requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """A restart of one daemon after the other: what each took, and who did what afterwards."""

    seconds: Sequence[float]
    ready: int
    change: Change
    held: Mapping[int, int]
    requests: Mapping[int, int]
    unseen: int
    results: Counter[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """How the mirrors are at the end. `differing`: what differs, by source."""

    equal: int
    differing: Mapping[str, Sequence[str]]
    edits: int
    queued: int


class Phases:
    """The phases of one fleet. Each leaves its daemons running for the next one.

    Attributes:
        edits: The editors and what became of their edits, from `begin_editing` on.
        edited: How many edits there were in all.
    """

    def __init__(
        self,
        fleet: Fleet,
        http: aiohttp.ClientSession,
        database: Database,
        questions: FleetDatabase,
        upstream: Upstream,
        *,
        sources: Sequence[int],
        durations: Durations,
    ) -> None:
        """Start nothing yet. `sources`: the places of the projects."""
        self._fleet = fleet
        self._http = http
        self._database = database
        self._questions = questions
        self._upstream = upstream
        self._sources = sources
        self._durations = durations
        self._requests: list[tuple[int, int, float, float]] = []
        self.edited = 0

    async def cold_start(self, daemons: Iterable[int], *, least: int) -> Cold:
        """Start these daemons at once, and wait until every source is mirrored. `least`: requests of one source."""
        began = time.time()
        await asyncio.gather(*(self._fleet.start(number) for number in daemons))
        meter = self._meter()
        connections = await self._until_complete(self._durations.complete)
        seconds, used = time.time() - began, meter.used()
        complete = self._questions.complete()
        spans = await self._requests_since(began)
        success = self._questions.first_success()
        ended = {place: success[id] for place, id in self._ids().items() if id in success}
        until_success = sum(span.began <= ended.get(span.source, time.time()) for span in spans)
        return Cold(
            seconds=seconds,
            complete=complete,
            requests=until_success,
            least=least * len(self._sources),
            failed=self._failed_since(began),
            overlaps=overlapping(spans),
            cpu=used,
            connections=connections,
        )

    async def idle(self) -> Idle:
        """Do nothing."""
        meter, transactions, began = self._meter(), self._questions.transactions(), time.time()
        await asyncio.sleep(self._durations.idle)
        seconds, used = meter.seconds, meter.used()
        return Idle(
            seconds=seconds,
            cpu={name: cpu / seconds for name, cpu in used.items()},
            sizes={f"daemon {number}": size_of(daemon.pid) for number, daemon in self._fleet.running.items()},
            transactions=(self._questions.transactions() - transactions) / seconds,
            runs=sum(self._questions.outcomes_since(began).values()),
            connections=self._questions.connections(),
            own_share=meter.own_share(),
        )

    async def calls(self, edits: Edits, *, every: float) -> float:
        """Edit for a while; return the share of a core that this process used. What was seen is in `edits`."""
        edits.start_again()
        meter = self._meter()
        async with self.editing(edits, every=every):
            await asyncio.sleep(self._durations.editing)
        await edits.until_seen(SEEN_SECONDS)
        return meter.own_share()

    async def change(self, what: str, change: Awaitable[object], *, joins: bool = False) -> Change:
        """Let something happen to the daemons, and watch what follows. One that joins counts from when it listens."""
        samples, since = list[Sample](), time.time()
        async with self._sampling(samples):
            await asyncio.sleep(2 * SAMPLE_SECONDS)
            at = time.time()
            await change
            if joins:
                await self._until_listening()
                at = time.time()
            await asyncio.sleep(max(at + self._durations.change - time.time(), 0))
        return await self._changed(what, at, samples, since)

    async def restart_all(self, edits: Edits, *, every: float) -> Restarts:
        """Restart one daemon after the other, each when the one before it is ready, while people edit."""
        edits.start_again()
        samples, seconds, ready, at = list[Sample](), list[float](), 0, time.time()
        async with self._sampling(samples):
            async with self.editing(edits, every=every):
                for number in sorted(self._fleet.running):
                    began = time.monotonic()
                    await self._fleet.stop(number)
                    await self._fleet.start(number)
                    ready += await self._fleet.is_ready(self._http, number)
                    seconds.append(time.monotonic() - began)
                restarted = time.time()
                await asyncio.sleep(self._durations.change)
                until = time.time()
            await edits.until_seen(SEEN_SECONDS)
        change = await self._changed("all are restarted", restarted, samples, at)
        spans = [span for span in await self._requests_since(restarted) if span.began <= until]
        return Restarts(
            seconds=seconds,
            ready=ready,
            change=change,
            held=held_at(samples, until) or {},
            requests=Counter(span.daemon for span in spans),
            unseen=edits.unseen,
            results=edits.results,
        )

    async def truth(self, edits: Edits) -> Truth:
        """Wait until all is mirrored, end the daemons, and compare."""
        await edits.until_seen(SEEN_SECONDS)
        for number in list(self._fleet.running):
            await self._fleet.stop(number)
        places = self._ids()
        asked = {"database": self._database.url, "sources": places}
        unlimited = aiohttp.ClientTimeout(None)
        async with self._http.post(self._upstream.url + DIFFERENCES_PATH, json=asked, timeout=unlimited) as answer:
            differing = {name_of(int(place)): found for place, found in (await answer.json()).items()}
        missing = {name_of(place): ["it is not mirrored"] for place in self._sources if place not in places}
        return Truth(
            equal=len(self._sources) - len(differing) - len(missing),
            differing=differing | missing,
            edits=self.edited,
            queued=self._questions.queued(),
        )

    def places(self) -> list[Place]:
        """Return the sources that are in the database."""
        return [Place(id, name_of(place), self._upstream.project_ids[place]) for place, id in self._ids().items()]

    @asynccontextmanager
    async def editing(self, edits: Edits, *, every: float) -> AsyncIterator[None]:
        """People edit while the block runs; what became of it is watched until the next block begins."""
        before, until = edits.made, asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(edits.edit(until, every=every))
            try:
                yield
            finally:
                until.set()
        self.edited += edits.made - before

    async def _changed(self, what: str, at: float, samples: Sequence[Sample], since: float) -> Change:
        until = time.time()
        runs = ended_by_kill(self._questions.runs_since(since - BEFORE_SECONDS), self._fleet.killed)
        return Change(
            what=what,
            at=at,
            until=until,
            daemons=len(self._fleet.running),
            samples=samples,
            longest_pause=longest_pause(runs, since, until),
            double_runs=overlapping(runs, since),
            double_requests=overlapping(await self._requests_since(since)),
        )

    @asynccontextmanager
    async def _sampling(self, samples: list[Sample]) -> AsyncIterator[None]:
        async def sample() -> None:
            while True:
                samples.append(Sample(time.time(), self._held()))
                await asyncio.sleep(SAMPLE_SECONDS)

        task = asyncio.create_task(sample())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _held(self) -> Mapping[int, int]:
        """Return how many sources each running daemon holds; a claim of one that has ended counts for no daemon."""
        held = self._questions.held()
        return {number: held.get(daemon.pid, 0) for number, daemon in sorted(self._fleet.running.items())}

    async def _until_complete(self, patience: float) -> int:
        """Wait until every source is mirrored; return the most connections that were seen meanwhile."""
        deadline, connections = time.monotonic() + patience, 0
        while self._questions.complete() < len(self._sources) and time.monotonic() < deadline:
            connections = max(connections, self._questions.connections())
            await asyncio.sleep(SAMPLE_SECONDS)
        return connections

    async def _until_listening(self) -> None:
        """Wait until every running daemon answers: a busy machine takes a while to start one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LISTENING_SECONDS):
                while len(self._fleet.listening()) < len(self._fleet.running):  # noqa: ASYNC110 - the fleet polls too
                    await asyncio.sleep(SAMPLE_SECONDS)

    async def _requests_since(self, since: float) -> list[Span]:
        """Return the requests that began since then; `source` is the place of its project."""
        async with self._http.get(self._upstream.url + REQUESTS_PATH) as answer:
            self._requests += [tuple(noted) for noted in await answer.json()]
        return [Span(*noted) for noted in self._requests if noted[2] >= since]

    def _failed_since(self, since: float) -> Counter[str]:
        outcomes = self._questions.outcomes_since(since)
        return Counter({what: times for what, times in outcomes.items() if what not in {"succeeded", "running"}})

    def _ids(self) -> Mapping[int, int]:
        """Return the id of each source in the database, by the place of its project."""
        by_name = self._questions.source_ids()
        return {place: id for place in self._sources if (id := by_name.get(name_of(place))) is not None}

    def _meter(self) -> Meter:
        read: dict[str, Callable[[], float]] = {
            f"daemon {number}": partial(cpu_seconds, daemon.pid) for number, daemon in self._fleet.running.items()
        }
        read["PostgreSQL"] = self._database.server_seconds
        read["the simulator"] = partial(cpu_seconds, self._upstream.pid)
        return Meter(read)
