"""Read structured text from a text for people; `dast_text` describes the syntax."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Any, Final

from versionsync.errors import VersionsyncError
from versionsync.export.exact_json import load

__all__ = [
    "APART",
    "CUT",
    "EMPTY",
    "EMPTY_DOCUMENT",
    "IDENTIFIER",
    "INLINE_TYPES",
    "MEMBERS",
    "NUMBER",
    "DastTextError",
    "Node",
    "document_of",
    "marker",
    "parse",
]

Node = dict[str, Any]
_MARKS: Final = (("**", "strong"), ("~~", "strikethrough"), ("==", "highlight"), ("++", "underline"), ("*", "emphasis"))
"""In the order in which they are tried: the longer sign first."""
CUT: Final = "~~~~"
EMPTY: Final = "===="
APART: Final = "<!-- -->"
MEMBERS: Final = "{members="
IDENTIFIER: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]*")
_BULLET: Final = re.compile(r"- (.*)", re.DOTALL)
NUMBER: Final = re.compile(r"[0-9]+\. (.*)", re.DOTALL)
_HEADING: Final = re.compile(r"(#+)[ \t](.*)", re.DOTALL)
_FENCE: Final = re.compile(r"(`{3,})[ \t]*(.*)", re.DOTALL)
_ITEM: Final = re.compile(r"dato:item/(.+)", re.DOTALL)
_PLAIN: Final = re.compile(r"[^\\<\[*`~=+]+")
INLINE_TYPES: Final = {"inlineItem", "inlineBlock"}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
EMPTY_DOCUMENT: Final[list[Node]] = [{"type": "paragraph", "children": [{"type": "span", "value": ""}]}]


class DastTextError(VersionsyncError):
    """A text that is no document. The message names the line."""


def parse(text: str, blocks: Mapping[str, Node] | None = None) -> Node:
    """Return the document of a text that `text_of` or dastdown wrote.

    Args:
        text: The text.
        blocks: The blocks that it names, by id; see `blocks_of`. An id that is not among them stays an id.

    Raises:
        DastTextError: It is no such text.
    """
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if lines and lines[0] == "<document>":
        value, end = _json_lines(lines, 0, "</document>")
        if end != len(lines) or not isinstance(value, dict):
            raise DastTextError("line 1: something follows the document")
        return value
    children = _Parser(blocks or {}).blocks(lines, is_root=True)
    return document_of(children or deepcopy(EMPTY_DOCUMENT))


def document_of(children: list[Node]) -> Node:
    """Return a document of these blocks."""
    return {"schema": "dast", "document": {"type": "root", "children": children}}


def marker(line: str) -> str | None:
    """Return the style of the list that a line begins an item of."""
    if _BULLET.fullmatch(line):
        return "bulleted"
    return "numbered" if NUMBER.fullmatch(line) else None


def _json_lines(lines: Sequence[str], start: int, end_tag: str) -> tuple[Any, int]:
    for end in range(start + 1, len(lines)):
        if lines[end] == end_tag:
            return load("\n".join(lines[start + 1 : end])), end + 1
    raise DastTextError(f"line {start + 1}: {end_tag} is missing")


class _Parser:
    """Reads blocks from lines, and what is in them."""

    def __init__(self, items: Mapping[str, Node]) -> None:
        self._items = items

    def blocks(self, lines: Sequence[str], *, is_root: bool = False) -> list[Node]:
        """Return the blocks in `lines`."""
        found: list[Node] = []
        at = 0
        while at < len(lines):
            if lines[at] in ("", APART):
                at += 1
                continue
            node, at = self._block(lines, at, is_root=is_root)
            if is_root and at < len(lines) and lines[at].startswith(MEMBERS) and lines[at].endswith("}"):
                node |= load(lines[at][len(MEMBERS) : -1])
                at += 1
            found.append(node)
        return found

    def _block(self, lines: Sequence[str], at: int, *, is_root: bool) -> tuple[Any, int]:
        line = lines[at]
        if is_root and line == "<node>":
            return _json_lines(lines, at, "</node>")
        if heading := _HEADING.fullmatch(line):
            return self._heading(heading, at), at + 1
        if line == "---":
            return {"type": "thematicBreak"}, at + 1
        if line.startswith("```"):
            return _read_code(lines, at)
        if line.startswith("<block") and (tag := self._read_tag(line, 0, "block")) and not line[tag[1] :].strip():
            if not is_root:
                raise DastTextError(f"{line}: a block inside of another")
            return tag[0], at + 1
        if marker(line):
            return self._list(lines, at)
        if line == ">" or line.startswith("> "):
            return self._blockquote(lines, at)
        return self._paragraph(lines, at)

    def _heading(self, found: re.Match[str], at: int) -> Node:
        level, rest = len(found[1]), found[2]
        if level > 6:
            raise DastTextError(f"line {at + 1}: a heading of level {level}")
        node: Node = {"type": "heading", "level": level}
        start = rest.rfind("{")
        if start > 0 and rest[start - 1] == " " and rest.endswith("}"):
            trailer = _read_trailer(rest, start)
            if trailer and trailer[1] == len(rest) and isinstance(style := dict(trailer[0]).get("style"), str):
                node["style"] = style
                rest = rest[: start - 1]
        return node | {"children": self.inline(rest)}

    def _list(self, lines: Sequence[str], at: int) -> tuple[Node, int]:
        style = marker(lines[at])
        pattern = NUMBER if style == "numbered" else _BULLET
        items: list[Node] = []
        while at < len(lines) and (found := pattern.fullmatch(lines[at])):
            inner = [found[1]]
            at += 1
            while at < len(lines):
                after = next((n for n in range(at, len(lines)) if lines[n]), len(lines))
                if after == len(lines) or not lines[after].startswith("  "):
                    # Blank lines between items belong to no item; any other line ends the list.
                    at = after
                    break
                inner += [""] * (after - at) + [lines[after][2:]]
                at = after + 1
            children = self.blocks(inner)
            if any(child["type"] not in ("paragraph", "list") for child in children):
                raise DastTextError("a list item has something else than paragraphs and lists")
            items.append({"type": "listItem", "children": children})
        return {"type": "list", "style": style, "children": items}, at

    def _blockquote(self, lines: Sequence[str], at: int) -> tuple[Node, int]:
        inner: list[str] = []
        while at < len(lines) and (lines[at] == ">" or lines[at].startswith("> ")):
            inner.append(lines[at][2:])
            at += 1
        children = self.blocks(inner)
        if any(child["type"] != "paragraph" for child in children):
            raise DastTextError(f"line {at}: a quote has something else than paragraphs")
        node: Node = {"type": "blockquote", "children": children}
        return _with_trailer(node, "attribution", lines, at)

    def _paragraph(self, lines: Sequence[str], at: int) -> tuple[Node, int]:
        texts = [lines[at]]
        at += 1
        while at < len(lines) and not self._ends_paragraph(lines[at]):
            texts.append(lines[at])
            at += 1
        node: Node = {"type": "paragraph", "children": self.inline(" ".join(texts))}
        return _with_trailer(node, "style", lines, at)

    def _ends_paragraph(self, line: str) -> bool:
        return (
            line in ("", "---", ">", APART, "<node>")
            or line.startswith(("> ", "```", MEMBERS))
            or (line.startswith('{style="') and line.endswith("}"))
            or _HEADING.fullmatch(line) is not None
            or marker(line) is not None
            or (line.startswith("<block") and self._read_tag(line, 0, "block") is not None)
        )

    def inline(self, text: str) -> list[Node]:
        """Return the spans, links and references in one line of text."""
        return list(self._spans(text, (), in_link=False))

    def _spans(self, text: str, marks: tuple[str, ...], *, in_link: bool) -> Iterator[Node]:
        plain: list[str] = []
        at = 0
        while at < len(text):
            sign = text[at]
            if sign == "\\" and at + 1 < len(text):
                plain.append(text[at + 1])
                at += 2
                continue
            found = self._special(text, at, marks, in_link=in_link) if sign in "<[*`~=+" else None
            if found is None:
                if text.startswith("<br/>", at):
                    plain.append("\n")
                    at += 5
                elif run := _PLAIN.match(text, at):
                    plain.append(run[0])
                    at = run.end()
                else:
                    plain.append(sign)
                    at += 1
                continue
            if plain:
                yield _made_span("".join(plain), marks)
                plain = []
            nodes, at = found
            yield from nodes
        if plain:
            yield _made_span("".join(plain), marks)

    def _special(self, text: str, at: int, marks: tuple[str, ...], *, in_link: bool) -> tuple[list[Node], int] | None:
        """Return what begins at a sign with a meaning, and where it ends. None: the sign is only text."""
        if text[at] == "<":
            return self._tagged(text, at, marks, in_link=in_link)
        if text[at] == "[":
            return None if in_link else self._read_link(text, at)
        if text.startswith(CUT, at) and (not marks):
            return [], at + len(CUT)
        if text.startswith(EMPTY, at):
            return [_made_span("", marks)], at + len(EMPTY)
        if text.startswith("***", at) and (end := _find(text, at + 3, "***")) >= 0:
            return list(self._spans(text[at + 3 : end], (*marks, "strong", "emphasis"), in_link=in_link)), end + 3
        if text[at] == "`":
            end = _find(text, at + 1, "`")
            return None if end < 0 else ([_made_span(_unescaped(text[at + 1 : end]), (*marks, "code"))], end + 1)
        for sign, mark in _MARKS:
            if text.startswith(sign, at) and (end := _find(text, at + len(sign), sign)) >= 0:
                inner = text[at + len(sign) : end]
                return list(self._spans(inner, (*marks, mark), in_link=in_link)), end + len(sign)
        return None

    def _tagged(self, text: str, at: int, marks: tuple[str, ...], *, in_link: bool) -> tuple[list[Node], int] | None:
        for type in INLINE_TYPES:
            if tag := self._read_tag(text, at, type):
                if in_link:
                    raise DastTextError(f"{type} inside of a link")
                return [tag[0]], tag[1]
        if not (opened := _read_attribute_tag(text, at, "m", "k", ">")):
            return None
        mark, start = opened
        depth, end = 1, start
        while end < len(text):
            if text[end] == "\\":
                end += 2
                continue
            if text.startswith("</m>", end):
                depth -= 1
                if not depth:
                    inner = self._spans(text[start:end], (*marks, mark), in_link=in_link)
                    return list(inner), end + len("</m>")
            elif text[end] == "<" and (inside := _read_attribute_tag(text, end, "m", "k", ">")):
                depth += 1
                end = inside[1]
                continue
            end += 1
        return None

    def _read_tag(self, text: str, at: int, type: str) -> tuple[Node, int] | None:
        found = _read_attribute_tag(text, at, type, "id", "/>")
        return found and ({"type": type, "item": self._item(type, found[0])}, found[1])

    def _item(self, type: str, id: str) -> Any:
        return id if type == "inlineItem" else self._items.get(id, id)

    def _read_link(self, text: str, at: int) -> tuple[list[Node], int] | None:
        depth, end = 0, at
        while end < len(text):
            if text[end] == "\\":
                end += 1
            elif text[end] in "[]":
                depth += 1 if text[end] == "[" else -1
                if not depth:
                    break
            end += 1
        if not text.startswith("](", end):
            return None
        close = _find(text, end + 2, ")")
        if close < 0:
            return None
        url = re.sub(r"\\(.)", r"\1", text[end + 2 : close], flags=re.DOTALL)
        children = list(self._spans(text[at + 1 : end], (), in_link=True))
        found = _ITEM.fullmatch(url)
        node: Node = {"type": "itemLink", "item": found[1]} if found else {"type": "link", "url": url}
        node["children"] = children
        after = close + 1
        if text.startswith("{", after) and (trailer := _read_trailer(text, after)):
            node["meta"] = [{"id": name, "value": value} for name, value in trailer[0]]
            after = trailer[1]
        return [node], after


def _made_span(value: str, marks: tuple[str, ...]) -> Node:
    span: Node = {"type": "span", "value": value}
    return span | {"marks": list(dict.fromkeys(marks))} if marks else span


def _find(text: str, start: int, sign: str) -> int:
    """Return where `sign` comes next without a backslash before it, or -1."""
    for found in _searched(sign).finditer(text, start):
        if found[0] == sign:
            return found.start()
    return -1


@cache
def _searched(sign: str) -> re.Pattern[str]:
    """Return the pattern of a sign, or of a backslash and what follows it."""
    return re.compile(rf"\\.|{re.escape(sign)}", re.DOTALL)


@cache
def _tag_head(name: str, attribute: str) -> re.Pattern[str]:
    return re.compile(rf"<{name}[ \t]+{attribute}=")


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)|<br/>", lambda found: found[1] or "\n", text, flags=re.DOTALL)


def _read_code(lines: Sequence[str], at: int) -> tuple[Node, int]:
    found = _FENCE.fullmatch(lines[at])
    if found is None:
        raise DastTextError(f"line {at + 1}: no fence")
    fence, info = found[1], found[2]
    node: Node = {"type": "code"}
    start = info.find("{")
    language = (info if start < 0 else info[:start]).strip()
    if language:
        node["language"] = language
    if start >= 0 and (numbers := re.fullmatch(r"\{highlight=\[([0-9, -]*)\]\}", info[start:])):
        node["highlight"] = [int(number) for number in re.split("[, ]+", numbers[1]) if number]
    end = at + 1
    while end < len(lines) and not (lines[end].startswith(fence) and re.fullmatch(r"`+\s*", lines[end])):
        end += 1
    return node | {"code": "\n".join(lines[at + 1 : end])}, end + 1


def _with_trailer(node: Node, name: str, lines: Sequence[str], at: int) -> tuple[Node, int]:
    """Return the node with the value that the next line gives it, if it does."""
    if at < len(lines) and lines[at].startswith(f'{{{name}="'):
        trailer = _read_trailer(lines[at], 0)
        if trailer and trailer[1] == len(lines[at]) and name in (values := dict(trailer[0])):
            return node | {name: values[name]}, at + 1
    return node, at


def _read_quoted(text: str, at: int) -> tuple[str, int] | None:
    """Return the value between the quotes that begin at `at`, and the place after them."""
    if not text.startswith('"', at):
        return None
    value: list[str] = []
    at += 1
    while at < len(text):
        sign = text[at]
        if sign == '"':
            return "".join(value), at + 1
        if sign == "\\" and at + 1 < len(text):
            code = text[at + 2 : at + 6]
            if text[at + 1] == "u" and re.fullmatch("[0-9a-fA-F]{4}", code):
                value.append(chr(int(code, 16)))
                at += 6
                continue
            value.append(_ESCAPES.get(text[at + 1], text[at + 1]))
            at += 2
            continue
        value.append(sign)
        at += 1
    return None


def _read_attribute_tag(text: str, at: int, name: str, attribute: str, close: str) -> tuple[str, int] | None:
    head = _tag_head(name, attribute).match(text, at)
    value = head and _read_quoted(text, head.end())
    if not value:
        return None
    end = re.compile(rf"\s*{close}").match(text, value[1])
    return (value[0], end.end()) if end else None


def _read_trailer(text: str, at: int) -> tuple[list[tuple[str, str]], int] | None:
    """Return the names and values of `{name="value" …}`, and the place after it."""
    at += 1
    entries: list[tuple[str, str]] = []
    while at < len(text):
        if text[at] == "}":
            return entries, at + 1
        if text[at] == " ":
            at += 1
            continue
        if text[at] == '"':
            named = _read_quoted(text, at)
        else:
            found = IDENTIFIER.match(text, at)
            named = found and (found[0], found.end())
        value = named and text.startswith("=", named[1]) and _read_quoted(text, named[1] + 1)
        if not named or not value:
            return None
        entries.append((named[0], value[0]))
        at = value[1]
    return None
