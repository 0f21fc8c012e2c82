"""Results are for eyes and for programs: tables fit, a pipe gets plain text, JSON is one object a line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists, text

from versionsync.cli.output import Column, Output, count, duration, fitted, to_json, when
from versionsync.cli.redaction import Redactor


@pytest.fixture
def output() -> Output:
    return Output(as_json=False, color=True, redactor=Redactor())


COLUMNS = (Column("id", "right"), Column("title", shrinks=True), Column("at"))


def test_a_table_in_a_pipe_is_plain_text_of_any_width(output: Output, capsys: pytest.CaptureFixture[str]) -> None:
    output.table(COLUMNS, [("1", "a" * 200, "now"), ("22", "[bold]b", "then")])
    assert capsys.readouterr().out.splitlines() == [
        f"id  {'title':<200}  at",
        f" 1  {'a' * 200}  now",
        f"22  {'[bold]b':<200}  then",
    ]


def test_what_would_move_the_cursor_is_not_drawn(output: Output, capsys: pytest.CaptureFixture[str]) -> None:
    output.table(COLUMNS, [("1", "a\x1b[2J\nb\u202e", "now")])
    assert "\x1b" not in (out := capsys.readouterr().out)
    assert len(out.splitlines()) == 2


def test_where_space_is_short_only_what_may_shrink_does() -> None:
    cells = [["id", "title", "at"], ["12345", "a" * 50, "2026-03-01"]]
    assert fitted(COLUMNS, cells, 40) == [5, 21, 10]
    assert fitted(COLUMNS, cells, 100) == [5, 50, 10]
    assert fitted(COLUMNS, cells, 5) == [5, 4, 10]


@given(lists(text(max_size=60), min_size=3, max_size=3), integers(30, 120))
def test_a_row_of_any_text_is_one_line(cells: list[str], room: int) -> None:
    widths = fitted(COLUMNS, [["id", "title", "at"], cells], room)
    assert all(width >= 1 for width in widths)


def test_wide_characters_count_twice(output: Output, capsys: pytest.CaptureFixture[str]) -> None:
    output.table((Column("a"), Column("b")), [("日本", "x"), ("abcd", "y")])
    assert capsys.readouterr().out.splitlines() == ["a     b", "日本  x", "abcd  y"]


def test_a_note_is_not_a_result_and_is_left_out_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    for as_json, expected in ((False, "one\n"), (True, "")):
        Output(as_json=as_json, color=False, redactor=Redactor()).note("one")
        assert capsys.readouterr() == ("", expected)


def test_an_error_is_told_on_standard_error_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    redactor = Redactor()
    redactor.learn("hunter22")
    Output(as_json=False, color=False, redactor=redactor).error("no hunter22", "ask hunter22")
    assert capsys.readouterr() == ("", "versionsync: error: no ********\nversionsync: hint: ask ********\n")


def test_json_is_compact_and_knows_times_and_enums() -> None:
    class Kind(StrEnum):
        A = "a"

    class Code(IntEnum):
        ONE = 1

    value = {"at": datetime(2026, 1, 1, tzinfo=UTC), "kind": Kind.A, "code": Code.ONE, "error": ValueError("x")}
    assert json.loads(to_json(value)) == {"at": "2026-01-01T00:00:00Z", "kind": "a", "code": 1, "error": "x"}


def test_what_has_no_form_in_json_is_a_fault_of_ours() -> None:
    with pytest.raises(TypeError):
        to_json(object())


def test_times_are_shown_in_utc_to_the_second() -> None:
    assert when(datetime(2026, 3, 1, 12, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))) == "2026-03-01 10:00:00"
    assert when(None) == "–"


@pytest.mark.parametrize(("number", "told"), [(0, "0 records"), (1, "1 record"), (20_000, "20,000 records")])
def test_counts_are_told_in_words(number: int, told: str) -> None:
    assert count(number, "record") == told


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (5.4, "0:05"), (59.6, "1:00"), (754, "12:34"), (12_345, "3:25:45")]
)
def test_a_duration_is_short(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_prose_is_wrapped_between_words_with_a_hanging_indent(
    output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    output.results.width = 30
    output.prose(("!", "yellow"), " the token [of] this source is only a placeholder", hang=2)
    assert capsys.readouterr().out.splitlines() == ["! the token [of] this source", "  is only a placeholder"]
