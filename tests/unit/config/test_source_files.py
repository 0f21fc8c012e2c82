"""Sources in files of their own: the folder `sources.d` beside the settings file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from versionsync.config import (
    ConfigError,
    Configuration,
    FileProblem,
    InvalidSetting,
    SecretProblem,
    UnknownSetting,
    load,
)
from versionsync.config.source_files import folder_of

Files = dict[str, str]
Load = Callable[..., Configuration]


@pytest.fixture
def loads(tmp_path: Path) -> Load:
    """`load` of a settings file with files beside it, by their path from its folder."""

    def loads(main: str, files: Files, *, found: bool = False) -> Configuration:
        path = tmp_path / "versionsync.toml"
        for name, text in {path.name: main, **files}.items():
            file = tmp_path / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
            file.chmod(0o600)
        if found:
            return load(environ={}, local_file=path, system_file=tmp_path / "nowhere.toml")
        return load(config=path, environ={})

    return loads


def refused(loads: Load, tmp_path: Path, main: str, files: Files, *, found: bool = False) -> ConfigError:
    """The error that these files are answered with. The folder is taken out of its message and its hint."""
    with pytest.raises(ConfigError) as caught:
        loads(main, files, found=found)
    error = caught.value
    error.args = (str(error).replace(f"{tmp_path}/", ""),)
    error.hint = error.hint.replace(f"{tmp_path}/", "")
    return error


def source(name: str, more: str = "") -> str:
    return f'[[sources]]\nname = "{name}"\n{more}'


def test_sources_come_from_the_settings_file_and_then_from_the_files_by_name(loads: Load, tmp_path: Path) -> None:
    found = loads(source("web"), {"sources.d/b.toml": source("z") + source("a"), "sources.d/10.toml": source("shop")})
    assert [each.name for each in found.sources] == ["web", "shop", "z", "a"]
    assert found.file_names_sources
    assert [(each.path, each.names) for each in found.source_files] == [
        (tmp_path / "sources.d" / "10.toml", ["shop"]),
        (tmp_path / "sources.d" / "b.toml", ["z", "a"]),
    ]


def test_a_settings_file_may_have_no_source_of_its_own(loads: Load) -> None:
    found = loads('database_url = "sqlite:///x.db"\n', {"sources.d/web.toml": source("web", "scrub = 1\n")})
    assert [(each.name, each.scrub) for each in found.sources] == [("web", 1)]
    assert found.file_names_sources


def test_other_files_of_the_folder_are_not_read(loads: Load) -> None:
    """Such as those of editors, and of Kubernetes."""
    names = ("website.token", "old.toml~", ".web.toml.swp", ".hidden.toml", "off.toml.disabled", "README")
    found = loads(source("web"), {f"sources.d/{name}": "this is no TOML" for name in names})
    assert [each.name for each in found.sources] == ["web"]
    assert found.source_files == ()


def test_a_file_may_be_empty(loads: Load) -> None:
    assert [each.name for each in loads(source("web"), {"sources.d/a.toml": "# Later.\n"}).sources] == ["web"]


def test_a_config_map_of_kubernetes_is_read_once(loads: Load, tmp_path: Path) -> None:
    """It is a hidden folder, and links to its files."""
    loads(source("web"), {"sources.d/unused": ""})
    folder = tmp_path / "sources.d"
    (folder / "..2026_11_30").mkdir()
    (folder / "..2026_11_30" / "shop.toml").write_text(source("shop"))
    (folder / "..data").symlink_to("..2026_11_30")
    (folder / "shop.toml").symlink_to("..data/shop.toml")
    found = load(config=tmp_path / "versionsync.toml", environ={})
    assert [each.name for each in found.sources] == ["web", "shop"]


def test_each_settings_file_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Several services keep their settings in one folder."""
    assert folder_of(Path("/etc/versionsync/versionsync.toml")) == Path("/etc/versionsync/sources.d")
    assert folder_of(Path("/etc/versionsync/shop.toml")) == Path("/etc/versionsync/shop.sources.d")
    (tmp_path / "sources.d").mkdir()
    (tmp_path / "sources.d" / "web.toml").write_text(source("web"))
    (tmp_path / "shop.toml").write_text(source("shop"))
    assert [each.name for each in load(config=tmp_path / "shop.toml", environ={}).sources] == ["shop"]


