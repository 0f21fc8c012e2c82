"""A whole content for people: its fields with their values in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from versionsync.history.diff.documents import is_document
from versionsync.history.diff.lines import LineSort, read_lines
from versionsync.history.diff.model import Json
from versionsync.history.diff.tokens import NODE
from versionsync.history.render.view import Line, block_lines, blocks_in
from versionsync.history.render.words import Names, block_in_words, value_in_words

__all__ = ["Value", "values_of"]

_BULLETS: Final = {"listItem": "• ", "blockquote": "> "}


@dataclass(frozen=True, slots=True)
class Value:
    """The value of a field in a locale.

    Attributes:
        label: What the field is called.
        locale: The locale. None: the field is not localized.
        lines: Its lines; those of blocks have the names of their fields.
    """

    label: str
    locale: str | None
    lines: tuple[Line, ...]


def values_of(attributes: Mapping[str, Json], model_id: str, names: Names) -> Iterator[Value]:
    """Yield the fields that have a value, in the order of the schema.

    Args:
        attributes: The content.
        model_id: The model of the record.
        names: What people call records, models and fields.
    """
    fields = names.schema.of_model(model_id)
    for api_key in [*(key for key in fields if key in attributes), *sorted(attributes.keys() - fields.keys())]:
        one = fields.get(api_key)
        value = attributes[api_key]
        has_locales = one is not None and one.is_localized and isinstance(value, dict)
        by_locale: list[tuple[str | None, Json]] = list(value.items()) if has_locales else [(None, value)]
        for locale, inner in by_locale:
            if lines := tuple(_lines(inner, one.field_type if one is not None else None, names)):
                yield Value(names.field(model_id, api_key), locale, lines)


def _lines(value: Json, field_type: str | None, names: Names) -> Iterator[Line]:
    if is_document(value):
        yield from _paragraphs(value, names)
    elif blocks := blocks_in(value):
        for block in blocks:
            yield from block_lines(block, names, None)
    elif (words := value_in_words(value, field_type, names)) != "–":
        yield Line("", words)


def _paragraphs(document: Json, names: Names) -> Iterator[Line]:
    """Yield the paragraphs of a structured text, with the blocks between them and within them."""
    for line in read_lines(document["document"]["children"], ()):
        if line.sort is LineSort.BLOCK:
            yield from (block_lines(line.node["item"], names, None) if isinstance(line.node["item"], dict) else ())
        elif line.sort is LineSort.TEXT:
            lead = "".join(_BULLETS.get(container.type, "") for container in line.containers[-1:])
            level = line.node.get("level") if line.type == "heading" else None
            lead = f"{'#' * level} " if isinstance(level, int) else lead
            text = line.text.text
            for place in sorted(line.text.nodes, reverse=True):
                node = line.text.nodes[place]
                item = node.node.get("item") if isinstance(node.node, dict) else None
                words = names.record(node.record_id) if node.record_id else block_in_words(item, names)
                text = f"{text[:place]}[{words}]{text[place + 1 :]}"
            yield Line("", lead + text.replace(NODE, "▢"))
