"""Column types that mean the same on SQLite and PostgreSQL.

A time is a `timestamptz` or fixed-width text in UTC; a JSON document is `jsonb` or text, and always text to Python, so
that no number loses a digit on the way; an id is text that is compared byte by byte, whatever the database's language.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from versionsync.ledger.times import format_time, parse_time

__all__ = ["POSTGRES", "IdText", "JsonText", "PlainText", "UtcTime", "UuidText"]


POSTGRES = "postgresql"

_text_of = lru_cache(maxsize=4096)(format_time)  # rows written together share most of their times


class UtcTime(TypeDecorator[datetime]):
    """An aware time; it comes back in UTC. A time without a zone is refused."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """`timestamptz`, or text."""
        return dialect.type_descriptor(DateTime(timezone=True) if dialect.name == POSTGRES else Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """The driver's form of `value`."""
        if value is None:
            return None
        if dialect.name != POSTGRES:
            return _text_of(value)
        if value.tzinfo is None:
            raise ValueError("a time without a zone has no place in the mirror")
        return value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """The time that the driver gave, in UTC."""
        if value is None:
            return None
        return parse_time(value) if isinstance(value, str) else value.astimezone(UTC)


class _Jsonb(UserDefinedType[str]):
    """`jsonb` as text on both sides: PostgreSQL's own JSON types of SQLAlchemy would decode numbers to floats."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSONB"


class JsonText(TypeDecorator[str]):
    """A JSON document, as text to Python (the connection is told not to decode `jsonb`)."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """`jsonb`, or text."""
        return dialect.type_descriptor(_Jsonb() if dialect.name == POSTGRES else Text())


class PlainText(TypeDecorator[str]):
    """Text for people. PostgreSQL has no U+0000, and SQLite's own functions end a text there: U+FFFD stands for it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """`value` as both databases keep it whole."""
        return value if value is None else value.replace("\0", "\ufffd")


class UuidText(TypeDecorator[UUID]):
    """A UUID: `uuid`, or its usual text with hyphens."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """`uuid`, or text."""
        return dialect.type_descriptor(postgresql.UUID(as_uuid=True) if dialect.name == POSTGRES else Text())

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        """The driver's form of `value`."""
        return value if value is None or dialect.name == POSTGRES else str(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> UUID | None:
        """The UUID that the driver gave."""
        return UUID(value) if isinstance(value, str) else value


def IdText() -> Text:  # noqa: N802 - a type, in the place of a type
    """Text compared and sorted byte by byte (on SQLite it always is), so that both databases agree on every order."""
    return Text().with_variant(Text(collation="C"), POSTGRES)
