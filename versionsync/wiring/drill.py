"""Rehearse a restore: into a simulated DatoCMS with the schema of a mirror, and compare what came back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias

from versionsync import cma
from versionsync.history.diff.schema import Schema, SchemaField
from versionsync.ledger.records import Editor
from versionsync.mirror.database import Mirror
from versionsync.mirror.tables.models import load_schema
from versionsync.mirror.tables.restores import StepState
from versionsync.mirror.tables.sources import SourceRow
from versionsync.mirror.whole_source import StoredRecord, stored_records
from versionsync.restore.compare_with_mirror import DrillReport, Outcome, RecordState, compare_with_mirror, is_said
from versionsync.restore.execute import carry_out
from versionsync.restore.journal import NoJournal
from versionsync.restore.model import Loss, Plan
from versionsync.restore.planning import PlanningOptions, make_plan
from versionsync.restore.selection import Wanted
from versionsync.simulator import Clock, Record, SimulatorThread, World
from versionsync.wiring.mirrored_world import world_with_schema

__all__ = ["Restore", "drill", "rehearse"]

Restore: TypeAlias = Callable[[str, str, str], Outcome]
"""Restores all that is current or live in a source: called with a base URL, an API token, and the source's name."""


def drill(
    mirror: Mirror, source: SourceRow, *, on_steps: Callable[[int, int], None] = lambda _done, _all: None
) -> DrillReport:
    """Restore all that a source has into a simulated project, and return how the result compares with the mirror.

    Args:
        mirror: The mirror. The plan of the drill is not kept in it.
        source: The source, as the mirror has it.
        on_steps: Called with the number of steps that are done, and that there are.

    Raises:
        HistoryError: The history of the source is not computed yet.
    """

    def restore(base_url: str, token: str, name: str) -> Outcome:
        return asyncio.run(_restore(mirror, base_url, token, name, on_steps))

    return rehearse(mirror, source, restore)


async def _restore(mirror: Mirror, base_url: str, token: str, name: str, on_steps: Callable[[int, int], None]) -> Plan:
    """Restore what is current and live now, as fast as the simulated project answers."""

    def now() -> datetime:
        return datetime.now(UTC)

    wanted = Wanted(at=now(), publishes=True, words="drill")
    limiter = cma.RateLimiter(cma.UNLIMITED)
    async with cma.Client(base_url, token, rate_limiter=limiter) as client:
        options = PlanningOptions(stale_ok=True, checks=False)
        plan = await make_plan(mirror, name, wanted, client, now=now, options=options)
        done = 0

        def count(_: StepState) -> None:
            nonlocal done
            done += 1
            on_steps(done, len(plan.steps))

        states = await carry_out(plan, client, NoJournal(plan), now=now, on_result=count)
    left_out = (
        Loss(record_id=step.record_ids[0], path=(), what=state.error)
        for step, state in zip(plan.steps, states, strict=True)
        if state.state == "done" and state.error is not None
    )
    return replace(plan, losses=(*plan.losses, *left_out))


def rehearse(mirror: Mirror, source: SourceRow, restore: Restore, *, clock: Clock | None = None) -> DrillReport:
    """Restore a source into an empty simulated project, and return how the result compares with the mirror.

    Args:
        mirror: The mirror.
        source: The source, as the mirror has it.
        restore: Does the restore.
        clock: The clock of the simulated project; None: a running one.

    Raises:
        Exception: What `restore` raises.
    """
    with mirror.read() as connection:
        world = world_with_schema(connection, source, clock=clock)
        fields = load_schema(connection, source.id).fields.values()
    schema = Schema.of(
        (
            field.model_id,
            SchemaField(
                id=field.id,
                api_key=field.api_key,
                label=field.label,
                field_type=field.field_type,
                is_localized=field.is_localized,
            ),
        )
        for field in fields
    )
    with SimulatorThread(world) as simulator:
        started = time.monotonic()
        outcome = restore(simulator.url, world.token, source.name)
        seconds = time.monotonic() - started
        requests = simulator.simulator.requests.total
        restored = simulator.act(_restored)
    left_alone = tuple(outcome.left_alone)
    with mirror.read() as connection:
        mirrored = map(_mirrored, stored_records(connection, source.id, with_history=False))
        comparison = compare_with_mirror(
            mirrored, restored, schema, ignored=(record.record_id for record in left_alone)
        )
    losses: dict[str, list[Loss]] = {}
    for loss in outcome.losses:
        losses.setdefault(loss.record_id, []).append(loss)
    said = [one for one in comparison.different if is_said(one, losses.get(one.record_id, ()))]
    explained = frozenset(said)
    return DrillReport(
        records=comparison.records,
        versions=comparison.versions,
        equal=comparison.equal,
        different=tuple(one for one in comparison.different if one not in explained),
        said=tuple(said),
        left_alone=left_alone,
        requests=requests,
        seconds=seconds,
    )


def _mirrored(record: StoredRecord) -> RecordState:
    return RecordState(
        id=record.id,
        model_id=record.model_id,
        current=next((version.content for version in record.versions if version.is_current), None),
        published=next((version.content for version in record.versions if version.is_published), None),
        status=record.status,
        stage=record.stage,
        creator=record.creator,
        created_at=record.created_at,
        first_published_at=record.first_published_at,
    )


def _restored(world: World) -> list[RecordState]:
    return [_state(world.primary.records[id]) for id in sorted(world.primary.records)]


def _state(record: Record) -> RecordState:
    return RecordState(
        id=record.id,
        model_id=record.model.id,
        current=record.head.read(),
        published=record.published.read() if record.published is not None else None,
        status=record.status,
        stage=record.stage,
        creator=Editor(record.creator.kind.value, record.creator.id),
        created_at=record.created_at,
        first_published_at=record.first_published_at,
    )
