"""From the bytes of an answer to values: typed, fast, and tolerant where the API may differ.

This module knows JSON and the envelope of JSON:API; `decode` knows the resources. Content is never built as Python
objects: `msgspec.Raw` keeps the bytes that were sent. Whatever does not fit becomes a `ShapeError` with the path in the
JSON and never with a value from it, since that may be the project's content.

msgspec refuses escapes of lone surrogates (`\\ud800` alone), which editors can paste and upstream then sends. Such a
body is read with each of them behind a mark, and the mark is taken away again: the bytes handed out are those sent.

A list in which one entry is no JSON that can be read (NaN, nested too deep) is divided into its entries by brackets
alone, so that each of the others is read, and that one is named. Half a list cannot be divided so.
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
# A quote that begins no whole string is a token of its own: what follows it cannot be trusted.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|["\[\]{},:]', re.DOTALL)
_CLOSES: Final = {b"[": b"]", b"{": b"}"}


class InvalidJson(VersionsyncError):
    """The body is no JSON at all: torn, or not from the API."""


class NotADocument(VersionsyncError):
    """JSON that is no JSON:API document: `null`, a list, a text, or without `data`. Not what the API itself answers."""


class ShapeError(VersionsyncError):
    """JSON of another shape than expected. `where` is a path such as `$.data[3].meta.created_at`."""

    def __init__(self, expected: str, where: str = "$") -> None:
        super().__init__(expected)
        self.expected = expected
        self.where = where

    def under(self, path: str) -> ShapeError:
        """The same, seen from further out."""
        return ShapeError(self.expected, path + self.where.removeprefix("$"))


class ResourceList(NamedTuple, Generic[S]):
    """A list as it was read: for each entry its id, if it has one, and its value, or why there is none."""

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


_LIST: Final = msgspec.json.Decoder(_List)
_DOCUMENT: Final = msgspec.json.Decoder(_Document)
_ID: Final = msgspec.json.Decoder(_Id)
_TEXT: Final = msgspec.json.Decoder(str)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_OBJECT_OR_NULL: Final = msgspec.json.Decoder(dict[str, Raw] | None)


class _TooDeep(ShapeError):
    """JSON that is nested deeper than it can be read."""


def read(decoder: msgspec.json.Decoder[T], body: bytes | Raw) -> T:
    """Decode, or say in our own terms why not. Raises InvalidJson or ShapeError."""
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
    """A list, entry by entry: one that does not fit costs only itself.

    `paged` lists must tell their `total_count`; of others it is the number of entries. Raises InvalidJson, NotADocument
    or ShapeError.
    """
    listed, body, mark = _open(_LIST, body)
    return _entries(listed, body, mark, build, paged=paged)


def salvaged(body: bytes, build: Callable[[Raw], S], *, paged: bool) -> ResourceList[S] | None:
    """As `entries`, of a list that cannot be read as a whole because of some of its entries; None: that is not why."""
    body, mark = _marked(body)
    if not (parts := _divided(body, b'"data"')):
        return None
    listed, around = parts
    try:
        envelope = read(_LIST, around)
    except (InvalidJson, ShapeError):
        return None
    envelope = msgspec.structs.replace(envelope, data=[Raw(entry) for entry in listed])
    return _entries(envelope, body, mark, build, paged=paged)


class Reader(Generic[T]):
    """Reads one answer, however often it has to be asked for.

    What is no JSON may have been spoiled on its way, and is worth another try. Only where the same bytes come again,
    what can be read of them is salvaged.
    """

    def __init__(self, whole: Callable[[bytes], T], parts: Callable[[bytes], T | None]) -> None:
        self._whole = whole
        self._parts = parts
        self._unreadable: bytes | None = None

    def __call__(self, body: bytes) -> T:
        """What the answer says. Raises as `entries` or `document`."""
        try:
            return self._whole(body)
        except (InvalidJson, _TooDeep) as error:
            before, self._unreadable = self._unreadable, sha256(body).digest()
            if isinstance(error, InvalidJson) and before != self._unreadable:
                raise
            found = self._parts(body)
            if found is None:
                raise
            return found


def list_reader(build: Callable[[Raw], S], *, paged: bool) -> Reader[ResourceList[S]]:
    """A reader of a list: an entry that is no JSON costs only itself."""
    return Reader(partial(entries, build=build, paged=paged), partial(salvaged, build=build, paged=paged))


def document_reader(build: Callable[[Raw, list[Raw]], T]) -> Reader[T]:
    """A reader of a resource with others included. What is no JSON among these is left to `build`."""
    return Reader(partial(document, build=build), partial(_salvaged_document, build=build))


def _salvaged_document(body: bytes, build: Callable[[Raw, list[Raw]], T]) -> T | None:
    body, mark = _marked(body)
    if not (parts := _divided(body, b'"included"')) or not _is_utf8(body):
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
    """A single resource, with what is included beside it. Raises InvalidJson, NotADocument or ShapeError."""
    answer, body, mark = _open(_DOCUMENT, body)
    if not _is_utf8(body):
        raise InvalidJson("the text is not UTF-8")
    return _built(answer.data, answer.included, build, mark)


def _built(data: Raw, included: list[Raw], build: Callable[[Raw, list[Raw]], T], mark: bytes) -> T:
    try:
        value = build(data, included)
    except ShapeError as mismatch:
        raise mismatch if mismatch.where.startswith("$.included") else mismatch.under("$.data") from None
    return _unmark(value, mark) if mark and isinstance(value, msgspec.Struct) else value


def without(raw: Raw, *secrets: str) -> bytes:
    """The bytes of an entry without the attributes called `secrets`; as sent when it has none of them."""
    entry = read(_OBJECT, raw)
    try:
        attributes = read(_OBJECT_OR_NULL, entry.get("attributes", Raw(b"null"))) or {}
    except ShapeError as mismatch:
        raise mismatch.under("$.attributes") from None
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
    except ShapeError as mismatch:
        return mismatch
    except InvalidJson:
        return ShapeError("expected JSON")


def id_of(raw: Raw) -> str | None:
    """The id of an entity that cannot be read, if it has one."""
    try:
        return read(_ID, raw).id
    except (ShapeError, InvalidJson):
        return _text_of_member(bytes(raw), b'"id"')


def _text_of_member(entry: bytes, name: bytes) -> str | None:
    """The text that an object has under `name`, which need not be JSON in any other place."""
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


def _divided(body: bytes, name: bytes) -> tuple[list[bytes], bytes] | None:
    """The entries of the list that a document has under `name`, and the document without them.

    None where it has no such list, or where its brackets do not fit: then it is torn.
    """
    open_brackets: list[bytes] = []
    listed: list[bytes] = []
    began = ended = start = 0
    last = key = b""
    for token in _TOKEN.finditer(body):
        found, depth = token[0], len(open_brackets)
        if found == b'"' or (not depth and ended):
            return None
        if found in _CLOSES:
            open_brackets.append(_CLOSES[found])
            if found == b"[" and depth == 1 and key == name and not began:
                began = start = token.end()
        elif found in _CLOSES.values():
            if not depth or open_brackets.pop() != found:
                return None
            if began and not ended and depth == 2:
                ended = token.start()
                if listed or body[start:ended].strip():
                    listed.append(body[start:ended].strip())
        elif found == b"," and began and not ended and depth == 2:
            listed.append(body[start : token.start()].strip())
            start = token.end()
        key = last if found == b":" and depth == 1 else b""
        last = found
    if open_brackets or not ended or not all(listed):
        return None
    return listed, body[:began] + body[ended:]


def _is_utf8(text: bytes) -> bool:
    """Looked at piece by piece: as one string a page of 15 MB can take 60."""
    decoder, view = getincrementaldecoder("utf-8")(), memoryview(text)
    try:
        for start in range(0, len(view), _PIECE_BYTES):
            decoder.decode(view[start : start + _PIECE_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _open(decoder: msgspec.json.Decoder[T], body: bytes) -> tuple[T, bytes, bytes]:
    """The envelope, the body in which it was read, and the mark before lone surrogates, empty when there are none."""
    try:
        return _envelope(decoder, body), body, b""
    except InvalidJson:
        marked, mark = _marked(body)
        if not mark:
            raise
        return _envelope(decoder, marked), marked, mark


def _marked(body: bytes) -> tuple[bytes, bytes]:
    """The body with each lone surrogate behind a mark, and the mark; empty when there are none."""
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
    except ShapeError as mismatch:
        if mismatch.where == "$":
            raise NotADocument(mismatch.expected) from None
        raise


def _unmark(value: S, mark: bytes) -> S:
    """Put the surrogates back into bytes; in text, which cannot hold them, U+FFFD stands for each."""
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
