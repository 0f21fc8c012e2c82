"""Lists of what the simulator has none of."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.simulator.conftest import Served


@pytest.mark.parametrize(
    "path",
    [
        *("/plugins", "/menu-items", "/schema-menu-items", "/build-triggers", "/search-indexes"),
        *("/item-type-filters", "/upload-filters", "/upload-collections", "/site-invitations", "/sso-groups"),
        *("/editing-sessions", "/workflows"),
    ],
)
def test_a_list_may_be_empty(served: Served, path: str) -> None:
    assert served.get(path) == {"data": []}
    assert served.refused(served.http.delete(path)) == (404, "INVALID_ENDPOINT")


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/build-events", 500),
        ("/search-index-events", 500),
        ("/search-results?filter[query]=a", 100),
        ("/upload-tags", 500),
        ("/upload-smart-tags", 500),
    ],
)
def test_a_list_in_pages_may_be_empty(served: Served, path: str, most: int) -> None:
    assert served.get(path) == {"data": [], "meta": {"total_count": 0}}
    page = f"{path}{'&' if '?' in path else '?'}page[limit]="
    assert served.get(f"{page}{most}")["data"] == []
    assert served.refused(served.http.get(f"{page}{most + 1}")) == (422, "INVALID_PARAMS")


def test_an_upload_has_no_tracks(served: Served) -> None:
    """One that there is; any other is not found."""
    assert served.refused(served.http.get("/uploads/x/tracks")) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("ability", "path"),
    [
        ("can_manage_users", "/site-invitations"),
        ("can_manage_sso", "/sso-groups"),
        ("can_access_build_events_log", "/build-events"),
        ("can_access_search_index_events_log", "/search-index-events"),
        ("can_perform_site_search", "/search-results"),
    ],
)
def test_an_empty_list_may_be_forbidden(served: Served, ability: str, path: str) -> None:
    def forbid(world: Any) -> None:
        (token,) = world.people.tokens.values()
        world.update_role(world.account, token.role.id, **{ability: False})

    served.act(forbid)
    assert served.refused(served.http.get(path)) == (401, "INSUFFICIENT_PERMISSIONS")
