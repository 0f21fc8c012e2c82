"""What a diff consists of: changes, each with its place, its kind and its value before and after. Pure data.

A diff is complete: `apply` makes the content after from the content before with nothing but the diff. What differs
without a change that an editor could see is kept apart, in `respellings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final, Literal, TypeAlias

__all__ = [
    "ABSENT",
    "Absent",
    "Change",
    "ChangeKind",
    "ContentDiff",
    "Json",
    "Kept",
    "Operation",
    "Outline",
    "Path",
    "Place",
    "Restructuring",
    "Span",
    "SpanOperation",
    "changes_meaning",
    "is_not_formatting",
    "pointer",
]

Json: TypeAlias = Any
"""A value as `versionsync.ledger.content.parse_value` returns it: numbers that Python would round are `msgspec.Raw`."""

Path: TypeAlias = tuple[str | int, ...]
"""Where a value is in a content: names of members and positions in lists, from the outermost on."""


class Absent(Enum):
    """The type of `ABSENT`: there is no value, not even null."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent.ABSENT


class ChangeKind(StrEnum):
    """What a change is about. The values are public."""

    TEXT = "text"
    """Other words."""
    FORMATTING = "formatting"
    """Other marks or links on the same words."""
    ATTRIBUTE = "attribute"
    """Another number, date, colour, place, setting or member."""
    STRUCTURE = "structure"
    """Blocks or paragraphs that were added, removed, moved, split, merged, or turned into another type."""
    REFERENCE = "reference"
    """Another record or file."""


