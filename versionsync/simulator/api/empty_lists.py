"""Lists of what the simulator has none of: there, and empty, so that nobody who reads a whole project ends at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from versionsync.simulator.api.request import Request, Response, Route, json_response, page_response
from versionsync.simulator.errors import not_found

__all__ = ["ROUTES"]

_WHOLE: Final[Mapping[str, str | None]] = {
    "/plugins": None,
    "/menu-items": None,
    "/schema-menu-items": None,
    "/build-triggers": None,
    "/search-indexes": None,
    "/item-type-filters": None,
    "/upload-filters": None,
    "/upload-collections": None,
    "/site-invitations": "can_manage_users",
    "/sso-groups": "can_manage_sso",
    "/editing-sessions": None,
}
"""The lists that come at once, and the ability that reading them takes."""
_PAGED: Final[Mapping[str, tuple[str | None, int, int]]] = {
    "/build-events": ("can_access_build_events_log", 30, 500),
    "/search-index-events": ("can_access_search_index_events_log", 30, 500),
    "/search-results": ("can_perform_site_search", 20, 100),
    "/upload-tags": (None, 50, 500),
    "/upload-smart-tags": (None, 50, 500),
}
"""The lists that come in pages: the ability, the usual and the largest number on a page."""


def _whole(ability: str | None) -> Callable[[Request], Response]:
    def handler(call: Request) -> Response:
        if ability is not None:
            call.demand(ability)
        return json_response([])

    return handler


def _paged(ability: str | None, default: int, most: int) -> Callable[[Request], Response]:
    def handler(call: Request) -> Response:
        if ability is not None:
            call.demand(ability)
        call.page(default=default, most=most)
        return page_response([], 0)

    return handler


def list_tracks(call: Request) -> Response:
    """`GET /uploads/:id/tracks`"""
    if call.ids["upload_id"] not in call.environment.uploads:
        raise not_found("upload", call.ids["upload_id"])
    return json_response([])


ROUTES = (
    *(Route("GET", path, _whole(ability)) for path, ability in _WHOLE.items()),
    *(Route("GET", path, _paged(*limits)) for path, limits in _PAGED.items()),
    Route("GET", "/uploads/{upload_id}/tracks", list_tracks),
)
