"""List all records, and find those whose fingerprint differs from the mirror's.

Without a filter DatoCMS lists block records too, so every list names the models that it wants. One list of all models
costs the fewest requests. But DatoCMS sorts it by newest update, so it moves while editors work. If it moved, or if
DatoCMS does not accept the models, each model is listed by itself, sorted by record id, which no edit changes. Each
page overlaps the one before it by a record. A sweep is complete only if as many different records were seen as DatoCMS
counts (invariant 6).

The models may change between the schema and the list: a model that becomes a block model brings its blocks into it. So
the schema is read again before a record that is not in the mirror is treated as new (invariant 14).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from versionsync import cma
from versionsync.ledger.content import ContentError, same_fingerprint
from versionsync.ledger.ids import ModelId, RecordId
from versionsync.ledger.records import KnownRecord, SeenRecord
from versionsync.ledger.time_formats import finer, finest_precision
from versionsync.mirror.listed_ids import ListedIds
from versionsync.sync.api_to_ledger import schema_of, seen_record
from versionsync.sync.context import RunContext, Upstream
from versionsync.sync.report import RecordFailure
from versionsync.sync.role_visibility import ListedModels
from versionsync.sync.temporary_files import PullTask, TaskSpool

__all__ = ["Sweep", "count_records", "has_changed", "is_of_models", "is_unknown", "sweep"]

ATTEMPTS = 4
UNKNOWN_MODEL = "ITEM_TYPE_NOT_FOUND"
UNKNOWN_ORDER = "INVALID_ORDERING"
NO_ID = "(without an id)"
MAX_NAME_LENGTH = 64


@dataclass(slots=True)
class Sweep:
    """What one sweep saw. The lists of records last as long as the block of `sweep`.

    Attributes:
        tasks: The pull tasks of the records that differ from the mirror.
        listed: The ids that were listed, and which of the mirror's were not.
        is_complete: Whether every record was seen.
        began_at: DatoCMS's clock at the first page.
        total: How many records DatoCMS counts.
        newest_update: The time of the last edit or publication of any record.
        changed: How many records differ from the mirror.
        precision: How many decimals of a second DatoCMS's times have. None: no time was seen.
        models: The models whose records were listed, and that still had records afterwards.
        uncertain: The models that DatoCMS named before or after the list, and whose records were not all listed. That
            a record of them is not listed says nothing.
        refused: Those of the uncertain models that DatoCMS did not list although it names them.
        is_schema_changed: Whether the models changed during the sweep.
        failures: The entries that could not be read.
    """

    tasks: TaskSpool
    listed: ListedIds
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

    def changed_records(self) -> Iterator[PullTask]:
        """Yield the pull tasks of the records whose models are known to have records."""
        return (task for task in self.tasks if task.record.model_id in self.models)


@asynccontextmanager
async def sweep(ctx: RunContext, upstream: Upstream, *, to_the_end: bool) -> AsyncIterator[Sweep]:
    """List all records, up to four times, until neither the list nor the models changed meanwhile.

    Args:
        upstream: The schema that was just read.
        to_the_end: Whether the tasks should read all records, and each history to its end.

    Raises:
        CmaError: If a page cannot be read.
    """
    with TaskSpool() as tasks:
        listed = await ctx.database.reading.run(ListedIds, ctx.database.mirror, ctx.source.id)
        try:
            yield await _SweepReader(ctx, upstream, tasks, listed, to_the_end).sweep()
        finally:
            await ctx.database.reading.run(listed.close)


class _FilterFailed(Exception):
    """DatoCMS refused one of the models that it was asked for, or listed others."""


@dataclass(slots=True)
class _SweepReader:
    _ctx: RunContext
    _upstream: Upstream
    _tasks: TaskSpool
    _listed: ListedIds
    _to_the_end: bool
    _sweep: Sweep = field(init=False)
    _refused: dict[ModelId, cma.CmaError | None] = field(default_factory=dict)
    _empty: set[ModelId] = field(default_factory=set)
    _has_unknown: bool = False
    _without_id: int = 0

    async def sweep(self) -> Sweep:
        models = latest = self._upstream.models
        wanted, one_by_one = models.listed, False
        for _ in range(ATTEMPTS):
            await self._begin()
            try:
                async for page in self._pages(wanted, one_by_one=one_by_one):
                    await self._read_page(page)
            except cma.PageShifted:
                one_by_one = True
                continue
            except _FilterFailed:
                latest = await self._read_models()
                visibility = self._upstream.visibility
                visible = frozenset([id for id in latest.listed if not await visibility.shows_none_of(id)])
                one_by_one = one_by_one or visible == wanted
                wanted = visible
                continue
            count = await self._ctx.database.reading.run(self._listed.count) + self._without_id
            if count != self._sweep.total or await self._is_suspiciously_empty():
                one_by_one = True
                continue
            if self._has_unknown:
                before, latest = latest, await self._read_models()
                if latest.listed != before.listed:
                    wanted, one_by_one = latest.listed, True
                    continue
                self._has_unknown = False
            self._sweep.is_complete = True
            break
        if self._has_unknown:
            latest = await self._read_models()
        result = self._sweep
        result.models = (wanted & latest.listed).difference(self._refused)
        result.refused = (latest.listed & models.listed) - result.models
        result.uncertain = (models.all | latest.all) - result.models
        result.is_schema_changed = latest != models
        return result

    async def _begin(self) -> None:
        self._sweep = Sweep(self._tasks, self._listed)
        self._refused, self._empty = {}, set()
        self._has_unknown = False
        self._without_id = 0
        self._tasks.clear()
        await self._ctx.database.reading.run(self._listed.clear)
        self._ctx.progress.counts.records_swept = 0

    async def _read_models(self) -> ListedModels:
        schema, before = await self._ctx.client.schema(), self._upstream.models
        models, unreadable = (
            ListedModels.of(schema_of(schema)),
            {ModelId(each.id) for each in schema.unreadable if each.id},
        )
        return ListedModels(models.listed | (unreadable & before.listed), models.blocks | (unreadable & before.blocks))

    def _pages(self, models: frozenset[ModelId], *, one_by_one: bool) -> AsyncIterator[cma.Page[cma.Item]]:
        if not models:  # there is no request whose answer has DatoCMS's time
            self._sweep.began_at = self._ctx.upstream_now()
        return self._one_by_one(sorted(models)) if one_by_one else self._together(sorted(models))

    async def _together(self, models: Sequence[ModelId]) -> AsyncIterator[cma.Page[cma.Item]]:
        """List all models, in as few lists as their ids fit into."""
        for group in cma.model_groups(models):
            before, total = self._sweep.total, 0
            try:
                async for page in cma.iterate_items(self._ctx.client, models=group):
                    if not is_of_models(page.items, group):
                        raise _FilterFailed
                    total = page.total
                    self._ctx.progress.records_total = self._sweep.total = before + total
                    yield page
            except (cma.InvalidRequest, cma.NotFound):
                raise _FilterFailed from None
            if total == 0:
                self._empty.update(map(ModelId, group))

    async def _one_by_one(self, models: Sequence[ModelId]) -> AsyncIterator[cma.Page[cma.Item]]:
        """List each model by itself. Add a model that DatoCMS does not list to `_refused`."""
        shifted: cma.PageShifted | None = None
        for model in models:
            try:
                async for page in cma.iterate_items(self._ctx.client, models=(model,), order_by="id_ASC"):
                    if not is_of_models(page.items, (model,)):
                        self._refused[model] = None
                        break
                    yield page
            except cma.PageShifted as error:
                shifted = error  # the records of the other models are mirrored all the same
            except (cma.InvalidRequest, cma.NotFound) as error:
                is_ignored = error.code == UNKNOWN_ORDER and await self._is_ignored(model)
                self._refused[model] = None if is_ignored else error
            except cma.PermissionDenied as error:
                if error.is_of_project:
                    raise
                self._refused[model] = error
        if shifted is not None:
            raise shifted
        self._raise_if_all_are_refused(models)
        try:
            self._sweep.total = await count_records(self._ctx.client, [id for id in models if id not in self._refused])
        except cma.InvalidRequest as error:
            raise cma.PageShifted(f"the models changed while they were listed: {error}", request="GET /items") from None

    async def _is_ignored(self, model: ModelId) -> bool:
        """Return whether DatoCMS ignores the filter by `model`. Then it does not accept the order either."""
        try:
            page = await self._ctx.client.items_page(limit=1, models=(model,))
        except (cma.InvalidRequest, cma.NotFound):
            return False
        return all(item.item_type_id != model for item in page.items)

    def _raise_if_all_are_refused(self, models: Sequence[ModelId]) -> None:
        """If no model can be listed, DatoCMS refuses the request itself, unless it says that it refuses the model."""
        errors = [error for error in self._refused.values() if error is not None and error.code != UNKNOWN_MODEL]
        if errors and len(self._refused) == len(models):
            raise errors[0]

    async def _is_suspiciously_empty(self) -> bool:
        """Return whether a list of several models was empty, although there may be records of them.

        DatoCMS may return an empty list if it does not accept one of the models, such as one that the role hides. So
        nothing at all is not believed before each model was listed, nor that there is none of what the mirror holds.
        """
        if not self._empty:
            return False
        if self._sweep.total == 0 and len(self._empty) > 1:
            return True
        return await self._ctx.database.reading.run(
            lambda: any(model in self._empty for _, model in self._listed.not_listed())
        )

    async def _read_page(self, page: cma.Page[cma.Item]) -> None:
        if self._sweep.began_at is None:
            self._sweep.began_at = page.at
        seen = list(self._readable(page))
        # A record that cannot be read exists all the same, and must not be treated as deleted.
        await self._ctx.database.reading.run(self._listed.add, [RecordId(entry.id) for entry in page.bad if entry.id])
        self._without_id += sum(not entry.id for entry in page.bad)
        known = await self._ctx.database.reading.run(self._listed.add_and_load, [record.id for record in seen])
        self._sweep.precision = finer(self._sweep.precision, finest_precision(each.fingerprint for each in seen))
        for record in seen:
            times = (self._sweep.newest_update, record.updated_at, record.published_at)
            self._sweep.newest_update = max((time for time in times if time), default=None)
            self._has_unknown |= is_unknown(record, known)
            is_changed = has_changed(record, known)
            self._sweep.changed += is_changed
            if self._to_the_end or is_changed:
                self._tasks.add(PullTask(record, known.get(record.id), self._to_the_end))
        self._ctx.progress.records_planned = self._tasks.count
        self._ctx.progress.counts.records_swept += len(seen)

    def _readable(self, page: cma.Page[cma.Item]) -> Iterable[SeenRecord]:
        for entry in page.bad:
            self._sweep.failures.append(RecordFailure(_name_of(entry), str(entry.error)))
        for item in page.items:
            try:
                yield seen_record(item)
            except ContentError as error:
                self._sweep.failures.append(RecordFailure(item.id, f"its meta cannot be read: {error}"))


def _name_of(entry: cma.InvalidResource) -> str:
    """Return a name for an entry that cannot be read. Its id may have any length and any characters."""
    if not entry.id:
        return NO_ID
    shown = entry.id if len(entry.id) <= MAX_NAME_LENGTH else f"{entry.id[:MAX_NAME_LENGTH]}…"
    return shown if shown.isprintable() else ascii(shown)


async def count_records(client: cma.Client, models: Iterable[str], *, status: str | None = None) -> int:
    """Return how many records these models have, of one status or of any. This takes one request per group of models.

    Raises CmaError, such as InvalidRequest if DatoCMS does not accept one of the models.
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
    """Return whether the mirror does not hold `record`, or holds it as deleted. `known` are the mirror's records."""
    before = known.get(record.id)
    return before is None or before.deleted_at is not None


def has_changed(record: SeenRecord, known: Mapping[RecordId, KnownRecord]) -> bool:
    """Return whether `record` differs from the mirror. `known` are the mirror's records."""
    return is_unknown(record, known) or not same_fingerprint(known[record.id].fingerprint, record.fingerprint)
