"""A fingerprint moves with anything in a record's meta, its model or its creator, and with nothing else."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.ledger.content import ContentError
from versionsync.ledger.fingerprint import fingerprint
from versionsync.ledger.records import Editor

META: dict[str, object] = {
    "created_at": "2026-03-01T10:00:00Z",
    "published_at": None,
    "status": "draft",
    "stage": None,
    "unheard_of": 7,
}
WHO = Editor("user", "7")


def of(meta: dict[str, object], *, model_id: str = "m", creator: Editor | None = WHO) -> bytes:
    """The fingerprint of a meta as Python spells it."""
    return fingerprint(json.dumps(meta).encode(), model_id=model_id, creator=creator)


@pytest.mark.parametrize("name", META)
@pytest.mark.parametrize("value", ["other", None, True, 2, [], {}])
def test_any_member_moves_it_known_today_or_not(name: str, value: object) -> None:
    assert (of(META | {name: value}) == of(META)) == (META[name] == value)


def test_a_member_that_comes_or_goes_moves_it() -> None:
    assert of(META | {"new": None}) != of(META)
    assert of({name: value for name, value in META.items() if name != "stage"}) != of(META)


def test_the_model_and_the_creator_move_it() -> None:
    told = {
        of(META),
        of(META, model_id="n"),
        of(META, creator=None),
        of(META, creator=Editor("user", "8")),
        of(META, creator=Editor("account", "7")),
        of(META, creator=Editor("", "")),
    }
    assert len(told) == 6


@given(st.permutations(list(META.items())), st.sampled_from([None, 2]))
def test_the_spelling_does_not_move_it(members: list[tuple[str, object]], indent: int | None) -> None:
    spelled = json.dumps(dict(members), indent=indent).replace("created", "\\u0063reated").encode()
    assert fingerprint(spelled, model_id="m", creator=WHO) == of(META)


def test_it_is_the_same_in_every_release() -> None:
    """It is kept in the database: another algorithm would read every record again."""
    assert (
        fingerprint(b'{"b":1.0,"a":"\\u0041"}', model_id="m", creator=WHO)
        == sha256(b'{"a":"A","b":1}\nm\nuser:7').digest()
    )
    assert fingerprint(b"{}", model_id="m", creator=None) == sha256(b"{}\nm\n").digest()


def test_a_meta_that_is_no_json_is_refused() -> None:
    with pytest.raises(ContentError):
        fingerprint(b"{", model_id="m", creator=None)
