"""What a sweep did not list any more: gone, or only not shown.

A listing is no evidence (invariant 5). Each record is asked for by its id, and only where upstream answers that it
does not exist is it held to be deleted. Too many at once are not believed at all: to a token that sees less, records
look deleted that are not.
"""

from __future__ import annotations

from collections.abc import Mapping

from versionsync import cma
from versionsync.ledger.brake import Vanished, VanishLimit, pulls_the_brake
from versionsync.ledger.ids import ModelId
from versionsync.ledger.records import DeletionEvidence, KnownRecord
from versionsync.sync.pull import pull_record, read_history
from versionsync.sync.spool import PullTask
from versionsync.sync.translate import seen_record
from versionsync.sync.writing import Arrival, Writer

__all__ = ["TooMuchVanished", "check_brake", "settle_absent"]


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


async def settle_absent(client: cma.Client, known: KnownRecord, writer: Writer, *, model_exists: bool) -> bool:
    """Ask for a record that was not listed, and give the writer what comes of it; returns whether it is there.

    Raises CmaError, RecordGone and StaleAnswer.
    """
    try:
        item = await client.item(known.id)
    except cma.NotFound:
        evidence = DeletionEvidence.NOT_FOUND if model_exists else DeletionEvidence.MODEL_DELETED
        await writer.put(Arrival(await read_history(client, known.id), evidence))
        return False
    record = seen_record(item)
    if record.fingerprint != known.fingerprint:
        await writer.put(Arrival(await pull_record(client, PullTask(record, known))))
    return True
