"""The pages on the history show what is so: their commands and their programs run, and answer what is shown.

    VERSIONSYNC_TEST_WRITE=1 pytest tests/system/test_docs_history.py

writes the answers of commands into the page instead of comparing them.
"""

from __future__ import annotations

import io
import os
import shlex
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests.fixtures.news_site import MakeNewsSite, news_site
from tests.fixtures.pages import ROOT, Block, blocks
from versionsync import api
from versionsync.cli.context import CliContext
from versionsync.cli.main import run

__all__ = ["news_site"]

WRITE = bool(os.environ.get("VERSIONSYNC_TEST_WRITE"))
HISTORY, PYTHON = ROOT / "docs" / "history.md", ROOT / "docs" / "python.md"
COMMANDS = list(blocks(HISTORY, "sh"))
PROGRAMS = list(blocks(PYTHON, "python"))
WIDTH = 100
ON_BOTH = ["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.both_databases])]


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=[block.text.strip() for block in COMMANDS])
def test_every_command_answers_what_is_shown(
    number: int, news_site: MakeNewsSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("versionsync.cli.terminal.output.PIPE_WIDTH", WIDTH)
    block = list(blocks(HISTORY, "sh"))[number]
    url = news_site("sqlite").url  # makes it, and logs
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        argv = [*shlex.split(block.text)[1:], "--database", url]
        assert run(argv, CliContext(environ={})) == 0, err.getvalue()
    assert out.getvalue()
    shown = _shown_after(block)
    if WRITE and shown is not None:
        page = HISTORY.read_text()
        at = page.index(shown.text, block.end)
        HISTORY.write_text(page[:at] + out.getvalue() + page[at + len(shown.text) :])
    elif shown is not None:
        assert out.getvalue() == shown.text


@pytest.mark.parametrize("dialect", ON_BOTH)
@pytest.mark.parametrize("block", PROGRAMS, ids=str)
def test_every_program_runs(
    block: Block, dialect: str, news_site: MakeNewsSite, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(block.text.replace("versionsync.db", news_site(dialect).url), str(block), "exec"), {})
    assert capsys.readouterr().out


def test_every_method_and_every_error_is_in_the_page() -> None:
    page = PYTHON.read_text()
    methods = {name for name in vars(api.Mirror) if not name.startswith("_")}
    missing = {name for name in methods if f"`{name}(" not in page} - {"close", "sources", "zone", "begins_at"}
    assert missing == {"moment", "filled", "event_reader"}
    errors = [
        name
        for name in api.__all__
        if isinstance(getattr(api, name), type) and issubclass(getattr(api, name), Exception)
    ]
    assert [name for name in errors if f"`{name}`" not in page] == ["HistoryError"]


def _shown_after(block: Block) -> Block | None:
    """The block of text right after a command."""
    after = block.page.read_text()[block.end :]
    found = next((one for one in blocks(Path(block.page), "text") if one.end > block.end), None)
    return found if found is not None and after.startswith("\n\n```text\n") else None
