"""Where a change is, in words: `block 2 (Quote) › Text`, `title`, `heading 2`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from versionsync.history.diff.lines import block_model_of
from versionsync.history.diff.model import Absent, Json, Path, Place
from versionsync.history.render.words import Names, label_of_member, node_in_words

__all__ = ["blocks_around", "containers_of", "home_in_words", "position_in", "where_in_words"]

_BORING: Final = frozenset({"paragraph"})
"""Nodes whose type needs no word."""
_ELEMENTS: Final = {"gallery": "file", "links": "record", "rich_text": "block"}
"""What the elements of a field of a type are called."""


def blocks_around(content: Mapping[str, Json], path: Path) -> list[tuple[int | None, Json]]:
    """Return the blocks on a path, outermost first, each with its position in its list, from 1 on.

    A block of a structured text has none.
    """
    found: list[tuple[int | None, Json]] = []
    value: Json = content
    position: int | None = None
    for step in path:
        if step == "attributes" and isinstance(value, dict) and value.get("type") == "item":
            found.append((position or None, value))
            position = None
        value = _inner(value, step)
        if step == "document":
            position = 0
        elif isinstance(step, int):
            position = step + 1 if position is None else position
    return found


def _inner(value: Json, step: str | int) -> Json:
    if isinstance(step, int):
        return value[step] if isinstance(value, list) and step < len(value) else None
    return value.get(step) if isinstance(value, dict) else None


def containers_of(content: Mapping[str, Json], path: Path) -> list[str]:
    """Return the types of the lists and quotes around a node of a structured text, outermost first."""
    found: list[str] = []
    value: Json = content
    for step in path:
        if step == "attributes":
            found.clear()
        type = value.get("type") if isinstance(value, dict) else None
        if isinstance(type, str) and type != "root":
            found.append(type)
        value = _inner(value, step)
    return found


def position_in(path: Path) -> int | None:
    """Return the position of an element or node in the innermost field, from 1 on. None: it has none."""
    steps = list(path)
    if "attributes" in steps:
        steps = steps[len(steps) - steps[::-1].index("attributes") :]
    return next((step + 1 for step in steps if isinstance(step, int)), None)


def where_in_words(
    place: Place,
    path: Path,
    blocks: Sequence[tuple[int | None, Json]],
    value: Json | Literal[Absent.ABSENT],
    names: Names,
    *,
    names_node: bool = True,
) -> str:
    """Return where in its section a change is. Empty: it is about the whole value.

    Args:
        place: The place.
        path: The path to the value, in the content that has it.
        blocks: The blocks around it.
        value: The value.
        names: What people call models and fields.
        names_node: Whether to say what a node of a structured text is.
    """
    parts = [_block(position, block, names) for position, block in blocks]
    if place.block_path:
        parts.append(names.field(place.model_id, place.field))
    field_type = names.field_type(place.model_id, place.field)
    if "document" in path:
        members = [label_of_member(step) for step in place.member if isinstance(step, str)]
        if not members:
            node = value[0] if isinstance(value, list) and value else value
            is_boring = not isinstance(node, dict) or node.get("type") in _BORING or node.get("type") == "root"
            members = [] if is_boring or not names_node else [node_in_words(node, names)]
    elif field_type in _ELEMENTS and place.member and isinstance(place.member[0], int):
        position, *rest = place.member
        element = f"{_ELEMENTS[field_type]} {int(position) + 1}"
        if field_type == "rich_text" and not rest and not isinstance(value, Absent):
            element = _block(int(position) + 1, value, names)
        members = [element, *map(_member, rest)]
        if members[-1] == "file":  # the file of an element of a gallery is the element
            members.pop()
    else:
        members = [] if place.member == ("upload_id",) else list(map(_member, place.member))
    return " › ".join([*parts, *members])


def home_in_words(
    place: Place, path: Path, content: Mapping[str, Json], model_id: str | None, names: Names, *, locale: str | None
) -> str:
    """Return the list or field that a block was moved to or from: `Sidebar`, `Sections › block 2 (Columns) › Left`.

    Args:
        place: The place of the block there.
        path: The path to the block.
        content: The content that has it.
        model_id: The model of the record.
        names: What people call models and fields.
        locale: The locale that needs no word.
    """
    parts = [names.field(model_id, place.record_field)]
    parts += [_block(position, block, names) for position, block in blocks_around(content, path)]
    if place.block_path:
        parts.append(names.field(place.model_id, place.field))
    return " › ".join(parts) + (f" ({place.locale})" if place.locale not in (None, locale) else "")


def _member(step: str | int) -> str:
    return f"element {step + 1}" if isinstance(step, int) else label_of_member(step)


def _block(position: int | None, block: Json, names: Names) -> str:
    name = names.model(block_model_of(block))
    number = "block" if position is None else f"block {position}"
    return f"{number} ({name})" if name else number
