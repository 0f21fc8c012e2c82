"""Compare the values of a field by its type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from versionsync.history.diff.alignment import heaviest_chain
from versionsync.history.diff.documents import compare_documents, is_document, text_of
from versionsync.history.diff.equality import is_empty, is_same, is_same_deep, is_same_instant, key_of
from versionsync.history.diff.findings import Findings, Spot
from versionsync.history.diff.lines import Line, LineSort, block_id_of, block_model_of
from versionsync.history.diff.matching import match_lines
from versionsync.history.diff.members import compare_json, compare_members, compare_plain_texts, is_block, operation_of
from versionsync.history.diff.model import ABSENT, Absent, ChangeKind, Json, Operation, Restructuring
from versionsync.history.diff.texts import Text, compare_texts
from versionsync.history.diff.tokens import words_in
from versionsync.ledger.content import ContentError, parse_value

__all__ = ["TEXT_TYPES", "compare_if_documents", "compare_value"]

_Value = Json | Literal[Absent.ABSENT]

TEXT_TYPES: Final = frozenset({"slug", "string", "text"})
_SEO_MEMBERS: Final = {"title": ChangeKind.TEXT, "description": ChangeKind.TEXT, "image": ChangeKind.REFERENCE}
_FILE_MEMBERS: Final = {"upload_id": ChangeKind.REFERENCE, "alt": ChangeKind.TEXT, "title": ChangeKind.TEXT}
_KINDS_OF_WHOLE: Final = {
    "file": ChangeKind.REFERENCE,
    "gallery": ChangeKind.REFERENCE,
    "link": ChangeKind.REFERENCE,
    "links": ChangeKind.REFERENCE,
    "rich_text": ChangeKind.STRUCTURE,
    "single_block": ChangeKind.STRUCTURE,
}
"""The kinds of change of a value that was added or removed, or is not what its type says."""


def compare_value(findings: Findings, field_type: str | None, before: _Value, after: _Value, spot: Spot) -> None:
    """Compare two values of a field that differ.

    Args:
        findings: Takes what differs.
        field_type: DatoCMS's name of the type; None, or a name that is unknown here: compared as JSON.
        before: The value before; no locales any more.
        after: The value after.
        spot: Where the values are.
    """
    if is_empty(before) and is_empty(after):
        findings.respell(before, after, spot)
        return
    comparer = _COMPARERS.get(field_type or "")
    if field_type in TEXT_TYPES and _is_text(before) and _is_text(after):
        compare_plain_texts(findings, before, after, spot)
    elif comparer is not None and (
        (not is_empty(before) and not is_empty(after)) or (isinstance(before, list) and isinstance(after, list))
    ):
        comparer(findings, before, after, spot)
    elif is_document(before) or is_document(after):
        if not compare_if_documents(findings, before, after, spot):
            _whole_document(findings, before, after, spot)
    elif field_type in _KINDS_OF_WHOLE:
        _whole(findings, _KINDS_OF_WHOLE[field_type], before, after, spot)
    elif field_type == "seo":
        _whole(findings, ChangeKind.ATTRIBUTE, before, after, spot)
    else:
        # A text of an unknown type is compared as words; of a known one it is a value.
        is_known = field_type in _VALUE_TYPES
        compare_json(findings, before, after, spot, kind=ChangeKind.ATTRIBUTE if is_known else ChangeKind.TEXT)


def compare_if_documents(findings: Findings, before: _Value, after: _Value, spot: Spot) -> bool:
    """Compare two values if both are structured texts; return whether they are."""
    if not is_document(before) or not is_document(after):
        return False
    compare_documents(findings, before, after, spot)
    return True


def _is_text(value: _Value) -> bool:
    return isinstance(value, str) or value is None or value is ABSENT


def _whole(findings: Findings, kind: ChangeKind, before: _Value, after: _Value, spot: Spot) -> None:
    """Note that a value was added, removed or replaced as a whole."""
    findings.add(
        kind,
        operation_of(before, after),
        before,
        after,
        spot,
        words_added=_words(findings, after),
        words_removed=_words(findings, before),
    )


def _words(findings: Findings, value: _Value) -> int:
    """The words in a value: in its blocks, or in the texts that are its members."""
    if value is ABSENT:
        return 0
    match value:
        case {"type": "item", "attributes": dict()}:
            return findings.words_of(value)
        case list():
            return sum(_words(findings, one) for one in value)
        case {"title": title}:
            return words_in(
                [text for text in (title, value.get("description"), value.get("alt")) if isinstance(text, str)]
            )
    return 0


def _whole_document(findings: Findings, before: _Value, after: _Value, spot: Spot) -> None:
    """Note that a structured text was added or removed, or replaces another value."""
    text_a, blocks_a = text_of(before) if is_document(before) else (Text(""), [])
    text_b, blocks_b = text_of(after) if is_document(after) else (Text(""), [])
    diff = compare_texts(text_a, text_b)
    findings.add(
        ChangeKind.TEXT,
        operation_of(before, after),
        before,
        after,
        spot,
        spans=diff.spans,
        words_added=diff.words_added + sum(map(findings.words_of, blocks_b)),
        words_removed=diff.words_removed + sum(map(findings.words_of, blocks_a)),
    )


def _date_times(findings: Findings, before: Json, after: Json, spot: Spot) -> None:
    if is_same_instant(before, after):
        findings.respell(before, after, spot)
    else:
        findings.add(ChangeKind.ATTRIBUTE, Operation.CHANGED, before, after, spot)


def _plain(findings: Findings, before: Json, after: Json, spot: Spot) -> None:
    if is_same_deep(before, after):
        return
    findings.add(ChangeKind.ATTRIBUTE, Operation.CHANGED, before, after, spot)


def _reference(findings: Findings, before: Json, after: Json, spot: Spot) -> None:
    findings.add(ChangeKind.REFERENCE, Operation.CHANGED, before, after, spot)


def _json_text(findings: Findings, before: Json, after: Json, spot: Spot) -> None:
    """Compare the values of a JSON field: a text that holds JSON, compared by member."""
    if not isinstance(before, str) or not isinstance(after, str):
        compare_json(findings, before, after, spot)
        return
    try:
        a, b = parse_value(before.encode()), parse_value(after.encode())
    except (ContentError, UnicodeEncodeError):
        findings.add(ChangeKind.ATTRIBUTE, Operation.CHANGED, before, after, spot)
        return
    # The members show what changed; the text as it is spelled is kept beside them.
    findings.respell(before, after, spot)
    if not is_same(a, b):
        compare_json(findings, a, b, spot)


def _by_members(kinds: Mapping[str, ChangeKind], whole: ChangeKind) -> Callable[[Findings, Json, Json, Spot], None]:
    def compare(findings: Findings, before: Json, after: Json, spot: Spot) -> None:
        if isinstance(before, dict) and isinstance(after, dict):
            compare_members(findings, before, after, spot, kinds=kinds)
        else:
            _whole(findings, whole, before, after, spot)

    return compare


_files: Final = _by_members(_FILE_MEMBERS, ChangeKind.REFERENCE)


def _galleries(findings: Findings, before: Json, after: Json, spot: Spot) -> None:
    def key(value: Json) -> object:
        upload = value.get("upload_id") if isinstance(value, dict) else None
        return upload if isinstance(upload, str) else key_of(value)

    if isinstance(before, list) and isinstance(after, list):
        _keyed_lists(findings, before, after, [key(one) for one in before], [key(one) for one in after], spot)
    else:
        _whole(findings, ChangeKind.REFERENCE, before, after, spot)


def _links(findings: Findings, before: Json, after: Json, spot: Spot) -> None:
    if isinstance(before, list) and isinstance(after, list):
        keys = [[one if isinstance(one, str) else key_of(one) for one in side] for side in (before, after)]
        _keyed_lists(findings, before, after, keys[0], keys[1], spot)
    else:
        _whole(findings, ChangeKind.REFERENCE, before, after, spot)


def _keyed_lists(
    findings: Findings,
    before: list[Json],
    after: list[Json],
    keys_a: Sequence[object],
    keys_b: Sequence[object],
    spot: Spot,
) -> None:
    """Compare two lists of references, matched by their keys."""
    places = {key: j for j, key in enumerate(_numbered(keys_b))}
    pairs = [(i, j, 1) for i, key in enumerate(_numbered(keys_a)) if (j := places.get(key)) is not None]
    staying = set(heaviest_chain(pairs))
    kept = {i for i, _, _ in pairs}
    for i, value in enumerate(before):
        if i not in kept:
            findings.add(ChangeKind.REFERENCE, Operation.REMOVED, value, ABSENT, spot.member(i))
    source_of = {j: (index, i) for index, (i, j, _) in enumerate(pairs)}
    for j, value in enumerate(after):
        if j not in source_of:
            findings.add(ChangeKind.REFERENCE, Operation.ADDED, ABSENT, value, spot.member(j))
            continue
        index, i = source_of[j]
        at = spot.member(i, j)
        if index not in staying:
            findings.add(ChangeKind.REFERENCE, Operation.MOVED, before[i], value, at)
        if not is_same(before[i], value):
            _files(findings, before[i], value, at)


def _numbered(keys: Sequence[object]) -> list[tuple[object, int]]:
    """Make keys unique: the second one of a kind has the number 1."""
    seen: dict[object, int] = {}
    numbered = []
    for key in keys:
        number = seen.get(key, 0)
        seen[key] = number + 1
        numbered.append((key, number))
    return numbered


def _modular(findings: Findings, before: Json, after: Json, spot: Spot) -> None:
    """Compare modular content: lists of blocks."""
    if not isinstance(before, list) or not isinstance(after, list):
        _whole(findings, ChangeKind.STRUCTURE, before, after, spot)
        return
    lines_a, lines_b = _block_lines(before), _block_lines(after)
    for group in match_lines(lines_a, lines_b, findings.are_strangers):
        if not group.before:
            (j,) = group.after
            words = _words(findings, after[j])
            findings.add(ChangeKind.STRUCTURE, Operation.ADDED, ABSENT, after[j], spot.member(j), words_added=words)
        elif not group.after:
            (i,) = group.before
            words = _words(findings, before[i])
            findings.add(
                ChangeKind.STRUCTURE, Operation.REMOVED, before[i], ABSENT, spot.member(i), words_removed=words
            )
        else:
            i, j = group.before[0], group.after[0]
            if group.is_moved:
                findings.add(ChangeKind.STRUCTURE, Operation.MOVED, before[i], after[j], spot.member(i, j))
            if not is_same(before[i], after[j]):
                findings.compare_block(findings, before[i], after[j], spot.member(i, j))


def _block_lines(blocks: list[Json]) -> list[Line]:
    return [
        Line(LineSort.BLOCK, "", (index,), {"item": block}, (), key=key_of(block), identity=block_id_of(block))
        for index, block in enumerate(blocks)
    ]


def _single_blocks(findings: Findings, before: Json, after: Json, spot: Spot) -> None:
    """Compare two single blocks: the same one, one with the same content, or another one."""
    if block_id_of(before) == block_id_of(after):
        findings.compare_block(findings, before, after, spot)
        return
    lines_a, lines_b = _block_lines([before]), _block_lines([after])
    if is_block(before) and is_block(after) and block_model_of(before) == block_model_of(after):
        (group, *others) = match_lines(lines_a, lines_b, findings.are_strangers)
        if not others and group.before and group.after:
            findings.compare_block(findings, before, after, spot)
            return
    findings.add(
        ChangeKind.STRUCTURE,
        Operation.CHANGED,
        before,
        after,
        spot,
        words_added=_words(findings, after),
        words_removed=_words(findings, before),
        restructuring=Restructuring.REPLACED,
    )


def _structured(findings: Findings, before: Json, after: Json, spot: Spot) -> None:
    if not compare_if_documents(findings, before, after, spot):
        _whole_document(findings, before, after, spot)


_COMPARERS: Final[dict[str, Callable[[Findings, Json, Json, Spot], None]]] = {
    "boolean": _plain,
    "color": _plain,
    "date": _plain,
    "date_time": _date_times,
    "file": _files,
    "float": _plain,
    "gallery": _galleries,
    "integer": _plain,
    "json": _json_text,
    "lat_lon": _plain,
    "link": _reference,
    "links": _links,
    "rich_text": _modular,
    "seo": _by_members(_SEO_MEMBERS, ChangeKind.ATTRIBUTE),
    "single_block": _single_blocks,
    "structured_text": _structured,
    "video": _by_members({}, ChangeKind.ATTRIBUTE),
}
_VALUE_TYPES: Final = frozenset(_COMPARERS)
