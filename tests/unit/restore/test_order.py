"""The steps of a restore, by example: one test for each trap."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.restore.small_upstream import RULES, Saved, SmallUpstream, content
from versionsync.restore.model import Fitted, Reason, Schedule, Step, Task
from versionsync.restore.order import Ordered, least_requests, ordered


def _new(id: str, model: str = "a", *, draft: Fitted | None = None, **values: Any) -> Task:
    """Return a task that creates a record with a live content, and with a newer draft if one is given."""
    live = content(model, id, **values)
    return Task(record_id=id, model_id=model, title=id.title(), live=live, draft=draft or live, is_new=True)


def _new_draft(id: str, model: str = "a", **values: Any) -> Task:
    return Task(record_id=id, model_id=model, title=id.title(), draft=content(model, id, **values), is_new=True)


def _order(*tasks: Task, upstream: SmallUpstream | None = None, **options: Any) -> Ordered:
    upstream = upstream or SmallUpstream()
    plan = ordered(tasks, RULES, upstream=upstream.known(), contents=upstream.contents(), **options)
    upstream.together = bool(options)
    for step in plan.steps:
        upstream.carry_out(step)
    return plan


def _acts(plan: Ordered) -> list[str]:
    return [f"{step.act} {'+'.join(step.record_ids)}" for step in plan.steps]


def _of(plan: Ordered, act: str) -> Step:
    return plan.steps[_acts(plan).index(act)]


def test_a_new_draft_is_one_step() -> None:
    assert _acts(_order(_new_draft("one"))) == ["create one"]


def test_new_live_records_are_published_together() -> None:
    plan = _order(_new("one"), _new("two"))
    assert _acts(plan) == ["create one", "create two", "publish one+two"]
    assert plan.steps[2].needs == (1, 2)


def test_a_newer_draft_comes_after_the_publication() -> None:
    plan = _order(_new("one", draft=content("a", "newer")))
    assert _acts(plan) == ["create one", "publish one", "update one"]
    assert plan.steps[2].attributes == {"text": "newer"}


def test_a_model_without_drafts_publishes_as_it_saves() -> None:
    assert _acts(_order(_new("one", "c", live="two"), _new("two", "c"))) == ["create two", "create one"]


def test_only_what_differs_is_sent_and_only_the_first_step_expects_a_version() -> None:
    upstream = SmallUpstream()
    upstream.records["one"] = Saved("a", {"text": "now", "any": None})
    live, draft = content("a", "live", any=None), content("a", "draft", any=None)
    task = Task(record_id="one", model_id="a", live=live, draft=draft, expected_version="v9")
    plan = _order(task, upstream=upstream)
    assert _acts(plan) == ["update one", "publish one", "update one"]
    assert [step.attributes for step in plan.steps] == [{"text": "live"}, None, {"text": "draft"}]
    assert [step.expected_version for step in plan.steps] == ["v9", None, None]


def test_a_draft_of_a_record_that_is_live_already_is_one_step() -> None:
    upstream = SmallUpstream()
    upstream.records["one"] = Saved("a", {"text": "one"}, {"text": "one"})
    task = Task(
        record_id="one", model_id="a", live=content("a", "one"), draft=content("a", "two"), is_live_already=True
    )
    assert _acts(_order(task, upstream=upstream)) == ["update one"]


def test_a_cycle_of_links_needs_one_closing_update_before_the_publication() -> None:
    plan = _order(_new("one", any="two"), _new("two", any="three"), _new("three", any="one"))
    assert sorted(_acts(plan)) == ["create one", "create three", "create two", "publish one+three+two", "update one"]
    assert _acts(plan)[-1] == "publish one+three+two"


def test_one_closing_update_sends_all_links_that_were_put_off() -> None:
    plan = _order(_new_draft("hub", any="one", other="two"), _new_draft("one", any="hub"), _new_draft("two", any="hub"))
    assert _acts(plan) == ["create hub", "create one", "create two", "update hub"]
    assert plan.steps[3].attributes == {"any": "one", "other": "two"}
    assert plan.steps[3].needs == (1, 2, 3)


def test_the_optional_link_of_a_cycle_is_put_off_and_not_the_required_one() -> None:
    plan = _order(_new_draft("one", must="two"), _new_draft("two", any="one"))
    assert _acts(plan) == ["create two", "create one", "update two"]


def test_a_required_link_leads_elsewhere_for_a_while() -> None:
    plan = _order(_new_draft("one", must="two"), _new_draft("two", must="one"))
    assert _acts(plan) == ["create one", "create two", "update one"]
    assert plan.steps[0].attributes == {"text": "one", "must": "stand-in-a"}
    assert plan.steps[2].attributes == {"must": "two"}


def test_without_a_stand_in_a_cycle_of_required_links_is_impossible() -> None:
    upstream = SmallUpstream(with_stand_ins=False)
    tasks = (_new_draft("one", must="two"), _new_draft("two", must="one"), _new_draft("three", must="one", any=None))
    plan = _order(*tasks, _new_draft("four", any="one"), upstream=upstream)
    assert _acts(plan) == ["create four"]
    assert [one.why for one in plan.impossible] == [
        'Each of these records must come before the others: "One", "Two".',
        'Each of these records must come before the others: "One", "Two".',
        'It must link to "One", which does not exist.',
    ]
    assert [(one.record_id, one.path) for one in plan.losses] == [("four", ("any",))]


def test_records_that_must_be_live_for_each_other_are_published_one_after_the_other() -> None:
    plan = _order(_new("one", live="two"), _new("two", live="one"))
    assert _acts(plan) == [
        "create one",
        "create two",
        "publish one",
        "update one",
        "publish two",
        "publish one",
    ]


def test_one_publication_does_for_a_cycle_where_upstream_allows_it() -> None:
    plan = _order(_new("one", live="two"), _new("two", live="one"), bulk_publishes_together=True)
    assert _acts(plan) == ["create one", "create two", "update one", "publish one+two"]


def test_a_parent_is_created_and_published_before_its_children() -> None:
    plan = _order(_new("a-child", parent_id="b-parent"), _new("b-parent"))
    assert _acts(plan) == ["create b-parent", "create a-child", "publish b-parent", "publish a-child"]


def test_a_required_link_to_the_parent_stays_while_the_move_is_put_off() -> None:
    upstream = SmallUpstream()
    upstream.records["top"] = Saved("a", {"text": "top"})
    now = {"text": "live", "parent_id": None, "must_live": "middle"}
    upstream.records["above"] = Saved("a", now, {"text": "above", "parent_id": None})
    upstream.records["middle"] = Saved("a", {"text": "middle"})
    live, draft = (content("a", "live", parent_id=one, must_live="middle") for one in (None, "top"))
    above = Task(record_id="above", model_id="a", live=live, draft=draft)
    middle = Task(record_id="middle", model_id="a", live=content("a", "middle", must="new"))
    plan = _order(above, middle, _new_draft("new", must="above", parent_id="above"), upstream=upstream)
    assert not plan.impossible
    first, closing = (step for step in plan.steps if step.record_ids == ("new",))
    assert first.attributes == {"text": "new", "must": "above", "parent_id": None}
    assert (closing.attributes, closing.reason) == ({"parent_id": "above"}, Reason.LINKS)


@pytest.mark.parametrize(("model", "meanwhile"), [("a", None), ("b", "y-one")])
def test_values_that_swap_need_one_more_update(model: str, meanwhile: str | None) -> None:
    upstream = SmallUpstream()
    tasks = []
    for id, now, wanted in (("one", "x", "y"), ("two", "y", "x")):
        upstream.records[id] = Saved(model, {"text": id, "slug": now})
        frees = {("slug", ""): f'"{now}"'.encode()}
        tasks.append(Task(record_id=id, model_id=model, draft=content(model, id, slug=wanted), frees=frees))
    plan = _order(*tasks, upstream=upstream)
    assert _acts(plan) == ["update one", "update two", "update one"]
    assert [step.attributes for step in plan.steps] == [{"slug": meanwhile}, {"slug": "x"}, {"slug": "y"}]
    assert [step.needs for step in plan.steps] == [(), (1,), (1, 2)]


def test_a_value_is_taken_after_the_deletion_that_frees_it() -> None:
    upstream = SmallUpstream()
    upstream.records["old"] = Saved("a", {"text": "old", "slug": "x"})
    old = Task(record_id="old", model_id="a", deletes=True, frees={("slug", ""): b'"x"'})
    assert _acts(_order(_new_draft("new", slug="x"), old, upstream=upstream)) == ["delete old", "create new"]


def test_a_value_that_two_records_want_goes_to_one() -> None:
    plan = _order(_new_draft("one", slug="x"), _new_draft("two", slug="x"))
    assert _acts(plan) == ["create one"]
    assert [one.why for one in plan.impossible] == ['Its value of "slug" must be unique, and "One" has it.']


def test_a_singleton_comes_after_the_deletion_of_the_other_one() -> None:
    upstream = SmallUpstream()
    upstream.records["old"] = Saved("one", {"text": "old"})
    plan = _order(_new_draft("new", "one"), Task(record_id="old", model_id="one", deletes=True), upstream=upstream)
    assert _acts(plan) == ["delete old", "create new"]


def test_children_and_what_links_go_before_and_cycles_go_together() -> None:
    upstream = SmallUpstream()
    for id, values in {
        "a-root": {"parent_id": None},
        "b-child": {"parent_id": "a-root"},
        "c-left": {"any": "d-right"},
        "d-right": {"any": "c-left"},
    }.items():
        upstream.records[id] = Saved("a", {"text": id, **values})
    plan = _order(
        *(Task(record_id=id, model_id="a", deletes=True) for id in ["a-root", "b-child", "c-left", "d-right"]),
        upstream=upstream,
    )
    assert _acts(plan) == ["delete b-child+c-left+d-right", "delete a-root"]


def test_children_are_unpublished_before_their_parent() -> None:
    upstream = SmallUpstream()
    upstream.records["parent"] = Saved("a", {"text": "p"}, {"text": "p"})
    upstream.records["child"] = Saved("a", {"parent_id": "parent"}, {"parent_id": "parent"})
    tasks = [Task(record_id=id, model_id="a", unpublishes=True) for id in ("parent", "child")]
    assert _acts(_order(*tasks, upstream=upstream)) == ["unpublish child", "unpublish parent"]


def test_schedules_come_after_everything_else_of_their_record() -> None:
    at = tuple(Schedule(at=datetime(2030, 1, day, tzinfo=UTC), publishes=day == 1) for day in (1, 2))
    live = content("a", "one")
    task = Task(record_id="one", model_id="a", live=live, draft=live, is_new=True, schedules=at)
    plan = _order(task)
    assert _acts(plan) == ["create one", "publish one", "schedule one", "schedule one"]
    assert tuple(step.schedule for step in plan.steps[2:]) == at


def test_steps_that_have_nothing_to_do_with_each_other_do_not_need_each_other() -> None:
    plan = _order(_new_draft("one"), _new_draft("two", any="one"), _new_draft("three"))
    assert {step.record_ids[0]: step.needs for step in plan.steps} == {"one": (), "three": (), "two": (1,)}
    assert _of(plan, "create one").number == 1


def test_a_wave_of_201_records_is_two_publications() -> None:
    plan = _order(*(_new(f"r{number:03}") for number in range(201)))
    assert [len(step.record_ids) for step in plan.steps if step.act == "publish"] == [200, 1]
    assert least_requests(plan.steps) == 201 + 2 * 2 + 201
