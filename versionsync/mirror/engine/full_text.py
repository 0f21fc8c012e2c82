"""The full-text index over `passages`: FTS5 of SQLite, or a GIN index over `tsvector` of PostgreSQL.

Neither of them cuts text into words: they get words that are folded already, so both find the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    and_,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from versionsync.mirror.schema import passages

__all__ = ["FullText", "IndexSearch", "full_text_of"]

Phrase = tuple[Sequence[str], bool]
"""Words one after another, and whether the last one is only the beginning of a word."""


@dataclass(frozen=True, slots=True)
class IndexSearch:
    """How to ask the index.

    Attributes:
        rows: `passages`, with the index if it is a table of its own.
        condition: What the rows satisfy.
        id: The column to sort and page by: `passages.id`.
        is_walked: Whether PostgreSQL has to read passages from the highest id on, instead of sorting those it finds.
    """

    rows: FromClause
    condition: ColumnElement[bool]
    id: ColumnElement[Any]
    is_walked: bool = False

    def page(self, connection: Connection, query: Select[Any]) -> Sequence[Row[Any]]:
        """Return the rows of a query that is sorted by `id`."""
        if not self.is_walked:
            return connection.execute(query).all()
        connection.exec_driver_sql("SET LOCAL enable_sort = off")
        rows = connection.execute(query).all()
        connection.exec_driver_sql("SET LOCAL enable_sort TO DEFAULT")
        return rows


class FullText(ABC):
    """The index of one database."""

    @abstractmethod
    def is_available(self, connection: Connection) -> bool:
        """Return whether the database can have the index."""

    @abstractmethod
    def make(self, tx: Connection) -> None:
        """Make the index if the migration did not."""

    def fill_again(self, tx: Connection) -> None:  # noqa: B027 - for one database only
        """Fill the index from `passages`, so that nothing is left in it of rows that were deleted."""

    @abstractmethod
    def exists(self, connection: Connection) -> bool:
        """Return whether it can be asked."""

    @abstractmethod
    def column_value(self, words: Sequence[str], *, are_plain: bool) -> str | None:
        """Return the value of `passages.words`. `are_plain`: they are the ASCII letters and digits of `text`."""

    @abstractmethod
    def search(
        self, connection: Connection, phrases: Sequence[Phrase], others: Sequence[ColumnElement[bool]], page: int
    ) -> IndexSearch:
        """Return how to find the passages that have all phrases.

        Args:
            connection: The database.
            phrases: What a passage has.
            others: The other conditions of the query. Few passages may satisfy them.
            page: How many passages are wanted first.
        """


class SqliteFullText(FullText):
    """A table of FTS5 that keeps no text. Triggers follow `passages`."""

    TABLE: Final = "search_index"
    # The words are folded and cut already. The tokenizer `ascii` cuts at ASCII characters that are no letter or digit.
    DDL: Final = (
        "CREATE VIRTUAL TABLE IF NOT EXISTS search_index USING fts5(words, content='', columnsize=0, tokenize='ascii')",
        "CREATE TRIGGER IF NOT EXISTS passages_added AFTER INSERT ON passages WHEN new.id IS NOT NULL BEGIN "
        "INSERT INTO search_index(rowid, words) VALUES (new.id, coalesce(new.words, new.text)); END",
        "CREATE TRIGGER IF NOT EXISTS passages_deleted AFTER DELETE ON passages WHEN old.id IS NOT NULL BEGIN "
        "INSERT INTO search_index(search_index, rowid, words) "
        "VALUES ('delete', old.id, coalesce(old.words, old.text)); END",
    )
    # FTS5 marks an entry as deleted, and keeps its words until a merge that no one can count on.
    FILL_AGAIN: Final = (
        "INSERT INTO search_index(search_index) VALUES ('delete-all')",
        "INSERT INTO search_index(rowid, words) "
        "SELECT id, coalesce(words, text) FROM passages WHERE id IS NOT NULL ORDER BY id",
    )

    def is_available(self, connection: Connection) -> bool:
        found = connection.exec_driver_sql("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'")
        return found.first() is not None

    def make(self, tx: Connection) -> None:
        for statement in self.DDL:
            tx.exec_driver_sql(statement)

    def fill_again(self, tx: Connection) -> None:
        if self.exists(tx):
            for statement in self.FILL_AGAIN:
                tx.exec_driver_sql(statement)

    def exists(self, connection: Connection) -> bool:
        made = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'search_index'").first()
        return made is not None and self.is_available(connection)

    def column_value(self, words: Sequence[str], *, are_plain: bool) -> str | None:
        return None if are_plain else " ".join(words)

    def search(
        self, connection: Connection, phrases: Sequence[Phrase], others: Sequence[ColumnElement[bool]], page: int
    ) -> IndexSearch:
        query = " AND ".join(map(self._in_a_row, phrases))
        index = table(self.TABLE, column("rowid"))
        asked: BindParameter[str] = bindparam("phrases", query, unique=True)
        matches = literal_column("search_index.search_index").op("MATCH", is_comparison=True)(asked)
        rowid: ColumnElement[Any] = index.c.rowid
        return IndexSearch(index.join(passages, passages.c.id == rowid), matches, rowid)

    @staticmethod
    def _in_a_row(phrase: Phrase) -> str:
        words, is_prefix = phrase
        return '"' + " ".join(words) + ('"*' if is_prefix else '"')


class PostgresFullText(FullText):
    """An index of the column `words`, made by the migration.

    There are two ways to the newest passages: to sort all that have the words, or to walk from the newest passage on
    until enough have been found. A row that is sorted takes about ten times as long as one that is walked by.
    """

    MANY: Final = 10_000
    """Fewer passages than these are sorted."""
    WALK: Final = 500_000
    """How many rows a walk may read: about 0.2 s."""

    def is_available(self, connection: Connection) -> bool:
        return True

    def make(self, tx: Connection) -> None:
        pass

    def exists(self, connection: Connection) -> bool:
        return True

    def column_value(self, words: Sequence[str], *, are_plain: bool) -> str | None:
        return " ".join([f"'{word}':{place}" for place, word in enumerate(words, start=1)])

    def search(
        self, connection: Connection, phrases: Sequence[Phrase], others: Sequence[ColumnElement[bool]], page: int
    ) -> IndexSearch:
        query = " & ".join(map(self._in_a_row, phrases))
        asked: ColumnElement[Any] = cast(bindparam("phrases", query, unique=True), TSQUERY)
        matches = passages.c.words.op("@@", is_comparison=True)(asked)
        # Removed passages have no id. Without the condition a walk from the highest id on reads all of them first.
        found = and_(matches, passages.c.id.is_not(None))
        is_walked = self._has_many(connection, found) and self._walked_rows(connection, found, others, page) < self.WALK
        # PostgreSQL would often take the wrong way. It does not know a sum's order, so it sorts.
        return IndexSearch(passages, found, passages.c.id if is_walked else passages.c.id + 0, is_walked)

    def _has_many(self, connection: Connection, found: ColumnElement[bool]) -> bool:
        """Count: PostgreSQL's estimate of a phrase may be 40 times too low, and of a rare word 300 times too high."""
        some = select(passages.c.id).where(found).limit(self.MANY).subquery()
        return connection.execute(select(func.count()).select_from(some)).scalar_one() >= self.MANY

    def _walked_rows(
        self, connection: Connection, found: ColumnElement[bool], others: Sequence[ColumnElement[bool]], page: int
    ) -> float:
        """Return how many rows a walk reads at most, if many have the words, until a page of rows is found."""
        every = self._estimate(connection, [passages.c.id.is_not(None)])
        share = self._estimate(connection, [found, *others]) / self._estimate(connection, [found])
        return every * page / (self.MANY * min(share, 1.0))

    @staticmethod
    def _estimate(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> int:
        """Return how many passages PostgreSQL believes to satisfy these conditions."""
        query = select().select_from(passages).where(*conditions)
        compiled = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
        values = tuple(compiled.params[name] for name in compiled.positiontup or ())
        plan = str(connection.exec_driver_sql(f"EXPLAIN {compiled}", values).scalar())
        return max(int(plan.partition("rows=")[2].partition(" ")[0]), 1)

    @staticmethod
    def _in_a_row(phrase: Phrase) -> str:
        words, is_prefix = phrase
        return "(" + " <-> ".join(f"'{word}'" for word in words) + (":*)" if is_prefix else ")")


_BY_DIALECT: Final[Mapping[str, FullText]] = {"sqlite": SqliteFullText(), "postgresql": PostgresFullText()}


def full_text_of(connection: Connection) -> FullText:
    """Return the index of the database that `connection` is to."""
    return _BY_DIALECT[connection.dialect.name]
