"""Uploading a file: an address for its bytes, the bytes, and the upload that they become."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.integration.simulator.conftest import Served
from tests.unit.simulator.world.test_pictures import png


def request_address(served: Served, filename: str) -> tuple[str, str]:
    """The path and the address for a file."""
    body = {"data": {"type": "upload_request", "attributes": {"filename": filename}}}
    made = served.send("POST", "/upload-requests", body, status=201)["data"]
    assert made["type"] == "upload_request"
    assert made["attributes"]["request_headers"] == {}
    return made["id"], made["attributes"]["url"]


def send_file(served: Served, filename: str, content: bytes) -> str:
    """The path of a file that was sent, by somebody without a token."""
    path, url = request_address(served, filename)
    assert httpx.put(url, content=content).status_code == 200
    return path


def upload(served: Served, filename: str = "a.png", content: bytes | None = None, **sent: Any) -> Any:
    """An upload."""
    path = send_file(served, filename, png(30, 20) if content is None else content)
    id = {"id": sent.pop("id")} if "id" in sent else {}
    status, made = served.job("POST", "/uploads", {"data": {**id, "attributes": {"path": path, **sent}}})
    assert status == 200, made
    return made["data"]


def change(served: Served, id: str, query: str = "", **sent: Any) -> Any:
    """The upload after an update."""
    status, made = served.job("PUT", f"/uploads/{id}{query}", {"data": {"attributes": sent}})
    assert status == 200, made
    return made["data"]["attributes"]


def test_a_picture_becomes_an_upload(served: Served) -> None:
    """With what its bytes say, and what the request says."""
    made = upload(served, "Mön Photo.png", author="Ann", tags=["a", "b"], default_field_metadata={"alt": {"en": "A"}})
    found = made["attributes"]
    assert served.get(f"/uploads/{made['id']}")["data"] == made
    assert (found["size"], found["width"], found["height"]) == (len(png(30, 20)), 30, 20)
    assert (found["format"], found["mime_type"], found["is_image"]) == ("png", "image/png", True)
    assert found["filename"] == "M-n-Photo.png"
    assert found["path"].startswith("/205/")
    assert found["path"].endswith("-M-n-Photo.png")
    assert found["url"].endswith(found["path"])
    assert (found["author"], found["notes"], found["tags"]) == ("Ann", None, ["a", "b"])
    assert found["default_field_metadata"]["alt"] == {"en": "A"}
    assert found["default_field_metadata"]["focal_point"] is None
    assert made["relationships"]["creator"]["data"]["type"] == "access_token"
    assert served.get("/uploads")["meta"]["total_count"] == 1


def test_files_of_one_name_have_paths_of_their_own(served: Served) -> None:
    """Also within one second: the clock of this simulator stands still."""
    assert len({upload(served)["attributes"]["path"] for _ in range(3)}) == 3


def test_an_upload_may_bring_its_id(served: Served) -> None:
    """A free one that is valid."""
    id = served.act(lambda world: world.ids.new())
    assert upload(served, id=id)["id"] == id
    path = send_file(served, "b.png", png(1, 1))
    for taken in (id, "no-id"):
        status, answer = served.job("POST", "/uploads", {"data": {"id": taken, "attributes": {"path": path}}})
        assert (status, answer["data"][0]["attributes"]["code"]) == (422, "INVALID_ENTITY_ID")


def test_without_the_bytes_there_is_no_upload(served: Served) -> None:
    """A path that was not requested, or to which nothing was sent."""
    path, _ = request_address(served, "a.png")
    for unknown in (path, "/205/1-a.png"):
        status, answer = served.job("POST", "/uploads", {"data": {"attributes": {"path": unknown}}})
        assert status == 422
        assert answer["data"][0]["attributes"]["details"]["field"] == "path"


def test_the_address_is_for_whoever_knows_all_of_it(served: Served) -> None:
    """Neither another signature nor another project will do."""
    _, url = request_address(served, "a.png")
    for other in (url[:-3], url.replace("/205/", "/9/"), url.replace("a.png", "b.png")):
        assert httpx.put(other, content=b"x").status_code in {403, 404}


def test_an_upload_is_described_anew(served: Served) -> None:
    """What is not sent stays; of the metadata, too."""
    id = upload(served, author="Ann", default_field_metadata={"alt": {"en": "A"}})["id"]
    served.http.post("/_simulator/clock", json={"advance_seconds": 60})
    changed = change(served, id, notes="n", default_field_metadata={"title": {"en": "T"}})
    assert (changed["author"], changed["notes"]) == ("Ann", "n")
    assert changed["default_field_metadata"]["alt"] == {"en": "A"}
    assert changed["default_field_metadata"]["title"] == {"en": "T"}
    assert (changed["created_at"], changed["updated_at"]) == ("2026-09-01T09:00:00Z", "2026-09-01T09:01:00Z")


def test_an_upload_is_renamed(served: Served) -> None:
    """Its path moves with its name; the extension stays."""
    made = upload(served)
    changed = change(served, made["id"], basename="other")
    assert (changed["filename"], changed["basename"]) == ("other.png", "other")
    assert changed["path"].endswith("-other.png")
    assert change(served, made["id"], basename="other")["path"] == changed["path"]


@pytest.mark.parametrize("keeps", [False, True])
def test_a_file_is_replaced(served: Served, keeps: bool) -> None:
    """At a new address, or at the old one."""
    made = upload(served, "a.txt", b"hello\n")
    path = send_file(served, "b.png", png(5, 6))
    changed = change(served, made["id"], "?replace_strategy=keep_url" if keeps else "", path=path)
    assert (changed["width"], changed["mime_type"]) == (5, "image/png")
    assert changed["path"] == (made["attributes"]["path"] if keeps else path)


def test_an_upload_is_destroyed(served: Served) -> None:
    """The answer is no job, but the upload."""
    made = upload(served)
    assert served.send("DELETE", f"/uploads/{made['id']}")["data"]["id"] == made["id"]
    assert served.refused(served.http.get(f"/uploads/{made['id']}")) == (404, "NOT_FOUND")
    assert served.get("/uploads")["data"] == []


def test_uploads_are_found_by_their_bytes(served: Served) -> None:
    """So the client knows a file that is there already; a filter that is not known is refused, not ignored."""
    first, second = upload(served), upload(served, content=png(2, 2))
    found = served.get(f"/uploads?filter[fields][md5][eq]={second['attributes']['md5']}")
    assert [one["id"] for one in found["data"]] == [second["id"]]
    assert served.get(f"/uploads?filter[ids]={first['id']}")["meta"]["total_count"] == 1
    refused = served.refused(served.http.get("/uploads?filter[fields][colour][eq]=red"))
    assert refused == (422, "INVALID_FILTER_FIELDS_PARAM")


def test_the_records_that_name_an_upload_are_found(served: Served) -> None:
    """In their current content, in what is published, or in what is shown to visitors."""
    served.act(lambda world: world.create_field(world.account, "post", "image", "file"))
    id = upload(served)["id"]
    record = served.act(lambda world: world.create(world.user, "post", {"image": {"upload_id": id}}).id)
    served.act(lambda world: world.create(world.user, "post", {}))

    def naming(version: str) -> list[str]:
        return [one["id"] for one in served.get(f"/uploads/{id}/references?version={version}")["data"]]

    assert (naming("current"), naming("published"), naming("published-or-current")) == ([record], [], [record])
    served.act(lambda world: world.publish(world.user, record))
    served.act(lambda world: world.update(world.user, record, {"image": None}))
    assert (naming("current"), naming("published"), naming("published-or-current")) == ([], [record], [record])


def test_tracks_are_for_videos(served: Served) -> None:
    """There are none here."""
    id = upload(served)["id"]
    answer = served.http.post(f"/uploads/{id}/tracks", json={"data": {"attributes": {}}})
    assert served.refused(answer) == (422, "NOT_A_VIDEO")


@pytest.mark.parametrize("moves", [True, False])
def test_an_upload_may_move_the_beacon(served: Served, moves: bool) -> None:
    """Upstream does not say whether it does."""
    served.http.post("/_simulator/switches", json={"uploads_move_beacon": moves})
    before = served.get("/site")["data"]["attributes"]["last_data_change_at"]
    served.http.post("/_simulator/clock", json={"advance_seconds": 60})
    upload(served)
    assert (served.get("/site")["data"]["attributes"]["last_data_change_at"] != before) is moves


def test_webhooks_hear_of_uploads(served: Served) -> None:
    """Of each act."""
    attributes = {
        "name": "files",
        "url": "http://127.0.0.1:9/",
        "headers": {},
        "custom_payload": None,
        "events": [{"entity_type": "upload", "event_types": ["create", "update", "delete"]}],
    }
    served.send("POST", "/webhooks", {"data": {"type": "webhook", "attributes": attributes}}, status=201)
    id = upload(served)["id"]
    change(served, id, notes="n")
    served.send("DELETE", f"/uploads/{id}")
    calls = served.get("/webhook_calls?order_by=created_at_asc")["data"]
    sent = [(call["attributes"]["entity_type"], call["attributes"]["event_type"]) for call in calls]
    assert sent == [("upload", "create"), ("upload", "update"), ("upload", "delete")]
    payload = json.loads(calls[0]["attributes"]["request_payload"])
    assert (payload["entity"]["id"], payload["entity"]["attributes"]["width"]) == (id, 30)
    assert [one["type"] for one in payload["related_entities"]] == ["access_token"]


def test_who_may_not_write_may_not_upload(served: Served) -> None:
    """Not even ask for an address."""
    served.act(_forbid_writing)
    answer = served.http.post("/upload-requests", json={"data": {"attributes": {"filename": "a.png"}}})
    assert served.refused(answer) == (401, "INSUFFICIENT_PERMISSIONS")


def _forbid_writing(world: Any) -> None:
    role = next(iter(world.people.roles.values()))
    world.people.add_role(type(role)(role.id, role.name, can_write=False))
