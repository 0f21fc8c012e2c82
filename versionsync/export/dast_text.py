"""Structured text as a text for people, and back without loss.

The syntax is that of dastdown, the text form of DatoCMS's own `structured-text` packages: Markdown with a few tags.
What dastdown can hold, both programs read alike. Dastdown merges spans and sorts marks; here nothing may be lost. So
the syntax has some more forms:

    **<m k="code">…</m>**   marks nest in the order of the document; a tag replaces signs that would be ambiguous
    ~~~~                    between two spans without marks
    ====                    an empty span
    <!-- -->                between two lists of the same style
    {members={…}}           a line with the members of the block above that dastdown does not know, as JSON
    <node> … </node>        a block that has none of these forms, as JSON
    <document> … </document>   the same for a whole document

Dastdown reads the first three as no text at all. Blocks stay in the JSON beside the text, which has their ids:
`parse(text_of(document), blocks_of(document))` is `document`. Each block is read back before its text is used. If
another value comes back, the block is written as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from versionsync.errors import VersionsyncError
from versionsync.export.exact_json import dump, load, same

__all__ = ["DastTextError", "blocks_of", "is_structured_text", "parse", "text_of"]

Node = dict[str, Any]

_SIGNS: Final = {
    "strong": "**",
    "emphasis": "*",
    "code": "`",
    "strikethrough": "~~",
    "highlight": "==",
    "underline": "++",
}
_MARKS: Final = (("**", "strong"), ("~~", "strikethrough"), ("==", "highlight"), ("++", "underline"), ("*", "emphasis"))
"""In the order in which they are tried: the longer sign first."""
_CUT: Final = "~~~~"
_EMPTY: Final = "===="
_APART: Final = "<!-- -->"
_MEMBERS: Final = "{members="
_IDENTIFIER: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]*")
_SPECIAL: Final = re.compile(r"[\\*_`~=+\[\](){}<>#]")
_SPECIAL_IN_TAG: Final = re.compile(r"[*_`~=+\[\](){}<>#]")
_SPECIAL_IN_URL: Final = re.compile(r"[\\() ]")
_BULLET: Final = re.compile(r"- (.*)", re.DOTALL)
_NUMBER: Final = re.compile(r"[0-9]+\. (.*)", re.DOTALL)
_HEADING: Final = re.compile(r"(#+)[ \t](.*)", re.DOTALL)
_FENCE: Final = re.compile(r"(`{3,})[ \t]*(.*)", re.DOTALL)
_LIST_START: Final = re.compile(r"([0-9]+)(\. )")
_ITEM: Final = re.compile(r"dato:item/(.+)", re.DOTALL)
_HALF_CHARACTER: Final = re.compile("[\ud800-\udfff]")
_PLAIN: Final = re.compile(r"[^\\<\[*`~=+]+")
_INLINE_TYPES: Final = {"inlineItem", "inlineBlock"}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}


class DastTextError(VersionsyncError):
    """A text that is no document. The message names the line."""


def is_structured_text(value: object) -> bool:
    """Return whether a field's value is a document of structured text."""
    return isinstance(value, dict) and value.get("schema") == "dast" and isinstance(value.get("document"), dict)


def blocks_of(document: Node) -> dict[str, Node]:
    """Return the blocks in a document by their ids. `parse` puts them in the places that the text names."""
    found: dict[str, Node] = {}

    def visit(node: object) -> None:
        if isinstance(node, list):
            for one in node:
                visit(one)
        elif isinstance(node, dict):
            item = node.get("item")
            if (
                node.get("type") in ("block", "inlineBlock")
                and isinstance(item, dict)
                and isinstance(item.get("id"), str)
            ):
                found.setdefault(item["id"], item)
            visit(node.get("children"))

    visit(document.get("document"))
    return found


