"""The rows of a table as they are copied between databases, and the hash by which two copies are compared.

A row is read in one neutral form from both databases, in the order of a unique key. The hash of a table is the sum of
the hashes of its rows, so it does not depend on their order. Each row is hashed in a canonical form: what the two
databases spell differently, such as JSON, is the same there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import zip_longest
from typing import Any, Final

import msgspec
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Table,
    false,
    func,
    literal,
    select,
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy.types import NullType

from versionsync.ledger.content import ContentError, canonical, content_hash
from versionsync.ledger.times import parse_time
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.engine.copying import Convert, copy_dialect_of
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.engine.jsonb import jsonb_text
from versionsync.mirror.engine.types import JsonText, UtcTime, UuidText
from versionsync.mirror.schema import (
    daemons,
    leases,
    passages,
    projection_cursors,
    restore_plans,
    source_claims,
    sources,
    versions,
)
from versionsync.mirror.tables.projection_cursors import SEARCH

__all__ = ["NeutralRow", "RowBatch", "TableDigest", "TableRows", "rows_of"]

NeutralRow = tuple[Any, ...]

ATTRIBUTES: Final = "attributes"
EXACT: Final = "attributes_exact"
HASH: Final = "attributes_hash"
LARGE: Final = (ATTRIBUTES, "body")
"""Columns that hold whole contents; steps of a restore do too."""
CONTENTS_AT_ONCE: Final = 16  # each may be hundreds of kilobytes long
ROWS_AT_ONCE: Final = 1000
SUMS: Final = 1 << 256
KEYS_NAMED: Final = 5

_KEYS: Final = {versions.name: ("source_id", "record_id", "ordinal")}
"""Unique keys other than the primary one. Versions of a record are read together, so that they stay side by side."""
_COPIED: Final[Mapping[str, ColumnElement[bool]]] = {
    daemons.name: false(),
    passages.name: false(),
    projection_cursors.name: projection_cursors.c.projection != SEARCH,
}
"""Which rows are copied, if not all are. Each database has daemons of its own, and fills its index for words later."""
_NOT_HELD: Final = {
    leases.name: frozenset({"holder", "expires_at"}),
    source_claims.name: frozenset({"daemon_id", "next_check_at", "next_check_reason"}),
    restore_plans.name: frozenset({"holder", "expires_at"}),
}
"""Columns that say which process holds something. They are copied as NULL."""
_NOT_COMPARED: Final = {sources.name: frozenset({"blocked_views"})}
"""Columns that depend on the database: each makes its own views."""


@dataclass(frozen=True, slots=True)
class TableDigest:
    """The rows of a table: their number and the sum of their hashes.

    `damaged`: how many contents do not have the hash that is stored with them.
    """

    rows: int = 0
    sum: int = 0
    damaged: int = 0

    @property
    def hex(self) -> str:
        """Return the sum as 64 digits."""
        return f"{self.sum:064x}"

    def __add__(self, other: TableDigest) -> TableDigest:
        return TableDigest(self.rows + other.rows, (self.sum + other.sum) % SUMS, self.damaged + other.damaged)


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Some rows that follow one another, and the key of the last one."""

    rows: list[NeutralRow]
    last_key: list[Any]


@lru_cache
def rows_of(table: Table) -> TableRows:
    return TableRows(table)


