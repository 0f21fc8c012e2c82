"""What DatoCMS says about the project itself: whether it is still the same one, its schema, its settings."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from versionsync import cma
from versionsync.ledger.events import EventType, observed_event
from versionsync.ledger.ids import ModelId
from versionsync.ledger.schema import Schema, plan_schema
from versionsync.ledger.time_formats import TimeFormat, finest_precision, plan_format_change
from versionsync.mirror.tables.events import write_events
from versionsync.mirror.tables.models import load_schema, schema_seen_at, upsert_schema
from versionsync.mirror.tables.records import live_counts_by_model
from versionsync.mirror.tables.runs import update_run
from versionsync.mirror.tables.sources import (
    Checkpoint,
    Project,
    check_same_project,
    update_checkpoint,
    update_history_retention,
    update_project,
    update_time_format,
)
from versionsync.sync.api_to_ledger import project_hash, seen_record
from versionsync.sync.beacon import ActiveEnvironment, is_other_environment
from versionsync.sync.context import RunContext, Upstream
from versionsync.sync.deletions import check_mass_delete_limit
from versionsync.sync.options import SourceSpec
from versionsync.sync.role_visibility import RoleVisibility
from versionsync.sync.schema_check import check_schema
from versionsync.sync.stage_results import StageResult

__all__ = [
    "check_upstream",
    "find_hidden_models",
    "is_retention_due",
    "project_of",
    "save_retention",
    "save_time_format",
    "save_upstream",
]

FORMAT_ATTEMPTS: Final = 2
RETENTION_AGE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CheckedProject:
    """What DatoCMS says about the project, without what an old answer says.

    Attributes:
        upstream: The schema, and what the token's role shows of it.
        missing: The models of the mirror for which DatoCMS returns 404.
        result: What could not be checked.
    """

    upstream: Upstream
    project: Project
    missing: frozenset[ModelId]
    result: StageResult


def project_of(site: cma.Site, spec: SourceSpec, active: ActiveEnvironment, known: Project | None) -> Project:
    """Return the project's row. Columns that come from other answers keep their `known` values."""
    return Project(
        id=site.id,
        name=site.name,
        environment=active.environment,
        follows_primary=spec.environment is None,
        base_url=spec.base_url,
        locales=site.locales,
        environment_created_at=active.created_at,
        project_hash=project_hash(site),
        time_precision=known.time_precision if known else None,
        time_zone=known.time_zone if known else site.time_zone,
        history_retention_days=known.history_retention_days if known else None,
    )


async def check_upstream(ctx: RunContext, answer: cma.Schema) -> CheckedProject:
    """Check the answer `answer` about the schema before it is used.

    Raises:
        WrongProject: If the token belongs to another project than before.
        CmaError, MirrorError: If DatoCMS or the database does not answer.
    """
    known, may_delete_all = ctx.source.project, ctx.options.allow_mass_delete
    # Checked first: in another project all models would be missing.
    check_same_project(ctx.source, project_of(answer.site, ctx.spec, ctx.environment, known))
    checked = await check_schema(ctx, answer)
    visibility = RoleVisibility(ctx.client, checked.schema, assume_visible=may_delete_all)
    project = project_of(checked.site, ctx.spec, ctx.environment, known)
    upstream = Upstream(checked.schema, checked.site.time_zone, visibility)
    return CheckedProject(upstream, project, checked.deleted, checked.result)


async def find_hidden_models(ctx: RunContext, checked: CheckedProject) -> frozenset[ModelId]:
    """Return those of the missing models that the role hides. The others are treated as deleted.

    A model with records is hidden if the role does not show all of them. The others must not take too many records
    along: a token that sees fewer models may not be able to read its role. Raises MassDeletionError and CmaError.
    """
    missing, visibility = checked.missing, checked.upstream.visibility
    if not missing or visibility.assume_visible:
        return frozenset()
    known = await ctx.read(load_schema)
    live = await ctx.read(live_counts_by_model)
    hidden = [
        id for id in missing if live.get(id) and await visibility.is_unlisted_model_hidden(id, known.models[id].api_key)
    ]
    deleted = {id: live.get(id, 0) for id in missing.difference(hidden)}
    check_mass_delete_limit(ctx.spec.name, ctx.spec.mass_delete_limit, deleted, live, models={})
    return frozenset(hidden)


async def save_upstream(ctx: RunContext, checked: CheckedProject, hidden: Collection[ModelId]) -> bool:
    """Write what changed about the project and its schema, and return whether anything did.

    The rows of `hidden` models stay.
    """
    now = ctx.now()

    def save(tx: Connection) -> tuple[int, bool]:
        # A first run that ended early, or was partial, has read the schema all the same.
        seen_before = ctx.source.checkpoint.last_complete_sweep_at or schema_seen_at(tx, ctx.source.id)
        events = _save_project(tx, ctx, checked.project, now)
        known = load_schema(tx, ctx.source.id)
        seen = _with_hidden(checked.upstream.schema, known, hidden)
        plan = plan_schema(known, seen, seen_before=seen_before, observed_at=now)
        deleted_models, deleted_fields = plan.deleted_models, plan.deleted_fields
        upsert_schema(
            tx,
            ctx.lease,
            plan.models,
            plan.fields,
            deleted_models=deleted_models,
            deleted_fields=deleted_fields,
            observed_at=now,
        )
        events += write_events(tx, ctx.lease, plan.events, observed_at=now, run_id=ctx.run_id)
        if events:  # nothing was written before, and the run may be killed after this
            update_run(tx, ctx.lease, ctx.run_id, {"events_written": events})
        is_same_schema = not (plan.models or plan.fields or deleted_models or deleted_fields)
        return events, not is_same_schema or ctx.source.project != checked.project

    events, is_changed = await ctx.write(save)
    ctx.progress.counts.events_written += events
    return is_changed


