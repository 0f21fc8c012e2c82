"""Content that was erased is gone from every byte, stays gone, and all else is as it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, text

from tests.fixtures.projections import differences_from_rebuild, projected
from tests.integration.erasure.conftest import NAME, ErasureEnv, Tables, now
from versionsync.erasure.carry_out import erase, lift, plan_erasure
from versionsync.erasure.errors import CannotErase, PlanIsRunning, UnknownErasure
from versionsync.history.projections.filling import FillState, ProjectionFiller
from versionsync.ledger.content import content_hash
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import LeaseHeld
from versionsync.mirror.holder import Holder
from versionsync.mirror.tables.leases import acquire, release
from versionsync.mirror.tables.restores import PlanRow, StepRow, claim_plan, insert_plan
from versionsync.restore.errors import CannotApply
from versionsync.restore.kept_plans import kept_plan
from versionsync.sync.report import Outcome

CONTENT = {"attributes", "attributes_exact", "attributes_hash"}
HASHES = ("before_hash", "after_hash")


def changed_rows(before: Tables, after: Tables) -> dict[str, list[tuple[Any, ...]]]:
    """The keys of the rows that are new, gone or different, by table."""
    found = {}
    for name, rows in before.items():
        keys = [key for key in {**rows, **after[name]} if rows.get(key) != after[name].get(key)]
        if keys:
            found[name] = keys
    return found


@pytest.mark.both_databases
def test_a_whole_record_is_gone_from_every_table(erasing: ErasureEnv) -> None:
    before = erasing.tables()
    versions = [row for row in before["versions"].values() if row["record_id"] == erasing.person.id]
    assert set(erasing.named_in()) >= {"versions", "version_rewrites", "titles", "passages"}, (
        "or this test shows nothing"
    )
    erased = erasing.erase()
    assert (erased.found.versions, erased.found.rewrites) == (len(versions), 1)
    assert erasing.named_in() == []
    assert [json.loads(one) for one in erasing.contents(erasing.person)] == [{}] * len(versions)
    assert erasing.env.mirror.query(lambda c: c.scalar(text("SELECT count(*) FROM titles"))) == len(
        erasing.contents(erasing.other)
    )


def test_no_hash_of_what_was_erased_is_left(erasing: ErasureEnv) -> None:
    """The hash of a short text can be guessed."""
    before = erasing.tables()
    person = {row["id"] for row in before["versions"].values() if row["record_id"] == erasing.person.id}
    hashes = {row["attributes_hash"] for row in before["versions"].values() if row["id"] in person}
    hashes |= {row["attributes_hash"] for row in before["version_rewrites"].values() if row["version_id"] in person}
    hashes |= {row[name] for row in before["changes"].values() if row["version_id"] in person for name in HASHES}
    hashes.discard(None)
    assert len(hashes) > 4
    erasing.erase()
    for rows in erasing.tables().values():
        for row in rows.values():
            for value in row.values():
                assert value not in hashes
                assert not any(one.hex() in str(value) for one in hashes)


@pytest.mark.both_databases
def test_everything_else_stays_equal(erasing: ErasureEnv) -> None:
    """Only what holds content of the record differs, and what the erasure itself writes."""
    before = erasing.tables()
    erasing.erase()
    after = erasing.tables()
    changed = changed_rows(before, after)
    assert set(changed) == {
        *("versions", "version_rewrites", "events", "changes", "titles", "passages"),
        *("erasures", "projection_cursors", "leases"),
    }
    for name in ("versions", "version_rewrites"):
        for key in changed[name]:
            old, new = before[name][key], after[name][key]
            assert old.get("record_id", erasing.person.id) == erasing.person.id
            assert {column for column in old if old[column] != new[column]} <= {*CONTENT, "changed_at"}
            assert new["attributes_hash"] == content_hash(b"{}")
    for key in changed["events"]:
        new = after["events"][key]
        assert new["record_id"] == erasing.person.id
        if key in before["events"]:
            assert {column for column in new if before["events"][key][column] != new[column]} == {"data"}
            assert new["type"] == "version.rewritten"
        else:
            assert new["type"] == "record.erased"
            assert json.loads(new["data"]) == {"after": None, "erasure": 1, "field": None, "locale": None}
    for name in ("changes", "titles", "passages"):
        rows = [(before[name].get(key) or after[name][key]) for key in changed[name]]
        assert {row["record_id"] for row in rows} == {erasing.person.id}


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_statistics_keep_no_title(erasing: ErasureEnv) -> None:
    """An analyzed column leaves samples of its values. Of `passages.words` these are single words."""
    mirror = erasing.env.mirror
    mirror.transact(lambda tx: tx.exec_driver_sql("ANALYZE"))
    query = text("SELECT count(*) FROM pg_stats WHERE pg_stats::text ILIKE :name")
    named = {"name": f"%{NAME.split()[1]}%"}
    assert mirror.query(lambda connection: connection.scalar(query, named)), "or this test shows nothing"
    erasing.erase()
    assert mirror.query(lambda connection: connection.scalar(query, named)) == 0


@pytest.mark.both_databases
def test_a_field_is_erased_and_the_rest_of_the_content_stays(erasing: ErasureEnv) -> None:
    before = [json.loads(one) for one in erasing.contents(erasing.person)]
    other = erasing.contents(erasing.other)
    erasing.erase(field="title")
    after = [json.loads(one) for one in erasing.contents(erasing.person)]
    assert after == [{**content, "title": None} for content in before]
    assert erasing.contents(erasing.other) == other
    assert erasing.env.mirror.query(lambda c: c.scalar(text("SELECT count(*) FROM titles WHERE title LIKE 'W%'"))) == 0
    assert differences_from_rebuild(erasing.env.mirror) == []


def test_a_locale_is_erased_and_the_others_stay(erasing: ErasureEnv) -> None:
    before = [json.loads(one) for one in erasing.contents(erasing.person)]
    erasing.erase(field="summary", locale="it")
    after = [json.loads(one) for one in erasing.contents(erasing.person)]
    assert after == [{**one, "summary": {**one["summary"], "it": None}} for one in before]


def test_a_field_of_blocks_is_erased(erasing: ErasureEnv) -> None:
    before = erasing.contents(erasing.person)
    erasing.erase(field="quote.words")
    for old, new in zip(before, erasing.contents(erasing.person), strict=True):
        content = json.loads(old)
        for one in content["body"]:
            one["attributes"]["words"] = None
        assert json.loads(new) == content


def test_a_renamed_field_is_erased_under_its_former_key_too(erasing: ErasureEnv) -> None:
    """Also when another field has the former key by now, whose values stay."""

    def rename(world: Any) -> None:
        fields = {one.api_key: one for one in world.primary.model("post").fields.values()}
        world.update_field(world.account, fields["title"].id, api_key="headline")
        world.create_field(world.account, "post", "title")

    erasing.env.act(rename)
    erasing.update(erasing.person, title="not about anybody")
    erasing.sync()
    erasing.erase(field="headline")
    erasing.sync(full=True)
    contents = [json.loads(one) for one in erasing.contents(erasing.person)]
    assert {one.get("headline") for one in contents} == {None}
    assert contents[-1]["title"] == "not about anybody"
    assert not any(NAME in str(one.get("title")) for one in contents)


@pytest.mark.both_databases
@pytest.mark.parametrize("field", [None, "title"])
def test_no_sync_brings_it_back(erasing: ErasureEnv, field: str | None) -> None:
    """Edits elsewhere, edits of the record, publications, a whole reading and a scrub: flags and events go on."""
    mirror, person = erasing.env.mirror, erasing.person

    def title_is_gone() -> None:
        contents = [json.loads(one) for one in erasing.contents(person)]
        assert not any("title" in one and one["title"] is not None for one in contents)
        if field is None:
            assert erasing.named_in() == []

    erasing.erase(field=field)
    before = erasing.tables()
    assert erasing.sync(full=True).counts.events_written == 0, "invariant 10"
    assert erasing.sync(scrub=5).counts.versions_changed == 0
    changed = changed_rows(before, erasing.tables())
    assert "versions" not in changed
    assert "events" not in changed

    number = len(erasing.contents(person))
    erasing.update(erasing.other, title="another title")
    erasing.sync()
    assert "another title" in erasing.contents(erasing.other)[-1]
    title_is_gone()
    erasing.env.wait(7200)
    erasing.update(person, title=f"{NAME} again")
    erasing.env.act(lambda world: world.publish(world.user, person.id))
    assert erasing.sync().counts.versions_inserted == 1
    assert len(erasing.contents(person)) == number + 1
    title_is_gone()
    assert ("version.published", person.id) in erasing.events()[-6:]
    erasing.env.act(lambda world: world.delete(world.user, person.id))
    erasing.sync()
    title_is_gone()
    assert erasing.events()[-1] == ("record.deleted", person.id)
    rewritten = [record for type, record in erasing.events() if type == "version.rewritten"]
    assert rewritten.count(person.id) == 1, "the one from before it was erased"
    assert differences_from_rebuild(mirror) == []


def test_what_is_erased_is_erased_once(erasing: ErasureEnv) -> None:
    """Erasing again finds nothing, and writes neither a mark nor an event."""
    erasing.erase()
    before = erasing.tables()
    again = erasing.erase()
    assert (again.erasure_id, again.found.versions) == (1, 0)
    assert set(changed_rows(before, erasing.tables())) <= {"leases"}
    assert erasing.erase(field="title").erasure_id == 1, "the erasure of the record covers its fields"


@pytest.mark.both_databases
def test_projections_equal_a_rebuild(erasing: ErasureEnv) -> None:
    """Invariant 15, also if they were behind when the content was erased."""
    erasing.update(erasing.person, title=f"{NAME} 5")
    erasing.env.sync()  # without filling them
    erasing.erase()
    assert not any(NAME in str(rows) for rows in projected(erasing.env.mirror).values())
    assert differences_from_rebuild(erasing.env.mirror) == []


@pytest.mark.both_databases
def test_links_follow_from_what_is_left(erasing: ErasureEnv) -> None:
    """Those in an erased field are gone, all others stay."""
    for name in ("friend", "rival"):
        erasing.env.act(lambda world, name=name: world.create_field(world.account, "post", name, "link"))
    erasing.update(erasing.person, friend=erasing.other.id, rival=erasing.other.id)
    erasing.update(erasing.other, friend=erasing.person.id)
    erasing.sync()
    rows = text("SELECT record_id, field FROM links ORDER BY record_id, field")

    def links() -> set[tuple[str, str]]:
        return {(row[0], row[1]) for row in erasing.env.mirror.query(lambda c: c.execute(rows).all())}

    person, other = erasing.person.id, erasing.other.id
    assert links() == {(person, "friend"), (person, "rival"), (other, "friend")}
    erasing.erase(field="friend")
    assert links() == {(person, "rival"), (other, "friend")}
    assert differences_from_rebuild(erasing.env.mirror) == []
    erasing.erase()
    assert links() == {(other, "friend")}, "what other records say stays"
    assert differences_from_rebuild(erasing.env.mirror) == []


@pytest.mark.both_databases
def test_a_batch_that_was_computed_before_is_dropped(erasing: ErasureEnv, database_url: str) -> None:
    """A process that fills projections has read the content already when it is erased."""
    mirror = erasing.env.mirror
    erasing.update(erasing.person, title=f"{NAME} 5")
    erasing.env.sync()

    class Slow(Mirror):
        """Erases between reading and writing."""

        def transact(self, work: Callable[..., Any]) -> Any:
            plan = plan_erasure(mirror, (), erasing.person.id)
            erase(mirror, plan.target, reason=None, now=now, wait_seconds=0)
            return super().transact(work)

    with Slow.open(database_url) as slow:
        assert ProjectionFiller(slow, 1).fill_batch().state is FillState.BUSY
    assert not any(NAME in str(rows) for rows in projected(mirror).values())


@pytest.mark.both_databases
def test_a_lifted_erasure_lets_later_versions_in_and_no_earlier_one(erasing: ErasureEnv) -> None:
    erasing.erase()
    erased = len(erasing.contents(erasing.person))
    lift(erasing.env.mirror, [1], 1, now=now, wait_seconds=0)
    assert erasing.sync(full=True).counts.versions_changed == 0
    assert erasing.named_in() == []
    erasing.env.wait(7200)
    erasing.update(erasing.person, title="A new beginning")
    erasing.sync()
    contents = erasing.contents(erasing.person)
    assert [json.loads(one) for one in contents[:erased]] == [{}] * erased
    assert json.loads(contents[-1])["title"] == "A new beginning"
    with pytest.raises(UnknownErasure, match="lifted already"):
        lift(erasing.env.mirror, [1], 1, now=now, wait_seconds=0)
    assert erasing.erase().erasure_id == 2, "it can be erased again"
    assert json.loads(erasing.contents(erasing.person)[-1]) == {}


def test_a_source_that_is_written_to_is_not_touched(erasing: ErasureEnv) -> None:
    mirror = erasing.env.mirror
    lease = acquire(mirror, 1, Holder("elsewhere", 1))
    before = erasing.tables()
    plan = plan_erasure(mirror, (), erasing.person.id)
    with pytest.raises(LeaseHeld):
        erase(mirror, plan.target, reason=None, now=now, wait_seconds=0)
    assert erasing.tables() == before
    release(mirror, lease)
    erase(mirror, plan.target, reason=None, now=now, wait_seconds=0)
    assert erasing.named_in() == []


def test_a_run_that_ends_soon_is_waited_for(erasing: ErasureEnv, database_url: str) -> None:
    """As beside a daemon, whose runs take a moment."""

    class Busy(Mirror):
        """Another process holds the lease at the first try."""

        tries = 0

        def transact(self, work: Callable[..., Any]) -> Any:
            self.tries += 1
            if self.tries == 1:
                raise LeaseHeld("website", holder="a daemon", expires_at=now())
            return super().transact(work)

    with Busy.open(database_url) as busy:
        plan = plan_erasure(busy, (), erasing.person.id)
        erase(busy, plan.target, reason=None, now=now, wait_seconds=30)
        assert busy.tries == 3
    assert erasing.named_in() == []


@pytest.mark.both_databases
def test_content_that_jsonb_cannot_hold_is_erased_too(erasing: ErasureEnv) -> None:
    """Its exact bytes lie in a column of their own."""
    odd = {"en": "before\0after", "it": "un altro"}
    erasing.env.wait(7200)
    erasing.update(erasing.person, title=NAME, summary=odd)
    erasing.sync()
    erasing.erase(field="title")
    row = max(
        (row for row in erasing.tables()["versions"].values() if row["record_id"] == erasing.person.id),
        key=lambda row: int(row["ordinal"]),
    )
    exact = row["attributes_exact"] or row["attributes"]
    content = json.loads(exact)
    assert (content["title"], content["summary"]) == (None, odd)
    assert row["attributes_hash"] == content_hash(exact if isinstance(exact, bytes) else exact.encode())
    assert erasing.sync(full=True).counts.versions_changed == 0


@pytest.mark.both_databases
def test_an_erasure_that_is_killed_changes_nothing(erasing: ErasureEnv, database_url: str) -> None:
    """Its transaction is the whole of it. Run again, it does all of it."""
    before = erasing.tables()

    class Killed(Mirror):
        """Dies before its second commit: the first one takes the lease."""

        commits = 0

        @contextmanager
        def write(self) -> Iterator[Connection]:
            with super().write() as tx:
                yield tx
                self.commits += 1
                if self.commits == 2:
                    raise KeyboardInterrupt

    with Killed.open(database_url) as killed:
        plan = plan_erasure(killed, (), erasing.person.id)
        with pytest.raises(KeyboardInterrupt):
            erase(killed, plan.target, reason=None, now=now, wait_seconds=0)
    assert set(changed_rows(before, erasing.tables())) == {"leases"}
    erasing.erase()
    assert erasing.named_in() == []


@pytest.mark.both_databases
def test_files_that_were_not_cleaned_are_cleaned_by_the_next_time(erasing: ErasureEnv) -> None:
    """As after a kill between the transaction and the vacuum."""
    plan = plan_erasure(erasing.env.mirror, (), erasing.person.id)
    erase(erasing.env.mirror, plan.target, reason=None, now=now, wait_seconds=0)
    assert erasing.tables()["erasures"][1,]["cleaned_at"] is None
    erasing.erase()
    assert erasing.tables()["erasures"][1,]["cleaned_at"] is not None


def a_plan(erasing: ErasureEnv, id: str, record_id: str) -> None:
    """Keep a plan of `restore` with one step."""
    body = json.dumps({"record_ids": [record_id], "content": {"title": NAME}})
    row = PlanRow(
        id=id,
        hash=bytes(range(32)),
        environment="main",
        wanted=f"post {NAME}",
        made_at=now(),
        made_by="me",
        undoes_id=None,
        body=json.dumps({"records": [{"record_id": record_id, "title": NAME}]}),
        state="planned",
    )
    steps = [StepRow(number=1, act="update", record_id=None, body=body)]
    erasing.env.mirror.transact(lambda tx: insert_plan(tx, 1, row, steps))


@pytest.mark.both_databases
def test_plans_of_restore_that_name_the_record_are_emptied(erasing: ErasureEnv) -> None:
    a_plan(erasing, "aaaaaaaa", erasing.person.id)
    a_plan(erasing, "bbbbbbbb", erasing.other.id)
    a_plan(erasing, "cccccccc", f"1{erasing.person.id}")  # as with old ids, which are short numbers
    assert erasing.erase().found.plans == ("aaaaaaaa",)
    tables = erasing.tables()
    assert {key[1]: row["state"] for key, row in tables["restore_plans"].items()} == {
        "aaaaaaaa": "erased",
        "bbbbbbbb": "planned",
        "cccccccc": "planned",
    }
    assert NAME not in str(tables["restore_plans"][1, "aaaaaaaa"]) + str(tables["restore_steps"][1, "aaaaaaaa", 1])
    with pytest.raises(CannotApply, match="was erased"):
        kept_plan(erasing.env.mirror, 1, "aaaaaaaa")


@pytest.mark.both_databases
def test_a_plan_that_is_being_carried_out_is_not_pulled_away(erasing: ErasureEnv) -> None:
    a_plan(erasing, "aaaaaaaa", erasing.person.id)
    mirror = erasing.env.mirror
    mirror.transact(lambda tx: claim_plan(tx, 1, "aaaaaaaa", Holder("elsewhere", 1), at=now()))
    plan = plan_erasure(mirror, (), erasing.person.id)
    with pytest.raises(PlanIsRunning):
        erase(mirror, plan.target, reason=None, now=now, wait_seconds=0)
    assert NAME in erasing.contents(erasing.person)[0]
    acquire(mirror, 1, Holder.of_this_process())  # the lease was given up


@pytest.mark.parametrize(
    ("field", "locale", "message"),
    [
        ("titel", None, "has no field titel"),
        ("qoute.words", None, "no block model qoute"),
        ("quote.text", None, "the model quote has no field text"),
        ("title", "en", "is not localized"),
        ("summary", "xx", "no version has the locale xx"),
    ],
)
def test_what_is_not_there_is_named(erasing: ErasureEnv, field: str, locale: str | None, message: str) -> None:
    with pytest.raises(CannotErase, match=message):
        plan_erasure(erasing.env.mirror, (), erasing.person.id, field=field, locale=locale)


def test_a_deleted_record_is_erased(erasing: ErasureEnv) -> None:
    erasing.env.act(lambda world: world.delete(world.user, erasing.person.id))
    assert erasing.sync().outcome is Outcome.SUCCEEDED
    erasing.erase()
    assert erasing.named_in() == []
