"""A repository's history becomes records and versions: every content, author and time, on however many branches."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from versionsync.simulator import Clock, World
from versionsync.simulator.scenarios.git import GitHistory, RepositoryUnreadable, build_git
from versionsync.simulator.world.expected_history import (
    ExpectedHistory,
    ExpectedRecord,
    TransitionType,
    expected_history,
)

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the program `git` is not installed")

START = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
TEXTS = (b"", b"one\n", b"two\r\nlines", "naïve 🙂\n".encode(), b"\xef\xbb\xbfwith a mark", b"nul \x00 inside")


@dataclass(slots=True)
class Work:
    """A repository in the making; each commit is a minute later than the one before."""

    path: Path
    at: datetime = START

    def git(self, *arguments: str, **environment: str) -> str:
        quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        command = ["git", "-c", "core.autocrlf=false", "-c", "merge.renames=false", *arguments]
        ran = subprocess.run(
            command, cwd=self.path, env=os.environ | quiet | environment, capture_output=True, check=True
        )
        return ran.stdout.decode()

    def commit(
        self, files: Mapping[str, bytes | None], *, author: str = "Ann", at: datetime | None = None, subject: str = "c"
    ) -> str:
        """Write *files* (None: remove it) and commit; returns the hash."""
        self.at = at or self.at + timedelta(minutes=1)
        for name, content in files.items():
            file = self.path / name
            if content is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        self.git("add", "--all")
        return self.save("commit", "--allow-empty", "-m", subject, author=author)

    def save(self, *arguments: str, author: str = "Ann") -> str:
        """Run a command of Git's that commits, as *author* and now."""
        who = {}
        for role in ("AUTHOR", "COMMITTER"):
            who |= {
                f"GIT_{role}_NAME": author,
                f"GIT_{role}_EMAIL": f"{author}@example.com".lower(),
                f"GIT_{role}_DATE": self.at.isoformat(),
            }
        self.git(*arguments, **who)
        return self.git("rev-parse", "HEAD").strip()

    def mirrored(self, **options: tuple[str, ...]) -> tuple[World, GitHistory, ExpectedHistory]:
        world = World(seed=1, clock=Clock.stopped(START + timedelta(days=60)))
        history = build_git(world, self.path, **options)
        return world, history, expected_history(world.event_log, "main")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """An empty repository."""
    made = Work(tmp_path)
    made.git("init", "--quiet", "--initial-branch=main")
    return made


def record_of(expected: ExpectedHistory, path: str) -> ExpectedRecord:
    """The record of the file at *path*."""
    records = {
        json.loads(expected.versions[record.version_ids[0]].content)["path"]: record
        for record in expected.records.values()
    }
    return records[path]


def texts(expected: ExpectedHistory, path: str) -> list[bytes]:
    """What the file at *path* held, version by version."""
    versions = (expected.versions[version_id] for version_id in record_of(expected, path).version_ids)
    return [json.loads(version.content)["text"].encode() for version in versions]


def test_every_content_is_kept_byte_for_byte(work: Work) -> None:
    for text in TEXTS:
        work.commit({"a.md": text})
    _, history, expected = work.mirrored()
    assert texts(expected, "a.md") == list(TEXTS)
    assert (history.commits, history.records, history.versions, history.skipped) == (6, 1, 6, 0)


def test_a_long_content_is_kept_whole(work: Work) -> None:
    long = "".join(f"line {number} ✓\n" for number in range(20_000)).encode()
    work.commit({"long.py": long})
    assert texts(work.mirrored()[2], "long.py") == [long]


def test_the_author_is_the_editor_and_the_commits_time_the_versions(work: Work) -> None:
    first = work.commit({"a.md": b"1"}, author="Ann")
    work.commit({"a.md": b"2"}, author="Žofie")
    world, _, expected = work.mirrored()
    one, two = (expected.versions[version_id] for version_id in record_of(expected, "a.md").version_ids)
    names = [world.people.editors[version.editor.type, version.editor.id].name for version in (one, two)]
    assert names == ["Ann", "Žofie"]
    assert [one.created_at, two.created_at] == [START + timedelta(minutes=1), START + timedelta(minutes=2)]
    assert json.loads(one.content)["commit"] == first


