"""Views answer what people ask with plain SQL."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from sqlalchemy import bindparam, inspect, text

from tests.integration.mirror.writing import RECORD, Desk, Shown, at
from versionsync.mirror.engine.types import UtcTime
from versionsync.mirror.schema.migrate import HEAD
from versionsync.mirror.schema.views import VIEWS, drop_views, make_views
from versionsync.mirror.tables.editors import EditorRow, upsert_editors

# A changed view reaches a database with a migration only. When this fails after 0.1.0 is released, add a migration,
# which may be empty. Note the new digest here.
KNOWN = ("first", "9dfc25902ffd0782")


def test_a_changed_view_comes_with_a_migration() -> None:
    """Otherwise a database that is there would keep the old one."""
    digest = sha256("\n".join(f"{view.name} {view.query}" for view in VIEWS).encode()).hexdigest()[:16]
    assert (HEAD, digest) == KNOWN


def test_the_views_can_be_taken_away_and_made_again(desk: Desk) -> None:
    """As a migration that alters their tables must: their order matters where one stands on another."""
    with desk.mirror.write() as tx:
        drop_views(tx)
        assert not {view.name for view in VIEWS} & set(inspect(tx).get_view_names())
        make_views(tx)
        assert {view.name for view in VIEWS} <= set(inspect(tx).get_view_names())


def test_every_column_of_a_view_is_documented(desk: Desk) -> None:
    """In the order in which it has them."""
    with desk.mirror.read() as connection:
        for view in VIEWS:
            columns = connection.exec_driver_sql(f"SELECT * FROM {view.name}").keys()
            assert list(columns) == list(view.columns), view.name


def test_current_and_published_versions_leave_deleted_records_out(desk: Desk) -> None:
    """And say who made them."""
    with desk.mirror.write() as tx:
        upsert_editors(tx, desk.lease, [EditorRow(type="user", id="7", name="Ada", payload="{}")])
    desk.look(Shown("a", 1, "p", live=(1, None)), Shown("b", 2, "c"))
    desk.look(Shown("x", 1, "cp"), id="gone")
    desk.delete("gone")
    shown = "source, model, record_id, version_id, editor_name"
    assert desk.rows(f"SELECT {shown} FROM current_versions") == [("website", "article", RECORD, "b", "Ada")]
    assert desk.rows(f"SELECT {shown} FROM published_versions") == [("website", "article", RECORD, "a", "Ada")]


def test_the_timeline_tells_when_each_version_was_the_newest(desk: Desk) -> None:
    """Until its successor came; of a deleted record, until it was deleted."""
    desk.look(Shown("a", 1), Shown("b", 2), Shown("c", 5, "c"))
    desk.look(Shown("x", 3, "c"), id="gone")
    desk.delete("gone")
    assert _intervals(desk, "version_timeline", "current_from", "current_until") == [
        ("a", at(1), at(2)),
        ("b", at(2), at(5)),
        ("c", at(5), None),
        ("x", at(3), at(1003)),
    ]


def test_the_timeline_ends_nothing_before_it_began_though_upstreams_clock_is_ahead(desk: Desk) -> None:
    """The deletion is observed by our clock, before the version was made by theirs; so is a current one's end."""
    desk.look(Shown("x", 5000, "c"))
    desk.delete()
    desk.look(Shown("a", 5000), Shown("b", 6000, "c"), id="kept")
    desk.look(Shown("a", 5000, "c"), id="kept")
    assert _intervals(desk, "version_timeline", "current_from", "current_until") == [
        ("a", at(1004), None),
        ("b", at(6000), at(6000)),
        ("x", at(5000), at(5000)),
    ]


def test_the_timeline_of_a_version_that_came_back_is_its_last(desk: Desk) -> None:
    """A later version was merged away; the one before it is the newest again."""
    desk.look(Shown("a", 1), Shown("b", 2, "c"))
    desk.look(Shown("a", 1, "c"))
    assert _intervals(desk, "version_timeline", "current_from", "current_until") == [
        ("a", at(1002), None),
        ("b", at(2), at(1002)),
    ]


def test_publications_are_all_of_them(desk: Desk) -> None:
    """Upstream remembers a version's last interval only; each end has one of three reasons."""
    desk.look(Shown("a", 1, "cp", live=(2, None)))
    desk.look(Shown("a", 1, "c", live=(2, 4)))  # unpublished
    desk.look(Shown("a", 1, "cp", live=(6, None)))  # published again
    desk.look(Shown("a", 1, live=(6, 8)), Shown("b", 7, "cp", live=(8, None)))  # replaced
    desk.look(Shown("a", 1, live=(6, 8)), Shown("b", 7), Shown("c", 9, "cp", live=(9, None)))  # end not stated
    desk.delete()
    assert _intervals(desk, "publications", "live_from", "live_until") == [
        ("a", at(2), at(4)),
        ("a", at(6), at(8)),
        ("b", at(8), at(9)),
        ("c", at(9), at(1006)),
    ]


def test_a_version_that_is_live_when_its_record_returns_is_live_again(desk: Desk) -> None:
    """As when another environment was followed for a while; one that is not is told by its own event."""
    desk.look(Shown("a", 1, "cp", live=(2, None)))
    desk.delete()
    desk.look(Shown("a", 1, "cp", live=(2, None)))
    first, again = _intervals(desk, "publications", "live_from", "live_until")
    assert first == ("a", at(2), at(1002))
    assert again == ("a", at(1003), None)
    desk.delete()
    desk.look(Shown("a", 1, "c", live=(2, 7)))
    assert _intervals(desk, "publications", "live_from", "live_until")[1][2] == at(1004)
    assert len(_intervals(desk, "publications", "live_from", "live_until")) == 2


