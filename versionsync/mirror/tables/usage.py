"""How many requests were sent, by source and day: a budget holds over restarts and for all sources of a project."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, func, or_, select, update

from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import request_usage, sources

__all__ = ["ProjectUsage", "add_requests", "project_usage", "requests_since"]


@dataclass(frozen=True, slots=True)
class ProjectUsage:
    """Requests to one project, and how many sources sent them (at least 1)."""

    requests: int
    sources: int


def add_requests(tx: Connection, source_id: int, day: date, requests: int) -> None:
    """Add to the `requests` that a source sent on a UTC day."""
    tx.execute(dialect_of(tx).insert_ignore(request_usage).values(source_id=source_id, day=day.isoformat()))
    tx.execute(
        update(request_usage)
        .where(request_usage.c.source_id == source_id, request_usage.c.day == day.isoformat())
        .values(requests=request_usage.c.requests + requests)
    )


def project_usage(connection: Connection, source_id: int, *, since: date) -> ProjectUsage:
    """Return what all sources of the source's project sent since the start of a UTC day: a quota is the project's.

    While its project is not known, that is what the source alone sent.
    """
    project = select(sources.c.project_id).where(sources.c.id == source_id).scalar_subquery()
    requests, senders = connection.execute(
        select(func.coalesce(func.sum(request_usage.c.requests), 0), func.count(request_usage.c.source_id.distinct()))
        .select_from(request_usage.join(sources, sources.c.id == request_usage.c.source_id))
        .where(
            or_(sources.c.project_id == project, sources.c.id == source_id), request_usage.c.day >= since.isoformat()
        )
    ).one()
    return ProjectUsage(int(requests), max(int(senders), 1))


def requests_since(connection: Connection, source_id: int, *, since: date) -> int:
    """Return what the daemon sent for this source alone since the start of a UTC day."""
    sent = select(func.coalesce(func.sum(request_usage.c.requests), 0)).where(
        request_usage.c.source_id == source_id, request_usage.c.day >= since.isoformat()
    )
    return int(connection.scalar(sent) or 0)
