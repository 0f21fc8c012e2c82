"""Block records: the blocks in the content of records, as `/items` lists them.

A block is stored only as part of its record's content. Here it gets the form of a record, so that filters, orders and
writers treat it as one. The marker of a block is its model: `model.is_block`.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from versionsync.simulator.world import content as contents
from versionsync.simulator.world import ids
from versionsync.simulator.world.content import Block
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.event_log import Content
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.records import Record, Version

__all__ = ["BlockRecords", "own_records"]

ENVIRONMENTS_KEPT = 8


@dataclass(slots=True)
class _Known:
    """The blocks of one record, and what they were made from."""

    content: Content
    state: tuple[object, ...]
    blocks: tuple[Record, ...]


class _Kept:
    """What is known about one environment."""

    __slots__ = ("by_id", "by_owner", "revision")

    def __init__(self) -> None:
        self.revision = -1
        self.by_owner: dict[str, _Known] = {}
        self.by_id: dict[str, Record] = {}


class BlockRecords:
    """The block records of each environment. They are made again only for records that changed."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: OrderedDict[Environment, _Kept] = OrderedDict()

    def of(self, environment: Environment) -> Mapping[str, Record]:
        """Return the block records of *environment* by id, nested blocks after the block that holds them.

        They are the blocks in the current content of all records, and the records of models that became block models.
        A block whose model is gone, or is no block model any more, is not among them.
        """
        kept = self._kept.get(environment)
        if kept is None:
            kept = self._kept[environment] = _Kept()
            if len(self._kept) > ENVIRONMENTS_KEPT:
                self._kept.popitem(last=False)
        if kept.revision != environment.revision:
            _refresh(kept, environment)
        return kept.by_id

    def find(self, environment: Environment, block_id: str) -> Record | None:
        """Return the block with this id, if there is one."""
        return self.of(environment).get(block_id)


def own_records(environment: Environment) -> Iterator[Record]:
    """Yield the records of *environment* that are no blocks."""
    return (record for record in environment.records.values() if not record.model.is_block)


def _refresh(kept: _Kept, environment: Environment) -> None:
    models = environment.models
    by_owner: dict[str, _Known] = {}
    by_id: dict[str, Record] = {}
    keys_of = {id: model.block_keys for id, model in models.items()}
    for record in environment.records.values():
        if record.model.is_block:
            by_id.setdefault(record.id, record)
        keys = keys_of.get(record.model.id)
        if not keys:
            continue
        content, state = record.head.content, _state(record, keys)
        known = kept.by_owner.get(record.id)
        if known is None or known.content is not content or known.state != state:
            known = _Known(content, state, tuple(_blocks_of(record, keys, models)))
        by_owner[record.id] = known
        for block in known.blocks:
            if block.model.is_block and models.get(block.model.id) is block.model:
                by_id.setdefault(block.id, block)
    kept.by_owner, kept.by_id, kept.revision = by_owner, by_id, environment.revision


def _state(record: Record, keys: tuple[str, ...]) -> tuple[object, ...]:
    """What a block takes over from its record, besides its content."""
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
        for block in contents.whole_blocks(contents.load(members[key])):
            model = models.get(_model_id(block))
            if model is not None:
                yield _as_record(block, model, record)


def _model_id(block: Block) -> str:
    match block.get("relationships"):
        case {"item_type": {"data": {"id": str(model_id)}}}:
            return model_id
    return ""


def _as_record(block: Block, model: Model, owner: Record) -> Record:
    """The block in the form of a record: times and status are those of its record, its version ids are its own."""
    text = bytes(contents.raw(block["attributes"]))
    made = replace(owner, id=block["id"], model=model, stage=None, versions=[], current=None, published=None)
    made.publication_scheduled_at = made.unpublishing_scheduled_at = None
    head = owner.head
    current = Version(_version_id(made.id, text), made, head.editor, owner.updated_at, text, head.live)
    made.versions.append(current)
    made.current = current
    if (live := owner.published) is not None:
        made.published = current if live is head else _older(made, current, live.created_at)
    return made


def _older(block: Record, current: Version, at: datetime) -> Version:
    """The published version of a block whose record was edited since."""
    older = replace(current, id=_version_id(block.id, b"published"), created_at=at)
    block.versions.insert(0, older)
    return older


def _version_id(block_id: str, text: bytes) -> str:
    """An id that stays the same for as long as the block says the same."""
    digest = hashlib.sha256(block_id.encode() + b"\0" + text).digest()[:16]
    return ids.encode(uuid.UUID(bytes=digest, version=4))
