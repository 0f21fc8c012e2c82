"""Requests of many sources and their projects, read at once."""

from __future__ import annotations

from datetime import date

from tests.integration.mirror.writing import add_source
from versionsync.mirror.database import Mirror
from versionsync.mirror.tables.usage import (
    ProjectUsage,
    add_requests,
    project_usage,
    project_usages,
    requests_by_source,
)

TODAY = date(2026, 11, 2)


def test_many_at_once_are_as_each_alone(mirror: Mirror) -> None:
    """A budget is that of the project, which may have several sources."""
    with mirror.write() as tx:
        a, b, c, d = (
            add_source(tx, name, project_id=id) for name, id in (("a", "p1"), ("b", "p1"), ("c", "p2"), ("d", "p3"))
        )
        for id, day, number in ((a, 2, 5), (b, 2, 7), (b, 1, 100), (c, 2, 3)):
            add_requests(tx, id, date(2026, 11, day), number)
    with mirror.read() as connection:
        found = project_usages(connection, [a, b, c, d], since=TODAY)
        alone = {id: project_usage(connection, id, since=TODAY) for id in (a, b, c)}
        assert found == alone == {a: ProjectUsage(12, 2), b: ProjectUsage(12, 2), c: ProjectUsage(3, 1)}
        assert project_usages(connection, [a], since=date(2026, 11, 1)) == {a: ProjectUsage(112, 2)}
        assert requests_by_source(connection, [a, b, d], since=TODAY) == {a: 5, b: 7}
