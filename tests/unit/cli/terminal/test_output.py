"""Results are for eyes and for programs: tables fit, a pipe gets plain text, JSON is one object a line."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists, text
from rich.text import Text

from versionsync.cli.terminal.output import Column, Output, to_json, truncate
from versionsync.redaction import Redactor
from versionsync.text import count, duration, when


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


HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b31mred\nversionsync: error: forged\r\x85\u2028\u202e\ud800\x7f"


def assert_tame(text: str) -> None:
    """Nothing in it is obeyed by a terminal, line breaks of ours aside."""
    assert not [char for char in text if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@pytest.mark.parametrize(
    "write",
    [
        lambda output: output.plain_line(HOSTILE),
        lambda output: output.plain_line(HOSTILE, style="bold"),
        lambda output: output.paragraph("✓ ", (HOSTILE, "bold"), HOSTILE, hang=2),
        lambda output: output.table(COLUMNS, [("1", HOSTILE, (HOSTILE, "red"))]),
        lambda output: output.live([Text(HOSTILE)]),
        lambda output: output.note(HOSTILE),
        lambda output: output.error(HOSTILE, None),
        lambda output: output.error("wrong", HOSTILE),
    ],
    ids=["line", "styled", "prose", "table", "drawn", "note", "error", "hint"],
)
def test_nothing_that_a_terminal_obeys_is_written(
    output: Output, write: Callable[[Output], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever way text goes: escape sequences, line breaks, changes of direction."""
    write(output)
    out, err = capsys.readouterr()
    assert_tame(out + err)
    assert "red" in out + err
    assert not [line for line in (out + err).splitlines() if line.startswith("versionsync: error: forged")]


def test_json_escapes_what_a_terminal_obeys_and_loses_nothing() -> None:
    text = to_json({"title": HOSTILE})
    assert_tame(text)
    assert "\n" not in text
    assert json.loads(text) == {"title": HOSTILE}


def test_other_scripts_emoji_and_styles_come_through(capsys: pytest.CaptureFixture[str]) -> None:
    told = "Ünï 日本 می\u200cخواهم 👩\u200d🚀 \ue000 $5\u00a0"
    Output(as_json=False, color=False, redactor=Redactor()).plain_line(told)
    assert capsys.readouterr().out == told.replace("\u00a0", " ") + "\n"
    (line,) = Output(as_json=False, color=True, redactor=Redactor()).paragraph_lines("a\x1bb", ("red", "red"))
    assert (line.plain, [(span.start, span.end) for span in line.spans]) == ("a\ufffdbred", [(3, 6)])


def test_where_space_is_short_only_what_may_shrink_does() -> None:
    cells = [["id", "title", "at"], ["12345", "a" * 50, "2026-03-01"]]
    assert truncate(COLUMNS, cells, 40) == [5, 21, 10]
    assert truncate(COLUMNS, cells, 100) == [5, 50, 10]
    assert truncate(COLUMNS, cells, 5) == [5, 4, 10]


@given(lists(text(max_size=60), min_size=3, max_size=3), integers(30, 120))
def test_a_row_of_any_text_is_one_line(cells: list[str], room: int) -> None:
    widths = truncate(COLUMNS, [["id", "title", "at"], cells], room)
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
    output.paragraph(("!", "yellow"), " the token [of] this source is only a placeholder", hang=2)
    assert capsys.readouterr().out.splitlines() == ["! the token [of] this source", "  is only a placeholder"]


def test_the_widest_columns_are_cut_first_and_some_keep_more_room() -> None:
    columns = [Column("a"), Column("title", shrinks=True, least=20), Column("who", shrinks=True), Column("z")]
    cells = [["id", "t" * 40, "w" * 20, "end"]]
    assert truncate(columns, cells, 80) == [2, 40, 20, 3]
    assert truncate(columns, cells, 60) == [2, 29, 20, 3]
    assert truncate(columns, cells, 41) == [2, 20, 10, 3]
    assert truncate(columns, cells, 30) == [2, 15, 4, 3]


def test_a_table_that_streams_writes_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """The first rows decide the widths; a later one may need more, and is not cut while there is room."""
    output = Output(as_json=False, color=False, redactor=Redactor())
    columns = [Column("name", shrinks=True), Column("n", "right")]
    number = output.stream_table(columns, ((f"row {n}", str(n)) for n in range(1000)))
    lines = capsys.readouterr().out.splitlines()
    assert number == 1000
    assert (len(lines), lines[0], lines[1], lines[-1]) == (1001, "name     n", "row 0    0", "row 999  999")


def test_a_table_without_heads_grows_with_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=False, color=False, redactor=Redactor())
    output.stream_table([Column("a"), Column("b")], [("1", "x"), ("long", "y"), ("2", "z")], heads=False)
    assert capsys.readouterr().out.splitlines() == ["1  x", "long  y", "2     z"]
