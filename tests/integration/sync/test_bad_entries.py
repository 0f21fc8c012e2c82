"""Records that cannot be read in the list of records: each is named and counted, and stops no other (invariant 13)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest

from tests.fixtures.compare_with_expected import differences
from tests.fixtures.fake_upstreams import Given, gateway
from tests.fixtures.sync_env import SyncEnv
from versionsync.simulator import FULL_ACCESS_TOKEN
from versionsync.sync.report import Outcome

TITLE = "the one that is bad"

Spoil = Callable[[str, str], str | None]


@contextmanager
def spoiled(sync_env: SyncEnv, spoil: Spoil, *, path: str = "/items") -> Iterator[None]:
    """An upstream whose answers from `path` are what `spoil` makes of them, from the path and the text.

    None: the answer is too large for a gateway on the way.
    """
    direct = sync_env.spec

    def instead(asked: str) -> Given | None:
        if asked.partition("?")[0] != path:
            return None
        headers = {"Authorization": f"Bearer {FULL_ACCESS_TOKEN}", "Accept": "application/json", "X-Api-Version": "3"}
        answer = httpx.get(direct.base_url + asked, headers=headers)
        sent = {"Content-Type": "application/json", "Date": answer.headers["Date"]}
        text = spoil(asked, answer.text)
        return Given(413) if text is None else Given(answer.status_code, text, sent)

    with gateway(direct.base_url, instead=instead) as url:
        sync_env.spec = replace(direct, base_url=url)
        yield
    sync_env.spec = direct


def titled(value: str) -> Spoil:
    """The bad title is this piece of JSON, or of what is none."""
    return lambda _, text: text.replace(json.dumps(TITLE), value)


def nested(depth: int) -> Spoil:
    """The bad title is a list in lists."""
    return titled("[" * depth + "]" * depth)


def beside_half_an_emoji(asked: str, text: str) -> str:
    """Two that are hard to read in one page; the second can be."""
    return titled("NaN")(asked, text.replace('"fine"', '"\\ud83d"'))


def make(sync_env: SyncEnv, number: int = 7) -> str:
    """Records, the middle one of which has the bad title; returns the id of that."""
    titles = ["fine"] * number
    titles[number // 2] = TITLE
    ids = [
        sync_env.act(lambda world, one=title: world.create(world.user, "post", {"title": one})).id for title in titles
    ]
    return ids[number // 2]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (titled("NaN"), "expected JSON"),
        (titled('"a raw line\n break"'), "expected JSON"),
        (beside_half_an_emoji, "expected JSON"),
        (nested(100_000), "nested so deeply"),
    ],
)
def test_an_entry_that_cannot_be_read_is_named_and_stops_no_other(sync_env: SyncEnv, spoil: Spoil, reason: str) -> None:
    """It is not taken for deleted, not by the next run either, and it is mirrored as soon as it can be read."""
    titles = ["fine", TITLE, "fine"]
    ids = [
        sync_env.act(lambda world, one=title: world.create(world.user, "post", {"title": one})).id for title in titles
    ]
    sync_env.sync()
    for id, title in zip(ids, titles, strict=True):  # so that a pull of each is due
        sync_env.act(lambda world, one=id, new=title: world.update(world.user, one, {"title": new}))
    with spoiled(sync_env, spoil):
        for _ in range(2):
            report = sync_env.sync()
            assert report.outcome is Outcome.PARTIAL, report
            ((id, failure),) = [(one.record_id, one.reason) for one in report.failures]
            assert id == ids[1]
            assert reason in failure
            assert report.counts.records_failed == 1
        assert report.counts.records_pulled == 0  # the others were mirrored by the first of the two
        assert sync_env.sync(full=True, dry_run=True).would_delete == 0
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []


@pytest.mark.parametrize("depth", [240, 500, 990, 100_000])
def test_content_of_any_depth_is_mirrored_or_fails_alone(sync_env: SyncEnv, depth: int) -> None:
    """Whether the list, the history or the database is the first that cannot take it."""
    bad = make(sync_env)
    with spoiled(sync_env, nested(depth)), spoiled(sync_env, nested(depth), path=f"/items/{bad}/versions"):
        report = sync_env.sync()
    assert {failure.record_id for failure in report.failures} <= {bad}
    assert report.counts.records_pulled + len(report.failures) == 7


@pytest.mark.parametrize("id", ["..", "", "x" * 70_000, "a\u0000b", None])
def test_what_is_no_id_fails_alone(sync_env: SyncEnv, id: object) -> None:
    """As a part of a path it would be another request, and no table takes one that is as long as a page."""
    bad = make(sync_env)

    def spoil(_: str, text: str) -> str:
        return text.replace(json.dumps(bad), json.dumps(id))

    with spoiled(sync_env, spoil):
        report = sync_env.sync()
        assert report.outcome is Outcome.PARTIAL, report
        (failure,) = report.failures
        assert len(failure.record_id) < 100
        assert failure.record_id.isprintable()
        assert "$.data[" in failure.reason
        assert report.counts.records_pulled == 6
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_known_record_that_lost_its_id_in_the_list_is_not_deleted(sync_env: SyncEnv) -> None:
    """Asked for by its own id it is there."""
    bad = make(sync_env, 30)
    sync_env.sync()
    sync_env.act(lambda world: world.update(world.user, bad, {"title": TITLE + "!"}))
    with spoiled(sync_env, lambda _, text: text.replace(json.dumps(bad), "null")):
        report = sync_env.sync()
    assert report.outcome is Outcome.PARTIAL
    assert f"record {bad} was not listed, but it exists" in report.notes
    assert report.counts.records_swept == 29
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_page_that_was_spoiled_on_its_way_is_asked_for_again(sync_env: SyncEnv) -> None:
    """Only what comes twice in the same form is what upstream sends."""
    make(sync_env)
    times = iter([True])
    with spoiled(sync_env, lambda asked, text: titled("NaN")(asked, text) if next(times, False) else text):
        assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_an_entry_that_is_too_large_to_be_had_stops_no_other(sync_env: SyncEnv) -> None:
    """The list has nothing of it, not even its id. The mirror knows the id, and does not mark it deleted."""
    bad = make(sync_env, 9)
    sync_env.sync()
    with spoiled(sync_env, lambda _, text: None if bad in text else text):
        sync_env.act(lambda world: world.create(world.user, "post", {"title": "new"}))
        sync_env.act(lambda world: world.update(world.user, bad, {"title": TITLE + "!"}))
        sync_env.act(lambda world: world.create(world.user, "post", {"title": "newer"}))
        report = sync_env.sync()
        assert report.outcome is Outcome.PARTIAL, report
        assert [failure.record_id for failure in report.failures] == ["(without an id)"]
        assert "too large to be read" in report.failures[0].reason
        assert f"record {bad} was not listed, but it exists" in report.notes
        assert report.counts.records_pulled == 3  # the two that are new, and this one by its id
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []
