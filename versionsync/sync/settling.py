"""The last rung: what is not there any more, settled record by record once it is not too much to be believed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import islice

from versionsync import cma
from versionsync.ledger.ids import ModelId, RecordId
from versionsync.ledger.records import DeletionEvidence, KnownRecord
from versionsync.mirror.known import known_records, live_counts_by_model
from versionsync.mirror.sweep import SweepMarks
from versionsync.sync.beacon import OLDEST_ANSWER
from versionsync.sync.crew import Crew
from versionsync.sync.desk import Desk
from versionsync.sync.findings import Findings
from versionsync.sync.pull import RecordGone, read_history
from versionsync.sync.report import SourceSpec
from versionsync.sync.sight import Sight
from versionsync.sync.sweep import Sweep
from versionsync.sync.vanish import Presence, ask_for, hidden_models, whole_model_gone
from versionsync.sync.writing import Arrival, Writer

__all__ = ["Settler"]

ABSENT_CHUNK = 500
TIMES_ASKED_AGAIN = 5
FEW_YOUNG = 20
"""More young records than these are asked for once more only: an import that was taken back must not cost so much."""
ASK_AGAIN_SECONDS = 0.5


class Settler:
    """Settles what a sweep did not list, and what went while it was read (those in `crew.gone`).

    What comes of it goes to `writer`, what is worth telling into `found`.
    """

    def __init__(
        self,
        desk: Desk,
        client: cma.Client,
        source_id: int,
        spec: SourceSpec,
        *,
        crew: Crew,
        writer: Writer,
        sight: Sight,
        found: Findings,
    ) -> None:
        self._desk = desk
        self._client = client
        self._source_id = source_id
        self._spec = spec
        self._crew = crew
        self._writer = writer
        self._sight = sight
        self._found = found

    async def settle_unlisted(self, marks: SweepMarks, sweep: Sweep) -> None:
        """Settle what a complete `sweep` did not list, except records of models whose records it could not list.

        Raises TooMuchVanished, CmaError, MirrorError (perhaps in a group).
        """
        vanished = await self._desk.reading.run(lambda: Counter(model for _, model in marks.unseen()))
        if not vanished:
            return
        refused = sweep.refused & vanished.keys()
        uncertain = sweep.uncertain
        if self._sight.believes_all:
            uncertain -= refused
        else:
            await self._check_refused(refused, vanished)
        for model in uncertain:
            vanished.pop(model, None)
        also_hidden = await self._doubt(vanished) if vanished else frozenset()
        for model in also_hidden:
            self._sight.count_hidden(model, vanished[model])
        left_alone = uncertain | also_hidden
        unlisted = (id for id, model in marks.unseen() if model not in left_alone)
        while some := await self._desk.reading.run(lambda: list(islice(unlisted, ABSENT_CHUNK))):
            await self._settle(some, was_listed=False)

    async def settle_gone(self) -> None:
        """What was listed, or asked for by its id, and was gone when it was read. Raises as `settle_unlisted`."""
        ids, self._crew.gone = self._crew.gone, []
        if not ids:
            return
        self._found.doubtful.update(ids)  # the next run looks again, whatever is believed now
        live = [record for record in (await self._known(ids)).values() if record.deleted_at is None]
        if live:
            await self._doubt(Counter(record.model_id for record in live))
        known = await self._settle(ids, was_listed=True)
        await self._crew.each([id for id in ids if id not in known], RecordId, self._expect_nothing)

    async def _check_refused(self, refused: Iterable[ModelId], vanished: Mapping[ModelId, int]) -> None:
        """Find out why upstream did not list these models: the role hides them, or they have just been changed.

        One that the role shows, and that still exists, should have been listed: then the run is partial.
        """
        for model in refused:
            if await self._sight.hides(model):
                self._sight.count_hidden(model, vanished[model])
                continue
            self._found.schema_is_settled = False  # the next run asks again
            found = await self._find(model)
            if found is not None and not found.modular_block:
                self._found.fall_short(f"upstream does not list the records of the model {found.api_key}")

    async def _doubt(self, vanished: Counter[ModelId]) -> frozenset[ModelId]:
        """As `hidden_models`; and tells what is going to be believed because it was allowed, or for want of a role."""
        names = self._sight.models
        live = await self._desk.read(lambda connection: live_counts_by_model(connection, self._source_id))
        if self._sight.believes_all:
            by_model = {names.get(model, model): count for model, count in vanished.items()}
            self._desk.log.warning("vanish.allowed", unlisted=vanished.total(), of=sum(live.values()), models=by_model)
        hidden = await hidden_models(self._sight, self._spec, vanished, live)
        if self._sight.is_unknown:
            self._found.notes.extend(
                whole_model_gone(names[model], count)
                for model, count in vanished.items()
                if model in names and count >= live.get(model, 0)
            )
        return hidden

    async def _settle(self, ids: Sequence[RecordId], *, was_listed: bool) -> Mapping[RecordId, KnownRecord]:
        """Ask for each of `ids` that the mirror holds, and returns those."""
        known = await self._known(ids)
        absent: list[KnownRecord] = []

        async def ask(record: KnownRecord) -> None:
            match await ask_for(self._client, record, self._writer, self._sight):
                case Presence.ABSENT:
                    absent.append(record)
                case Presence.PRESENT if not was_listed:
                    self._found.fall_short(f"record {record.id} was not listed, but it exists")

        await self._crew.each(known.values(), lambda record: record.id, ask)
        young = [record for record in absent if self._is_young(record)]
        times = TIMES_ASKED_AGAIN if len(young) <= FEW_YOUNG else 1
        while young and times:
            times -= 1
            await asyncio.sleep(ASK_AGAIN_SECONDS)
            absent = [record for record in absent if not self._is_young(record)]
            await self._crew.each(young, lambda record: record.id, ask)
            young = [record for record in absent if self._is_young(record)]
        absent = await self._without_hidden(absent)
        models = {model: await self._state_of(model) for model in {record.model_id for record in absent}}
        deleted = [record for record in absent if models[record.model_id] is not None]

        async def delete(record: KnownRecord) -> None:
            evidence = models[record.model_id]
            assert evidence is not None
            self._found.changed += 1
            await self._writer.put(Arrival(await read_history(self._client, record.id), evidence))

        await self._crew.each(deleted, lambda record: record.id, delete)
        return known

    def _is_young(self, record: KnownRecord) -> bool:
        """Whether the record may be absent from an answer only because that is older than the record."""
        upstream_now = self._desk.now() + (self._client.clock_offset or timedelta())
        return record.created_at is not None and record.created_at > upstream_now - OLDEST_ANSWER

    async def _without_hidden(self, absent: list[KnownRecord]) -> list[KnownRecord]:
        """Leave out the records of models that the role hides by now: it may have changed since it was asked for."""
        if not absent:
            return absent
        hidden = await self._sight.hides_now({record.model_id for record in absent})
        for record in absent:
            if record.model_id in hidden:
                self._sight.count_hidden(record.model_id, 1)
        return [record for record in absent if record.model_id not in hidden]

    async def _state_of(self, model: ModelId) -> DeletionEvidence | None:
        """What the absence of a record of `model` proves now; None: nothing, since the model itself has changed.

        A record of a model that became a block model is not found any more, and was not deleted.
        """
        found = await self._find(model)
        if found is not None and not found.modular_block:
            return DeletionEvidence.NOT_FOUND
        if found is None and model not in self._sight.models:  # known to be deleted before anything was listed
            return DeletionEvidence.MODEL_DELETED
        self._found.schema_is_settled = False
        return None

    async def _find(self, model: ModelId) -> cma.ItemType | None:
        """Return the model as it is now; None if it does not exist, or not for this token."""
        try:
            return await self._client.item_type(model)
        except cma.NotFound:
            return None

    async def _expect_nothing(self, id: RecordId) -> None:
        """A record that came and went while we read is none of ours; one that is there is not read yet."""
        try:
            await self._client.item(id)
        except cma.NotFound:
            return
        raise RecordGone(id)

    async def _known(self, ids: Sequence[RecordId]) -> dict[RecordId, KnownRecord]:
        return await self._desk.read(lambda connection: known_records(connection, self._source_id, ids))
