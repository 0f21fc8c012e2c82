"""What is true of every content that was made to fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.history.diff.generator import Generator
from tests.unit.history.diff.test_laws import contents
from tests.unit.restore.contents import fit, rules_of_diffs
from versionsync.ledger.content import canonical_value
from versionsync.restore.fitting import Existing
from versionsync.restore.link_edits import without_links
from versionsync.restore.model import Fitted
from versionsync.restore.parts import changed_attributes, only_parts
from versionsync.restore.rules import ModelRules, ProjectRules

EXAMPLES = 40
RULES = rules_of_diffs()
KNOWN = RULES.models["article"].fields
RECORDS = [f"record{number}" for number in range(30)]
ALL = Existing(records=dict.fromkeys(RECORDS, "article"))


def generated(seed: int) -> list[dict[str, Any]]:
    """Two versions of a record, without the member that is no field."""
    pair = next(iter(Generator(seed).pairs()))
    return [{key: value for key, value in one.items() if key in KNOWN} for one in (pair.before, pair.after)]


@st.composite
def projects(draw: st.DrawFn) -> ProjectRules:
    """The project after a random change of its schema."""
    models: dict[str, ModelRules] = {}
    for id, one in RULES.models.items():
        if id == "article" or draw(st.integers(0, 9)):
            fields = [inner for inner in one.fields.values() if draw(st.integers(0, 9))]
            changed = [
                replace(
                    inner,
                    is_localized=inner.is_localized ^ (id == "article" and not draw(st.integers(0, 9))),
                    api_key=inner.api_key + ("" if draw(st.integers(0, 9)) else "_new"),
                    field_type=inner.field_type if draw(st.integers(0, 9)) else draw(st.sampled_from(TYPES)),
                )
                for inner in fields
            ]
            models[id] = replace(one, fields={inner.api_key: inner for inner in changed})
    return ProjectRules(locales=draw(st.sampled_from([("en", "it"), ("it",), ("de", "en")])), models=models)


TYPES = sorted({inner.field_type for one in RULES.models.values() for inner in one.fields.values()})
some_records = st.sets(st.sampled_from(RECORDS[:9])).map(lambda ids: Existing(records=dict.fromkeys(ids, "article")))
seeds = st.integers(0, 1_000_000)


@given(seeds)
@settings(deadline=None, max_examples=EXAMPLES)
def test_a_content_comes_back_as_it_was_if_nothing_changed(seed: int) -> None:
    for content in generated(seed):
        if len({frozenset(content[key]) for key in ("title", "summary", "body", "seo")}) > 1:
            continue  # upstream has the same locales in all fields
        result = fit(content, RULES, existing=ALL)
        assert canonical_value(result.attributes) == canonical_value(content)
        assert (result.losses, result.problems) == ((), ())


@given(seeds, projects(), some_records)
@settings(deadline=None, max_examples=EXAMPLES)
def test_a_content_that_fits_is_not_changed_again(seed: int, now: ProjectRules, existing: Existing) -> None:
    for content in generated(seed):
        once = fit(content, now, RULES, existing)
        again = fit(once.attributes, now, None, existing)
        assert canonical_value(again.attributes) == canonical_value(once.attributes)
        assert again.losses == ()
        assert again.links == once.links
        _check(once, now, existing)


@given(contents, projects(), some_records)
@settings(deadline=None, max_examples=EXAMPLES)
def test_whatever_a_content_is_it_can_be_made_to_fit(content: Any, now: ProjectRules, existing: Existing) -> None:
    before = canonical_value(content)
    _check(fit(content, now, RULES, existing), now, existing)
    assert canonical_value(content) == before


@given(seeds)
@settings(deadline=None, max_examples=EXAMPLES)
def test_no_link_is_left_without_links(seed: int) -> None:
    for content in generated(seed):
        result = fit(content, RULES, existing=ALL)
        without = without_links(result, RECORDS)
        again = fit(without, RULES, existing=Existing(records={}))
        assert again.links == again.losses == ()
        assert canonical_value(again.attributes) == canonical_value(without)
        assert without_links(result, []) == result.attributes


@given(seeds)
@settings(deadline=None, max_examples=EXAMPLES)
def test_parts_are_taken_from_one_of_the_contents(seed: int) -> None:
    before, wanted = generated(seed)
    assert changed_attributes(before, before) == {}
    assert {**before, **changed_attributes(before, wanted)} == wanted | {k: before[k] for k in before.keys() - wanted}
    for name in KNOWN:
        result = only_parts(before, wanted, RULES, "article", fields=[name])
        assert all(result[other] == before[other] for other in KNOWN if other != name)
        if not KNOWN[name].is_localized:
            assert result[name] == wanted[name]


def _check(result: Fitted, now: ProjectRules, existing: Existing) -> None:
    """What must be true whatever the old content was."""
    known = now.models["article"].fields
    assert result.attributes.keys() <= known.keys()
    assert all(link.target in existing.records for link in result.links)
    assert all(_at(result.attributes, link.path) == link.target for link in result.links)
    localized = [value for key, value in result.attributes.items() if known[key].is_localized]
    assert len({frozenset(value) for value in localized}) <= 1
    assert all(locale in now.locales for value in localized for locale in value)


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value
