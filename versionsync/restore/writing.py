"""Carry out one step of a plan: the request that changes something, and the reads that keep others' edits safe.

An update names the version that must still be current, so upstream refuses it if someone edited the record. Publishing,
unpublishing and deleting have no such check: the records are read before, and read again after. If an answer was lost,
the versions of the record show whether the write happened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from versionsync import cma
from versionsync.history.diff.model import Json
from versionsync.ledger.content import canonical_value, parse_value
from versionsync.restore.claims import Claim, Refusals, block_ids, creator_of, described, without_block_ids
from versionsync.restore.comparing import holds
from versionsync.restore.errors import RestoreError
from versionsync.restore.facts import records_by_id
from versionsync.restore.model import Act, Before, Creation, Step

__all__ = ["GONE", "REFUSED", "STOPPING", "StepFailed", "StepWriter", "Written", "why_refused"]

STOPPING: Final = frozenset({"TOO_MANY_OPERATIONS"})
"""Refusals that every other write would get, too. The plan can be continued later."""
_STALE: Final = frozenset({"STALE_ITEM_VERSION", "UNMANAGED_EDIT_CONFLICT"})
_TAKEN: Final = "INVALID_ENTITY_ID"

# Our own codes, beside upstream's.
EDITED: Final = "EDITED_MEANWHILE"
EXISTS: Final = "EXISTS_ALREADY"
GONE: Final = "DELETED_MEANWHILE"
NOT_PUBLISHED: Final = "NOT_PUBLISHED"
PASSED: Final = "TIME_PASSED"
REFUSED: Final = "REFUSED"

_EDITED_SINCE: Final = "someone edited it since the plan was made"
_DELETED_SINCE: Final = "someone deleted it since the plan was made"


class StepFailed(RestoreError):
    """A step that did not end as planned. `records`: those that it failed for; empty: all of them."""

    def __init__(self, code: str, why: str, *, records: Iterable[str] = ()) -> None:
        super().__init__(why)
        self.code = code
        self.why = why
        self.records = frozenset(records)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a step did: the version that it made, and a sentence about what upstream did not take."""

    version_id: str | None = None
    lost: str | None = None


