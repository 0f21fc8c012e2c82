"""How fast projections are filled, how much room they take, and what a sync loses beside them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import structlog

from benchmarks.databases import Database, Databases
from benchmarks.engine.one_sync import open_client, sync_with
from benchmarks.history.edited_mirror import build_edited
from benchmarks.processes import in_own_process, peak_memory
from benchmarks.project import Project
from benchmarks.tables import Table, megabytes, share, thousands
from benchmarks.upstream import serving
from versionsync import cma
from versionsync.history.projections.background import BackgroundFiller
from versionsync.history.projections.filling import FillState, ProjectionFiller, request_rebuild
from versionsync.mirror.database import Mirror
from versionsync.sync.options import SyncOptions
from versionsync.sync.report import Progress

__all__ = ["measure"]

VERSIONS = 10
SIZES = (1_000, 5_000)
TRIES = 5


@dataclass(frozen=True, slots=True)
class Measured:
    """What one filling took: seconds of the wall and of the CPU, and the most memory of the process.

    The search index is filled after all other tables; `cpu_of_search` is what it took.
    """

    versions: int
    seconds: float
    cpu: float
    cpu_of_search: float
    peak: int


def measure(databases: Databases, *, small: bool) -> list[Table]:
    """Two tables: the filling, and a sync beside it."""
    return [_filling(databases, records=100 if small else 500), _beside(databases, small=small)]


def _filling(databases: Databases, *, records: int) -> Table:
    rows = []
    for size in SIZES:
        for database in databases.both():
            source = build_edited(database.url, records=records, versions=VERSIONS, bytes_per_version=size)
            before = database.settled_size()
            first, server = _measured(database, source)
            room = database.settled_size() - before
            again, _ = _measured(database, source, rebuild=True)
            rows.append(
                [
                    f"{database.kind}, {size // 1000} KB",
                    thousands(first.versions / (first.cpu - first.cpu_of_search)),
                    thousands(first.versions / first.cpu_of_search),
                    f"{1000 * first.cpu / first.versions:.2f}",
                    f"{1000 * server / first.versions:.2f}" if server else "",
                    thousands(room / (records * VERSIONS)),
                    f"{again.seconds:.1f} s",
                    megabytes(first.peak),
                ]
            )
    return Table(
        f"Projections of {thousands(records * VERSIONS)} versions, {VERSIONS} a record; each changes a few words",
        (
            "database, size of a version",
            "history tables",
            "search index",
            "CPU ms a version",
            "of the server",
            "bytes a version",
            "rebuild",
            "peak memory",
        ),
        rows,
        (
            "History tables and search index: versions in a second of one core. The aim is 2,000 for the history "
            "tables. A version has a structured text and nine other fields, three of them with links.",
        ),
    )


def _measured(database: Database, source: int, *, rebuild: bool = False) -> tuple[Measured, float]:
    before = database.server_seconds()
    return in_own_process(_fill, database.url, source, rebuild), database.server_seconds() - before


def _fill(url: str, source: int, rebuild: bool) -> Measured:
    with Mirror.open(url) as mirror:
        if rebuild:
            with mirror.write() as tx:
                request_rebuild(tx, source)
        filler, versions, cpu_of_search = ProjectionFiller(mirror, source), 0, 0.0
        began, cpu = time.perf_counter(), time.process_time()
        before = cpu
        while (filled := filler.fill_batch()).state is FillState.MORE:
            now = time.process_time()
            versions += filled.versions
            cpu_of_search += now - before if filled.indexed else 0.0
            before = now
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        return Measured(versions, seconds, cpu, cpu_of_search, peak_memory())


def _beside(databases: Databases, *, small: bool) -> Table:
    """A first sync of one source, while the projections of another one in the same database are filled."""
    project = Project(records=300 if small else 1_000, versions=VERSIONS)
    rows = []
    with serving(project) as upstream:
        for kind in ("SQLite", "PostgreSQL"):
            alone: list[float] = []
            beside: list[float] = []
            for _ in range(TRIES):
                for seconds, is_filling in ((alone, False), (beside, True)):
                    database = databases.sqlite() if kind == "SQLite" else databases.postgres()
                    build_edited(database.url, records=60, versions=VERSIONS, bytes_per_version=SIZES[1])
                    seconds.append(in_own_process(_sync_beside, upstream, database.url, is_filling))
            rows.append(
                [
                    kind,
                    f"{min(alone):.2f} s",
                    f"{min(beside):.2f} s",
                    share(max(min(beside) - min(alone), 0.0), min(beside)),
                ]
            )
    return Table(
        f"A first sync of {thousands(project.total_versions)} versions beside the filling of another source",
        ("database", "alone", "beside it", "lost"),
        rows,
        (f"The aim is 5 % at most. The sync is unthrottled; the best of {TRIES} each.",),
    )


def _sync_beside(upstream: str, url: str, is_filling: bool) -> float:
    return asyncio.run(_sync(upstream, url, is_filling))


async def _sync(upstream: str, url: str, is_filling: bool) -> float:
    with Mirror.open(url) as mirror:
        filler = BackgroundFiller(mirror, "website", log=structlog.wrap_logger(None, processors=[_drop]), is_busy=_busy)
        filling = asyncio.create_task(filler.fill()) if is_filling else None
        async with open_client(upstream, cma.RateLimiter(cma.UNLIMITED)) as client:
            began = time.perf_counter()
            report = await sync_with(
                mirror, client, upstream, SyncOptions(wait_until_settled=False), Progress(source="other")
            )
            seconds = time.perf_counter() - began
        if report.outcome != "succeeded":
            raise RuntimeError(f"the sync did not succeed: {report}") from report.error
        if filling is not None:
            filling.cancel()
            await asyncio.wait({filling})
        await filler.close()
        return seconds


def _busy() -> bool:
    return True


def _drop(*_: object) -> dict[str, object]:
    raise structlog.DropEvent
