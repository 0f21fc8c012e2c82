"""Check an answer about the schema against the mirror, so that an old answer writes no event.

DatoCMS caches its answers. A model or field is marked deleted only after DatoCMS returns 404 for it, asked by its id.
A deleted one is back, and a former value applies again, only if DatoCMS says so by id. If the answer by id contradicts
the list, the list is read again, a few times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from versionsync import cma
from versionsync.ledger.events import EventType
from versionsync.ledger.ids import ModelId
from versionsync.ledger.schema import Field, Model, Schema
from versionsync.ledger.schema_checks import Accepted, accept, changed_ids, questions_about
from versionsync.mirror.tables.models import (
    DeletedIds,
    deleted_ids,
    former_values,
    load_schema,
    normalized,
    seen_first_since,
)
from versionsync.sync.api_to_ledger import field_of, model_of, schema_of
from versionsync.sync.beacon import MAX_ANSWER_AGE
from versionsync.sync.context import RunContext
from versionsync.sync.stage_results import StageResult

__all__ = ["CheckedSchema", "check_schema"]

ATTEMPTS: Final = 3
ABSENCE_ATTEMPTS: Final = 5
MAX_NAME_LENGTH: Final = 64
NAMES_SHOWN: Final = 5

T = TypeVar("T", Model, Field)


@dataclass(frozen=True, slots=True)
class CheckedSchema:
    """A schema without what an old answer says.

    Attributes:
        site: The project, from the same answer.
        schema: The answer. The mirror's rows replace what it leaves out, or has in an older state.
        deleted: The models of the mirror for which DatoCMS returns 404. They are deleted, or hidden from the token.
        result: What could not be checked, and stays as it was known.
    """

    site: cma.Site
    schema: Schema
    deleted: frozenset[ModelId]
    result: StageResult


async def check_schema(ctx: RunContext, answer: cma.Schema) -> CheckedSchema:
    """Ask by id for everything in `answer` that contradicts the mirror. Read the schema again if `answer` is old.

    Without a contradiction this takes no request. Raises CmaError and MirrorError.
    """

    async def fetch_model(id: str) -> Model:
        return model_of(await ctx.client.item_type(id))

    async def fetch_field(id: str) -> Field:
        return field_of(await ctx.client.field(id))

    live, deleted = await ctx.read(lambda tx, source: (load_schema(tx, source), deleted_ids(tx, source)))
    budget, again = _Budget(ctx.limits.schema_questions), 0
    about_models = _Questions(ctx, live.models, fetch_model, budget)
    about_fields = _Questions(ctx, live.fields, fetch_field, budget)
    while True:
        seen = _seen(ctx, answer, live)
        models = await about_models.check(live.models, deleted.models, seen.models, EventType.MODEL_CHANGED)
        to_check = _fields_to_check(live, deleted, seen, models.rows)
        fields = await about_fields.check(*to_check, EventType.FIELD_CHANGED)
        contradicted = _named(models, live.models, seen.models) + _named(fields, live.fields, seen.fields)
        if not contradicted or again == ATTEMPTS:
            break
        again += 1
        await asyncio.sleep(ctx.timings.retry)
        answer = await ctx.client.schema()
    schema = Schema(models.rows, fields.rows)
    if contradicted:  # the whole answer is old: keep what is known
        schema = Schema(
            {id: live.models.get(id, row) for id, row in models.rows.items()},
            {id: live.fields.get(id, row) for id, row in fields.rows.items()},
        )
    known: dict[str, Model | Field] = {**live.models, **live.fields}
    unreadable = {_name_of(each.id, known.get(each.id or "")): each.reason for each in answer.unreadable}
    return CheckedSchema(
        site=answer.site,
        schema=schema,
        deleted=frozenset(model.id for id, model in live.models.items() if id not in models.rows),
        result=_open_questions(
            contradicted,
            unreadable | about_models.unreadable | about_fields.unreadable,
            unconfirmed=len(models.unconfirmed) + len(fields.unconfirmed),
        ),
    )


def _open_questions(contradicted: list[str], unreadable: Mapping[str, str], *, unconfirmed: int) -> StageResult:
    notes = []
    if unconfirmed:
        notes.append(
            f"{unconfirmed} models and fields of the schema are deleted or changed as it seems; "
            "the next runs ask for them"
        )
    if unreadable:
        name, reason = next(iter(unreadable.items()))
        notes.append(
            "models or fields that cannot be read stay as they were known, and of new ones no record is mirrored: "
            f"{', '.join(list(unreadable)[:NAMES_SHOWN])} ({name}: {reason})"
        )
    if contradicted:
        notes.append(
            "the list of models and fields contradicts what upstream says of single ones "
            f"({', '.join(contradicted[:NAMES_SHOWN])}): the schema stays as it was known"
        )
    is_complete = not (unreadable or contradicted)
    return StageResult(notes=tuple(notes), is_complete=is_complete, schema_is_settled=not notes)


def _seen(ctx: RunContext, answer: cma.Schema, live: Schema) -> Schema:
    """Return the answer as the database stores it, with the mirror's rows for what could not be read."""
    seen, unreadable = schema_of(answer), {each.id for each in answer.unreadable}
    dialect = ctx.database.mirror.dialect
    return Schema(
        {id: normalized(model, dialect) for id, model in seen.models.items()}
        | {id: model for id, model in live.models.items() if id in unreadable},
        {id: normalized(field, dialect) for id, field in seen.fields.items()}
        | {id: field for id, field in live.fields.items() if id in unreadable},
    )