def text_of(document: Node) -> str:
    """Return the text of a document that `export.exact_json.load`, or any JSON parser, has read."""
    root = document.get("document")
    plain = set(document) == {"schema", "document"} and document["schema"] == "dast"
    if not plain or not isinstance(root, dict) or set(root) != {"type", "children"} or root["type"] != "root":
        return _whole(document)
    children = root["children"]
    if not isinstance(children, list) or not children:
        return _whole(document)
    if same(children, _EMPTY_DOCUMENT):
        return ""
    blocks = blocks_of(document)
    lines: list[str] = []
    before: object = None
    for child in children:
        written = _proved(child, blocks)
        if lines:
            lines.append("")
            if written and _marker(written[0]) is not None and _is_list_like(before, child):
                lines += [_APART, ""]
        lines += written
        before = child
    text = "\n".join(lines) + "\n"
    # Each block was read back alone; this proves that the blocks stay apart.
    return text if same(_try_parse(text, blocks), document) else _whole(document)


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
    return _document(children or [{"type": "paragraph", "children": [{"type": "span", "value": ""}]}])


def _document(children: list[Node]) -> Node:
    return {"schema": "dast", "document": {"type": "root", "children": children}}


_EMPTY_DOCUMENT: Final[list[Node]] = [{"type": "paragraph", "children": [{"type": "span", "value": ""}]}]


def _try_parse(text: str, blocks: Mapping[str, Node]) -> Node | None:
    try:
        return parse(text, blocks)
    except (DastTextError, RecursionError):
        return None


def _is_list_like(before: object, child: object) -> bool:
    """Return whether two neighbours would be read as one list."""
    return (
        isinstance(before, dict)
        and isinstance(child, dict)
        and before.get("type") == child.get("type") == "list"
        and before.get("style") == child.get("style")
    )


# Writing: each function returns lines, or raises _NoForm where only JSON will do.


class _NoForm(Exception):
    """The syntax has no form for a value."""


def _proved(child: Any, blocks: Mapping[str, Node]) -> list[str]:
    """Return the lines of a block, which read as the same block again."""
    try:
        lines = _with_members(child)
        read = _try_parse("\n".join(lines) + "\n", blocks)
        # An empty document is a text without lines.
        if read is not None and lines and same(read, _document([child])) and not _HALF_CHARACTER.search("".join(lines)):
            return lines
    except (_NoForm, RecursionError):
        pass
    return ["<node>", *_json_text(child), "</node>"]


def _whole(document: Node) -> str:
    return "\n".join(["<document>", *_json_text(document), "</document>"]) + "\n"


def _json_text(value: object) -> list[str]:
    text = _HALF_CHARACTER.sub(lambda half: f"\\u{ord(half[0]):04x}", dump(value, indent=2))
    return text.split("\n")


_KNOWN: Final = {
    "paragraph": {"type", "children", "style"},
    "heading": {"type", "level", "children", "style"},
    "list": {"type", "style", "children"},
    "blockquote": {"type", "children", "attribution"},
    "code": {"type", "code", "language", "highlight"},
    "block": {"type", "item"},
    "thematicBreak": {"type"},
}


def _with_members(node: Any) -> list[str]:
    """Return the lines of a block of the document, and those members that dastdown does not know."""
    if not isinstance(node, dict) or (type := node.get("type")) not in _KNOWN:
        raise _NoForm
    known = {name: value for name, value in node.items() if name in _KNOWN[type]}
    more = {name: value for name, value in node.items() if name not in _KNOWN[type]}
    lines = _WRITERS[type](known)
    if more:
        lines = [*lines, f"{_MEMBERS}{dump(more)}}}"]
    return lines


def _only(node: Any, type: str, *members: str, optional: Sequence[str] = ()) -> None:
    """Raise _NoForm unless `node` is of this type and has just these members."""
    if not isinstance(node, dict) or node.get("type") != type:
        raise _NoForm
    names = set(node) - {"type"}
    if not set(members) <= names or not names <= {*members, *optional}:
        raise _NoForm


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _NoForm
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise _NoForm
    return value


