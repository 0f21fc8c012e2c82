"""How fast versions are mirrored when nothing paces them, and what the CPU is busy with; beside a naive script."""

from __future__ import annotations

from benchmarks.databases import Database, Databases
from benchmarks.engine import baseline as naive
from benchmarks.engine import official_client
from benchmarks.engine.one_sync import Measured, sync
from benchmarks.project import Project
from benchmarks.tables import Table, megabytes, thousands, times
from benchmarks.upstream import serving

__all__ = ["measure", "measure_beside_official_client"]

AT_ONCE = 12


def measure(databases: Databases, *, small: bool) -> list[Table]:
    """Two tables: speed, and CPU by part."""
    project = Project(records=500 if small else 3_000, versions=10)
    speeds: list[list[str]] = []
    parts: list[list[str]] = []
    with serving(project) as upstream:
        for database in databases.both():
            yardstick = _naive(
                upstream, databases.sqlite() if database.kind == "SQLite" else databases.postgres(), speeds
            )
            for name, full in (("first sync", False), ("all read again", True)):
                before = database.server_seconds()
                measured = sync(upstream, database.url, full=full)
                server = database.server_seconds() - before
                speeds.append(
                    _speed(
                        f"{database.kind}, {name}",
                        project.total_versions,
                        measured.seconds,
                        measured.parts.total,
                        server,
                        yardstick,
                    )
                )
                parts.append(_parts(f"{database.kind}, {name}", measured, project.total_versions))
    return [
        Table(
            f"Speed, unthrottled, {thousands(project.total_versions)} versions of 1 KB, 10 a record",
            ("run", "versions/s", "CPU ms a version", "of the server", "CPU of the naive first copy"),
            speeds,
            (
                f"The naive script copies {AT_ONCE} records at a time, and keeps no events, deletions or checkpoints. "
                "Versions a second depend on what else the machine does, the simulator first of all; CPU time less.",
            ),
        ),
        Table(
            "CPU by part, ms for each version",
            ("run", "network", "decoding", "hashing", "planning", "database", "all"),
            parts,
        ),
    ]


def measure_beside_official_client(databases: Databases, *, small: bool, large: bool) -> list[Table]:
    """One table: a first sync into each database as a share of the speed of the official client's script."""
    if reason := official_client.missing_program():
        return [Table("Beside DatoCMS's own client", ("skipped",), [[reason]])]
    rows: list[list[str]] = []
    for records in (600,) if small else (6_000, 30_000) if large else (6_000,):
        project = Project(records=records, versions=8)
        with serving(project) as upstream:
            database = databases.postgres()
            before = database.server_seconds()
            script = official_client.copy_all(upstream, database.url)
            server = database.server_seconds() - before
            rows.append(_beside("its script, PostgreSQL", database, project, script, server, script.seconds))
            for database in databases.both():
                for name, full in (("first sync", False), ("all read again", True)):
                    before = database.server_seconds()
                    measured = sync(upstream, database.url, full=full)
                    server = database.server_seconds() - before
                    name = f"versionsync, {database.kind}, {name}"
                    rows.append(_beside(name, database, project, measured, server, script.seconds))
    return [
        Table(
            "Beside DatoCMS's own client, unthrottled, 8 versions of 1 KB a record",
            (
                "run",
                "versions",
                "versions/s",
                "CPU ms a version",
                "of the server",
                "events",
                "bytes a version",
                "peak memory",
                "speed",
            ),
            rows,
            (
                "Speeds of two runs compare only if the machine was as busy in both. CPU time depends less on that, "
                "bytes and memory not at all.",
            ),
        )
    ]


def _beside(
    name: str,
    database: Database,
    project: Project,
    run: official_client.OfficialCopy | Measured,
    server: float,
    script: float,
) -> list[str]:
    versions = project.total_versions
    cpu, events, peak = run.cpu if isinstance(run, official_client.OfficialCopy) else run.parts.total, 0, ""
    if isinstance(run, Measured):
        events, peak = run.counts.events_written, megabytes(run.peak)
    return [
        name,
        thousands(versions),
        thousands(versions / run.seconds),
        f"{1000 * cpu / versions:.3f}",
        f"{1000 * server / versions:.3f}" if server else "",
        thousands(events),
        thousands(database.size() / versions),
        peak,
        f"× {times(script, run.seconds)}",
    ]


def _naive(upstream: str, database: Database, speeds: list[list[str]]) -> float:
    """Copy twice; returns the CPU seconds of the first time."""
    yardstick = 0.0
    for name in ("naive first copy", "naive again"):
        before = database.server_seconds()
        copied = naive.copy_all(upstream, database.url, at_once=AT_ONCE)
        server = database.server_seconds() - before
        yardstick = yardstick or copied.cpu
        speeds.append(
            _speed(f"{database.kind}, {name}", copied.versions, copied.seconds, copied.cpu, server, yardstick)
        )
    return yardstick


def _speed(name: str, versions: int, seconds: float, cpu: float, server: float, yardstick: float) -> list[str]:
    return [
        name,
        thousands(versions / seconds),
        f"{1000 * cpu / versions:.3f}",
        f"{1000 * server / versions:.3f}" if server else "",
        f"× {times(cpu, yardstick)}",
    ]


def _parts(name: str, measured: Measured, versions: int) -> list[str]:
    parts = measured.parts
    seconds = (parts.network, parts.decoding, parts.hashing, parts.planning, parts.database, parts.total)
    return [name, *(f"{1000 * each / versions:.3f}" for each in seconds)]
