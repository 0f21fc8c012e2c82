"""Takes links out of a content that fits, for a time: records can only link to records that exist. Pure.

It needs no schema to find them: a content that fits comes with the paths of its links.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from versionsync.history.diff.model import Json, Path
from versionsync.restore.model import Fitted, Link
from versionsync.restore.rules import FieldRules, ProjectRules
from versionsync.restore.validators import breaks_size
from versionsync.restore.value_fitting import emptied

__all__ = ["with_substitute", "without_links"]


@dataclass(frozen=True, slots=True)
class _Edit:
    """What takes the place of a link. None: it is taken out."""

    target: str | None = None


_Edits: TypeAlias = dict[str | int, "_Edits | _Edit"]


def without_links(fitted: Fitted, targets: Collection[str]) -> dict[str, Json]:
    """Return the attributes without links to these records.

    A link becomes null, and goes from a list. In structured text the words of a link stay, and an inline record goes.
    """
    return _edited(fitted, {link.path: _Edit() for link in fitted.links if link.target in targets})


def with_substitute(
    fitted: Fitted, targets: Collection[str], rules: ProjectRules, upstream: Mapping[str, str]
) -> dict[str, Json]:
    """Return the attributes as `without_links` does, with another record in place of each link that is required.

    Where no record of an allowed model is left, the link is taken out all the same.

    Args:
        fitted: The content.
        targets: The records that it cannot link to yet.
        rules: The project, which says which models are allowed.
        upstream: The records that exist already, with their models. They must not be this record itself.
    """
    fields = {one.id: one for model in rules.models.values() for one in model.fields.values()}
    edits: dict[Path, _Edit] = {}
    for links in _lists(fitted.links):
        gone = [link for link in links if link.target in targets]
        field = fields.get(gone[0].field_id or "") if gone else None
        is_required = field is not None and (
            breaks_size(field, len(links) - len(gone)) if field.field_type == "links" else gone[0].is_required
        )
        used = {link.target for link in links}
        candidates = _candidates(field, upstream, used.union(targets)) if field and is_required else iter(())
        edits |= {link.path: _Edit(next(candidates, None)) for link in gone}
    return _edited(fitted, edits)


def _lists(links: Collection[Link]) -> Collection[list[Link]]:
    """Return links that are in one list together; others alone."""
    found: dict[tuple[Path, bool], list[Link]] = {}
    for link in links:
        is_listed = isinstance(link.path[-1], int)
        found.setdefault((link.path[:-1] if is_listed else link.path, is_listed), []).append(link)
    return found.values()


def _candidates(field: FieldRules, upstream: Mapping[str, str], used: Collection[str]) -> Iterator[str]:
    allowed = field.linked_models
    return (id for id, model_id in upstream.items() if (allowed is None or model_id in allowed) and id not in used)


def _edited(fitted: Fitted, edits: Mapping[Path, _Edit]) -> dict[str, Json]:
    tree: _Edits = {}
    for path, edit in edits.items():
        inner = tree
        for step in path[:-1]:
            deeper = inner.setdefault(step, {})
            assert isinstance(deeper, dict), "no link is within another link"
            inner = deeper
        inner[path[-1]] = edit
    return _members(fitted.attributes, tree)


def _value(value: Json, edits: _Edits | _Edit) -> Json:
    if isinstance(edits, _Edit):
        return edits.target
    if isinstance(value, list):
        return [left for i, one in enumerate(value) for left in _element(one, edits.get(i))]
    edited = _members(value, edits)
    document = edited.get("document")
    is_emptied = "document" in edits and isinstance(document, dict) and document.get("children") == []
    return None if is_emptied else edited


def _members(value: Mapping[str, Json], edits: _Edits) -> dict[str, Json]:
    return {name: _value(one, edits[name]) if name in edits else one for name, one in value.items()}


def _element(one: Json, edits: _Edits | _Edit | None) -> list[Json]:
    """Return what is left of an element of a list, such as a link or a node."""
    if edits is None:
        return [one]
    if isinstance(edits, _Edit):
        return [] if edits.target is None else [edits.target]
    if edits.get("item") == _Edit() and one.get("type") in ("itemLink", "inlineItem"):
        children = one.get("children", []) if one["type"] == "itemLink" else []
        return list(_value(children, edits.get("children", {})))
    new = _value(one, edits)
    if new.get("children") == [] and one["children"]:
        new = emptied(one, [])
    return [] if new is None else [new]
