"""The rows of sources: made before anything is known of the project, by any number of processes at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from tests.integration.mirror.writing import at, project, register_source
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine import engine as engines
from versionsync.mirror.errors import DatabaseUnavailable
from versionsync.mirror.schema import leases, sources
from versionsync.mirror.tables import leases as lease_table
from versionsync.mirror.tables.leases import Holder, acquire
from versionsync.mirror.tables.sources import add_sources, load_source, register_project, source_id, sources_of


def add(mirror: Mirror, *names: str) -> dict[str, int]:
    with mirror.write() as tx:
        return add_sources(tx, names)


def test_a_source_has_an_id_and_a_lease_before_its_project_is_known(mirror: Mirror) -> None:
    """Its lease can be taken; nobody who reads sources sees it."""
    made = add(mirror, "website")
    with mirror.read() as connection:
        assert source_id(connection, "website") == made["website"]
        assert load_source(connection, "website") is None
        assert sources_of(connection) == []
    assert acquire(mirror, made["website"], Holder.of_this_process()).epoch == 1


def test_names_that_have_a_row_keep_it(mirror: Mirror) -> None:
    """Only the new ones get one, whether their project is known or not."""
    with mirror.write() as tx:
        known = register_source(tx, "website", project(), observed_at=at(0))
    first = add(mirror, "shop", "website")
    again = add(mirror, "website", "blog", "shop", "blog")
    assert first == {"website": known.id, "shop": first["shop"]}
    assert again == first | {"blog": again["blog"]}
    assert len(set(again.values())) == 3
    with mirror.read() as connection:
        assert load_source(connection, "website") == known
        assert source_id(connection, "Website") is None
        assert set(connection.scalars(select(leases.c.source_id))) == set(again.values())


def test_no_names_are_no_sources(mirror: Mirror) -> None:
    """An empty list asks nothing, and writes nothing."""
    assert add(mirror) == {}


def test_more_names_than_one_statement_takes(mirror: Mirror) -> None:
    """A thousand sources start at once."""
    names = [f"source-{number}" for number in range(1203)]
    made = add(mirror, *names)
    assert sorted(made) == sorted(names)
    assert add(mirror, *names) == made


def test_processes_that_add_the_same_sources_at_once_get_the_same_ids(mirror: Mirror) -> None:
    """Whatever order they name them in: none of them waits in a circle."""
    names = [f"source-{number}" for number in range(40)]
    begun = threading.Barrier(4)

    def work(names: Sequence[str]) -> dict[str, int]:
        begun.wait(60)
        return add(mirror, *names)

    with ThreadPoolExecutor(4) as pool:
        orders = (names, names[::-1], names[20:] + names[:20], names[10:30])
        first, second, third, some = pool.map(work, orders)
    assert first == second == third
    assert some == {name: first[name] for name in names[10:30]}
    with mirror.read() as connection:
        assert len(connection.execute(select(sources.c.id)).all()) == 40
        assert len(connection.execute(select(leases.c.source_id)).all()) == 40


def test_the_ids_of_another_process_are_found_once_it_commits(mirror: Mirror) -> None:
    """The later one waits, and makes no second row."""
    with ThreadPoolExecutor(1) as pool:
        with mirror.write() as tx:
            made = add_sources(tx, ["website"])
            other = pool.submit(add, mirror, "website", "shop")
            assert not other.done()
        assert other.result()["website"] == made["website"]


def test_a_stopped_process_that_adds_a_source_is_not_waited_for_for_ever(
    mirror: Mirror, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transaction may stay open as long as it likes; one that only asks for known sources does not wait."""
    monkeypatch.setattr(lease_table, "LOCK_SECONDS", 1)
    monkeypatch.setattr(engines, "BUSY_SECONDS", 1.0)
    known = add(mirror, "shop")
    with mirror.write() as stopped:
        add_sources(stopped, ["website"])
        with Mirror.open(database_url) as other:
            with other.read() as connection:
                assert source_id(connection, "shop") == known["shop"]
            with pytest.raises(DatabaseUnavailable, match="locked"), other.write() as tx:
                add_sources(tx, ["website"])


def test_a_project_is_registered_under_the_row_that_its_source_has(mirror: Mirror) -> None:
    """Its id stays, and from then on readers see it."""
    made = add(mirror, "website")
    lease = acquire(mirror, made["website"], Holder.of_this_process())
    with mirror.write() as tx:
        known = register_project(tx, lease, project(), observed_at=at(5))
    assert (known.id, known.project, known.created_at) == (made["website"], project(), at(5))
    with mirror.read() as connection:
        assert sources_of(connection) == [known]
