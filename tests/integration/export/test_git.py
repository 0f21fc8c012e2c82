"""The history as a Git repository: the same commits everywhere, and only new ones the next time."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.export.conftest import BODY, QUAY, Office, content
from tests.integration.mirror.writing import Shown, at
from versionsync.export.dast_text import parse
from versionsync.export.errors import ExportError
from versionsync.export.git import GitExported, export_git
from versionsync.export.git_files import shard_of
from versionsync.mirror.tables.sources import sources_of

pytestmark = pytest.mark.both_databases


def git(folder: Path, *words: str) -> str:
    """Return what Git answers about a repository."""
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout


def exported(office: Office, folder: Path) -> GitExported:
    """Export the one source."""
    with office.mirror.read() as connection:
        (source,) = sources_of(connection)
    return export_git(office.mirror, source, folder)


def subjects(folder: Path) -> list[str]:
    """The first lines of the messages, oldest first."""
    return git(folder, "log", "--reverse", "--format=%s").splitlines()


def test_each_version_is_a_commit_with_its_author_and_its_time(office: Office, tmp_path: Path) -> None:
    """In the order of the events; the message names it."""
    office.write_two_records()
    done = exported(office, tmp_path / "git")
    assert done.commits == 3
    assert subjects(tmp_path / "git") == ["article: Fish", "article: Old fish", "article: Quay"]
    told = git(tmp_path / "git", "log", "-1", "--skip=1", "--format=%an|%ae|%at|%ct|%B")
    time = int(at(5).timestamp())
    assert told.startswith(f"Ada  L|ada@example.com|{time}|{time}|article: Old fish\n\n")
    assert "Version-Id: v2\nRecord-Id: record\nModel: article\nSource: website\n" in told


def test_the_files_are_the_content_and_a_text_of_each_structured_text(office: Office, tmp_path: Path) -> None:
    """Fields in the order of the model, numbers as they were, and a text for each locale."""
    localized = content("Fish", texts={"en": BODY, "it": BODY, "de": None}).replace(b"Fish.", b"*F*")
    office.desk.look(Shown("v1", 0, "c", localized))
    exported(office, tmp_path / "git")
    names = git(tmp_path / "git", "ls-tree", "-r", "--name-only", "HEAD").splitlines()
    assert names == [
        "article/r/e/record.body.dast.md",
        "article/r/e/record.json",
        "article/r/e/record.texts.en.dast.md",
        "article/r/e/record.texts.it.dast.md",
    ]
    text = git(tmp_path / "git", "show", "HEAD:article/r/e/record.json")
    assert list(json.loads(text)) == ["title", "price", "body", "texts"]
    assert '\n  "price": 1,\n' in text
    body = git(tmp_path / "git", "show", "HEAD:article/r/e/record.body.dast.md")
    assert body == "\\*F\\*\n"
    assert parse(body) == json.loads(text)["body"]


def test_two_exports_have_the_same_ids_whatever_the_machine(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at once, with other settings and another zone; one in three steps."""
    office.desk.look(Shown("v1", 0, "c", content("Fish")))
    exported(office, tmp_path / "steps")
    office.desk.look(Shown("v1", 0, "", content("Fish")), Shown("v2", 5, "cp", content("Old fish"), live=(6, None)))
    office.desk.look(Shown("w1", 7, "c", QUAY), id="other")
    exported(office, tmp_path / "steps")
    office.rewrite()
    last = exported(office, tmp_path / "steps")
    (tmp_path / "config").write_text("[user]\nname = Other\n[core]\nautocrlf = true\n[commit]\ngpgsign = true\n")
    for name, value in {"GIT_CONFIG_GLOBAL": f"{tmp_path}/config", "TZ": "Asia/Tokyo", "GIT_AUTHOR_NAME": "X"}.items():
        monkeypatch.setenv(name, value)
    once = exported(office, tmp_path / "once")
    assert once.head == last.head is not None
    assert (last.commits, once.commits) == (2, 5)
    assert exported(office, tmp_path / "once").commits == 0


