"""Sources: their registration, and how far the mirror of each has come."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from versionsync.mirror.engine.bulk import insert_ignore
from versionsync.mirror.errors import WrongProject
from versionsync.mirror.schema import leases, sources
from versionsync.mirror.tables.leases import Lease, assert_and_renew, set_lock_timeout

__all__ = [
    "Checkpoint",
    "Project",
    "SourceRow",
    "check_same_project",
    "load_source",
    "register_source",
    "save_blocked_views",
    "sources_of",
    "update_checkpoint",
    "update_history_retention",
    "update_project",
    "update_time_format",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What a source mirrors, as the settings and upstream say."""

    id: str
    name: str | None
    environment: str
    follows_primary: bool
    base_url: str
    locales: Sequence[str] = ()
    environment_created_at: datetime | None = None
    project_hash: bytes | None = None
    time_precision: int | None = None
    time_zone: str | None = None
    history_retention_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How far the mirror of a source has come; what is None was not so yet."""

    last_data_change_at: datetime | None
    last_data_change_is_settled: bool
    last_complete_sweep_at: datetime | None
    last_scrub_at: datetime | None
    last_success_at: datetime | None
    complete_as_of: datetime | None = None
    unexplained_change_since: datetime | None = None
    unexplained_read_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A source as the database has it. `blocked_views`: its typed views that could not follow the schema, and why."""

    id: int
    name: str
    project: Project
    checkpoint: Checkpoint
    created_at: datetime
    blocked_views: Mapping[str, str] = field(default_factory=dict)


def load_source(connection: Connection, name: str) -> SourceRow | None:
    """The source of that name; None: it was never synced."""
    row = connection.execute(select(sources).where(sources.c.name == name)).one_or_none()
    return None if row is None else _row(row)


def sources_of(connection: Connection) -> list[SourceRow]:
    """All sources, by name."""
    return [_row(row) for row in connection.execute(select(sources).order_by(sources.c.name))]


def register_source(tx: Connection, name: str, project: Project, *, observed_at: datetime) -> SourceRow:
    """The source of that name, made if it is new. A known one is returned as it is, not changed.

    Raises WrongProject where the name is known for another project, or for another fixed environment.
    """
    if known := load_source(tx, name):
        check_same_project(known, project)
        return known
    set_lock_timeout(tx)
    inserted = tx.scalar(
        insert_ignore(sources, tx.dialect.name)
        .values(
            name=name,
            project_id=project.id,
            created_at=observed_at,
            **_columns_of(project),
        )
        .returning(sources.c.id)
    )
    if inserted is not None:
        tx.execute(insert(leases).values(source_id=inserted))
    made = load_source(tx, name)  # another process may have made it since we looked
    assert made is not None
    check_same_project(made, project)
    return made


def update_project(tx: Connection, lease: Lease, project: Project) -> None:
    """Note what upstream now says of the project and the environment; following the primary one to another included."""
    assert_and_renew(tx, lease)
    tx.execute(update(sources).where(sources.c.id == lease.source_id).values(_columns_of(project)))


def update_time_format(tx: Connection, lease: Lease, *, precision: int | None, zone: str | None) -> None:
    """Note in which form upstream prints times: the decimals of a second, and the project's zone."""
    assert_and_renew(tx, lease)
    values = {"time_precision": precision, "time_zone": zone}
    tx.execute(update(sources).where(sources.c.id == lease.source_id).values(values))


def update_history_retention(tx: Connection, lease: Lease, days: int | None) -> None:
    """Note for how many days upstream keeps versions. None: permanently, or it is not known."""
    assert_and_renew(tx, lease)
    tx.execute(update(sources).where(sources.c.id == lease.source_id).values(history_retention_days=days))


def save_blocked_views(tx: Connection, source_id: int, blocked: Mapping[str, str]) -> None:
    """Note which typed views of a source could not follow the schema, and why; nothing is written where it is noted."""
    said = json.dumps(dict(blocked), sort_keys=True)
    known = tx.scalar(select(sources.c.blocked_views).where(sources.c.id == source_id))
    if known is not None and json.loads(known) != blocked:
        tx.execute(update(sources).where(sources.c.id == source_id).values(blocked_views=said))


def update_checkpoint(tx: Connection, lease: Lease, **columns: datetime | bool | None) -> None:
    """Set the checkpoint columns that are given by name, those of `Checkpoint`; the others stay."""
    unknown = columns.keys() - Checkpoint.__dataclass_fields__.keys()
    if unknown:
        raise TypeError(f"no checkpoint columns: {', '.join(sorted(unknown))}")
    assert_and_renew(tx, lease)
    tx.execute(update(sources).where(sources.c.id == lease.source_id).values(columns))


def check_same_project(known: SourceRow, project: Project) -> None:
    """Raise WrongProject where `known` mirrors another project than this one, or another fixed environment of it."""
    if known.project.id != project.id:
        raise WrongProject(
            f"the source {known.name} mirrors the project {known.project.name or known.project.id} "
            f"(id {known.project.id}), but its token now leads to {project.name or project.id} (id {project.id}): "
            "use another source name or another database, or the right token"
        )
    if known.project.environment != project.environment and not (
        known.project.follows_primary and project.follows_primary
    ):
        raise WrongProject(
            f"the source {known.name} mirrors the environment {known.project.environment}, "
            f"but its settings now say {project.environment}: give the other environment a source of its own"
        )


def _columns_of(project: Project) -> dict[str, Any]:
    """What can change about a project: all but its id."""
    return {
        "project_name": project.name,
        "environment": project.environment,
        "follows_primary": project.follows_primary,
        "base_url": project.base_url,
        "locales": json.dumps(list(project.locales)),
        "environment_created_at": project.environment_created_at,
        "project_hash": project.project_hash,
        "time_precision": project.time_precision,
        "time_zone": project.time_zone,
        "history_retention_days": project.history_retention_days,
    }


def _row(row: Row[Any]) -> SourceRow:
    return SourceRow(
        id=row.id,
        name=row.name,
        project=Project(
            id=row.project_id,
            name=row.project_name,
            environment=row.environment,
            follows_primary=row.follows_primary,
            base_url=row.base_url,
            locales=tuple(json.loads(row.locales)),
            environment_created_at=row.environment_created_at,
            project_hash=row.project_hash,
            time_precision=row.time_precision,
            time_zone=row.time_zone,
            history_retention_days=row.history_retention_days,
        ),
        checkpoint=Checkpoint(
            last_data_change_at=row.last_data_change_at,
            last_data_change_is_settled=row.last_data_change_is_settled,
            last_complete_sweep_at=row.last_complete_sweep_at,
            last_scrub_at=row.last_scrub_at,
            last_success_at=row.last_success_at,
            complete_as_of=row.complete_as_of,
            unexplained_change_since=row.unexplained_change_since,
            unexplained_read_at=row.unexplained_read_at,
        ),
        created_at=row.created_at,
        blocked_views=json.loads(row.blocked_views),
    )
