"""Whom the daemon tells: addresses are secrets, given in one of three ways, and what is wrong is said by its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from versionsync.config import (
    ConfigError,
    Configuration,
    InvalidSetting,
    SecretProblem,
    UnknownSetting,
    load,
)

URL = "json://example.com/hook-of-mine"


def loaded(folder: Path, text: str, *, mode: int = 0o600, **environ: str) -> Configuration:
    """The settings of a file that says this besides its one source."""
    path = folder / "versionsync.toml"
    path.write_text(f"[[sources]]\nname = 'website'\n{text}")
    path.chmod(mode)
    return load(config=path, environ=environ)


def url(configuration: Configuration) -> str:
    """Where the first notice goes."""
    return configuration.notification_url(configuration.notifications[0]).reveal()


def test_the_address_of_a_notice_is_given_in_one_of_three_ways(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text(f"{URL}\n")
    (tmp_path / "hook").chmod(0o600)
    for given in ("url = '" + URL + "'", "url_env = 'HOOK'", "url_file = 'hook'"):
        assert url(loaded(tmp_path, f"[[notifications]]\n{given}", HOOK=f" {URL} ")) == URL


def test_without_a_file_the_environment_names_one_place() -> None:
    configuration = load(
        environ={"VERSIONSYNC_NOTIFICATION_URL": URL}, local_file=Path("none"), system_file=Path("none")
    )
    assert url(configuration) == URL
    assert set(configuration.notifications[0].on) == {"failing", "stale", "mass_delete", "recovered"}
    assert "hook-of-mine" not in repr(configuration)


def test_a_file_without_notifications_leaves_them_to_the_environment(tmp_path: Path) -> None:
    assert url(loaded(tmp_path, "", VERSIONSYNC_NOTIFICATION_URL=URL)) == URL
    assert (
        url(loaded(tmp_path, "[[notifications]]\nurl_env = 'HOOK'", HOOK="json://a", VERSIONSYNC_NOTIFICATION_URL=URL))
        != URL
    )


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("after_failures = 3", InvalidSetting, "notifications[0] has no url_env, url_file or url"),
        ("url_env = 'A'\nurl_file = 'b'", InvalidSetting, "notifications[0] has url_env and url_file"),
        (
            "url_env = 'A'\nafter_failures = 0",
            InvalidSetting,
            "notifications[0].after_failures must be a whole number, 1 or more",
        ),
        (
            "url_env = 'A'\non = 'failing'",
            InvalidSetting,
            "notifications[0].on must be a list of failing, stale, mass_delete",
        ),
        (
            "url_env = 'A'\non = ['faling']",
            InvalidSetting,
            "notifications[0].on must be a list of failing, stale, mass_delete",
        ),
        ("url_env = 'A'\non = []", InvalidSetting, "notifications[0].on must be a list of failing, stale, mass_delete"),
        ("url_env = 'A'\nsources = ['web']", InvalidSetting, "notifications[0].sources: there is no source called web"),
        ("url_env = 'A'\nafter_failurs = 3", UnknownSetting, "there is no setting notifications[0].after_failurs"),
    ],
)
def test_what_is_wrong_with_a_notice_is_said_by_its_place(
    tmp_path: Path, text: str, error: type[ConfigError], says: str
) -> None:
    with pytest.raises(error) as caught:
        loaded(tmp_path, f"[[notifications]]\n{text}")
    assert says in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text", [f"[[notifications]]\nurl = '{URL}'", "heartbeat_url = 'https://example.com/hook-of-mine'"]
)
def test_a_file_with_an_address_in_it_must_not_be_read_by_others(tmp_path: Path, text: str) -> None:
    with pytest.raises(SecretProblem, match=r"can be read by others \(mode 0640\)") as caught:
        loaded(tmp_path, text, mode=0o640)
    assert "hook-of-mine" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize("environ", [{}, {"HOOK": " "}])
def test_an_address_that_is_not_there_is_named(tmp_path: Path, environ: dict[str, str]) -> None:
    configuration = loaded(tmp_path, "heartbeat_url_env = 'HOOK'\n[[notifications]]\nurl_env = 'HOOK'", **environ)
    with pytest.raises(SecretProblem, match=r"^notifications\[0\] has no address: HOOK is not set, or empty$"):
        configuration.notification_url(configuration.notifications[0])
    with pytest.raises(SecretProblem, match=r"^the heartbeat of source website has no address: HOOK is not"):
        configuration.secrets.heartbeat_url(configuration.sources[0])


def test_a_switch_is_an_address_of_the_web(tmp_path: Path) -> None:
    """Without one nothing is called; the value of a wrong one is not repeated."""
    assert loaded(tmp_path, "").secrets.heartbeat_url(loaded(tmp_path, "").sources[0]) is None
    configuration = loaded(tmp_path, "heartbeat_url = 'https://example.com/hook'")
    ping = configuration.secrets.heartbeat_url(configuration.sources[0])
    assert ping is not None
    assert ping.reveal() == "https://example.com/hook"
    for wrong in ("example.com/hook-of-mine", "ftp://example.com/hook-of-mine", "https://exa mple.com/hook-of-mine"):
        configuration = loaded(tmp_path, f"heartbeat_url = '{wrong}'")
        with pytest.raises(InvalidSetting, match="is not a web address") as caught:
            configuration.secrets.heartbeat_url(configuration.sources[0])
        assert "hook-of-mine" not in f"{caught.value}{caught.value.hint}"
