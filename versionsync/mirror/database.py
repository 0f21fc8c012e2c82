"""An opened mirror: everything else reads and writes the database through it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine, RootTransaction, Table

from versionsync.mirror.engine.dialects import Dialect, dialect_of
from versionsync.mirror.engine.engine import open_engine, reading
from versionsync.mirror.engine.listening import messages
from versionsync.mirror.engine.sqlalchemy_urls import safe_url
from versionsync.mirror.engine.thread import DatabaseThread, ThreadPool
from versionsync.mirror.errors import DatabaseUnavailable, TransactionLost
from versionsync.mirror.schema.migrate import require_head

__all__ = ["MAX_OUTAGE_SECONDS", "Mirror", "open_engine", "safe_url"]

# Shorter than a lease: after an outage of this length, a process mostly still has its lease.
MAX_OUTAGE_SECONDS = 20.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0


class ConnectRetry:
    """Retry a connection for `seconds` of an outage. After that each attempt fails at once, until one succeeds.

    Any number of threads may use it: each waits by itself.
    """

    def __init__(self, seconds: float = MAX_OUTAGE_SECONDS) -> None:
        self._seconds = seconds
        self._is_spent = False

    def run(self, connect: Callable[[], T]) -> T:
        """Return what `connect` returns. Raises TransactionLost if the outage lasts too long."""
        deadline = time.monotonic() + self._seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                connection = connect()
            except TransactionLost:
                if self._is_spent or time.monotonic() + pause > deadline:
                    self._is_spent = True
                    raise
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                self._is_spent = False
                return connection


MAX_ATTEMPTS = 3

T = TypeVar("T")


class Mirror:
    """A database at this program's schema. Several threads may use it; each transaction belongs to one of them.

    Its methods raise the errors of `versionsync.mirror.errors` for problems of the database. If the server becomes
    unavailable, the start of each transaction waits for it, up to `outage_seconds`.
    """

    def __init__(
        self, engine: Engine, *, outage_seconds: float = MAX_OUTAGE_SECONDS, threads: ThreadPool | None = None
    ) -> None:
        self._engine = engine
        self._threads = threads
        self._reader = reading(engine)
        self._connect_retry = ConnectRetry(outage_seconds)
        self.where = safe_url(engine.url)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        outage_seconds: float = MAX_OUTAGE_SECONDS,
        reads_only: bool = False,
        threads: int | None = None,
    ) -> Self:
        """Open the mirror at `url`.

        Args:
            url: The URL of the database.
            outage_seconds: How long to wait for a server that goes away later.
            reads_only: Nothing is written. One that cannot be written, such as a mounted backup, can be opened then.
            threads: How many threads all lanes share, each with at most one connection. None: each lane has a thread.

        Raises:
            DatabaseUnavailable, NotAMirror: It cannot be opened, or has another schema.
        """
        connections = None if threads is None else threads + 1  # one for heartbeats, which wait for no other work
        engine = open_engine(url, reads_only=reads_only, connections=connections)
        try:
            with reading(engine).connect() as connection:
                require_head(connection, safe_url(engine.url))
        except BaseException:
            engine.dispose()
            raise
        pool = None if threads is None else ThreadPool(threads)
        return cls(engine, outage_seconds=outage_seconds, threads=pool)

    @property
    def dialect(self) -> Dialect:
        """Return what differs between SQLite and PostgreSQL; its `name` says which of them this is."""
        return dialect_of(self._engine)

    def lane(self, name: str) -> DatabaseThread:
        """Return what runs functions one after the other, off the event loop. Close it after the last one."""
        return DatabaseThread(name, self._threads)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open one snapshot to read from. It never waits for a writer, and cannot write."""
        with self._connect_retry.run(self._reader.connect) as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction: committed when the block ends, rolled back when it raises.

        Raises TransactionLost only if nothing of it is written.
        """
        with self._connect_retry.run(self._engine.connect) as connection:
            transaction = connection.begin()
            try:
                yield connection
            except BaseException:
                transaction.rollback()
                raise
            self._commit(transaction)

    def query(self, question: Callable[[Connection], T]) -> T:
        """Return what `question` finds in one snapshot. It runs again from the start if the connection is lost."""
        return _retry(self.read, question)

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction and return its result.

        It runs again from the start, a few times, if the server ended the transaction before its commit.
        """
        return _retry(self.write, work)

    def messages(self) -> AsyncGenerator[str]:
        """Listen to other processes on PostgreSQL: see `listening.messages`."""
        return messages(self._engine)

    def clean(self, *tables: Table) -> bool:
        """Remove from the files what was erased from `tables`; return whether all of it is gone. See `Dialect.clean`.

        No transaction may be open in this thread.
        """
        return self.dialect.clean(self._engine, *tables)

    def close(self) -> None:
        """Wait for what lanes still do, and close all connections."""
        if self._threads is not None:
            self._threads.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _commit(self, transaction: RootTransaction) -> None:
        try:
            transaction.commit()
        except TransactionLost as lost:
            raise DatabaseUnavailable(
                f"the database {self.where} has lost the connection during a commit, which may or may not be "
                "written: run this again, it finds out"
            ) from lost

    def __repr__(self) -> str:
        return f"Mirror({self.where!r})"


def _retry(begin: Callable[[], AbstractContextManager[Connection]], work: Callable[[Connection], T]) -> T:
    for _ in range(MAX_ATTEMPTS - 1):
        with suppress(TransactionLost), begin() as connection:
            return work(connection)
    with begin() as connection:
        return work(connection)
