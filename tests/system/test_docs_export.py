"""What docs/export.md shows works: on a mirror of the news site, exported by the commands of the page."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.fixtures.pages import ROOT, blocks
from tests.integration.cli.worlds import magazine
from versionsync.cli.context import CliContext
from versionsync.cli.main import run
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread

PAGE = ROOT / "docs" / "export.md"


def test_the_queries_of_the_page_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB reads the folder as the page says."""
    monkeypatch.chdir(tmp_path)
    with SimulatorThread(magazine()) as simulator:
        environ = {"DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN, "VERSIONSYNC_BASE_URL": simulator.url}
        assert run(["sync"], CliContext(environ=environ)) == 0
    assert run(["export", "--format", "parquet", "--output", "warehouse"], CliContext(environ={})) == 0
    (block,) = (block for block in blocks(PAGE, "sql") if block.info[1:] == ("duckdb",))
    with duckdb.connect() as database:
        found = database.execute(block.text).fetchall()
        assert found
        assert all(title is None or isinstance(title, str) for title, _ in found)
        assert database.execute("SELECT count(*) FROM events").fetchone() > (len(found),)
        assert database.execute("SELECT count(*) FROM intervals").fetchone() > (0,)
        assert database.execute("SELECT count(*) FROM fields").fetchone() > (0,)


def test_the_program_of_the_page_runs() -> None:
    """A structured text to text and back. The one for pandas needs pandas, which is no part of the tests."""
    programs = [block.text for block in blocks(PAGE, "python") if "pandas" not in block.text]
    assert len(programs) == 1
    exec(programs[0], {})
