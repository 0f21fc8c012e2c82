"""What to believe of an answer about the schema that contradicts the mirror."""

from __future__ import annotations

import pytest

from versionsync.ledger.schema_checks import Questions, accept, changed_ids, questions_about

from .test_schema import field

OLD, NEW, OTHER = (field("f", "m", label=label) for label in ("Old", "New", "Other"))
NONE = Questions(frozenset(), frozenset(), {})


def test_an_answer_that_only_adds_or_changes_is_not_doubted() -> None:
    """What is new, and a value that was never there before, contradict nothing."""
    live, seen = {"f": OLD}, {"f": NEW, "g": field("g", "m")}
    assert changed_ids(live, seen) == ["f"]
    doubts = questions_about(live, {"h"}, seen, former={"f": {"label": ["Other"], "hint": ["New"]}})
    assert doubts == NONE
    assert accept(live, seen, doubts, {}).rows == seen


def test_what_contradicts_the_mirror_is_doubted() -> None:
    """Not named, named though deleted, and a former value: these are asked for, in this order."""
    live = {"f": NEW, "m": field("m", "m")}
    seen = {"f": OLD, "d": field("d", "m")}
    doubts = questions_about(live, {"d"}, seen, former={"f": {"label": ["Other", "Old"]}})
    assert doubts == Questions(frozenset({"m"}), frozenset({"d"}), {"f": frozenset({"label"})})
    assert doubts.ids == ["m", "d", "f"]
    belief = accept(live, seen, doubts, {})
    assert (belief.rows, belief.contradicted, belief.unconfirmed) == (live, (), ("m", "d", "f"))


def test_a_value_is_another_one_where_only_python_thinks_it_is_the_same() -> None:
    """1 is not true, in JSON."""
    live = {"f": field("f", "m", position=2)}
    seen = {"f": field("f", "m", position=1)}
    assert questions_about(live, (), seen, former={"f": {"position": [True]}}) == NONE
    assert questions_about(live, (), seen, former={"f": {"position": [1.0]}}).reverted == {"f": frozenset({"position"})}


@pytest.mark.parametrize(
    ("answer", "row", "contradicted"),
    [(OLD, OLD, ()), (NEW, NEW, ("f",)), (OTHER, NEW, ("f",)), (None, NEW, ("f",))],
)
def test_a_former_value_is_back_only_if_upstream_says_so_by_id(
    answer: object, row: object, contradicted: object
) -> None:
    """Anything else means that the list is old, and the known row stays."""
    live, seen = {"f": NEW}, {"f": OLD}
    doubts = questions_about(live, (), seen, former={"f": {"label": ["Old"]}})
    belief = accept(live, seen, doubts, {"f": answer})  # type: ignore[type-var]
    assert (belief.rows, belief.contradicted, belief.unconfirmed) == ({"f": row}, contradicted, ())


def test_only_a_404_says_that_it_is_gone() -> None:
    live = {"f": OLD}
    doubts = questions_about(live, (), {}, former={})
    assert accept(live, {}, doubts, {"f": None}).rows == {}
    there = accept(live, {}, doubts, {"f": NEW})
    assert (there.rows, there.contradicted) == ({"f": OLD}, ("f",))


def test_only_an_answer_by_id_says_that_it_is_back() -> None:
    seen = {"f": OLD}
    doubts = questions_about({}, {"f"}, seen, former={})
    assert accept({}, seen, doubts, {"f": NEW}).rows == seen
    gone = accept({}, seen, doubts, {"f": None})
    assert (gone.rows, gone.contradicted) == ({}, ("f",))
