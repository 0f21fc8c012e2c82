"""Who makes the simulated news site, and what lies on their desk: people, pictures, and records to link to."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field, replace

from versionsync.simulator.scenarios.news.schema import NewsSchema
from versionsync.simulator.world.people import Editor, EditorKind
from versionsync.simulator.world.uploads import FileFacts, Upload
from versionsync.simulator.world.world import World

__all__ = ["Desk", "Staff", "hire", "take_pictures"]


@dataclass(frozen=True, slots=True)
class Staff:
    """Everybody who ever wrote here; all five kinds of editor are among them."""

    owner: Editor
    """The account."""
    publisher: Editor
    """The organization."""
    importer: Editor
    """An API token."""
    writers: tuple[Editor, ...]
    """Collaborators and single sign-on users."""
    gone: Editor
    """Wrote, and was removed from the project since."""

    @property
    def everybody(self) -> tuple[Editor, ...]:
        """All of them."""
        return (self.owner, self.publisher, self.importer, *self.writers, self.gone)


def hire(world: World) -> Staff:
    """Add the newsroom's people to those whom every world has; `gone` has yet to be removed."""

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
    gone = user("Dora Formerly", "dora@example.com")
    return Staff(world.account, world.organization, world.api, writers, gone)


def take_pictures(world: World, staff: Staff, count: int = 12) -> tuple[Upload, ...]:
    """Fill the media area with *count* files."""
    uploads = world.primary.uploads
    taken = []
    for number in range(1, count + 1):
        name, mime_type = (
            (f"minutes-{number}.pdf", "application/pdf") if number % 6 == 0 else (f"{number}.jpg", "image/jpeg")
        )
        shape = (None, None) if mime_type == "application/pdf" else (1200 + 16 * number, 800)
        file = FileFacts(
            filename=name,
            size=20_000 + 1_234 * number,
            md5=hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(),
            mime_type=mime_type,
            format=name.rpartition(".")[2],
            width=shape[0],
            height=shape[1],
        )
        upload_id = world.ids.new()
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
        uploads[upload.id] = upload
        taken.append(upload)
    world.primary.touch(world.now())
    return tuple(taken)


@dataclass(slots=True)
class Desk:
    """What whoever writes an article has at hand; records are named by their ids."""

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
    """Those that others may link to, the earliest first."""

    def writer(self) -> Editor:
        """Somebody of the newsroom."""
        return self.rng.choice((*self.staff.writers, self.staff.gone))

    def picture(self) -> Upload:
        """A picture of the media area."""
        return self.rng.choice([upload for upload in self.uploads if upload.is_image])

    def of_its_own(self, name: str) -> Desk:
        """The same desk with dice of its own, so that one story's throws do not decide another's."""
        return replace(self, rng=random.Random(f"news:{self.world.seed}:{name}"))  # noqa: S311 - repeatable on purpose
