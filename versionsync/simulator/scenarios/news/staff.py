"""The people of the news site, its pictures, and the records that articles link to."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from versionsync.simulator.scenarios.news.schema import NewsSchema
from versionsync.simulator.world.people_roles_tokens import Editor, EditorKind
from versionsync.simulator.world.uploads import FileFacts, Upload
from versionsync.simulator.world.world import World

__all__ = ["Newsroom", "Staff", "hire", "take_pictures"]


@dataclass(frozen=True, slots=True)
class Staff:
    """Everyone who ever wrote here, with all five kinds of editor."""

    owner: Editor
    """The account."""
    publisher: Editor
    """The organization."""
    importer: Editor
    """An API token."""
    writers: tuple[Editor, ...]
    """Collaborators and single sign-on users."""
    former: Editor
    """Wrote, and was removed from the project later."""


def hire(world: World) -> Staff:
    """Add the people of the newsroom to those of every world; the caller removes `former` later."""

    def user(name: str, email: str, *, is_active: bool = True) -> Editor:
        known = world.user
        return world.people.add(Editor(EditorKind.USER, world.ids.number(), name, email, known.role_id, is_active))

    writers = (
        world.user,
        world.sso_user,
        user("Giulia Ferrè", "giulia@example.com"),
        user("ليلى حداد", "leila@example.com"),
        user("Søren Ødegård 🌊", "soren@example.com", is_active=False),
    )
    former = user("Dora Formerly", "dora@example.com")
    return Staff(world.account, world.organization, world.api, writers, former)


def take_pictures(world: World, staff: Staff, count: int = 12) -> tuple[Upload, ...]:
    """Fill the media area with *count* files."""
    taken = []
    for number in range(1, count + 1):
        is_document, upload_id = number % 6 == 0, world.ids.new()
        name = f"minutes-{number}.pdf" if is_document else f"{number}.jpg"
        file = FileFacts(
            filename=name,
            size=20_000 + 1_234 * number,
            md5=hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(),
            mime_type="application/pdf" if is_document else "image/jpeg",
            format=name.rpartition(".")[2],
            width=None if is_document else 1200 + 16 * number,
            height=None if is_document else 800,
        )
        upload = Upload(
            id=upload_id,
            path=f"/{world.project_id}/{upload_id}-{name}",
            file=file,
            creator=staff.writers[number % len(staff.writers)].ref,
            created_at=world.now(),
            updated_at=world.now(),
            author="Giulia Ferrè",
            tags=("archive",) if number % 3 == 0 else (),
        )
        world.primary.uploads[upload_id] = upload
        taken.append(upload)
    world.primary.touch(world.now())
    return tuple(taken)


@dataclass(slots=True)
class Newsroom:
    """What an author of an article needs; records are named by their ids."""

    world: World
    schema: NewsSchema
    staff: Staff
    uploads: tuple[Upload, ...]
    rng: random.Random
    authors: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    homepage: str = ""
    articles: list[str] = field(default_factory=list)
    """The articles that were published, the earliest first."""
    passing: set[str] = field(default_factory=set)
    """Those of them that are withdrawn later: a published record could not keep a link to one."""

    def serializer(self) -> Editor:
        """Return a random writer."""
        return self.rng.choice((*self.staff.writers, self.staff.former))

    def picture(self) -> Upload:
        """Return a random picture of the media area."""
        return self.rng.choice([upload for upload in self.uploads if upload.is_image])

    def lasting(self, articles: Sequence[str]) -> list[str]:
        """Return those of *articles* that others may link to."""
        return [one for one in articles if one not in self.passing]

    def with_own_random(self, name: str) -> Newsroom:
        """Return the same newsroom with its own random generator, so that stories do not affect each other."""
        return replace(self, rng=random.Random(f"news:{self.world.seed}:{name}"))  # noqa: S311 - repeatable on purpose
