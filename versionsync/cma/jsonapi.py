"""From the bytes of an answer to values: typed, fast, and tolerant of differences in the API.

This module handles JSON and the envelope of JSON:API; `decode` handles the resources. Content is never built as Python
objects: `msgspec.Raw` keeps the bytes that were sent. Invalid input becomes a `ShapeError` with its path in the JSON.
It never has a value, since that may be the project's content.

msgspec refuses escapes of lone surrogates (`\\ud800` alone), which editors can paste and upstream then sends. Such a
body is read with a mark before each of them, and the mark is removed again: the returned bytes are those that were
sent.

If one entry of a list is invalid JSON (NaN, nested too deeply), the list is split into its entries by brackets alone.
Then the others are read, and this one is reported. A truncated list cannot be split so.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Raw

from versionsync.errors import VersionsyncError

__all__ = [
    "TYPED",
    "Entity",
    "InvalidJson",
    "NotADocument",
    "Reader",
    "ResourceList",
    "ShapeError",
    "document",
    "document_reader",
    "entries",
    "id_of",
    "list_reader",
    "read",
    "salvaged",
    "without",
]

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

_PIECE_BYTES: Final = 64 * 1024
# Left to right, so that an escaped backslash before "ud800" is not taken for an escape of a surrogate.
_ESCAPE: Final = re.compile(
    rb"\\(?:(?P<pair>u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|u(?P<lone>[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
# A quote without an end is its own token: what follows it cannot be trusted.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|["\[\]{},:]', re.DOTALL)
_CLOSES: Final = {b"[": b"]", b"{": b"}"}


class InvalidJson(VersionsyncError):
    """The body is no JSON: truncated, or not from the API."""


class NotADocument(VersionsyncError):
    """JSON that is no JSON:API document: `null`, a list, a text, or without `data`. The API does not answer so."""


class ShapeError(VersionsyncError):
    """JSON of another shape than expected. `where` is a path such as `$.data[3].meta.created_at`."""

    def __init__(self, expected: str, where: str = "$") -> None:
        super().__init__(expected)
        self.expected = expected
        self.where = where

    def under(self, path: str) -> ShapeError:
        """Return the same error with a path that starts further out."""
        return ShapeError(self.expected, path + self.where.removeprefix("$"))


class ResourceList(NamedTuple, Generic[S]):
    """A decoded list: for each entry its id, if any, and its value or error."""

    total: int
    ids: tuple[str | None, ...]
    values: tuple[S | ShapeError, ...]


class _ListMeta(msgspec.Struct, frozen=True):
    total_count: int | None = None


class _List(msgspec.Struct, frozen=True):
    data: list[Raw]
    meta: _ListMeta | None = None


class _Document(msgspec.Struct, frozen=True):
    data: Raw
    included: list[Raw] = []


class _Id(msgspec.Struct, frozen=True):
    id: str


class _Typed(msgspec.Struct, frozen=True):
    type: str


class Entity(msgspec.Struct, Generic[T], frozen=True):
    """An entity of which only the id and the attributes are read."""

    id: str
    attributes: T


TYPED: Final = msgspec.json.Decoder(_Typed)
"""Reads the type of any entity."""


_LIST: Final = msgspec.json.Decoder(_List)
_DOCUMENT: Final = msgspec.json.Decoder(_Document)
_ID: Final = msgspec.json.Decoder(_Id)
_TEXT: Final = msgspec.json.Decoder(str)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_OBJECT_OR_NULL: Final = msgspec.json.Decoder(dict[str, Raw] | None)


class _TooDeep(ShapeError):
    """JSON that is nested too deeply to be read."""


def read(decoder: msgspec.json.Decoder[T], body: bytes | Raw) -> T:
    """Decode `body`. Raise InvalidJson or ShapeError."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        expected, _, path = str(error).partition(" - at `")
        raise ShapeError(expected[:1].lower() + expected[1:], path.rstrip("`") or "$") from None
    except msgspec.DecodeError as error:
        raise InvalidJson(str(error)) from None
    except RecursionError:
        raise _TooDeep("expected JSON that is not nested so deeply") from None


def entries(body: bytes, build: Callable[[Raw], S], *, paged: bool) -> ResourceList[S]:
    """Decode a list entry by entry: an invalid one does not affect the others.

    `paged` lists must have a `total_count`; for others it is the number of entries. Raise InvalidJson, NotADocument or
    ShapeError.
    """
    listed, body, mark = _open(_LIST, body)
    return _entries(listed, body, mark, build, paged=paged)


