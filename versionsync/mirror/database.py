"""An opened mirror: the one door through which everything else reads and writes the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import TracebackType
from typing import Literal, Self, TypeVar

from sqlalchemy import Connection, Engine, RootTransaction

from versionsync.mirror.engines import open_engine, reading
from versionsync.mirror.errors import DatabaseUnavailable, TransactionLost
from versionsync.mirror.migrate import require_head
from versionsync.mirror.patience import OUTAGE_SECONDS, Patience
from versionsync.mirror.urls import safe_url

__all__ = ["Mirror", "open_engine", "safe_url"]

TRIES = 3

T = TypeVar("T")


class Mirror:
    """A database at this program's schema. Usable from several threads; each transaction belongs to one of them.

    Everything in it raises the errors of `versionsync.mirror.errors` for what can happen to a database. A server that
    goes away once the mirror is open is waited for, `outage_seconds` long, wherever a transaction begins.
    """

    def __init__(self, engine: Engine, *, outage_seconds: float = OUTAGE_SECONDS) -> None:
        self._engine = engine
        self._reader = reading(engine)
        self._patience = Patience(outage_seconds)
        self.where = safe_url(engine.url)

    @classmethod
    def open(cls, url: str, *, outage_seconds: float = OUTAGE_SECONDS) -> Self:
        """Open the mirror at `url`. Raises DatabaseUnavailable, NotAMirror or an error of its schema."""
        engine = open_engine(url)
        try:
            with reading(engine).connect() as connection:
                require_head(connection, safe_url(engine.url))
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, outage_seconds=outage_seconds)

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which of the two it is."""
        return "sqlite" if self._engine.dialect.name == "sqlite" else "postgresql"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot to read from; it never waits for a writer, and cannot write."""
        with self._patience.wait_for(self._reader.connect) as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: committed when the block ends, rolled back when it raises.

        Raises TransactionLost only where nothing of it is written.
        """
        with self._patience.wait_for(self._engine.connect) as connection:
            transaction = connection.begin()
            try:
                yield connection
            except BaseException:
                transaction.rollback()
                raise
            self._commit(transaction)

    def query(self, question: Callable[[Connection], T]) -> T:
        """What `question` finds in one snapshot; asked again from the start where the connection is lost."""
        return _again(self.read, question)

    def transact(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns; all that it writes is one transaction.

        It is done again from the start, a few times, where the server has ended the transaction before its commit.
        """
        return _again(self.write, work)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _commit(self, transaction: RootTransaction) -> None:
        try:
            transaction.commit()
        except TransactionLost as lost:
            raise DatabaseUnavailable(
                f"the database {self.where} has lost the connection during a commit, which may be written or not: "
                "run this again, it sees which"
            ) from lost

    def __repr__(self) -> str:
        return f"Mirror({self.where!r})"


def _again(begin: Callable[[], AbstractContextManager[Connection]], work: Callable[[Connection], T]) -> T:
    for _ in range(TRIES - 1):
        with suppress(TransactionLost), begin() as connection:
            return work(connection)
    with begin() as connection:
        return work(connection)