@pytest.mark.parametrize(
    ("main", "files", "message"),
    [
        (
            source("web"),
            {"sources.d/a.toml": source("shop") + source("WEB")},
            "sources.d/a.toml, line 4: sources[1].name: the name WEB is taken by versionsync.toml, line 1",
        ),
        (
            "",
            {"sources.d/a.toml": source("web"), "sources.d/b.toml": "\n" + source("web")},
            "sources.d/b.toml, line 3: sources[0].name: the name web is taken by sources.d/a.toml, line 1",
        ),
        (
            "",
            {"sources.d/a.toml": source("web") * 2},
            "sources.d/a.toml, line 4: sources[1].name: the name web is taken by sources[0]",
        ),
    ],
    ids=["settings and file", "two files", "one file"],
)
def test_a_name_is_taken_once_over_all_files(
    loads: Load, tmp_path: Path, main: str, files: Files, message: str
) -> None:
    error = refused(loads, tmp_path, main, files)
    assert isinstance(error, InvalidSetting)
    assert str(error) == message


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (source("web", "rate_limit = 0\n"), InvalidSetting, "a.toml, line 3: sources[0].rate_limit must be "),
        (source("web", "rate_limt = 0\n"), UnknownSetting, "a.toml, line 3: there is no setting sources[0].rate_limt"),
        (
            source("web", "api_token_env = 'A'\napi_token_file = 'b'\n"),
            InvalidSetting,
            "a.toml, line 4: sources[0] ",
        ),
        ("[[sources]]\nscrub = 1\n", InvalidSetting, "a.toml, line 1: sources[0] has no name"),
        ("[[sources]]\nname =\n", FileProblem, "a.toml is not valid TOML: line 2, column 7: "),
    ],
)
def test_an_error_says_which_file_and_line(
    loads: Load, tmp_path: Path, text: str, kind: type[ConfigError], message: str
) -> None:
    error = refused(loads, tmp_path, source("shop"), {"sources.d/a.toml": text})
    assert isinstance(error, kind)
    assert str(error).startswith(f"sources.d/{message}")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            'name = "web"\n',
            "line 1: name must not be at the top of this file",
            "Write [[sources]] on a line above the settings of each source.",
        ),
        (
            source("web") + "[http]\nport = 1\n",
            "line 3: http must not be at the top of this file",
            "Files in sources.d have only [[sources]]. Everything else belongs in versionsync.toml.",
        ),
    ],
)
def test_a_file_has_nothing_but_sources(loads: Load, tmp_path: Path, text: str, message: str, hint: str) -> None:
    error = refused(loads, tmp_path, "", {"sources.d/a.toml": text})
    assert isinstance(error, UnknownSetting)
    assert (str(error), error.hint) == (f"sources.d/a.toml, {message}", hint)


def test_notifications_may_name_sources_of_any_file(loads: Load, tmp_path: Path) -> None:
    files = {"sources.d/a.toml": source("web")}
    notifications = '[[notifications]]\nurl_env = "X"\nsources = ["{}"]\n'
    assert loads(notifications.format("web"), files).notifications[0].sources == ("web",)
    error = refused(loads, tmp_path, notifications.format("wep"), files)
    assert str(error) == "versionsync.toml, line 3: notifications[0].sources: there is no source called wep"
    assert error.hint == "Did you mean web?"


def test_a_file_with_a_token_must_be_closed_to_others(loads: Load, tmp_path: Path) -> None:
    files = {"sources.d/a.toml": source("web", "api_token = 'abc123'\n"), "sources.d/b.toml": source("shop")}
    loads("", files)
    (tmp_path / "sources.d" / "b.toml").chmod(0o644)
    load(config=tmp_path / "versionsync.toml", environ={})
    (tmp_path / "sources.d" / "a.toml").chmod(0o644)
    with pytest.raises(SecretProblem) as caught:
        load(config=tmp_path / "versionsync.toml", environ={})
    assert str(caught.value).endswith("a.toml holds sources[0].api_token and can be read by others (mode 0644)")


def test_files_beside_a_settings_file_that_was_only_found_must_be_trusted_too(loads: Load, tmp_path: Path) -> None:
    """A file that others can write could send any variable of the environment anywhere."""
    files = {"sources.d/a.toml": source("web")}
    assert [each.name for each in loads("", files, found=True).sources] == ["web"]
    for part, mode in (("sources.d", 0o777), ("sources.d/a.toml", 0o666)):
        before = (tmp_path / part).stat().st_mode
        (tmp_path / part).chmod(mode)
        with pytest.raises(FileProblem) as caught:
            load(environ={}, local_file=tmp_path / "versionsync.toml", system_file=tmp_path / "nowhere.toml")
        assert f"can be written by others (mode {mode:04o})" in str(caught.value)
        assert f"--config {tmp_path / 'versionsync.toml'}. " in caught.value.hint
        assert load(config=tmp_path / "versionsync.toml", environ={}).sources[0].name == "web"
        (tmp_path / part).chmod(before)


def test_a_relative_secret_is_in_the_folder_of_the_settings_file(loads: Load, tmp_path: Path) -> None:
    """So a source can be moved between the files as it is."""
    found = loads("", {"sources.d/a.toml": source("web", 'api_token_file = "web.token"\n'), "web.token": "abc123\n"})
    assert found.secrets.api_token(found.sources[0]).reveal() == "abc123"


def test_what_is_no_folder_is_named(loads: Load, tmp_path: Path) -> None:
    (tmp_path / "sources.d").write_text("")
    error = refused(loads, tmp_path, "", {})
    assert str(error) == "sources.d is not a folder"


def test_files_beside_no_settings_file_are_named_in_a_warning(tmp_path: Path) -> None:
    folder = tmp_path / "sources.d"
    folder.mkdir()
    files = {"local_file": tmp_path / "versionsync.toml", "system_file": tmp_path / "etc" / "versionsync.toml"}
    assert load(environ={}, **files).warnings == ()  # type: ignore[arg-type]
    (folder / "web.toml").write_text(source("web"))
    (warned,) = load(environ={}, **files).warnings  # type: ignore[arg-type]
    assert warned.message == f"the files in {folder} are not read: there is no settings file beside it"
    files["local_file"].touch()
    assert load(environ={}, **files).warnings == ()  # type: ignore[arg-type]


def test_a_thousand_files_are_read(loads: Load) -> None:
    found = loads("", {f"sources.d/{n:04}.toml": source(f"s{n:04}", 'api_token_env = "X"\n') for n in range(1000)})
    assert [each.name for each in found.sources] == [f"s{n:04}" for n in range(1000)]
