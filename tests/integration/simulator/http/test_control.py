"""Driving a simulator from outside its process."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest

from tests.integration.simulator.conftest import Served
from versionsync.simulator import SimulatorOptions, SimulatorThread, World
from versionsync.simulator.http.control import ControlToken


def order(served: Served, path: str, body: object, *, status: int = 200) -> Any:
    """The answer to a control request."""
    answer = served.http.post(f"/_simulator/{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_whole_story_can_be_told_from_outside(served: Served) -> None:
    made = order(served, "act", {"act": "create", "arguments": {"model": "post", "attributes": {"title": {"en": "a"}}}})
    order(served, "act", {"act": "publish", "editor": "sso_user", "arguments": {"record_id": made["id"]}})
    assert order(served, "clock", {"advance_seconds": 60})["now"] == "2026-09-01T09:01:00Z"
    restored = order(served, "act", {"act": "restore", "arguments": {"version_id": made["current_version"]}})
    assert restored[0]["status"] == "updated"
    story = served.get("/_simulator/truth?environment=main")
    assert [one["type"] for one in story["transitions"]] == [
        "record.created",
        "version.created",
        "version.became_current",
        "version.published",
        "version.created",
        "version.superseded",
        "version.became_current",
    ]
    assert story["versions"][0]["content"] == {"title": {"en": "a"}, "body": []}
    assert story["records"][0]["alive"] is True


def test_plans_are_carried_out_when_the_clock_is_moved(served: Served) -> None:
    made = order(served, "act", {"act": "create", "arguments": {"model": "post", "attributes": {}}})
    due = {
        "record_id": made["id"],
        "at": "2026-09-01T10:00:00Z",
        "selection": {"locales": ["en"], "non_localized": True},
    }
    order(served, "act", {"act": "schedule_publication", "arguments": due})
    order(served, "clock", {"set": "2026-09-01T12:00:00Z"})
    (record,) = served.get("/_simulator/truth")["records"]
    assert record["published_id"] is not None


def test_faults_can_be_planted_and_cleared(served: Served) -> None:
    order(served, "faults", {"plant": [{"kind": "internal_error", "path": "/site"}], "vanished_share": 0.5})
    assert served.http.get("/site").status_code == 500
    assert served.get("/_simulator/faults")["injected"] == {"internal_error": 1}
    assert order(served, "faults", {"clear": True})["vanished_share"] == 0.0
    order(served, "faults", {"rates": {"unavailable": 1.0}})
    assert served.http.get("/site").status_code == 503


def test_limits_can_be_set_and_used_up(served: Served) -> None:
    order(served, "limits", {"limit": 5, "reserve": 4})
    assert [served.http.get("/site").status_code for _ in range(2)] == [200, 429]
    assert order(served, "limits", {"limit": None})["limit"] is None
    assert served.http.get("/site").status_code == 200


def test_requests_are_counted_without_the_control_requests(served: Served) -> None:
    served.get("/site")
    counted = served.get("/_simulator/requests?latest=1")
    assert (counted["total"], counted["by_route"], len(counted["latest"])) == (1, {"GET /site": 1}, 1)
    assert served.http.delete("/_simulator/requests").json()["total"] == 0


def test_switches_are_read_and_thrown(served: Served) -> None:
    thrown = order(served, "switches", {"history_resolution": 600, "versions_order": "oldest_first", "job_delay": 2})
    assert (thrown["history_resolution"], thrown["versions_order"], thrown["job_delay"]) == (600.0, "oldest_first", 2.0)
    order(served, "switches", {"tracks_intervals_since": "2026-10-01T00:00:00Z", "job_delay": None})
    assert served.act(lambda world: world.options.tracks_intervals_since.month) == 10


def test_every_switch_can_be_read_and_set_back(served: Served) -> None:
    usual = served.get("/_simulator/switches")
    assert usual.keys() == SimulatorOptions.__dataclass_fields__.keys()
    assert order(served, "switches", usual) == usual
    assert served.act(lambda world: world.options) == SimulatorOptions()


def test_the_overview_says_what_is_simulated(served: Served) -> None:
    seen = served.get("/_simulator/")
    assert seen["tokens"] == ["simulator-full-access"]
    assert seen["environments"] == [{"id": "main", "primary": True, "models": 2, "records": 0, "versions": 0}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("act", {"act": "explode"}),
        ("act", {"act": "create", "editor": "nobody", "arguments": {"model": "post", "attributes": {}}}),
        ("act", {"act": "create", "arguments": {"model": "post"}}),
        ("act", {"act": "publish", "arguments": {"record_id": "x"}}),
        ("clock", {"advance": 1}),
        ("clock", {"set": "soon"}),
        ("faults", {"plant": [{"kind": "explosion"}]}),
        ("switches", {"colour": "red"}),
    ],
)
def test_what_makes_no_sense_is_told(served: Served, path: str, body: object) -> None:
    assert order(served, path, body, status=400)["error"]


def test_a_page_of_another_site_may_not_use_the_control_endpoints(served: Served) -> None:
    """Every one of them is guarded; the API itself does not know what an origin is."""
    elsewhere = {"Origin": "https://example.com"}
    for route in served.simulator.simulator.server.app.router.routes():
        path = route.resource.canonical if route.resource is not None else ""
        if path.startswith("/_simulator") and route.method != "HEAD":
            answer = served.http.request(route.method, path, headers=elsewhere, json={})
            assert (answer.status_code, "another site" in answer.json()["error"]) == (403, True), path
    assert served.http.get("/site", headers=elsewhere).status_code == 200


def test_another_name_than_that_of_this_machine_is_refused(served: Served) -> None:
    assert served.http.get("/_simulator/", headers={"Host": "example.com"}).status_code == 403
    port = served.simulator.url.rpartition(":")[2]
    own = {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"}
    assert served.http.get("/_simulator/", headers=own).status_code == 200


def test_a_program_that_comes_from_another_address_is_refused_without_the_token() -> None:
    """This machine's own address in its network is another than loopback."""
    address = _own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    with SimulatorThread(World(), host=address, control_token=ControlToken("a-token-of-the-tests")) as simulator:
        url = f"{simulator.url}/_simulator/"
        answer = httpx.get(url)
        assert (answer.status_code, "send the control token" in answer.json()["error"]) == (403, True)
        assert httpx.get(url, headers={"Authorization": "Bearer a-token-of-the-tests"}).status_code == 200


def _own_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        try:
            found.connect(("192.0.2.1", 9))  # sends nothing: it only asks for the way there
        except OSError:
            return None
        address: str = found.getsockname()[0]
        return None if address.startswith("127.") else address


def test_a_program_that_comes_by_ipv6_is_on_this_machine() -> None:
    try:
        with SimulatorThread(World(), host="::1") as simulator:
            assert httpx.get(f"{simulator.url}/_simulator/").status_code == 200
    except OSError:
        pytest.skip("this machine has no IPv6")