def test_an_end_that_was_only_observed_does_not_end_what_began_before_it_was(desk: Desk) -> None:
    """Taken off and published again while nobody looked: the end has the time of the look, the new start its own."""
    desk.look(Shown("a", 1, "cp", live=(2, None)))
    desk.look(Shown("a", 1, "cp", live=(6, None)))
    assert _intervals(desk, "publications", "live_from", "live_until") == [("a", at(2), at(6)), ("a", at(6), None)]
    desk.look(Shown("a", 1, "c", live=(8, 9)))
    assert _intervals(desk, "publications", "live_from", "live_until") == [
        ("a", at(2), at(6)),
        ("a", at(6), at(8)),
        ("a", at(8), at(9)),
    ]


def test_a_deletion_does_not_end_what_went_live_after_its_record_was_made_again(desk: Desk) -> None:
    """Nobody looked in between: that the first one was deleted is known from the second one alone."""
    desk.look(Shown("a", 1, "cp", live=(1, None)), created_at=at(1))
    desk.look(Shown("b", 50, "cp", live=(50, None)), created_at=at(50))
    assert _intervals(desk, "publications", "live_from", "live_until") == [("a", at(1), at(50)), ("b", at(50), None)]
    desk.delete()
    assert _intervals(desk, "publications", "live_from", "live_until") == [
        ("a", at(1), at(50)),
        ("b", at(50), at(1003)),
    ]


def test_what_is_gone_is_not_live_though_upstreams_clock_is_ahead(desk: Desk) -> None:
    """The deletion is observed by our clock, before the publication by theirs."""
    desk.look(Shown("a", 1, "cp", live=(2000, None)))
    desk.delete()
    assert _intervals(desk, "publications", "live_from", "live_until") == [("a", at(2000), at(2000))]


def test_what_is_live_is_so_though_another_environment_had_a_later_one(desk: Desk) -> None:
    """It was published there again; here it never was."""
    desk.look(Shown("a", 1, "cp", live=(2, None)))
    desk.look(Shown("a", 1, live=(2, 6)), Shown("b", 5, "cp", live=(6, None)))
    desk.look(Shown("a", 1, "cp", live=(2, None)))
    last = [version for version, _, until in _intervals(desk, "publications", "live_from", "live_until") if not until]
    assert last == ["a"]


def test_a_publication_that_is_told_late_does_not_end_a_later_one(desk: Desk) -> None:
    """Old histories are read after the newest versions: time decides, not the order of telling."""
    desk.look(Shown("z", 50, "cp", live=(60, None)), whole=False)
    desk.look(Shown("a", 1, live=(2, 60)), Shown("z", 50, "cp", live=(60, None)))
    assert _intervals(desk, "publications", "live_from", "live_until") == [
        ("a", at(2), at(60)),
        ("z", at(60), None),
    ]


def test_publications_of_two_records_do_not_meet(desk: Desk) -> None:
    """Nor those of two sources."""
    other = Desk.open(desk.mirror, "second", id="p2")
    desk.look(Shown("a", 1, "cp", live=(2, None)))
    desk.look(Shown("b", 1, "cp", live=(3, None)), id="other")
    other.look(Shown("a", 1, "cp", live=(4, None)))
    assert [until for _, _, until in _intervals(desk, "publications", "live_from", "live_until")] == [None] * 3


def test_what_was_live_at_a_time_is_a_where_clause(desk: Desk) -> None:
    """The one that the documentation shows."""
    desk.look(Shown("a", 1, live=(2, 6)), Shown("b", 5, "cp", live=(6, None)))
    query = text(
        "SELECT id FROM versions WHERE published_from <= :t AND (published_until IS NULL OR published_until > :t)"
    ).bindparams(bindparam("t", type_=UtcTime()))
    for second, wanted in ((1, []), (2, ["a"]), (5, ["a"]), (6, ["b"]), (99, ["b"])):
        with desk.mirror.read() as connection:
            assert connection.scalars(query, {"t": at(second)}).all() == wanted


def test_the_status_counts(desk: Desk) -> None:
    """A source without anything too."""
    Desk.open(desk.mirror, "empty", id="p2")
    desk.look(Shown("a", 1), Shown("b", 2, "c"))
    desk.look(Shown("x", 1, "c"), id="gone")
    desk.delete("gone")
    counts = "source, records, deleted_records, versions, last_run_outcome"
    assert desk.rows(f"SELECT {counts} FROM source_status ORDER BY source") == [
        ("empty", 0, 0, 0, "running"),
        ("website", 1, 1, 3, "running"),
    ]


def _intervals(desk: Desk, view: str, start: str, end: str) -> list[tuple[str, datetime | None, datetime | None]]:
    def time(value: str | datetime | None) -> datetime | None:
        return datetime.fromisoformat(value) if isinstance(value, str) else value

    rows = desk.rows(f"SELECT version_id, {start}, {end} FROM {view} ORDER BY version_id, {start}")
    return [(id, time(first), time(last)) for id, first, last in rows]
