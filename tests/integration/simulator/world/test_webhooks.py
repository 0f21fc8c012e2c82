"""Webhooks: calls that arrive, calls that fail, and the log of both."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.integration.simulator.conftest import Served
from versionsync.simulator import World


class Receiver:
    """Somebody who is called: what arrived, and what they answer."""

    def __init__(self) -> None:
        self.arrived: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.arrived.append((dict(self.headers), json.loads(body)))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Receiver:
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that listens."""
    with Receiver() as receiver:
        yield receiver


def eventually(condition: Callable[[], object]) -> None:
    """Wait until *condition* holds, at most a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def register(served: Served, url: str, **attributes: Any) -> str:
    """The id of a webhook that hears of all that happens to records."""
    kinds = ["create", "update", "delete", "publish", "unpublish"]
    usual = {
        "name": "mirror",
        "url": url,
        "custom_payload": None,
        "headers": {"X-Ours": "yes"},
        "events": [{"entity_type": "item", "event_types": kinds}],
        "http_basic_user": "us",
        "http_basic_password": "secret",
    }
    made = served.send("POST", "/webhooks", {"data": {"type": "webhook", "attributes": usual | attributes}}, status=201)
    return str(made["data"]["id"])


def test_every_act_on_a_record_is_told(served: Served, receiver: Receiver) -> None:
    webhook_id = register(served, receiver.url)
    id = served.act(lambda world: world.create(world.user, "post", {"title": {"en": "a"}}).id)
    served.act(lambda world: world.update(world.user, id, {"title": {"en": "b"}}))
    served.act(lambda world: world.publish(world.user, id))
    served.act(lambda world: world.unpublish(world.user, id))
    served.act(lambda world: world.delete(world.user, id))
    eventually(lambda: len(receiver.arrived) == 5)
    by_type = {payload["event_type"]: (headers, payload) for headers, payload in receiver.arrived}
    assert by_type.keys() == {"create", "update", "publish", "unpublish", "delete"}
    headers, payload = by_type["update"]
    assert headers["User-Agent"] == "DatoCMS (datocms.com)"
    assert headers["Authorization"] == "Basic dXM6c2VjcmV0"
    assert headers["X-Ours"] == "yes"
    assert payload["entity"]["id"] == id
    assert payload["entity"]["attributes"]["title"] == {"en": "b"}
    assert payload["previous_entity"]["attributes"]["title"] == {"en": "a"}
    assert [one["type"] for one in payload["related_entities"]] == ["item_type", "user"]
    assert {name: payload[name] for name in ("webhook_id", "environment", "is_environment_primary", "entity_type")} == {
        "webhook_id": webhook_id,
        "environment": "main",
        "is_environment_primary": True,
        "entity_type": "item",
    }


def test_a_call_never_names_the_secret_of_a_token(served: Served, receiver: Receiver) -> None:
    """A token is a creator like any other, and is described with what anybody may know."""
    register(served, receiver.url)
    served.act(lambda world: world.create(world.api, "post", {}))
    eventually(lambda: receiver.arrived)
    _, creator = receiver.arrived[0][1]["related_entities"]
    api = served.act(lambda world: world.api)
    assert (creator["type"], creator["id"]) == ("access_token", api.id)
    assert creator["attributes"]["name"] == api.name
    assert creator["attributes"]["token"] is None


def test_a_scheduled_publication_is_told(served: Served, receiver: Receiver) -> None:
    register(served, receiver.url)
    id = served.act(lambda world: world.create(world.user, "post", {}).id)
    served.act(lambda world: world.schedule_publication(world.user, id, world.now() + timedelta(hours=1)))
    served.act(lambda world: world.clock.advance(timedelta(hours=2)))
    eventually(lambda: len(receiver.arrived) == 3)
    triggered = {payload["event_type"]: payload["event_triggered_at"] for _, payload in receiver.arrived}
    assert triggered.keys() == {"create", "update", "publish"}  # in any order: none is promised
    assert triggered["publish"] == "2026-09-01T10:00:00Z"


def test_failed_calls_come_again_later(served: Served, receiver: Receiver) -> None:
    register(served, receiver.url)
    receiver.status = 500
    served.act(lambda world: world.create(world.user, "post", {}))
    eventually(lambda: served.get("/webhook_calls")["data"][0]["attributes"]["status"] == "rescheduled")
    (call,) = served.get("/webhook_calls?filter[fields][status][eq]=rescheduled")["data"]
    assert call["attributes"]["next_retry_at"] == "2026-09-01T09:02:00Z"
    assert call["attributes"]["response_status"] == 500
    receiver.status = 200
    served.act(lambda world: world.clock.advance(timedelta(minutes=3)))
    eventually(lambda: served.get("/webhook_calls")["data"][0]["attributes"]["status"] == "success")
    assert len(receiver.arrived) == 2


def test_failed_calls_come_seven_times_more_and_the_last_is_three_days_late(served: Served, receiver: Receiver) -> None:
    register(served, receiver.url)
    receiver.status = 500
    served.act(lambda world: world.create(world.user, "post", {}))
    late, minutes = [], 0.0
    for number, wait in enumerate([0, 2, 6, 30, 60, 5 * 60, 24 * 60, 48 * 60], start=1):
        minutes += wait
        served.act(lambda world, wait=wait: world.clock.advance(timedelta(minutes=wait)))
        eventually(lambda number=number: len(receiver.arrived) == number)
        late.append(minutes)
        expected = "failed" if number == 8 else "rescheduled"
        eventually(
            lambda expected=expected: served.get("/webhook_calls")["data"][0]["attributes"]["status"] == expected
        )
    payloads = [payload for _, payload in receiver.arrived]
    assert [payload["attempted_auto_retries_count"] for payload in payloads] == list(range(8))
    assert len({payload["webhook_call_id"] for payload in payloads}) == 1
    assert late[-1] > 3 * 24 * 60
    served.act(lambda world: world.clock.advance(timedelta(days=30)))
    assert served.get("/webhook_calls")["data"][0]["attributes"]["next_retry_at"] is None


@pytest.mark.parametrize(("twice", "calls", "ids"), [("never", 1, 1), ("same_call", 2, 1), ("another_call", 2, 2)])
def test_one_act_may_call_twice(served: Served, receiver: Receiver, twice: str, calls: int, ids: int) -> None:
    register(served, receiver.url)
    served.http.post("/_simulator/switches", json={"webhooks_call_twice": twice})
    served.act(lambda world: world.create(world.user, "post", {}))
    eventually(lambda: all(one["attributes"]["status"] == "success" for one in served.get("/webhook_calls")["data"]))
    assert len(receiver.arrived) == calls
    assert len({payload["webhook_call_id"] for _, payload in receiver.arrived}) == ids
    assert served.get("/webhook_calls")["meta"]["total_count"] == ids


def test_calls_may_be_late(served: Served, receiver: Receiver) -> None:
    register(served, receiver.url)
    served.http.post("/_simulator/switches", json={"webhook_delay": 3600})
    served.act(lambda world: world.create(world.user, "post", {}))
    time.sleep(0.2)
    assert receiver.arrived == []
    served.act(lambda world: world.clock.advance(timedelta(hours=1)))
    eventually(lambda: receiver.arrived)
    assert receiver.arrived[0][1]["event_triggered_at"] == "2026-09-01T09:00:00Z"


def called(served: Served, *acts: Callable[[World], object]) -> list[list[str]]:
    """What each of *acts* makes a webhook hear, in the order of the calls."""
    sent: list[list[str]] = []
    seen = 0
    for act in acts:
        served.act(act)
        document = served.get("/webhook_calls?order_by=created_at_asc&page[limit]=500")
        kinds = [one["attributes"]["event_type"] for one in document["data"]]
        sent.append(kinds[seen:])
        seen = len(kinds)
    return sent


def test_without_drafts_a_save_publishes_and_a_deletion_unpublishes(served: Served, receiver: Receiver) -> None:
    """A duplicate and a restored version are saves, too."""
    register(served, receiver.url)
    model = served.act(lambda world: world.create_model(world.account, "note", draft_mode=False))
    record = served.act(lambda world: world.create(world.user, model, {}))
    first = record.head.id
    sent = called(
        served,
        lambda world: None,
        lambda world: world.update(world.user, record.id, {}),
        lambda world: world.restore(world.user, first),
        lambda world: world.publish(world.user, record.id),
        lambda world: world.duplicate(world.user, record.id),
        lambda world: world.delete(world.user, record.id),
    )
    saved = ["update", "publish"]
    assert sent == [["create", "publish"], saved, saved, [], ["create", "publish"], ["unpublish", "delete"]]


def test_with_drafts_each_act_is_told_by_itself(served: Served, receiver: Receiver) -> None:
    """A deletion calls twice only if the record was published."""
    register(served, receiver.url)
    record = served.act(lambda world: world.create(world.user, "post", {}))
    first = record.head.id
    sent = called(
        served,
        lambda world: None,
        lambda world: world.update(world.user, record.id, {}),
        lambda world: world.restore(world.user, first),
        lambda world: world.publish(world.user, record.id),
        lambda world: world.unpublish(world.user, record.id),
        lambda world: world.unpublish(world.user, record.id),
        lambda world: world.delete(world.user, record.id),
    )
    assert sent == [["create"], ["update"], ["update"], ["publish"], ["unpublish"], [], ["delete"]]


def test_the_deletion_of_what_is_live_unpublishes_first(served: Served, receiver: Receiver) -> None:
    """One by one, and in bulk."""
    register(served, receiver.url)
    ids = [served.act(lambda world: world.create(world.user, "post", {}).id) for _ in range(3)]
    sent = called(
        served,
        lambda world: None,
        lambda world: world.publish_many(world.user, ids[1:]),
        lambda world: world.update(world.user, ids[1], {}),
        lambda world: world.delete(world.user, ids[1]),
        lambda world: world.delete_many(world.user, [ids[0], ids[2]]),
    )
    deletion = ["unpublish", "delete"]
    assert sent == [["create"] * 3, ["publish"] * 2, ["update"], deletion, ["delete", *deletion]]


def test_a_plan_is_an_update_and_its_time_an_act_of_its_own(served: Served, receiver: Receiver) -> None:
    """The same for publishing and unpublishing."""
    register(served, receiver.url)
    id = served.act(lambda world: world.create(world.user, "post", {}).id)

    def later(world: World) -> None:
        world.clock.advance(timedelta(hours=2))
        world.tick()

    sent = called(
        served,
        lambda world: None,
        lambda world: world.schedule_publication(world.user, id, world.now() + timedelta(hours=1)),
        later,
        lambda world: world.schedule_unpublishing(world.user, id, world.now() + timedelta(hours=1)),
        later,
    )
    assert sent == [["create"], ["update"], ["publish"], ["update"], ["unpublish"]]


def test_the_maintenance_mode_is_told_when_it_changes(served: Served, receiver: Receiver) -> None:
    """Of the project, so without related entities; switching on what is on already changes nothing."""
    events = [{"entity_type": "maintenance_mode", "event_types": ["change"]}]
    register(served, receiver.url, events=events)
    for _ in range(2):
        served.send("PUT", "/maintenance-mode/activate?force=true")
    eventually(lambda: len(receiver.arrived) == 1)
    served.send("PUT", "/maintenance-mode/deactivate")
    eventually(lambda: len(receiver.arrived) == 2)
    for (_, payload), active in zip(receiver.arrived, (True, False), strict=True):
        assert (payload["entity_type"], payload["event_type"]) == ("maintenance_mode", "change")
        assert payload["entity"] == {
            "id": "maintenance_mode",
            "type": "maintenance_mode",
            "attributes": {"active": active},
        }


@pytest.mark.parametrize("status", [503, 422])
def test_in_maintenance_writes_wait_and_reads_go_on(served: Served, status: int) -> None:
    """Upstream does not say with which status; a validation writes nothing."""
    id = served.act(lambda world: world.create(world.user, "post", {}).id)
    served.http.post("/_simulator/switches", json={"maintenance_status": status})
    served.send("PUT", "/maintenance-mode/activate")
    sent = {"data": {"attributes": {"title": {"en": "a"}}}}
    assert served.refused(served.http.put(f"/items/{id}", json=sent)) == (status, "MAINTENANCE_MODE")
    assert served.get(f"/items/{id}")["data"]["meta"]["status"] == "draft"
    assert served.http.post(f"/items/{id}/validate", json=sent).status_code == 204
    served.send("PUT", "/maintenance-mode/deactivate")
    served.send("PUT", f"/items/{id}", sent)


def test_without_retries_a_call_fails_and_can_be_sent_again(served: Served, receiver: Receiver) -> None:
    register(served, receiver.url, auto_retry=False)
    receiver.status = 503
    served.act(lambda world: world.create(world.user, "post", {}))
    eventually(lambda: served.get("/webhook_calls")["data"][0]["attributes"]["status"] == "failed")
    (call,) = served.get("/webhook_calls")["data"]
    receiver.status = 204
    served.send("POST", f"/webhook_calls/{call['id']}/resend_webhook")
    eventually(lambda: served.get(f"/webhook_calls/{call['id']}")["data"]["attributes"]["status"] == "success")


def test_nobody_at_home_is_a_failed_call(served: Served) -> None:
    register(served, "http://127.0.0.1:9/hook", auto_retry=False)
    served.act(lambda world: world.create(world.user, "post", {}))
    eventually(lambda: served.get("/webhook_calls")["data"][0]["attributes"]["status"] == "failed")


def test_the_log_is_filtered_ordered_and_paged(served: Served) -> None:
    register(served, "http://127.0.0.1:9/hook", auto_retry=False)
    for _ in range(3):
        served.act(lambda world: world.create(world.user, "post", {}))
        served.act(lambda world: world.clock.advance(timedelta(minutes=1)))
    document = served.get("/webhook_calls?order_by=created_at_asc&page[limit]=2&page[offset]=1")
    assert [one["attributes"]["created_at"][11:16] for one in document["data"]] == ["09:01", "09:02"]
    assert document["meta"]["total_count"] == 3
    assert [one["type"] for one in document["included"]] == ["webhook"]
    newer = served.get("/webhook_calls?filter[fields][created_at][gt]=2026-09-01T09:00:30Z")
    assert newer["meta"]["total_count"] == 2
    payload = json.loads(document["data"][0]["attributes"]["request_payload"])
    assert payload["entity"]["type"] == "item"
    assert served.refused(served.http.get("/webhook_calls?order_by=colour_asc")) == (422, "INVALID_ORDERING")
    assert served.get(f"/webhook_calls?filter[ids]={document['data'][0]['id']}")["meta"]["total_count"] == 1


def test_webhooks_can_be_changed_and_removed(served: Served, receiver: Receiver) -> None:
    id = register(served, receiver.url)
    changed = served.send("PUT", f"/webhooks/{id}", {"data": {"attributes": {"enabled": False}}})
    assert changed["data"]["attributes"]["enabled"] is False
    assert served.get(f"/webhooks/{id}") == changed
    served.act(lambda world: world.create(world.user, "post", {}))
    served.send("DELETE", f"/webhooks/{id}")
    assert served.get("/webhooks")["data"] == []
    assert served.get("/webhook_calls")["data"] == []
