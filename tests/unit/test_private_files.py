"""A file is written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from versionsync.private_files import write_whole


def test_it_has_the_text_and_the_mode_that_were_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("old")
    path.chmod(0o600)
    before = os.umask(0o077)
    try:
        write_whole(path, "neu – 日本語\n", mode=0o644)
    finally:
        os.umask(before)
    assert (path.read_text("utf-8"), path.stat().st_mode & 0o777) == ("neu – 日本語\n", 0o644)
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old_one_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new \ud800", mode=0o600)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_its_place_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.mkdir()
    with pytest.raises(OSError, match=r"settings\.toml"):
        write_whole(path, "new", mode=0o600)
    assert list(tmp_path.iterdir()) == [path]
