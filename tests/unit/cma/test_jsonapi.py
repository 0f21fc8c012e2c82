"""Decoding: what comes in goes out byte for byte, and what does not fit is named without being shown."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cma import jsonapi_examples as example
from versionsync import cma
from versionsync.cma import decode, webhooks
from versionsync.cma import decode as people
from versionsync.cma.jsonapi import (
    InvalidJson,
    NotADocument,
    ShapeError,
    document,
    entries,
    list_reader,
    salvaged,
    without,
)
from versionsync.cma.resources import ItemVersion, Ref

SECRET_CONTENT = "the board resigns tomorrow"

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def versions(body: bytes) -> Any:
    return entries(body, decode.item_version, paged=True)


def items(body: bytes) -> Any:
    return entries(body, decode.item, paged=True)


def with_raw(raw: bytes) -> bytes:
    """A page of one version whose content is exactly `raw`."""
    return example.page([example.version()]).replace(b'{"title": "Hello"}', raw)


def test_an_item_has_all_its_members() -> None:
    """Names, times in UTC with microseconds, and the exact bytes of meta and attributes."""
    sent = example.item(published_at="2026-03-01T11:00:00+01:00")
    (item,) = items(example.page([sent])).values
    assert (item.item_type_id, item.creator) == ("mod", Ref("account", "104"))
    assert item.updated_at == datetime(2026, 3, 1, 10, 0, 1, 500_000, tzinfo=UTC)
    assert item.published_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert item.meta_raw == json.dumps(sent["meta"]).encode()
    assert item.attributes_raw == json.dumps(sent["attributes"]).encode()


def test_optional_members_may_be_missing() -> None:
    """Older projects, deprecated members, a creator that is gone."""
    sent = example.item()
    sent["meta"] = {"created_at": "2026-03-01T10:00:00Z", "updated_at": "2026-03-01T10:00:00Z"}
    del sent["relationships"]["creator"]
    (item,) = items(example.page([sent])).values
    assert (item.creator, item.status, item.stage, item.is_valid, item.current_version) == (None,) * 5
    sent = example.version()
    sent["meta"] = {"created_at": "2026-03-01T10:00:00Z", "is_current": True, "is_published": False}
    sent["relationships"] = {"item_type": sent["relationships"]["item_type"], "editor": {"data": None}}
    (version,) = versions(example.page([sent])).values
    assert (version.editor, version.is_valid, version.published_from, version.published_until) == (None,) * 4


def test_unknown_members_are_tolerated_everywhere() -> None:
    """They appear over time."""
    sent = example.version(new_in_2030={"a": [1]})
    sent["new"] = sent["relationships"]["new"] = {"data": {"type": "x", "id": 5}}
    (version,) = versions(example.page([sent])).values
    assert version.id == sent["id"]


@given(JSON_VALUES)
def test_content_is_kept_to_the_byte(content: object) -> None:
    """Whatever JSON it is."""
    raw = json.dumps({"field": content}).encode()
    (version,) = versions(with_raw(raw)).values
    assert version.attributes_raw == raw


@pytest.mark.parametrize(
    "raw",
    [
        b'{"n": 1.00}',
        b'{"n": 12345678901234567890123}',
        b'{"n": 1e400}',
        rb'{"s": "\u0000"}',
        rb'{"s": "\ud83d\ude00 \u00e9"}',
        '{"s": "😀 é"}'.encode(),
        b'{ "spaced" :  1 }',
        b'{"twice": 1, "twice": 2}',
        rb'{"s": "\ud800"}',
        rb'{"s": "\udfff and \\ud800 and \ud83d\ude00"}',
        rb'{"\ud8aB": ["\udC00\ud800"]}',
        rb'{"s": "lone-surrogate:d800; \ud800"}',
    ],
)
def test_what_json_parsers_stumble_over_is_kept_to_the_byte(raw: bytes) -> None:
    """Spelling of numbers, U+0000, lone surrogates, members that come twice."""
    page = versions(with_raw(raw))
    assert page.values[0].attributes_raw == raw


SURROGATE_TEXT = st.lists(
    st.sampled_from(
        [r"\ud800", r"\udbff", r"\udc00", r"\udfff", r"\\", r"\n", "u", "d800", "a", ":", ";", "lone-surrogate"]
    )
).map("".join)


@given(SURROGATE_TEXT)
def test_every_mixture_of_escapes_and_surrogates_is_kept_to_the_byte(text: str) -> None:
    """Pairs, halves and escaped backslashes in any order: all of it is JSON text, so all of it is read."""
    raw = f'{{"s": "{text}"}}'.encode()
    json.loads(raw)
    (version,) = versions(with_raw(raw)).values
    assert version.attributes_raw == raw


def test_lone_surrogates_in_names_become_the_replacement_character() -> None:
    """Python text cannot contain them; the raw bytes still do."""
    sent = json.dumps({"data": example.item_type()}).replace("Article", r"Art\ud800icle").encode()
    model = document(sent, lambda raw, _: decode.item_type(raw))
    assert model.name == "Art\ufffdicle"
    assert rb"Art\ud800icle" in model.raw


@pytest.mark.parametrize(
    ("break_it", "where", "expected"),
    [
        (lambda v: v["meta"].update(created_at=SECRET_CONTENT), "$.data[1].meta.created_at", "expected a date-time"),
        (lambda v: v["meta"].update(published_from=3), "$.data[1].meta.published_from", "expected `str | null`"),
        (lambda v: v["meta"].pop("is_current"), "$.data[1].meta", "object missing required field `is_current`"),
        (lambda v: v.update(id=5), "$.data[1].id", "expected `str`"),
        (lambda v: v.update(attributes=SECRET_CONTENT), None, None),
        (
            lambda v: v["relationships"].update(item_type=None),
            "$.data[1].relationships.item_type",
            "expected `object`",
        ),
        (lambda v: v.clear(), "$.data[1]", "object missing required field `id`"),
    ],
)
def test_one_bad_entry_costs_only_itself(break_it: Any, where: str | None, expected: str | None) -> None:
    """It is named by its place in the JSON; its neighbours are read; nothing of the content is in the error."""
    broken = example.version("broken")
    break_it(broken)
    page = versions(example.page([example.version("a"), broken, example.version("c")]))
    assert [page.values[0].id, page.values[2].id] == ["a", "c"]
    if where is None:  # content is not looked into here: that is left to whoever reads it
        assert page.values[1].attributes_raw == json.dumps(SECRET_CONTENT).encode()
        return
    error = page.values[1]
    assert isinstance(error, ShapeError)
    assert error.where == where
    assert error.expected.startswith(str(expected))
    assert SECRET_CONTENT not in f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"
    assert page.ids[1] == (broken.get("id") if isinstance(broken.get("id"), str) else None)


def test_text_that_is_not_utf8_costs_only_its_entry() -> None:
    """JSON is UTF-8, and what is not cannot be stored as text."""
    body = example.page([example.version("a"), example.version("b")]).replace(b"Hello", b"H\xffllo", 1)
    page = versions(body)
    assert isinstance(page.values[0], ShapeError)
    assert page.values[1].id == "b"


@pytest.mark.parametrize("before", range(4))
def test_a_large_text_is_utf8_wherever_its_characters_stand(before: int) -> None:
    """It is looked at in pieces, and a piece may end within a character."""
    text = b"x" * before + "\N{GRINNING FACE}".encode() * 100_000
    body = example.page([example.version("a"), example.version("b")])
    assert versions(body.replace(b"Hello", text, 1)).values[0].id == "a"
    assert isinstance(versions(body.replace(b"Hello", text[:-1], 1)).values[0], ShapeError)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data": [', b'{"data": []} x', b'{"data": ["\n"]}', b"NaN"])
def test_what_is_no_json_is_told_from_json_of_another_shape(body: bytes) -> None:
    """The first is worth another try, the second is not."""
    with pytest.raises(InvalidJson):
        versions(body)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"data": {}}', "$.data"),
        (b'{"data": null}', "$.data"),
        (b'{"data": []}', "$.meta.total_count"),
        (b'{"data": [], "meta": {}}', "$.meta.total_count"),
        (b'{"data": [], "meta": {"total_count": -1}}', "$.meta.total_count"),
        (b'{"data": [], "meta": {"total_count": "1"}}', "$.meta.total_count"),
        (b'{"data": [' + b"[" * 100_000 + b"]" * 100_000 + b'], "meta": {"total_count": 1}}', "$"),
    ],
)
def test_json_of_another_shape_says_where(body: bytes, where: str) -> None:
    """A page without its count proves nothing, so it is refused."""
    with pytest.raises(ShapeError) as mismatch:
        versions(body)
    assert mismatch.value.where == where


@pytest.mark.parametrize("body", [b"null", b"[]", b'"busy"', b"5", b"{}", b'{"meta": {"total_count": 1}}'])
@pytest.mark.parametrize("read", [versions, lambda body: document(body, decode.schema)])
def test_json_that_is_no_document_is_told_apart(body: bytes, read: Callable[[bytes], object]) -> None:
    """It is worth another try, as what is no JSON is; a document of another shape is not."""
    with pytest.raises(NotADocument, match=r"^(expected|object missing)"):
        read(body)


@given(st.binary(max_size=200))
def test_no_body_breaks_the_decoder(body: bytes) -> None:
    """Three errors and no fourth."""
    with contextlib.suppress(InvalidJson, NotADocument, ShapeError):
        versions(body)


@given(st.data())
def test_a_page_torn_anywhere_is_never_taken_for_a_shorter_one(data: st.DataObject) -> None:
    """Half an answer is no answer."""
    body = example.page([example.version("a"), example.version("b")])
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(InvalidJson):
        versions(body[:cut])


BAD = [b"NaN", b"-Infinity", b'"\n"', b"[" * 100_000 + b"]" * 100_000, b"[1,,2]", b"{}{}", b"01"]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", range(3))
def test_a_list_is_read_around_what_is_no_json(bad: bytes, place: int) -> None:
    """Whatever the others hold: brackets and quotes in texts, half an emoji; and the bad one has its id still."""
    entries = [example.version(id) for id in "abc"]
    for entry in entries:
        entry["attributes"] = {"title": '],}"{[\\', "half": "\ud83d", "id": "no"}
    entries[place]["attributes"] = {"id": "no", "title": "Hello"}
    page = salvaged(example.page(entries).replace(b'"Hello"', bad), decode.item_version, paged=True)
    assert page is not None
    assert page.ids == ("a", "b", "c")
    assert page.total == 3
    assert [isinstance(value, ShapeError) for value in page.values] == [number == place for number in range(3)]
    for value in page.values:
        if isinstance(value, ItemVersion):
            assert json.loads(value.attributes_raw)["half"] == "\ud83d"


@given(st.data())
def test_half_a_list_is_not_read_around_what_is_no_json(data: st.DataObject) -> None:
    """Wherever it is torn, in a text as well."""
    body = example.page([example.version("a"), example.version("b")]).replace(b'"Hello"', b'[NaN, "]}]}"]')
    cut = data.draw(st.integers(0, len(body) - 1))
    assert salvaged(body[:cut], decode.item_version, paged=True) is None


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"{}",
        b'{"data": NaN}',
        b'{"data": {"data": []}}',
        b'{"data": [NaN]}',
        b'{"data": [NaN], "meta": NaN}',
        b'{"data": [NaN,], "meta": {"total_count": 1}}',
        b'{"data": [NaN], "meta": {"total_count": 1}} {}',
        b'[{"data": [NaN], "meta": {"total_count": 1}}]',
    ],
)
def test_what_is_no_list_is_not_read_around_what_is_no_json(body: bytes) -> None:
    """Only the entries may be in disorder, not what is around them."""
    with contextlib.suppress(ShapeError):
        assert salvaged(body, decode.item_version, paged=True) is None


def test_a_reader_salvages_only_what_comes_twice() -> None:
    """What was spoiled on its way is different the next time; what is nested too deep is what upstream sends."""
    spoiled, other = (
        example.page([example.version("a"), example.version("b")]).replace(b'"Hello"', bad, 1) for bad in BAD[:2]
    )
    read = list_reader(decode.item_version, paged=True)
    for body in (spoiled, other):
        with pytest.raises(InvalidJson):
            read(body)
    assert read(other).ids == ("a", "b")
    deep = spoiled.replace(b"NaN", BAD[3])
    assert list_reader(decode.item_version, paged=True)(deep).ids == ("a", "b")


def test_the_schema_comes_from_one_answer() -> None:
    """Models and fields beside the site, other kinds ignored."""
    body = json.dumps(
        {"data": example.site(), "included": [example.item_type(), {"type": "fieldset", "id": 1}, example.field()]}
    ).encode()
    schema = document(body, decode.schema)
    assert (schema.site.id, schema.site.locales, schema.site.milliseconds_in_datetime) == ("205", ("en", "it"), True)
    assert [(model.api_key, model.draft_mode_active) for model in schema.item_types] == [("article", True)]
    (field,) = schema.fields
    assert (field.item_type_id, field.api_key, field.localized, field.position) == ("mod", "title", True, 1)
    assert json.loads(field.raw) == example.field()


def test_members_that_nobody_promises_may_be_null() -> None:
    """What a program need not say it may say with `null`, too: no run must end because of it."""
    site, model, field = example.site(), example.item_type(), example.field()
    site["attributes"]["locales"] = site["meta"]["milliseconds_in_datetime"] = None
    model["attributes"].update(modular_block=None, singleton=None, draft_mode_active=None)
    field["attributes"].update(label=None, localized=None, position=None)
    schema = document(json.dumps({"data": site, "included": [model, field]}).encode(), decode.schema)
    assert (schema.site.locales, schema.site.milliseconds_in_datetime) == ((), False)
    (read_model,), (read_field,) = schema.item_types, schema.fields
    assert (read_model.modular_block, read_model.singleton, read_model.draft_mode_active) == (False, False, False)
    assert (read_field.label, read_field.localized, read_field.position) == ("", False, 0)
    meta = {"status": None, "primary": None, "read_only_mode": None}
    body = json.dumps({"data": {"id": "main", "type": "environment", "meta": meta}}).encode()
    environment = document(body, lambda raw, _: decode.environment(raw))
    assert (environment.status, environment.primary, environment.read_only_mode) == ("ready", False, False)
    assert document(json.dumps({"data": site | {"meta": None}}).encode(), decode.schema).site.created_at is None


def test_a_bad_entry_among_the_included_is_named() -> None:
    """By its id and its place there; it costs only itself."""
    broken = example.field()
    del broken["attributes"]["api_key"]
    body = json.dumps({"data": example.site(), "included": [example.item_type(), broken]}).encode()
    schema = document(body, decode.schema)
    (unreadable,) = schema.unreadable
    assert unreadable.id == broken["id"]
    assert unreadable.reason.startswith("$.included[1].attributes: ")
    assert [len(schema.item_types), len(schema.fields)] == [1, 0]


def test_the_raw_site_holds_no_api_key() -> None:
    """It goes into a database."""
    site = document(json.dumps({"data": example.site()}).encode(), lambda raw, _: decode.site(raw))
    assert b"AIza" not in site.raw
    assert json.loads(site.raw)["attributes"]["timezone"] == "Europe/Rome"


def editors(*sent: dict[str, Any]) -> list[Any]:
    return list(entries(json.dumps({"data": sent}).encode(), people.editor, paged=False).values)


def test_all_five_kinds_of_editor_have_a_name() -> None:
    """Each kind spells it in its own way."""
    user, sso, token, account, organization = editors(
        {"type": "user", "id": "1", "attributes": {"email": "u@x.io", "full_name": "U Ser"}},
        {"type": "sso_user", "id": "2", "attributes": {"username": "s@x.io", "first_name": "S", "last_name": None}},
        {"type": "access_token", "id": "3", "attributes": {"name": "Build", "token": "f00ba4", "hardcoded_type": None}},
        {"type": "account", "id": "4", "attributes": {"email": "a@x.io", "first_name": "A", "last_name": "C"}},
        {"type": "organization", "id": "5", "attributes": {"name": "Org"}},
    )
    assert [(e.name, e.email) for e in (user, sso, token)] == [("U Ser", "u@x.io"), ("S", "s@x.io"), ("Build", None)]
    assert [(e.name, e.email) for e in (account, organization)] == [("A C", "a@x.io"), ("Org", None)]
    assert b"f00ba4" not in token.raw
    assert json.loads(token.raw)["attributes"] == {"name": "Build", "hardcoded_type": None}


def test_a_new_kind_of_editor_is_kept_as_it_is() -> None:
    """With type and id at least."""
    (robot,) = editors({"type": "robot", "id": "1"})
    assert (robot.type, robot.id, robot.name, robot.email) == ("robot", "1", None, None)


def test_the_owners_are_told_as_far_as_upstream_does() -> None:
    """Whole when included, type and id otherwise."""
    (owner,) = document(json.dumps({"data": example.site()}).encode(), people.owners)
    assert (owner.type, owner.id, owner.name) == ("organization", "9", None)
    account = {"type": "account", "id": "4", "attributes": {"email": "a@x.io"}}
    answer = json.dumps({"data": example.site(), "included": [account, {"type": "item_type", "id": "1"}]})
    found = {(owner.type, owner.id): owner.email for owner in document(answer.encode(), people.owners)}
    assert found == {("organization", "9"): None, ("account", "4"): "a@x.io"}
    sent = example.site()
    del sent["relationships"]
    assert document(json.dumps({"data": sent}).encode(), people.owners) == ()


def test_without_removes_only_what_it_is_told() -> None:
    """Everything else keeps its bytes."""
    raw = msgspec.Raw(b'{"id": "1", "attributes": {"n": 1.00, "token": "x"}, "z": 1e400}')
    assert without(raw, "token") == b'{"id":"1","attributes":{"n":1.00},"z":1e400}'
    assert without(raw, "absent") == bytes(raw)


def test_a_webhook_call_shows_no_password() -> None:
    """Its request's headers hold one."""
    sent = {
        "id": "9",
        "type": "webhook_call",
        "attributes": {
            "entity_type": "item",
            "event_type": "publish",
            "created_at": "2026-03-01T10:00:00Z",
            "request_headers": {"Authorization": "Basic c2VjcmV0"},
            "request_payload": "{}",
            "status": "failed",
            "response_status": 500,
        },
        "relationships": {"webhook": {"data": {"type": "webhook", "id": "4"}}},
    }
    (call,) = entries(example.page([sent]), webhooks.webhook_call, paged=True).values
    assert (call.webhook_id, call.status, call.response_status) == ("4", "failed", 500)
    assert "c2VjcmV0" not in repr(call)


