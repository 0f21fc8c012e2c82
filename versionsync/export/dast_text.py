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
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from versionsync.export.dast_parser import (
    APART,
    CUT,
    EMPTY,
    EMPTY_DOCUMENT,
    IDENTIFIER,
    INLINE_TYPES,
    MEMBERS,
    NUMBER,
    DastTextError,
    Node,
    document_of,
    marker,
    parse,
)
from versionsync.export.exact_json import dump, same

__all__ = ["DastTextError", "blocks_of", "is_structured_text", "parse", "text_of"]

_SIGNS: Final = {
    "strong": "**",
    "emphasis": "*",
    "code": "`",
    "strikethrough": "~~",
    "highlight": "==",
    "underline": "++",
}
_SPECIAL: Final = re.compile(r"[\\*_`~=+\[\](){}<>#]")
_SPECIAL_IN_TAG: Final = re.compile(r"[*_`~=+\[\](){}<>#]")
_SPECIAL_IN_URL: Final = re.compile(r"[\\() ]")
_BRACE: Final = re.compile(r"[{]")
_LIST_START: Final = re.compile(r"([0-9]+)(\. )")
_HALF_CHARACTER: Final = re.compile("[\ud800-\udfff]")
_KNOWN: Final = {
    "paragraph": {"type", "children", "style"},
    "heading": {"type", "level", "children", "style"},
    "list": {"type", "style", "children"},
    "blockquote": {"type", "children", "attribution"},
    "code": {"type", "code", "language", "highlight"},
    "block": {"type", "item"},
    "thematicBreak": {"type"},
}


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
    if same(children, EMPTY_DOCUMENT):
        return ""
    blocks = blocks_of(document)
    lines: list[str] = []
    before: object = None
    for child in children:
        written = _proved(child, blocks)
        if lines:
            lines.append("")
            if written and marker(written[0]) is not None and _is_list_like(before, child):
                lines += [APART, ""]
        lines += written
        before = child
    text = "\n".join(lines) + "\n"
    # Each block was read back alone; this proves that the blocks stay apart.
    return text if same(_try_parse(text, blocks), document) else _whole(document)


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


# Each function returns lines, or raises _NoForm where only JSON will do.


class _NoForm(Exception):
    """The syntax has no form for a value."""


def _proved(child: Any, blocks: Mapping[str, Node]) -> list[str]:
    """Return the lines of a block, which read as the same block again."""
    try:
        lines = _with_members(child)
        read = _try_parse("\n".join(lines) + "\n", blocks)
        # An empty document is a text without lines.
        if (
            read is not None
            and lines
            and same(read, document_of([child]))
            and not _HALF_CHARACTER.search("".join(lines))
        ):
            return lines
    except (_NoForm, RecursionError):
        pass
    return ["<node>", *_json_text(child), "</node>"]


def _whole(document: Node) -> str:
    return "\n".join(["<document>", *_json_text(document), "</document>"]) + "\n"


def _json_text(value: object) -> list[str]:
    text = _HALF_CHARACTER.sub(lambda half: f"\\u{ord(half[0]):04x}", dump(value, indent=2))
    return text.split("\n")


def _with_members(node: Any) -> list[str]:
    """Return the lines of a block of the document, and those members that dastdown does not know."""
    if not isinstance(node, dict) or (type := node.get("type")) not in _KNOWN:
        raise _NoForm
    known = {name: value for name, value in node.items() if name in _KNOWN[type]}
    more = {name: value for name, value in node.items() if name not in _KNOWN[type]}
    lines = _WRITERS[type](known)
    if more:
        lines = [*lines, f"{MEMBERS}{dump(more)}}}"]
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
    line = _LIST_START.sub(r"\1\\\2", line, count=1) if NUMBER.match(line) else line
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
                inner += ["", APART, ""] if _is_list_like(before, child) else [""]
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
            written.append(CUT)
        was_plain = is_plain
        if type == "span":
            written.append(_span(child))
        elif type in INLINE_TYPES:
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
    text = "<br/>".join(_SPECIAL.sub(r"\\\g<0>", line) for line in value.split("\n")) if value else EMPTY
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


def _attribute(name: str, value: str) -> str:
    return f'{name if IDENTIFIER.fullmatch(name) else f"{chr(34)}{_quoted(name)}{chr(34)}"}="{_quoted(value)}"'


def _trailer(name: str, value: object) -> str:
    return f"{{{_attribute(name, _text(value))}}}"
