"""A rehearsal: a restore into a simulated project with the schema of the mirror, and what it came to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from tests.fixtures.sync_env import START, SyncEnv
from versionsync.mirror.database import Mirror
from versionsync.mirror.tables.sources import load_source
from versionsync.mirror.whole_source import StoredRecord, StoredVersion, stored_records
from versionsync.restore.compare_with_mirror import DrillReport
from versionsync.restore.model import LeftAlone, Loss
from versionsync.simulator import Clock, World
from versionsync.wiring.drill import Restore, rehearse


@dataclass
class Done:
    """What the fake restore came to."""

    left_alone: Sequence[LeftAlone] = field(default_factory=list)
    losses: Sequence[Loss] = field(default_factory=list)


class FakeRestore:
    """Writes what is live, publishes it, and writes the draft over it: by plain HTTP, in the order of the mirror."""

    def __init__(self, mirror: Mirror, *, change: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.mirror = mirror
        self.change = change
        self.leave: frozenset[str] = frozenset()

    def __call__(self, base_url: str, token: str, source: str) -> Done:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "X-Api-Version": "3"}
        done: list[LeftAlone] = []
        with httpx.Client(base_url=base_url, headers=headers) as http, self.mirror.read() as connection:
            known = load_source(connection, source)
            assert known is not None
            # A link must lead to a record that is there, and one of the posts has a link.
            found = sorted(stored_records(connection, known.id, with_history=False), key=_has_link)
            for record in found:
                if record.id in self.leave:
                    done.append(LeftAlone(record_id=record.id, model_id=record.model_id, title=None, why="A test."))
                else:
                    self._write(http, record)
        return Done(done)

    def _write(self, http: httpx.Client, record: StoredRecord) -> None:
        live = next((version for version in record.versions if version.is_published), None)
        current = next(version for version in record.versions if version.is_current)
        self._send(http, "POST", "/items", record, live or current)
        if live is not None:
            http.put(f"/items/{record.id}/publish").raise_for_status()
        if live is not None and live is not current:
            self._send(http, "PUT", f"/items/{record.id}", record, current)

    def _send(self, http: httpx.Client, method: str, path: str, record: StoredRecord, version: StoredVersion) -> None:
        assert record.creator is not None
        meta = {
            "created_at": record.created_at and record.created_at.isoformat(),
            "first_published_at": record.first_published_at and record.first_published_at.isoformat(),
        }
        item: dict[str, Any] = {
            "type": "item",
            "id": record.id,
            "attributes": msgspec.json.decode(version.content),
            "relationships": {
                "item_type": {"data": {"type": "item_type", "id": record.model_id}},
                "creator": {"data": {"type": record.creator.type, "id": record.creator.id}},
            },
            "meta": meta if method == "POST" else {},
        }
        if self.change is not None:
            self.change(item)
        answer = http.request(method, path, json={"data": item})
        assert answer.status_code in (200, 201), answer.text


def _has_link(record: StoredRecord) -> bool:
    return any(msgspec.json.decode(version.content).get("previous") for version in record.versions)


def blog(world: World) -> dict[str, str]:
    """Posts with blocks and links: a draft, one live, one live with a newer draft; and prices, which have no drafts."""
    quote = world.create_model(world.account, "quote", is_block=True)
    world.create_field(world.account, quote, "text", "text")
    post = world.create_model(world.account, "post")
    world.create_field(world.account, post, "title", localized=True)
    world.create_field(world.account, post, "body", "rich_text")
    world.create_field(world.account, post, "previous", "link")
    price = world.create_model(world.account, "price", draft_mode=False)
    world.create_field(world.account, price, "amount", "float")
    link = {"item_type": {"data": {"id": quote.id, "type": "item_type"}}}
    block = {"type": "item", "attributes": {"text": "Words"}, "relationships": link}

    draft = world.create(world.user, post, {"title": {"en": "Draft"}, "body": [block]})
    newer = world.create(world.user, post, {"title": {"en": "Old", "it": "Vecchio"}, "body": []})
    world.publish(world.user, newer.id)
    live = world.create(world.sso_user, post, {"title": {"en": "Live"}, "body": [block], "previous": newer.id})
    world.clock.advance(timedelta(minutes=1))
    world.publish(world.user, live.id)
    world.clock.advance(timedelta(minutes=1))
    world.update(world.account, newer.id, {"title": {"en": "New", "it": "Nuovo"}})
    world.create(world.user, price, {"amount": 12.5})
    gone = world.create(world.user, price, {"amount": 1})
    world.delete(world.user, gone.id)
    return {"draft": draft.id, "live": live.id, "newer": newer.id}


@pytest.fixture
def ids(make_sync_env: Callable[..., SyncEnv]) -> tuple[SyncEnv, dict[str, str]]:
    """The mirrored blog, and the ids of its posts."""
    env = make_sync_env(World(seed=5, clock=Clock.stopped(START), locales=("en", "it")))
    named = env.act(blog)
    env.sync()
    return env, named


def drilled(env: SyncEnv, restore: Restore) -> DrillReport:
    with env.mirror.read() as connection:
        source = load_source(connection, "website")
    assert source is not None
    return rehearse(env.mirror, source, restore, clock=Clock.stopped(START + timedelta(days=90)))


@pytest.mark.both_databases
def test_a_rehearsal_of_a_faithful_restore_finds_everything_equal(ids: tuple[SyncEnv, dict[str, str]]) -> None:
    env, _ = ids
    report = drilled(env, FakeRestore(env.mirror))
    assert report.different == ()
    assert (report.records, report.versions, report.equal, report.left_alone) == (4, 5, 4, ())
    assert report.requests == 4 + 3 + 1  # creations, publications, the newer draft
    assert report.seconds > 0


def test_a_rehearsal_names_what_did_not_come_back(ids: tuple[SyncEnv, dict[str, str]]) -> None:
    env, named = ids

    def lose(item: dict[str, Any]) -> None:
        """Give blocks new ids, leave links out, and take records for oneself."""
        for block in item["attributes"].get("body") or ():
            del block["id"]
        if item["attributes"].get("previous"):
            item["attributes"]["previous"] = None
        del item["relationships"]["creator"]

    report = drilled(env, FakeRestore(env.mirror, change=lose))
    assert report.equal == 0
    of_live = {(one.part, one.field, one.why.value) for one in report.different if one.record_id == named["live"]}
    assert of_live == {
        ("creator", None, "value"),
        ("current", "body", "block_ids"),
        ("current", "previous", "links"),
        ("published", "body", "block_ids"),
        ("published", "previous", "links"),
    }


def test_what_the_restore_said_is_lost_is_no_unexplained_difference(ids: tuple[SyncEnv, dict[str, str]]) -> None:
    env, named = ids

    def lose(item: dict[str, Any]) -> None:
        """Leave links and the creator out."""
        if item["attributes"].get("previous"):
            item["attributes"]["previous"] = None
            del item["relationships"]["creator"]

    def lossy(base_url: str, token: str, source: str) -> Done:
        restore = FakeRestore(env.mirror, change=lose)
        lost = Loss(record_id=named["live"], path=("previous",), what="A test.")
        return Done(restore(base_url, token, source).left_alone, [lost])

    report = drilled(env, lossy)
    assert [(one.record_id, one.part) for one in report.different] == [(named["live"], "creator")]
    assert {(one.record_id, one.field) for one in report.said} == {(named["live"], "previous")}
    assert report.equal == 3


def test_a_record_that_the_restore_left_alone_is_reported_as_that(ids: tuple[SyncEnv, dict[str, str]]) -> None:
    env, named = ids
    restore = FakeRestore(env.mirror)
    restore.leave = frozenset({named["live"]})
    report = drilled(env, restore)
    assert ([one.record_id for one in report.left_alone], report.different) == ([named["live"]], ())
    assert (report.records, report.equal) == (4, 3)


def test_a_rehearsal_leaves_the_mirror_and_the_project_alone(ids: tuple[SyncEnv, dict[str, str]]) -> None:
    env, _ = ids
    before = env.act(lambda world: len(world.event_log))
    assert env.requests(lambda: drilled(env, FakeRestore(env.mirror))) == 0
    assert env.act(lambda world: len(world.event_log)) == before
