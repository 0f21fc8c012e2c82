"""Ids, as the vendor's client checks them."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.simulator.world import ids


@given(seed=st.integers())
def test_every_id_is_a_version_4_uuid_of_22_characters(seed: int) -> None:
    value = ids.decode(made := ids.Ids(seed).new())
    assert len(made) == 22
    assert value is not None
    assert (value.version, value.variant) == (4, uuid.RFC_4122)
    assert ids.encode(value) == made


def test_a_seed_decides_every_id() -> None:
    one, two, other = ids.Ids(1), ids.Ids(1), ids.Ids(2)
    assert [one.new() for _ in range(5)] == [two.new() for _ in range(5)]
    assert one.new() != other.new()


def test_decimal_ids_are_ids_without_a_uuid() -> None:
    assert ids.decode("281474976710655") is None


@pytest.mark.parametrize(
    "text", ["", "0", "281474976710656", "abc", "hWl-mnkWRYmMCSTq4z_pi", "AAAAAAAAAAAAAAAAAAAAAA", "١٢٣"]
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"id|UUID"):
        ids.decode(text)
    assert not ids.is_valid(text)


def test_the_vendors_example_is_an_id() -> None:
    assert ids.is_valid("hWl-mnkWRYmMCSTq4z_piQ")
