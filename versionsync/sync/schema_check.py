"""Check an answer about the schema against the mirror, so that an old answer writes no event.

DatoCMS caches its answers. A model or field is marked deleted only after DatoCMS returns 404 for it, asked by its id.
A deleted one is back, and a former value applies again, only if DatoCMS says so by id. If the answer by id contradicts
the list, the list is read again, a few times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy import Connection

from versionsync import cma
from versionsync.ledger.events import EventType
from versionsync.ledger.ids import ModelId
from versionsync.ledger.schema import Field, Model, Schema
from versionsync.ledger.schema_checks import Accepted, FormerValues, accept, changed_ids, questions_about
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

__all__ = ["CheckedSchema", "check_schema"]

ATTEMPTS: Final = 3
ABSENCE_ATTEMPTS: Final = 5
MAX_NAME_LENGTH: Final = 64

T = TypeVar("T", Model, Field)


@dataclass(frozen=True, slots=True)
class CheckedSchema:
    """A schema without what an old answer says.

    Attributes:
        site: The project, from the same answer.
        schema: The answer. The mirror's rows replace what it leaves out, or has in an older state.
        deleted: The models of the mirror for which DatoCMS returns 404. They are deleted, or hidden from the token.
        contradicted: The api_keys of models and fields about which DatoCMS contradicts itself, up to the last try.
        unconfirmed: How many models and fields remain for the next run, because this one has asked enough.
        unreadable: The models and fields that could not be read, by name or id, and why. The mirror's rows stay.
    """

    site: cma.Site
    schema: Schema
    deleted: frozenset[ModelId]
    contradicted: tuple[str, ...]
    unconfirmed: int
    unreadable: Mapping[str, str]


async def check_schema(ctx: RunContext, answer: cma.Schema) -> CheckedSchema:
    """Ask by id for everything in `answer` that contradicts the mirror. Read the schema again if `answer` is old.

    Without a contradiction this takes no request. Raises CmaError and MirrorError.
    """
    stored = await ctx.read(_stored)
    live, questions, again = stored.live, _Questions(ctx, stored.live), 0
    while True:
        check = _Check(ctx, stored, questions, _seen(ctx, answer, live))
        models = await check.models()
        fields = await check.fields(models)
        contradicted = _named(models, live.models, check.seen.models) + _named(fields, live.fields, check.seen.fields)
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
    return CheckedSchema(
        site=answer.site,
        schema=schema,
        deleted=frozenset(model.id for id, model in live.models.items() if id not in models.rows),
        contradicted=tuple(contradicted),
        unconfirmed=len(models.unconfirmed) + len(fields.unconfirmed),
        unreadable={_name_of(each.id, live): each.reason for each in answer.unreadable} | questions.unreadable,
    )


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


def _name_of(id: str | None, live: Schema) -> str:
    known = live.models.get(id or "") or live.fields.get(id or "")
    if known is not None:
        return known.api_key
    return ascii(id[:MAX_NAME_LENGTH]) if id else "one without an id"


@dataclass(frozen=True, slots=True)
class _Stored:
    live: Schema
    deleted: DeletedIds


def _stored(connection: Connection, source_id: int) -> _Stored:
    return _Stored(load_schema(connection, source_id), deleted_ids(connection, source_id))


class _Questions:
    """What DatoCMS says about models and fields by id; None means 404. Each is asked for once in a run.

    A 404 for one that the mirror first saw less than a day ago may be older than it is. So it is asked for a few times
    more.
    """

    def __init__(self, ctx: RunContext, live: Schema) -> None:
        self._ctx = ctx
        self._live = live
        self._live_ids = live.models.keys() | live.fields.keys()
        self._left = ctx.limits.schema_questions
        self.models: dict[str, Model | None] = {}
        self.fields: dict[str, Field | None] = {}
        self.unreadable: dict[str, str] = {}

    async def ask_for_models(self, ids: Iterable[str], *, counted: bool) -> None:
        await self._ask(ids, self.models, self._model, counted=counted)

    async def ask_for_fields(self, ids: Iterable[str]) -> None:
        await self._ask(ids, self.fields, self._field, counted=True)

    async def _ask(
        self,
        ids: Iterable[str],
        answers: dict[str, T | None],
        ask: Callable[[str], Awaitable[T | None]],
        *,
        counted: bool,
    ) -> None:
        absent: set[str] = set()
        for id in ids:
            if id in answers:
                continue
            if counted:
                if not self._left:
                    break
                self._left -= 1
            answers[id] = await self._answer(ask, id)
            if answers[id] is None and id in self._live_ids:
                absent.add(id)
        if absent:
            ctx, since = self._ctx, self._ctx.now() - MAX_ANSWER_AGE
            absent &= await ctx.read(seen_first_since, since)
        for _ in range(ABSENCE_ATTEMPTS):
            if not absent:
                break
            await asyncio.sleep(self._ctx.timings.retry)
            for id in sorted(absent):
                answers[id] = await self._answer(ask, id)
            absent = {id for id in absent if answers[id] is None}

    @staticmethod
    async def _answer(ask: Callable[[str], Awaitable[T | None]], id: str) -> T | None:
        try:
            return await ask(id)
        except cma.NotFound:
            return None

    async def _model(self, id: str) -> Model | None:
        try:
            model = model_of(await self._ctx.client.item_type(id))
        except cma.ProtocolError as error:
            return self._as_stored(id, error, self._live.models.get(id))
        return normalized(model, self._ctx.database.mirror.dialect)

    async def _field(self, id: str) -> Field | None:
        try:
            field = field_of(await self._ctx.client.field(id))
        except cma.ProtocolError as error:
            return self._as_stored(id, error, self._live.fields.get(id))
        return normalized(field, self._ctx.database.mirror.dialect)

    def _as_stored(self, id: str, error: cma.ProtocolError, stored: T | None) -> T | None:
        """Return the mirror's row for one that exists but cannot be read: it stays live, or deleted."""
        if isinstance(error, cma.EnvironmentChanged):
            raise error
        self.unreadable[_name_of(id, self._live)] = str(error)
        return stored


