"""Fixtures of all tests."""

from __future__ import annotations

import os

import pytest

pytest_plugins = ["tests.fixtures.databases", "tests.fixtures.lab"]


@pytest.fixture(autouse=True)
def _without_our_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs the tests decides nothing in them."""
    for name in os.environ:
        if name.startswith(("VERSIONSYNC_", "DATOCMS_")) and not name.startswith("VERSIONSYNC_TEST_"):
            monkeypatch.delenv(name)
