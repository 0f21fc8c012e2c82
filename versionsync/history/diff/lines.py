"""The lines of a structured text: its paragraphs, headings, pieces of code, blocks, and what has no text.

Lists, list items and quotes are the containers around lines. So a paragraph that becomes an item of a list is still the
same line, in other containers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final

from versionsync.history.diff.equality import key_of
from versionsync.history.diff.model import Json, Path
from versionsync.history.diff.texts import PLAIN, Node, Style, Text
from versionsync.history.diff.tokens import NODE, split_words

__all__ = [
    "BLOCK_KEY",
    "ITEM_KEY",
    "OTHER_KEY",
    "Container",
    "InlineBlock",
    "Line",
    "LineSort",
    "block_id_of",
    "block_model_of",
    "read_lines",
]

_INLINE: Final = frozenset({"span", "link", "itemLink", "inlineItem", "inlineBlock"})
_TEXTS: Final = frozenset({"paragraph", "heading"})
_SPAN_MEMBERS: Final = frozenset({"type", "value", "marks"})
_CONTAINER_MEMBERS: Final = frozenset({"type", "children"})
ITEM_KEY: Final = NODE + "item "
BLOCK_KEY: Final = NODE + "block "
OTHER_KEY: Final = NODE + "node "
"""How the keys of nodes within a text begin: links to records, blocks, and all others."""
_NO_WORD: Final = "\x00"
"""Begins a token that is no word. A word of a text has it only if the text does."""


class LineSort(Enum):
    """What a line holds."""

    TEXT = "text"
    BLOCK = "block"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Container:
    """A node around lines, such as a list."""

    path: Path
    type: str
    node: Json


@dataclass(frozen=True, slots=True)
class InlineBlock:
    """A block within a text: its path from the line on, and its content."""

    path: Path
    item: Json


@dataclass(slots=True)
class Line:
    """A line of a document. `path` begins at the document's root."""

    sort: LineSort
    type: str
    path: Path
    node: Json
    containers: tuple[Container, ...]
    text: Text = field(default_factory=lambda: Text(""))
    inline_blocks: tuple[InlineBlock, ...] = ()
    key: bytes = b""
    identity: str | None = None
    """The id of a block."""
    _words: list[str] | None = None

    @property
    def words(self) -> list[str]:
        """What stands for the line when lines are matched; at least one token."""
        if self._words is None:
            self._words = self._make_words()
        return self._words

    def _make_words(self) -> list[str]:
        if self.sort is LineSort.TEXT:
            return self.text.words[:-1] or [_NO_WORD + self.type]
        if self.sort is LineSort.BLOCK:
            return block_words(self.node.get("item"))
        return [_NO_WORD + self.type]

    @property
    def attributes(self) -> dict[str, Json]:
        """The members of the node that are neither its type nor what the line holds."""
        if not isinstance(self.node, dict):
            return {}
        content = "item" if self.sort is LineSort.BLOCK else "code" if self.type == "code" else "children"
        return {name: value for name, value in self.node.items() if name not in ("type", content)}


def block_id_of(item: Json) -> str | None:
    """Return the id of a block, whole or as its id alone; None: it is no block."""
    if isinstance(item, str):
        return item
    id = item.get("id") if isinstance(item, dict) else None
    return id if isinstance(id, str) else None


def block_model_of(item: Json) -> str | None:
    """Return the id of the model of a whole block, if it states one."""
    inner = item
    for name in ("relationships", "item_type", "data", "id"):
        if not isinstance(inner, dict):
            return None
        inner = inner.get(name)
    return inner if isinstance(inner, str) else None


def block_words(item: Json) -> list[str]:
    """Return tokens that stand for the content of a block, whatever its id. Only blocks of one model share some."""
    if not isinstance(item, dict):
        return [f"{_NO_WORD}{item}"]
    prefix = f"{_NO_WORD}{block_model_of(item)}{_NO_WORD}"
    content = _without_ids(item.get("attributes"))
    words = [prefix + key_of(content).decode(errors="replace")]
    for text in _texts_of(content):
        words += (prefix + word for _, word in split_words(text)[:-1])
    return words


def read_lines(nodes: Sequence[Json], path: Path, containers: tuple[Container, ...] = (), start: int = 0) -> list[Line]:
    """Return the lines in some nodes, which are the children of the node at `path` from position `start` on."""
    lines: list[Line] = []
    for index, node in enumerate(nodes, start):
        at = (*path, "children", index)
        if not isinstance(node, dict):
            lines.append(Line(LineSort.OTHER, "", at, node, containers, key=key_of(node)))
            continue
        type = _type_of(node)
        children = node.get("children")
        if isinstance(children, list) and (type in _TEXTS or _is_inline(children)):
            reader = _InlineReader()
            reader.read(children, (), PLAIN)
            text, blocks = reader.text(), tuple(reader.blocks)
            lines.append(Line(LineSort.TEXT, type, at, node, containers, text, blocks, key_of(node)))
        elif type == "code" and isinstance(node.get("code"), str):
            lines.append(Line(LineSort.TEXT, type, at, node, containers, Text(node["code"]), key=key_of(node)))
        elif type == "block" and block_id_of(node.get("item")) is not None:
            identity = block_id_of(node["item"])
            lines.append(Line(LineSort.BLOCK, type, at, node, containers, key=key_of(node), identity=identity))
        elif isinstance(children, list) and children:
            lines += read_lines(children, at, (*containers, Container(at, type, node)))
        else:
            lines.append(Line(LineSort.OTHER, type, at, node, containers, key=key_of(node)))
    return lines


