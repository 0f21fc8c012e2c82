"""`versionsync show`, `diff` and `blame`: what people and programs see."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonpatch
import pytest

import versionsync
from tests.fixtures.news_site import MakeNewsSite
from tests.integration.cli.commands.conftest import Ask
from tests.integration.cli.conftest import Cli

MARKET = "The old fish market stays"
COMMANDS = (
    ("show", "page:imprint"),
    ("show", MARKET),
    ("diff", MARKET),
    ("diff", MARKET, "--side-by-side"),
    ("diff", "page:imprint", "--hide-formatting"),
    ("diff", "--since", "2026-08-31", "--published"),
    ("blame", MARKET),
    ("blame", MARKET, "Title"),
)


@pytest.fixture
def mirror(news_site: MakeNewsSite) -> Any:
    with versionsync.open_mirror(news_site("sqlite").url) as mirror:
        yield mirror


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_an_answer_fits_the_terminal(
    ask: Ask, argv: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.cells import cell_len

    monkeypatch.setattr("versionsync.cli.terminal.output.PIPE_WIDTH", width)
    ran = ask(*argv)
    assert ran.code == 0, ran.written
    lines = ran.out.splitlines()
    assert len(lines) > 1
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("argv", [one for one in COMMANDS if "--side-by-side" not in one], ids=" ".join)
def test_programs_get_one_object_a_line_whose_members_are_columns(ask: Ask, argv: tuple[str, ...]) -> None:
    ran = ask(*argv, "--json")
    assert ran.code == 0, ran.written
    assert ran.lines
    for one in ran.lines:
        assert one["source"] == "website"
        assert {"record_id", "version_id", "model_id", "created_at"} <= set(one)
        assert one["created_at"] is None or one["created_at"].endswith("Z")


def test_a_version_is_compared_with_the_one_before_it(ask: Ask, mirror: Any) -> None:
    newest, before, *_ = mirror.versions(mirror.record(MARKET))
    shown = ask("diff", newest.version_id[:8])
    assert shown.out == ask("diff", MARKET).out
    assert shown.out == ask("diff", before.version_id, newest.version_id).out
    assert "[-café at the station finds a forgotten map-] {+old fish market" in shown.out
    assert shown.out.endswith("2 fields, +34 −30 words.\n")


def test_each_span_names_the_version_that_it_comes_from(ask: Ask, mirror: Any) -> None:
    newest, before, *_ = mirror.versions(mirror.record(MARKET), content=False)
    rows = ask("diff", MARKET, "--json").lines
    assert [row["field"] for row in rows] == ["title", "title", "slug", "slug"]
    spans = rows[0]["spans"]
    assert {(span["operation"], span["version_id"]) for span in spans} == {
        ("equal", before.version_id),
        ("removed", before.version_id),
        ("added", newest.version_id),
    }
    assert "".join(span["text"] for span in spans if span["operation"] != "added") == rows[0]["before"]
    assert "".join(span["text"] for span in spans if span["operation"] != "removed") == rows[0]["after"]


def test_a_json_patch_makes_the_content_after_of_the_one_before(ask: Ask, mirror: Any) -> None:
    """The library `jsonpatch` judges."""
    for record in ("page:imprint", MARKET):
        after, before, *_ = mirror.versions(mirror.record(record))
        (patch,) = (json.loads(line) for line in ask("diff", record, "--json-patch").out.splitlines())
        assert patch
        assert jsonpatch.apply_patch(before.attributes, patch) == after.attributes


def test_a_page_stands_alone(ask: Ask) -> None:
    """It has no scripts, and loads nothing."""
    page = ask("diff", MARKET, "--html").out
    assert page.startswith("<!DOCTYPE html>")
    assert page.endswith("</html>\n")
    assert "<script" not in page
    assert not re.findall(r"(?:src|href|url)\s*[=(]", page)
    assert "<del>café at the station finds a forgotten map</del>" in re.sub(r' class="[^"]*"', "", page)


def test_several_records_are_one_page(ask: Ask) -> None:
    page = ask("diff", "--since", "2026-08-31", "--html").out
    assert page.count("<!DOCTYPE") == 1
    assert page.count("<h1>") > 1


def test_live_and_current_compare_with_these_versions(ask: Ask, mirror: Any) -> None:
    versions = list(mirror.versions(mirror.record("page:imprint"), content=False))
    first, newest = versions[-1].version_id, versions[0].version_id
    assert ask("diff", first, "--current").out == ask("diff", first, newest).out
    assert ask("diff", first, "--live").out == ask("diff", first, newest).out
    assert ask("diff", newest, "--live").out.endswith("Nothing changed.\n")


def test_two_moments_of_a_record_are_compared(ask: Ask, mirror: Any) -> None:
    since, until = "2026-08-31", "2026-09-02"
    shown = ask("diff", MARKET, "--since", since, "--until", until)
    assert shown.out == ask("diff", MARKET).out
    assert "since 2026-08-31 00:00:00 UTC" in shown.err
    (found,) = mirror.diffs(since, until, record=MARKET)
    assert found.diff.words_added == 34


def test_two_moments_of_a_model_are_compared_record_by_record(ask: Ask) -> None:
    rows = ask("diff", "--since", "2026-08-31", "--model", "article", "--json").lines
    assert len({row["record_id"] for row in rows}) > 1
    assert len({row["model_id"] for row in rows if row["field"] == row["record_field"]}) == 1


def test_what_came_or_went_is_only_named_in_a_long_answer(ask: Ask) -> None:
    short = ask("diff", "--since", "2026-08-31", "--published").out
    full = ask("diff", "--since", "2026-08-31", "--published", "--full").out
    assert "It was not live at the second moment: all of it is gone.\nWith --full you see it." in short
    assert len(full) > 2 * len(short)


def test_blame_says_who_wrote_each_passage(ask: Ask, mirror: Any) -> None:
    rows = ask("blame", MARKET, "title", "--json").lines
    assert {row["field"] for row in rows} == {"title"}
    (record,) = {row["record_id"] for row in rows}
    newest = next(mirror.versions(mirror.record(record)))
    for locale, text in newest.attributes["title"].items():
        assert "".join(row["text"] for row in rows if row["locale"] == locale) == text
    known = {version.version_id: version.editor for version in mirror.versions(mirror.record(record), content=False)}
    assert all(row["version_id"] in known for row in rows)


def test_blame_explains_an_older_version_too(ask: Ask, mirror: Any) -> None:
    *_, first = mirror.versions(mirror.record(MARKET), content=False)
    assert {row["version_id"] for row in ask("blame", first.version_id, "--json").lines} == {first.version_id}


def test_show_names_linked_records_by_title(ask: Ask, mirror: Any) -> None:
    shown = ask("show", MARKET).out
    assert "\nAuthor\n    “" in shown
    content = next(iter(mirror.versions(mirror.record(MARKET)))).attributes
    assert content["author"] not in shown


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("diff",), "nothing is named to compare"),
        (("diff", MARKET, "--model", "article"), "compare two moments"),
        (("diff", MARKET, "--live", "--current"), "three versions"),
        (("diff", "--since", "yesterday", "--live"), "compares two moments"),
        (("diff", MARKET, "--since", "2026-08-31", "--model", "article"), "exclude one another"),
        (("diff", MARKET, "--json-patch", "--html"), "no other form"),
        (("diff", "no such record at all"), "no record is called"),
        (("show", "zzzz9999"), "zzzz9999"),
        (("blame", MARKET, "tilte"), "Did you mean title?"),
        (("diff", "The rowing club gets a roof", "--live"), "is not live"),
        (("diff", MARKET, "--since", "2010-01-01"), "begins"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_what_makes_no_sense_is_refused(ask: Ask, argv: tuple[str, ...], message: str) -> None:
    ran = ask(*argv)
    assert ran.code == 2
    assert message in ran.err
    assert not ran.out


def test_a_terminal_without_unicode_is_written_to(ask: Ask) -> None:
    assert ask("diff", MARKET, "--side-by-side", PYTHONIOENCODING="ascii").code == 0


@pytest.mark.postgres
@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_both_databases_answer_the_same(ask: Ask, cli: Cli, news_site: MakeNewsSite, argv: tuple[str, ...]) -> None:
    other = cli(*argv, "--database", news_site("postgresql").url)
    assert other.out == ask(*argv).out