def _paragraph(node: Any) -> list[str]:
    _only(node, "paragraph", "children", optional=["style"])
    line = _inline(node["children"])
    # A line that begins like another block, or like the rest of a list.
    if line.startswith((" ", "- ")) or line == "---":
        line = "\\" + line
    line = _LIST_START.sub(r"\1\\\2", line, count=1) if _NUMBER.match(line) else line
    return [line, _trailer("style", node["style"])] if "style" in node else [line]


def _heading(node: Any) -> list[str]:
    _only(node, "heading", "level", "children", optional=["style"])
    level = node["level"]
    if level not in (1, 2, 3, 4, 5, 6):
        raise _NoForm
    line = f"{'#' * int(level)} {_inline(node['children'])}"
    return [f"{line} {_trailer('style', node['style'])}" if "style" in node else line]


def _list_lines(node: Any) -> list[str]:
    _only(node, "list", "style", "children")
    items = _list(node["children"])
    lines: list[str] = []
    is_loose = any(isinstance(item, dict) and len(_list(item.get("children"))) > 1 for item in items)
    for number, item in enumerate(items, 1):
        _only(item, "listItem", "children")
        marker = {"bulleted": "- ", "numbered": f"{number}. "}.get(_text(node["style"]))
        if marker is None:
            raise _NoForm
        inner: list[str] = []
        before = None
        for child in item["children"]:
            if before is not None:
                inner += ["", _APART, ""] if _is_list_like(before, child) else [""]
            is_list = isinstance(child, dict) and child.get("type") == "list"
            inner += _list_lines(child) if is_list else _paragraph(child)
            before = child
        if number > 1 and is_loose:
            lines.append("")
        first, *rest = inner or [""]
        lines += [marker + first, *(f"  {line}" if line else "" for line in rest)]
    return lines


def _blockquote(node: Any) -> list[str]:
    _only(node, "blockquote", "children", optional=["attribution"])
    inner: list[str] = []
    for child in _list(node["children"]):
        inner += ([""] if inner else []) + _paragraph(child)
    lines = [f"> {line}" if line else ">" for line in inner]
    return [*lines, _trailer("attribution", node["attribution"])] if "attribution" in node else lines


def _code(node: Any) -> list[str]:
    _only(node, "code", "code", optional=["language", "highlight"])
    code = _text(node["code"])
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    info = [_text(node["language"])] if "language" in node else []
    if "highlight" in node:
        info.append("{highlight=[" + ",".join(map(_line_number, _list(node["highlight"]))) + "]}")
    return [fence + " ".join(info), *(code.split("\n") if code else []), fence]


def _line_number(value: object) -> str:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _NoForm
    return str(value)


def _block(node: Any) -> list[str]:
    return [_tag("block", node)]


def _break(node: Any) -> list[str]:
    _only(node, "thematicBreak")
    return ["---"]


_WRITERS: Final[Mapping[str, Callable[[Any], list[str]]]] = {
    "paragraph": _paragraph,
    "heading": _heading,
    "list": _list_lines,
    "blockquote": _blockquote,
    "code": _code,
    "block": _block,
    "thematicBreak": _break,
}


def _inline(children: object) -> str:
    written: list[str] = []
    was_plain = False
    for child in _list(children):
        type = child.get("type") if isinstance(child, dict) else None
        is_plain = type == "span" and "marks" not in child and child.get("value") != ""
        if is_plain and was_plain:
            written.append(_CUT)
        was_plain = is_plain
        if type == "span":
            written.append(_span(child))
        elif type in _INLINE_TYPES:
            written.append(_tag(type, child))
        else:
            written.append(_link(child))
    return "".join(written)


def _tag(type: str, node: Any) -> str:
    _only(node, type, "item")
    item = node["item"]
    return f'<{type} id="{_quoted(_text(item.get("id") if isinstance(item, dict) else item))}"/>'