def _name_of(id: str | None, known: Model | Field | None) -> str:
    if known is not None:
        return known.api_key
    return ascii(id[:MAX_NAME_LENGTH]) if id else "one without an id"


def _fields_to_check(
    live: Schema, deleted: DeletedIds, seen: Schema, models: Mapping[str, Model]
) -> tuple[Mapping[str, Field], Collection[str], Mapping[str, Field]]:
    """Return the fields to compare: live ones, deleted ones and seen ones. Those of a model that is absent follow it.

    Args:
        live: What the mirror holds.
        deleted: What it holds as deleted. The fields of a model that is back are back with it.
        seen: What the answer names. It leaves out the fields of models that it does not name.
    """
    absent = (live.models.keys() | seen.models.keys()) - models.keys()
    unnamed, back = live.models.keys() - seen.models.keys(), deleted.models & models.keys()
    live_fields = {id: field for id, field in live.fields.items() if field.model_id not in absent}
    named = {id: field for id, field in seen.fields.items() if field.model_id not in absent}
    seen_fields = {id: field for id, field in live_fields.items() if field.model_id in unnamed} | named
    deleted_fields = {id for id in deleted.fields if id in seen_fields and seen_fields[id].model_id not in back}
    return live_fields, deleted_fields, seen_fields


@dataclass(slots=True)
class _Budget:
    """How many more models and fields this run may ask for."""

    left: int


class _Questions(Generic[T]):
    """What DatoCMS says about models, or about fields, by id. None means 404. Each is asked for once in a run.

    A 404 for one that the mirror first saw less than a day ago may be older than it is. So it is asked for a few times
    more.
    """

    def __init__(
        self, ctx: RunContext, live: Mapping[str, T], fetch: Callable[[str], Awaitable[T]], budget: _Budget
    ) -> None:
        self._ctx = ctx
        self._live: Mapping[str, T] = live
        self._fetch: Callable[[str], Awaitable[T]] = fetch
        self._budget = budget
        self._answers: dict[str, T | None] = {}
        self.unreadable: dict[str, str] = {}

    async def check(
        self, live: Mapping[str, T], deleted: Collection[str], seen: Mapping[str, T], type: EventType
    ) -> Accepted[T]:
        """Return what to believe of an answer.

        Args:
            live: What the mirror holds.
            deleted: The ids of what it holds as deleted.
            seen: What the answer names.
            type: The type of the events that have former values.
        """
        changed = changed_ids(live, seen)
        former = await self._ctx.read(former_values, type, changed) if changed else {}
        doubts = questions_about(live, deleted, seen, former=former)
        if type is EventType.MODEL_CHANGED:  # their records depend on them, whatever it costs
            await self._ask(sorted(doubts.missing), counted=False)
        await self._ask(doubts.ids, counted=True)
        return accept(live, seen, doubts, self._answers)

    async def _ask(self, ids: Iterable[str], *, counted: bool) -> None:
        absent: set[str] = set()
        for id in ids:
            if id in self._answers:
                continue
            if counted:
                if not self._budget.left:
                    break
                self._budget.left -= 1
            self._answers[id] = await self._answer(id)
            if self._answers[id] is None and id in self._live:
                absent.add(id)
        if absent:
            absent &= await self._ctx.read(seen_first_since, self._ctx.now() - MAX_ANSWER_AGE)
        for _ in range(ABSENCE_ATTEMPTS):
            if not absent:
                break
            await asyncio.sleep(self._ctx.timings.retry)
            for id in sorted(absent):
                self._answers[id] = await self._answer(id)
            absent = {id for id in absent if self._answers[id] is None}

    async def _answer(self, id: str) -> T | None:
        try:
            return normalized(await self._fetch(id), self._ctx.database.mirror.dialect)
        except cma.NotFound:
            return None
        except cma.EnvironmentChanged:
            raise
        except cma.ProtocolError as error:  # it exists, but cannot be read: it stays live, or deleted
            known = self._live.get(id)
            self.unreadable[_name_of(id, known)] = str(error)
            return known


def _named(accepted: Accepted[T], live: Mapping[str, T], seen: Mapping[str, T]) -> list[str]:
    """Return the api_keys of the models or fields about which DatoCMS contradicts itself."""
    return [(live.get(id) or seen[id]).api_key for id in accepted.contradicted]
