"""The daemon's settings: reloaded as a whole or not at all, with one rate limiter for each token."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from versionsync.config import Configuration, InvalidSetting, Secret, SecretProblem, UnknownSource, load
from versionsync.redaction import Redactor
from versionsync.wiring.daemon import DaemonSettings

TWO = """
[[sources]]
name = "a"
api_token_env = "TOKEN_A"
rate_limit = 30

[[sources]]
name = "b"
api_token_env = "TOKEN_B"
rate_limit = 20
"""


class Settings:
    """A settings file that a test may change, and its environment."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "versionsync.toml"
        self.path.write_text(TWO)
        self.environ = {"TOKEN_A": "token-one", "TOKEN_B": "token-one"}
        self.redactor = Redactor()

    def read(self) -> Configuration:
        return load(config=self.path, environ=self.environ)

    def daemon(self, *names: str) -> DaemonSettings:
        return DaemonSettings(self.read(), names, reload=self.read, redactor=self.redactor, log=structlog.get_logger())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path)


def limits(daemon: DaemonSettings) -> list[int | None]:
    return [limiter.limit for _, limiter in daemon._rate_limiters.values()]


async def test_sources_with_one_token_share_the_lowest_limit(settings: Settings) -> None:
    assert limits(settings.daemon()) == [20]


async def test_a_reload_keeps_the_rate_limiter_of_a_token_whose_limits_did_not_change(settings: Settings) -> None:
    daemon = settings.daemon()
    before = daemon._rate_limiters.copy()
    daemon.load()
    assert daemon._rate_limiters == before
    settings.path.write_text(TWO.replace("20", "10"))
    daemon.load()
    assert limits(daemon) == [10]


async def test_a_daemon_uses_its_share_of_the_limit_of_a_token(settings: Settings) -> None:
    """By the sources that it holds. A reload keeps that, and one that holds all of them uses all of it."""
    daemon = settings.daemon()

    def budgets() -> list[int | None]:
        return [limiter.budget for _, limiter in daemon._rate_limiters.values()]

    assert budgets() == [20]
    daemon.share(frozenset({"a"}))
    assert (limits(daemon), budgets()) == ([20], [10])
    settings.path.write_text(TWO.replace("20", "16"))
    daemon.load()
    assert budgets() == [8]
    daemon.share(frozenset({"a", "b"}))
    assert budgets() == [16]


async def test_a_token_that_is_replaced_without_a_reload_is_divided_too(settings: Settings) -> None:
    """Each run reads it again. Another daemon runs the other source."""
    daemon = settings.daemon()
    daemon.share(frozenset({"a"}))
    settings.environ.update(TOKEN_A="token-two", TOKEN_B="token-two")
    async with daemon.sources[0].open_client():
        pass
    _, limiter = daemon._rate_limiters[Secret("token-two")]
    assert (limiter.limit, limiter.share) == (20, 0.5)
    daemon.share(frozenset({"a", "b"}))
    assert limiter.share == 1.0
    await daemon.close()


async def test_only_the_named_sources_are_mirrored(settings: Settings) -> None:
    assert [source.spec.name for source in settings.daemon("b").sources] == ["b"]
    with pytest.raises(UnknownSource, match="no source called c"):
        settings.daemon("c")


async def test_each_token_is_masked_from_the_start(settings: Settings) -> None:
    settings.daemon()
    assert "token-one" not in settings.redactor.redact("it is token-one")


async def test_a_source_without_its_secrets_does_not_keep_the_others_waiting(settings: Settings) -> None:
    """At the start. It is logged, and read again for each run; if no source has its secrets, none can start."""
    settings.path.write_text(TWO + 'webhook_password_env = "PASSWORD_B"\n')
    with capture_logs() as logs:
        daemon = settings.daemon()
    assert [(one["event"], one["source"], one["log_level"]) for one in logs] == [("source.misconfigured", "b", "error")]
    assert [source.spec.name for source in daemon.sources] == ["a", "b"]
    del settings.environ["TOKEN_B"]
    a, b = settings.daemon().sources
    async with a.open_client():
        pass
    with pytest.raises(SecretProblem, match="source b has no API token"):
        async with b.open_client():
            pass
    with pytest.raises(SecretProblem, match="source b has no API token"):
        settings.daemon("b")


@pytest.mark.parametrize(
    "change",
    ['database_url = "other.db"\n' + TWO, TWO + "[http]\nport = 9999\n", TWO + "[daemon]\nmax_runs = 4\n"],
)
async def test_what_cannot_change_while_it_runs_is_refused(settings: Settings, change: str) -> None:
    daemon = settings.daemon()
    settings.path.write_text(change)
    with pytest.raises(InvalidSetting, match="cannot change while the daemon runs"):
        daemon.load()


async def test_so_many_runs_at_once_as_the_settings_say(settings: Settings) -> None:
    assert settings.daemon().max_runs == 16
    settings.path.write_text(TWO + "[daemon]\nmax_runs = 4\n")
    assert settings.daemon().max_runs == 4
    settings.path.write_text(TWO + "[daemon]\nmax_runs = 0\n")
    with pytest.raises(InvalidSetting, match="max_runs"):
        settings.daemon()


async def test_a_reload_that_fails_changes_nothing(settings: Settings) -> None:
    daemon = settings.daemon()
    before = daemon.sources
    del settings.environ["TOKEN_B"]
    with pytest.raises(SecretProblem):
        daemon.load()
    assert daemon.sources is before
