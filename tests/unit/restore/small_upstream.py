"""A small model of DatoCMS's rules of writing, made for tests of the order of a restore. It shares no code with it.

A content has the fields of `FIELDS`; `parent_id` is there for trees. What a rule refuses raises `Refused`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from versionsync.restore.model import Act, Fitted, Link, Step
from versionsync.restore.order import Contents, Upstream
from versionsync.restore.rules import FieldRules, ModelRules, ProjectRules

FIELDS = ("any", "other", "must", "live", "must_live", "parent_id")
"""Fields with a link: optional ones, a required one, one that must be live, one that must be both, the parent."""

STAND_INS = {"a": "stand-in-a", "b": "stand-in-b", "c": "stand-in-c"}
"""A record of each model that exists, is live, and links to nothing."""


class Refused(Exception):
    """Upstream would answer 422."""


@dataclass
class Saved:
    """A record: its model, its newest and its published content."""

    model: str
    current: dict[str, Any]
    published: dict[str, Any] | None = None


def model(
    id: str, *, has_drafts: bool = True, is_slug_required: bool = False, is_singleton: bool = False
) -> ModelRules:
    """Return the rules of a model with the fields of this page."""
    everywhere = {"item_types": ["a", "b", "c"]}
    strict = {**everywhere, "on_publish_with_unpublished_references_strategy": "fail"}
    validators: dict[str, dict[str, Any]] = {
        "any": {"item_item_type": everywhere},
        "other": {"item_item_type": everywhere},
        "must": {"item_item_type": everywhere, "required": {}},
        "live": {"item_item_type": strict},
        "must_live": {"item_item_type": strict, "required": {}},
        "slug": {"unique": {}, **({"required": {}} if is_slug_required else {})},
    }
    fields = {
        key: FieldRules(
            id=f"{id}.{key}",
            api_key=key,
            label=key,
            field_type="slug" if key == "slug" else "link",
            is_localized=False,
            validators=rule,
        )
        for key, rule in validators.items()
    }
    return ModelRules(
        id=id, api_key=id, name=id, has_drafts=has_drafts, is_singleton=is_singleton, is_tree=True, fields=fields
    )


RULES = ProjectRules(
    locales=("en",),
    models={
        "a": model("a"),
        "b": model("b", is_slug_required=True),
        "c": model("c", has_drafts=False),
        "one": model("one", is_singleton=True),
    },
)


def content(model_id: str, name: str = "x", **values: Any) -> Fitted:
    """Return a content. A field that is not given is not there; `slug` is unique."""
    attributes = {"text": name, **values}
    links = tuple(
        Link(
            target=str(attributes[key]),
            path=(key,),
            field_id=f"{model_id}.{key}",
            is_required=key in ("must", "must_live"),
            must_be_live=key in ("live", "must_live"),
            is_parent=key == "parent_id",
        )
        for key in FIELDS
        if attributes.get(key) is not None
    )
    slug = attributes.get("slug")
    uniques = {("slug", ""): f'"{slug}"'.encode()} if slug is not None else {}
    return Fitted(version_id=f"v-{name}", attributes=attributes, links=links, uniques=uniques)


@dataclass
class SmallUpstream:
    """All records. `together`: links between the records of one bulk publication are no obstacle."""

    records: dict[str, Saved] = field(default_factory=dict)
    together: bool = False
    with_stand_ins: bool = True

    def __post_init__(self) -> None:
        """Save a record of each model that others can lead to for a while."""
        for model_id, id in STAND_INS.items():
            values = {"text": "stand-in", "slug": id}
            self.records[id] = Saved(model_id, values, dict(values))

    def known(self) -> Upstream:
        """Return what a plan knows of the records."""

        def leads_to(id: str) -> set[str]:
            saved = self.records[id]
            both = (saved.current, saved.published or {})
            return {one[key] for one in both for key in FIELDS if one.get(key)}

        return Upstream(
            exists=lambda one: one in self.records,
            is_live=lambda one: one in self.records and self.records[one].published is not None,
            leads_to=leads_to,
        )

    def contents(self) -> Contents:
        """Return answers about contents."""

        def differing(id: str, fitted: Fitted) -> Mapping[str, Any]:
            now = self.records[id].current
            return {key: value for key, value in fitted.attributes.items() if now.get(key) != value}

        def stand_in(models: frozenset[str], must_be_live: bool) -> str | None:
            return next((STAND_INS[id] for id in sorted(models) if self.with_stand_ins), None)

        return Contents(
            differing=differing,
            without_links=without_links,
            with_substitutes=with_substitutes,
            substitute=stand_in,
        )

    def carry_out(self, step: Step) -> None:
        """Do what a step says, or raise `Refused`."""
        match step.act:
            case Act.CREATE:
                (id,) = step.record_ids
                if id in self.records:
                    raise Refused(f"{id} exists")
                if RULES.models[str(step.model_id)].is_singleton and any(
                    one.model == step.model_id for one in self.records.values()
                ):
                    raise Refused(f"{id}: DUPLICATE_SINGLETON")
                self._save(id, Saved(str(step.model_id), dict(step.attributes or {})))
            case Act.UPDATE:
                (id,) = step.record_ids
                saved = self.records[id]
                self._save(id, replace(saved, current={**saved.current, **(step.attributes or {})}))
            case Act.PUBLISH:
                alike = set(step.record_ids) if self.together else set()
                before = {id for id, one in self.records.items() if one.published is not None}
                for id in step.record_ids:
                    self._check_live(id, self.records[id], before | alike)
                for id in step.record_ids:
                    self.records[id].published = dict(self.records[id].current)
            case Act.UNPUBLISH:
                for id, one in self.records.items():
                    above = (one.published or {}).get("parent_id")
                    if above in step.record_ids and id not in step.record_ids:
                        raise Refused(f"{above}: PUBLISHED_CHILDREN")
                for id in step.record_ids:
                    self.records[id].published = None
            case Act.DELETE:
                for id in self.records:
                    if id not in step.record_ids and self.known().leads_to(id) & set(step.record_ids):
                        raise Refused(f"{id} links to one of {step.record_ids}")
                for id in step.record_ids:
                    del self.records[id]

    def _save(self, id: str, saved: Saved) -> None:
        rules = RULES.models[saved.model]
        for key in FIELDS:
            target = saved.current.get(key)
            if target is not None and target not in self.records:
                raise Refused(f"{id}.{key} leads to {target}, which does not exist")
            if key in ("must", "must_live") and key in saved.current and target is None:
                raise Refused(f"{id}.{key} is required")
        slug = saved.current.get("slug")
        if slug is None and rules.fields["slug"].is_required:
            raise Refused(f"{id}.slug is required")
        for other, one in self.records.items():
            has = {one.current.get("slug"), (one.published or {}).get("slug")}
            if other != id and one.model == saved.model and slug is not None and slug in has:
                raise Refused(f"{id}.slug is {slug}, which {other} has")
        above = saved.current.get("parent_id")
        while above is not None:
            if above == id:
                raise Refused(f"{id} would be its own ancestor")
            above = self.records[above].current.get("parent_id")
        if not rules.has_drafts:
            self._check_live(id, saved, {one for one, other in self.records.items() if other.published is not None})
            saved.published = dict(saved.current)
        self.records[id] = saved

    def _check_live(self, id: str, saved: Saved, live: set[str]) -> None:
        for key in ("live", "must_live", "parent_id"):
            target = saved.current.get(key)
            if target is not None and target not in live:
                raise Refused(f"{id}.{key} leads to {target}, which is not live")


def without_links(fitted: Fitted, targets: frozenset[str]) -> Mapping[str, Any]:
    """Return the content with nothing where it links to one of these."""
    return {key: None if key in FIELDS and value in targets else value for key, value in fitted.attributes.items()}


def with_substitutes(fitted: Fitted, others: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the content with links that lead to others."""
    return {
        key: others.get(value, value) if key in FIELDS and value else value for key, value in fitted.attributes.items()
    }
