"""Two contents of a record compared: the diff, what people call what is in it, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Final

from versionsync.history.diff import ContentDiff, json_patch
from versionsync.history.diff.model import Json
from versionsync.history.model import Version
from versionsync.history.moments import in_zone, name_of_zone
from versionsync.history.names import short_id
from versionsync.history.render.as_json import rows_of
from versionsync.history.render.heading import Heading, Side
from versionsync.history.render.view import CONDITIONS, NO_VERSION, DiffView, Filter, view_of
from versionsync.history.render.words import Names

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Comparison"]

_NOTHING: Final[Mapping[str, Json]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What changed between two versions.

    Attributes:
        record_id: The record of the version after; of the version before, if there is none after.
        title: What the version after is called, in the project's main locale.
        before: The version before. None: the record was not there.
        after: The version after. None: the record was not there any more.
        diff: What changed. Fields that were renamed in between have the names of the version after.
        names: The titles of the records, and the labels of the fields and models in it.
        content_before: The content before as it was compared.
        content_after: The content after as it was compared.
        attributes_before: The content before with the names that its fields had.
        attributes_after: The content after with the names that its fields have.
        absences: What to say if there is no version before, or none after.
    """

    source: str
    record_id: str
    model: str
    model_id: str
    title: str | None
    before: Version | None
    after: Version | None
    diff: ContentDiff = field(repr=False)
    names: Names = field(repr=False)
    content_before: Mapping[str, Json] | None = field(repr=False)
    content_after: Mapping[str, Json] | None = field(repr=False)
    attributes_before: Mapping[str, Json] | None = field(repr=False)
    attributes_after: Mapping[str, Json] | None = field(repr=False)
    absences: tuple[str, str] = field(default=NO_VERSION, repr=False)

    def view(self, shows: Filter = Filter.ALL, *, is_short: bool = True) -> DiffView:
        """Return what people see of it.

        Args:
            shows: Which changes to show.
            is_short: Whether to leave out long passages in which nothing changed.
        """
        return view_of(
            self.diff,
            self.names,
            before=self.content_before,
            after=self.content_after,
            model_id=self.model_id,
            shows=shows,
            is_short=is_short,
            absences=self.absences,
        )

    def heading(self, zone: tzinfo, *, in_full: bool = False) -> Heading:
        """Return what is compared, in words; times in this zone, ids `in_full` or their beginnings."""
        return Heading(
            title=self.title or self.model,
            about=f"{self.model} {self.record_id if in_full else short_id(self.record_id)}",
            before=None if self.before is None else _side(self.before, zone, in_full=in_full),
            after=None if self.after is None else _side(self.after, zone, in_full=in_full),
        )

    def rows(self, shows: Filter = Filter.ALL) -> Iterator[dict[str, Any]]:
        """Yield the changes as JSON objects, whose members are named as the columns of `changes` are."""
        return rows_of(
            self.diff.only(*CONDITIONS[shows]),
            self.names,
            source=self.source,
            record_id=self.record_id,
            previous_version_id=self.before.version_id if self.before else None,
            version_id=self.after.version_id if self.after else None,
            created_at=self._created_at,
        )

    def json_patch(self) -> list[dict[str, Json]]:
        """Return the JSON Patch (RFC 6902) that makes the content after of the content before."""
        before = self.attributes_before if self.attributes_before is not None else _NOTHING
        after = self.attributes_after if self.attributes_after is not None else _NOTHING
        return json_patch(before, after)

    @property
    def _created_at(self) -> datetime | None:
        return self.after.created_at if self.after is not None else None


def _side(version: Version, zone: tzinfo, *, in_full: bool) -> Side:
    marks = (("current", version.is_current), ("live", version.is_published))
    return Side(
        version_id=version.version_id if in_full else short_id(version.version_id),
        made_at=f"{in_zone(version.created_at, zone)} {name_of_zone(zone)}",
        editor=version.editor,
        marks=tuple(mark for mark, is_so in marks if is_so),
    )
