"""The settings files of the benchmarks are those of today's program."""

from __future__ import annotations

from pathlib import Path

from benchmarks.daemon.process import Settings
from benchmarks.fleet.daemons import settings_of
from versionsync.config import load


def test_the_daemon_that_follows_a_project_can_read_its_settings(tmp_path: Path) -> None:
    """Both switches are there: the receiver and the log of calls."""
    settings = Settings(
        upstream="http://127.0.0.1:8080",
        database="sqlite:///mirror.db",
        port=8765,
        max_staleness=60.0,
        receives=True,
        reads_log=False,
    )
    (source,) = load(config=_private(tmp_path, settings.text()), environ={}).sources
    assert source.webhook_password_env is not None
    assert not source.poll_webhook_log


def test_each_daemon_of_a_fleet_has_all_sources_with_tokens_of_its_own(tmp_path: Path) -> None:
    """The tokens tell the simulator which daemon sends a request."""
    texts = [
        settings_of(
            number,
            port=8765,
            upstream="http://127.0.0.1:8080",
            database="postgresql://localhost/mirror",
            sources=range(3),
        )
        for number in (1, 2)
    ]
    first, second = (load(config=_private(tmp_path, text), environ={}).sources for text in texts)
    assert [source.name for source in first] == [source.name for source in second]
    tokens = [source.api_token.reveal() for source in (*first, *second) if source.api_token is not None]
    assert len(set(tokens)) == 6


def _private(folder: Path, text: str) -> Path:
    file = folder / "versionsync.toml"
    file.touch(mode=0o600)
    file.write_text(text)
    return file
