"""Three daemons with many small sources on one PostgreSQL: what that costs, and what follows when one comes or goes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from random import Random

import aiohttp

from benchmarks.databases import Database, Databases
from benchmarks.fleet.daemons import MAX_STALENESS, fleet
from benchmarks.fleet.database import FleetDatabase
from benchmarks.fleet.editing import Edits
from benchmarks.fleet.observations import held_at, settled_after
from benchmarks.fleet.phases import Change, Cold, Durations, Idle, Phases, Restarts, Truth
from benchmarks.fleet.upstream import LIMIT, Upstream, serving
from benchmarks.tables import Table, megabytes, seconds_at, thousands
from versionsync.mirror.schema.migrate import upgrade

__all__ = ["measure"]

RECORDS, VERSIONS = 10, 6
FIRST, FOURTH = (1, 2, 3), 4
ALONE = 5
DAEMONS = 5
"""The highest number of a daemon: each has a token of its own in each project."""
SETTLE_SECONDS = 20.0
ALONE_SECONDS = 120.0
SHOWN_SECONDS = (10, 30, 60)
SHOWN_DIFFERENCES = 5


@dataclass(frozen=True, slots=True)
class _Size:
    sources: int
    durations: Durations
    every: float
    """Seconds between two edits, on average."""


SMALL = _Size(60, Durations(complete=180, idle=60, editing=60, change=75), 1.0)
USUAL = _Size(200, Durations(complete=400, idle=180, editing=120, change=90), 0.5)
LARGE = _Size(1_000, Durations(complete=1_200, idle=300, editing=180, change=90), 0.5)


@dataclass(frozen=True, slots=True)
class _Seen:
    cold: Cold
    idle: Idle
    edits: int
    call_seconds: Sequence[float]
    call_results: Counter[str]
    calls_unseen: int
    own_share: float
    changes: Sequence[Change]
    restarts: Restarts
    truth: Truth
    problems: Counter[str]
    load: float


def measure(databases: Databases, *, small: bool, large: bool) -> list[Table]:
    """The tables of a fleet with 200 sources; `large`: 1,000, `small`: 60."""
    size = SMALL if small else LARGE if large else USUAL
    database, alone = databases.postgres(), databases.postgres()
    upgrade(database.url)
    upgrade(alone.url)
    with serving(size.sources + 1, daemons=DAEMONS, records=RECORDS, versions=VERSIONS) as upstream:
        return _tables(asyncio.run(_observe(size, database, alone, upstream)), size)


async def _observe(size: _Size, database: Database, alone: Database, upstream: Upstream) -> _Seen:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        least = await _least(http, alone, upstream, last=size.sources)
        questions = FleetDatabase(database.url)
        stack.callback(questions.close)
        daemons = await stack.enter_async_context(
            fleet(upstream=upstream.url, database=database.url, sources=range(size.sources))
        )
        stack.push_async_callback(_cancelled, asyncio.create_task(daemons.probe(http)))
        phases = Phases(
            daemons, http, database, questions, upstream, sources=range(size.sources), durations=size.durations
        )  # fmt: skip
        _progress("three daemons start")
        cold = await phases.cold_start(FIRST, least=least)
        await asyncio.sleep(SETTLE_SECONDS)
        _progress(f"{cold.complete} sources are complete; no one edits")
        idle = await phases.idle()
        edits = Edits(
            http,
            questions,
            upstream=upstream.url,
            places=phases.places(),
            receivers=daemons.listening,
            random=Random(1),
        )
        stack.push_async_callback(_cancelled, asyncio.create_task(edits.watch()))
        _progress("people edit")
        own_share = await phases.calls(edits, every=size.every)
        made, seconds, results, unseen = edits.made, edits.seconds, edits.results, edits.unseen
        edits.start_again()
        _progress(f"{unseen} of {made} edits are not seen; daemons come and go")
        async with phases.editing(edits, every=2 * size.every):
            changes = [
                await phases.change("a fourth joins", daemons.start(FOURTH), joins=True),
                await phases.change("one leaves (SIGTERM)", daemons.stop(FIRST[0])),
                await phases.change("one is killed (SIGKILL)", daemons.kill(FIRST[1])),
                await phases.change("another one joins", daemons.start(FIRST[0]), joins=True),
            ]
        await edits.until_seen(2 * MAX_STALENESS)
        _progress(f"{edits.unseen} edits are not seen; each daemon is restarted")
        restarts = await phases.restart_all(edits, every=size.every)
        _progress(f"{restarts.unseen} edits are not seen; all mirrors are compared")
        truth = await phases.truth(edits)
        return _Seen(
            cold=cold,
            idle=idle,
            edits=made,
            call_seconds=seconds,
            call_results=results,
            calls_unseen=unseen,
            own_share=own_share,
            changes=changes,
            restarts=restarts,
            truth=truth,
            problems=daemons.problems(),
            load=os.getloadavg()[2],
        )


async def _cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task that never ends by itself, and wait until it has; an error of it is an error of the benchmark."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _least(http: aiohttp.ClientSession, database: Database, upstream: Upstream, *, last: int) -> int:
    """Return how many requests one daemon alone sends for its first sync of the project in the place `last`."""
    questions = FleetDatabase(database.url)
    try:
        async with fleet(upstream=upstream.url, database=database.url, sources=[last]) as daemons:
            durations = Durations(complete=ALONE_SECONDS, idle=0, editing=0, change=0)
            phases = Phases(daemons, http, database, questions, upstream, sources=[last], durations=durations)
            cold = await phases.cold_start([ALONE], least=0)
            if not cold.complete:
                raise RuntimeError(f"one daemon alone did not mirror its source: {daemons.problems()}")
            return cold.requests
    finally:
        questions.close()


def _tables(seen: _Seen, size: _Size) -> list[Table]:
    return [
        _cold(seen.cold, size),
        _idle(seen.idle, size),
        _calls(seen, size),
        _changes(seen.changes, size),
        _restarts(seen.restarts, size),
        _truth(seen, size),
    ]


def _cold(cold: Cold, size: _Size) -> Table:
    failed = "".join(f", {times} runs {what}" for what, times in sorted(cold.failed.items()))
    daemons = " / ".join(f"{cpu:.1f}" for name, cpu in cold.cpu.items() if name.startswith("daemon"))
    return Table(
        f"Three daemons start at once with {thousands(size.sources)} new sources",
        (
            "sources complete",
            "after",
            "requests",
            "least",
            "wasted",
            "at once",
            "CPU of the daemons",
            "PostgreSQL",
            "simulator",
        ),
        [
            [
                f"{thousands(cold.complete)} of {thousands(size.sources)}",
                f"{cold.seconds:.0f} s",
                thousands(cold.requests),
                thousands(cold.least),
                thousands(cold.requests - cold.least),
                thousands(cold.overlaps),
                f"{daemons} s",
                f"{cold.cpu['PostgreSQL']:.1f} s",
                f"{cold.cpu['the simulator']:.1f} s",
            ]
        ],
        (
            f"Each source has {RECORDS} records with {VERSIONS} versions, {LIMIT} requests in 3 s, and 50 to 300 ms an "
            "answer. Requests are those until the first success of each source. The least is what one daemon needs for "
            f"one source, times {thousands(size.sources)}. At once: requests that began while another daemon's for the "
            "same source was in progress. There were at most "
            f"{cold.connections} connections to PostgreSQL{failed}.",
        ),
    )


def _idle(idle: Idle, size: _Size) -> Table:
    rows = []
    for name, cpu in idle.cpu.items():
        sizes = idle.sizes.get(name)
        shown = ["", "", ""] if sizes is None else [
            str(sizes.threads), str(sizes.descriptors), megabytes(sizes.memory)
        ]  # fmt: skip
        rows.append([name, f"{1000 * cpu:.0f} ms", f"{1000 * cpu / size.sources:.2f} ms", *shown])
    daemons = sum(cpu for name, cpu in idle.cpu.items() if name in idle.sizes)
    rows.append(["all daemons", f"{1000 * daemons:.0f} ms", f"{1000 * daemons / size.sources:.2f} ms", "", "", ""])
    checks = idle.runs / idle.seconds
    each = [
        f"{1000 * cpu / checks:.1f} ms of {who}" if checks else "-"
        for cpu, who in ((daemons, "CPU"), (idle.cpu["PostgreSQL"], "PostgreSQL"))
    ]
    return Table(
        f"No one edits {thousands(size.sources)} sources for {idle.seconds:.0f} s",
        ("", "CPU a second", "a source", "threads", "descriptors", "memory"),
        rows,
        (
            f"PostgreSQL ends {idle.transactions / size.sources:.2f} transactions a second for each source, over "
            f"{idle.connections} connections. A source is checked {60 * checks / size.sources:.1f} times a minute: "
            f"soon after the start more often than max_staleness = {MAX_STALENESS} asks for. All in all, a check "
            f"costs {' and '.join(each)}.",
        ),
    )


def _calls(seen: _Seen, size: _Size) -> Table:
    return Table(
        f"From a webhook call to one of three daemons until the event is in the database, {thousands(size.sources)} "
        "sources",
        ("edits", "p50", "p99", "most", "not seen", "answers to calls"),
        [
            [
                thousands(seen.edits),
                *(seconds_at(seen.call_seconds, quantile) for quantile in (0.5, 0.99, 1.0)),
                thousands(seen.calls_unseen),
                _results(seen.call_results),
            ]
        ],
        (
            f"An edit every {size.every:g} s on average, at random. Each calls one of the daemons, chosen at random. "
            f"The benchmark itself uses {100 * seen.own_share:.1f} % of a core.",
        ),
    )


def _changes(changes: Sequence[Change], size: _Size) -> Table:
    return Table(
        f"Sources of each daemon when daemons come and go, {thousands(size.sources)} in all",
        (
            "",
            "before",
            *(f"{seconds} s later" for seconds in SHOWN_SECONDS),
            "divided after",
            "longest unchecked",
            "runs at once",
            "requests at once",
        ),
        [_change(change, size) for change in changes],
        (
            "Divided: every source is held by a living daemon, and none has more than one above its share, rounded up. "
            "Unchecked: the longest time between the beginnings of two runs of a source. At once: runs and requests "
            "that began while another daemon's of the same source was in progress. A daemon that joins counts from the "
            "moment at which it listens. People edit meanwhile.",
        ),
    )


def _change(change: Change, size: _Size) -> list[str]:
    settled = settled_after(change.samples, change.at, sources=size.sources, daemons=change.daemons)
    return [
        change.what,
        _held(held_at(change.samples, change.at)),
        *(_held(held_at(change.samples, change.at + seconds)) for seconds in SHOWN_SECONDS),
        "never" if settled is None else f"{settled:.1f} s",
        "-" if change.longest_pause is None else f"{change.longest_pause:.0f} s",
        thousands(change.double_runs),
        thousands(change.double_requests),
    ]


def _restarts(restarts: Restarts, size: _Size) -> Table:
    everything = sum(restarts.requests.values())
    shares = " / ".join(
        f"{100 * restarts.requests[number] / everything:.0f} %" if everything else "-" for number in restarts.held
    )
    return Table(
        f"Three daemons are restarted one after the other, {thousands(size.sources)} sources",
        (
            "a restart takes",
            "ready",
            "sources",
            "requests",
            "longest unchecked",
            "runs at once",
            "requests at once",
            "edits not seen",
            "answers to calls",
        ),
        [
            [
                " / ".join(f"{seconds:.0f}" for seconds in restarts.seconds) + " s",
                str(restarts.ready),
                _held(restarts.held),
                shares,
                "-" if restarts.change.longest_pause is None else f"{restarts.change.longest_pause:.0f} s",
                thousands(restarts.change.double_runs),
                thousands(restarts.change.double_requests),
                thousands(restarts.unseen),
                _results(restarts.results),
            ]
        ],
        (
            "Each is restarted when the one before it is ready, while people edit. Sources: those of each daemon "
            f"{size.durations.change:.0f} s after the last restart. Requests: its share of them in that time.",
        ),
    )


def _truth(seen: _Seen, size: _Size) -> Table:
    truth = seen.truth
    differing = [f"{name}: {found[0]}" for name, found in sorted(truth.differing.items())[:SHOWN_DIFFERENCES]]
    problems = [f"{times} × {what}" for what, times in seen.problems.most_common()]
    return Table(
        f"The mirrors after all of this, {thousands(size.sources)} sources",
        ("edits", "mirrors equal to the truth", "different", "calls left in the queue"),
        [[thousands(truth.edits), thousands(truth.equal), thousands(len(truth.differing)), thousands(truth.queued)]],
        (
            *differing,
            f"Warnings and errors in the logs: {', '.join(problems) or 'none'}. Load of the machine: {seen.load:.1f}.",
        ),
    )


def _progress(what: str) -> None:
    """Say what begins: all of it takes a quarter of an hour."""
    print(f"{datetime.now():%H:%M:%S} {what}", file=sys.stderr)  # noqa: DTZ005 - for who sits at the machine


def _held(held: Mapping[int, int] | None) -> str:
    return "-" if held is None else " / ".join(map(str, held.values())) or "-"


def _results(results: Counter[str]) -> str:
    return ", ".join(f"{thousands(times)} × {what}" for what, times in results.most_common()) or "-"
