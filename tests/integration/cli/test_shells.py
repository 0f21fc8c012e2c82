"""What shells and pipes do with the program: completion, `| head`, following."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Cli
from tests.integration.cli.looking import version_count
from tests.integration.cli.processes import PROGRAM, environment, running
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread


def test_bash_completes_verbs_and_options(tmp_path: Path) -> None:
    def completed(words: str, number: int) -> list[str]:
        asked = {"_VERSIONSYNC_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(number)}
        run = subprocess.run(
            ["versionsync"], executable=_script(tmp_path), env=environment(**asked), capture_output=True
        )
        return run.stdout.decode().split()

    assert completed("versionsync sy", 1) == ["sync"]
    assert completed("versionsync sync --al", 2) == ["--allow-vanish"]
    assert completed("versionsync db ", 2) == ["upgrade", "current", "check", "url", "backup"]


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
    for argv in ("events --since 0 --json", "events --since 0", "--help"):
        pipe = f"set -o pipefail; {' '.join(PROGRAM)} {argv} | head -1"
        run = subprocess.run(["bash", "-c", pipe], cwd=tmp_path, env=environment(), capture_output=True, check=False)
        assert (run.returncode, run.stderr) == (0, b"")


def test_following_shows_what_comes_as_it_comes_also_of_new_sources(
    cli: Cli, upstream: SimulatorThread, tmp_path: Path
) -> None:
    (tmp_path / "versionsync.toml").write_text(
        "".join(f"[[sources]]\nname = '{name}'\nbase_url = '{upstream.url}'\nrate_limit = 'none'\n" for name in "ab")
    )
    token = {"DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN}
    cli("sync", "a", **token)
    with running("events", "--follow", "--json", "--since", "0", cwd=tmp_path) as process:
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