def test_each_version_is_live_until_the_next(work: Work) -> None:
    work.commit({"a.md": b"1"})
    work.commit({"b.md": b"other"})
    work.commit({"a.md": b"2"})
    expected = work.mirrored()[2]
    one, two = (expected.versions[version_id] for version_id in record_of(expected, "a.md").version_ids)
    assert one.live == [(one.created_at, two.created_at)]
    assert two.live == [(two.created_at, None)]
    assert two.is_current
    assert two.is_published


def test_a_deleted_file_is_a_deleted_record_and_returns_under_its_id(work: Work) -> None:
    work.commit({"a.md": b"1"})
    work.commit({"a.md": None})
    work.commit({"a.md": b"3"})
    work.commit({"b.md": b"1"})
    work.commit({"b.md": None})
    world, history, expected = work.mirrored()
    a, b = record_of(expected, "a.md"), record_of(expected, "b.md")
    assert (a.alive, b.alive) == (True, False)
    assert a.deletions == [START + timedelta(minutes=2)]
    assert a.returns == [START + timedelta(minutes=3)]
    assert [version.created_at for version in expected.listed_versions(a.id)] == [START + timedelta(minutes=3)]
    assert set(world.primary.records) == {a.id}
    assert (history.records, history.deletions, history.versions) == (2, 2, 3)


def test_a_renamed_file_is_a_deletion_and_a_creation(work: Work) -> None:
    work.commit({"old.md": b"same words"})
    work.git("mv", "old.md", "new.md")
    work.commit({})
    expected = work.mirrored()[2]
    assert not record_of(expected, "old.md").alive
    assert record_of(expected, "new.md").alive


def test_only_the_files_that_match_are_taken_at_any_depth(work: Work) -> None:
    work.commit({"a.md": b"", "deep/er/b.py": b"", "c.txt": b"", "deep/d.rst": b""})
    assert set(_paths(work.mirrored()[2])) == {"a.md", "deep/er/b.py"}
    assert set(_paths(work.mirrored(patterns=("deep/*",))[2])) == {"deep/er/b.py", "deep/d.rst"}


def test_what_is_not_utf8_is_skipped_and_counted(work: Work) -> None:
    work.commit({"a.md": b"good"})
    work.commit({"a.md": b"caf\xe9", "b.md": b"\xff\xfe"})
    work.commit({"a.md": b"good again"})
    _, history, expected = work.mirrored()
    assert texts(expected, "a.md") == [b"good", b"good again"]
    assert list(_paths(expected)) == ["a.md"]
    assert history.skipped == 2
    assert history.records == 1


def test_a_file_that_becomes_a_link_is_no_file_any_more(work: Work) -> None:
    work.commit({"a.md": b"1", "b.md": b"2"})
    (work.path / "a.md").unlink()
    (work.path / "a.md").symlink_to("b.md")
    work.commit({})
    assert not record_of(work.mirrored()[2], "a.md").alive


def test_names_of_any_kind_are_paths(work: Work) -> None:
    names = ("with space.md", "日本語/ä.md", 'quo"te.py', "new\nline.md", ":colon.md", "-dash.md")
    work.commit(dict.fromkeys(names, b"x"))
    assert set(_paths(work.mirrored()[2])) == set(names)


def test_a_clock_that_went_back_makes_no_version_earlier_than_the_one_before_it(work: Work) -> None:
    work.commit({"a.md": b"1"})
    work.commit({"a.md": b"2"}, at=START - timedelta(days=3))
    expected = work.mirrored()[2]
    one, two = (expected.versions[version_id] for version_id in record_of(expected, "a.md").version_ids)
    assert one.created_at == two.created_at
    assert json.loads(two.content)["committed_at"] == "2026-06-28T12:00:00Z"


