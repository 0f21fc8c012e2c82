"""The second rung: list all records, and find those whose fingerprint is not the one that the mirror holds.

Without a filter upstream lists block records, too, so every list names the models that it wants. One list over all
models costs the fewest requests, but stands in upstream's own order (newest update first) and so moves while editors
work. Where it moved, or where upstream does not accept the models, they are listed one by one in the order of their
records' ids, which no edit changes. Either way every page overlaps the one before it by a record, and a sweep is
complete only if as many different records were seen as upstream counts (invariant 6).

The models may change between the schema and the list: a model that becomes a block model would bring its blocks. So
the schema is read once more before a record that the mirror does not hold is taken for one (invariant 14).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from versionsync import cma
from versionsync.ledger.content import ContentError, same_fingerprint
from versionsync.ledger.formats import finer, finest_precision
from versionsync.ledger.ids import ModelId, RecordId
from versionsync.ledger.records import KnownRecord, SeenRecord
from versionsync.mirror.engine.thread import DatabaseThread
from versionsync.mirror.listed_ids import ListedIds
from versionsync.sync.report import Progress, RecordFailure
from versionsync.sync.spool import PullTask, TaskSpool
from versionsync.sync.translate import seen_record
from versionsync.sync.visibility import Visibility

__all__ = ["ListedModels", "Sweep", "SweepReader", "count_records", "has_changed", "is_of_models", "is_unknown"]

ATTEMPTS = 4
UNKNOWN_MODEL = "ITEM_TYPE_NOT_FOUND"
UNKNOWN_ORDER = "INVALID_ORDERING"
NAMELESS = "(without an id)"
LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class ListedModels:
    """The models of one schema: `listed` are those that have records, `blocks` the block models."""

    listed: frozenset[ModelId]
    blocks: frozenset[ModelId]

    @classmethod
    def group_of(cls, schema: cma.Schema) -> ListedModels:
        """Divide the models of `schema` into those with records and block models."""
        blocks = frozenset(ModelId(model.id) for model in schema.item_types if model.modular_block)
        return cls(frozenset(ModelId(model.id) for model in schema.item_types) - blocks, blocks)

    @property
    def all(self) -> frozenset[ModelId]:
        """Every model, block models included."""
        return self.listed | self.blocks


@dataclass(slots=True)
class Sweep:
    """What one sweep saw.

    Attributes:
        is_complete: Whether every record was seen.
        began_at: Upstream's clock at the first page.
        total: How many records upstream counts.
        youngest: The time of the last edit or publication of any record.
        changed: How many records differ from the mirror.
        precision: How many decimals of a second upstream's times have. None: that was not seen.
        models: The models whose records were listed, and that still had records afterwards.
        uncertain: The models that upstream named before or after the list, and whose records were not all listed. The
            absence of such a record says nothing.
        refused: Those of the uncertain models that upstream did not list though it names them.
        is_schema_changed: Whether the models changed during the sweep.
        failures: The entries that could not be read.
    """

    is_complete: bool = False
    began_at: datetime | None = None
    total: int = 0
    newest_update: datetime | None = None
    changed: int = 0
    precision: int | None = None
    models: frozenset[ModelId] = frozenset()
    uncertain: frozenset[ModelId] = frozenset()
    refused: frozenset[ModelId] = frozenset()
    is_schema_changed: bool = False
    failures: list[RecordFailure] = field(default_factory=list)


class _FilterFailed(Exception):
    """Upstream did not list the models that it was asked for: it refused one of them, or listed others."""


class SweepReader:
    """Sweeps one source: marks what it sees, and spools a pull for each record that differs."""

    def __init__(
        self,
        client: cma.Client,
        marks: ListedIds,
        reading: DatabaseThread,
        tasks: TaskSpool,
        *,
        sight: Visibility,
        progress: Progress,
        to_the_end: bool,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._marks = marks
        self._reading = reading
        self._tasks = tasks
        self._visibility = sight
        self._progress = progress
        self._to_the_end = to_the_end
        self._now = now
        self._sweep = Sweep()
        self._refused: dict[ModelId, cma.CmaError | None] = {}
        self._empty: set[ModelId] = set()
        self._has_unknown = False
        self._nameless = 0

    async def sweep(self, models: ListedModels) -> Sweep:
        """List everything, at most four times, until the list and the models stood still.

        Args:
            models: The models of the schema that was just read.

        Raises:
            CmaError: If a page cannot be had.
        """
        latest, wanted, one_by_one = models, models.listed, False
        for _ in range(ATTEMPTS):
            await self._begin()
            try:
                async for page in self._pages(wanted, one_by_one=one_by_one):
                    await self._read_page(page)
            except cma.PageShifted:
                one_by_one = True
                continue
            except _FilterFailed:
                latest = await self._read_models(models)
                visible = frozenset([id for id in latest.listed if not await self._visibility.shows_none_of(id)])
                one_by_one = one_by_one or visible == wanted
                wanted = visible
                continue
            if await self._is_suspiciously_empty():
                one_by_one = True
                continue
            if await self._reading.run(self._marks.count) + self._nameless != self._sweep.total:
                one_by_one = True
                continue
            if self._has_unknown:
                before, latest = latest, await self._read_models(models)
                if latest.listed != before.listed:
                    wanted, one_by_one = latest.listed, True
                    continue
                self._has_unknown = False
            self._sweep.is_complete = True
            break
        if self._has_unknown:
            latest = await self._read_models(models)
        sweep = self._sweep
        sweep.models = (wanted & latest.listed).difference(self._refused)
        sweep.refused = (latest.listed & models.listed) - sweep.models
        sweep.uncertain = (models.all | latest.all) - sweep.models
        sweep.is_schema_changed = latest != models
        return sweep

    async def _begin(self) -> None:
        self._sweep = Sweep()
        self._refused, self._empty = {}, set()
        self._has_unknown = False
        self._nameless = 0
        self._tasks.clear()
        await self._reading.run(self._marks.clear)
        self._progress.counts.records_swept = 0

    async def _read_models(self, before: ListedModels) -> ListedModels:
        schema = await self._client.schema()
        models, unreadable = ListedModels.group_of(schema), {ModelId(each.id) for each in schema.unreadable if each.id}
        return ListedModels(models.listed | (unreadable & before.listed), models.blocks | (unreadable & before.blocks))

    def _pages(self, models: frozenset[ModelId], *, one_by_one: bool) -> AsyncIterator[cma.Page[cma.Item]]:
        if not models:  # nothing is asked for, so that no page says what time it is at upstream
            self._sweep.began_at = self._now() + (self._client.clock_offset or timedelta())
        return self._one_by_one(sorted(models)) if one_by_one else self._together(sorted(models))

    async def _together(self, models: Sequence[ModelId]) -> AsyncIterator[cma.Page[cma.Item]]:
        """List all models in as few lists as their ids fit into."""
        for group in cma.model_groups(models):
            before, total = self._sweep.total, 0
            try:
                async for page in cma.iterate_items(self._client, models=group):
                    if not is_of_models(page.items, group):
                        raise _FilterFailed
                    total = page.total
                    self._progress.records_total = self._sweep.total = before + total
                    yield page
            except (cma.InvalidRequest, cma.NotFound):
                raise _FilterFailed from None
            if total == 0:
                self._empty.update(map(ModelId, group))

    async def _one_by_one(self, models: Sequence[ModelId]) -> AsyncIterator[cma.Page[cma.Item]]:
        """List each model by itself. One that upstream does not list is noted in `_refused`."""
        moved: cma.PageShifted | None = None
        for model in models:
            try:
                async for page in cma.iterate_items(self._client, models=(model,), order_by="id_ASC"):
                    if not is_of_models(page.items, (model,)):
                        self._refused[model] = None
                        break
                    yield page
            except cma.PageShifted as error:
                moved = error  # what the other models have is mirrored all the same
            except (cma.InvalidRequest, cma.NotFound) as error:
                is_ignored = error.code == UNKNOWN_ORDER and await self._is_ignored(model)
                self._refused[model] = None if is_ignored else error
            except cma.PermissionDenied as error:
                if error.is_of_project:
                    raise
                self._refused[model] = error
        if moved is not None:
            raise moved
        self._raise_if_all_are_refused(models)
        try:
            self._sweep.total = await count_records(self._client, [id for id in models if id not in self._refused])
        except cma.InvalidRequest as error:
            raise cma.PageShifted(f"the models changed while they were listed: {error}", request="GET /items") from None

    async def _is_ignored(self, model: ModelId) -> bool:
        """Return whether upstream ignores that `model` alone is asked for: then it does not accept the order either."""
        try:
            page = await self._client.items_page(limit=1, models=(model,))
        except (cma.InvalidRequest, cma.NotFound):
            return False
        return all(item.item_type_id != model for item in page.items)

    def _raise_if_all_are_refused(self, models: Sequence[ModelId]) -> None:
        """Where no model can be listed it is the request that upstream refuses, unless it says that it is the model."""
        errors = [error for error in self._refused.values() if error is not None and error.code != UNKNOWN_MODEL]
        if errors and len(self._refused) == len(models):
            raise errors[0]

    async def _is_suspiciously_empty(self) -> bool:
        """Whether a list of several models was empty though the mirror holds records of them.

        Upstream may answer so where it does not accept one of the models.
        """
        if not self._empty:
            return False
        return await self._reading.run(lambda: any(model in self._empty for _, model in self._marks.not_listed()))

    async def _read_page(self, page: cma.Page[cma.Item]) -> None:
        if self._sweep.began_at is None:
            self._sweep.began_at = page.at
        seen = list(self._readable(page))
        # What cannot be read is there all the same: it must not be taken for deleted.
        await self._reading.run(self._marks.add, [RecordId(entry.id) for entry in page.bad if entry.id])
        self._nameless += sum(not entry.id for entry in page.bad)
        known = await self._reading.run(self._marks.add_and_load, [record.id for record in seen])
        self._sweep.precision = finer(self._sweep.precision, finest_precision(each.fingerprint for each in seen))
        for record in seen:
            times = (self._sweep.newest_update, record.updated_at, record.published_at)
            self._sweep.newest_update = max((time for time in times if time), default=None)
            self._has_unknown |= is_unknown(record, known)
            is_changed = has_changed(record, known)
            self._sweep.changed += is_changed
            if self._to_the_end or is_changed:
                self._tasks.add(PullTask(record, known.get(record.id), self._to_the_end))
        self._progress.records_planned = self._tasks.count
        self._progress.counts.records_swept += len(seen)

    def _readable(self, page: cma.Page[cma.Item]) -> Iterable[SeenRecord]:
        for entry in page.bad:
            self._sweep.failures.append(RecordFailure(_name_of(entry), str(entry.error)))
        for item in page.items:
            try:
                yield seen_record(item)
            except ContentError as error:
                self._sweep.failures.append(RecordFailure(item.id, f"its meta cannot be read: {error}"))


def _name_of(entry: cma.InvalidResource) -> str:
    """What to call an entry that cannot be read; what it has for an id may be of any kind and length."""
    if not entry.id:
        return NAMELESS
    shown = entry.id if len(entry.id) <= LONGEST_NAME else f"{entry.id[:LONGEST_NAME]}…"
    return shown if shown.isprintable() else ascii(shown)


async def count_records(client: cma.Client, models: Iterable[str], *, status: str | None = None) -> int:
    """Return how many records upstream counts of these models, of one status or of any; one request a group of models.

    Raises CmaError, and Rejected where upstream does not accept one of the models.
    """
    filters = {"_status": {"eq": status}} if status else None
    pages = [
        await client.items_page(offset=0, limit=1, models=group, filters=filters)
        for group in cma.model_groups(sorted(models))
    ]
    return sum(page.total for page in pages)


def is_of_models(items: Iterable[cma.Item], models: Iterable[str]) -> bool:
    """Return whether all `items` are records of the `models` that were asked for."""
    wanted = frozenset(models)
    return all(item.item_type_id in wanted for item in items)


def is_unknown(record: SeenRecord, known: Mapping[RecordId, KnownRecord]) -> bool:
    """Return whether the mirror does not hold `record`, or holds it as deleted; `known` is what it holds around it."""
    held = known.get(record.id)
    return held is None or held.deleted_at is not None


def has_changed(record: SeenRecord, known: Mapping[RecordId, KnownRecord]) -> bool:
    """Whether the mirror does not hold `record` as it was seen; `known` is what it holds of the records around it."""
    held = known.get(record.id)
    return held is None or held.deleted_at is not None or not same_fingerprint(held.fingerprint, record.fingerprint)
