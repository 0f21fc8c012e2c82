"""Fixtures of all tests."""

from __future__ import annotations

import os
import signal

import pytest

pytest_plugins = ["tests.fixtures.databases", "tests.fixtures.sync_env"]


@pytest.fixture(autouse=True)
def _without_our_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs the tests decides nothing in them."""
    for name in os.environ:
        if name.startswith(("VERSIONSYNC_", "DATOCMS_")) and not name.startswith("VERSIONSYNC_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def _with_ctrl_c() -> None:
    """A shell has Ctrl-C ignored by what it runs in the background, and that is inherited: programs under test too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
