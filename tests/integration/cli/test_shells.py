"""What shells and pipes do with the program: completion, `| head`, following."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Cli
from tests.integration.cli.mirror_queries import version_count
from tests.integration.cli.processes import PROGRAM, environment, ran, running
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread, World

FULL = Path("/dev/full")


def test_bash_completes_verbs_and_options(tmp_path: Path) -> None:
    def completed(words: str, number: int) -> list[str]:
        asked = {"_VERSIONSYNC_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(number)}
        run = subprocess.run(
            ["versionsync"], executable=_script(tmp_path), env=environment(**asked), capture_output=True
        )
        return run.stdout.decode().split()

    assert completed("versionsync sy", 1) == ["sync"]
    assert completed("versionsync sync --al", 2) == ["--allow-mass-delete"]
    assert completed("versionsync db ", 2) == [
        "upgrade",
        "current",
        "check",
        "url",
        "backup",
        "copy",
        "reader",
        "rebuild",
    ]


def _script(folder: Path) -> Path:
    """The program under its own name, as it is installed."""
    path = folder / "versionsync"
    path.write_text(f'#!/bin/sh\nexec {" ".join(PROGRAM)} "$@"\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_error(at: dict[str, str], tmp_path: Path, closed: str) -> None:
    """And none of the files that are opened takes its place."""
    script = f"{' '.join(PROGRAM)} sync {closed}"
    run = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment(**at), capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
    assert b"Traceback" not in run.stderr
    assert version_count(tmp_path / "versionsync.db") > 0


def test_a_reader_that_has_enough_is_no_error(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    cli("sync", **at)
    for argv in ("events --after 0 --json", "events --after 0", "--help"):
        pipe = f"set -o pipefail; {' '.join(PROGRAM)} {argv} | head -1"
        run = subprocess.run(["bash", "-c", pipe], cwd=tmp_path, env=environment(), capture_output=True, check=False)
        assert (run.returncode, run.stderr) == (0, b"")


@pytest.mark.parametrize("argv", ["events --after 0", "events --json", "db url", "--help", "status --json"])
def test_a_full_disk_behind_standard_output_is_told_as_such(
    cli: Cli, at: dict[str, str], tmp_path: Path, argv: str
) -> None:
    """It is no fault of the program, which nobody needs to report."""
    cli("sync", **at)
    with FULL.open("wb") as full:
        run = ran(*argv.split(), cwd=tmp_path, stdout=full)
    assert run.returncode == 1
    assert b"standard output cannot be written: No space left on device" in run.stderr
    assert b"report" not in run.stderr
    assert b"Exception ignored" not in run.stderr


def test_a_full_disk_behind_standard_error_stops_no_sync_and_hides_no_failure(
    at: dict[str, str], tmp_path: Path
) -> None:
    """What would be said is lost; the exit code says how it ended."""
    for token, code in ((FULL_ACCESS_TOKEN, 0), ("wrong", 4)):
        with FULL.open("wb") as full:
            run = ran("-vv", "sync", cwd=tmp_path, stderr=full, **at | {"DATOCMS_API_TOKEN": token})
        assert run.returncode == code
    assert version_count(tmp_path / "versionsync.db") > 0


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("latin-1", marks=pytest.mark.nightly)])
def test_what_an_encoding_lacks_is_replaced(tmp_path: Path, encoding: str) -> None:
    """Names in all scripts, on a terminal that knows few of them."""
    run = ran("demo", "--fast", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert run.returncode == 0, run.stderr
    assert "Søren Ødegård".encode(encoding, "replace") in run.stdout


def test_json_is_json_whatever_the_encoding(tmp_path: Path) -> None:
    """Escaped where the stream knows less than UTF-8."""
    with SimulatorThread(World(seed=1, name="Zażółć 日本語 🌊"), limits=None) as simulator:
        upstream = {"DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN, "VERSIONSYNC_BASE_URL": simulator.url}
        for encoding, written in (("latin-1", "ascii"), ("utf-8", "utf-8")):
            run = ran("sync", "--json", cwd=tmp_path, PYTHONIOENCODING=encoding, **upstream)
            assert json.loads(run.stdout.decode(written))["sources"][0]["project"] == "Zażółć 日本語 🌊"


@pytest.mark.parametrize(("argv", "code"), [("sync", 4), ("sync --json", 4), ("status", 4), ("db current", 0)])
def test_a_reader_that_has_enough_hides_no_failure(
    cli: Cli, at: dict[str, str], tmp_path: Path, argv: str, code: int
) -> None:
    """A script that shows only the beginning still learns how it ended."""
    refused = at | {"DATOCMS_API_TOKEN": "wrong"}
    cli("sync", **at)
    cli("sync", **refused)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        run = ran(*argv.split(), cwd=tmp_path, stdout=closed, **refused)
    assert run.returncode == code, run.stderr
    assert b"BrokenPipe" not in run.stderr


def test_following_shows_what_comes_as_it_comes_also_of_new_sources(
    cli: Cli, upstream: SimulatorThread, tmp_path: Path
) -> None:
    (tmp_path / "versionsync.toml").write_text(
        "".join(f"[[sources]]\nname = '{name}'\nbase_url = '{upstream.url}'\nrate_limit = 'none'\n" for name in "ab")
    )
    token = {"DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN}
    cli("sync", "a", **token)
    with running("events", "--follow", "--json", "--after", "0", cwd=tmp_path) as process:
        assert process.stdout
        seen = [json.loads(process.stdout.readline()) for _ in range(20)]
        cli("sync", "b", **token)
        seen += [json.loads(process.stdout.readline()) for _ in range(20)]
        process.terminate()
    assert [event["source"] for event in seen] == ["a"] * 20 + ["b"] * 20
    ids = [event["id"] for event in seen]
    assert ids == sorted(set(ids))


def test_help_is_there_without_a_verb(cli: Cli) -> None:
    ran = cli()
    assert ran.code == 0
    assert "Usage: versionsync" in ran.out
    group = cli("db")
    assert group.code == 2
    assert group.err == ""


@pytest.mark.parametrize("verb", ["", "sync", "db", "db backup", "webhook install", "status"])
def test_help_says_nothing_of_types(cli: Cli, verb: str) -> None:
    """Nor are there brackets in brackets: an argument is written as everywhere else."""
    ran = cli(*verb.split(), "--help", COLUMNS="80")
    assert not re.findall(r"<\w+(?:\[\w+\])?>", ran.out)
    assert "[[" not in ran.out
    if verb == "sync":
        assert "Usage: versionsync sync [OPTIONS] [SOURCE]..." in ran.out
