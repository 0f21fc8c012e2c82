"""How many requests were sent, by source and day: a budget holds over restarts and for all sources of a project."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, func, or_, select, update

from versionsync.mirror.engine.bulk import among
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import request_usage, sources

__all__ = ["ProjectUsage", "add_requests", "project_usage", "project_usages", "requests_by_source"]


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


def project_usages(connection: Connection, source_ids: Collection[int], *, since: date) -> dict[int, ProjectUsage]:
    """Do as `project_usage` for many sources, with two queries at most. One that sent nothing may be left out."""
    mine, others = sources.alias("mine"), sources.alias("others")
    query = (
        select(mine.c.id, func.sum(request_usage.c.requests), func.count(request_usage.c.source_id.distinct()))
        .join(others, others.c.project_id == mine.c.project_id)
        .join(request_usage, request_usage.c.source_id == others.c.id)
        .where(among(mine.c.id, source_ids), request_usage.c.day >= since.isoformat())
        .group_by(mine.c.id)
    )
    found = {id: ProjectUsage(int(requests), int(senders)) for id, requests, senders in connection.execute(query)}
    if alone := [id for id in source_ids if id not in found]:  # their project may not be known yet
        sent = requests_by_source(connection, alone, since=since)
        found |= {id: ProjectUsage(requests, 1) for id, requests in sent.items()}
    return found


def requests_by_source(connection: Connection, source_ids: Collection[int], *, since: date) -> dict[int, int]:
    """Return what was sent for each source alone since the start of a UTC day. One that sent nothing is left out."""
    query = (
        select(request_usage.c.source_id, func.sum(request_usage.c.requests))
        .where(among(request_usage.c.source_id, source_ids), request_usage.c.day >= since.isoformat())
        .group_by(request_usage.c.source_id)
    )
    return {id: int(requests) for id, requests in connection.execute(query)}
