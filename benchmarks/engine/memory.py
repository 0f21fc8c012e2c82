"""The most memory that a sync takes, by the size of the project, of a history and of a version."""

from __future__ import annotations

from benchmarks.databases import Databases
from benchmarks.engine.one_sync import sync
from benchmarks.project import Project
from benchmarks.tables import Table, megabytes
from benchmarks.upstream import serving

__all__ = ["measure"]

TARGET_BYTES = 150_000_000


def measure(databases: Databases, *, small: bool, large: bool) -> list[Table]:
    """The table of memory, with bytes of database a version and the time of an idle sync."""
    projects = [
        ("10,000 versions", Project(records=1_000, versions=10)),
        *([] if small else [("100,000 versions", Project(records=10_000, versions=10))]),
        *([("1,000,000 versions", Project(records=100_000, versions=10))] if large else []),
        ("a record with 10,000 versions", Project(records=1, long=1, long_versions=10_000)),
        (
            "pages of 50 versions of 300 KB",
            Project(records=0, long=4 if small else 30, long_versions=50, bytes_per_version=300_000),
        ),
    ]
    rows = []
    for name, project in projects:
        with serving(project) as upstream:
            for database in databases.both():
                first = sync(upstream, database.url)
                idle = sync(upstream, database.url)
                again = sync(upstream, database.url, full=True)
                assert first.counts.versions_inserted == project.total_versions
                assert idle.counts.requests == 1
                rows.append(
                    [
                        f"{database.kind}, {name}",
                        megabytes(first.peak),
                        megabytes(again.peak),
                        f"{database.size() / project.total_versions:,.0f}",
                        f"{1000 * idle.seconds:.0f} ms",
                    ]
                )
    return [
        Table(
            "Peak memory of the syncing process",
            ("project", "first sync", "all read again", "bytes of database a version", "idle sync"),
            rows,
            (f"The aim is {megabytes(TARGET_BYTES)} at most, at any size. A version has 1 KB unless said otherwise.",),
        )
    ]
