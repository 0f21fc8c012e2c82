"""Names of typed views and their columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.mirror.schema.typed_views import (
    NAME_BYTES,
    OWN_COLUMNS,
    VIEW_KINDS,
    column_names,
    view_stem,
)


def test_a_view_is_named_after_source_and_model() -> None:
    """In lower case, with characters that need no quotes in SQL."""
    assert view_stem("website", "blog_post", id="m", taken=()) == "website_blog_post"
    assert view_stem("My Site (EU)", "blog_post", id="m", taken=()) == "my_site_eu_blog_post"
    assert view_stem("2024", "x", id="m", taken=()) == "_2024_x"
    assert view_stem("Ω", "x", id="m", taken=()) == "x_x"


@given(source=st.text(max_size=80), model=st.text(max_size=80), other=st.text(max_size=5))
def test_every_view_name_fits_and_differs_from_those_taken(source: str, model: str, other: str) -> None:
    """And is the same each time."""
    first = view_stem(source, model, id="1", taken=())
    second = view_stem(source, model, id=f"2{other}", taken={first})
    for name in (f"{stem}_{kind}" for stem in (first, second) for kind in VIEW_KINDS):
        assert len(name.encode()) <= NAME_BYTES
        assert name.isascii()
        assert not name[0].isdigit()
    assert first != second
    assert view_stem(source, model, id=f"2{other}", taken={first}) == second


def test_columns_keep_their_names_if_they_can() -> None:
    """A reserved name gets an underscore, a name that another field has gets a number."""
    wanted = ["title", "Title", "created_at", "field_created_at", "title", ""]
    assert column_names(wanted) == ["title", "Title_2", "created_at_", "field_created_at", "title_3", "field"]


def test_names_that_are_not_reserved_stay_even_if_other_views_use_them() -> None:
    """`source` and `ordinal` are columns of other views."""
    assert column_names(["title", "source", "ordinal", "model"]) == ["title", "source", "ordinal", "model"]


@pytest.mark.parametrize("name", OWN_COLUMNS)
def test_a_field_never_gets_a_reserved_name(name: str) -> None:
    """Its column gets another name, and the same one whatever other fields there are."""
    assert column_names([name]) == [f"{name}_"]
    assert column_names([f"field_{name}", f"{name}_2", name])[-1] == f"{name}_", "other fields do not matter"


@given(st.lists(st.text(max_size=90), max_size=30))
def test_columns_are_all_different_and_fit(wanted: list[str]) -> None:
    """In either database: case does not count, and PostgreSQL cuts off what is too long."""
    names = column_names(wanted)
    assert len(names) == len(wanted)
    assert len({name.casefold() for name in [*names, *OWN_COLUMNS]}) == len(names) + len(OWN_COLUMNS)
    assert all(0 < len(name.encode()) <= NAME_BYTES for name in names)
