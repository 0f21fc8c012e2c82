"""A version's attributes as JSON text: split, changed and joined without the loss of a digit.

Members stay the text that came in (`msgspec.Raw`), so that `1.00`, 23-digit integers, `1e400` and all escapes are
served as they were written. Only fields with blocks are decoded, with decimals instead of floats.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

__all__ = [
    "BLOCK_FIELD_TYPES",
    "Block",
    "Json",
    "Members",
    "blocks_by_id",
    "blocks_by_path",
    "complete_blocks",
    "decoded",
    "flatten",
    "is_block",
    "is_by_locale",
    "join",
    "load",
    "locales_of",
    "map_blocks",
    "model_id",
    "raw",
    "split",
    "split_list",
    "take_locales",
    "without_locale",
]

T = TypeVar("T")

Json: TypeAlias = Any
"""A decoded JSON value of any shape."""

Members = dict[str, msgspec.Raw]
"""The attributes by field, each still as text."""

Block = dict[str, Json]
"""A complete block, `{"id", "type": "item", "attributes", "relationships"}`."""

BLOCK_FIELD_TYPES: Final = frozenset({"rich_text", "single_block", "structured_text"})

_MEMBERS: Final = msgspec.json.Decoder(Members)
_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ANY: Final = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")

# msgspec refuses lone surrogates, although JSON may have them as escapes. Such an escape passes the decoder as its
# digits between two noncharacters, and is restored after encoding.
_ESCAPE: Final = re.compile(rb"\\(?:u([dD][89abAB]..)\\u([dD][c-fC-F]..)|u([dD][89a-fA-F]..)|.)", re.DOTALL)
_LONE: Final = re.compile(b"\xef\xb7\x90([0-9a-fA-F]{4})\xef\xb7\x91")


def _protect(text: bytes) -> bytes:
    """Return *text* in a form that msgspec can decode in spite of lone surrogates; encoding restores them."""

    def protected(escape: re.Match[bytes]) -> bytes:
        return escape[0] if escape[3] is None else b"\xef\xb7\x90%b\xef\xb7\x91" % escape[3]

    return _ESCAPE.sub(protected, text)


def decoded(decoder: msgspec.json.Decoder[T], text: bytes | msgspec.Raw) -> T:
    """Decode *text*, also with lone surrogates."""
    try:
        return decoder.decode(text)
    except msgspec.DecodeError:
        return decoder.decode(_protect(bytes(text)))


def split(content: bytes) -> Members:
    """Return the members of *content*, undecoded."""
    return {key: _restored(bytes(value)) for key, value in decoded(_MEMBERS, content).items()}


def split_list(content: bytes) -> list[msgspec.Raw]:
    """Return the elements of a list, undecoded."""
    return [_restored(bytes(element)) for element in decoded(_ELEMENTS, content)]


def join(members: Mapping[str, msgspec.Raw]) -> bytes:
    return _ENCODER.encode(members)


def load(text: bytes | msgspec.Raw) -> Json:
    """Decode any JSON value; numbers with a fraction or an exponent become Decimal."""
    return decoded(_ANY, text)


def raw(value: Json) -> msgspec.Raw:
    return _restored(bytes(value) if isinstance(value, msgspec.Raw) else _ENCODER.encode(value))


def _restored(text: bytes) -> msgspec.Raw:
    return msgspec.Raw(_LONE.sub(rb"\\u\1", text) if b"\xef\xb7\x90" in text else text)


def is_block(value: Json) -> bool:
    """Return whether *value* is a complete block (an id would be a string)."""
    return isinstance(value, dict) and value.get("type") == "item" and "attributes" in value


def is_by_locale(value: Json) -> bool:
    """Return whether *value* of a localized field is an object by locale, not one value for all locales."""
    return isinstance(value, dict) and value.get("schema") != "dast" and not is_block(value)


def model_id(block: Block) -> str:
    """Return the id of the model of *block*; empty if it names none."""
    match block.get("relationships"):
        case {"item_type": {"data": {"id": str(id)}}}:
            return id
    return ""


def map_blocks(value: Json, change: Callable[[Json], Json]) -> Json:
    """Return *value*, the content of a field with blocks, with *change* applied to each block or block's id.

    The field may be modular content, a single block or structured text, localized or not. Nested blocks are left to
    *change*.
    """
    match value:
        case {"schema": "dast", "document": document}:
            return {**value, "document": _map_nodes(document, change)}
        case {"type": "item"}:
            return change(value)
        case dict():
            return {locale: map_blocks(inner, change) for locale, inner in value.items()}
        case list():
            return [change(inner) for inner in value]
        case str():
            return change(value)
        case _:
            return value


def _map_nodes(node: Json, change: Callable[[Json], Json]) -> Json:
    if not isinstance(node, dict):
        return node
    node = dict(node)
    if node.get("type") in {"block", "inlineBlock"} and "item" in node:
        node["item"] = change(node["item"])
    if isinstance(node.get("children"), list):
        node["children"] = [_map_nodes(child, change) for child in node["children"]]
    return node


def flatten(content: bytes, block_fields: Iterable[str]) -> bytes:
    """Return *content* with ids instead of complete blocks in *block_fields*, as with `nested=false`."""
    members = split(content)
    for key in block_fields:
        if key in members:
            members[key] = raw(map_blocks(load(members[key]), lambda block: block["id"] if is_block(block) else block))
    return join(members)


def blocks_by_id(content: bytes) -> dict[str, Block]:
    """Return every complete block in *content*, at any depth."""
    found: dict[str, Block] = {}
    for text in split(content).values():
        if b'"item"' in bytes(text):
            found |= {block["id"]: block for block in complete_blocks(load(text))}
    return found


def blocks_by_path(value: Json, path: str) -> Iterator[tuple[str, Block]]:
    """Yield the outermost blocks in *value* with their paths: the locale, and the number in a list or document."""
    match value:
        case {"schema": "dast", "document": document}:
            for number, block in enumerate(_blocks_of_nodes(document)):
                yield f"{path}.{number}", block
        case {"type": "item", "attributes": _}:
            yield path, value
        case dict():
            for locale, inner in value.items():
                yield from blocks_by_path(inner, f"{path}.{locale}")
        case list():
            for number, inner in enumerate(value):
                yield from blocks_by_path(inner, f"{path}.{number}")


def _blocks_of_nodes(node: Json) -> Iterator[Block]:
    if isinstance(node, dict):
        if is_block(node.get("item")):
            yield node["item"]
        for child in node.get("children") or ():
            yield from _blocks_of_nodes(child)


def complete_blocks(value: Json) -> Iterator[Block]:
    """Yield every complete block in a decoded *value*, at any depth, parents first."""
    if is_block(value):
        yield value
    if isinstance(value, dict):
        for inner in value.values():
            yield from complete_blocks(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from complete_blocks(inner)


def take_locales(
    published: Members | None, current: Members, *, localized: frozenset[str], locales: Iterable[str], others: bool
) -> Members:
    """Return the content that selective publishing makes live.

    *locales* of the *localized* fields come from *current*, everything else from *published*; with *others* the fields
    that are not localized come from *current* as well.
    """
    wanted = frozenset(locales)
    mixed: Members = {}
    for key in dict.fromkeys((*current, *(published or {}))):
        new, old = current.get(key), (published or {}).get(key)
        if key not in localized:
            chosen = new if others else old
            mixed[key] = raw(None) if chosen is None else chosen
            continue
        new_values, old_values = _by_locale(new), _by_locale(old)
        values: Members = {}
        for locale in dict.fromkeys((*new_values, *old_values)):
            source = new_values if locale in wanted else old_values
            if locale in source:
                values[locale] = source[locale]
        mixed[key] = raw(values)
    return mixed


def locales_of(content: bytes, localized: Iterable[str]) -> list[str]:
    """Return the locales in which *content* has values of its *localized* fields."""
    members = split(content)
    return list(dict.fromkeys(locale for key in localized for locale in _by_locale(members.get(key))))


def without_locale(content: bytes, localized: Iterable[str], locales: frozenset[str]) -> bytes:
    """Return *content* without the values of its *localized* fields in *locales*."""
    members = split(content)
    for key in localized:
        if key in members:
            values = _by_locale(members[key])
            members[key] = raw({locale: value for locale, value in values.items() if locale not in locales})
    return join(members)


def _by_locale(value: msgspec.Raw | None) -> Members:
    if value is None or not bytes(value).lstrip().startswith(b"{"):
        return {}
    return split(bytes(value))