def _link(node: Any) -> str:
    if isinstance(node, dict) and node.get("type") == "itemLink":
        _only(node, "itemLink", "item", "children", optional=["meta"])
        url = f"dato:item/{_text(node['item'])}"
    else:
        _only(node, "link", "url", "children", optional=["meta"])
        url = _text(node["url"])
    if any(not isinstance(child, dict) or child.get("type") != "span" for child in _list(node["children"])):
        raise _NoForm
    meta = ""
    if "meta" in node:
        entries = _list(node["meta"])
        if any(not isinstance(entry, dict) or set(entry) != {"id", "value"} for entry in entries):
            raise _NoForm
        meta = "{" + " ".join(_attribute(_text(entry["id"]), _text(entry["value"])) for entry in entries) + "}"
    address = _SPECIAL_IN_URL.sub(r"\\\g<0>", url)
    return f"[{_inline(node['children'])}]({address}){meta}"


def _span(node: Any) -> str:
    _only(node, "span", "value", optional=["marks"])
    value = _text(node["value"])
    marks = [_text(mark) for mark in _list(node.get("marks", []))]
    if "marks" in node and not marks:
        raise _NoForm
    text = "<br/>".join(_SPECIAL.sub(r"\\\g<0>", line) for line in value.split("\n")) if value else _EMPTY
    for index in range(len(marks) - 1, -1, -1):
        mark, inside = marks[index], marks[index + 1 :]
        sign = _SIGNS.get(mark)
        if mark == "code" and (inside or not value or "\n" in value):
            sign = None  # between its signs dastdown reads no other mark, and no line break
        elif mark == "emphasis" and "strong" in inside:
            sign = None  # `***` is strong and emphasis, in this order
        elif mark == "highlight" and not value:
            sign = None  # an empty span has the same sign twice
        text = f"{sign}{text}{sign}" if sign else f'<m k="{_quoted(mark, in_tag=True)}">{text}</m>'
    return text


def _quoted(value: str, *, in_tag: bool = False) -> str:
    """Return a value between quotes: JSON's escapes, and those for signs that dastdown looks for in front of them."""
    text = (
        value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    )
    special = _SPECIAL_IN_TAG if in_tag else _BRACE
    return special.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


_BRACE: Final = re.compile(r"[{]")


def _attribute(name: str, value: str) -> str:
    return f'{name if _IDENTIFIER.fullmatch(name) else f"{chr(34)}{_quoted(name)}{chr(34)}"}="{_quoted(value)}"'


def _trailer(name: str, value: object) -> str:
    return f"{{{_attribute(name, _text(value))}}}"


# Reading


def _marker(line: str) -> str | None:
    """Return the style of the list that a line begins an item of."""
    if _BULLET.fullmatch(line):
        return "bulleted"
    return "numbered" if _NUMBER.fullmatch(line) else None


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
            if lines[at] in ("", _APART):
                at += 1
                continue
            node, at = self._block(lines, at, is_root=is_root)
            if is_root and at < len(lines) and lines[at].startswith(_MEMBERS) and lines[at].endswith("}"):
                node |= load(lines[at][len(_MEMBERS) : -1])
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
        if _marker(line):
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
        style = _marker(lines[at])
        pattern = _NUMBER if style == "numbered" else _BULLET
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
            line in ("", "---", ">", _APART, "<node>")
            or line.startswith(("> ", "```", _MEMBERS))
            or (line.startswith('{style="') and line.endswith("}"))
            or _HEADING.fullmatch(line) is not None
            or _marker(line) is not None
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
        if text.startswith(_CUT, at) and (not marks):
            return [], at + len(_CUT)
        if text.startswith(_EMPTY, at):
            return [_made_span("", marks)], at + len(_EMPTY)
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
        for type in _INLINE_TYPES:
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
            found = _IDENTIFIER.match(text, at)
            named = found and (found[0], found.end())
        value = named and text.startswith("=", named[1]) and _read_quoted(text, named[1] + 1)
        if not named or not value:
            return None
        entries.append((named[0], value[0]))
        at = value[1]
    return None
