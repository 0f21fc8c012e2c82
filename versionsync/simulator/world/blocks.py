"""Block records: the blocks in the content of records, as `/items` lists them.

A block is stored only in its record's content. Here it gets the form of a record, so that filters, orders and the
serializer can use it. Its model, with `is_block`, marks it as a block.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from versionsync.simulator.world import content as contents
from versionsync.simulator.world import ids
from versionsync.simulator.world.content import Block
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.event_log import Content
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.records import Record, Version

__all__ = ["BlockRecords", "own_records"]

ENVIRONMENTS_CACHED = 8


@dataclass(slots=True)
class _CachedRecord:
    """The blocks of one record, with the content and state that they come from."""

    content: Content
    state: tuple[object, ...]
    blocks: tuple[Record, ...]


@dataclass(slots=True)
class _Cache:
    revision: int = -1
    by_owner: dict[str, _CachedRecord] = field(default_factory=dict)
    by_id: dict[str, Record] = field(default_factory=dict)


class BlockRecords:
    """The block records of each environment, created again only for records that changed."""

    __slots__ = ("_cache",)

    def __init__(self) -> None:
        self._cache: OrderedDict[Environment, _Cache] = OrderedDict()

    def of(self, environment: Environment) -> Mapping[str, Record]:
        """Return the block records of *environment* by id, nested blocks after their parents.

        They are the blocks in the current content of all records, and the records of models that became block models.
        Blocks whose model does not exist any more, or is no block model any more, are left out.
        """
        cache = self._cache.get(environment)
        if cache is None:
            cache = self._cache[environment] = _Cache()
            if len(self._cache) > ENVIRONMENTS_CACHED:
                self._cache.popitem(last=False)
        if cache.revision != environment.revision:
            _refresh(cache, environment)
        return cache.by_id

    def find(self, environment: Environment, block_id: str) -> Record | None:
        """Return the block with this id, if any."""
        return self.of(environment).get(block_id)


def own_records(environment: Environment) -> Iterator[Record]:
    """Return the records of *environment* that are no blocks."""
    return (record for record in environment.records.values() if not record.model.is_block)


def _refresh(cache: _Cache, environment: Environment) -> None:
    models = environment.models
    by_owner: dict[str, _CachedRecord] = {}
    by_id: dict[str, Record] = {}
    keys_of = {id: model.block_keys for id, model in models.items()}
    for record in environment.records.values():
        if record.model.is_block:
            by_id.setdefault(record.id, record)
        keys = keys_of.get(record.model.id)
        if not keys:
            continue
        content, state = record.head.content, _state(record, keys)
        cached = cache.by_owner.get(record.id)
        if cached is None or cached.content is not content or cached.state != state:
            cached = _CachedRecord(content, state, tuple(_blocks_of(record, keys, models)))
        by_owner[record.id] = cached
        for block in cached.blocks:
            if block.model.is_block and models.get(block.model.id) is block.model:
                by_id.setdefault(block.id, block)
    cache.by_owner, cache.by_id, cache.revision = by_owner, by_id, environment.revision


def _state(record: Record, keys: tuple[str, ...]) -> tuple[object, ...]:
    """Return what a block takes from its record, besides its content."""
    return (
        record.updated_at,
        record.published_at,
        record.published is None,
        record.published is record.current,
        record.sequence,
        keys,
    )


def _blocks_of(record: Record, keys: tuple[str, ...], models: Mapping[str, Model]) -> Iterator[Record]:
    members = contents.split(record.head.read())
    for key in keys:
        if key not in members:
            continue
        for block in contents.complete_blocks(contents.load(members[key])):
            model = models.get(contents.model_id(block))
            if model is not None:
                yield _as_record(block, model, record)


def _as_record(block: Block, model: Model, owner: Record) -> Record:
    """Return the block as a record: with the times and status of its record, and its own version ids."""
    text = bytes(contents.raw(block["attributes"]))
    record = replace(owner, id=block["id"], model=model, stage=None, published=None)
    record.publication_scheduled_at = record.unpublishing_scheduled_at = None
    head = owner.head
    current = Version(_version_id(record.id, text), record, head.editor, owner.updated_at, text, head.live)
    record.versions, record.current = [current], current
    if (live := owner.published) is head:
        record.published = current
    elif live is not None:  # its record was edited since
        record.published = replace(current, id=_version_id(record.id, b"published"), created_at=live.created_at)
        record.versions.insert(0, record.published)
    return record


def _version_id(block_id: str, text: bytes) -> str:
    """Return an id that stays the same as long as the block has the same content."""
    digest = hashlib.sha256(block_id.encode() + b"\0" + text).digest()[:16]
    return ids.encode(uuid.UUID(bytes=digest, version=4))
