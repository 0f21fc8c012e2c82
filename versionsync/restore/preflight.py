"""Ask upstream whether it would accept each content, before anything is written: one request a step.

The vendor calls these endpoints private. If they do not answer, a plan is made without them, and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from versionsync import cma
from versionsync.ledger.content import canonical_value
from versionsync.restore.model import Act, Problem, Step
from versionsync.restore.rules import ProjectRules

__all__ = ["Refused", "check_steps"]

_NOT_THERE: Final = "INVALID_ENDPOINT"
_ABOUT_LINKS: Final = frozenset({"VALIDATION_REQUIRED", "INVALID_ITEM", "VALIDATION_INVALID_ITEM"})
_ABOUT_UNIQUES: Final = "VALIDATION_UNIQUE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What upstream would refuse, by record, and sentences for people. Both are empty if there is nothing to say."""

    problems: Mapping[str, Sequence[Problem]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.problems or self.notes)


async def check_steps(
    client: cma.Client, steps: Sequence[Step], not_there_yet: frozenset[str], rules: ProjectRules
) -> Refused:
    """Return what upstream would refuse of these steps.

    Args:
        client: A client with the token that will write.
        steps: The steps of a plan.
        not_there_yet: Records that an earlier step creates. A refusal of a field that links to one says nothing.
        rules: The project.
    """
    checked: set[str] = set()
    first = []
    for step in steps:
        if step.attributes is not None and step.record_ids[0] not in checked:
            checked.add(step.record_ids[0])
            first.append(step)
    problems: dict[str, list[Problem]] = {}
    notes: list[str] = []

    async def check(step: Step) -> None:
        if notes:
            return
        (id,) = step.record_ids
        assert step.attributes is not None and step.model_id is not None
        attributes = canonical_value(dict(step.attributes))
        try:
            if step.act is Act.CREATE:
                await client.content.check_new(step.model_id, attributes)
            else:
                await client.content.check(id, step.model_id, attributes)
        except cma.InvalidRequest as error:
            if error.code == _NOT_THERE:
                notes.append(_cannot_check(error))
            elif found := _problems(step, error, not_there_yet):
                problems[id] = found
        except (cma.NotFound, cma.PermissionDenied) as error:
            notes.append(_cannot_check(error))

    await asyncio.gather(*(check(step) for step in first))
    return Refused(problems=problems, notes=notes[:1])


def _cannot_check(error: cma.CmaError) -> str:
    return (
        f"DatoCMS could not be asked in advance ({error.message}). Values that are taken, limits of the plan and rules "
        "that this program does not know are found out while the plan is carried out."
    )


def _problems(step: Step, error: cma.InvalidRequest, not_there_yet: frozenset[str]) -> list[Problem]:
    id = step.record_ids[0]
    if not error.problems:
        return [Problem(record_id=id, path=(), code=error.code or "REFUSED", what=f"{error.message}.")]
    found = []
    for one in error.problems:
        path = tuple(one.field.split("."))
        text = canonical_value((step.attributes or {}).get(path[0])).decode()
        if one.code == _ABOUT_UNIQUES or any(f'"{other}"' in text for other in not_there_yet):
            continue
        found.append(Problem(record_id=id, path=path, code=one.code, what=f"Field {one.field}: {one.code}."))
    return found
