"""Ask upstream whether it would accept each content, before anything is written: one request for each content.

The vendor calls these endpoints private. If they do not answer, a plan is made without them, and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from versionsync import cma
from versionsync.backoff import Backoff
from versionsync.history.diff.model import Json
from versionsync.ledger.content import canonical_value, parse_value
from versionsync.restore.claims import Claim, block_ids, described, is_about_blocks, without_block_ids
from versionsync.restore.field_matches import is_block
from versionsync.restore.model import Act, Problem, Step, Task
from versionsync.restore.rules import ProjectRules

__all__ = ["Preflight", "Refused"]

_NOT_THERE: Final = frozenset({"INVALID_ENDPOINT", "TOO_MANY_OPERATIONS"})
_UNIQUE: Final = "VALIDATION_UNIQUE"
_ABOUT_PARENT: Final = frozenset({"INVALID_PARENT_ID", "UNPUBLISHED_PARENT"})
_ABOUT_LINK: Final = frozenset({"UNPUBLISHED_LINK"})
_ABOUT_SINGLETON: Final = frozenset({"DUPLICATE_SINGLETON", "ITEM_TYPE_IS_SINGLETON"})
_CANNOT_MOVE_YET: Final = "INVALID_PARENT"
_DELAYS: Final = Backoff(0.5, 8.0)
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What upstream would refuse, by record, and sentences for people. Both are empty if there is nothing to say."""

    problems: Mapping[str, Sequence[Problem]] = field(default_factory=dict)
    notes: Sequence[str] = ()


