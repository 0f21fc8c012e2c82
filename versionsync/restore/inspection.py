"""Finds in a content as it can be sent: its links, its unique values, and what upstream would refuse. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from versionsync.history.diff.model import Json, Path
from versionsync.ledger.content import canonical_value
from versionsync.restore.field_matches import block_model, is_block, is_empty, locales_in
from versionsync.restore.model import Link, Loss, Problem
from versionsync.restore.rules import FieldRules, ModelRules, ProjectRules
from versionsync.restore.validators import breaks_size, broken_validators

__all__ = ["Inspection"]

MOST_BYTES: Final = 300 * 1024
MOST_BLOCKS: Final = 600
MOST_DEPTH: Final = 6
LIMIT_CODE: Final = "TECHNICAL_LIMIT_REACHED"


@dataclass(slots=True)
class Inspection:
    """What was found in one content.

    Attributes:
        is_checked: Whether the content must be valid. Limits are checked in any case.
        is_new: Whether a record is created with it, so that what is missing is filled with defaults.
        losses: What was left out of the content, which explains why something is empty.
    """

    record_id: str
    rules: ProjectRules
    is_checked: bool = True
    is_new: bool = False
    losses: list[Loss] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    uniques: dict[tuple[str, str], bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _blocks: int = 0
    _depth: int = 0

    def record(self, attributes: Mapping[str, Json], model: ModelRules) -> None:
        """Inspect the content of a record."""
        self._members(attributes, model, (), 0)
        parent = attributes.get("parent_id")
        if isinstance(parent, str):
            self.links.append(Link(target=parent, path=("parent_id",), must_be_live=True, is_parent=True))
        if self._blocks > MOST_BLOCKS:
            self._refuse((), LIMIT_CODE, f"The record would have {self._blocks} blocks; {MOST_BLOCKS} are allowed.")
        if self._depth > MOST_DEPTH:
            what = f"The record would have blocks nested {self._depth} deep; {MOST_DEPTH} are allowed."
            self._refuse((), LIMIT_CODE, what)
        size = len(canonical_value(attributes))
        if size > MOST_BYTES:
            what = f"The record would have {size // 1024} KB; {MOST_BYTES // 1024} are allowed."
            self._refuse((), LIMIT_CODE, what)

    def _refuse(self, path: Path, code: str, what: str) -> None:
        self.problems.append(Problem(record_id=self.record_id, path=path, code=code, what=what))

    def _members(self, attributes: Mapping[str, Json], model: ModelRules, path: Path, depth: int) -> None:
        for key, one in model.fields.items():
            if key in attributes:
                self._field(attributes[key], one, (*path, key), depth)
            elif self.is_checked and self.is_new and one.is_required and is_empty(one.default):
                what = f'The field "{one.label}" is required, and this version was made before it.'
                self._refuse((*path, key), "VALIDATION_REQUIRED", what)

    def _field(self, value: Json, one: FieldRules, path: Path, depth: int) -> None:
        values: Mapping[str | None, Json] = {None: value}
        if one.is_localized and locales_in(value, one.field_type, self.rules.locales, was_localized=True):
            values = value
        for locale, inner in values.items():
            at = path if locale is None else (*path, locale)
            if one.validators:
                if self.is_checked:
                    self._validate(inner, one, at)
                if not depth and one.is_unique and not is_empty(inner):
                    self.uniques[one.api_key, locale or ""] = canonical_value(inner)
            self._value(inner, one, at, depth)

    def _validate(self, value: Json, one: FieldRules, path: Path) -> None:
        for code, what in broken_validators(value, one):
            # Losses have the paths of the old content. If those moved, only the reason is missing.
            reasons = (loss.what for loss in self.losses if loss.path[: len(path)] == path)
            self._refuse(path, code, " ".join((what, *reasons)))

    def _value(self, value: Json, one: FieldRules, path: Path, depth: int) -> None:
        match one.field_type:
            case "link":
                self._link(value, one, path, is_required=one.is_required)
            case "links" if isinstance(value, list):
                is_required = breaks_size(one, len(value) - 1)
                for i, target in enumerate(value):
                    self._link(target, one, (*path, i), is_required=is_required)
            case "rich_text" if isinstance(value, list):
                for i, block in enumerate(value):
                    self._block(block, (*path, i), depth)
            case "single_block":
                self._block(value, path, depth)
            case "structured_text" if isinstance(value, dict):
                self._node(value.get("document"), one, (*path, "document"), depth)

    def _link(self, target: Json, one: FieldRules, path: Path, *, is_required: bool = False) -> None:
        if isinstance(target, str):
            self.links.append(
                Link(
                    target=target,
                    path=path,
                    field_id=one.id,
                    is_required=is_required and self.is_checked,
                    must_be_live=one.links_must_be_live,
                )
            )

    def _block(self, block: Json, path: Path, depth: int) -> None:
        if not is_block(block):
            return
        self._blocks += 1
        self._depth = max(self._depth, depth + 1)
        model = self.rules.models.get(block_model(block))
        if model is not None:
            self._members(block["attributes"], model, (*path, "attributes"), depth + 1)

    def _node(self, node: Any, one: FieldRules, path: Path, depth: int) -> None:
        if not isinstance(node, dict):
            return
        kind = node.get("type")
        if kind in ("itemLink", "inlineItem"):
            self._link(node.get("item"), one, (*path, "item"))
        elif kind in ("block", "inlineBlock"):
            self._block(node.get("item"), (*path, "item"), depth)
        children = node.get("children")
        if isinstance(children, list):
            path = (*path, "children")
            for i, child in enumerate(children):
                if isinstance(child, dict) and child.get("type") != "span":
                    self._node(child, one, (*path, i), depth)
