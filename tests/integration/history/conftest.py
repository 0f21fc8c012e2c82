"""Fixtures of the history's tests."""

from __future__ import annotations

import pytest

from tests.integration.mirror.writing import Desk
from versionsync.mirror.database import Mirror


@pytest.fixture
def desk(mirror: Mirror) -> Desk:
    """A source with its lease and a run, ready to be written to."""
    return Desk.open(mirror)