class Preflight:
    """Asks about contents. What was asked once is not asked again: a plan is put in order several times."""

    def __init__(self, client: cma.Client, rules: ProjectRules) -> None:
        self._client = client
        self._rules = rules
        self._answers: dict[tuple[str, bytes], cma.InvalidRequest | None] = {}
        self._notes: list[str] = []
        self._takes_block_ids = True
        self._random = Random()  # noqa: S311 - jitter

    async def check(self, steps: Sequence[Step], tasks: Mapping[str, Task]) -> Refused:
        """Return what upstream would refuse of these steps.

        A refusal for which an earlier step is the remedy says nothing: a link to a record that is created before, a
        value that another record gives up, a parent that is not there yet.

        Args:
            steps: The steps of a plan.
            tasks: The tasks that they come from, by record.
        """
        earlier = _Earlier(tasks, self._rules)
        problems: dict[str, list[Problem]] = {}

        async def ask(task: Task, content: dict[str, Json]) -> None:
            refusal = await self._answer(task, content)
            if refusal is not None and (found := earlier.problems(task, content, refusal)):
                problems.setdefault(task.record_id, []).extend(found)

        await asyncio.gather(*(ask(task, content) for task, content in _contents(steps, tasks)))
        notes, self._notes = self._notes[:1], []
        if not self._takes_block_ids:
            notes.append(f"{described([Claim.BLOCK_IDS])}: blocks that are gone come back under new ids.")
        return Refused(problems=problems, notes=notes)

    async def _answer(self, task: Task, content: dict[str, Json]) -> cma.InvalidRequest | None:
        key = task.record_id, canonical_value(content)
        if key not in self._answers and not self._notes:
            self._answers[key] = await self._ask(task, content)
        return self._answers.get(key)

    async def _ask(self, task: Task, content: dict[str, Json]) -> cma.InvalidRequest | None:
        sent: Json = content if self._takes_block_ids else await self._without_new_block_ids(task, content)
        try:
            await self._send(task, canonical_value(sent))
        except cma.InvalidRequest as error:
            if error.code in _NOT_THERE:
                self._notes.append(_cannot_check(error))
                return None
            if is_about_blocks(error) and sent is content and block_ids(content):
                sent = await self._without_new_block_ids(task, content)
                try:
                    await self._send(task, canonical_value(sent))
                except cma.InvalidRequest as other:
                    return other if not is_about_blocks(other) else error
                self._takes_block_ids = False
                return None
            return error
        except (cma.NotFound, cma.PermissionDenied) as error:
            self._notes.append(_cannot_check(error))
        return None

    async def _send(self, task: Task, attributes: bytes) -> None:
        """Ask once, and again while upstream is unavailable: the question changes nothing."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                if task.is_new:
                    await self._client.content.check_new(task.model_id, attributes)
                else:
                    await self._client.content.check(task.record_id, task.model_id, attributes)
            except cma.Unavailable as error:
                if attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(max(_DELAYS.delay(attempt, self._random), error.retry_after or 0.0))
            else:
                return

    async def _without_new_block_ids(self, task: Task, content: Json) -> Json:
        kept: set[str] = set()
        if not task.is_new:
            item = await self._client.item(task.record_id, nested=True)
            kept = block_ids(parse_value(item.attributes_raw))
        return without_block_ids(content, kept=kept)


def _contents(steps: Sequence[Step], tasks: Mapping[str, Task]) -> list[tuple[Task, dict[str, Json]]]:
    """Return what the steps send, each with what was sent before, and what they only publish.

    A record that is only published must satisfy the rules of now: they can be newer than its content.
    """
    sent: dict[str, dict[str, Json]] = {}
    found = []
    for step in steps:
        if step.act in (Act.CREATE, Act.UPDATE) and step.attributes is not None:
            (id,) = step.record_ids
            sent[id] = {**sent.get(id, {}), **step.attributes}
            found.append((tasks[id], sent[id]))
        elif step.act is Act.PUBLISH:
            for task in (tasks[id] for id in step.record_ids if id not in sent):
                if task.live is not None:
                    sent[task.record_id] = dict(task.live.attributes)
                    found.append((task, sent[task.record_id]))
    return found


class _Earlier:
    """What the plan does before a content is sent, so that upstream cannot accept the content yet."""

    def __init__(self, tasks: Mapping[str, Task], rules: ProjectRules) -> None:
        self._new = {f'"{id}"' for id, task in tasks.items() if task.is_new}
        self._live_later = {f'"{id}"' for id, task in tasks.items() if task.is_new or task.live is not None}
        self._freed = {
            (task.model_id, key, value)
            for task in tasks.values()
            for key, value in (*task.frees.items(), *task.live_frees.items())
        }
        self._deletes = {task.model_id for task in tasks.values() if task.deletes}
        self._is_moving = any(
            not task.is_new and "parent_id" in one.attributes
            for task in tasks.values()
            for one in (task.live, task.draft)
            if one is not None
        )

    def problems(self, task: Task, content: Mapping[str, Json], error: cma.InvalidRequest) -> list[Problem]:
        """Return what a refusal says of the content itself."""
        id = task.record_id
        if not error.problems:
            if self._explains(task, content, error.code or ""):
                return []
            return [Problem(record_id=id, path=(), code=error.code or "REFUSED", what=f"{error.message}.")]
        found = []
        for one in error.problems:
            path = tuple(one.field.split("."))
            value = content.get(path[0])
            if one.code == _UNIQUE:
                is_explained = self._frees(task.model_id, path[0], value)
            else:
                is_explained = _names(_at(content, path), self._new)
            if not is_explained:
                found.append(Problem(record_id=id, path=path, code=one.code, what=f"Field {one.field}: {one.code}."))
        return found

    def _explains(self, task: Task, content: Mapping[str, Json], code: str) -> bool:
        if code in _ABOUT_PARENT:
            return _names(content.get("parent_id"), self._live_later)
        if code in _ABOUT_LINK:
            return _names(dict(content), self._live_later)
        if code == _CANNOT_MOVE_YET:
            return self._is_moving
        return code in _ABOUT_SINGLETON and task.model_id in self._deletes

    def _frees(self, model_id: str, api_key: str, value: Json) -> bool:
        values = value.items() if isinstance(value, dict) else [("", value)]
        wanted = {(model_id, (api_key, locale), canonical_value(one)) for locale, one in values}
        return not wanted.isdisjoint(self._freed)


def _at(content: Mapping[str, Json], path: Sequence[str]) -> Json:
    """Return the value that a path names, through locales, lists and blocks. If it leads astray: what is around it."""
    value: Json = content.get(path[0])
    for name in path[1:]:
        if is_block(value):
            value = value["attributes"]
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict) and (name in value or "document" not in value):
            value = value.get(name)
        else:
            break
    return value


def _names(value: Json, quoted: set[str]) -> bool:
    text = canonical_value(value).decode()
    return any(one in text for one in quoted)


def _cannot_check(error: cma.CmaError) -> str:
    return (
        f"DatoCMS could not be asked in advance ({error.message}). Values that are taken, limits of the plan and rules "
        "that this program does not know are found out while the plan is carried out."
    )
