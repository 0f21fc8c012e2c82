"""The generated files in the repository follow the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.generate import __main__ as generate


def test_the_files_in_the_repository_are_current() -> None:
    """If this fails, run: python -m docs.generate"""
    assert generate.main(["--check"]) == 0
    assert len(generate.files()) == 5 + 7


def test_an_old_file_is_noticed_and_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So is a missing one, and a unit that is not made any more."""
    page, unit, former = tmp_path / "schema.md", tmp_path / "versionsync.service", tmp_path / "versionsync-old.timer"
    page.write_text("old")
    former.write_text("old")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "UNITS", tmp_path)
    monkeypatch.setattr(generate, "files", lambda: {page: "new", unit: "[Unit]"})
    assert generate.main(["--check"]) == 1
    said = capsys.readouterr().err
    assert [line.split()[0] for line in said.splitlines()] == [
        "schema.md",
        "versionsync.service",
        "versionsync-old.timer",
    ]
    assert "python -m docs.generate" in said
    assert generate.main([]) == 0
    assert (page.read_text(), unit.read_text(), former.exists()) == ("new", "[Unit]", False)
    assert generate.main(["--check"]) == 0
