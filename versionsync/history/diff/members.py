"""Compare JSON values whose meaning is not known: member by member and element by element."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final, Literal

from versionsync.history.diff.alignment import align
from versionsync.history.diff.equality import is_empty, is_same, is_same_instant, key_of
from versionsync.history.diff.findings import Findings, Spot
from versionsync.history.diff.lines import block_id_of, block_model_of
from versionsync.history.diff.model import ABSENT, Absent, ChangeKind, Json, Operation, Path
from versionsync.history.diff.texts import Text, compare_texts

__all__ = ["blocks_at", "compare_json", "compare_members", "compare_plain_texts", "is_block", "operation_of"]

_Value = Json | Literal[Absent.ABSENT]


def operation_of(before: _Value, after: _Value) -> Operation:
    """Return what happened to a value: added if there was none, removed if there is none."""
    if is_empty(before) and not is_empty(after):
        return Operation.ADDED
    return Operation.REMOVED if is_empty(after) and not is_empty(before) else Operation.CHANGED


def is_block(value: Json) -> bool:
    """Return whether a value is a whole block."""
    return isinstance(value, dict) and value.get("type") == "item" and isinstance(value.get("attributes"), dict)


def blocks_at(content: Json) -> Iterator[tuple[Path, Json]]:
    """Yield all whole blocks in a value, at any depth, each with its path. One in another follows it."""
    waiting: list[tuple[Path, Json]] = [((), content)]
    while waiting:
        path, value = waiting.pop()
        if is_block(value):
            yield path, value
        if isinstance(value, dict):
            waiting += [((*path, name), inner) for name, inner in value.items() if isinstance(inner, dict | list)]
        elif isinstance(value, list):
            waiting += [((*path, index), inner) for index, inner in enumerate(value) if isinstance(inner, dict | list)]


def compare_members(
    findings: Findings,
    before: Mapping[str, Json],
    after: Mapping[str, Json],
    spot: Spot,
    *,
    but: Collection[str] = (),
    kinds: Mapping[str, ChangeKind] | None = None,
    kind: ChangeKind = ChangeKind.ATTRIBUTE,
) -> None:
    """Compare two objects member by member.

    Args:
        findings: Takes what differs.
        before: The object before.
        after: The object after.
        spot: Where the objects are.
        but: Members to leave out.
        kinds: The kinds of changes by member; text is compared as words.
        kind: The kind of changes of all other members.
    """
    for name in [*before, *(name for name in after if name not in before)]:
        a, b = before.get(name, ABSENT), after.get(name, ABSENT)
        if name in but or is_same(a, b):
            continue
        compare_json(findings, a, b, spot.member(name), kind=(kinds or {}).get(name, kind))


def compare_json(
    findings: Findings, before: _Value, after: _Value, spot: Spot, *, kind: ChangeKind = ChangeKind.ATTRIBUTE
) -> None:
    """Compare two values that differ. `kind` is the kind of change for a value that has no members."""
    if (is_empty(before) and is_empty(after)) or is_same_instant(before, after):
        findings.respell(before, after, spot)
        return
    if is_block(before) and is_block(after) and _may_be_one(before, after):
        findings.compare_block(findings, before, after, spot)
    elif findings.compare_document(findings, before, after, spot):
        pass
    elif isinstance(before, dict) and isinstance(after, dict):
        compare_members(findings, before, after, spot, kind=kind)
    elif isinstance(before, list) and isinstance(after, list):
        _compare_lists(findings, before, after, spot, kind)
    elif kind is ChangeKind.TEXT and _is_text(before) and _is_text(after):
        compare_plain_texts(findings, before, after, spot)
    else:
        kind = ChangeKind.ATTRIBUTE if kind is ChangeKind.TEXT else kind
        findings.add(kind, operation_of(before, after), before, after, spot)


def compare_plain_texts(findings: Findings, before: _Value, after: _Value, spot: Spot) -> None:
    """Compare two texts that differ as words; no value is an empty text. Tags that only format are formatting."""
    a, b = (str(value) if isinstance(value, str) else "" for value in (before, after))
    diff = compare_texts(Text(a), Text(b))
    has_text, has_formatting = _differences(a, b) if a and b else (True, False)
    kinds = [ChangeKind.TEXT] * has_text + [ChangeKind.FORMATTING] * has_formatting
    for number, kind in enumerate(kinds):
        findings.add(
            kind,
            operation_of(before, after),
            before,
            after,
            spot,
            spans=diff.spans,
            words_added=0 if number else diff.words_added,
            words_removed=0 if number else diff.words_removed,
            is_limited=diff.is_limited,
        )


_FORMATTING: Final = re.compile(
    r"</?(?:a|abbr|b|big|code|del|em|font|i|ins|kbd|mark|s|small|span|strike|strong|sub|sup|u)(?=[\s/>])[^<>]*+>",
    re.IGNORECASE,
)
"""A tag of HTML that formats the words in it, as marks and links of a structured text do."""


def _differences(a: str, b: str) -> tuple[bool, bool]:
    """Return whether two texts that differ have other text, and whether they have other tags that format it."""
    has_text = _FORMATTING.sub("", a) != _FORMATTING.sub("", b)
    return has_text, not has_text or _FORMATTING.findall(a) != _FORMATTING.findall(b)


def _is_text(value: _Value) -> bool:
    return isinstance(value, str) or value is None or value is ABSENT


def _may_be_one(before: Json, after: Json) -> bool:
    """Return whether two blocks may be one: by id or by model."""
    return block_id_of(before) == block_id_of(after) or block_model_of(before) == block_model_of(after)


def _compare_lists(findings: Findings, before: list[Json], after: list[Json], spot: Spot, kind: ChangeKind) -> None:
    """Compare two lists: equal elements stay, the others are compared one by one as far as they go."""
    keys_a, keys_b = [key_of(value) for value in before], [key_of(value) for value in after]
    at_a = at_b = 0
    for i, j, size in [*align(keys_a, keys_b).blocks, (len(before), len(after), 0)]:
        pairs = min(i - at_a, j - at_b)
        for offset in range(pairs):
            a, b = before[at_a + offset], after[at_b + offset]
            if not is_same(a, b):
                compare_json(findings, a, b, spot.member(at_a + offset, at_b + offset), kind=kind)
        for index in range(at_a + pairs, i):
            findings.add(ChangeKind.ATTRIBUTE, Operation.REMOVED, before[index], ABSENT, spot.member(index))
        for index in range(at_b + pairs, j):
            findings.add(ChangeKind.ATTRIBUTE, Operation.ADDED, ABSENT, after[index], spot.member(index))
        at_a, at_b = i + size, j + size
