"""What is given to jsonb; that PostgreSQL takes it is tested with one."""

from __future__ import annotations

import pytest

from versionsync.mirror.engine.jsonb import jsonb_form


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        (rb'{"a": "\u0000"}', r'{"a": "\ufffd"}'),
        (rb'{"a": "\ud83d"}', r'{"a": "\ufffd"}'),
        (rb'{"a": "\ud83d\ud83d\ude00"}', r'{"a": "\ufffd\ud83d\ude00"}'),
        (rb'{"a": "\\\u0000"}', r'{"a": "\\\ufffd"}'),
        (b'{"a": 1e200000, "b": 2}', '{"a": null, "b": 2}'),
        (b'{"a": -1.5E-20000, "1e99999": "1e99999"}', '{"a": null, "1e99999": "1e99999"}'),
    ],
)
def test_only_what_jsonb_refuses_is_replaced(raw: bytes, form: str) -> None:
    """And the exact text is kept."""
    assert jsonb_form(raw) == (form, raw)


@pytest.mark.parametrize(
    "raw",
    [
        rb'{"a": "\\u0000"}',
        rb'{"a": "\ud83d\ude00"}',
        b'{"a": 1e131071}',
        b'{"a":\t[1.0, 10e-1]}',
        '{"é": "🎈"}'.encode(),
    ],
)
def test_what_jsonb_takes_is_left_as_it_is(raw: bytes) -> None:
    """To the character."""
    assert jsonb_form(raw) == (raw.decode(), None)


def test_a_member_twice_is_kept_exactly() -> None:
    """jsonb keeps the last one only."""
    raw = b'{"a": [{"b": 1, "b": 2}]}'
    assert jsonb_form(raw) == (raw.decode(), raw)
    assert jsonb_form(b'{"a": {"b": 1}, "c": {"b": 2}}')[1] is None


def test_what_is_nested_too_deep_to_tell_is_kept_exactly() -> None:
    """Keeping more than needed is never wrong."""
    raw = b"[" * 100_000 + b"]" * 100_000
    assert jsonb_form(raw)[1] == raw
