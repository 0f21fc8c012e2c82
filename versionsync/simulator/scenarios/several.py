"""Several projects in one simulator: what they are called, and what is in the small ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from versionsync.simulator.scenarios.bulk import build_bulk
from versionsync.simulator.world.people import FULL_ACCESS_TOKEN
from versionsync.simulator.world.world import World

__all__ = ["SMALL_RECORDS", "another_world", "bulk_worlds", "filled_worlds", "token_of"]

FIRST_PROJECT: Final = 205
SMALL_RECORDS: Final = 10
"""How many records each of several projects has, unless somebody says how many."""


def token_of(number: int) -> str:
    """The API token that the project *number* starts with: `simulator-full-access`, `simulator-full-access-2`, ….

    The first project has the number 1.
    """
    return FULL_ACCESS_TOKEN if number == 1 else f"{FULL_ACCESS_TOKEN}-{number}"


def another_world(first: World, number: int, name: str | None = None, token: str | None = None) -> World:
    """An empty world for the project *number*, with the clock of *first*, and switches that begin as its do.

    *name* and *token* are made from the number where they are None.
    """
    project_id = str(FIRST_PROJECT + number - 1)
    return World(
        seed=first.seed + number - 1,
        clock=first.clock,
        project_id=project_id,
        name=name or f"Project {project_id}",
        token=token or token_of(number),
        switches=replace(first.options),
    )


def bulk_worlds(first: World, projects: int, *, records: int, versions: int) -> Iterator[World]:
    """Fill *first* and *projects* - 1 other worlds with *records* records each; no two have the same records."""
    yield from filled_worlds(
        first,
        projects,
        lambda world, number: build_bulk(
            world, records=records, versions=versions, seed=first.seed, first_number=(number - 1) * records
        ),
    )


def filled_worlds(first: World, projects: int, fill: Callable[[World, int], object]) -> Iterator[World]:
    """Fill *first* and *projects* - 1 other worlds by *fill*, which is called with a world and its number."""
    for number in range(1, projects + 1):
        world = first if number == 1 else another_world(first, number)
        fill(world, number)
        yield world
