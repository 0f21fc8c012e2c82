"""An export that is killed at any step leaves whole batches only, and the next one loses and repeats nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.export.conftest import Office
from tests.integration.export.test_git import exported, git
from versionsync.export import git as git_module
from versionsync.export.tables import TABLES

STEPS = ("fsync", "rename", "replace")
"""The functions of `os` that an export changes the folder with for good."""


def killed_before(step: int, work: Callable[[], Any], *, module: Any = os, names: tuple[str, ...] = STEPS) -> bool:
    """Run `work` in a process of its own that kills itself before the step of this number; return whether it did."""
    child = os.fork()
    if child == 0:
        left = [step]

        def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
            def run(*arguments: Any, **named: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **named)

            return run

        for name in names:
            setattr(module, name, wrapped(getattr(module, name)))
        try:
            work()
        except BaseException:
            os._exit(2)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


def assert_whole(office: Office) -> None:
    """Each batch that can be seen has all of its files, as it says itself."""
    for batch in office.batches:
        (entry,) = json.loads((batch / "batch.json").read_text())["batches"]
        assert entry["sha256"] == {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in batch.glob("*.ndjson")
        }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_killed_export_leaves_no_half_batch_and_loses_nothing(office: Office, tmp_path: Path) -> None:
    """Killed before each step of a second export: then the rows are those of quiet exports."""
    office.write_two_records()
    first = Office(office.mirror, office.desk, tmp_path / "first")
    first.export()
    office.rewrite()
    quiet = Office(office.mirror, office.desk, tmp_path / "quiet")
    shutil.copytree(first.folder, quiet.folder)
    quiet.export()
    step = 0
    while True:
        step += 1
        office.mirror.close()  # a child must not share its connections
        place = Office(office.mirror, office.desk, tmp_path / f"{step}")
        shutil.copytree(first.folder, place.folder)
        if not killed_before(step, place.export):
            break
        assert_whole(place)
        place.export()
        assert_whole(place)
        for table in TABLES:
            assert place.rows(table) == quiet.rows(table)
        assert [batch["number"] for batch in place.manifest["batches"]] == [1, 2]
        assert not list(place.folder.glob("source=website/.batch=*"))
    assert step > len(TABLES)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_killed_git_export_adds_whole_commits_or_none(office: Office, tmp_path: Path) -> None:
    """Then the next export ends with the same id as a quiet one."""
    office.write_two_records()
    office.rewrite()
    quiet = exported(office, tmp_path / "quiet")
    for step in range(1, quiet.commits + 1):
        office.mirror.close()
        folder = tmp_path / f"{step}"
        assert killed_before(step, partial(exported, office, folder), module=git_module, names=("files_of",))
        assert exported(office, folder).head == quiet.head
        git(folder, "fsck", "--strict")
