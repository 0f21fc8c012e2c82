"""The settings files of the benchmarks are those of today's program."""

from __future__ import annotations

from pathlib import Path

from benchmarks.daemon.process import Settings
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


def _private(folder: Path, text: str) -> Path:
    file = folder / "versionsync.toml"
    file.touch(mode=0o600)
    file.write_text(text)
    return file
