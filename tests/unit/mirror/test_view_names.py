"""Names of typed views and their columns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from versionsync.mirror.schema.typed_views import NAME_BYTES, column_names, view_name


def test_a_view_is_named_after_source_and_model() -> None:
    """In lower case, with what SQL takes unquoted."""
    assert view_name("website", "blog_post", id="m", taken=()) == "website_blog_post_versions"
    assert view_name("My Site (EU)", "blog_post", id="m", taken=()) == "my_site_eu_blog_post_versions"
    assert view_name("2024", "x", id="m", taken=()) == "_2024_x_versions"
    assert view_name("Ω", "x", id="m", taken=()) == "x_x_versions"


@given(source=st.text(max_size=80), model=st.text(max_size=80), other=st.text(max_size=5))
def test_every_name_fits_and_is_told_from_those_taken(source: str, model: str, other: str) -> None:
    """And is the same each time."""
    first = view_name(source, model, id="1", taken=())
    second = view_name(source, model, id=f"2{other}", taken={first})
    for name in (first, second):
        assert len(name.encode()) <= NAME_BYTES
        assert name.endswith("_versions")
        assert name.isascii()
        assert not name[0].isdigit()
    assert first != second
    assert view_name(source, model, id=f"2{other}", taken={first}) == second


def test_columns_keep_their_names_where_they_can() -> None:
    """What is taken gets a prefix, and then a number."""
    wanted = ["title", "Title", "created_at", "field_created_at", "title", ""]
    assert column_names(wanted, taken=["created_at"]) == [
        "title",
        "field_Title",
        "field_created_at",
        "field_field_created_at",
        "title_2",
        "field",
    ]


@given(st.lists(st.text(max_size=90), max_size=30))
def test_columns_are_all_different_and_fit(wanted: list[str]) -> None:
    """In either database: case does not count, and PostgreSQL cuts off what is too long."""
    names = column_names(wanted, taken=["version_id"])
    assert len(names) == len(wanted)
    assert len({name.casefold() for name in [*names, "version_id"]}) == len(names) + 1
    assert all(0 < len(name.encode()) <= NAME_BYTES for name in names)