def salvaged(body: bytes, build: Callable[[Raw], S], *, paged: bool) -> ResourceList[S] | None:
    """Decode a list that is invalid JSON because of some of its entries; None: it cannot be split."""
    body, mark = _marked(body)
    if not (parts := _split_list(body, b'"data"')):
        return None
    listed, around = parts
    try:
        envelope = read(_LIST, around)
    except (InvalidJson, ShapeError):
        return None
    envelope = msgspec.structs.replace(envelope, data=[Raw(entry) for entry in listed])
    return _entries(envelope, body, mark, build, paged=paged)


class Reader(Generic[T]):
    """Decodes the answer to one request, over all its attempts.

    Invalid JSON may have been damaged on the way, and is worth another attempt. Only if the same bytes come again, the
    valid parts are used.
    """

    def __init__(self, complete: Callable[[bytes], T], parts: Callable[[bytes], T | None]) -> None:
        self._complete = complete
        self._parts = parts
        self._unreadable: bytes | None = None

    def __call__(self, body: bytes) -> T:
        """Return the decoded answer. Raise as `entries` or `document`."""
        try:
            return self._complete(body)
        except (InvalidJson, _TooDeep) as error:
            before, self._unreadable = self._unreadable, sha256(body).digest()
            if isinstance(error, InvalidJson) and before != self._unreadable:
                raise
            found = self._parts(body)
            if found is None:
                raise
            return found


def list_reader(build: Callable[[Raw], S], *, paged: bool) -> Reader[ResourceList[S]]:
    """Return a reader of a list: an entry with invalid JSON does not affect the others."""
    return Reader(partial(entries, build=build, paged=paged), partial(salvaged, build=build, paged=paged))


def document_reader(build: Callable[[Raw, list[Raw]], T]) -> Reader[T]:
    """Return a reader of a resource with others included. `build` handles invalid JSON among these."""
    return Reader(partial(document, build=build), partial(_salvaged_document, build=build))


def _salvaged_document(body: bytes, build: Callable[[Raw, list[Raw]], T]) -> T | None:
    body, mark = _marked(body)
    if not (parts := _split_list(body, b'"included"')) or not _is_utf8(body):
        return None
    included, around = parts
    try:
        answer = read(_DOCUMENT, around)
    except (InvalidJson, ShapeError):
        return None
    return _built(answer.data, [Raw(entry) for entry in included], build, mark)


def _entries(listed: _List, body: bytes, mark: bytes, build: Callable[[Raw], S], *, paged: bool) -> ResourceList[S]:
    total = listed.meta.total_count if listed.meta is not None else None
    if total is None or total < 0:
        if paged:
            raise ShapeError("expected a count", "$.meta.total_count")
        total = len(listed.data)
    is_text = _is_utf8(body)
    ids: list[str | None] = []
    values: list[S | ShapeError] = []
    for index, raw in enumerate(listed.data):
        value = _entry(raw, build, is_text=is_text)
        if isinstance(value, ShapeError):
            ids.append(id_of(raw))
            values.append(value.under(f"$.data[{index}]"))
        else:
            value = _unmark(value, mark) if mark else value
            ids.append(getattr(value, "id", None))
            values.append(value)
    return ResourceList(total, tuple(ids), tuple(values))


def document(body: bytes, build: Callable[[Raw, list[Raw]], T]) -> T:
    """Decode a resource with those that are included. Raise InvalidJson, NotADocument or ShapeError."""
    answer, body, mark = _open(_DOCUMENT, body)
    if not _is_utf8(body):
        raise InvalidJson("the text is not UTF-8")
    return _built(answer.data, answer.included, build, mark)


def _built(data: Raw, included: list[Raw], build: Callable[[Raw, list[Raw]], T], mark: bytes) -> T:
    try:
        value = build(data, included)
    except ShapeError as error:
        raise error if error.where.startswith("$.included") else error.under("$.data") from None
    return _unmark(value, mark) if mark and isinstance(value, msgspec.Struct) else value


def without(raw: Raw, *secrets: str) -> bytes:
    """Return the bytes of an entry without the attributes `secrets`; unchanged if it has none of them."""
    entry = read(_OBJECT, raw)
    try:
        attributes = read(_OBJECT_OR_NULL, entry.get("attributes", Raw(b"null"))) or {}
    except ShapeError as error:
        raise error.under("$.attributes") from None
    if not attributes.keys() & set(secrets):
        return bytes(raw)
    entry["attributes"] = Raw(
        msgspec.json.encode({name: attributes[name] for name in attributes if name not in secrets})
    )
    return msgspec.json.encode(entry)


