"""Requests are counted by day, and for all sources of a project together."""

from __future__ import annotations

from datetime import UTC, date, datetime

from tests.integration.mirror.writing import Desk, register_source
from versionsync.mirror.tables.sources import Project, add_sources
from versionsync.mirror.tables.usage import ProjectUsage, add_requests, project_usage

MONDAY, TUESDAY = date(2026, 11, 2), date(2026, 11, 3)


def test_requests_of_a_day_add_up(desk: Desk) -> None:
    """And those of the days before are left out."""
    with desk.mirror.write() as tx:
        for day, requests in ((MONDAY, 5), (TUESDAY, 7), (TUESDAY, 1)):
            add_requests(tx, desk.lease.source_id, day, requests)
        assert project_usage(tx, desk.lease.source_id, since=TUESDAY) == ProjectUsage(8, 1)
        assert project_usage(tx, desk.lease.source_id, since=MONDAY) == ProjectUsage(13, 1)
        assert project_usage(tx, desk.lease.source_id, since=date(2026, 12, 1)) == ProjectUsage(0, 1)


def test_all_sources_of_a_project_spend_together(desk: Desk) -> None:
    """Those of another project do not count."""
    now = datetime(2026, 11, 2, tzinfo=UTC)
    with desk.mirror.write() as tx:
        mine = tx.exec_driver_sql("SELECT project_id FROM sources").scalar_one()
        for name, project_id in (("same", mine), ("another", "999")):
            project = Project(id=project_id, name=None, environment="x", follows_primary=False, base_url="https://x")
            known = register_source(tx, name, project, observed_at=now)
            add_requests(tx, known.id, MONDAY, 10)
        add_requests(tx, desk.lease.source_id, MONDAY, 5)
        assert project_usage(tx, desk.lease.source_id, since=MONDAY) == ProjectUsage(15, 2)


def test_a_source_whose_project_is_not_known_spends_alone(desk: Desk) -> None:
    """What its failed first runs sent counts for its own budget, and for no other source's."""
    with desk.mirror.write() as tx:
        ids = add_sources(tx, ["shop", "blog"])
        for id, requests in ((ids["shop"], 3), (ids["blog"], 4), (desk.lease.source_id, 5)):
            add_requests(tx, id, MONDAY, requests)
        assert project_usage(tx, ids["shop"], since=MONDAY) == ProjectUsage(3, 1)
        assert project_usage(tx, desk.lease.source_id, since=MONDAY) == ProjectUsage(5, 1)
