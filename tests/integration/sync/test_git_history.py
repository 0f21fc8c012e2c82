"""A real history: this repository's own, through the simulator, in the database and asked with SQL."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.fixtures.sync_env import MakeSyncEnv
from versionsync.simulator import Clock, World
from versionsync.simulator.scenarios.git import build_git
from versionsync.sync.report import Outcome

REPOSITORY = Path(__file__).parents[3]

EVERY_VERSION = text("""
    SELECT v.attributes ->> 'path' AS path, v.attributes ->> 'text' AS content, v.created_at AS at, e.name AS author
    FROM versions v
    JOIN editors e ON e.source_id = v.source_id AND e.type = v.editor_type AND e.id = v.editor_id
    ORDER BY path, v.ordinal
""")


def git(*arguments: str) -> bytes:
    """What git says about this repository."""
    return subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, check=True).stdout


def commits_of_files() -> dict[str, list[tuple[bytes, datetime, str]]]:
    """Each Markdown and Python file's texts, oldest first, with the author and the time of their commits.

    It is the committer's time: a rebase keeps the other one. A merge repeats what its branch did, and along a line that
    was made of branches clocks go back: the text stays as it is, and so does the time.
    """
    found: dict[str, list[tuple[bytes, datetime, str]]] = defaultdict(list)
    blobs: dict[str, str] = {}
    latest: dict[str, datetime] = {}
    branches = ("--topo-order", "-m", "--root")
    log = git("log", "--reverse", *branches, "--raw", "--no-renames", "--no-abbrev", "--format=>%ct|%an")
    at, author = "0", ""
    for line in filter(None, log.decode().splitlines()):
        if line.startswith(">"):
            at, author = line[1:].split("|", 1)
            continue
        described, path = line.split("\t")
        if not path.endswith((".md", ".py")):
            continue
        blob, act = described.split()[3:5]
        if blobs.get(path) == (None if act == "D" else blob):
            continue
        changed_at = datetime.fromtimestamp(int(at), UTC)
        latest[path] = max(changed_at, latest.get(path, changed_at))
        if act == "D":
            blobs.pop(path)
            found.pop(path, None)  # upstream shows nothing of a deleted record to a first sync
        else:
            blobs[path] = blob
            found[path].append((git("cat-file", "blob", blob), latest[path], author))
    return found


@pytest.mark.nightly  # it takes longer with each commit
@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="this is no checkout: there is no history to mirror")
def test_every_version_of_every_file_of_this_repository_is_found_with_sql(make_sync_env: MakeSyncEnv) -> None:
    """Its text byte for byte, its author and its time."""
    world = World(seed=1, clock=Clock.stopped(datetime.now(UTC)))
    build_git(world, REPOSITORY)
    sync_env = make_sync_env(world)
    report = sync_env.sync()
    assert report.outcome is Outcome.SUCCEEDED, report
    mirrored: dict[str, list[tuple[bytes, datetime, str]]] = defaultdict(list)
    with sync_env.mirror.read() as connection:
        for row in connection.execute(EVERY_VERSION):
            at = datetime.fromisoformat(row.at) if isinstance(row.at, str) else row.at
            mirrored[row.path].append((row.content.encode(), at, row.author))
    written = commits_of_files()
    here = set(git("ls-tree", "-r", "--name-only", "HEAD").decode().splitlines())
    assert mirrored == {path: versions for path, versions in written.items() if path in here}
