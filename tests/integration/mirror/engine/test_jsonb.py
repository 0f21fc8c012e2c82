"""Whatever JSON upstream sends is kept: as the very text on SQLite, as its value on PostgreSQL, exactly beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from tests.integration.mirror.writing import Desk, Shown
from versionsync.ledger.content import content_hash
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.jsonb import jsonb_form

HARD = {
    "NUL": rb'{"a": "x\u0000y"}',
    "NUL in a name": rb'{"a\u0000b": 1, "a\ufffdb": 2}',
    "lone high surrogate": rb'{"a": "\ud800"}',
    "lone low surrogate": rb'{"a": "\udfff", "b": "\ud83c\udf88"}',
    "high twice": rb'{"a": "\ud83c\ud83c\udf88"}',
    "escaped backslash before u0000": rb'{"a": "\\u0000 \\ud800"}',
    "a member twice": b'{"a": 1, "b": {"c": 1, "c": 2}}',
    "a member twice, spelled otherwise": rb'{"a": 1, "\u0061": 2}',
    "too large": b'{"a": 1e131072, "b": -1E+999999999999}',
    "too small": b'{"a": 1e-16384, "b": 5e-99999}',
    "largest": b'{"a": 1e131071, "b": 1e400}',
    "smallest": b'{"a": 1e-16383, "b": 123.456e-16380}',
    "many digits": b'{"a": ' + b"9" * 5000 + b', "b": 0.' + b"1" * 5000 + b"}",
    "minus zero": b'{"a": -0, "b": -0.0, "c": 0e5, "d": 0e99999}',
    "spelled otherwise": b'{"a": 1.50, "b": 10e-1, "c": 100E2}',
    "a number as a text": rb'{"a": "1e999999", "b": "123\u0000"}',
    "nothing": b"{}",
    "empty name": b'{"": ""}',
    "right to left and emoji": '{"a": "שלום 🎈 \u202e"}'.encode(),
    "white space": b' {\n"a" :\t[ 1 ,2 ] } ',
}
LOST = {
    "NUL",
    "NUL in a name",
    "lone high surrogate",
    "lone low surrogate",
    "high twice",
    "a member twice",
    "a member twice, spelled otherwise",
    "too large",
    "too small",
    "a number as a text",
}


@pytest.mark.parametrize("raw", HARD.values(), ids=HARD.keys())
def test_hard_content_can_be_proven_from_the_database(desk: Desk, raw: bytes) -> None:
    """The hash is that of what the database holds: of the exact text where there is one, otherwise of the value."""
    desk.look(Shown("a", 1, "c", raw))
    attributes = "attributes::text" if desk.mirror.dialect.name == "postgresql" else "attributes"
    [(kept, exact, digest)] = desk.rows(f"SELECT {attributes}, attributes_exact, attributes_hash FROM versions")
    assert bytes(digest) == content_hash(raw)
    if desk.mirror.dialect.name == "sqlite":
        assert (kept.encode(), exact) == (raw, None)
    else:
        name = next(name for name, value in HARD.items() if value == raw)
        assert (exact is not None) == (name in LOST)
        assert exact in (None, raw)
        assert content_hash(bytes(exact) if exact is not None else kept.encode()) == content_hash(raw)


@pytest.fixture(scope="module")
def jsonb(make_postgres_database: object) -> Iterator[Connection]:
    """A connection that can be asked for casts."""
    assert callable(make_postgres_database)
    with Mirror.open(make_postgres_database()) as mirror, mirror.read() as connection:
        yield connection


CHARACTERS = st.sampled_from(
    ["a", "\\\\", '\\"', "\\n", "\\u0000", "\\ud800", "\\udc00", "\\uD83D\\uDE00", "é", "🎈", "e5", "\\/"]
)
STRINGS = st.lists(CHARACTERS, max_size=6).map(lambda parts: '"' + "".join(parts) + '"')
EXPONENTS = st.sampled_from(
    [0, 1, -1, 99, -99, 400, 16_380, -16_380, -16_384, 131_060, 131_072, 10**6, -(10**6), 10**13]
)
NUMBERS = st.builds(
    lambda minus, whole, fraction, e, exponent: f"{minus}{whole}{fraction}{e}{exponent if e else ''}",
    st.sampled_from(["", "-"]),
    st.one_of(st.just("0"), st.from_regex(r"[1-9][0-9]{0,30}", fullmatch=True)),
    st.one_of(st.just(""), st.from_regex(r"\.[0-9]{1,30}", fullmatch=True)),
    st.sampled_from(["", "e", "E"]),
    EXPONENTS,
)
VALUES = st.recursive(
    st.one_of(STRINGS, NUMBERS, st.sampled_from(["true", "false", "null"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: "[" + ", ".join(items) + "]"),
        st.lists(st.tuples(STRINGS, inner), max_size=4).map(
            lambda members: "{" + ",".join(f"{name}:{value}" for name, value in members) + "}"
        ),
    ),
    max_leaves=12,
)


@pytest.mark.postgres
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=VALUES)
@example(document=r'["\u0000"]')
def test_jsonb_takes_every_form_and_loses_nothing_unsaid(jsonb: Connection, document: str) -> None:
    """If no exact text is kept, what `jsonb` gives back has the value that was sent; and it always takes the form."""
    raw = document.encode()
    form, exact = jsonb_form(raw)
    kept = jsonb.scalar(text("SELECT CAST(CAST(:form AS jsonb) AS text)"), {"form": form})
    if exact is None:
        assert form == document
        assert content_hash(kept.encode()) == content_hash(raw)
    else:
        assert exact == raw


@pytest.mark.postgres
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.recursive(
        st.one_of(st.none(), st.booleans(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text("abcé", min_size=1), inner)),
        max_leaves=10,
    ),
    ascii=st.booleans(),
)
def test_what_jsonb_can_hold_is_never_touched(jsonb: Connection, value: object, ascii: bool) -> None:
    """However it is spelled."""
    document = json.dumps(value, ensure_ascii=ascii)
    assert jsonb_form(document.encode()) == (document, None)
    kept = jsonb.scalar(text("SELECT CAST(CAST(:form AS jsonb) AS text)"), {"form": document})
    assert json.loads(kept) == value