def _entry(raw: Raw, build: Callable[[Raw], S], *, is_text: bool) -> S | ShapeError:
    if not is_text and not _is_utf8(bytes(raw)):
        return ShapeError("expected UTF-8")
    try:
        return build(raw)
    except ShapeError as error:
        return error
    except InvalidJson:
        return ShapeError("expected JSON")


def id_of(raw: Raw) -> str | None:
    """Return the id of an invalid entity, if it has one."""
    try:
        return read(_ID, raw).id
    except (ShapeError, InvalidJson):
        return _text_of_member(bytes(raw), b'"id"')


def _text_of_member(entry: bytes, name: bytes) -> str | None:
    """Return the text of the member `name` of an object that may be invalid JSON elsewhere."""
    depth, last, key = 0, b"", b""
    for token in _TOKEN.finditer(entry):
        found = token[0]
        if depth == 1 and key == name and found.startswith(b'"'):
            try:
                return read(_TEXT, found)
            except (ShapeError, InvalidJson):
                return None
        key = last if found == b":" and depth == 1 else b""
        depth += (found in _CLOSES) - (found in _CLOSES.values())
        last = found
    return None


def _split_list(body: bytes, name: bytes) -> tuple[list[bytes], bytes] | None:
    """Return the entries of the list in the member `name` of a document, and the document without them.

    Return None if it has no such list, or if its brackets do not match: then it is truncated.
    """
    open_brackets: list[bytes] = []
    listed: list[bytes] = []
    list_start = list_end = start = 0
    last = key = b""
    for token in _TOKEN.finditer(body):
        found, depth = token[0], len(open_brackets)
        if found == b'"' or (not depth and list_end):
            return None
        if found in _CLOSES:
            open_brackets.append(_CLOSES[found])
            if found == b"[" and depth == 1 and key == name and not list_start:
                list_start = start = token.end()
        elif found in _CLOSES.values():
            if not depth or open_brackets.pop() != found:
                return None
            if list_start and not list_end and depth == 2:
                list_end = token.start()
                if listed or body[start:list_end].strip():
                    listed.append(body[start:list_end].strip())
        elif found == b"," and list_start and not list_end and depth == 2:
            listed.append(body[start : token.start()].strip())
            start = token.end()
        key = last if found == b":" and depth == 1 else b""
        last = found
    if open_brackets or not list_end or not all(listed):
        return None
    return listed, body[:list_start] + body[list_end:]


def _is_utf8(text: bytes) -> bool:
    """Check piece by piece: as one string a page of 15 MB can take 60 MB."""
    decoder, view = getincrementaldecoder("utf-8")(), memoryview(text)
    try:
        for start in range(0, len(view), _PIECE_BYTES):
            decoder.decode(view[start : start + _PIECE_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _open(decoder: msgspec.json.Decoder[T], body: bytes) -> tuple[T, bytes, bytes]:
    """Return the envelope, the body that it was read from, and the mark before lone surrogates, or an empty one."""
    try:
        return _envelope(decoder, body), body, b""
    except InvalidJson:
        marked, mark = _marked(body)
        if not mark:
            raise
        return _envelope(decoder, marked), marked, mark


def _marked(body: bytes) -> tuple[bytes, bytes]:
    """Return the body with a mark before each lone surrogate, and the mark; it is empty if there are none."""
    mark = b"lone-surrogate"
    while mark in body:
        mark += b"-"
    marked = _ESCAPE.sub(lambda m: mark + b":" + m["lone"] + b";" if m["lone"] else m[0], body)
    return marked, mark if marked != body else b""


def _envelope(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return read(decoder, body)
    except _TooDeep:
        raise
    except ShapeError as error:
        if error.where == "$":
            raise NotADocument(error.expected) from None
        raise


def _unmark(value: S, mark: bytes) -> S:
    """Restore the surrogates in bytes; in text, which cannot contain them, U+FFFD replaces each."""
    pattern = re.escape(mark) + rb":([0-9a-fA-F]{4});"
    text = re.compile(pattern.decode())
    changes: dict[str, object] = {}
    for name in value.__struct_fields__:
        member = getattr(value, name)
        if isinstance(member, bytes):
            changes[name] = re.sub(pattern, rb"\\u\1", member)
        elif isinstance(member, str):
            changes[name] = text.sub("\ufffd", member)
        elif isinstance(member, tuple) and member and isinstance(member[0], msgspec.Struct):
            changes[name] = tuple(_unmark(each, mark) for each in member)
        elif isinstance(member, msgspec.Struct):
            changes[name] = _unmark(member, mark)
    return msgspec.structs.replace(value, **changes)
