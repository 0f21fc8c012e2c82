"""A project of any size, for measuring: few models, plain content, and a past loaded rather than acted out.

Contents are made when they are read, from a number: a million versions take about half a gigabyte. The same arguments
give the same project. A record has one of three fates, in turn: a draft, published, or published and edited since.
"""

from __future__ import annotations

import gc
import random
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from versionsync.simulator.scenarios.news.prose import paragraph
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.people import Editor
from versionsync.simulator.world.records import LoadedVersion
from versionsync.simulator.world.world import World

__all__ = ["Bulk", "build_bulk"]

BYTES_PER_VERSION: Final = 1_000
LEAST_BYTES: Final = 100
FRAME_BYTES: Final = 70
"""About what a content takes besides its text."""
MODELS: Final = ("product", "review", "event", "place")
MODELS_WITHOUT_DRAFTS: Final = frozenset({"place"})
POOL_BYTES: Final = 64 * 1024
STEP: Final = timedelta(minutes=37)
"""Between two versions of a record."""
UNTIL_PUBLISHED: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Bulk:
    """What was built."""

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
    """Add *records* records with *versions* versions each to *world*; they lie before its present.

    *seed*: of the content (None: the world's). *bytes_per_version*: about how long its JSON text is. *first_number*:
    of the records, so that several worlds can share the prose of one *seed* and still differ. Without records there are
    no models either: the project is as empty as a new one.
    """
    if records < 0 or versions < 1:
        raise ValueError(f"{records} records with {versions} versions each cannot be built")
    if not records:
        return Bulk((), 0, 0)
    recipe = _Recipe.of(world.seed if seed is None else seed, max(bytes_per_version, LEAST_BYTES))
    ends = world.now()
    # Records begin in turn, a step apart or less, so that the oldest is never older than a few years.
    spread = min(STEP, timedelta(days=365) / max(records, 1))
    begins = ends - STEP * (versions + 1) - spread * records
    world.created_at = world.primary.created_at = min(world.created_at, begins)
    with world.acting_at(begins):
        models = tuple(_create_model(world, api_key) for api_key in MODELS)
    editors = (world.user, world.sso_user, world.account, world.api)
    with _without_garbage_collection():
        for number in range(records):
            model = models[number % len(models)]
            born = (begins + spread * (number + 1)).replace(microsecond=0)
            world.load(model, _past(first_number + number, versions, born, model, editors, recipe))
    return Bulk(models, records, records * versions)


def _create_model(world: World, api_key: str) -> Model:
    owner = world.account
    model = world.create_model(owner, api_key, draft_mode=api_key not in MODELS_WITHOUT_DRAFTS)
    for field, field_type in (("title", "string"), ("edition", "integer"), ("price", "float"), ("text", "text")):
        world.create_field(owner, model, field, field_type)
    return model


def _past(
    number: int, versions: int, born: datetime, model: Model, editors: tuple[Editor, ...], recipe: _Recipe
) -> list[LoadedVersion]:
    """The versions of the record *number*, oldest first."""
    times = [born + STEP * place for place in range(versions)]
    live_place = _live_place(number, versions)
    past = []
    for place, at in enumerate(times):
        if not model.draft_mode:
            until = times[place + 1] if place + 1 < versions else None
            live: tuple[tuple[datetime, datetime | None], ...] = ((at, until),)
        else:
            live = ((at + UNTIL_PUBLISHED, None),) if place == live_place else ()
        editor = editors[(number + place) % len(editors)]
        past.append(LoadedVersion(_Content(recipe, number, place), editor, at, live))
    return past


def _live_place(number: int, versions: int) -> int | None:
    """Which version of the record *number* is live, if its model has drafts."""
    match number % 3:
        case 0:
            return None
        case 1:
            return versions - 1
        case _:
            return max(versions - 2, 0)


class _Recipe(msgspec.Struct, frozen=True, gc=False):
    """From what the contents of all versions are made."""

    pool: bytes
    """Prose without anything that JSON would have to escape."""
    length: int

    @classmethod
    def of(cls, seed: int, bytes_per_version: int) -> _Recipe:
        length = bytes_per_version - FRAME_BYTES
        return cls(_pool(seed, POOL_BYTES + length), length)


@lru_cache(maxsize=1)
def _pool(seed: int, length: int) -> bytes:
    """At least *length* bytes of prose; kept, because a thousand small projects are made from the same."""
    rng = random.Random(f"bulk:{seed}")  # noqa: S311 - repeatable on purpose
    pool = bytearray()
    while len(pool) < length:
        pool += unicodedata.normalize("NFKD", paragraph(rng).en).encode("ascii", "ignore") + b" "
    return bytes(pool)


class _Content(msgspec.Struct, frozen=True, gc=False):
    """The attributes of one version, made anew whenever they are read."""

    recipe: _Recipe
    number: int
    place: int

    def __call__(self) -> bytes:
        number, place = self.number, self.place
        start = (number * 7919 + place * 104_729) % POOL_BYTES
        text = self.recipe.pool[start : start + self.recipe.length]
        head = b'{"title":"Number %d, edition %d","edition":%d,"price":%d.%02d,"text":"'
        return head % (number, place + 1, place + 1, number % 900 + 10, (number + place) % 100) + text + b'"}'


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Nothing that is loaded becomes garbage: looking for it, again and again, takes longer than loading."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
