"""Check an answer about the schema against the mirror, so that an old answer writes no event.

Upstream caches its answers. A model or field is marked deleted only after DatoCMS returns 404 for it, asked by its id.
What was deleted is back, and a former value is in force again, only if upstream says so by id. If the answer by id
contradicts the list, the list is read again, a few times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from sqlalchemy import Connection

from versionsync import cma
from versionsync.ledger.events import EventType
from versionsync.ledger.ids import ModelId
from versionsync.ledger.schema import Field, Model, Schema
from versionsync.ledger.schema_doubts import Accepted, FormerValues, accept, changed_ids, questions_about
from versionsync.mirror.tables.models import (
    DeletedIds,
    deleted_ids,
    former_values,
    load_schema,
    normalized,
    seen_first_since,
)
from versionsync.sync.beacon import MAX_ANSWER_AGE
from versionsync.sync.context import Context
from versionsync.sync.translate import field_of, item_type_of, model_of, schema_of, upstream_field_of

__all__ = ["CheckedSchema", "check_schema"]

ATTEMPTS: Final = 3
ASK_AGAIN_SECONDS: Final = 0.5
ABSENCE_ATTEMPTS: Final = 5
LONGEST_NAME: Final = 64
MAX_QUESTIONS: Final = 50
"""The most questions by id in a run. Models that may be deleted are not counted: their records depend on them."""

T = TypeVar("T", Model, Field)


@dataclass(frozen=True, slots=True)
class CheckedSchema:
    """A schema without what an old answer says.

    schema: The answer. The mirror's own rows stand for what it leaves out or has as before.
    gone: The models of the mirror for which upstream returns 404. They are deleted, or hidden from the token.
    contradicted: The api_keys of models and fields about which upstream contradicts itself, to the last try.
    unasked: How many models and fields are left for the next run, because this one has asked enough.
    unreadable: The models and fields that could not be read, by their names or ids, and why. The mirror's rows stand.
    """

    schema: cma.Schema
    deleted: frozenset[ModelId]
    contradicted: tuple[str, ...]
    unconfirmed: int
    unreadable: Mapping[str, str]


async def check_schema(desk: Context, client: cma.Client, source_id: int, answer: cma.Schema) -> CheckedSchema:
    """Ask by id for whatever `answer` contradicts the mirror about. Reads the schema again if `answer` is old.

    Costs nothing without a contradiction. Raises CmaError and MirrorError.
    """
    held = await desk.read(lambda connection: _held(connection, source_id))
    questions = _Questions(desk, client, source_id, held)
    again = 0
    while True:
        answer = _with_unreadable(answer, held.live)
        check = _Check(desk, source_id, held, questions, await desk.read(_kept(schema_of(answer))))
        models = await check.models()
        fields = await check.fields(models)
        contradicted = _named(models, _by_text(held.live.models), _by_text(check.seen.models))
        contradicted += _named(fields, held.live.fields, check.seen.fields)
        if not contradicted or again == ATTEMPTS:
            break
        again += 1
        await asyncio.sleep(ASK_AGAIN_SECONDS)
        answer = await client.schema()
    model_rows, field_rows = dict(models.rows), dict(fields.rows)
    if contradicted:  # then the whole answer is old: of what is known, nothing in it is news
        model_rows = {id: held.live.models.get(ModelId(id), row) for id, row in model_rows.items()}
        field_rows = {id: held.live.fields.get(id, row) for id, row in field_rows.items()}
    return CheckedSchema(
        schema=_as_answered(answer, check.seen, model_rows, field_rows),
        deleted=frozenset(held.live.models.keys() - models.rows.keys()),
        contradicted=tuple(contradicted),
        unconfirmed=len(models.unconfirmed) + len(fields.unconfirmed),
        unreadable={_name_of(each.id, held.live): each.reason for each in answer.unreadable} | questions.unreadable,
    )


def _with_unreadable(answer: cma.Schema, live: Schema) -> cma.Schema:
    """`answer` with the mirror's own rows for the models and fields that could not be read."""
    ids = {each.id for each in answer.unreadable}
    models = [item_type_of(model) for id, model in live.models.items() if id in ids]
    fields = [upstream_field_of(field) for id, field in live.fields.items() if id in ids]
    return msgspec.structs.replace(answer, item_types=(*answer.item_types, *models), fields=(*answer.fields, *fields))


def _name_of(id: str | None, live: Schema) -> str:
    known = live.models.get(ModelId(id or "")) or live.fields.get(id or "")
    if known is not None:
        return known.api_key
    return ascii(id[:LONGEST_NAME]) if id else "one without an id"


@dataclass(frozen=True, slots=True)
class _Held:
    live: Schema
    deleted: DeletedIds


def _held(connection: Connection, source_id: int) -> _Held:
    return _Held(load_schema(connection, source_id), deleted_ids(connection, source_id))


