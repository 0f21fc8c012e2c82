"""What people see of a diff: sections by field and locale, entries by place, passages with what changed in them. Pure.

The terminal and the pages show the same view. It says everything in words; how it looks is up to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, Literal

from versionsync.history.diff.documents import is_document
from versionsync.history.diff.lines import block_model_of
from versionsync.history.diff.members import is_block
from versionsync.history.diff.model import (
    Absent,
    Change,
    ChangeKind,
    ContentDiff,
    Json,
    Operation,
    Restructuring,
    changes_meaning,
    is_not_formatting,
)
from versionsync.history.render.passages import Run, Shown, plain_runs, runs_of, without_long_rests
from versionsync.history.render.places import blocks_around, containers_of, home_in_words, position_in, where_in_words
from versionsync.history.render.words import Names, node_in_words, text_of_node, value_in_words

__all__ = [
    "CONDITIONS",
    "NOT_LIVE",
    "NOT_THERE",
    "NO_VERSION",
    "DiffView",
    "Entry",
    "Filter",
    "Line",
    "Section",
    "block_lines",
    "blocks_in",
    "view_of",
]

_Value = Json | Literal[Absent.ABSENT]
_LIMITED: Final = "limited: too long to compare word by word, so it stands here as removed and added as a whole"


NO_VERSION: Final = "It is the first version", "There is no version after it"
NOT_THERE: Final = "It was not there at the first moment", "It was not there at the second moment"
NOT_LIVE: Final = "It was not live at the first moment", "It was not live at the second moment"
"""What to say of a comparison without a version before, or without one after."""


class Filter(Enum):
    """Which changes to show. The values are public."""

    ALL = "all"
    WITHOUT_FORMATTING = "without_formatting"
    """Without marks and links on the same words."""
    MEANING = "meaning"
    """Only what changed what the content says."""


@dataclass(frozen=True, slots=True)
class Line:
    """A value within a block that was added or removed: the names of the fields that lead to it, and its text."""

    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One place with all that changed there.

    Attributes:
        where: What of the field it is: `block 2 (Quote) › Text`. Empty: the whole value.
        what: What happened, in words: `moved up, from place 4 to 2`, `split into 2 paragraphs`.
        operation: Whether it was added, removed, changed or moved as a whole.
        runs: The text with what changed in it.
        before: The value before in words, if it is no text. None: there is none to show.
        after: The value after in words.
        lines_before: The values in a block that was removed or replaced.
        lines_after: The values in a block that was added or took the place of another one.
        is_limited: The text was too long to compare word by word.
    """

    where: str
    what: tuple[str, ...]
    operation: Operation
    runs: tuple[Run, ...] = ()
    before: str | None = None
    after: str | None = None
    lines_before: tuple[Line, ...] = ()
    lines_after: tuple[Line, ...] = ()
    is_limited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What changed in one field and locale of the record."""

    label: str
    field: str
    locale: str | None
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffView:
    """A diff for people.

    Attributes:
        sections: In the order of the fields.
        notes: What concerns the whole: a new locale, no content before.
        hidden: How many changes the filter hides.
        limited: How many entries are limited.
    """

    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    words_added: int
    words_removed: int
    hidden: int
    limited: int


def view_of(
    diff: ContentDiff,
    names: Names,
    *,
    before: Mapping[str, Json] | None = None,
    after: Mapping[str, Json] | None = None,
    model_id: str | None = None,
    shows: Filter = Filter.ALL,
    is_short: bool = True,
    absences: tuple[str, str] = NO_VERSION,
) -> DiffView:
    """Return what people see of a diff.

    Args:
        diff: The diff.
        names: What people call records, models and fields.
        before: The content before, as it was compared. None: there was none.
        after: The content after, as it was compared.
        model_id: The model of the record.
        shows: Which changes to show.
        is_short: Whether to leave out long passages in which nothing changed.
        absences: What to say if there is no content before, or none after.
    """
    shown = diff.only(*CONDITIONS[shows])
    builder = _Builder(names, before or {}, after or {}, model_id, shows, is_short)
    sections = tuple(
        Section(
            label=names.field(model_id, record_field),
            field=record_field,
            locale=locale,
            entries=tuple(builder.entries(changes)),
        )
        for (record_field, locale), changes in _by_section(shown).items()
    )
    return DiffView(
        sections=sections,
        notes=tuple(_notes(diff, before, after, names, model_id, absences)),
        words_added=sum(change.words_added for change in shown),
        words_removed=sum(change.words_removed for change in shown),
        hidden=len(diff.changes) - len(shown),
        limited=sum(entry.is_limited for section in sections for entry in section.entries),
    )


CONDITIONS: Final[dict[Filter, tuple[Callable[[Change], bool], ...]]] = {
    Filter.ALL: (),
    Filter.WITHOUT_FORMATTING: (is_not_formatting,),
    Filter.MEANING: (changes_meaning,),
}
"""What a change must meet to be shown."""


def _by_section(changes: Iterable[Change]) -> dict[tuple[str, str | None], list[Change]]:
    sections: dict[tuple[str, str | None], list[Change]] = {}
    for change in changes:
        sections.setdefault((change.place.record_field, change.place.locale), []).append(change)
    return sections


def _notes(
    diff: ContentDiff,
    before: Mapping[str, Json] | None,
    after: Mapping[str, Json] | None,
    names: Names,
    model_id: str | None,
    absences: tuple[str, str],
) -> Iterator[str]:
    if diff.operation is Operation.ADDED:
        yield f"{absences[0]}: all of it is new."
        return
    if diff.operation is Operation.REMOVED:
        yield f"{absences[1]}: all of it is gone."
        return
    old, new = (_locales_of(content or {}, names, model_id) for content in (before, after))
    for locale in [*new, *(locale for locale in old if locale not in new)]:
        if locale not in old and old:
            yield f"Locale {locale} was added."
        elif locale not in new and new:
            yield f"Locale {locale} was removed."


def _locales_of(content: Mapping[str, Json], names: Names, model_id: str | None) -> dict[str, None]:
    """The locales of the localized fields of a content."""
    found: dict[str, None] = {}
    for api_key, one in names.schema.of_model(model_id).items():
        value = content.get(api_key)
        if one.is_localized and isinstance(value, dict):
            found.update(dict.fromkeys(value))
    return found


@dataclass(frozen=True, slots=True)
class _Builder:
    """Makes entries of changes. Changes with the same places are one entry."""

    names: Names
    before: Mapping[str, Json]
    after: Mapping[str, Json]
    model_id: str | None
    shows: Filter
    is_short: bool

    def entries(self, changes: Sequence[Change]) -> Iterator[Entry]:
        places: dict[object, list[Change]] = {}
        for change in changes:
            place = change.place
            key = (place.block_path, place.field, place.member, change.sources, change.targets)
            places.setdefault(key, []).append(change)
        for here in places.values():
            yield self._entry(here)

    def _entry(self, changes: Sequence[Change]) -> Entry:
        first = changes[0]
        is_limited = any(change.is_limited for change in changes)
        what = [words for change in changes if (words := self._what(change))]
        parts = _Parts()
        spans = next((change.spans for change in changes if change.spans), ())
        if spans:
            runs = runs_of(spans, self.names, shows_formatting=self.shows is Filter.ALL)
            parts.runs = without_long_rests(runs, is_limited=is_limited) if self.is_short else runs
            self._add_blocks(parts, first)
        else:
            self._add_values(parts, first)
        return Entry(
            where=self._where(changes),
            what=(*what, *([_LIMITED] if is_limited else [])),
            operation=first.operation,
            runs=tuple(parts.runs),
            before=parts.before,
            after=parts.after,
            lines_before=tuple(parts.lines_before),
            lines_after=tuple(parts.lines_after),
            is_limited=is_limited,
        )

    def _where(self, changes: Sequence[Change]) -> str:
        change = changes[0]
        is_removed = not change.targets or change.moved_to is not None
        content, paths = (self.before, change.sources) if is_removed else (self.after, change.targets)
        path = paths[0] if paths else ()
        value = change.before if is_removed else change.after
        is_retyped = any(one.restructuring is Restructuring.RETYPED for one in changes)
        around = blocks_around(content, path)
        return where_in_words(change.place, path, around, value, self.names, names_node=not is_retyped)

    def _what(self, change: Change) -> str:
        """Return what happened, in words; nothing where the text shows it."""
        if change.kind is ChangeKind.FORMATTING:
            return "formatting"
        moved = self._moved(change) if change.operation is Operation.MOVED else ""
        return " and ".join(filter(None, (moved, self._restructured(change))))

    def _moved(self, change: Change) -> str:
        locale = change.place.locale
        for word, place, content, paths in (
            ("to", change.moved_to, self.after, change.targets),
            ("from", change.moved_from, self.before, change.sources),
        ):
            if place is not None:
                home = home_in_words(place, paths[0], content, self.model_id, self.names, locale=locale)
                return f"moved {word} {home}"
        if change.sources and change.targets:
            one, other = position_in(change.sources[0]), position_in(change.targets[0])
            if one is not None and other is not None and one != other:
                return f"moved {'up' if other < one else 'down'}, from place {one} to {other}"
        return "moved"

    def _restructured(self, change: Change) -> str:
        if change.kind is not ChangeKind.STRUCTURE:
            return ""
        before, after = change.before, change.after
        match change.restructuring:
            case Restructuring.SPLIT:
                return f"split into {_number(after)}" if isinstance(after, list) else "split"
            case Restructuring.MERGED:
                return f"{_number(before)} merged into one" if isinstance(before, list) else "merged"
            case Restructuring.REDIVIDED:
                return "divided at other places"
            case Restructuring.REPLACED:
                return "replaced"
            case Restructuring.RETYPED:
                return self._retyped(change)
        return change.operation.value if change.operation in (Operation.ADDED, Operation.REMOVED) else ""

    def _retyped(self, change: Change) -> str:
        if isinstance(change.before, dict) and change.before.get("type") == "root":
            return "in other lists or quotes"
        before, after = node_in_words(change.before, self.names), node_in_words(change.after, self.names)
        one = _nearest(containers_of(self.before, change.sources[0])) if change.sources else None
        other = _nearest(containers_of(self.after, change.targets[0])) if change.targets else None
        if one == other:
            return f"{before} became {after}"
        if one is None:
            return f"{before} became {other}" if before == after else f"{before} became {after} in a {other}"
        return f"{one} became {other or after}"

    def _add_values(self, parts: _Parts, change: Change) -> None:
        """Show values that are no texts."""
        if change.kind is ChangeKind.STRUCTURE or blocks_in(change.before) or blocks_in(change.after):
            self._add_blocks(parts, change)
            if parts.lines_before or parts.lines_after:
                return
            if change.operation in (Operation.MOVED, Operation.CHANGED):
                value = change.before if change.moved_to is not None else change.after
                blocks = "; ".join(value_in_words(one, None, self.names) for one in blocks_in(value))
                text = text_of_node(value) or blocks or self._in_words(value, change)
                is_document = isinstance(value, dict) and "children" in value and not text.strip("–")
                if not is_document and _is_shown(change):
                    runs = without_long_rests(plain_runs(text)) if self.is_short else plain_runs(text)
                    parts.runs = [replace(run, shown=_side_of(change)) for run in runs]
                return
        if change.operation is Operation.MOVED:
            parts.after = self._in_words(change.after, change)
            return
        if change.operation is not Operation.ADDED:
            parts.before = self._in_words(change.before, change)
        if change.operation is not Operation.REMOVED:
            parts.after = self._in_words(change.after, change)

    def _add_blocks(self, parts: _Parts, change: Change) -> None:
        """Show what is in the blocks of a value that was added, removed or replaced."""
        if change.operation is Operation.MOVED or (
            change.operation is Operation.CHANGED and change.restructuring is not Restructuring.REPLACED
        ):
            if change.operation is Operation.MOVED and (blocks := blocks_in(change.after)):
                parts.runs = plain_runs("; ".join(value_in_words(one, None, self.names) for one in blocks))
            return
        parts.lines_before += _lines_of(change.before, self.names)
        parts.lines_after += _lines_of(change.after, self.names)

    def _in_words(self, value: _Value, change: Change) -> str:
        place = change.place
        field_type = self.names.field_type(place.model_id, place.field)
        member = place.member[-1] if place.member else None
        if field_type in ("file", "gallery") and isinstance(member, str) and member != "upload_id":
            field_type = None
        if field_type == "seo" and member == "image":
            field_type = "file"
        if isinstance(value, dict) and isinstance(value.get("type"), str) and "document" not in value:
            return value_in_words(value, field_type, self.names) if is_block(value) else self._node(value)
        return value_in_words(value, field_type, self.names)

    def _node(self, node: dict[str, Json]) -> str:
        text = text_of_node(node)
        return f"{node_in_words(node, self.names)}: {text}" if text else node_in_words(node, self.names)


@dataclass(slots=True)
class _Parts:
    """What an entry shows."""

    runs: list[Run] = field(default_factory=list)
    before: str | None = None
    after: str | None = None
    lines_before: list[Line] = field(default_factory=list)
    lines_after: list[Line] = field(default_factory=list)


def _number(nodes: Sequence[Json]) -> str:
    """Return the number of some nodes that were split or merged, in words."""
    types = {node.get("type") if isinstance(node, dict) else None for node in nodes}
    return f"{len(nodes)} paragraphs" if types == {"paragraph"} else str(len(nodes))


def _nearest(containers: Sequence[str]) -> str | None:
    """Return what the innermost container makes of a paragraph in it."""
    return {"listItem": "list item", "blockquote": "quote"}.get(containers[-1]) if containers else None


def _is_shown(change: Change) -> bool:
    """Return whether the words say more than the structure does; a whole document does not."""
    return not (isinstance(change.after, dict) and change.after.get("type") in ("root", "list", "blockquote"))


def _side_of(change: Change) -> Shown:
    """Return where a block that was moved is shown: if its list is another one now, on one side only."""
    if change.moved_to is not None:
        return Shown.TOGETHER | Shown.BEFORE
    return Shown.TOGETHER | Shown.AFTER if change.moved_from is not None else Shown.ALL


def blocks_in(value: _Value) -> list[Json]:
    """Return the blocks that a value is or holds, but not those within them."""
    if is_block(value):
        return [value]
    if isinstance(value, list):
        return [block for one in value for block in blocks_in(one)]
    if isinstance(value, dict):
        if is_document(value):
            return blocks_in(value["document"]["children"])
        if value.get("type") in ("block", "inlineBlock"):
            return blocks_in(value.get("item"))
        return blocks_in(value.get("children"))
    return []


def _lines_of(value: _Value, names: Names) -> list[Line]:
    """Return the values in the blocks of a value. One block alone is named by the place of the entry."""
    blocks = blocks_in(value)
    is_named = isinstance(value, dict) and not is_document(value)
    return [line for one in blocks for line in block_lines(one, names, "" if is_named else None)]


def block_lines(block: Json, names: Names, above: str | None) -> Iterator[Line]:
    """Yield the values in a block, in the order of its fields; those of the blocks in it after them.

    Args:
        block: The block.
        names: What people call models and fields.
        above: What stands before the names of its fields. None: the name of its model.
    """
    model_id = block_model_of(block)
    fields = names.schema.of_model(model_id)
    model = names.model(model_id) or "block"
    above = f"{model} › " if above is None else above
    values = block["attributes"]
    ordered = [*(key for key in fields if key in values), *sorted(values.keys() - fields.keys())]
    is_empty = True
    for api_key in ordered:
        one = fields.get(api_key)
        label = above + names.field(model_id, api_key)
        for locale, value in _by_locale(one is not None and one.is_localized, values[api_key]):
            inner = blocks_in(value)
            if not inner or is_document(value):
                words = value_in_words(value, one.field_type if one is not None else None, names)
                if words != "–":
                    is_empty = False
                    yield Line(label + (f" ({locale})" if locale else ""), words)
            for block_in_it in inner:
                is_empty = False
                inner_model = names.model(block_model_of(block_in_it)) or "block"
                yield from block_lines(block_in_it, names, f"{label} › {inner_model} › ")
    if is_empty:
        yield Line(model, "empty")


def _by_locale(is_localized: bool, value: Json) -> list[tuple[str | None, Json]]:
    return list(value.items()) if is_localized and isinstance(value, dict) else [(None, value)]
