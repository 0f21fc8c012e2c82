"""What the tests of the engine share: a simulated upstream does not get better with time, so no run waits for it."""

from __future__ import annotations

import pytest

from versionsync.sync import deletions as settling
from versionsync.sync import format_check, schema_check
from versionsync.sync import pipeline as climb

SECONDS_BEFORE_ASKING_AGAIN = 0.02


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (climb, format_check, schema_check, settling):
        monkeypatch.setattr(module, "ASK_AGAIN_SECONDS", SECONDS_BEFORE_ASKING_AGAIN)
