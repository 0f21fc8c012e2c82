"""Iteration over a list: it returns everything, or reports that something is missing."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cma import jsonapi_examples as example
from versionsync.cma import decode, errors
from versionsync.cma import jsonapi as wire
from versionsync.cma.client import Client
from versionsync.cma.pagination import iterate_items, iterate_versions
from versionsync.cma.resources import InvalidResource, Page


@dataclasses.dataclass
class List:
    """Upstream's list in memory, behind the two methods that a walk uses. `before` may change it before each page."""

    ids: list[str]
    before: Callable[[List, int], None] = lambda _list, _request: None
    most: int = 10_000
    page_limits: dict[str, int] = dataclasses.field(default_factory=dict)
    asked: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    bad: frozenset[str] = frozenset()
    total: int | None = None

    async def items_page(self, *, offset: int, limit: int, **_: object) -> Page[Any]:
        """A page of records."""
        return self._page(offset, limit, example.item, decode.item)

    async def versions_page(self, _item: str, *, offset: int, limit: int) -> Page[Any]:
        """A page of versions."""
        return self._page(offset, limit, example.version, decode.item_version)

    def _page(self, offset: int, limit: int, entity: Callable[[str], Any], build: Any) -> Page[Any]:
        self.before(self, len(self.asked))
        self.asked.append((offset, limit))
        ids = self.ids[offset : offset + min(limit, self.most)]
        entries = [entity(id) if id not in self.bad else {"id": id} for id in ids]
        read = wire.entries(
            example.page(entries, len(self.ids) if self.total is None else self.total), build, paged=True
        )
        return Page(
            items=tuple(value for value in read.values if not isinstance(value, wire.ShapeError)),
            total=read.total,
            ids=read.ids,
            bad=tuple(InvalidResource(id, errors.ProtocolError("x", request="x")) for id in ids if id in self.bad),
        )


def walk(upstream: List, limit: int = 10, *, versions: bool = False) -> tuple[list[str], errors.CmaError | None]:
    """The ids seen, bad ones included, and how it ended."""
    seen: list[str] = []

    async def main() -> errors.CmaError | None:
        client = cast(Client, upstream)
        pages = iterate_versions(client, "r", limit=limit) if versions else iterate_items(client, limit=limit)
        try:
            async for page in pages:
                assert len(page.ids) == len(page.items) + len(page.bad)
                seen.extend(str(id) for id in page.ids)
        except errors.CmaError as error:
            return error
        return None

    return seen, asyncio.run(main())


def names(count: int) -> list[str]:
    return [f"r{number}" for number in range(count)]


BOTH = pytest.mark.parametrize("versions", [False, True])


@given(count=st.integers(0, 60), limit=st.integers(2, 25), most=st.integers(2, 25), versions=st.booleans())
def test_a_list_that_stands_still_is_seen_once_and_to_its_end(
    count: int, limit: int, most: int, versions: bool
) -> None:
    """However long, and however short upstream makes the pages."""
    upstream = List(names(count), most=most)
    assert walk(upstream, limit, versions=versions) == (names(count), None)


@BOTH
@pytest.mark.parametrize("count", [0, 1, 9, 10])
def test_what_fits_on_one_page_costs_one_request(count: int, versions: bool) -> None:
    """Exactly one."""
    upstream = List(names(count))
    walk(upstream, versions=versions)
    assert upstream.asked == [(0, 10)]


def test_pages_of_records_overlap_by_one() -> None:
    """The last of a page is the first of the next; the caller sees it once."""
    upstream = List(names(25))
    assert walk(upstream)[0] == names(25)
    assert upstream.asked == [(0, 10), (9, 10), (18, 10)]


@given(
    count=st.integers(11, 40),
    request=st.integers(1, 4),
    place=st.integers(0, 60),
    act=st.sampled_from(["insert", "remove", "to the front"]),
)
def test_nothing_is_missed_in_silence(count: int, request: int, place: int, act: str) -> None:
    """An edit between two pages: every record that was there all along was seen, or PageShifted is raised."""

    def before(upstream: List, number: int) -> None:
        if number != request:
            return
        at = place % len(upstream.ids)
        if act == "insert":
            upstream.ids.insert(at, "new")
        elif act == "remove":
            upstream.ids.pop(at)
        else:
            upstream.ids.insert(0, upstream.ids.pop(at))

    upstream = List(names(count), before=before)
    seen, error = walk(upstream)
    if error is None:
        assert set(upstream.ids) & set(names(count)) <= set(seen)
    else:
        assert isinstance(error, errors.PageShifted)


def test_a_moved_list_is_still_handed_over_before_it_is_told() -> None:
    """The caller may use what it saw."""

    def before(upstream: List, number: int) -> None:
        if number == 1:
            upstream.ids.insert(0, "new")

    seen, error = walk(List(names(25), before=before))
    assert set(names(25)) <= set(seen)
    assert isinstance(error, errors.PageShifted)


@BOTH
def test_a_repeated_page_is_an_error_and_not_an_endless_walk(versions: bool) -> None:
    """A server that ignores the offset."""
    upstream = List(names(10), total=25)
    page = upstream._page
    upstream._page = lambda _offset, *rest: page(0, *rest)  # type: ignore[method-assign]
    error = walk(upstream, versions=versions)[1]
    assert isinstance(error, errors.RepeatedPage)
    assert len(upstream.asked) == 2


@BOTH
def test_an_empty_page_before_the_end_is_asked_once_more_then_an_error(versions: bool) -> None:
    """A list that ends before its count is not taken for complete."""
    upstream = List(names(10), total=25)
    error = walk(upstream, versions=versions)[1]
    assert isinstance(error, errors.PageShifted)
    assert len(upstream.asked) == 3


