"""Projects of any size, for measurements: few models, plain content, and a past that is loaded; one, or many at once.

Contents are made when they are read, from a number: a million versions take about half a gigabyte. The same arguments
make the same project. A record is in turn a draft, published, or published and edited since.
"""

from __future__ import annotations

import gc
import random
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from versionsync.simulator.scenarios.news.prose import paragraph
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.people_roles_tokens import FULL_ACCESS_TOKEN, Editor
from versionsync.simulator.world.records import LoadedVersion
from versionsync.simulator.world.world import World

__all__ = ["SMALL_RECORDS", "Bulk", "another_world", "build_bulk", "bulk_worlds", "filled_worlds", "token_of"]

BYTES_PER_VERSION: Final = 1_000
MIN_BYTES: Final = 100
FRAME_BYTES: Final = 70
"""The approximate size of a content without its text."""
MODELS: Final = ("product", "review", "event", "place")
MODELS_WITHOUT_DRAFTS: Final = frozenset({"place"})
POOL_BYTES: Final = 64 * 1024
STEP: Final = timedelta(minutes=37)
"""The time between two versions of a record."""
PUBLISH_DELAY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Bulk:
    """The models and the number of records and versions that were built."""

    models: tuple[Model, ...]
    records: int
    versions: int


def build_bulk(
    world: World,
    *,
    records: int,
    versions: int,
    seed: int | None = None,
    bytes_per_version: int = BYTES_PER_VERSION,
    first_number: int = 0,
) -> Bulk:
    """Add records to *world*, with times before its present. Without records the project stays empty.

    Args:
        world: The world to fill.
        records: The number of records.
        versions: The number of versions of each record.
        seed: The seed of the content; None: that of the world.
        bytes_per_version: The approximate length of a content's JSON text.
        first_number: The number of the first record, so that worlds with the same *seed* differ.
    """
    if records < 0 or versions < 1:
        raise ValueError(f"{records} records with {versions} versions each cannot be built")
    if not records:
        return Bulk((), 0, 0)
    recipe = _Recipe.of(world.seed if seed is None else seed, max(bytes_per_version, MIN_BYTES))
    end = world.now()
    # Records start one after the other, at most a step apart, so that the oldest is only a few years old.
    spread = min(STEP, timedelta(days=365) / max(records, 1))
    start = end - STEP * (versions + 1) - spread * records
    world.created_at = world.primary.created_at = min(world.created_at, start)
    with world.acting_at(start):
        models = tuple(_create_model(world, api_key) for api_key in MODELS)
    editors = (world.user, world.sso_user, world.account, world.api)
    with _without_garbage_collection():
        for number in range(records):
            model = models[number % len(models)]
            created_at = (start + spread * (number + 1)).replace(microsecond=0)
            world.load(model, _past(first_number + number, versions, created_at, model, editors, recipe))
    return Bulk(models, records, records * versions)


def _create_model(world: World, api_key: str) -> Model:
    owner = world.account
    model = world.create_model(owner, api_key, draft_mode=api_key not in MODELS_WITHOUT_DRAFTS)
    for field, field_type in (("title", "string"), ("edition", "integer"), ("price", "float"), ("text", "text")):
        world.create_field(owner, model, field, field_type)
    return model


def _past(
    number: int, versions: int, created_at: datetime, model: Model, editors: tuple[Editor, ...], recipe: _Recipe
) -> list[LoadedVersion]:
    """Return the versions of the record *number*, oldest first."""
    times = [created_at + STEP * index for index in range(versions)]
    published_index = _published_index(number, versions)
    past = []
    for index, at in enumerate(times):
        if not model.draft_mode:
            until = times[index + 1] if index + 1 < versions else None
            live: tuple[tuple[datetime, datetime | None], ...] = ((at, until),)
        else:
            live = ((at + PUBLISH_DELAY, None),) if index == published_index else ()
        editor = editors[(number + index) % len(editors)]
        past.append(LoadedVersion(_Content(recipe, number, index), editor, at, live))
    return past


def _published_index(number: int, versions: int) -> int | None:
    """Return which version of the record *number* is live, if its model has drafts."""
    return (None, versions - 1, max(versions - 2, 0))[number % 3]


class _Recipe(msgspec.Struct, frozen=True, gc=False):
    """What the contents of all versions are made from."""

    pool: bytes
    """Prose without characters that JSON must escape."""
    length: int

    @classmethod
    def of(cls, seed: int, bytes_per_version: int) -> _Recipe:
        length = bytes_per_version - FRAME_BYTES
        return cls(_pool(seed, POOL_BYTES + length), length)


@lru_cache(maxsize=1)
def _pool(seed: int, length: int) -> bytes:
    """Return at least *length* bytes of prose; cached, because a thousand small projects share it."""
    rng = random.Random(f"bulk:{seed}")  # noqa: S311 - repeatable on purpose
    pool = bytearray()
    while len(pool) < length:
        pool += unicodedata.normalize("NFKD", paragraph(rng).en).encode("ascii", "ignore") + b" "
    return bytes(pool)


class _Content(msgspec.Struct, frozen=True, gc=False):
    """The attributes of one version, made again on each read."""

    recipe: _Recipe
    number: int
    index: int

    def __call__(self) -> bytes:
        number, index = self.number, self.index
        start = (number * 7919 + index * 104_729) % POOL_BYTES
        text = self.recipe.pool[start : start + self.recipe.length]
        head = b'{"title":"Number %d, edition %d","edition":%d,"price":%d.%02d,"text":"'
        return head % (number, index + 1, index + 1, number % 900 + 10, (number + index) % 100) + text + b'"}'


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Pause garbage collection: nothing that is loaded becomes garbage, and the search takes longer than loading."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


FIRST_PROJECT: Final = 205
SMALL_RECORDS: Final = 10
"""The default number of records of each of several projects."""


def token_of(number: int) -> str:
    """Return the API token of the project *number*, counted from 1.

    They are `simulator-full-access`, `simulator-full-access-2`, ….
    """
    return FULL_ACCESS_TOKEN if number == 1 else f"{FULL_ACCESS_TOKEN}-{number}"


def another_world(first: World, number: int, name: str | None = None, token: str | None = None) -> World:
    """Return an empty world for the project *number*, with the clock and a copy of the options of *first*.

    *name* and *token* contain the number if they are None.
    """
    project_id = str(FIRST_PROJECT + number - 1)
    return World(
        seed=first.seed + number - 1,
        clock=first.clock,
        project_id=project_id,
        name=name or f"Project {project_id}",
        token=token or token_of(number),
        options=replace(first.options),
    )


def bulk_worlds(first: World, projects: int, *, records: int, versions: int) -> Iterator[World]:
    """Fill *first* and *projects* - 1 other worlds with *records* records each; no two have the same ones."""
    yield from filled_worlds(
        first,
        projects,
        lambda world, number: build_bulk(
            world, records=records, versions=versions, seed=first.seed, first_number=(number - 1) * records
        ),
    )


def filled_worlds(first: World, projects: int, fill: Callable[[World, int], object]) -> Iterator[World]:
    """Fill *first* and *projects* - 1 other worlds; *fill* is called with each world and its number."""
    for number in range(1, projects + 1):
        world = first if number == 1 else another_world(first, number)
        fill(world, number)
        yield world