class _Check:
    """One answer, `seen`, compared with what the mirror holds."""

    def __init__(self, ctx: RunContext, stored: _Stored, questions: _Questions, seen: Schema) -> None:
        self._ctx = ctx
        self._stored = stored
        self._questions = questions
        self.seen = seen

    async def models(self) -> Accepted[Model]:
        live, seen = self._stored.live.models, self.seen.models
        former = await self._former(EventType.MODEL_CHANGED, changed_ids(live, seen))
        doubts = questions_about(live, self._stored.deleted.models, seen, former=former)
        await self._questions.ask_for_models(sorted(doubts.missing), counted=False)
        await self._questions.ask_for_models(doubts.ids, counted=True)
        return accept(live, seen, doubts, self._questions.models)

    async def fields(self, models: Accepted[Model]) -> Accepted[Field]:
        """Do the same for fields. The fields of a model that is absent or back follow their model."""
        stored, named = self._stored, self.seen.models
        absent = (stored.live.models.keys() | named.keys()) - models.rows.keys()
        live = {id: field for id, field in stored.live.fields.items() if field.model_id not in absent}
        seen = {id: field for id, field in self.seen.fields.items() if field.model_id not in absent}
        unnamed = stored.live.models.keys() - named.keys()
        seen = {id: field for id, field in live.items() if field.model_id in unnamed} | seen
        back = stored.deleted.models & models.rows.keys()
        deleted = {id for id in stored.deleted.fields if id in seen and seen[id].model_id not in back}
        former = await self._former(EventType.FIELD_CHANGED, changed_ids(live, seen))
        doubts = questions_about(live, deleted, seen, former=former)
        await self._questions.ask_for_fields(doubts.ids)
        return accept(live, seen, doubts, self._questions.fields)

    async def _former(self, type: EventType, ids: list[str]) -> FormerValues:
        if not ids:
            return {}
        return await self._ctx.read(former_values, type, ids)


def _named(accepted: Accepted[T], live: Mapping[str, T], seen: Mapping[str, T]) -> list[str]:
    """Return the api_keys of the models or fields about which DatoCMS contradicts itself."""
    return [(live.get(id) or seen[id]).api_key for id in accepted.contradicted]
