"""The last rung: what is not there any more, settled record by record once it is not too much to be believed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from itertools import islice

from versionsync import cma
from versionsync.errors import ErrorKind, VersionsyncError
from versionsync.ledger.content import same_fingerprint
from versionsync.ledger.ids import ModelId, RecordId
from versionsync.ledger.records import DeletionEvidence, KnownRecord
from versionsync.ledger.safeguards import MassDeleteLimit, Missing, exceeds_mass_delete_limit
from versionsync.mirror.listed_ids import ListedIds
from versionsync.mirror.tables.records import live_counts_by_model, load_records
from versionsync.sync.beacon import MAX_ANSWER_AGE
from versionsync.sync.context import Context
from versionsync.sync.pull import RecordMissing, pull_record, read_history
from versionsync.sync.report import SourceSpec
from versionsync.sync.result import RunResult
from versionsync.sync.spool import PullTask
from versionsync.sync.sweep import Sweep
from versionsync.sync.translate import seen_record
from versionsync.sync.visibility import Visibility
from versionsync.sync.workers import Workers
from versionsync.sync.writer import FetchedRecord, Writer

__all__ = [
    "DeletionCheck",
    "MassDeletionError",
    "Presence",
    "check_mass_delete_limit",
    "fetch_presence",
    "hidden_models",
    "model_is_deleted",
]


class MassDeletionError(VersionsyncError):
    """More records disappeared at once than the limit allows (invariant 5). Nothing was marked as deleted."""

    kind = ErrorKind.MASS_DELETE

    def __init__(self, source: str, seen: Missing, *, model_name: str | None) -> None:
        whose = f"of the model {model_name}" if model_name else "of the source"
        super().__init__(
            f"{seen.missing} of {seen.total} records {whose} are not listed any more: nothing was marked as deleted. "
            f"If they were really deleted, run `versionsync sync {source} --allow-mass-delete` once; "
            "if not, look whether the token's role sees less than before"
        )
        self.seen = seen


def check_mass_delete_limit(
    source: str,
    limit: MassDeleteLimit,
    vanished: Mapping[ModelId, int],
    live: Mapping[ModelId, int],
    *,
    models: Mapping[ModelId, str],
) -> None:
    """Raise MassDeletionError where `vanished` of the `live` records are too many; `models` are those that exist."""
    gone_models = frozenset(vanished.keys() - models.keys())
    if seen := exceeds_mass_delete_limit(limit, vanished, live, deleted_models=gone_models):
        raise MassDeletionError(source, seen, model_name=models.get(seen.model_id) if seen.model_id else None)


async def hidden_models(
    sight: Visibility, spec: SourceSpec, vanished: Mapping[ModelId, int], live: Mapping[ModelId, int]
) -> frozenset[ModelId]:
    """The models of `vanished` whose records the token is not shown, so that nothing can be said of them.

    Raises MassDeletionError if what else is gone is too much to be believed, and CmaError.
    """
    if sight.assume_visible:
        return frozenset()
    hidden = frozenset([model for model in vanished if await sight.is_hidden(model)])
    others = {model: count for model, count in vanished.items() if model not in hidden}
    check_mass_delete_limit(spec.name, spec.mass_delete_limit, others, live, models=sight.models)
    return hidden


def model_is_deleted(model: str, count: int) -> str:
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


async def fetch_presence(client: cma.Client, known: KnownRecord, writer: Writer, sight: Visibility) -> Presence:
    """Ask for a record that was not listed. Give the writer what it is now, if it is there.

    Raises CmaError, RecordMissing and StaleResponse.
    """
    try:
        item = await client.item(known.id)
    except cma.NotFound:
        if await sight.is_hidden(known.model_id):
            sight.count_hidden(known.model_id, 1)
            return Presence.HIDDEN
        return Presence.ABSENT
    record = seen_record(item)
    if not same_fingerprint(record.fingerprint, known.fingerprint):
        await writer.put(FetchedRecord(await pull_record(client, PullTask(record, known))))
    return Presence.PRESENT


ABSENT_CHUNK = 500
ATTEMPTS = 5
FEW_YOUNG = 20
"""More young records than these are asked for once more only: an import that was taken back must not cost so much."""
ASK_AGAIN_SECONDS = 0.5


class DeletionCheck:
    """Settles what a sweep did not list, and what went while it was read (those in `crew.gone`).

    What comes of it goes to `writer`, what is worth telling into `found`.
    """

    def __init__(
        self,
        desk: Context,
        client: cma.Client,
        source_id: int,
        spec: SourceSpec,
        *,
        crew: Workers,
        writer: Writer,
        sight: Visibility,
        found: RunResult,
    ) -> None:
        self._context = desk
        self._client = client
        self._source_id = source_id
        self._spec = spec
        self._workers = crew
        self._writer = writer
        self._visibility = sight
        self._result = found

    async def confirm_unlisted(self, marks: ListedIds, sweep: Sweep) -> None:
        """Settle what a complete `sweep` did not list, except records of models whose records it could not list.

        Raises MassDeletionError, CmaError, MirrorError (perhaps in a group).
        """
        vanished = await self._context.reading.run(lambda: Counter(model for _, model in marks.not_listed()))
        if not vanished:
            return
        refused = sweep.refused & vanished.keys()
        uncertain = sweep.uncertain
        if self._visibility.assume_visible:
            uncertain -= refused
        else:
            await self._check_refused(refused, vanished)
        for model in uncertain:
            vanished.pop(model, None)
        also_hidden = await self._check_limit(vanished) if vanished else frozenset()
        for model in also_hidden:
            self._visibility.count_hidden(model, vanished[model])
        left_alone = uncertain | also_hidden
        unlisted = (id for id, model in marks.not_listed() if model not in left_alone)
        while some := await self._context.reading.run(lambda: list(islice(unlisted, ABSENT_CHUNK))):
            await self._confirm(some, was_listed=False)

    async def confirm_missing(self) -> None:
        """What was listed, or asked for by its id, and was gone when it was read. Raises as `settle_unlisted`."""
        ids, self._workers.missing = self._workers.missing, []
        if not ids:
            return
        self._result.inconsistent.update(ids)  # the next run looks again, whatever is believed now
        live = [record for record in (await self._known(ids)).values() if record.deleted_at is None]
        if live:
            await self._check_limit(Counter(record.model_id for record in live))
        known = await self._confirm(ids, was_listed=True)
        await self._workers.map([id for id in ids if id not in known], RecordId, self._check_never_mirrored)

    async def _check_refused(self, refused: Iterable[ModelId], vanished: Mapping[ModelId, int]) -> None:
        """Find out why upstream did not list these models: the role hides them, or they have just been changed.

        One that the role shows, and that still exists, should have been listed: then the run is partial.
        """
        for model in refused:
            if await self._visibility.is_hidden(model):
                self._visibility.count_hidden(model, vanished[model])
                continue
            self._result.schema_is_settled = False  # the next run asks again
            found = await self._find(model)
            if found is not None and not found.modular_block:
                self._result.mark_partial(f"upstream does not list the records of the model {found.api_key}")

    async def _check_limit(self, vanished: Counter[ModelId]) -> frozenset[ModelId]:
        """As `hidden_models`; and tells what is going to be believed because it was allowed, or for want of a role."""
        names = self._visibility.models
        live = await self._context.read(lambda connection: live_counts_by_model(connection, self._source_id))
        if self._visibility.assume_visible:
            by_model = {names.get(model, model): count for model, count in vanished.items()}
            self._context.log.warning(
                "mass_delete.allowed", unlisted=vanished.total(), of=sum(live.values()), models=by_model
            )
        hidden = await hidden_models(self._visibility, self._spec, vanished, live)
        if self._visibility.is_unknown:
            self._result.notes.extend(
                model_is_deleted(names[model], count)
                for model, count in vanished.items()
                if model in names and count >= live.get(model, 0)
            )
        return hidden

    async def _confirm(self, ids: Sequence[RecordId], *, was_listed: bool) -> Mapping[RecordId, KnownRecord]:
        """Ask for each of `ids` that the mirror holds, and returns those."""
        known = await self._known(ids)
        absent: list[KnownRecord] = []

        async def ask(record: KnownRecord) -> None:
            match await fetch_presence(self._client, record, self._writer, self._visibility):
                case Presence.ABSENT:
                    absent.append(record)
                case Presence.PRESENT if not was_listed:
                    self._result.mark_partial(f"record {record.id} was not listed, but it exists")

        await self._workers.map(known.values(), lambda record: record.id, ask)
        young = [record for record in absent if self._is_young(record)]
        times = ATTEMPTS if len(young) <= FEW_YOUNG else 1
        while young and times:
            times -= 1
            await asyncio.sleep(ASK_AGAIN_SECONDS)
            absent = [record for record in absent if not self._is_young(record)]
            await self._workers.map(young, lambda record: record.id, ask)
            young = [record for record in absent if self._is_young(record)]
        absent = await self._without_hidden(absent)
        models = {model: await self._state_of(model) for model in {record.model_id for record in absent}}
        deleted = [record for record in absent if models[record.model_id] is not None]

        async def delete(record: KnownRecord) -> None:
            evidence = models[record.model_id]
            assert evidence is not None
            self._result.changed += 1
            await self._writer.put(FetchedRecord(await read_history(self._client, record.id), evidence))

        await self._workers.map(deleted, lambda record: record.id, delete)
        return known

    def _is_young(self, record: KnownRecord) -> bool:
        """Whether the record may be absent from an answer only because that is older than the record."""
        upstream_now = self._context.now() + (self._client.clock_offset or timedelta())
        return record.created_at is not None and record.created_at > upstream_now - MAX_ANSWER_AGE

    async def _without_hidden(self, absent: list[KnownRecord]) -> list[KnownRecord]:
        """Leave out the records of models that the role hides by now: it may have changed since it was asked for."""
        if not absent:
            return absent
        hidden = await self._visibility.is_hidden_now({record.model_id for record in absent})
        for record in absent:
            if record.model_id in hidden:
                self._visibility.count_hidden(record.model_id, 1)
        return [record for record in absent if record.model_id not in hidden]

    async def _state_of(self, model: ModelId) -> DeletionEvidence | None:
        """What the absence of a record of `model` proves now; None: nothing, since the model itself has changed.

        A record of a model that became a block model is not found any more, and was not deleted.
        """
        found = await self._find(model)
        if found is not None and not found.modular_block:
            return DeletionEvidence.NOT_FOUND
        if found is None and model not in self._visibility.models:  # known to be deleted before anything was listed
            return DeletionEvidence.MODEL_DELETED
        self._result.schema_is_settled = False
        return None

    async def _find(self, model: ModelId) -> cma.ItemType | None:
        """Return the model as it is now; None if it does not exist, or not for this token."""
        try:
            return await self._client.item_type(model)
        except cma.NotFound:
            return None

    async def _check_never_mirrored(self, id: RecordId) -> None:
        """A record that came and went while we read is none of ours; one that is there is not read yet."""
        try:
            await self._client.item(id)
        except cma.NotFound:
            return
        raise RecordMissing(id)

    async def _known(self, ids: Sequence[RecordId]) -> dict[RecordId, KnownRecord]:
        return await self._context.read(lambda connection: load_records(connection, self._source_id, ids))
