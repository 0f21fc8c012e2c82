"""Sources: their rows, their registration, and the progress of each one's mirror.

A source has a row before anything is known of its project: its lease hangs on the row, and a run takes the lease before
its first request. Readers see a source once its project is known.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from versionsync.mirror.engine.bulk import IDS_AT_ONCE, chunked, field_names
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.errors import WrongProject
from versionsync.mirror.schema import leases, sources
from versionsync.mirror.tables.leases import Lease, assert_and_renew, set_lock_timeout

__all__ = [
    "Checkpoint",
    "Project",
    "SourceRow",
    "SourceState",
    "add_sources",
    "all_sources",
    "check_same_project",
    "load_source",
    "register_project",
    "save_blocked_views",
    "source_id",
    "source_ids",
    "sources_of",
    "update_checkpoint",
    "update_history_retention",
    "update_project",
    "update_time_format",
    "update_uploads_refused",
]


_IS_KNOWN = sources.c.project_id.is_not(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What a source mirrors, according to the settings and upstream."""

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
    """The progress of a source's mirror. None: that has not happened yet."""

    last_data_change_at: datetime | None
    last_data_change_is_settled: bool
    last_complete_sweep_at: datetime | None
    last_scrub_at: datetime | None
    last_success_at: datetime | None
    complete_as_of: datetime | None = None
    unexplained_change_since: datetime | None = None
    unexplained_read_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """A source as the database has it.

    Attributes:
        project: What it mirrors. None: no run has read it yet.
        blocked_views: Its typed views that could not be changed, and why.
        uploads_refused_at: When DatoCMS last refused to show uploads. None: it shows them, or was not asked.
    """

    id: int
    name: str
    project: Project | None
    checkpoint: Checkpoint
    created_at: datetime
    blocked_views: Mapping[str, str] = field(default_factory=dict)
    uploads_refused_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow(SourceState):
    """A source whose project is known."""

    project: Project


def load_source(connection: Connection, name: str) -> SourceRow | None:
    """Return the source of that name, or None if it does not exist or its project is not known yet."""
    row = connection.execute(select(sources).where(sources.c.name == name, _IS_KNOWN)).one_or_none()
    return None if row is None else _known(row)


def sources_of(connection: Connection) -> list[SourceRow]:
    """Return all sources whose project is known, by name."""
    return [_known(row) for row in connection.execute(select(sources).where(_IS_KNOWN).order_by(sources.c.name))]


def all_sources(connection: Connection) -> list[SourceState]:
    """Return all sources by name, also those whose project is not known yet."""
    found = connection.execute(select(sources).order_by(sources.c.name))
    return [SourceState(**_values(row)) if row.project_id is None else _known(row) for row in found]


def source_id(connection: Connection, name: str) -> int | None:
    """Return the id of the source of that name, also if its project is not known yet. None: it has no row."""
    return connection.scalar(select(sources.c.id).where(sources.c.name == name))


def add_sources(tx: Connection, names: Collection[str]) -> dict[str, int]:
    """Return the ids of the sources with these names; one that has no row gets one, without a project, and a lease.

    Two processes may do so at once, with names in any order: both get the same ids. The later one waits until the
    earlier one's transaction ends.

    Args:
        tx: The transaction. It only reads if every source has a row already.
        names: The names of the sources in the settings.

    Returns:
        The id of each name.

    Raises:
        DatabaseUnavailable: If the transaction of another process adds one of them, and does not end. It is raised
            through `Mirror.transact`.
    """
    known = source_ids(tx, names)
    new = sorted(set(names) - known.keys())  # each process locks them in one order, so that none waits in a circle
    if not new:
        return known
    set_lock_timeout(tx)
    dialect = dialect_of(tx)
    for some in chunked(new, IDS_AT_ONCE):
        added = tx.scalars(
            dialect.insert_ignore(sources)
            .values([{"name": name, "created_at": dialect.now()} for name in some])
            .returning(sources.c.id)
        ).all()
        if added:
            tx.execute(insert(leases), [{"source_id": id} for id in added])
    return source_ids(tx, names)  # another process may have added some in the meantime


