"""The project behind a source: that it is still the same one, where its primary environment went, and its schema."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from versionsync import cma
from versionsync.ledger.events import Event, EventType, TimeBasis
from versionsync.ledger.formats import TimeFormat, plan_format_change
from versionsync.ledger.ids import ModelId
from versionsync.ledger.schema import Schema, plan_schema
from versionsync.ledger.times import format_time
from versionsync.mirror.schema.typed_views import rebuild_typed_views
from versionsync.mirror.tables.events import write_events
from versionsync.mirror.tables.leases import Lease, assert_and_renew
from versionsync.mirror.tables.models import load_schema, normalized, schema_seen_at, upsert_schema
from versionsync.mirror.tables.records import live_counts_by_model
from versionsync.mirror.tables.runs import update_run
from versionsync.mirror.tables.sources import (
    Project,
    SourceRow,
    check_same_project,
    update_checkpoint,
    update_project,
    update_time_format,
)
from versionsync.sync.beacon import ActiveEnvironment, find_environment
from versionsync.sync.context import Context
from versionsync.sync.deletions import check_mass_delete_limit
from versionsync.sync.report import SourceSpec
from versionsync.sync.result import RunResult
from versionsync.sync.schema_check import check_schema
from versionsync.sync.translate import project_hash, schema_of
from versionsync.sync.visibility import Visibility, model_names

__all__ = [
    "CheckedProject",
    "SchemaUpdate",
    "check_upstream",
    "format_of",
    "is_first_sync",
    "is_other_environment",
    "is_other_format",
    "project_of",
    "rebuild_views",
    "resolve_environment",
    "save_format",
    "save_upstream",
]

NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class CheckedProject:
    """What upstream says of the project, as far as it can be believed.

    schema: Its models and fields.
    project: What to note of the project.
    sight: What the token's role shows of these models.
    hidden: The models that upstream does not find because the role hides them. Their rows stay.
    """

    schema: cma.Schema
    project: Project
    visibility: Visibility
    hidden: frozenset[ModelId]


@dataclass(frozen=True, slots=True)
class SchemaUpdate:
    """What came of noting the project and its schema.

    `events` is how many were written, `is_change` whether the project or its schema differed from the mirror.
    """

    events: int
    is_change: bool


async def resolve_environment(
    client: cma.Client, spec: SourceSpec, known: SourceRow | None, *, now: datetime
) -> ActiveEnvironment:
    """The environment that `spec` means; `known` is its source as the database has it.

    Raises CmaError, and WrongProject where the named environment is missing because the token is another project's.
    """
    last = known.project.environment if known else None
    try:
        return await find_environment(client, named=spec.environment, last=last, now=now)
    except cma.EnvironmentNotFound:
        if known is not None:
            site = await client.with_environment(None).site()
            check_same_project(known, replace(known.project, id=site.id, name=site.name))
        raise


def project_of(site: cma.Site, spec: SourceSpec, place: ActiveEnvironment, known: Project | None) -> Project:
    """What upstream says of the project now; what other answers say of it stays as it is `known`."""
    return Project(
        id=site.id,
        name=site.name,
        environment=place.environment,
        follows_primary=spec.environment is None,
        base_url=spec.base_url,
        locales=site.locales,
        environment_created_at=place.created_at,
        project_hash=project_hash(site),
        time_precision=known.time_precision if known else None,
        time_zone=known.time_zone if known else site.time_zone,
        history_retention_days=known.history_retention_days if known else None,
    )


def is_other_environment(known: Project, environment: str, created_at: datetime | None) -> bool:
    """Whether this is another environment than the one that was mirrored, or another one under its name."""
    return (known.environment, known.environment_created_at) != (environment, created_at)


def is_first_sync(known: SourceRow, place: ActiveEnvironment) -> bool:
    """Whether another environment was swept last: what the mirror holds is then no measure of this one."""
    if is_other_environment(known.project, place.environment, place.created_at):
        return True
    if known.checkpoint.last_complete_sweep_at is None or place.beacon.last_data_change_at is None:
        return False
    return known.checkpoint.last_data_change_at is None  # a run noticed it, and ended before it had swept


def save_upstream(
    tx: Connection,
    lease: Lease,
    known: SourceRow,
    upstream: CheckedProject,
    *,
    run_id: int,
    observed_at: datetime,
) -> SchemaUpdate:
    """Write what changed about the project and its schema."""
    # A first run that ended early, or was partial, has read the schema all the same.
    seen_before = known.checkpoint.last_complete_sweep_at or schema_seen_at(tx, lease.source_id)
    moved = _save_project(tx, lease, known, upstream.project, run_id=run_id, observed_at=observed_at)
    noted = _save_schema(
        tx,
        lease,
        upstream.schema,
        hidden=upstream.hidden,
        seen_before=seen_before,
        run_id=run_id,
        observed_at=observed_at,
    )
    noted = replace(noted, events=noted.events + moved, is_change=noted.is_change or known.project != upstream.project)
    if noted.events:  # nothing was written before, and the run may be killed after this
        update_run(tx, lease, run_id, {"events_written": noted.events})
    return noted


def is_other_format(known: Project, seen: TimeFormat) -> bool:
    """Return whether upstream was seen to print times in another form than is known."""
    return format_of(known).updated(seen) != format_of(known)


def format_of(known: Project) -> TimeFormat:
    """Return in which form upstream is known to print times."""
    return TimeFormat(known.time_precision, known.time_zone)


def save_format(
    tx: Connection, lease: Lease, known: SourceRow, seen: TimeFormat, *, run_id: int, observed_at: datetime
) -> int:
    """Save in which form upstream prints times now, with the event of a change; return the number of events."""
    before = format_of(known.project)
    now = before.updated(seen)
    update_time_format(tx, lease, precision=now.precision, zone=now.zone)
    seen_before = known.checkpoint.last_success_at
    event = plan_format_change(before, now, seen_before=seen_before, observed_at=observed_at)
    return write_events(tx, lease, [event], observed_at=observed_at, run_id=run_id) if event else 0


def _save_project(
    tx: Connection, lease: Lease, known: SourceRow, project: Project, *, run_id: int, observed_at: datetime
) -> int:
    """Write what changed about the project, and return the number of events: a followed primary that is another one."""
    before = known.project
    if before == project:
        return 0
    update_project(tx, lease, project)
    if is_other_environment(before, project.environment, project.environment_created_at):
        # The last stamp is another environment's: it must not outlive a run that stops before it has swept this one.
        update_checkpoint(
            tx, lease, last_data_change_at=None, last_data_change_is_settled=False, unexplained_change_since=None
        )
    if before.environment == project.environment:
        return 0
    seen_before = known.checkpoint.last_success_at
    event = Event(
        type=EventType.SOURCE_ENVIRONMENT_CHANGED,
        key=f"{EventType.SOURCE_ENVIRONMENT_CHANGED}:{project.environment}:observed:{format_time(observed_at)}",
        occurred_at=observed_at,
        basis=TimeBasis.OBSERVED,
        data={
            "from": before.environment,
            "to": project.environment,
            "after": format_time(seen_before) if seen_before else None,
        },
    )
    return write_events(tx, lease, [event], observed_at=observed_at, run_id=run_id)


async def check_upstream(
    desk: Context,
    client: cma.Client,
    known: SourceRow,
    spec: SourceSpec,
    schema: cma.Schema,
    *,
    place: ActiveEnvironment,
    believes_all: bool,
    found: RunResult,
) -> CheckedProject:
    """Check the answer `schema` before anything is made of it; what stays open goes into `found`.

    Raises WrongProject, MassDeletionError, CmaError, MirrorError.
    """
    check_same_project(known, project_of(schema.site, spec, place, known.project))  # before its models are missed
    checked = await check_schema(desk, client, known.id, schema)
    if checked.unconfirmed:
        found.schema_is_settled = False
        found.notes.append(
            f"{checked.unconfirmed} models and fields of the schema are deleted or changed as it seems; "
            "the next runs ask for them"
        )
    if checked.unreadable:
        found.schema_is_settled = False
        name, reason = next(iter(checked.unreadable.items()))
        found.mark_partial(
            "models or fields that cannot be read stay as they were known, and of new ones no record is mirrored: "
            f"{', '.join(list(checked.unreadable)[:NAMES_SHOWN])} ({name}: {reason})"
        )
    if checked.contradicted:
        found.schema_is_settled = False
        found.mark_partial(
            "the list of models and fields contradicts what upstream says of single ones "
            f"({', '.join(checked.contradicted[:NAMES_SHOWN])}): the schema stays as it was known"
        )
    sight = Visibility(client, model_names(checked.schema), believes_all=believes_all)
    hidden = frozenset[ModelId]()
    if checked.deleted and not believes_all:
        hidden = await _hidden_among(desk, known.id, spec, checked.deleted, sight)
    return CheckedProject(checked.schema, project_of(checked.schema.site, spec, place, known.project), sight, hidden)


def rebuild_views(tx: Connection, lease: Lease) -> Mapping[str, str]:
    """Make the typed views fit the schema; returns those that could not be changed, and why. Raises LeaseLost."""
    assert_and_renew(tx, lease)
    return rebuild_typed_views(tx, lease.source_id).blocked


async def _hidden_among(
    desk: Context, source_id: int, spec: SourceSpec, gone: frozenset[ModelId], sight: Visibility
) -> frozenset[ModelId]:
    """The models among `gone`, which upstream does not find, that are hidden; the others can be held to be deleted.

    One that has records is hidden where the role does not show all of them. The others must not take too many along: a
    token that is shown fewer models sees just that, and may not be told its role. Raises MassDeletionError, CmaError.
    """
    known = await desk.read(lambda connection: load_schema(connection, source_id))
    live = await desk.read(lambda connection: live_counts_by_model(connection, source_id))
    hidden = [id for id in gone if live.get(id) and await sight.is_unlisted_model_hidden(id, known.models[id].api_key)]
    deleted = {id: live.get(id, 0) for id in gone.difference(hidden)}
    check_mass_delete_limit(spec.name, spec.mass_delete_limit, deleted, live, models={})
    return frozenset(hidden)


def _save_schema(
    tx: Connection,
    lease: Lease,
    schema: cma.Schema,
    *,
    hidden: Collection[ModelId],
    seen_before: datetime | None,
    run_id: int,
    observed_at: datetime,
) -> SchemaUpdate:
    """Write what changed about models and fields."""
    known, seen = load_schema(tx, lease.source_id), normalized(tx, schema_of(schema))
    kept = Schema(
        models={**seen.models, **{id: model for id, model in known.models.items() if id in hidden}},
        fields={**seen.fields, **{id: field for id, field in known.fields.items() if field.model_id in hidden}},
    )
    plan = plan_schema(known, kept, seen_before=seen_before, observed_at=observed_at)
    upsert_schema(
        tx,
        lease,
        plan.models,
        plan.fields,
        deleted_models=plan.deleted_models,
        deleted_fields=plan.deleted_fields,
        observed_at=observed_at,
    )
    events = write_events(tx, lease, plan.events, observed_at=observed_at, run_id=run_id)
    is_change = bool(plan.models or plan.fields or plan.deleted_models or plan.deleted_fields)
    return SchemaUpdate(events, is_change)
