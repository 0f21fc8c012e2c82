"""A world to act on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from versionsync.simulator import Clock, ExpectedHistory, World, expected_history
from versionsync.simulator.world.models import Model


class Stage:
    """A world whose clock stands still, with two models; each action through `later` is a minute after the last."""

    def __init__(self) -> None:
        self.world = World(seed=7, clock=Clock.stopped(), locales=("en", "it"))
        editor = self.world.account
        self.post: Model = self.world.create_model(editor, "post")
        self.world.create_field(editor, self.post, "title", localized=True)
        self.world.create_field(editor, self.post, "price", "integer")
        self.quote: Model = self.world.create_model(editor, "quote", draft_mode=False)
        self.world.create_field(editor, self.quote, "text", "text")

    def wait(self, **duration: float) -> None:
        """Let time pass."""
        self.world.clock.advance(timedelta(**duration))

    def history(self, environment: str = "main") -> ExpectedHistory:
        """Return the expected history of an environment."""
        return expected_history(self.world.event_log, environment)

    def events_of(self, record_id: str) -> list[str]:
        """Return the types of a record's transitions."""
        return [one.type.value for one in self.history().transitions if one.record_id == record_id]


@pytest.fixture
def stage() -> Stage:
    """A new stage."""
    return Stage()
