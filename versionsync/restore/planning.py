"""Make a plan: compare what is wanted with what is upstream now, and check it before anything is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from versionsync import cma
from versionsync.history.scope import Scope
from versionsync.ledger.ids import RecordId, VersionId
from versionsync.mirror.database import Mirror
from versionsync.mirror.schema import records
from versionsync.mirror.tables.erasures import load_erasures
from versionsync.mirror.tables.sources import SourceRow
from versionsync.restore.errors import ReadOnlyToken
from versionsync.restore.facts import read_facts, read_rules
from versionsync.restore.model import Act, Plan, Step, Target
from versionsync.restore.order import least_requests
from versionsync.restore.planner import Planner
from versionsync.restore.preflight import Preflight
from versionsync.restore.selection import Wanted, targets_of
from versionsync.text import count

__all__ = ["PlanningOptions", "make_plan"]

ERASED: Final = "Its content was erased from the mirror on request."


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningOptions:
    """How a plan is made.

    Attributes:
        stale_ok: Plan with a mirror that is older than upstream.
        checks: Whether to ask upstream whether it would accept each content, one request a step.
        undoes: The id of the plan that this one takes back.
        expected: For an undo: the version of each record that must still be current.
        is_elsewhere: The client leads to another environment than the mirrored one.
        is_writer: The client has the token that will write, so its role counts.
    """

    stale_ok: bool = False
    checks: bool = True
    undoes: str | None = None
    expected: Mapping[str, str] = field(default_factory=dict)
    is_elsewhere: bool = False
    is_writer: bool = True


async def make_plan(
    mirror: Mirror,
    source: str,
    wanted: Wanted,
    client: cma.Client,
    *,
    now: Callable[[], datetime],
    options: PlanningOptions | None = None,
    targets: Sequence[Target] | None = None,
    zone_shown: Callable[[datetime], str] = str,
) -> Plan:
    """Return the plan for what is wanted. It reads upstream, and writes nothing there.

    Args:
        mirror: The mirror.
        source: The name of the source.
        wanted: What is asked.
        client: A client of the environment that is written to.
        now: The clock.
        options: How it is made.
        targets: The records, if they are known already. None: those that are wanted.
        zone_shown: Returns a time as people read it.

    Raises:
        StaleMirror: The mirror is older than upstream.
        CannotApply: The client leads to another project.
        ReadOnlyToken: The role of the token cannot change records.
        HistoryError: A name is not known, or the time is before the history.
        CmaError: Upstream cannot be read.
    """
    options = options or PlanningOptions()
    row, found = await asyncio.to_thread(
        mirror.query, lambda connection: _selected(connection, source, wanted, targets)
    )
    rules = await read_rules(
        client, row, now(), stale_ok=options.stale_ok, is_elsewhere=options.is_elsewhere, shown=zone_shown
    )
    chosen = [one for one in found if one.why_not is None]
    facts = await read_facts(
        mirror, client, row.id, chosen, rules, at=wanted.at, now=now(), is_elsewhere=options.is_elsewhere
    )
    facts = replace(facts, role=_checked_role(facts.role, facts.environment) if options.is_writer else None)
    planner = Planner(wanted, facts, options.expected if options.undoes is not None else None)
    for target in found:
        planner.add(target)
    steps = planner.steps()
    if options.checks:
        steps = await _checked(planner, steps, Preflight(client, facts.rules))
    touched = {id for step in steps for id in step.record_ids}
    return Plan(
        source=source,
        environment=facts.environment,
        project_id=row.project.id,
        wanted=wanted.words,
        made_at=now(),
        mirror_as_of=row.checkpoint.last_success_at,
        role=facts.role.name if facts.role else None,
        steps=steps,
        records=tuple(before for before in planner.before if before.record_id in touched),
        left_alone=tuple(planner.left_alone),
        losses=tuple(dict.fromkeys(planner.losses_of(touched))),
        notes=(*dict.fromkeys(planner.notes), *_notes(steps)),
        requests=least_requests(steps),
        undoes=options.undoes,
    )


def _checked_role(role: cma.Role | None, environment: str) -> cma.Role | None:
    """Return the role of the token that will write. Raise ReadOnlyToken if it can change no record."""
    if role is not None and not role.may_write(environment):
        raise ReadOnlyToken(
            f"the role “{role.name}” of the restore token cannot change records in {environment}",
            hint="Give it the right to create, update, publish and delete records there, or use another token.",
        )
    return role


def _selected(
    connection: Connection, source: str, wanted: Wanted, targets: Sequence[Target] | None
) -> tuple[SourceRow, list[Target]]:
    scope = Scope.load(connection, [source])
    row = scope.sources[0]
    found = targets_of(connection, scope, wanted) if targets is None else list(targets)
    return row, _without_erased(connection, row.id, found)


def _without_erased(connection: Connection, source_id: int, targets: Sequence[Target]) -> list[Target]:
    """Return `targets`; those with a version that was erased say that they cannot be restored.

    What the mirror has of them is not what DatoCMS has, so that a restore would empty it there.
    """
    erasures = load_erasures(connection, source_id)
    found = []
    for target in targets:
        record_id, ids = RecordId(target.record_id), {target.version_id, target.live_version_id}
        if target.version_id is not None and record_id in erasures.by_record:
            current = select(records.c.current_version_id).where(
                records.c.source_id == source_id, records.c.id == record_id
            )
            ids.add(connection.scalar(current))
        holding = [one for id in ids if id is not None for one in erasures.of(record_id, VersionId(id))]
        is_erased = any(one.upload_id is None for one in holding)  # without what is said of a file, it can be restored
        found.append(replace(target, why_not=target.why_not or ERASED) if is_erased else target)
    return found


async def _checked(planner: Planner, steps: tuple[Step, ...], preflight: Preflight) -> tuple[Step, ...]:
    """Return the steps without records that upstream would refuse, and without what depends on them."""
    while True:
        refused = await preflight.check(steps, planner.tasks)
        planner.notes += refused.notes
        if not refused.problems:
            return steps
        planner.refuse(refused.problems)
        steps = planner.steps()


def _notes(steps: Sequence[Step]) -> list[str]:
    """Return what people should know before they apply the steps."""
    acts = sum(len(step.record_ids) for step in steps)
    if not acts:
        return []
    notes = [f"DatoCMS calls the project's webhooks for {count(acts, 'change')}, and may start builds."]
    if any(step.act is Act.DELETE for step in steps):
        notes.append("DatoCMS has no lock for deletions: an edit in the same second can be lost.")
    return notes
