"""Blocks that were moved from one list or field to another: by their ids, after all fields were compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from versionsync.history.diff.findings import Findings, Spot
from versionsync.history.diff.lines import block_id_of, block_model_of
from versionsync.history.diff.members import is_block
from versionsync.history.diff.model import ABSENT, Change, ChangeKind, Json, Operation, Restructuring
from versionsync.ledger.content import ContentError

__all__ = ["join_moves"]

Half = Change | None


def join_moves(findings: Findings) -> None:
    """Put moves in place of blocks that were removed in one list or field and added in another one.

    A move is two changes, one at each of its places. What changed in the block follows the second one.
    """
    while _join(findings):  # others may have been moved out of a block that was moved, or into it
        pass


def _join(findings: Findings) -> bool:
    """Join the moves that are known so far. Return whether there are any."""
    halves = [(change, *_halves(change)) for change in findings.changes]
    gone = _by_id((departure, departure.before) for _, departure, _ in halves if departure is not None)
    come = _by_id((arrival, arrival.after) for _, _, arrival in halves if arrival is not None)
    moves = {
        id: (departure, come[id])
        for id, departure in gone.items()
        if id in come and block_model_of(_item(departure.before)) == block_model_of(_item(come[id].after))
    }
    if not moves:
        return False
    findings.changes = []
    for change, departure, arrival in halves:
        departs = moves.get(_id_of(departure.before)) if departure is not None else None
        arrives = moves.get(_id_of(arrival.after)) if arrival is not None else None
        if departs is None and arrives is None:
            findings.changes.append(change)
            continue
        if departs is not None:
            _depart(findings, *departs)
        elif departure is not None:
            findings.changes.append(departure)
        if arrives is not None:
            _arrive(findings, *arrives)
        elif arrival is not None:
            findings.changes.append(arrival)
    return True


def _halves(change: Change) -> tuple[Half, Half]:
    """Return a change as a block that left its place, and one that came there; None: no block did."""
    if change.kind is not ChangeKind.STRUCTURE:
        return None, None
    one, other = _id_of(change.before), _id_of(change.after)
    if change.restructuring is Restructuring.REPLACED and one != other and one is not None and other is not None:
        return (
            replace(change, operation=Operation.REMOVED, restructuring=None, after=ABSENT, targets=(), words_added=0),
            replace(change, operation=Operation.ADDED, restructuring=None, before=ABSENT, sources=(), words_removed=0),
        )
    return (
        change if change.operation is Operation.REMOVED and one is not None else None,
        change if change.operation is Operation.ADDED and other is not None else None,
    )


def _by_id(halves: Iterable[tuple[Change, Json]]) -> dict[str | None, Change]:
    """Return changes by the ids of their blocks; an id that is there twice says nothing."""
    found: dict[str | None, Change] = {}
    repeated = set()
    for change, value in halves:
        id = _id_of(value)
        if id in found:
            repeated.add(id)
        found[id] = change
    return {id: change for id, change in found.items() if id not in repeated}


def _depart(findings: Findings, departure: Change, arrival: Change) -> None:
    findings.changes.append(replace(_move(departure, arrival), place=departure.place, moved_to=arrival.place))
    if departure.after is None:  # null is left in its place
        spot = Spot(departure.place, departure.targets[0], departure.targets[0])
        findings.respell(ABSENT, None, spot)


def _arrive(findings: Findings, departure: Change, arrival: Change) -> None:
    move = replace(_move(departure, arrival), place=arrival.place, moved_from=departure.place)
    findings.changes.append(move)
    before, after = _item(move.before), _item(move.after)
    source, target = (
        path if is_block(value) else (*path, "item")
        for path, value in ((move.sources[0], move.before), (move.targets[0], move.after))
    )
    spot = Spot(arrival.place, source, target)
    mark = findings.mark()
    try:
        findings.compare_block(findings, before, after, spot)
    except (RecursionError, ContentError):
        findings.forget(mark)
        findings.add(ChangeKind.ATTRIBUTE, Operation.CHANGED, before, after, spot, is_limited=True)


def _move(departure: Change, arrival: Change) -> Change:
    return replace(
        departure,
        operation=Operation.MOVED,
        after=arrival.after,
        targets=arrival.targets,
        words_removed=0,
    )


def _item(value: Json) -> Json:
    """Return the block that a value is, or that a node of a structured text holds; None: there is none."""
    if isinstance(value, dict) and value.get("type") == "block":
        value = value.get("item")
    return value if is_block(value) else None


def _id_of(value: Json) -> str | None:
    return block_id_of(_item(value))
