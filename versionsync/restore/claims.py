"""What a write claims besides its content: creator, times, stage, the ids of blocks. Upstream may refuse each. Pure.

A refused claim keeps no content from coming back: the write is sent again with less, and the loss is reported. What was
refused once is not sent again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain, combinations
from typing import Final

from versionsync import cma
from versionsync.history.diff.model import Json
from versionsync.restore.field_matches import is_block
from versionsync.restore.model import Creation, Step

__all__ = ["Claim", "Refusals", "block_ids", "creator_of", "described", "is_about_blocks", "without_block_ids"]


class Claim(StrEnum):
    """What can be left out. The values are words for people."""

    CREATOR = "its creator"
    STAGE = "its stage"
    TIMES = "the times of its past"
    BLOCK_IDS = "the ids of its blocks"


_OF_META: Final = (Claim.CREATOR, Claim.STAGE, Claim.TIMES)
_PERMITTED: Final = frozenset({Claim.CREATOR, Claim.STAGE})
"""What a role may forbid."""
_ABOUT_META: Final = frozenset({"INVALID_ATTRIBUTES", "INVALID_FORMAT", "INVALID_PARAMS"})
_ABOUT_FIELD: Final = "INVALID_FIELD"
_ABOUT_BLOCK: Final = "INVALID_BLOCK"


@dataclass(slots=True)
class Refusals:
    """What upstream has refused so far. A creator can be refused alone: its account may be gone."""

    _all: set[Claim] = field(default_factory=set)
    _creators: set[cma.Ref] = field(default_factory=set)

    def known(self, step: Step) -> frozenset[Claim]:
        """Return the claims of a step that need not be sent."""
        creator = creator_of(step.creation)
        is_gone = creator is not None and creator in self._creators
        return frozenset(self._all | ({Claim.CREATOR} if is_gone else set())) & claims_of(step)

    def next_without(self, step: Step, error: cma.CmaError, tried: Collection[frozenset[Claim]]) -> frozenset[Claim]:
        """Return which claims to leave out of the next try of a step. Empty: the refusal is about something else.

        Args:
            step: A step that creates or updates a record.
            error: The refusal of the last try.
            tried: What the tries so far left out, in order. The first one left out what is known.
        """
        claims, last = claims_of(step), list(tried)[-1]
        if is_about_blocks(error):
            left = frozenset({Claim.BLOCK_IDS}) & claims - last
            return last | left if left else left
        if isinstance(error, cma.PermissionDenied):
            choices: frozenset[Claim] = _PERMITTED
        elif isinstance(error, cma.InvalidRequest) and error.code in _ABOUT_META and not error.problems:
            choices = frozenset(_OF_META)
        else:
            return frozenset()
        base = next(iter(tried)) | (last & {Claim.BLOCK_IDS})
        choices = choices & claims - base
        return next((base | one for one in _smallest_first(choices) if base | one not in tried), frozenset())

    def learn(self, step: Step, without: frozenset[Claim], error: cma.CmaError) -> None:
        """Remember what a step had to leave out. `error` is the last refusal before it succeeded."""
        creator = creator_of(step.creation)
        if creator is not None and Claim.CREATOR in without and error.code == "INVALID_ATTRIBUTES":
            self._creators.add(creator)
            without -= {Claim.CREATOR}
        self._all |= without


def claims_of(step: Step) -> frozenset[Claim]:
    """Return what a step claims."""
    past = step.creation
    found = {
        Claim.CREATOR: creator_of(past) is not None,
        Claim.STAGE: step.stage is not None,
        Claim.TIMES: past is not None and (past.created_at or past.first_published_at) is not None,
        Claim.BLOCK_IDS: step.attributes is not None and bool(block_ids(dict(step.attributes))),
    }
    return frozenset(claim for claim, is_there in found.items() if is_there)


def creator_of(past: Creation | None) -> cma.Ref | None:
    """Return the creator that a creation claims."""
    if past is None or past.creator_type is None or past.creator_id is None:
        return None
    return cma.Ref(type=past.creator_type, id=past.creator_id)


def described(without: Collection[Claim]) -> str:
    """Return a sentence about what was left out."""
    return f"DatoCMS did not take {' and '.join(claim for claim in Claim if claim in without)}"


def is_about_blocks(error: cma.CmaError) -> bool:
    """Return whether a refusal can be about the ids of blocks."""
    if not isinstance(error, cma.InvalidRequest):
        return False
    codes = {one.code for one in error.problems} or {error.code or ""}
    return codes <= {_ABOUT_BLOCK, _ABOUT_FIELD}


def block_ids(value: Json) -> set[str]:
    """Return the ids of all blocks in a content."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            id = one.get("id")
            if is_block(one) and isinstance(id, str):
                found.add(id)
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found


def without_block_ids(value: Json, *, kept: Collection[str] = ()) -> Json:
    """Return a content whose blocks have no ids, except `kept` ones."""
    if isinstance(value, list):
        return [without_block_ids(one, kept=kept) for one in value]
    if not isinstance(value, dict):
        return value
    is_nameless = is_block(value) and value.get("id") not in kept
    return {
        name: without_block_ids(one, kept=kept) for name, one in value.items() if not (is_nameless and name == "id")
    }


def _smallest_first(claims: frozenset[Claim]) -> Iterator[frozenset[Claim]]:
    ordered = [claim for claim in _OF_META if claim in claims]
    sets = chain.from_iterable(combinations(ordered, size) for size in range(1, len(ordered) + 1))
    return map(frozenset, sets)
