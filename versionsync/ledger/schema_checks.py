"""Where an answer about the schema contradicts the mirror, and what to believe then. Pure.

Upstream's list of models and fields comes through caches, so an answer can be old. An old answer lacks what is new,
names what was deleted, and has values that were changed since. Each of these contradicts what the mirror wrote last.
Upstream is asked for every such model or field by its id, and that answer decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from versionsync.ledger.events import JsonValue
from versionsync.ledger.schema import Field, Model, changed_members, is_same_value

__all__ = ["Accepted", "FormerValues", "Questions", "accept", "changed_ids", "questions_about"]

T = TypeVar("T", Model, Field)

FormerValues = Mapping[str, Mapping[str, Sequence[JsonValue]]]
"""The values that the members of a model or field had before, by its id and the member's name."""


@dataclass(frozen=True, slots=True)
class Questions:
    """The ids about which an answer contradicts the mirror.

    missing: The mirror holds them, the answer does not name them.
    returned: The answer names them, the mirror has them as deleted.
    reverted: Their members that have a value again which they had before.
    """

    missing: frozenset[str]
    returned: frozenset[str]
    reverted: Mapping[str, frozenset[str]]

    @property
    def ids(self) -> list[str]:
        """All of them, those that may be deleted first."""
        return [*sorted(self.missing), *sorted(self.returned), *sorted(self.reverted)]


@dataclass(frozen=True, slots=True)
class Accepted(Generic[T]):
    """What to believe after upstream was asked by id.

    rows: The models or fields, by id. What is not in here is deleted, or was never there.
    contradicted: The ids for which the answer by id contradicts the list. The list is old then.
    unasked: The ids that were not requested yet. Their rows stay as they are.
    """

    rows: Mapping[str, T]
    contradicted: tuple[str, ...]
    unconfirmed: tuple[str, ...]


def changed_ids(live: Mapping[str, T], seen: Mapping[str, T]) -> list[str]:
    """The ids of what is in both, with different descriptions."""
    return [id for id, row in seen.items() if id in live and changed_members(live[id], row)]


def questions_about(
    live: Mapping[str, T], deleted: Collection[str], seen: Mapping[str, T], *, former: FormerValues
) -> Questions:
    """Compare the answer `seen` with what the mirror holds.

    Args:
        live: The rows of the mirror that are not deleted.
        deleted: The ids of those that are.
        seen: What the answer names.
        former: The former values of at least those that `changed_ids` returns.
    """
    reverted = {
        id: _reverted(live[id], seen[id], former.get(id, {})) for id in seen.keys() & live.keys() & former.keys()
    }
    return Questions(
        missing=frozenset(live.keys() - seen.keys()),
        returned=frozenset(seen.keys() & set(deleted)),
        reverted={id: members for id, members in reverted.items() if members},
    )


def accept(
    live: Mapping[str, T], seen: Mapping[str, T], doubts: Questions, answers: Mapping[str, T | None]
) -> Accepted[T]:
    """Decide about each doubt by `answers`: what upstream says by id; None: it answered 404."""
    rows = dict(seen)
    contradicted, unasked = [], []
    for id in doubts.ids:
        if id not in answers:
            unasked.append(id)
        elif _contradicts(id, seen, doubts, answers[id]):
            contradicted.append(id)
        else:
            continue
        if id in live:
            rows[id] = live[id]
        else:
            del rows[id]
    return Accepted(rows, tuple(contradicted), tuple(unasked))


def _contradicts(id: str, seen: Mapping[str, T], doubts: Questions, answer: T | None) -> bool:
    if id in doubts.missing:
        return answer is not None
    if id in doubts.returned or answer is None:
        return answer is None
    return not doubts.reverted[id].isdisjoint(changed_members(seen[id], answer))


def _reverted(live: T, seen: T, former: Mapping[str, Sequence[JsonValue]]) -> frozenset[str]:
    changes = changed_members(live, seen)
    return frozenset(
        name
        for name, (_, after) in changes.items()
        if any(is_same_value(after, value) for value in former.get(name, ()))
    )
