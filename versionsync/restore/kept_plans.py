"""Keep plans in the mirror, find them again by id, and make the plan that takes one back."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from versionsync.mirror.database import Mirror
from versionsync.mirror.holder import this_user
from versionsync.mirror.tables import restores
from versionsync.mirror.tables.erasures import last_erasure_id
from versionsync.mirror.tables.leases import lock
from versionsync.mirror.tables.restores import PlanRow, StepRow, StepState
from versionsync.restore.errors import CannotApply, PlanChanged, emptied
from versionsync.restore.model import Act, Plan, Target
from versionsync.restore.plan_text import PlanFile, decode_plan, decode_step, encode_plan, encode_step, plan_hash
from versionsync.text import nearest

__all__ = ["KeptPlan", "Undo", "keep", "kept_plan", "last_erasure", "undo_of"]

_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without letters that look like others."""
_ID_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """A plan that the mirror keeps, and how far it is.

    Attributes:
        state: `planned`, `running`, `done`, `partial` or `stopped`. One that is `erased` is never returned.
        steps: How far each step is, in order.
    """

    id: str
    source_id: int
    plan: Plan
    state: str
    steps: Sequence[StepState]
    report: str | None

    @property
    def is_done(self) -> bool:
        """Whether every step is done."""
        return all(step.state == "done" for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """What takes a plan back: the records that it changed, and the version of each that must still be current."""

    targets: Sequence[Target]
    expected: dict[str, str]


def last_erasure(mirror: Mirror, source_id: int) -> int:
    """Return the number of the newest erasure of a source; 0: there is none. See `keep`."""
    return mirror.query(lambda connection: last_erasure_id(connection, source_id))


def keep(mirror: Mirror, source_id: int, plan: Plan, *, erasure: int | None = None) -> str:
    """Keep a plan, and return its id.

    Args:
        mirror: The mirror that it was made of.
        source_id: Its source.
        plan: The plan.
        erasure: What `last_erasure` returned before the plan was made. None: nothing was erased since.

    Raises:
        CannotApply: Something was erased while the plan was made, so its contents may not be kept.
    """
    id = "".join(secrets.choice(_LETTERS) for _ in range(_ID_LENGTH))
    row = PlanRow(
        id=id,
        hash=plan_hash(plan),
        environment=plan.environment,
        wanted=plan.wanted,
        made_at=plan.made_at,
        made_by=this_user(),
        undoes_id=plan.undoes,
        body=encode_plan(plan).decode(),
        state="planned",
    )
    steps = [
        StepRow(
            number=step.number,
            act=step.act.value,
            record_id=step.record_ids[0] if len(step.record_ids) == 1 else None,
            body=encode_step(step).decode(),
        )
        for step in plan.steps
    ]

    def insert(tx: Connection) -> None:
        lock(tx, source_id)  # an erasure holds this until its commit, and then looks for plans no more
        if erasure is not None and last_erasure_id(tx, source_id) != erasure:
            raise CannotApply("content was erased while the plan was made", hint="Make the plan again.")
        restores.insert_plan(tx, source_id, row, steps)

    mirror.transact(insert)
    return id


def kept_plan(mirror: Mirror, source_id: int, id: str, *, file: PlanFile | None = None) -> KeptPlan:
    """Return the plan of this id.

    Args:
        mirror: The mirror that keeps it.
        source_id: Its source.
        id: Its id.
        file: The file that names it. Its hash must be that of the plan.

    Raises:
        CannotApply: The mirror has no such plan, or it was emptied by `versionsync erase`.
        PlanChanged: The plan in the mirror is not the one in the file.
    """

    def load(connection: Connection) -> KeptPlan:
        row = restores.load_plan(connection, source_id, id)
        if row is None:
            known = [one.id for one in restores.load_plans(connection, source_id)]
            meant = nearest(id, known)
            raise CannotApply(
                f"this mirror keeps no plan {id}",
                hint=f"Did you mean {meant}?" if meant else "Make one: `versionsync restore --help` has examples.",
            )
        if row.state == "erased":
            raise emptied(id)
        steps = [decode_step(text.encode()) for text in restores.load_steps(connection, source_id, id)]
        plan = decode_plan(row.body.encode(), steps)
        if plan_hash(plan) != row.hash or (file is not None and file.hash != row.hash.hex()):
            raise PlanChanged(
                f"the plan {id} in the mirror is not the one in the file",
                hint="Make the plan again, read it, and apply that one.",
            )
        return KeptPlan(
            id, source_id, plan, row.state, restores.load_step_states(connection, source_id, id), row.report
        )

    return mirror.query(load)


def undo_of(kept: KeptPlan) -> Undo:
    """Return what takes back the steps of a plan that are done, and those of which it is not known.

    Records are expected as the plan left them. What others edited since then, an undo leaves alone.
    """
    expected: dict[str, str] = {}
    touched: set[str] = set()
    deleted: set[str] = set()
    before = {one.record_id: one.version_id for one in kept.plan.records}
    for step, state in zip(kept.plan.steps, kept.steps, strict=True):
        if state.state not in ("done", "failed", "sent"):
            continue
        touched.update(step.record_ids)
        if step.act is Act.DELETE:
            deleted.update(step.record_ids)
        for id in step.record_ids:
            version = state.version_id or expected.get(id) or before.get(id)
            if version is not None:
                expected[id] = version
    targets = [
        Target(
            record_id=one.record_id,
            model_id=one.model_id,
            title=one.title,
            version_id=one.version_id,
            live_version_id=one.live_version_id,
            is_live_wanted=one.version_id is not None,
            can_be_missing=one.record_id in deleted,
        )
        for one in kept.plan.records
        if one.record_id in touched
    ]
    return Undo(targets=targets, expected=expected)
