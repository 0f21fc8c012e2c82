"""The values of `date_time` fields within stored content: found at any depth, and given another text or instant."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from versionsync.simulator.world import content as contents
from versionsync.simulator.world.content import Block, Json
from versionsync.simulator.world.models import Model

__all__ = ["DateTimes"]

_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_CANDIDATE: Final = re.compile(rb'"(\d{4}-\d\d-\d\d[T ][\d:.+Z-]+)"')

Print = Callable[[datetime], str]
"""Gives an instant its text."""


class DateTimes:
    """Finds the date-times in content of the models of one environment."""

    __slots__ = ("_any_in_blocks", "_keys", "_models")

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._models = models
        self._keys = {id: keys for id, model in models.items() if (keys := _date_time_keys(model))}
        self._any_in_blocks = any(models[id].is_block for id in self._keys)

    def may_be_in(self, model: Model, *, blocks: bool = True) -> bool:
        """Return whether content of *model* can hold date-times; *blocks*: those in whole blocks count."""
        return model.id in self._keys or (blocks and self._any_in_blocks and bool(model.block_keys))

    def printed(self, text: bytes, model: Model, show: Print, *, blocks: bool = True) -> bytes:
        """Return the content *text* of *model* with each date-time as *show* prints it.

        Texts that are no date-times stay as they are. *blocks*: those in whole blocks are printed anew, too.
        """
        if not self.may_be_in(model, blocks=blocks):
            return text
        # Most content has the right texts already: that is seen without taking it apart.
        if all((value := found[1].decode()) == _printed(value, show) for found in _CANDIDATE.finditer(text)):
            return text
        members = contents.split(text)
        for key in self._keys.get(model.id, ()):
            if key in members:
                members[key] = contents.raw(_printed(contents.load(members[key]), show))
        if blocks and self._any_in_blocks:
            for key in model.block_keys:
                if key in members:
                    value = contents.load(members[key])
                    members[key] = contents.raw(contents.map_blocks(value, lambda block: self._block(block, show)))
        return contents.join(members)

    def _block(self, block: Json, show: Print) -> Json:
        if not contents.is_block(block):
            return block
        model = self._models.get(_model_id(block))
        if model is None:
            return block
        attributes = dict(block["attributes"])
        for key in self._keys.get(model.id, ()):
            if key in attributes:
                attributes[key] = _printed(attributes[key], show)
        for key in model.block_keys:
            if key in attributes:
                attributes[key] = contents.map_blocks(attributes[key], lambda inner: self._block(inner, show))
        return {**block, "attributes": attributes}


def _date_time_keys(model: Model) -> frozenset[str]:
    keys = {field.api_key for field in model.fields.values() if field.field_type == "date_time"}
    return frozenset(keys | {old for old, new in model.former_keys.items() if new in keys})


def _model_id(block: Block) -> str:
    match block.get("relationships"):
        case {"item_type": {"data": {"id": str(model_id)}}}:
            return model_id
    return ""


def _printed(value: Json, show: Print) -> Json:
    """*value* of a field, by locale or not."""
    if isinstance(value, dict):
        return {locale: _printed(inner, show) for locale, inner in value.items()}
    if not isinstance(value, str) or not _DATE_TIME.fullmatch(value):
        return value
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    return show(at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC))
