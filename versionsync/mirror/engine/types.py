"""Column types that mean the same on SQLite and PostgreSQL.

A time is a `timestamptz` or fixed-width text in UTC. A JSON document is `jsonb` or text, and always text in Python, so
that no number loses a digit. An id is text that is compared byte by byte, whatever the database's language.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from versionsync.ledger.times import format_time, parse_time

__all__ = ["POSTGRES", "IdText", "JsonText", "PlainText", "SearchWords", "UtcTime", "UuidText"]


POSTGRES = "postgresql"


@lru_cache(maxsize=4096)  # rows written together share most of their times
def _text_of(time: datetime | None) -> str | None:
    return None if time is None else format_time(time)


def _with_zone(time: datetime | None) -> datetime | None:
    if time is not None and time.tzinfo is None:
        raise ValueError("a time without a zone cannot be stored")
    return time


def _time_of(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)


def _in_utc(time: datetime | None) -> datetime | None:
    return time if time is None or time.tzinfo is UTC else time.astimezone(UTC)


def _without_nul(text: str | None) -> str | None:
    return text if text is None else text.replace("\0", "\ufffd")


class UtcTime(TypeDecorator[datetime]):
    """An aware time. It comes back in UTC. A time without a zone raises ValueError."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return `timestamptz` or text."""
        return dialect.type_descriptor(DateTime(timezone=True) if dialect.name == POSTGRES else Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Return the driver's form of `value`."""
        return self.bind_processor(dialect)(value)

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any]:
        """Return the function that makes the driver's form. It is called for each row, so nothing wraps it."""
        return _with_zone if dialect.name == POSTGRES else _text_of

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Return the driver's time in UTC."""
        return self.result_processor(dialect, None)(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any | None], datetime | None]:
        """Return the function that does that. It is called for each row, so nothing wraps it."""
        return _in_utc if dialect.name == POSTGRES else _time_of


class _Jsonb(UserDefinedType[str]):
    """`jsonb` as text on both sides: PostgreSQL's own JSON types of SQLAlchemy would decode numbers to floats."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSONB"


class JsonText(TypeDecorator[str]):
    """A JSON document, as text in Python. The connection does not decode `jsonb`."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return `jsonb` or text."""
        return dialect.type_descriptor(_Jsonb() if dialect.name == POSTGRES else Text())


class PlainText(TypeDecorator[str]):
    """Text for people. U+FFFD replaces U+0000: PostgreSQL has none, and SQLite's functions end a text there."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return `value` as both databases can store it."""
        return _without_nul(value)

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:
        """Return the function that does that. It is called for each row, so nothing wraps it."""
        return _without_nul


class UuidText(TypeDecorator[UUID]):
    """A UUID: `uuid`, or its usual text with hyphens."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return `uuid` or text."""
        return dialect.type_descriptor(postgresql.UUID(as_uuid=True) if dialect.name == POSTGRES else Text())

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        """Return the driver's form of `value`."""
        return value if value is None or dialect.name == POSTGRES else str(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> UUID | None:
        """Return the driver's value as a UUID."""
        return UUID(value) if isinstance(value, str) else value


def SearchWords() -> Text:  # noqa: N802 - a type, in the place of a type
    """The words of a text in their order: `tsvector`, or text."""
    return Text().with_variant(postgresql.TSVECTOR(), POSTGRES)


def IdText() -> Text:  # noqa: N802 - a type, in the place of a type
    """Text compared and sorted byte by byte (on SQLite it always is), so that both databases agree on every order."""
    return Text().with_variant(Text(collation="C"), POSTGRES)
