"""Makes the value of one field fit: its links, uploads, blocks and structured text, at any depth. Pure.

A value that fits is returned as it is, and nothing that was passed in is changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from versionsync.history.diff.model import Json, Path
from versionsync.history.diff.schema import SchemaField
from versionsync.restore.field_matches import (
    FieldMatches,
    Match,
    block_model,
    fits_type,
    is_block,
    is_empty,
    locales_in,
)
from versionsync.restore.model import Loss
from versionsync.restore.rules import FieldRules, ProjectRules

__all__ = ["EMPTY_SPAN", "Existing", "ValueFitting", "emptied"]

EMPTY_SPAN: Final[Mapping[str, Json]] = {"type": "span", "value": ""}

_BLOCK_VALIDATORS: Final = {
    "rich_text": "rich_text_blocks",
    "single_block": "single_block_blocks",
    "block": "structured_text_blocks",
    "inlineBlock": "structured_text_inline_blocks",
}
_FILLED: Final = frozenset({"paragraph", "heading"})
"""The nodes that get an empty span if nothing else is left in them. Others are removed then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """What exists upstream, or will exist after the plan.

    Attributes:
        records: The id of the model by record.
        uploads: The ids of the uploads. None: not known, so none is left out.
    """

    records: Mapping[str, str]
    uploads: frozenset[str] | None = None


def emptied(node: Mapping[str, Json], children: list[Json]) -> Json | None:
    """Return a node of a structured text with the children that are left. None: it must go, too."""
    if children:
        return {**node, "children": children}
    return {**node, "children": [dict(EMPTY_SPAN)]} if node.get("type") in _FILLED else None


