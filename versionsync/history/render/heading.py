"""What a diff compares, in words: the record, and the two versions. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Heading", "Side"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A version in a heading.

    Attributes:
        version_id: Its id, or the beginning of it.
        made_at: When it was made, with the zone.
        editor: Who saved it.
        marks: What it is now: `current`, `live`.
    """

    version_id: str
    made_at: str
    editor: str
    marks: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it in words: `3 March 2026 12:00 UTC, Anna Editor, version a1b2c3d4 (current, live)`."""
        marks = f" ({', '.join(self.marks)})" if self.marks else ""
        return f"{self.made_at}, saved by {self.editor}, version {self.version_id}{marks}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What is compared.

    Attributes:
        title: What the record is called; without a title its model.
        about: Its model and id.
        before: The version before. None: there was none.
        after: The version after. None: there is none.
    """

    title: str
    about: str
    before: Side | None
    after: Side | None