def test_a_webhook_and_its_calls_may_say_null() -> None:
    """Null means none, and an enabled webhook."""
    attributes = {
        "name": "w",
        "url": "https://x",
        "enabled": None,
        "events": [{"entity_type": "item", "event_types": None}],
    }
    sent = {"id": "4", "type": "webhook", "attributes": attributes}
    webhook = document(json.dumps({"data": sent}).encode(), lambda raw, _: webhooks.webhook(raw))
    assert (webhook.enabled, webhook.events) == (True, (cma.WebhookEvents(entity_type="item", event_types=()),))
    attributes = {
        "entity_type": "item",
        "event_type": "update",
        "created_at": "2026-03-01T10:00:00Z",
        "status": "pending",
    }
    sent = {
        "id": "9",
        "attributes": attributes | {"attempted_auto_retries_count": None},
        "relationships": {"webhook": None},
    }
    for links in ({"webhook": None}, None):
        (call,) = entries(example.page([sent | {"relationships": links}]), webhooks.webhook_call, paged=True).values
        assert (call.webhook_id, call.attempted_auto_retries_count) == (None, 0)


def test_people_may_say_null() -> None:
    """An editor has only an id."""
    (nobody,) = editors({"type": "access_token", "id": "1", "attributes": None})
    assert (nobody.type, nobody.id, nobody.name, nobody.email) == ("access_token", "1", None, None)


