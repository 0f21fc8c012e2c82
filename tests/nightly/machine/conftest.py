"""What all tests of the machine share."""

from __future__ import annotations

import pytest

from versionsync.sync import deletions as settling
from versionsync.sync import format_check, pull, schema_check
from versionsync.sync import pipeline as climb

# What a run waits before it asks again; the answers here do not get better with time.
SECONDS_BEFORE_ASKING_AGAIN = 0.01


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (climb, format_check, schema_check, settling):
        monkeypatch.setattr(module, "ASK_AGAIN_SECONDS", SECONDS_BEFORE_ASKING_AGAIN)
    monkeypatch.setattr(pull, "STALE_WAIT_SECONDS", SECONDS_BEFORE_ASKING_AGAIN)
