"""Webhooks."""

from __future__ import annotations

from versionsync.simulator.world import World

__all__ = ["Webhooks"]


class Webhooks:
    """The webhooks of one project."""

    def __init__(self, world: World) -> None:
        self._world = world