def test_ids_are_the_same_each_time_and_stay_when_the_history_grows(work: Work) -> None:
    work.commit({"a.md": b"1", "b.md": b"1"})
    before = work.mirrored()[2]
    assert before.to_json() == work.mirrored()[2].to_json()
    work.commit({"a.md": b"2"}, author="New")
    after = work.mirrored()[2]
    assert before.records.keys() == after.records.keys()
    assert before.versions.keys() < after.versions.keys()


def test_a_merge_adds_only_what_is_its_own(work: Work) -> None:
    work.commit({"a.md": b"base", "b.md": b"base"})
    work.git("checkout", "--quiet", "-b", "side")
    work.commit({"b.md": b"side"})
    work.git("checkout", "--quiet", "main")
    work.commit({"a.md": b"main"})
    work.save("merge", "--no-ff", "-m", "merge", "side")
    expected = work.mirrored()[2]
    assert texts(expected, "a.md") == [b"base", b"main"]
    assert texts(expected, "b.md") == [b"base", b"side"]


def test_a_commit_comes_after_its_parent_whatever_the_clocks_say(work: Work) -> None:
    work.commit({"a.md": b"base"})
    work.git("checkout", "--quiet", "-b", "side")
    work.commit({"a.md": b"side"}, at=START - timedelta(days=9))
    work.git("checkout", "--quiet", "main")
    work.commit({"b.md": b"main"}, at=START + timedelta(days=1))
    work.save("merge", "--no-ff", "-m", "merge", "side")
    assert texts(work.mirrored()[2], "a.md") == [b"base", b"side"]


@pytest.mark.parametrize("seed", range(6))
def test_however_branches_were_merged_the_records_are_what_head_holds(work: Work, seed: int) -> None:
    """Random edits and deletions on three branches, merged again and again, by clocks that disagree."""
    rng = random.Random(seed)
    names = ["a.md", "b.py", "c/d.md"]
    work.commit(dict.fromkeys(names, b"base"))
    branches = ["main", "x", "y"]
    for branch in branches[1:]:
        work.git("branch", branch)
    for step in range(24):
        work.git("checkout", "--quiet", rng.choice(branches))
        work.at += timedelta(minutes=rng.randint(-300, 300))
        if rng.random() < 0.3:
            side = rng.choice(["ours", "theirs"])
            work.at += timedelta(minutes=1)
            try:
                work.save("merge", "--quiet", "-X", side, "-m", "merge", rng.choice(branches))
            except subprocess.CalledProcessError:  # changed here, deleted there: keep whatever Git left in the tree
                work.git("add", "--all")
                work.save("commit", "-m", "merge")
        else:
            name = rng.choice(names)
            deleted = (work.path / name).exists() and rng.random() < 0.3
            work.commit({name: None if deleted else f"{seed} {step}".encode()})
    work.git("checkout", "--quiet", "main")
    work.at += timedelta(minutes=1)
    world, _, expected = work.mirrored()
    at_head = {name: (work.path / name).read_bytes() for name in names if (work.path / name).exists()}
    mirrored = {}
    for record in world.primary.records.values():
        content = json.loads(record.head.read())
        mirrored[content["path"]] = content["text"].encode()
    assert mirrored == at_head, f"seed {seed}"
    assert all(one.type is not TransitionType.VERSION_REWRITTEN for one in expected.transitions)


def test_a_hooks_environment_does_not_lead_elsewhere(
    work: Work, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.commit({"a.md": b"1"})
    other = tmp_path_factory.mktemp("other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert list(_paths(work.mirrored()[2])) == ["a.md"]


def test_a_path_without_a_readable_history_is_refused_in_words(
    work: Work, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = World(clock=Clock.stopped())
    with pytest.raises(RepositoryUnreadable, match="has no commit yet"):
        build_git(world, work.path)
    with pytest.raises(RepositoryUnreadable, match="not a git repository"):
        build_git(world, tmp_path_factory.mktemp("empty"))
    with pytest.raises(RepositoryUnreadable, match="does not exist"):
        build_git(world, work.path / "nowhere")


def _paths(expected: ExpectedHistory) -> list[str]:
    return [
        json.loads(expected.versions[record.version_ids[0]].content)["path"] for record in expected.records.values()
    ]