def source_ids(connection: Connection, names: Collection[str]) -> dict[str, int]:
    """Return the ids of the sources with these names, as `source_id` does. A name without a row is left out."""
    found: dict[str, int] = {}
    for some in chunked(list(names), IDS_AT_ONCE):
        rows = connection.execute(select(sources.c.name, sources.c.id).where(sources.c.name.in_(some)))
        found.update((row.name, row.id) for row in rows)
    return found


def register_project(tx: Connection, lease: Lease, project: Project, *, observed_at: datetime) -> SourceRow:
    """Record the project of the lease's source, and return the source. If a project is known already, it stays.

    Args:
        tx: The transaction.
        lease: The lease of the source.
        project: What the first run has read.
        observed_at: When it read that.

    Raises:
        WrongProject: If the source has another project already, or another fixed environment.
        LeaseLost: If another process has taken the lease.
    """
    assert_and_renew(tx, lease)
    tx.execute(
        update(sources)
        .where(sources.c.id == lease.source_id, ~_IS_KNOWN)
        .values(project_id=project.id, created_at=observed_at, **_columns_of(project))
    )
    known = _known(tx.execute(select(sources).where(sources.c.id == lease.source_id)).one())
    check_same_project(known, project)
    return known


def update_project(tx: Connection, lease: Lease, project: Project) -> None:
    """Record what upstream says of the project and the environment, which may be another primary one."""
    _update(tx, lease, _columns_of(project))


def update_time_format(tx: Connection, lease: Lease, *, precision: int | None, zone: str | None) -> None:
    """Record how upstream prints times: the decimals of a second, and the project's zone."""
    _update(tx, lease, {"time_precision": precision, "time_zone": zone})


def update_history_retention(tx: Connection, lease: Lease, days: int | None) -> None:
    """Record for how many days upstream keeps versions. None: permanently, or it is not known."""
    _update(tx, lease, {"history_retention_days": days})


def update_uploads_refused(tx: Connection, lease: Lease, at: datetime | None) -> None:
    """Record when upstream refused to show uploads. None: it shows them."""
    _update(tx, lease, {"uploads_refused_at": at})


def save_blocked_views(tx: Connection, source_id: int, blocked: Mapping[str, str]) -> None:
    """Record which typed views of a source could not be changed, and why, unless that is recorded already."""
    said = json.dumps(dict(blocked), sort_keys=True)
    known = tx.scalar(select(sources.c.blocked_views).where(sources.c.id == source_id))
    if known is not None and json.loads(known) != blocked:
        tx.execute(update(sources).where(sources.c.id == source_id).values(blocked_views=said))


def update_checkpoint(tx: Connection, lease: Lease, **columns: datetime | bool | None) -> None:
    """Set the given columns of `Checkpoint`; the others stay."""
    unknown = columns.keys() - set(field_names(Checkpoint))
    if unknown:
        raise TypeError(f"no checkpoint columns: {', '.join(sorted(unknown))}")
    _update(tx, lease, columns)


def _update(tx: Connection, lease: Lease, values: Mapping[str, Any]) -> None:
    assert_and_renew(tx, lease)
    tx.execute(update(sources).where(sources.c.id == lease.source_id).values(values))


def check_same_project(known: SourceRow, project: Project) -> None:
    """Raise WrongProject if `known` mirrors another project than this one, or another fixed environment of it."""
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


# The columns of `sources` for the fields of Project: two have other names.
PROJECT = {name: name for name in field_names(Project)} | {"id": "project_id", "name": "project_name"}
CHECKPOINT = field_names(Checkpoint)


def _columns_of(project: Project) -> dict[str, Any]:
    """Return what can change about a project: everything except its id."""
    values = {column: getattr(project, name) for name, column in PROJECT.items() if name != "id"}
    return values | {"locales": json.dumps(list(project.locales))}


def _known(row: Row[Any]) -> SourceRow:
    project = {name: getattr(row, column) for name, column in PROJECT.items()}
    known = Project(**project | {"locales": tuple(json.loads(row.locales))})
    return SourceRow(**_values(row) | {"project": known})


def _values(row: Row[Any]) -> dict[str, Any]:
    """Return the fields of a source, except its project."""
    return {
        "id": row.id,
        "name": row.name,
        "project": None,
        "checkpoint": Checkpoint(**{name: getattr(row, name) for name in CHECKPOINT}),
        "created_at": row.created_at,
        "blocked_views": json.loads(row.blocked_views),
        "uploads_refused_at": row.uploads_refused_at,
    }
