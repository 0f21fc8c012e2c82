"""What is stored when an editor saves: with defaults for missing fields, complete blocks, and validated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from versionsync.simulator.errors import ApiError, raise_all
from versionsync.simulator.world import content as contents
from versionsync.simulator.world import ids
from versionsync.simulator.world.checks import Checks
from versionsync.simulator.world.content import Block, Json, Members
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.models import Field, Model
from versionsync.simulator.world.options import SimulatorOptions
from versionsync.simulator.world.records import Record

__all__ = ["Attributes", "Validated", "Validator"]

Attributes = Mapping[str, object] | bytes
"""The content of an action: values by api_key, or the complete JSON text, which is stored unchanged."""

TREE_MEMBERS: Final = frozenset({"position", "parent_id"})
FILE_MEMBERS: Final[dict[str, Json]] = {
    "upload_id": None, "alt": None, "title": None, "custom_data": {}, "focal_point": None, "poster_time": None,
}  # fmt: skip
"""The default members of a file in a record."""

_NULL: Final = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class Validated:
    """Content to store, and whether it is valid (a model may allow invalid drafts)."""

    content: bytes
    is_valid: bool = True


@dataclass(frozen=True, slots=True)
class Validator:
    """The rules for saving records of *model*."""

    environment: Environment
    model: Model
    new_id: Callable[[], str]
    options: SimulatorOptions

    def prepare(self, attributes: Attributes, *, record: Record | None = None) -> Validated:
        """Return the content to store for *attributes*; *record*: the one they change. Raise ApiError (422)."""
        if isinstance(attributes, bytes):
            return Validated(attributes)
        known = {field.api_key: field for field in self.model.ordered_fields}
        extra = [key for key in attributes if key not in known and not self._is_tree_member(key)]
        if extra:
            raise ApiError("INVALID_ATTRIBUTES", extraneous_attributes=sorted(extra), model=self.model.api_key)
        blocks = contents.blocks_by_id(record.head.read()) if record is not None else {}
        members = self._members_of(record)
        self._check_parent(attributes, record)
        chosen: list[str] = []
        for key, value in attributes.items():
            members[key] = self._completed(value, known.get(key), blocks, chosen)
        self._check_chosen(chosen, record)
        self._fill_defaults(members, known)
        content = contents.join(members)
        checks = Checks(self.environment, self.model, self.options)
        checks.check_limits(content)
        structure, rules = checks.broken_structure(members, record), checks.broken_rules(members, record)
        if structure or (rules and not self.model.draft_saving):
            raise_all([*structure, *rules])
        return Validated(content, is_valid=not rules)

    def _is_tree_member(self, key: str) -> bool:
        return key in TREE_MEMBERS and (self.model.tree or self.model.sortable)

    def _check_parent(self, attributes: Mapping[str, object], record: Record | None) -> None:
        """Raise ApiError if a new parent does not exist, or is in the branch below *record*."""
        sent = attributes.get("parent_id")
        parent_id = contents.load(sent) if isinstance(sent, msgspec.Raw) else sent
        if parent_id is None:
            return
        records = self.environment.records
        parent = records.get(parent_id) if isinstance(parent_id, str) else None
        if parent is None or parent.model is not self.model:
            raise ApiError("INVALID_PARENT_ID", parent_id=parent_id)
        above: Record | None = parent
        while above is not None:
            if above is record:
                raise ApiError("INVALID_PARENT", parent_id=parent_id, item=record.id)
            above = records.get(above.parent_id or "")

    def _check_chosen(self, chosen: list[str], record: Record | None) -> None:
        """Raise ApiError if an id that the client chose for a new block is used elsewhere."""
        if not chosen:
            return
        quoted = {f'"{id}"'.encode(): id for id in chosen}
        taken = {id for id in chosen if id in self.environment.records or chosen.count(id) > 1}
        for other in self.environment.records.values():
            if other is not record:
                for text in (version.read() for version in other.shown_versions):
                    taken |= {id for quote, id in quoted.items() if quote in text}
        if taken:
            raise ApiError("INVALID_FIELD", code="INVALID_BLOCK", ids=sorted(taken), reason="the id is taken")

    def _members_of(self, record: Record | None) -> Members:
        if record is None:
            return {}
        former = self.model.previous_keys
        return {former.get(key, key): value for key, value in contents.split(record.head.read()).items()}

    def _fill_defaults(self, members: Members, known: Mapping[str, Field]) -> None:
        """Give every missing field its default, or null; localized fields in the locales of the record."""
        locales: dict[str, None] = {}
        for key, field in known.items():
            if field.localized and bytes(members.get(key, _NULL)).lstrip().startswith(b"{"):
                locales |= dict.fromkeys(contents.split(bytes(members[key])))
        for key, field in known.items():
            if key not in members:
                default = field.initial_value
                if field.localized and not isinstance(default, dict):
                    default = dict.fromkeys(locales or self.environment.locales[:1], default)
                members[key] = contents.raw(default)

    def _completed(
        self, value: object, field: Field | None, blocks: Mapping[str, Block], chosen: list[str]
    ) -> msgspec.Raw:
        """Return *value* for storage in *field*: with complete blocks, and all members of files.

        *blocks*: those that the record has. The ids of new blocks that the client chose are added to *chosen*.
        """
        if field is None or not (field.holds_blocks or field.holds_files):
            return contents.raw(value)
        decoded = contents.load(value) if isinstance(value, msgspec.Raw) else value
        if field.holds_files:
            return contents.raw(_complete_files(decoded))
        return contents.raw(contents.map_blocks(decoded, lambda sent: self._complete_block(sent, blocks, chosen)))

    def _complete_block(self, sent: Json, blocks: Mapping[str, Block], chosen: list[str]) -> Block:
        if isinstance(sent, str):
            if sent not in blocks:
                raise ApiError("INVALID_FIELD", code="INVALID_BLOCK", id=sent, reason="not in this record")
            return blocks[sent]
        if not isinstance(sent, dict) or sent.get("type") != "item":
            raise ApiError("INVALID_FIELD", code="INVALID_BLOCK", reason="neither an id nor a block")
        block_id = sent.get("id")
        old = blocks.get(block_id) if block_id is not None else None
        if block_id is not None and not ids.is_valid(block_id):
            raise ApiError("INVALID_ENTITY_ID", id=block_id)
        if block_id is not None and old is None:
            block_id = self._chosen_id(block_id, chosen)
        model = self._block_model(sent if old is None or sent.get("relationships") else old)
        attributes: dict[str, Json] = {field.api_key: field.initial_value for field in model.ordered_fields}
        attributes |= (old or {}).get("attributes", {})
        attributes |= sent.get("attributes") or {}
        for field in model.ordered_fields:
            if field.holds_blocks:
                attributes[field.api_key] = contents.map_blocks(
                    attributes[field.api_key], lambda inner: self._complete_block(inner, blocks, chosen)
                )
            elif field.holds_files:
                attributes[field.api_key] = _complete_files(attributes[field.api_key])
        return {
            "id": block_id or self.new_id(),
            "type": "item",
            "attributes": attributes,
            "relationships": {"item_type": {"data": {"id": model.id, "type": "item_type"}}},
        }

    def _chosen_id(self, block_id: str, chosen: list[str]) -> str | None:
        """Return the id of a new block for which the client chose one; None: upstream chooses another."""
        match self.options.new_block_ids:
            case "refused":
                raise ApiError("INVALID_FIELD", code="INVALID_BLOCK", id=block_id, reason="not in this record")
            case "replaced":
                return None
            case "kept":
                chosen.append(block_id)
                return block_id

    def _block_model(self, block: Block) -> Model:
        model = self.environment.models.get(contents.model_id(block))
        if model is not None and model.is_block:
            return model
        raise ApiError("INVALID_FIELD", code="INVALID_BLOCK", reason="no such block model")


def _complete_files(value: Json) -> Json:
    """Return *value* of a field with files, localized or not, with defaults for missing members."""
    match value:
        case {"upload_id": _}:
            return FILE_MEMBERS | value
        case dict():
            return {locale: _complete_files(inner) for locale, inner in value.items()}
        case list():
            return [_complete_files(inner) for inner in value]
        case _:
            return value