class StepWriter:
    """Carries out the steps of one plan. It knows the versions that the plan made so far."""

    def __init__(self, before: Iterable[Before], client: cma.Client, *, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self._current = {one.record_id: one.version_id for one in before if one.version_id is not None}
        self._published_at = {one.record_id: one.published_at for one in before if one.version_id is not None}
        self._refusals = Refusals()

    def remember(self, step: Step, version_id: str | None) -> None:
        """Take over a step that was done before, by this process or another one."""
        if version_id is not None:
            self._current[step.record_ids[0]] = version_id
        if step.act in (Act.PUBLISH, Act.UNPUBLISH):
            for id in step.record_ids:
                self._published_at.pop(id, None)  # its time is not known

    async def write(self, step: Step, ids: Sequence[str], *, may_have_happened: bool) -> Written:
        """Carry out a step.

        Args:
            step: The step.
            ids: The records that it is for. Some may have been left out.
            may_have_happened: An earlier request of this step had no answer.

        Raises:
            StepFailed: It cannot end as planned.
            CmaError: Upstream refused the request, or is unavailable.
        """
        match step.act:
            case Act.CREATE:
                return await self._create(step, may_have_happened=may_have_happened)
            case Act.UPDATE:
                return await self._update(step, may_have_happened=may_have_happened)
            case Act.SCHEDULE:
                await self._schedule(step)
            case _:
                await self._in_bulk(step.act, ids)
        return Written()

    # One record.

    async def _create(self, step: Step, *, may_have_happened: bool) -> Written:
        (id,) = step.record_ids
        if may_have_happened and (made := await self._made(step, None)) is not None:
            return self._keep(id, made)

        async def send(without: frozenset[Claim]) -> cma.Item:
            assert step.attributes is not None and step.model_id is not None
            attributes: Json = dict(step.attributes)
            past = Creation() if Claim.TIMES in without or step.creation is None else step.creation
            return await self._client.content.create(
                id,
                step.model_id,
                canonical_value(without_block_ids(attributes) if Claim.BLOCK_IDS in without else attributes),
                created_at=past.created_at,
                first_published_at=past.first_published_at,
                creator=None if Claim.CREATOR in without else creator_of(step.creation),
                stage=None if Claim.STAGE in without else step.stage,
            )

        try:
            item, without = await self._with_less(step, send)
        except cma.InvalidRequest as error:
            if error.code == _TAKEN and await self._read(id) is not None:
                if may_have_happened and (made := await self._made(step, None)) is not None:
                    return self._keep(id, made)  # the request without an answer arrived late
                raise StepFailed(EXISTS, "someone made a record with this id") from None
            raise
        self._published_at[id] = item.published_at
        return self._keep(id, item.current_version, without)

    async def _update(self, step: Step, *, may_have_happened: bool) -> Written:
        (id,) = step.record_ids
        expected = step.expected_version or self._current.get(id)
        if may_have_happened and (made := await self._made(step, expected)) is not None:
            return self._keep(id, made)

        async def send(without: frozenset[Claim]) -> cma.Item:
            sent: Json = None if step.attributes is None else dict(step.attributes)
            if Claim.BLOCK_IDS in without and (item := await self._read(id)) is not None:
                sent = without_block_ids(sent, kept=block_ids(parse_value(item.attributes_raw)))
            attributes = None if sent is None else canonical_value(sent)
            return await self._client.content.update(
                id, attributes, current_version=expected, stage=None if Claim.STAGE in without else step.stage
            )

        try:
            item, without = await self._with_less(step, send)
        except cma.NotFound:
            raise StepFailed(GONE, _DELETED_SINCE) from None
        except cma.InvalidRequest as error:
            if error.code in _STALE:
                if may_have_happened and (made := await self._made(step, expected)) is not None:
                    return self._keep(id, made)  # the request without an answer arrived late
                raise StepFailed(EDITED, _EDITED_SINCE) from None
            raise
        return self._keep(id, item.current_version, without)

    async def _with_less(
        self, step: Step, send: Callable[[frozenset[Claim]], Any]
    ) -> tuple[cma.Item, frozenset[Claim]]:
        """Send a write, again with fewer claims while upstream refuses one of them."""
        tried = [self._refusals.known(step)]
        first: cma.CmaError | None = None
        while True:
            try:
                item: cma.Item = await send(tried[-1])
            except (cma.InvalidRequest, cma.PermissionDenied) as error:
                first = first or error
                without = self._refusals.next_without(step, error, tried)
                if not without:
                    raise first from None
                tried.append(without)
                last = error
            else:
                if len(tried) > 1:
                    self._refusals.learn(step, tried[-1], last)
                return item, tried[-1]

    def _keep(self, id: str, version_id: str | None, without: Collection[Claim] = ()) -> Written:
        if version_id is not None:
            self._current[id] = version_id
        return Written(version_id=version_id, lost=described(without) if without else None)

    async def _made(self, step: Step, expected: str | None) -> str | None:
        """Return the version that a write with a lost answer made. None: the write did not happen.

        It is the version right after `expected`: an edit before this write would have made that one.
        """
        (id,) = step.record_ids
        try:
            versions = await self._newest_versions(id)
        except cma.NotFound:
            if step.act is Act.CREATE:
                return None
            raise StepFailed(GONE, _DELETED_SINCE) from None
        place = next((place for place, one in enumerate(versions) if one.id == expected), len(versions))
        if not place:
            return None
        made, before = versions[place - 1], versions[place] if place < len(versions) else None
        wanted: dict[str, Any] = {**_attributes(before), **(step.attributes or {})}
        if made.item_type_id == (step.model_id or made.item_type_id) and holds(
            wanted, parse_value(made.attributes_raw)
        ):
            return made.id
        if step.act is Act.CREATE:
            raise StepFailed(EXISTS, "someone made a record with this id")
        raise StepFailed(EDITED, _EDITED_SINCE)

    async def _newest_versions(self, id: str) -> Sequence[cma.ItemVersion]:
        """Return the newest versions of a record, newest first."""
        page = await self._client.versions_page(id)
        if page.items and not page.items[0].is_current:  # upstream lists the oldest first
            offset = max(page.total - len(page.items), 0)
            return ((await self._client.versions_page(id, offset=offset)) if offset else page).items[::-1]
        return page.items

    async def _schedule(self, step: Step) -> None:
        (id,) = step.record_ids
        plan = step.schedule
        assert plan is not None
        if plan.at <= self._now():
            raise StepFailed(PASSED, f"the planned time, {plan.at:%Y-%m-%d %H:%M} UTC, has passed")
        item = await self._read(id)
        if item is None:
            raise StepFailed(GONE, _DELETED_SINCE)
        if item.current_version != self._current.get(id, item.current_version):
            raise StepFailed(EDITED, _EDITED_SINCE)
        content = self._client.content
        await (content.schedule_publication if plan.publishes else content.schedule_unpublishing)(id, plan.at)

    async def _read(self, id: str) -> cma.Item | None:
        """Return a record with its blocks, or None."""
        try:
            return await self._client.item(id, nested=True)
        except cma.NotFound:
            return None

    # Many records.

    async def _in_bulk(self, act: Act, ids: Sequence[str]) -> None:
        """Publish, unpublish or delete those records that are as the plan left them, and read what came of it."""
        failed: dict[str, tuple[str, str]] = {}
        wanted = await self._as_left(act, ids, failed)
        if len(wanted) < len(ids):  # reading the others took a while
            wanted = await self._as_left(act, wanted, failed)
        if wanted:
            refused = await self._job(act, wanted)
            after = await self._read_many(wanted, lambda _, item: _is_done(act, item))
            for id in wanted:
                if why := await self._why_not(act, id, after.get(id), refused):
                    failed[id] = why
        if failed:
            codes = {code for code, _ in failed.values()}
            shown = "; ".join(f"{id}: {why}" for id, (_, why) in sorted(failed.items()))
            raise StepFailed(codes.pop() if len(codes) == 1 else REFUSED, shown, records=failed)

    async def _as_left(self, act: Act, ids: Sequence[str], failed: dict[str, tuple[str, str]]) -> list[str]:
        """Return the records that an act is to be done to, and add to `failed` those that it must not be done to."""
        found = await self._read_many(ids, self._is_as_left)
        wanted = []
        for id in ids:
            item = found.get(id)
            if item is None:
                if act is not Act.DELETE:
                    failed[id] = GONE, _DELETED_SINCE
            elif item.current_version != self._current.get(id, item.current_version):
                failed[id] = EDITED, _EDITED_SINCE
            elif _is_done(act, item):
                self._published_at[id] = item.published_at
            elif not self._is_as_left(id, item):
                failed[id] = EDITED, "someone published or unpublished it since the plan was made"
            else:
                wanted.append(id)
        return wanted

    def _is_as_left(self, id: str, item: cma.Item | None) -> bool:
        """Return whether a record is as it was when the plan was made, or as the plan left it."""
        if item is None:
            return id not in self._current
        return item.current_version == self._current.get(
            id, item.current_version
        ) and item.published_at == self._published_at.get(id, item.published_at)

    async def _job(self, act: Act, ids: Sequence[str]) -> int:
        """Send a bulk request, wait for its job, and return how many records upstream refused."""
        content = self._client.content
        send = {Act.PUBLISH: content.publish, Act.UNPUBLISH: content.unpublish, Act.DELETE: content.destroy}[act]
        try:
            result = await self._client.wait_for_job(await send(ids))
        except (cma.InvalidRequest, cma.NotFound) as error:
            if len(ids) == 1 or error.code in STOPPING:
                raise
            return len(ids)
        try:
            return msgspec.json.decode(result.payload_raw, type=_BulkResult).meta.failed
        except msgspec.DecodeError:
            return len(ids)

    async def _why_not(self, act: Act, id: str, item: cma.Item | None, refused: int) -> tuple[str, str] | None:
        """Return why a record is not as it should be after a bulk request, or None."""
        if act is Act.DELETE:
            if item is None:
                return None
            if item.current_version != self._current.get(id):
                return EDITED, "someone edited it, or made it again, just now"
            return REFUSED, "DatoCMS refused to delete it"
        if item is None:
            return GONE, "someone deleted it just now"
        if item.current_version != self._current.get(id, item.current_version):
            return EDITED, "someone edited it just now, and that edit may be live"
        if _is_done(act, item):
            self._published_at[id] = item.published_at
            return None
        if not refused:
            return EDITED, "someone published or unpublished it just now"
        if act is Act.UNPUBLISH:
            return REFUSED, "DatoCMS refused to unpublish it"
        return await self._publish_alone(id)

    async def _publish_alone(self, id: str) -> tuple[str, str] | None:
        """Publish a record that a bulk request did not publish: a request of its own says what is wrong.

        A version that was live before is left as it is: someone may have unpublished it just now.
        """
        try:
            newest = next(iter(await self._newest_versions(id)), None)
            if newest is None or newest.id != self._current.get(id) or newest.published_from is not None:
                return NOT_PUBLISHED, "DatoCMS refused to publish it, or someone unpublished it just now"
            item = await self._client.content.publish_one(id)
        except (cma.InvalidRequest, cma.PermissionDenied, cma.NotFound) as error:
            if error.code in STOPPING:
                raise
            return NOT_PUBLISHED, why_refused(error)
        if item.current_version != self._current.get(id):
            return EDITED, "someone edited it just now, and that edit is live"
        self._published_at[id] = item.published_at
        return None

    async def _read_many(
        self, ids: Sequence[str], is_expected: Callable[[str, cma.Item | None], bool]
    ) -> Mapping[str, cma.Item]:
        """Return the records that exist, without blocks.

        Upstream may answer a list from a cache. So a record that does not look as expected is read again.
        """
        found = await records_by_id(self._client, ids)
        for id in ids:
            if is_expected(id, found.get(id)):
                continue
            found.pop(id, None)
            try:
                found[id] = await self._client.item(id)
            except cma.NotFound:
                continue
        return found


class _Counts(msgspec.Struct, frozen=True):
    failed: int


class _BulkResult(msgspec.Struct, frozen=True):
    meta: _Counts


def _attributes(version: cma.ItemVersion | None) -> dict[str, Any]:
    found: Any = None if version is None else parse_value(version.attributes_raw)
    return found if isinstance(found, dict) else {}


def _is_done(act: Act, item: cma.Item | None) -> bool:
    """Return whether a record is as an act leaves it. Publishing makes its current version live."""
    if item is None:
        return act is Act.DELETE
    return (act is Act.PUBLISH and item.status == "published") or (act is Act.UNPUBLISH and item.status == "draft")


def why_refused(error: cma.CmaError) -> str:
    """Return upstream's reason with the fields that it names."""
    problems = error.problems if isinstance(error, cma.InvalidRequest) else ()
    named = ", ".join(f"{one.field}: {one.code}" for one in problems)
    return f"{error.message} ({named})" if named and error.message not in named else error.message