def test_a_webhook_shows_no_password() -> None:
    """Names of headers, not their values."""
    attributes = {"name": "w", "url": "https://x", "http_basic_password": "hush", "headers": {"X-Key": "hush"}}
    sent = {"id": "4", "type": "webhook", "attributes": attributes}
    webhook = document(json.dumps({"data": sent}).encode(), lambda raw, _: webhooks.webhook(raw))
    assert "hush" not in repr(webhook)
    assert webhook.header_names == ("X-Key",)
    assert webhook.http_basic_password == cma.Secret("hush")


def test_what_a_webhook_is_told_about_is_read() -> None:
    """And whether that is all, in the usual form."""
    events = [
        {"entity_type": "item", "event_types": ["create", "update"], "filters": [{"entity_type": "item_type"}]},
        {"entity_type": "upload", "event_types": ["delete"], "filters": None},
    ]
    attributes = {"name": "w", "url": "https://x", "events": events, "nested_items_in_payload": True}
    sent = {"id": "4", "type": "webhook", "attributes": attributes}
    webhook = document(json.dumps({"data": sent}).encode(), lambda raw, _: webhooks.webhook(raw))
    assert webhook.is_custom
    assert webhook.events == (
        cma.WebhookEvents(entity_type="item", event_types=("create", "update"), is_filtered=True),
        cma.WebhookEvents(entity_type="upload", event_types=("delete",)),
    )