def test_a_rewrite_and_a_deletion_are_commits(office: Office, tmp_path: Path) -> None:
    """An export that comes after a rewrite has both contents. A deletion removes the files, a return brings them."""
    office.write_two_records()
    office.rewrite()
    exported(office, tmp_path / "git")
    assert subjects(tmp_path / "git")[3:] == ["article: New fish (rewritten)", "article: Quay (deleted)"]
    before = json.loads(git(tmp_path / "git", "show", "HEAD~3:article/r/e/record.json"))
    assert before["title"] == "Old fish"
    assert "other" not in git(tmp_path / "git", "ls-tree", "-r", "--name-only", "HEAD")
    office.desk.look(Shown("w1", 7, "c", QUAY), id="other")
    exported(office, tmp_path / "git")
    assert subjects(tmp_path / "git")[-1] == "article: Quay (returned)"
    assert "article/o/t/other.json" in git(tmp_path / "git", "ls-tree", "-r", "--name-only", "HEAD")


def test_files_that_a_version_no_longer_has_go(office: Office, tmp_path: Path) -> None:
    """Also those of an earlier export."""
    office.desk.look(Shown("v1", 0, "c", content("Fish")))
    exported(office, tmp_path / "git")
    office.desk.look(Shown("v1", 0, "", content("Fish")), Shown("v2", 1, "c", b'{"title": "Fish"}'))
    exported(office, tmp_path / "git")
    assert git(tmp_path / "git", "ls-tree", "-r", "--name-only", "HEAD") == "article/r/e/record.json\n"


def test_a_content_with_two_members_of_one_name_stays_as_it_was_sent(office: Office, tmp_path: Path) -> None:
    """A file that is sorted would lose one of them."""
    office.desk.look(Shown("v1", 0, "c", b'{"title":"a","title":"b"}'))
    exported(office, tmp_path / "git")
    assert git(tmp_path / "git", "show", "HEAD:article/r/e/record.json") == '{"title":"a","title":"b"}\n'
    assert subjects(tmp_path / "git") == ["article: record"]


def test_a_repository_with_other_commits_is_refused(office: Office, tmp_path: Path) -> None:
    """And so is a folder with something else in it."""
    office.write_two_records()
    folder = tmp_path / "git"
    exported(office, folder)
    name = ["-c", "user.name=x", "-c", "user.email=x@x.invalid"]
    made = git(folder, *name, "commit-tree", "-p", "HEAD", "-m", "mine", "HEAD^{tree}").strip()
    git(folder, "update-ref", "refs/heads/website", made)
    with pytest.raises(ExportError, match="does not end with"):
        exported(office, folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("mine")
    with pytest.raises(ExportError, match="neither empty nor a Git repository"):
        exported(office, other)


def test_an_export_goes_into_a_repository_with_a_work_tree(office: Office, tmp_path: Path) -> None:
    """Its branch beside the others."""
    office.write_two_records()
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "tree")], check=True)
    exported(office, tmp_path / "tree")
    assert git(tmp_path / "tree", "rev-list", "--count", "website") == "3\n"


def test_without_git_the_export_says_so(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and no folder."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ExportError, match="not installed"):
        exported(office, tmp_path / "git")
    assert not (tmp_path / "git").exists()


@pytest.mark.parametrize(
    ("record_id", "folders"),
    [
        ("DxW3kq9aQ1uZl2zNLN7XmQ", "d/x"),
        ("-_W3kq9aQ1uZl2zNLN7XmQ", "-/_"),
        ("12345", "5/4"),
        ("7", "7/_"),
        ("r", "r/_"),
    ],
)
def test_the_folders_of_a_record_follow_from_its_id(record_id: str, folders: str) -> None:
    assert shard_of(record_id) == folders


def test_no_folder_gets_many_records() -> None:
    """Ids of both kinds: those of a new project, and those of an old one, which count up."""
    new = [base64.urlsafe_b64encode(hashlib.md5(f"{number}".encode()).digest()).decode() for number in range(10_000)]
    old = [str(number) for number in range(1_230_000, 1_240_000)]
    for ids in (new, old):
        assert max(Counter(map(shard_of, ids)).values()) <= 100
