"""Ids are UUIDs in another spelling, or numbers; one UUID has one id."""

from __future__ import annotations

import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.ledger.ids import uuid_of

URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def spelled(uuid: UUID) -> str:
    """The id that DatoCMS gives to `uuid`."""
    return base64.urlsafe_b64encode(uuid.bytes).rstrip(b"=").decode()


def test_the_vendors_own_example_is_a_version_4_uuid() -> None:
    uuid = uuid_of("hWl-mnkWRYmMCSTq4z_piQ")
    assert uuid == UUID("85697e9a-7916-4589-8c09-24eae33fe989")
    assert uuid.version == 4


@given(st.uuids())
def test_every_uuid_is_found_in_its_id(uuid: UUID) -> None:
    assert uuid_of(spelled(uuid)) == uuid


@given(st.text(URL_SAFE, min_size=22, max_size=22))
def test_one_uuid_has_one_id(id: str) -> None:
    """Base64 leaves four bits of the last letter unused: an id that sets them is of another form."""
    uuid = uuid_of(id)
    assert uuid is None or spelled(uuid) == id


@pytest.mark.parametrize(
    "id",
    [
        "",
        "7",
        "281474976710655",
        "hWl-mnkWRYmMCSTq4z_pi",
        "hWl-mnkWRYmMCSTq4z_piQQ",
        "hWl-mnkWRYmMCSTq4z_piQ==",
        "hWl+mnkWRYmMCSTq4z/piQ",
        "hWl-mnkWRYmMCSTq4z_pi\n",
        "hWl-mnkWRYmMCSTq4z_piR",
        "hWl-mnkWRYmMCSTq4z_pié",
        "85697e9a-7916-4589-8c09-24eae33fe989",
    ],
)
def test_an_id_of_another_form_has_none(id: str) -> None:
    assert uuid_of(id) is None


@given(st.text(max_size=30))
def test_no_text_is_too_odd_to_be_asked_for(id: str) -> None:
    assert uuid_of(id) is None or len(id) == 22
