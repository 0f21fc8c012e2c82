"""Editors who work by themselves, in real time: for trying out whatever follows a project.

Each project has one desk. An editor opens a record there, saves it a few times, and often publishes it; between that,
records are begun, published, planned, withdrawn, restored and deleted. What happens, and in which order, comes from the
seed; when it happens depends on the real clock. Somebody else who writes to the project changes what comes next.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from versionsync.simulator.background import Background
from versionsync.simulator.errors import ApiError
from versionsync.simulator.http.project import Project
from versionsync.simulator.scenarios.live_edits import changed_fields, has_title, name_of, new_fields
from versionsync.simulator.world.content import Json, load
from versionsync.simulator.world.people import Editor, EditorKind
from versionsync.simulator.world.records import Record
from versionsync.simulator.world.world import World

__all__ = ["PACE", "Desk", "LiveEditors"]

PACE: Final = 12.0
"""Acts a minute in a project, on average: one every five seconds."""
LONGEST_PAUSE: Final = 3.0
"""Times the average: nobody should wonder whether anything will happen at all."""
BEHIND_SECONDS: Final = 1.0
"""What is later than this is not made up for."""
RECORDS_TRIED: Final = 20
ACTS_TRIED: Final = 5
SPARE_RECORDS: Final = 10
"""How many records there may be beyond those of the start; then editors delete some before they begin more."""
MOST_SAVES: Final = 4
PUBLISHED_AFTERWARDS: Final = 0.7
PLANNED_SECONDS: Final = (20, 120)
_WRITING: Final = frozenset({EditorKind.USER, EditorKind.SSO_USER, EditorKind.ACCOUNT})


class Desk:
    """What the editors of *world* have open, and what they do next."""

    __slots__ = ("_acts", "_editor", "_least_records", "_most_records", "_open", "_saves_left", "world")

    def __init__(self, world: World) -> None:
        self.world = world
        self._acts = 0
        self._open: str | None = None
        self._editor: Editor | None = None
        self._saves_left = 0
        self._least_records = len(world.primary.records)
        self._most_records = self._least_records + SPARE_RECORDS

    def act(self) -> str | None:
        """Do the next thing that can be done; what it was, in words, or None where nothing was found."""
        return next((done for done in (self._try() for _ in range(ACTS_TRIED)) if done is not None), None)

    def _try(self) -> str | None:
        # A generator of its own for each act: it costs no memory between acts, and what others throw changes nothing.
        rng = random.Random(f"live:{self.world.seed}:{self._acts}")  # noqa: S311 - repeatable on purpose
        self._acts += 1
        self.world.tick()
        record = self.world.primary.records.get(self._open) if self._open is not None else None
        try:
            if record is not None and self._editor is not None:
                return self._continue(record, self._editor, rng)
            act = rng.choices(tuple(_ACTS), tuple(_ACTS.values()))[0]
            return act(self, self._somebody(rng), rng)
        except ApiError:
            self._open = None
            return None

    def edit(self, editor: Editor, rng: random.Random) -> str | None:
        """Open a record, and save it for the first time."""
        record = self._choose(rng, lambda record: True)
        if record is None:
            return None
        self._open, self._editor, self._saves_left = record.id, editor, rng.randint(1, MOST_SAVES)
        return self._continue(record, editor, rng)

    def publish(self, editor: Editor, rng: random.Random) -> str | None:
        """Publish a record that is not published as it is."""
        record = self._choose(rng, lambda record: record.model.draft_mode and record.status != "published")
        if record is None:
            return None
        self.world.publish(editor, record.id)
        return f"{editor.name} published {_name(record)}"

    def plan(self, editor: Editor, rng: random.Random) -> str | None:
        """Plan a publication for the next minutes."""
        record = self._choose(
            rng,
            lambda record: (
                record.model.draft_mode
                and record.status != "published"
                and record.publication_scheduled_at is None
                and record.head.is_valid
            ),
        )
        if record is None:
            return None
        at = (self.world.now() + timedelta(seconds=rng.randint(*PLANNED_SECONDS))).replace(microsecond=0)
        self.world.schedule_publication(editor, record.id, at)
        return f"{editor.name} planned to publish {_name(record)} at {at:%H:%M:%S} UTC"

    def withdraw(self, editor: Editor, rng: random.Random) -> str | None:
        """Unpublish a record."""
        record = self._choose(rng, lambda record: record.model.draft_mode and record.published is not None)
        if record is None or record.model.is_singleton:
            return None
        self.world.unpublish(editor, record.id)
        return f"{editor.name} unpublished {_name(record)}"

    def begin(self, editor: Editor, rng: random.Random) -> str | None:
        """Create a record, and go on writing it."""
        where = self.world.primary
        if len(where.records) >= self._most_records:
            return self.remove(editor, rng)
        models = [
            model
            for model in where.models.values()
            if not model.is_block and not model.is_singleton and not model.tree and has_title(model)
        ]
        if not models:
            return None
        model = rng.choice(models)
        record = self.world.create(editor, model, new_fields(model, where.locales, rng))
        self._open, self._editor, self._saves_left = record.id, editor, rng.randint(1, MOST_SAVES)
        return f"{editor.name} began {_name(record)}"

    def restore(self, editor: Editor, rng: random.Random) -> str | None:
        """Bring an earlier version back."""
        record = self._choose(rng, lambda record: len(record.versions) > 1)
        if record is None:
            return None
        self.world.restore(editor, rng.choice(record.versions[:-1]).id)
        return f"{editor.name} restored an earlier version of {_name(record)}"

    def remove(self, editor: Editor, rng: random.Random) -> str | None:
        """Delete a record, unless that would leave fewer records than there were at first."""
        if len(self.world.primary.records) <= self._least_records:
            return None
        record = self._choose(
            rng, lambda record: has_title(record.model) and not record.model.tree and not record.model.is_singleton
        )
        if record is None:
            return None
        self.world.delete(editor, record.id)
        count = len(record.versions)
        return f"{editor.name} deleted {_name(record)} with its {count} version{'s' if count != 1 else ''}"

    def _continue(self, record: Record, editor: Editor, rng: random.Random) -> str | None:
        """Save the record that is open once more; when that was often enough, publish it or leave it."""
        if self._saves_left > 0:
            self._saves_left -= 1
            changes = changed_fields(record.model, _content(record), self.world.now(), rng)
            if changes:
                name = _name(record)
                self.world.update(editor, record.id, changes)
                return f"{editor.name} changed {name}: {', '.join(changes)}"
        self._open = None
        if record.model.draft_mode and record.status != "published" and rng.random() < PUBLISHED_AFTERWARDS:
            self.world.publish(editor, record.id)
            return f"{editor.name} published {_name(record)}"
        return None

    def _somebody(self, rng: random.Random) -> Editor:
        people = self.world.people.editors.values()
        return rng.choice([one for one in people if one.kind in _WRITING and one.is_active] or [self.world.api])

    def _choose(self, rng: random.Random, fits: Callable[[Record], bool]) -> Record | None:
        """A record at random that *fits*. Only some are looked at: in a large project that has to be quick."""
        records = list(self.world.primary.records.values())
        for record in rng.sample(records, min(RECORDS_TRIED, len(records))):
            if not record.model.is_block and fits(record):
                return record
        return None


_ACTS: Final[Mapping[Callable[[Desk, Editor, random.Random], str | None], int]] = {
    Desk.edit: 50,
    Desk.begin: 14,
    Desk.publish: 10,
    Desk.remove: 10,
    Desk.withdraw: 6,
    Desk.plan: 5,
    Desk.restore: 5,
}
"""What an editor does who has nothing open, and how often of 100 times."""


class LiveEditors(Background):
    """Let editors act on *projects* while the block runs; the list may grow.

    *pace*: acts a minute in each project, on average. *tell* is called with the world and what was done, in words.
    """

    task_name = "live editors"

    def __init__(
        self, projects: Sequence[Project], *, pace: float = PACE, tell: Callable[[World, str], object] | None = None
    ) -> None:
        if pace <= 0:
            raise ValueError(f"editors cannot work at {pace} acts a minute")
        self._projects = projects
        self._pace = pace
        self._tell = tell
        self._desks: list[Desk] = []
        self._rng = random.Random(f"live:{projects[0].world.seed}")  # noqa: S311 - repeatable on purpose

    def act(self) -> None:
        """Let somebody in one of the projects do the next thing."""
        self._desks += [Desk(project.world) for project in self._projects[len(self._desks) :]]
        desk = self._rng.choice(self._desks)
        done = desk.act()
        if done is not None and self._tell is not None:
            self._tell(desk.world, done)

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        due = now()
        while True:
            average = 60.0 / (self._pace * len(self._projects))
            due += min(self._rng.expovariate(1.0 / average), LONGEST_PAUSE * average)
            due = max(due, now() - BEHIND_SECONDS)
            await asyncio.sleep(due - now())
            self.act()


def _content(record: Record) -> dict[str, Json]:
    content: dict[str, Json] = load(record.head.read())
    return content


def _name(record: Record) -> str:
    return name_of(record.model, _content(record), record.id)
