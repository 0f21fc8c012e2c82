"""Deletions: check record by record what is not found any more, unless it is more than the limit allows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from versionsync import cma
from versionsync.errors import ErrorKind, VersionsyncError
from versionsync.ledger.content import same_fingerprint
from versionsync.ledger.ids import ModelId, RecordId
from versionsync.ledger.records import DeletionEvidence, KnownRecord
from versionsync.ledger.safeguards import MassDeleteLimit, Missing, exceeds_mass_delete_limit
from versionsync.mirror.tables.records import live_counts_by_model, load_records
from versionsync.sync.api_to_ledger import seen_record
from versionsync.sync.beacon import MAX_ANSWER_AGE
from versionsync.sync.context import RunContext, Upstream
from versionsync.sync.options import SourceSpec
from versionsync.sync.pull import RecordMissing, pull_record, read_history
from versionsync.sync.role_visibility import RoleVisibility
from versionsync.sync.stage_results import StageResult, partial_result
from versionsync.sync.sweep import Sweep
from versionsync.sync.temporary_files import PullTask
from versionsync.sync.writer import Writer, writing

__all__ = [
    "MassDeletionError",
    "check_mass_delete_limit",
    "confirm_missing",
    "confirm_unlisted",
    "explain_refused",
    "hidden_models",
]

ABSENT_CHUNK = 500
ATTEMPTS = 5
FEW_YOUNG = 20
"""If more young records than this are absent, ask for them once more only: undoing an import must not cost too much."""

T = TypeVar("T")


class MassDeletionError(VersionsyncError):
    """More records are not listed any more than the limit allows (invariant 5). Nothing was marked deleted."""

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
    missing: Mapping[ModelId, int],
    live: Mapping[ModelId, int],
    *,
    models: Mapping[ModelId, str],
) -> None:
    """Raise MassDeletionError if too many records are missing.

    Args:
        limit: How many may be missing.
        missing: How many are, by model.
        live: How many live records the mirror has, by model.
        models: The names of the models that still exist.
    """
    deleted_models = frozenset(missing.keys() - models.keys())
    if seen := exceeds_mass_delete_limit(limit, missing, live, deleted_models=deleted_models):
        raise MassDeletionError(source, seen, model_name=models.get(seen.model_id) if seen.model_id else None)


async def hidden_models(
    visibility: RoleVisibility, spec: SourceSpec, missing: Mapping[ModelId, int], live: Mapping[ModelId, int]
) -> frozenset[ModelId]:
    """Return the models whose records the role may hide, so that a missing record says nothing.

    Args:
        visibility: What the role shows.
        spec: The source, with its limit.
        missing: How many records are missing, by model.
        live: How many live records the mirror has, by model.

    Raises:
        MassDeletionError: If more records of the other models are missing than the limit allows.
        CmaError: If the role cannot be read.
    """
    if visibility.assume_visible:
        return frozenset()
    hidden = frozenset([model for model in missing if await visibility.is_hidden(model)])
    others = {model: count for model, count in missing.items() if model not in hidden}
    check_mass_delete_limit(spec.name, spec.mass_delete_limit, others, live, models=visibility.models)
    return hidden


def model_is_deleted(model: str, count: int) -> str:
    """Return the note for a run that marks all records of a model deleted without knowing what the role hides."""
    return (
        f"no record of the model {model} is there any more: upstream says that the {count} do not exist, and they are "
        "marked as deleted. It says the same of records that a role hides, and does not show this token its role: "
        "if the role hides them, they come back as record.returned once it does not"
    )


async def explain_refused(ctx: RunContext, upstream: Upstream, sweep: Sweep) -> StageResult:
    """Find out why DatoCMS did not list the `refused` models: the role hides them, or they have just changed.

    A model that exists, and that the role shows, should have been listed. Then the run is partial. Raises CmaError.
    """
    result = StageResult()
    if not sweep.refused or upstream.visibility.assume_visible:
        return result
    unlisted = await _count_unlisted(ctx, sweep)
    for model in sweep.refused & unlisted.keys():
        if await upstream.visibility.is_hidden(model):
            result += StageResult(hidden=Counter({model: unlisted[model]}))
            continue
        result += StageResult(schema_is_settled=False)  # the next run asks again
        found = await _find_model(ctx, model)
        if found is not None and not found.modular_block:
            result += partial_result(f"upstream does not list the records of the model {found.api_key}")
    return result


async def _find_model(ctx: RunContext, model: ModelId) -> cma.ItemType | None:
    """Return the model as it is now. None: it does not exist, or the token may not see it."""
    try:
        return await ctx.client.item_type(model)
    except cma.NotFound:
        return None


async def confirm_unlisted(ctx: RunContext, upstream: Upstream, sweep: Sweep) -> StageResult:
    """Check the records that a complete `sweep` did not list, and mark those deleted that DatoCMS does not find.

    Records of models that the sweep could not list are left out.

    Raises:
        MassDeletionError: If too many records are not listed.
        CmaError, MirrorError: Perhaps in a group.
    """
    check = _DeletionCheck(ctx, upstream)
    unlisted, ignored = await _count_unlisted(ctx, sweep), sweep.uncertain
    if upstream.visibility.assume_visible:
        ignored -= sweep.refused & unlisted.keys()
    for model in ignored:
        unlisted.pop(model, None)
    hidden = await check.check_limit(unlisted) if unlisted else frozenset()
    check.count_hidden({model: unlisted[model] for model in hidden})
    ignored |= hidden
    ids = (id for id, model in sweep.listed.not_listed() if model not in ignored)
    while unlisted and (chunk := await ctx.database.reading.run(lambda: list(islice(ids, ABSENT_CHUNK)))):
        await check.confirm(chunk, was_listed=False)
    return check.result


async def _count_unlisted(ctx: RunContext, sweep: Sweep) -> Counter[ModelId]:
    return await ctx.database.reading.run(lambda: Counter(model for _, model in sweep.listed.not_listed()))


async def confirm_missing(
    ctx: RunContext, upstream: Upstream, ids: Sequence[RecordId], *, accept_regressions: bool = False
) -> StageResult:
    """Check records that were not found when they were read, and mark those deleted that DatoCMS does not find.

    Args:
        ids: Records that were listed, or asked for by id.
        accept_regressions: Whether to write older states than the mirror's.

    Raises:
        MassDeletionError: If too many records are missing.
        CmaError, MirrorError: Perhaps in a group.
    """
    if not ids:
        return StageResult()
    check = _DeletionCheck(ctx, upstream, accept_regressions=accept_regressions)
    live = [record for record in (await check.known(ids)).values() if record.deleted_at is None]
    if live:
        await check.check_limit(Counter(record.model_id for record in live))
    known = await check.confirm(ids, was_listed=True)
    await check.map([id for id in ids if id not in known], RecordId, check.check_never_mirrored)
    return check.result + StageResult(inconsistent=frozenset(ids))  # so that the next run checks again


class _DeletionCheck:
    """Asks for records that may be deleted, and writes what it finds. `result` has everything so far."""

    def __init__(self, ctx: RunContext, upstream: Upstream, *, accept_regressions: bool = False) -> None:
        self._ctx = ctx
        self._client = ctx.client
        self._visibility = upstream.visibility
        self._accept_regressions = accept_regressions
        self.result = StageResult()

    async def known(self, ids: Sequence[RecordId]) -> dict[RecordId, KnownRecord]:
        return await self._ctx.read(load_records, ids)

    async def map(
        self, things: Iterable[T], id_of: Callable[[T], RecordId], work: Callable[[T], Awaitable[None]]
    ) -> None:
        done = await self._ctx.workers.map(things, id_of, work)
        self.result += done  # after the work, which adds to the result too

    def count_hidden(self, hidden: Mapping[ModelId, int]) -> None:
        self.result += StageResult(hidden=Counter(hidden))

    async def check_limit(self, missing: Counter[ModelId]) -> frozenset[ModelId]:
        """Return the models whose records may be hidden, as `hidden_models` does, and report what it cannot know."""
        ctx, names = self._ctx, self._visibility.models
        live = await ctx.read(live_counts_by_model)
        if self._visibility.assume_visible:
            by_model = {names.get(model, model): count for model, count in missing.items()}
            ctx.log.warning("mass_delete.allowed", unlisted=missing.total(), of=sum(live.values()), models=by_model)
        hidden = await hidden_models(self._visibility, ctx.spec, missing, live)
        if self._visibility.is_unknown:
            deleted = (each for each in missing.items() if each[0] in names and each[1] >= live.get(each[0], 0))
            notes = tuple(model_is_deleted(names[model], count) for model, count in deleted)
            self.result += StageResult(notes=notes)
        return hidden

    async def confirm(self, ids: Sequence[RecordId], *, was_listed: bool) -> Mapping[RecordId, KnownRecord]:
        """Ask for each of `ids` that the mirror holds, mark the deleted ones, and return what the mirror held."""
        known = await self.known(ids)
        async with writing(self._ctx, accept_regressions=self._accept_regressions) as writer:
            absent = await self._find_absent(known.values(), writer, was_listed=was_listed)
            await self._delete(absent, writer)
        self.result += writer.result
        return known

    async def _find_absent(
        self, records: Iterable[KnownRecord], writer: Writer, *, was_listed: bool
    ) -> list[KnownRecord]:
        """Return the records that DatoCMS does not find. A young one is asked for several times."""
        absent: list[KnownRecord] = []

        async def ask(record: KnownRecord) -> None:
            try:
                item = await self._client.item(record.id)
            except cma.NotFound:
                if await self._visibility.is_hidden(record.model_id):
                    self.count_hidden({record.model_id: 1})
                else:
                    absent.append(record)
                return
            seen = seen_record(item)
            if not same_fingerprint(seen.fingerprint, record.fingerprint):
                task, retry_seconds = PullTask(seen, record), self._ctx.timings.retry
                async with self._ctx.memory.reading():
                    await writer.put(
                        await pull_record(self._client, task, erasures=writer.erasures, retry_seconds=retry_seconds)
                    )
            if not was_listed:
                self.result += partial_result(f"record {record.id} was not listed, but it exists")

        await self.map(records, lambda record: record.id, ask)
        young = [record for record in absent if self._is_young(record)]
        attempts = ATTEMPTS if len(young) <= FEW_YOUNG else 1
        while young and attempts:
            attempts -= 1
            await asyncio.sleep(self._ctx.timings.retry)
            absent = [record for record in absent if not self._is_young(record)]
            await self.map(young, lambda record: record.id, ask)
            young = [record for record in absent if self._is_young(record)]
        return await self._without_hidden(absent)

    async def _delete(self, absent: Sequence[KnownRecord], writer: Writer) -> None:
        proofs = {model: await self._evidence_for(model) for model in {record.model_id for record in absent}}
        evidence = {model: proof for model, proof in proofs.items() if proof is not None}

        async def delete(record: KnownRecord) -> None:
            proof = evidence[record.model_id]
            async with self._ctx.memory.reading():
                await writer.put(await read_history(self._client, record.id, proof, erasures=writer.erasures))

        deleted = [record for record in absent if record.model_id in evidence]
        self.result += StageResult(changed=len(deleted))
        await self.map(deleted, lambda record: record.id, delete)

    def _is_young(self, record: KnownRecord) -> bool:
        """Return whether a 404 for the record may be an answer from before it was created."""
        return record.created_at is not None and record.created_at > self._ctx.upstream_now() - MAX_ANSWER_AGE

    async def _without_hidden(self, absent: list[KnownRecord]) -> list[KnownRecord]:
        """Leave out the records of models that the role hides by now: it may have changed since it was read."""
        if not absent:
            return absent
        hidden = await self._visibility.are_hidden_now({record.model_id for record in absent})
        self.count_hidden(Counter(record.model_id for record in absent if record.model_id in hidden))
        return [record for record in absent if record.model_id not in hidden]

    async def _evidence_for(self, model: ModelId) -> DeletionEvidence | None:
        """Return what a 404 for a record of `model` proves now. None: nothing, since the model itself has changed.

        A record of a model that became a block model is not found any more, but was not deleted.
        """
        found = await _find_model(self._ctx, model)
        if found is not None and not found.modular_block:
            return DeletionEvidence.NOT_FOUND
        if found is None and model not in self._visibility.models:  # it was deleted before anything was listed
            return DeletionEvidence.MODEL_DELETED
        self.result += StageResult(schema_is_settled=False)
        return None

    async def check_never_mirrored(self, id: RecordId) -> None:
        """Ignore a record that was created and deleted during the run. One that exists is still missing."""
        try:
            await self._client.item(id)
        except cma.NotFound:
            return
        raise RecordMissing(id)
