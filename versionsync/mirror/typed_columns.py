"""How a field of a model becomes a column of its typed view: one SQL expression for each database.

No expression raises, whatever an old version holds: a field may have been retyped, and its old values are then NULL (or
text, where text was asked for). Numbers become numeric, so that no digit is lost; what has no native type stays JSON.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

from versionsync.mirror.ddl import text_in_sql
from versionsync.mirror.types import POSTGRES

__all__ = ["Kind", "expression", "kind_of"]


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    JSON = "JSON"


KINDS = {
    "string": Kind.TEXT,
    "text": Kind.TEXT,
    "slug": Kind.TEXT,
    "json": Kind.TEXT,
    "link": Kind.TEXT,
    "integer": Kind.NUMBER,
    "float": Kind.NUMBER,
    "boolean": Kind.BOOLEAN,
    "date": Kind.DATE,
    "date_time": Kind.TIME,
}

# Days that exist: a cast of any other raises. PostgreSQL before 16 cannot be asked.
_LEAP_YEAR = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][48]|[13579][26]|[2468]0)00)"
_DAY = (
    "(?!0000)("
    "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP_YEAR}-02-29)"
)
_CLOCK = "T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?(Z|[+-](0[0-9]|1[0-3]):?[0-5][0-9])"
PLAIN_KEY = re.compile("[A-Za-z0-9_]+")
IS_DATE = f"^{_DAY}$"
IS_TIME = f"^{_DAY}{_CLOCK}$"


def kind_of(field_type: str, *, is_localized: bool) -> Kind:
    """What a column of a field holds: of a localized one always JSON, an object by locale."""
    return Kind.JSON if is_localized else KINDS.get(field_type, Kind.JSON)


def expression(kind: Kind, keys: Sequence[str], dialect: str) -> str:
    """The value of a field that is, or once was, a member of `attributes`: of the first of `keys` that has one."""
    make = _on_postgres if dialect == POSTGRES else _on_sqlite
    values = [make(kind, key) for key in keys]
    return values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"


def _on_postgres(kind: Kind, key: str) -> str:
    member, text = f"v.attributes -> {text_in_sql(key)}", f"v.attributes ->> {text_in_sql(key)}"
    match kind:
        case Kind.TEXT:
            return f"({text})"
        case Kind.NUMBER:
            return f"CASE jsonb_typeof({member}) WHEN 'number' THEN ({text})::numeric END"
        case Kind.BOOLEAN:
            return f"CASE jsonb_typeof({member}) WHEN 'boolean' THEN ({text})::boolean END"
        case Kind.DATE:
            return f"CASE WHEN ({text}) ~ {text_in_sql(IS_DATE)} THEN ({text})::date END"
        case Kind.TIME:
            return f"CASE WHEN ({text}) ~ {text_in_sql(IS_TIME)} THEN ({text})::timestamptz END"
        case Kind.JSON:
            return f"nullif({member}, 'null')"


def _on_sqlite(kind: Kind, key: str) -> str:
    if PLAIN_KEY.fullmatch(key):
        path = text_in_sql(f'$."{key}"')
        value, type_ = f"json_extract(v.attributes, {path})", f"json_type(v.attributes, {path})"
    else:  # no path can spell every key
        member = f"FROM json_each(v.attributes) AS m WHERE m.key = {text_in_sql(key)}"
        value, type_ = f"(SELECT m.value {member})", f"(SELECT m.type {member})"
    match kind:
        case Kind.TEXT | Kind.DATE | Kind.TIME:
            return value
        case Kind.NUMBER:
            return f"CASE WHEN {type_} IN ('integer', 'real') THEN {value} END"
        case Kind.BOOLEAN:
            return f"CASE WHEN {type_} IN ('true', 'false') THEN {value} END"
        case Kind.JSON:
            return f"CASE {type_} WHEN 'text' THEN json_quote({value}) ELSE {value} END"