@dataclass(slots=True)
class ValueFitting:
    """Fits the values of one content, and notes in `losses` what it leaves out. Paths are those of the old content."""

    record_id: str
    rules: ProjectRules
    existing: Existing
    matches: FieldMatches
    main_locale: str
    losses: list[Loss] = field(default_factory=list)

    def lose(self, path: Path, what: str) -> None:
        """Note that a part is left out."""
        self.losses.append(Loss(record_id=self.record_id, path=path, what=what))

    def members(self, attributes: Mapping[str, Json], model_id: str) -> list[tuple[str, Match, FieldRules, Json]]:
        """Return what belongs to fields of now: the old key, the match, the field and the value as it was.

        Fields that are gone are noted as lost, unless they were empty.
        """
        known = self.matches.of_model(model_id)
        found = []
        taken: set[str] = set()
        for key, value in attributes.items():
            match = known.get(key)
            if match is None:
                continue
            now = match.now
            if match.unless and any(other in attributes for other in match.unless):
                now = match.instead
                if now is None:
                    continue
            if now is None:
                if match.then is not None and not is_empty(value):
                    self.lose((key,), _gone(match.then, is_retyped=match.is_retyped))
            elif now.id not in taken:
                taken.add(now.id)
                found.append((key, match, now, value))
        return found

    def by_locale(self, match: Match, now: FieldRules, value: Json) -> Mapping[str, Json] | None:
        """Return a value as an object by locale, or None if it is not localized."""
        then = match.then
        field_type = now.field_type if then is None else then.field_type
        was_localized = now.is_localized if then is None else then.is_localized
        is_localized = locales_in(value, field_type, self.rules.locales, was_localized=was_localized)
        return value if is_localized else None

    def only_main(self, values: Mapping[str, Json], now: FieldRules, path: Path) -> Json:
        """Return the value that stays of a field that is not localized any more."""
        chosen = next((one for one in (self.main_locale, *self.rules.locales, *values) if one in values), None)
        for locale, value in values.items():
            if locale != chosen and not is_empty(value):
                self.lose(
                    (*path, locale), f'The field "{now.label}" is not localized any more: "{locale}" is left out.'
                )
        return None if chosen is None else values[chosen]

    def known_locales(self, values: Mapping[str, Json], path: Path) -> dict[str, Json]:
        """Return the values of the locales that the project has."""
        kept = {}
        for locale, value in values.items():
            if locale in self.rules.locales:
                kept[locale] = value
            elif not is_empty(value):
                self.lose((*path, locale), f'The project has no locale "{locale}" any more.')
        return kept

    def value(self, value: Json, match: Match, now: FieldRules, path: Path) -> Json:
        """Return a value, of one locale if it is localized, as it can be sent now."""
        former = match.then.field_type if match.then else None
        if former != now.field_type and not _stays(value, former, now.field_type):
            self.lose(path, f'The field "{now.label}" is of another type now: its value is left out.')
            return None
        return self._fitted(value, now, path)

    def _fitted(self, value: Json, now: FieldRules, path: Path) -> Json:
        match now.field_type:
            case "link":
                return value if self._has_target(value, now.linked_models, path) else None
            case "links" if isinstance(value, list):
                allowed = now.linked_models
                return _same([one for i, one in enumerate(value) if self._has_target(one, allowed, (*path, i))], value)
            case "file":
                return value if self._has_upload(value, path) else None
            case "gallery" if isinstance(value, list):
                return _same([one for i, one in enumerate(value) if self._has_upload(one, (*path, i))], value)
            case "seo" if isinstance(value, dict):
                image = value.get("image")
                return value if self._is_uploaded(image, (*path, "image")) else {**value, "image": None}
            case "rich_text" if isinstance(value, list):
                fitting = _allowed_blocks(now, "rich_text")
                blocks = [self._block(one, fitting, (*path, i)) for i, one in enumerate(value)]
                return [one for one in blocks if one is not None]
            case "single_block":
                return self._block(value, _allowed_blocks(now, "single_block"), path)
            case "structured_text" if isinstance(value, dict) and isinstance(value.get("document"), dict):
                return self._text(value, now, path)
        return value

    def _has_target(self, target: Json, allowed: Collection[str] | None, path: Path) -> bool:
        if not isinstance(target, str):
            return True
        model_id = self.existing.records.get(target)
        if model_id is None:
            self.lose(path, f"A link to the deleted record {target} is left out.")
        elif allowed is not None and model_id not in allowed:
            model = self.rules.models.get(model_id)
            name = model.name if model else model_id
            self.lose(path, f'A link to the record {target} is left out: its model "{name}" is not allowed here now.')
        else:
            return True
        return False

    def _has_upload(self, file: Json, path: Path) -> bool:
        return not isinstance(file, dict) or self._is_uploaded(file.get("upload_id"), path)

    def _is_uploaded(self, upload: Json, path: Path) -> bool:
        uploads = self.existing.uploads
        if uploads is None or not isinstance(upload, str) or upload in uploads:
            return True
        self.lose(path, f"The deleted upload {upload} is left out.")
        return False

    def _block(self, block: Json, allowed: Collection[str] | None, path: Path) -> Json:
        """Return a block with what may be sent of it, or None if it must go."""
        if not is_block(block):
            return block
        model_id = block_model(block)
        model = self.rules.models.get(model_id)
        if model is None or not model.is_block:
            name = self.matches.state.schema.model_names.get(model_id, model_id)
            self.lose(path, f'A block is left out: its model "{name}" does not exist any more.')
            return None
        if allowed is not None and model_id not in allowed:
            self.lose(path, f'A block is left out: its model "{model.name}" is not allowed here now.')
            return None
        first, inner = len(self.losses), (*path, "attributes")
        members = self.members(block["attributes"], model_id)
        self.losses[first:] = [
            Loss(record_id=one.record_id, path=inner + one.path, what=one.what) for one in self.losses[first:]
        ]
        attributes = {
            now.api_key: self._block_value(value, match, now, (*inner, key)) for key, match, now, value in members
        }
        sent: dict[str, Json] = {"id": block["id"]} if "id" in block else {}
        item_type = {"data": {"id": model_id, "type": "item_type"}}
        return sent | {"type": "item", "attributes": attributes, "relationships": {"item_type": item_type}}

    def _block_value(self, value: Json, match: Match, now: FieldRules, path: Path) -> Json:
        values = self.by_locale(match, now, value)
        if values is None:
            return self.value(value, match, now, path)
        if not now.is_localized:
            return self.value(self.only_main(values, now, path), match, now, path)
        kept = self.known_locales(values, path)
        return {locale: self.value(one, match, now, (*path, locale)) for locale, one in kept.items()}

    def _text(self, value: Mapping[str, Json], now: FieldRules, path: Path) -> Json:
        document = value["document"]
        children = document.get("children")
        if not isinstance(children, list):
            return value
        left = _TextFitting(self, now).children(children, (*path, "document", "children"))
        if left is children:
            return value
        return {**value, "document": {**document, "children": left}} if left else None

    def fits_node(self, node: Mapping[str, Any], allowed: Collection[str] | None, path: Path) -> bool:
        """Return whether the record that a node of a structured text leads to exists and is allowed."""
        return self._has_target(node.get("item"), allowed, (*path, "item"))

    def block_of(self, node: Mapping[str, Any], allowed: Collection[str] | None, path: Path) -> Json:
        """Return the block of a node of a structured text, or None if it must go."""
        return self._block(node.get("item"), allowed, (*path, "item"))


