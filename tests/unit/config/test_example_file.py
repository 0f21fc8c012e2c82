"""The reference and the example file say what the definition says."""

from __future__ import annotations

import tomllib
from pathlib import Path

from docs.generate.settings_page import settings_page
from versionsync.config import load
from versionsync.config.checking import settings_of
from versionsync.config.definition import HttpSettings, MassDeleteSettings, Settings, SourceSettings
from versionsync.config.example_file import example_file, settings_file


def test_every_setting_and_every_variable_is_documented() -> None:
    page = settings_page()
    for struct in (Settings, SourceSettings, MassDeleteSettings, HttpSettings):
        for setting in settings_of(struct):
            assert f"| `{setting.name}` |" in page
            assert not setting.env or f"| `{setting.env}` |" in page


def test_the_example_is_a_settings_file_of_one_source(tmp_path: Path) -> None:
    path = tmp_path / "example.toml"
    path.write_text(example_file())
    assert [source.name for source in load(config=path, environ={}).sources] == ["website"]


def test_every_line_that_the_example_comments_out_would_be_accepted(tmp_path: Path) -> None:
    """Only the three ways to give a token, and the two to give a database, exclude each other."""
    lines = example_file().splitlines()
    for number, line in enumerate(lines):
        name, equals, _ = line.removeprefix("# ").partition(" = ")
        if line.startswith("# ") and equals and name.isidentifier():
            path = tmp_path / f"{name}.toml"
            path.write_text("\n".join([*lines[:number], line.removeprefix("# "), *lines[number + 1 :]]))
            path.chmod(0o600)
            load(config=path, environ={})


def test_what_is_given_is_set_and_comes_back(tmp_path: Path) -> None:
    text = settings_file([{"name": "a", "rate_limit": 30}, {"name": "b"}], top={"database_url": 'sqlite:///a"\\b.db'})
    table = tomllib.loads(text)
    assert table["database_url"] == 'sqlite:///a"\\b.db'
    assert table["sources"] == [{"name": "a", "rate_limit": 30}, {"name": "b"}]
