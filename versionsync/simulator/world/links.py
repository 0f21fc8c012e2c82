"""The links to other records in a record's content, also those in its blocks and in structured text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from versionsync.simulator.world import content as contents
from versionsync.simulator.world.content import Block, Json
from versionsync.simulator.world.models import Field, Model

__all__ = ["LINK_RULES", "Link", "can_link", "links_in", "links_of", "without_links"]

LINK_RULES: Final[Mapping[str, str]] = {
    "link": "item_item_type",
    "links": "items_item_type",
    "structured_text": "structured_text_links",
}
"""The validator with the rules of links, by the type of the field."""

_USUAL: Final[Mapping[str, str]] = {
    "on_publish_with_unpublished_references_strategy": "fail",
    "on_reference_unpublish_strategy": "fail",
    "on_reference_delete_strategy": "delete_references",
}
_LINK_NODES: Final = frozenset({"itemLink", "inlineItem"})


@dataclass(frozen=True, slots=True)
class Link:
    """A link to *record_id* in *field*; *path*: its place, such as `sections.0.author`."""

    path: str
    field: Field
    record_id: str

    @property
    def rule(self) -> str:
        """The name of the validator with its rules."""
        return LINK_RULES[self.field.field_type]

    @property
    def allowed_models(self) -> list[str] | None:
        """The ids of the models that it may point to; None: the field names none."""
        return (self.field.validators.get(self.rule) or {}).get("item_types")

    def strategy(self, name: str) -> str:
        """Return the strategy *name* of its field, or the vendor's default."""
        usual = _USUAL[name]
        if self.field.field_type == "structured_text" and name == "on_reference_unpublish_strategy":
            usual = "delete_references"
        chosen: str = (self.field.validators.get(self.rule) or {}).get(name) or usual
        return chosen


def can_link(model: Model, models: Mapping[str, Model]) -> bool:
    """Return whether records of *model* can have links, themselves or in a block of any block model."""
    if any(field.field_type in LINK_RULES for field in model.fields.values()):
        return True
    return any(field.holds_blocks for field in model.fields.values()) and any(
        field.field_type in LINK_RULES for block in models.values() if block.is_block for field in block.fields.values()
    )


def links_of(model: Model, content: bytes, models: Mapping[str, Model]) -> Iterator[Link]:
    """Yield the links in the *content* of a record of *model*."""
    members = contents.split(content)
    for field in model.ordered_fields:
        if field.api_key in members and (field.field_type in LINK_RULES or field.holds_blocks):
            yield from _links_of_field(field, contents.load(members[field.api_key]), field.api_key, models)


def links_in(field: Field, value: Json, path: str) -> Iterator[Link]:
    """Yield the links in a *value* of *field* in one locale, without those in blocks."""
    match field.field_type, value:
        case "link", str():
            yield Link(path, field, value)
        case "links", list():
            yield from (Link(path, field, one) for one in value if isinstance(one, str))
        case "structured_text", {"document": document}:
            yield from (Link(path, field, one) for one in _linked_by_nodes(document))


def without_links(model: Model, content: bytes, models: Mapping[str, Model], record_id: str) -> bytes:
    """Return *content* of a record of *model* without its links to *record_id*.

    A link becomes null, an element of a list disappears. In structured text the words of a link stay.
    """
    members = contents.split(content)
    quoted = f'"{record_id}"'.encode()
    for field in model.fields.values():
        text = bytes(members.get(field.api_key, b""))
        if quoted in text and (field.field_type in LINK_RULES or field.holds_blocks):
            value = _without(field, contents.load(text), models, record_id)
            members[field.api_key] = contents.raw(value)
    return contents.join(members)


def _links_of_field(field: Field, value: Json, path: str, models: Mapping[str, Model]) -> Iterator[Link]:
    for place, inner in field.by_locale(value, path):
        yield from links_in(field, inner, place)
        if not field.holds_blocks:
            continue
        for block_path, block in contents.blocks_by_path(inner, place):
            for own, own_value in _members_of(block, models):
                yield from _links_of_field(own, own_value, f"{block_path}.{own.api_key}", models)


def _members_of(block: Block, models: Mapping[str, Model]) -> Iterator[tuple[Field, Json]]:
    model = models.get(contents.model_id(block))
    for field in model.ordered_fields if model is not None else ():
        if field.api_key in block["attributes"] and (field.field_type in LINK_RULES or field.holds_blocks):
            yield field, block["attributes"][field.api_key]


def _linked_by_nodes(node: Json) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") in _LINK_NODES and isinstance(node.get("item"), str):
            yield node["item"]
        for child in node.get("children") or ():
            yield from _linked_by_nodes(child)


def _without(field: Field, value: Json, models: Mapping[str, Model], record_id: str) -> Json:
    if field.localized and contents.is_by_locale(value):
        return {locale: _unlinked(field, inner, models, record_id) for locale, inner in value.items()}
    return _unlinked(field, value, models, record_id)


def _unlinked(field: Field, value: Json, models: Mapping[str, Model], record_id: str) -> Json:
    def in_block(block: Json) -> Json:
        if not contents.is_block(block):
            return block
        changed = {own.api_key: _without(own, inner, models, record_id) for own, inner in _members_of(block, models)}
        return {**block, "attributes": {**block["attributes"], **changed}}

    match field.field_type, value:
        case "link", str():
            return None if value == record_id else value
        case "links", list():
            return [one for one in value if one != record_id]
        case "structured_text", {"document": document}:
            value = {**value, "document": _unlinked_node(document, record_id)}
    return contents.map_blocks(value, in_block) if field.holds_blocks else value


def _unlinked_node(node: Json, record_id: str) -> Json:
    if not isinstance(node, dict) or not isinstance(node.get("children"), list):
        return node
    children: list[Json] = []
    for child in node["children"]:
        is_link = isinstance(child, dict) and child.get("type") in _LINK_NODES and child.get("item") == record_id
        if not is_link:
            children.append(_unlinked_node(child, record_id))
        else:
            children += [_unlinked_node(inner, record_id) for inner in child.get("children") or ()]
    return {**node, "children": children}