class _TextFitting:
    """Fits the nodes of one structured text."""

    __slots__ = ("_blocks", "_fitting", "_linked")

    def __init__(self, fitting: ValueFitting, now: FieldRules) -> None:
        self._fitting = fitting
        self._linked = now.linked_models
        self._blocks = {kind: _allowed_blocks(now, kind) for kind in ("block", "inlineBlock")}

    def children(self, nodes: list[Json], path: Path) -> list[Json]:
        """Return the nodes that stay; the same list if all do."""
        left: list[Json] = []
        is_changed = False
        for i, node in enumerate(nodes):
            kind = node.get("type") if isinstance(node, dict) else "span"
            if kind == "span":
                left.append(node)
                continue
            new = self._node(node, kind, (*path, i))
            is_changed = is_changed or len(new) != 1 or new[0] is not node
            left += new
        return left if is_changed else nodes

    def _node(self, node: dict[str, Json], kind: Json, path: Path) -> list[Json]:
        if kind in self._blocks:
            item = self._fitting.block_of(node, self._blocks[kind], path)
            return [] if item is None else [{**node, "item": item}]
        is_link = kind in ("itemLink", "inlineItem")
        if is_link and not self._fitting.fits_node(node, self._linked, path):
            inner = node.get("children") if kind == "itemLink" else None
            return self.children(inner, (*path, "children")) if isinstance(inner, list) else []
        children = node.get("children")
        if not isinstance(children, list):
            return [node]
        left = self.children(children, (*path, "children"))
        if left is children:
            return [node]
        new = emptied(node, left)
        return [] if new is None else [new]


def _allowed_blocks(now: FieldRules, kind: str) -> Collection[str] | None:
    """Return the ids of the block models that a field can contain as blocks of this kind. None: not known."""
    rule = now.validators.get(_BLOCK_VALIDATORS[kind])
    ids = rule.get("item_types") if isinstance(rule, Mapping) else None
    return ids if isinstance(ids, list) else None


def _stays(value: Json, former: str | None, field_type: str) -> bool:
    """Return whether a value can stay in a field of another type. None: its former type is not known."""
    is_id = former is not None and "link" in (former, field_type)  # a text is no link, and an id is no text
    return value is None or (not is_id and fits_type(value, field_type))


def _same(new: list[Json], old: list[Json]) -> list[Json]:
    return old if len(new) == len(old) else new


def _gone(then: SchemaField, *, is_retyped: bool) -> str:
    if is_retyped:
        return f'The field "{then.label}" was removed and made again with another type.'
    return f'The field "{then.label}" was removed.'
