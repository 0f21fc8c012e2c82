"""What a sweep did not list any more: gone, or only not shown.

A listing is no evidence (invariant 5). Each record is asked for by its id, and only where upstream answers that it
does not exist is it held to be deleted; but not where the token's own role hides records of its model, since upstream
gives the same answer then. Too many at once are not believed at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from versionsync import cma
from versionsync.ledger.brake import Vanished, VanishLimit, pulls_the_brake
from versionsync.ledger.fingerprint import same_fingerprint
from versionsync.ledger.ids import ModelId
from versionsync.ledger.records import KnownRecord
from versionsync.sync.pull import pull_record
from versionsync.sync.report import SourceSpec
from versionsync.sync.sight import Sight
from versionsync.sync.spool import PullTask
from versionsync.sync.translate import seen_record
from versionsync.sync.writing import Arrival, Writer

__all__ = ["Presence", "TooMuchVanished", "ask_for", "check_brake", "hidden_models", "whole_model_gone"]


class TooMuchVanished(Exception):
    """So much is not listed any more that it is not believed (invariant 5). Nothing was held to be deleted."""

    def __init__(self, source: str, seen: Vanished, *, model_name: str | None) -> None:
        whose = f"of the model {model_name}" if model_name else "of the source"
        super().__init__(
            f"{seen.vanished} of {seen.of} records {whose} are not listed any more: nothing was marked as deleted. "
            f"If they were really deleted, run `versionsync sync {source} --allow-vanish` once; "
            "if not, look whether the token's role sees less than before"
        )
        self.seen = seen


def check_brake(
    source: str,
    limit: VanishLimit,
    vanished: Mapping[ModelId, int],
    live: Mapping[ModelId, int],
    *,
    models: Mapping[ModelId, str],
) -> None:
    """Raise TooMuchVanished where `vanished` of the `live` records are too many; `models` are those that exist."""
    gone_models = frozenset(vanished.keys() - models.keys())
    if seen := pulls_the_brake(limit, vanished, live, deleted_models=gone_models):
        raise TooMuchVanished(source, seen, model_name=models.get(seen.model_id) if seen.model_id else None)


async def hidden_models(
    sight: Sight, spec: SourceSpec, vanished: Mapping[ModelId, int], live: Mapping[ModelId, int]
) -> frozenset[ModelId]:
    """The models of `vanished` whose records the token is not shown, so that nothing can be said of them.

    Raises TooMuchVanished if what else is gone is too much to be believed, and CmaError.
    """
    if sight.believes_all:
        return frozenset()
    hidden = frozenset([model for model in vanished if await sight.hides(model)])
    others = {model: count for model, count in vanished.items() if model not in hidden}
    check_brake(spec.name, spec.max_vanish, others, live, models=sight.models)
    return hidden


def whole_model_gone(model: str, count: int) -> str:
    """What to tell where all records of a model are held to be deleted, and nobody knows what the role shows."""
    return (
        f"no record of the model {model} is there any more: upstream says that the {count} do not exist, and they are "
        "held to be deleted. It says the same of what a role hides, and does not tell this token its role: "
        "if that hides them, they come back as record.returned once it does not"
    )


class Presence(Enum):
    """What upstream answered for one record."""

    PRESENT = "present"
    HIDDEN = "hidden"
    ABSENT = "absent"


async def ask_for(client: cma.Client, known: KnownRecord, writer: Writer, sight: Sight) -> Presence:
    """Ask for a record that was not listed. Give the writer what it is now, if it is there.

    Raises CmaError, RecordGone and StaleAnswer.
    """
    try:
        item = await client.item(known.id)
    except cma.NotFound:
        if await sight.hides(known.model_id):
            sight.count_hidden(known.model_id, 1)
            return Presence.HIDDEN
        return Presence.ABSENT
    record = seen_record(item)
    if not same_fingerprint(record.fingerprint, known.fingerprint):
        await writer.put(Arrival(await pull_record(client, PullTask(record, known))))
    return Presence.PRESENT
