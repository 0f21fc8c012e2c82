"""Read and write the plans of `restore`, and the journal of their steps.

One process at a time carries out a plan: it claims the plan for CLAIM_SECONDS and renews that with each write of the
journal. A step is recorded as `sent` before its request, so that a process that was killed leaves no doubt about which
requests may have happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, case, func, literal, select, update

from versionsync.mirror.engine.bulk import run_many
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import restore_plans, restore_steps

__all__ = [
    "CLAIM_SECONDS",
    "PlanRow",
    "StepRow",
    "StepState",
    "claim_plan",
    "count_steps",
    "finish_plan",
    "holder_of_plan",
    "insert_plan",
    "is_erased",
    "load_plan",
    "load_plans",
    "load_step_states",
    "load_steps",
    "release_plan",
    "renew_claim",
    "save_results",
    "save_sent",
]

CLAIM_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """A plan as the database has it. `body` is its JSON without the steps."""

    id: str
    hash: bytes
    environment: str
    wanted: str
    made_at: datetime
    made_by: str
    undoes_id: str | None
    body: str
    state: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    report: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """A step of a plan before it is carried out. `body` is its JSON."""

    number: int
    act: str
    record_id: str | None
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """How far a step is: `planned`, `sent`, `done`, `failed` or `skipped`."""

    number: int
    state: str
    version_id: str | None = None
    error_code: str | None = None
    error: str | None = None


_PLAN = (
    *("id", "hash", "environment", "wanted", "made_at", "made_by", "undoes_id", "body", "state"),
    *("started_at", "finished_at", "report"),
)
_STATE = ("number", "state", "version_id", "error_code", "error")


def insert_plan(tx: Connection, source_id: int, plan: PlanRow, steps: Iterable[StepRow]) -> None:
    """Keep a new plan with its steps."""
    tx.execute(restore_plans.insert().values(source_id=source_id, **{name: getattr(plan, name) for name in _PLAN}))
    columns = ("source_id", "plan_id", "number", "act", "record_id", "body", "state")
    rows = ((source_id, plan.id, one.number, one.act, one.record_id, one.body, "planned") for one in steps)
    dialect_of(tx).insert_many(tx, restore_steps, columns, rows)


def load_plan(connection: Connection, source_id: int, plan_id: str) -> PlanRow | None:
    """Return a plan, or None if there is none of this id."""
    query = select(*(restore_plans.c[name] for name in _PLAN)).where(*_is(source_id, plan_id))
    row = connection.execute(query).one_or_none()
    return None if row is None else PlanRow(**row._asdict())


def load_plans(connection: Connection, source_id: int, *, limit: int = 100) -> list[PlanRow]:
    """Return the newest plans of a source, newest first."""
    query = (
        select(*(restore_plans.c[name] for name in _PLAN))
        .where(restore_plans.c.source_id == source_id)
        .order_by(restore_plans.c.made_at.desc(), restore_plans.c.id)
        .limit(limit)
    )
    return [PlanRow(**row._asdict()) for row in connection.execute(query)]


def load_steps(connection: Connection, source_id: int, plan_id: str) -> list[str]:
    """Return the steps of a plan as JSON, in order."""
    query = select(restore_steps.c.body).where(*_of(source_id, plan_id)).order_by(restore_steps.c.number)
    return list(connection.scalars(query))


def load_step_states(connection: Connection, source_id: int, plan_id: str) -> list[StepState]:
    """Return how far the steps of a plan are, in order."""
    columns = (restore_steps.c[name] for name in _STATE)
    query = select(*columns).where(*_of(source_id, plan_id)).order_by(restore_steps.c.number)
    return [StepState(**row._asdict()) for row in connection.execute(query)]


def count_steps(connection: Connection, source_id: int) -> dict[str, dict[str, int]]:
    """Return how many steps of each plan of a source are in each state."""
    query = (
        select(restore_steps.c.plan_id, restore_steps.c.state, func.count())
        .where(restore_steps.c.source_id == source_id)
        .group_by(restore_steps.c.plan_id, restore_steps.c.state)
    )
    found: dict[str, dict[str, int]] = {}
    for plan_id, state, number in connection.execute(query):
        found.setdefault(plan_id, {})[state] = number
    return found


def is_erased(connection: Connection, source_id: int, plan_id: str) -> bool:
    """Return whether an erasure emptied a plan."""
    return connection.scalar(select(restore_plans.c.state).where(*_is(source_id, plan_id))) == "erased"


def claim_plan(tx: Connection, source_id: int, plan_id: str, holder: Holder, *, at: datetime) -> str | None:
    """Claim a plan for `holder`. Return None, or what holds it: another process that is alive."""
    other = holder_of_plan(tx, source_id, plan_id)
    if other is not None and other != holder:
        return str(other)
    tx.execute(
        update(restore_plans)
        .where(*_is(source_id, plan_id))
        .values(
            holder=holder.to_json(),
            expires_at=dialect_of(tx).now(seconds=CLAIM_SECONDS),
            state="running",
            started_at=func.coalesce(restore_plans.c.started_at, literal(at, restore_plans.c.started_at.type)),
        )
    )
    return None


def holder_of_plan(tx: Connection, source_id: int, plan_id: str) -> Holder | None:
    """Lock a plan, and return the process that carries it out. None: no process that may be alive."""
    held = tx.execute(
        select(restore_plans.c.holder, case((restore_plans.c.expires_at <= dialect_of(tx).now(), 1), else_=0))
        .where(*_is(source_id, plan_id))
        .with_for_update()
    ).one()
    holder = None if held[0] is None or held[1] else Holder.from_json(held[0])
    return None if holder is None or holder.is_known_dead() else holder


def renew_claim(tx: Connection, source_id: int, plan_id: str, holder: Holder) -> bool:
    """Renew the claim of a plan. Return False if `holder` has it no more: it must then write nothing upstream."""
    if not _holds(tx, source_id, plan_id, holder):
        return False
    expires_at = dialect_of(tx).now(seconds=CLAIM_SECONDS)
    tx.execute(update(restore_plans).where(*_is(source_id, plan_id)).values(expires_at=expires_at))
    return True


def release_plan(tx: Connection, source_id: int, plan_id: str, holder: Holder) -> None:
    """Give up the claim of a plan whose steps are not all done, so that it can be continued at once."""
    if _holds(tx, source_id, plan_id, holder):
        free = {"holder": None, "expires_at": None, "state": "stopped"}
        tx.execute(update(restore_plans).where(*_is(source_id, plan_id)).values(**free))


def _holds(tx: Connection, source_id: int, plan_id: str, holder: Holder) -> bool:
    query = select(restore_plans.c.holder).where(*_is(source_id, plan_id)).with_for_update()
    held = tx.scalar(query)
    return held is not None and Holder.from_json(held) == holder


def finish_plan(tx: Connection, source_id: int, plan_id: str, *, state: str, at: datetime, report: str) -> None:
    """Record how a plan ended."""
    tx.execute(
        update(restore_plans)
        .where(*_is(source_id, plan_id))
        .values(holder=None, expires_at=None, state=state, finished_at=at, report=report)
    )


def save_sent(tx: Connection, source_id: int, plan_id: str, numbers: Sequence[int], *, at: datetime) -> None:
    """Record that the requests of these steps are about to be sent."""
    _set_steps(tx, source_id, plan_id, ("state", "sent_at"), [("sent", at, number) for number in numbers])


def save_results(tx: Connection, source_id: int, plan_id: str, results: Iterable[StepState], *, at: datetime) -> None:
    """Record how these steps ended."""
    rows = [(one.state, one.version_id, one.error_code, one.error, at, one.number) for one in results]
    _set_steps(tx, source_id, plan_id, ("state", "version_id", "error_code", "error", "finished_at"), rows)


def _set_steps(
    tx: Connection, source_id: int, plan_id: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Set `columns` of some steps. Each row has their values, then the step's number."""
    statement = (
        update(restore_steps)
        .where(
            restore_steps.c.source_id == bindparam("of_source"),
            restore_steps.c.plan_id == bindparam("of_plan"),
            restore_steps.c.number == bindparam("of_number"),
        )
        .values({name: bindparam(f"new_{name}") for name in columns})
    )
    parameters = (*(f"new_{name}" for name in columns), "of_number", "of_source", "of_plan")
    run_many(tx, statement, parameters, [(*row, source_id, plan_id) for row in rows])


def _is(source_id: int, plan_id: str) -> tuple[ColumnElement[bool], ...]:
    return restore_plans.c.source_id == source_id, restore_plans.c.id == plan_id


def _of(source_id: int, plan_id: str) -> tuple[ColumnElement[bool], ...]:
    return restore_steps.c.source_id == source_id, restore_steps.c.plan_id == plan_id