class TableRows:
    """How the rows of one table are read, hashed and written."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.columns: list[Column[Any]] = list(table.columns)
        self._copied = _COPIED.get(table.name, true())
        self._names = [column.name for column in self.columns]
        self._key = [table.c[name] for name in _KEYS.get(table.name, tuple(c.name for c in table.primary_key))]
        self._key_at = [self._names.index(column.name) for column in self._key]
        self._blank_at = [self._names.index(name) for name in sorted(_NOT_HELD.get(table.name, ()))]
        self._content_at = self._names.index(ATTRIBUTES) if ATTRIBUTES in self._names else None
        self._large_at = next((place for place, name in enumerate(self._names) if name in LARGE), None)

    def count(self, connection: Connection) -> int:
        return connection.scalar(select(func.count()).select_from(self.table).where(self._copied)) or 0

    def is_empty(self, connection: Connection) -> bool:
        return connection.execute(select(literal(1)).select_from(self.table).limit(1)).first() is None

    def read(self, connection: Connection, *, rows: int, size: int, after: Sequence[Any] | None) -> Iterator[RowBatch]:
        """Yield the rows behind the key `after`, or all of them, in batches of about `rows` rows or `size` characters.

        They come from one query, of which only some rows are in memory.
        """
        at_once = CONTENTS_AT_ONCE if self._large_at is not None else ROWS_AT_ONCE
        found = connection.execute(self._query(after), execution_options={"yield_per": at_once})
        batch: list[NeutralRow] = []
        weight = 0
        for part in found.partitions(at_once):
            neutral = self._neutral(connection, [tuple(row) for row in part])
            for piece in chunked(neutral, rows):
                batch += piece
                weight += self._weight(piece)
                if len(batch) >= rows or weight >= size:
                    yield self._batch(batch)
                    batch, weight = [], 0
        if batch:
            yield self._batch(batch)

    def digest(self, rows: Sequence[NeutralRow]) -> TableDigest:
        total, damaged = 0, 0
        for hash, is_damaged in self._hashes(rows):
            total += int.from_bytes(hash)
            damaged += is_damaged
        return TableDigest(len(rows), total % SUMS, damaged)

    def digest_of_all(self, connection: Connection, *, rows: int, size: int) -> Iterator[TableDigest]:
        """Yield the digest of each batch of the table. Add them up."""
        for batch in self.read(connection, rows=rows, size=size, after=None):
            yield self.digest(batch.rows)

    def write(self, tx: Connection, rows: Sequence[NeutralRow]) -> None:
        """Insert rows. Raises MirrorError."""
        copying, storable = copy_dialect_of(tx), dialect_of(tx).storable_json
        writers = [copying.writer(column.type) for column in self.columns]
        columns = list(zip(*rows, strict=True))
        if self._content_at is not None:
            forms = [storable(text.encode()) for text in columns[self._content_at]]
            columns[self._content_at] = tuple(form[0] for form in forms)
            columns[self._names.index(EXACT)] = tuple(form[1] for form in forms)
            writers[self._content_at] = None
        copying.insert(tx, self.table, list(zip(*map(_converted, columns, writers), strict=True)))

    def different_keys(self, one: Connection, other: Connection, *, rows: int, size: int) -> list[str]:
        """Return the first keys whose rows are not the same in both databases."""
        sides = (self._keyed(connection, rows=rows, size=size) for connection in (one, other))
        missing: dict[str, bytes] = {}
        extra: dict[str, bytes] = {}
        for left, right in zip_longest(*sides):
            if left != right:
                # A row that only one side has shifts the others: what turns up on the other side later is the same.
                for mine, theirs, pair in ((missing, extra, left), (extra, missing, right)):
                    if pair is not None and theirs.get(pair[0]) == pair[1]:
                        del theirs[pair[0]]
                    elif pair is not None:
                        mine[pair[0]] = pair[1]
            if len(missing) + len(extra) > ROWS_AT_ONCE:
                break
        return list(dict.fromkeys((*missing, *extra)))[:KEYS_NAMED]

    def _query(self, after: Sequence[Any] | None) -> Select[*tuple[Any, ...]]:
        plain = NullType()  # so that the driver's values come as they are
        query: Select[*tuple[Any, ...]] = select(
            *(type_coerce(column, plain).label(column.name) for column in self.columns)
        ).where(self._copied)
        if after is not None:
            values = (
                literal(parse_time(value) if isinstance(column.type, UtcTime) else value, column.type)
                for column, value in zip(self._key, after, strict=True)
            )
            query = query.where(tuple_(*self._key) > tuple_(*values))
        return query.order_by(*self._key)

    def _neutral(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[NeutralRow]:
        copying = copy_dialect_of(connection)
        readers = [copying.reader(column.type) for column in self.columns]
        columns = list(map(_converted, zip(*rows, strict=True), readers))
        for place in self._blank_at:
            columns[place] = (None,) * len(rows)
        if self._content_at is not None:
            exact_at = self._names.index(EXACT)
            columns[self._content_at] = tuple(
                text if exact is None else bytes(exact).decode()
                for text, exact in zip(columns[self._content_at], columns[exact_at], strict=True)
            )
            columns[exact_at] = (None,) * len(rows)
        return list(zip(*columns, strict=True))

    def _weight(self, rows: Sequence[NeutralRow]) -> int:
        return 0 if self._large_at is None else sum(len(row[self._large_at]) for row in rows)

    def _batch(self, rows: list[NeutralRow]) -> RowBatch:
        return RowBatch(rows, [rows[-1][place] for place in self._key_at])

    def _keyed(self, connection: Connection, *, rows: int, size: int) -> Iterator[tuple[str, bytes]]:
        for batch in self.read(connection, rows=rows, size=size, after=None):
            for row, (hash, _) in zip(batch.rows, self._hashes(batch.rows), strict=True):
                yield " ".join(str(row[place]) for place in self._key_at), hash

    def _hashes(self, rows: Sequence[NeutralRow]) -> Iterator[tuple[bytes, bool]]:
        """Yield the hash of each row, and whether its content has another hash than the stored one."""
        if not rows:
            return
        columns = list(zip(*rows, strict=True))
        damaged: Sequence[bool] = (False,) * len(rows)
        if self._content_at is not None:
            hashes = tuple(map(_content_hash, columns[self._content_at]))
            stored = columns[self._names.index(HASH)]
            damaged = [bytes(one) != other for one, other in zip(stored, hashes, strict=True)]
            columns[self._content_at] = hashes
        compared = [_converted(columns[place], form) for place, form in self._compared]
        for values, is_damaged in zip(zip(*compared, strict=True), damaged, strict=True):
            yield sha256(_encode(values)).digest(), is_damaged

    @cached_property
    def _compared(self) -> list[tuple[int, Convert | None]]:
        """The places of the columns that are compared, and what brings each to its canonical form."""
        left_out = _NOT_HELD.get(self.table.name, frozenset()) | _NOT_COMPARED.get(self.table.name, frozenset())
        return [
            (place, None if place == self._content_at else _canonical_form(column))
            for place, column in enumerate(self.columns)
            if column.name not in left_out
        ]


def _converted(values: Sequence[Any], convert: Convert | None) -> Sequence[Any]:
    if convert is None:
        return values
    return tuple(None if value is None else convert(value) for value in values)


def _canonical_form(column: Column[Any]) -> Convert | None:
    match column.type:
        case JsonText():
            return _canonical_json
        case LargeBinary():
            return bytes
        case UtcTime() | UuidText() | Boolean():
            return None
        case _:
            return _without_nul


def _canonical_json(document: str) -> bytes:
    """Return the canonical form of what both databases can hold of a document."""
    form = jsonb_text(document.encode()).encode()
    try:
        return canonical(form)
    except ContentError:
        return form


def _content_hash(content: str) -> bytes:
    try:
        return content_hash(content.encode())
    except ContentError:
        return sha256(content.encode()).digest()


def _without_nul(value: Any) -> Any:
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


_encode = msgspec.msgpack.Encoder().encode
