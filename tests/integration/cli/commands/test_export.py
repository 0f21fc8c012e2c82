"""`versionsync export`: to standard output, into a folder, as a repository."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Cli
from versionsync.cli.exit_codes import ExitCode
from versionsync.export.folder import SourceFolder


@pytest.fixture
def synced(cli: Cli, at: dict[str, str]) -> Cli:
    """Run commands beside the mirror of a blog."""
    assert cli("sync", **at).code == 0
    return cli


def test_json_lines_go_to_standard_output(synced: Cli) -> None:
    """All tables in one stream, or those that are named."""
    everything = synced("export", "--format", "ndjson")
    assert everything.code == 0
    tables = {line["table"] for line in everything.lines}
    assert {"records", "versions", "events", "models", "fields", "editors"} <= tables
    some = synced("export", "--format", "ndjson", "--tables", "events, records")
    assert {line["table"] for line in some.lines} == {"records", "events"}
    last = max(line["id"] for line in some.lines if line["table"] == "events")
    assert synced("export", "--format", "ndjson", "--tables", "events", "--after", str(last - 1)).lines[0]["id"] == last


def test_csv_on_standard_output_is_one_table(synced: Cli) -> None:
    """Several would need several headers."""
    rows = list(csv.DictReader(io.StringIO(synced("export", "--format", "csv", "--tables", "versions").out)))
    assert rows
    assert all(json.loads(row["attributes"])["title"] for row in rows)
    refused = synced("export", "--format", "csv")
    assert refused.code == ExitCode.USAGE
    assert "--tables" in refused.err
    assert refused.out == ""


def test_a_folder_gets_a_batch_and_the_next_export_says_nothing_new(synced: Cli, tmp_path: Path) -> None:
    """For people as a line, for programs as an object."""
    first = synced("export", "--format", "parquet", "--output", "out", "--json").json
    assert first["batch"] == 1
    assert first["rows"]["versions"] > 0
    assert synced("export", "--format", "parquet", "--output", "out").out == "default: nothing new.\n"
    with SourceFolder.opened(tmp_path / "out", "default"):
        assert synced("export", "--format", "parquet", "--output", "out").code == ExitCode.LOCKED


def test_git_gets_commits_and_the_next_export_none(synced: Cli) -> None:
    """The object names the newest commit."""
    first = synced("export", "--format", "git", "--output", "history.git", "--json").json
    assert first["commits"] > 0
    again = synced("export", "--format", "git", "--output", "history.git", "--json").json
    assert again == first | {"commits": 0}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("parquet",), "--output"),
        (("git",), "--output"),
        (("git", "--output", "x", "--tables", "events"), "--tables"),
        (("ndjson", "--output", "x", "--after", "1"), "--after"),
        (("ndjson", "--tables", "event"), "event"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_a_way_out(synced: Cli, options: tuple[str, ...], word: str) -> None:
    """And nothing is written."""
    ran = synced("export", "--format", *options)
    assert ran.code == ExitCode.USAGE
    assert word in ran.err
    assert ran.out == ""
    assert not Path("x").exists()