def _kept(seen: Schema) -> Callable[[Connection], Schema]:
    return lambda connection: normalized(connection, seen)


class _Questions:
    """What upstream says of models and fields by id; None: 404. Each is asked for once in a run.

    One that the mirror first saw less than a day ago, and for which upstream returns 404, is asked for a few times
    more: the answer may be older than it is.
    """

    def __init__(self, desk: Context, client: cma.Client, source_id: int, held: _Held) -> None:
        self._desk = desk
        self._client = client
        self._source_id = source_id
        self._held = held.live
        self._live = held.live.models.keys() | held.live.fields.keys()
        self._left = MAX_QUESTIONS
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
            if answers[id] is None and id in self._live:
                absent.add(id)
        if absent:
            since = self._desk.now() - MAX_ANSWER_AGE
            absent &= await self._desk.read(lambda connection: seen_first_since(connection, self._source_id, since))
        for _ in range(ABSENCE_ATTEMPTS):
            if not absent:
                break
            await asyncio.sleep(ASK_AGAIN_SECONDS)
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
            model = model_of(await self._client.item_type(id))
        except cma.ProtocolError as error:
            return self._as_held(id, error, self._held.models.get(ModelId(id)))
        return (await self._desk.read(_kept(Schema({model.id: model}, {})))).models[model.id]

    async def _field(self, id: str) -> Field | None:
        try:
            field = field_of(await self._client.field(id))
        except cma.ProtocolError as error:
            return self._as_held(id, error, self._held.fields.get(id))
        return (await self._desk.read(_kept(Schema({}, {field.id: field})))).fields[field.id]

    def _as_held(self, id: str, error: cma.ProtocolError, held: T | None) -> T | None:
        """What is there and cannot be read stays as it was known: live, or deleted."""
        if isinstance(error, cma.EnvironmentChanged):
            raise error
        self.unreadable[_name_of(id, self._held)] = str(error)
        return held


class _Check:
    """One answer, `seen`, compared with what the mirror holds."""

    def __init__(self, desk: Context, source_id: int, held: _Held, questions: _Questions, seen: Schema) -> None:
        self._desk = desk
        self._source_id = source_id
        self._held = held
        self._questions = questions
        self.seen = seen

    async def models(self) -> Accepted[Model]:
        live, seen = _by_text(self._held.live.models), _by_text(self.seen.models)
        former = await self._former(EventType.MODEL_CHANGED, changed_ids(live, seen))
        doubts = questions_about(live, self._held.deleted.models, seen, former=former)
        await self._questions.ask_for_models(sorted(doubts.missing), counted=False)
        await self._questions.ask_for_models(doubts.ids, counted=True)
        return accept(live, seen, doubts, self._questions.models)

    async def fields(self, models: Accepted[Model]) -> Accepted[Field]:
        """As `models`, which are decided by now. The fields of a model that is gone or back come along with it."""
        held, named = self._held, self.seen.models
        absent = (held.live.models.keys() | named.keys()) - models.rows.keys()
        live = {id: field for id, field in held.live.fields.items() if field.model_id not in absent}
        seen = {id: field for id, field in self.seen.fields.items() if field.model_id not in absent}
        unnamed = held.live.models.keys() - named.keys()
        seen = {id: field for id, field in live.items() if field.model_id in unnamed} | seen
        back = held.deleted.models & models.rows.keys()
        deleted = {id for id in held.deleted.fields if id in seen and seen[id].model_id not in back}
        former = await self._former(EventType.FIELD_CHANGED, changed_ids(live, seen))
        doubts = questions_about(live, deleted, seen, former=former)
        await self._questions.ask_for_fields(doubts.ids)
        return accept(live, seen, doubts, self._questions.fields)

    async def _former(self, type: EventType, ids: list[str]) -> FormerValues:
        if not ids:
            return {}
        return await self._desk.read(lambda connection: former_values(connection, self._source_id, type, ids))


def _named(belief: Accepted[T], live: Mapping[str, T], seen: Mapping[str, T]) -> list[str]:
    """The api_keys of what upstream contradicts itself about."""
    return [(live.get(id) or seen[id]).api_key for id in belief.contradicted]


def _by_text(models: Mapping[ModelId, Model]) -> dict[str, Model]:
    return {str(id): model for id, model in models.items()}


def _as_answered(
    answer: cma.Schema, seen: Schema, models: Mapping[str, Model], fields: Mapping[str, Field]
) -> cma.Schema:
    """`answer` with these rows; what is in them as it was seen is handed on as upstream sent it."""
    item_types = {each.id: each for each in answer.item_types}
    sent = {each.id: each for each in answer.fields}
    return cma.Schema(
        site=answer.site,
        item_types=tuple(
            item_types[id] if row is seen.models.get(ModelId(id)) else item_type_of(row) for id, row in models.items()
        ),
        fields=tuple(sent[id] if row is seen.fields.get(id) else upstream_field_of(row) for id, row in fields.items()),
    )