class Operation(StrEnum):
    """What happened to the value. Null, an empty text and an empty list count as no value. The values are public."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


class Restructuring(StrEnum):
    """What happened to a paragraph or block whose change of structure is no other operation."""

    SPLIT = "split"
    MERGED = "merged"
    REDIVIDED = "redivided"
    """The borders between some paragraphs are elsewhere."""
    RETYPED = "retyped"
    """It is of another type now: a paragraph became a heading, or part of a list."""
    REPLACED = "replaced"
    """Another block is in its place."""


class SpanOperation(StrEnum):
    """What happened to a passage of text."""

    EQUAL = "equal"
    ADDED = "added"
    REMOVED = "removed"
    FORMATTED = "formatted"
    """The same words with other marks or another link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a change is, for people and for tables.

    A change within a block has the block's own field in `field`, and the field of the record that holds the outermost
    block in `record_field`. Elsewhere the two are the same.
    """

    field: str
    """API key of the innermost field, as in the content."""
    field_id: str | None
    """None: the schema does not know the field."""
    record_field: str
    record_field_id: str | None
    locale: str | None = None
    """The innermost locale; None: nothing on the way is localized."""
    block_path: tuple[str, ...] = ()
    """Ids of the blocks around the field, outermost first."""
    model_id: str | None = None
    """Model of the innermost block, or of the record."""
    member: Path = ()
    """What of the value: `("title",)` of an SEO value, a position in a list, positions of nodes in a document."""

    @property
    def block_id(self) -> str | None:
        """The innermost block."""
        return self.block_path[-1] if self.block_path else None


@dataclass(frozen=True, slots=True)
class Span:
    """A passage of a text that has one style, or one node within a text that is no text.

    The spans of a change, in order, are the text before without those that are added, and the text after without
    those that are removed.
    """

    operation: SpanOperation
    text: str
    """Empty for a node."""
    marks: frozenset[str] = frozenset()
    """Marks of the text after; of the text before if the span is removed."""
    link: str | None = None
    """URL of the link around the text."""
    record_id: str | None = None
    """The record that the link around the text, or the node, points to."""
    node: Json = None
    """The node, such as an inline block; None: it is text."""
    marks_before: frozenset[str] | None = None
    """Marks of the text before, if the span is formatted; None: it is not."""
    link_before: str | None = None
    record_id_before: str | None = None
    is_border: bool = False
    """The border between two paragraphs; its text is a line break."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change at one place.

    `before` and `after` are the whole values at the places that `sources` and `targets` name: the value of a field or
    member, an element of a list, a node of a document. If it was split, `after` is the list of its parts; if it was
    merged, `before` is. A paragraph whose words and marks changed has two changes with the same values. So has a block
    that was moved to another list or field: one change at its place before, with `moved_to`, and one at its place
    after, with `moved_from`.
    """

    place: Place
    kind: ChangeKind
    operation: Operation
    before: Json | Literal[Absent.ABSENT]
    after: Json | Literal[Absent.ABSENT]
    sources: tuple[Path, ...] = ()
    """Where it was in the content before; none if it was not, more than one if parts were merged."""
    targets: tuple[Path, ...] = ()
    """Where it is in the content after; none if it is not, more than one if it was split."""
    restructuring: Restructuring | None = None
    spans: tuple[Span, ...] = ()
    """The text with what changed in it; empty if the value is no text."""
    words_added: int = 0
    words_removed: int = 0
    is_limited: bool = False
    """The text is too long to compare word by word: passages of it are shown as removed and added as a whole."""
    moved_to: Place | None = None
    """Where the block is now, if it was moved out of this list or field."""
    moved_from: Place | None = None
    """Where the block was, if it was moved into this list or field from another one."""

    @property
    def block_id(self) -> str | None:
        """The block that was added, removed, moved or replaced; of other changes the innermost block around."""
        if self.kind is ChangeKind.STRUCTURE:
            for value in (self.after, self.before):
                if isinstance(value, dict):
                    block = value.get("item") if value.get("type") in ("block", "inlineBlock") else value
                    if isinstance(block, dict) and block.get("type") == "item" and isinstance(block.get("id"), str):
                        return str(block["id"])
        return self.place.block_id


@dataclass(frozen=True, slots=True)
class Kept:
    """Stands for a line that was in the document before, at `path` from its root. Other changes may concern it."""

    path: Path


@dataclass(frozen=True, slots=True)
class Outline:
    """The shape of a document whose paragraphs or blocks are not where they were.

    `tree` is the document after, with a `Kept` in place of each paragraph or block that was there before. ABSENT
    stands in place of those that a change adds, splits or merges. `path` is the place of the document in the content
    before.
    """

    path: Path
    tree: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentDiff:
    """What changed between two contents. It is false if nothing did."""

    changes: tuple[Change, ...] = ()
    """In the order of the fields, and within a field in the order of the text."""
    operation: Operation | None = None
    """ADDED: there was no content before; REMOVED: there is none after; CHANGED; None: nothing changed."""
    respellings: tuple[Change, ...] = ()
    """What is the same in other words: an instant in another zone, spans cut otherwise, a block with another id."""
    outlines: tuple[Outline, ...] = ()
    is_limited: bool = False
    """Some change is limited."""

    def __bool__(self) -> bool:
        return bool(self.changes) or self.operation in (Operation.ADDED, Operation.REMOVED)

    def only(self, *conditions: Callable[[Change], bool]) -> tuple[Change, ...]:
        """Return the changes that meet all conditions, such as `is_not_formatting`. What is left cannot be applied."""
        return tuple(change for change in self.changes if all(condition(change) for condition in conditions))

    @property
    def words_added(self) -> int:
        """Words added, over all changes."""
        return sum(change.words_added for change in self.changes)

    @property
    def words_removed(self) -> int:
        """Words removed, over all changes."""
        return sum(change.words_removed for change in self.changes)


def is_not_formatting(change: Change) -> bool:
    """Return whether more than marks and links changed: the filter "hide formatting"."""
    return change.kind is not ChangeKind.FORMATTING


def changes_meaning(change: Change) -> bool:
    """Return whether the content says something else: the filter "only what changed meaning".

    Formatting does not, nor does a block or paragraph that was moved, split, merged or retyped with the same words.
    """
    if change.kind is ChangeKind.STRUCTURE:
        return change.operation is not Operation.MOVED and change.restructuring in (None, Restructuring.REPLACED)
    return change.kind is not ChangeKind.FORMATTING and change.operation is not Operation.MOVED


def pointer(path: Iterable[str | int]) -> str:
    """Return `path` as a JSON Pointer (RFC 6901): `/body/en/document/children/3`."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
