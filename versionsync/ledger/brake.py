"""The mass-vanish brake: when too much is gone at once, believe that we see less, not that it was deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from versionsync.ledger.ids import ModelId

__all__ = ["VanishLimit", "Vanished", "pulls_the_brake"]

MODEL_FLOOR = 10


@dataclass(frozen=True, slots=True)
class VanishLimit:
    """How much may vanish in one run: more than `share` of a source's records, at least `number` of them, stops it."""

    share: float = 0.2
    number: int = 10


@dataclass(frozen=True, slots=True)
class Vanished:
    """Why a run stopped: how many of how many records were gone, of one model or of the whole source (None)."""

    model_id: ModelId | None
    vanished: int
    of: int


def pulls_the_brake(
    limit: VanishLimit,
    vanished: Mapping[ModelId, int],
    live: Mapping[ModelId, int],
    *,
    deleted_models: frozenset[ModelId] = frozenset(),
) -> Vanished | None:
    """Whether this many records gone at once stop the run (invariant 5), and what was seen.

    `live` counts the mirror's live records of each model before this run, `vanished` those of them that a complete
    sweep did not list. A model that upstream itself no longer has may take its records along; the share of the whole
    source is watched all the same.
    """
    gone, of = sum(vanished.values()), sum(live.values())
    if gone >= limit.number and gone > limit.share * of:
        return Vanished(None, gone, of)
    for model_id, count in vanished.items():
        if count >= MODEL_FLOOR and count >= live.get(model_id, 0) and model_id not in deleted_models:
            return Vanished(model_id, count, live.get(model_id, 0))
    return None