def _save_project(tx: Connection, ctx: RunContext, project: Project, observed_at: datetime) -> int:
    """Write what changed about the project, and return the number of events: one if the primary environment moved."""
    before = ctx.source.project
    if before == project:
        return 0
    update_project(tx, ctx.lease, project)
    if is_other_environment(before, ctx.environment):
        # The last stamp is another environment's. It must not outlive a run that stops before its sweep.
        update_checkpoint(
            tx, ctx.lease, last_data_change_at=None, last_data_change_is_settled=False, unexplained_change_since=None
        )
    if before.environment == project.environment:
        return 0
    event = observed_event(
        EventType.SOURCE_ENVIRONMENT_CHANGED,
        project.environment,
        observed_at,
        seen_before=ctx.source.checkpoint.last_success_at,
        data={"from": before.environment, "to": project.environment},
    )
    return write_events(tx, ctx.lease, [event], observed_at=observed_at, run_id=ctx.run_id)


def _with_hidden(seen: Schema, known: Schema, hidden: Collection[ModelId]) -> Schema:
    return Schema(
        models={**seen.models, **{id: model for id, model in known.models.items() if id in hidden}},
        fields={**seen.fields, **{id: field for id, field in known.fields.items() if field.model_id in hidden}},
    )


async def save_time_format(ctx: RunContext, upstream: Upstream, precision: int | None) -> StageResult:
    """Save how DatoCMS prints times: its time zone, and the `precision` that this run has seen."""
    before = TimeFormat(ctx.source.project.time_precision, ctx.source.project.time_zone)
    seen = TimeFormat(precision, upstream.time_zone)
    if before.updated(seen) == before:
        return StageResult()
    confirmed = await _confirm_format(ctx, before, seen, upstream.models.listed)
    result, after = StageResult(schema_is_settled=confirmed == seen), before.updated(confirmed)
    if after != before:
        now, seen_before = ctx.now(), ctx.source.checkpoint.last_success_at
        change = plan_format_change(before, after, seen_before=seen_before, observed_at=now)

        def save(tx: Connection) -> int:
            update_time_format(tx, ctx.lease, precision=after.precision, zone=after.zone)
            return write_events(tx, ctx.lease, [change], observed_at=now, run_id=ctx.run_id) if change else 0

        events = await ctx.write(save)
        ctx.progress.counts.events_written += events
    return result


async def _confirm_format(ctx: RunContext, known: TimeFormat, seen: TimeFormat, models: Iterable[str]) -> TimeFormat:
    """Return the parts of `seen` that DatoCMS confirms: an answer with another format may be an old one.

    Only parts that differ from `known` are asked for, with other requests than before. `models` are those with
    records. Raises CmaError.
    """
    zone, precision = seen.zone, seen.precision
    for _ in range(FORMAT_ATTEMPTS):
        is_another_zone = None not in (known.zone, zone) and zone != known.zone
        is_another_precision = None not in (known.precision, precision) and precision != known.precision
        if is_another_zone or is_another_precision:
            await asyncio.sleep(ctx.timings.retry)
        if is_another_zone and (await ctx.client.site()).time_zone != zone:
            zone = None
        if is_another_precision and await _read_precision(ctx.client, models) not in (None, precision):
            precision = None
    return TimeFormat(precision, zone)


async def _read_precision(client: cma.Client, models: Iterable[str]) -> int | None:
    """Return how many decimals of a second the times of some record have. None: there is no record."""
    for group in cma.model_groups(sorted(models)):
        try:
            page = await client.items_page(limit=1, models=group)
        except (cma.InvalidRequest, cma.NotFound):
            continue
        if page.items:
            return finest_precision(seen_record(item).fingerprint for item in page.items)
    return None


def is_retention_due(known: Checkpoint, *, now: datetime) -> bool:
    """Return whether a run should ask for the retention: a day after the last complete list. A plan rarely changes.

    `known` is the checkpoint from before the run. A run that ends after one request never asks.
    """
    last = known.last_complete_sweep_at
    return last is None or abs(now - last) >= RETENTION_AGE


async def save_retention(ctx: RunContext) -> None:
    """Save how long DatoCMS keeps versions, once a day.

    An error fails no run: if DatoCMS is not available, the next request reports that.
    """
    if not is_retention_due(ctx.source.checkpoint, now=ctx.now()):
        return
    try:
        retention = await ctx.client.history_retention()
    except cma.CmaError:
        return
    if retention is not None and retention.days != ctx.source.project.history_retention_days:
        days = retention.days
        await ctx.write(lambda tx: update_history_retention(tx, ctx.lease, days))