@BOTH
def test_an_empty_page_that_fills_when_asked_again_is_nothing(versions: bool) -> None:
    """A hiccup."""
    upstream = List(names(25))
    page = upstream._page

    def empty_once(offset: int, limit: int, *rest: Any) -> Page[Any]:
        return page(offset if len(upstream.asked) != 1 else 1000, limit, *rest)

    upstream._page = empty_once  # type: ignore[method-assign]
    assert walk(upstream, versions=versions) == (names(25), None)


@BOTH
def test_a_total_that_moves_is_told(versions: bool) -> None:
    """Also when every overlap fits."""

    def before(upstream: List, number: int) -> None:
        if number == 1:
            upstream.ids.append("new")

    error = walk(List(names(25), before=before), versions=versions)[1]
    assert isinstance(error, errors.PageShifted)


@BOTH
def test_more_entries_than_upstream_counts_are_told(versions: bool) -> None:
    """A count that is too low would end the walk early without a word."""
    seen, error = walk(List(names(10), total=8), versions=versions)
    assert seen == names(10)
    assert isinstance(error, errors.PageShifted)


def test_a_version_that_comes_twice_is_told() -> None:
    """Pages of versions do not overlap: a new version pushes the last of a page onto the next."""

    def before(upstream: List, number: int) -> None:
        if number == 1:
            upstream.ids.insert(0, "new")
            upstream.ids.pop()

    assert isinstance(walk(List(names(25), before=before), versions=True)[1], errors.PageShifted)


@pytest.mark.parametrize("ids", [["a", "b", "a"], ["a", "a", "b"], ["a", "b", "b"]])
@pytest.mark.parametrize("limit", [2, 10])
def test_a_version_that_comes_twice_within_one_page_is_told(ids: list[str], limit: int) -> None:
    """Upstream counts as many entries as came: only the ids show that one is missing."""
    error = walk(List(ids), limit, versions=True)[1]
    assert isinstance(error, errors.PageShifted)
    assert "an entry came twice" in str(error)


@given(bad=st.sets(st.sampled_from(names(25))), versions=st.booleans())
def test_bad_entries_do_not_disturb_the_walk(bad: set[str], versions: bool) -> None:
    """Wherever they are, at the overlap too."""
    assert walk(List(names(25), bad=frozenset(bad)), versions=versions) == (names(25), None)


@BOTH
def test_a_page_that_is_too_large_is_halved_and_the_client_remembers(versions: bool) -> None:
    """Refused for its limit, too large, or too slow: the next walk starts with what worked."""
    refusals: list[errors.CmaError] = [
        errors.InvalidRequest("x", request="x", about_limit=True),
        errors.Unavailable("x", request="x", too_slow=True),
    ]

    def before(upstream: List, _number: int) -> None:
        upstream.asked.append((-1, -1))
        if refusals:
            raise refusals.pop()

    upstream = List(names(25), before=before)
    assert walk(upstream, 12, versions=versions) == (names(25), None)
    assert set(upstream.page_limits.values()) == {3}
    upstream.asked.clear()
    walk(upstream, 12, versions=versions)
    assert {limit for _, limit in upstream.asked} == {-1, 3}


@pytest.mark.parametrize(
    "refusal",
    [
        errors.InvalidRequest("x", request="x"),
        errors.Unavailable("x", request="x"),
        errors.NotFound("x", request="x"),
        errors.AuthenticationError("x", request="x"),
    ],
)
def test_other_errors_end_the_walk_at_once(refusal: errors.CmaError) -> None:
    """A smaller page would not help."""

    def before(_upstream: List, _number: int) -> None:
        raise refusal

    upstream = List(names(25), before=before)
    assert walk(upstream)[1] is refusal
    assert upstream.page_limits == {}


def test_a_page_that_no_size_makes_small_enough_is_an_error() -> None:
    """It is asked for down to two entries, then for each of the two, and no further."""
    asked = []

    def before(_upstream: List, _number: int) -> None:
        asked.append(1)
        raise errors.InvalidRequest("x", request="x", about_limit=True)

    assert isinstance(walk(List(names(25), before=before), 500)[1], errors.InvalidRequest)
    assert len(asked) == 11


@pytest.mark.parametrize("large", [{0}, {1}, {12}, {23}, {24}, {3, 4}, {9, 10}, {0, 24}, {5, 12, 20}])
def test_an_entry_that_is_too_large_by_itself_costs_only_itself(large: set[int]) -> None:
    """It has no id, since nothing of it was read; the next pages have the previous size."""

    class Laden(List):
        def _page(self, offset: int, limit: int, entity: Callable[[str], Any], build: Any) -> Page[Any]:
            if large & set(range(offset, min(offset + limit, len(self.ids)))):
                raise errors.Unavailable("x", request="x", too_slow=True)
            return super()._page(offset, limit, entity, build)

    upstream = Laden(names(25))
    seen, error = walk(upstream)
    assert error is None
    assert seen == ["None" if number in large else f"r{number}" for number in range(25)]
    assert set(upstream.page_limits.values()) == {10}


def test_an_entry_that_is_too_large_costs_few_requests() -> None:
    """Wherever it stands in a page of the usual size."""
    for large in range(0, 1_200, 97):
        asked = []

        class Laden(List):
            def _page(self, offset: int, limit: int, entity: Callable[[str], Any], build: Any) -> Page[Any]:
                asked.append(limit)  # noqa: B023 - it is called within the loop
                if offset <= large < offset + limit:  # noqa: B023
                    raise errors.Unavailable("x", request="x", too_slow=True)
                return super()._page(offset, limit, entity, build)

        seen, error = walk(Laden(names(1_200)), 500)
        assert (len(seen), seen.count("None"), error) == (1_200, 1, None)
        assert len(asked) < 35