def _type_of(node: dict[str, Json]) -> str:
    type = node.get("type")
    return type if isinstance(type, str) else _NO_WORD + key_of(type).decode(errors="replace")


def _is_inline(children: Iterable[Json]) -> bool:
    return any(isinstance(child, dict) and child.get("type") in _INLINE for child in children)


class _InlineReader:
    """Reads the nodes within a paragraph as one text."""

    __slots__ = ("_length", "_nodes", "_parts", "_starts", "_styles", "blocks")

    def __init__(self) -> None:
        self.blocks: list[InlineBlock] = []
        self._parts: list[str] = []
        self._length = 0
        self._starts: list[int] = []
        self._styles: list[Style] = []
        self._nodes: dict[int, Node] = {}

    def text(self) -> Text:
        if not self._starts or self._starts[0] != 0:
            return Text("".join(self._parts))
        return Text("".join(self._parts), self._starts, self._styles, self._nodes)

    def read(self, children: Iterable[Json], path: Path, style: Style) -> None:
        for index, child in enumerate(children):
            if isinstance(child, dict) and child.get("type") == "span" and isinstance(value := child.get("value"), str):
                self._add(value, _span_style(child, style))
                continue
            at = (*path, "children", index)
            match child:
                case {"type": "link", "url": str(url), "children": [_, *_] as inner} if style.record_id is None:
                    self.read(inner, at, style._replace(link=url, more=style.more + _more(child, "url")))
                case {"type": "itemLink", "item": str(item), "children": [_, *_] as inner} if style.link is None:
                    self.read(inner, at, style._replace(record_id=item, more=style.more + _more(child, "item")))
                case {"type": "inlineItem", "item": str(item)}:
                    self._add_node(Node(f"{ITEM_KEY}{key_of(child).decode()}", child, item), style)
                case {"type": "inlineBlock", "item": item} if (id := block_id_of(item)) is not None:
                    self.blocks.append(InlineBlock((*at, "item"), item))
                    self._add_node(Node(f"{BLOCK_KEY}{id} {_more(child, 'item')}", child), style)
                case _:
                    self._add_node(Node(f"{OTHER_KEY}{key_of(child).decode(errors='replace')}", child), style)

    def _add(self, text: str, style: Style) -> None:
        if not text:
            return
        if not self._styles or self._styles[-1] != style:
            self._starts.append(self._length)
            self._styles.append(style)
        self._parts.append(text)
        self._length += len(text)

    def _add_node(self, node: Node, style: Style) -> None:
        self._nodes[self._length] = node
        self._add(NODE, style)


def _span_style(span: dict[str, Json], style: Style) -> Style:
    marks = span.get("marks")
    size = len(span)
    if size == 2 or (size == 3 and "marks" in span):
        if not marks:
            return style
        if isinstance(marks, list) and all(isinstance(mark, str) for mark in marks):
            return _marked(style, tuple(marks))
    rest = {name: value for name, value in span.items() if name not in _SPAN_MEMBERS}
    if isinstance(marks, list) and all(isinstance(mark, str) for mark in marks):
        style = _marked(style, tuple(marks))
    elif marks:
        rest["marks"] = marks
    return style._replace(more=style.more + key_of(rest).decode(errors="replace")) if rest else style


@lru_cache(maxsize=1024)
def _marked(style: Style, marks: tuple[str, ...]) -> Style:
    return style._replace(marks=frozenset(marks))


def _more(node: dict[str, Json], target: str) -> str:
    """What else the node of a link says, as text."""
    rest = {name: node[name] for name in sorted(node) if name not in _CONTAINER_MEMBERS and name != target}
    return key_of(rest).decode(errors="replace") if rest else ""


def _without_ids(value: Json) -> Json:
    """A value without the ids of the blocks in it."""
    if isinstance(value, dict):
        is_block = value.get("type") == "item" and "attributes" in value
        return {name: _without_ids(inner) for name, inner in value.items() if not (is_block and name == "id")}
    if isinstance(value, list):
        return [_without_ids(inner) for inner in value]
    return value


def _texts_of(value: Json) -> Iterable[str]:
    """The texts with more than a word in a value, at any depth."""
    if isinstance(value, str):
        if " " in value:
            yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts_of(inner)
