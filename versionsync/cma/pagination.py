"""Reads a list to its end, and proves that this is the end.

Upstream's lists have only offsets, and change while they are read. So a short page may be any page, and the end is
reached when as many entries were seen as upstream counts. Each page of records overlaps the previous one by one entry;
if it does not, the pages shifted. PageShifted reports all differences, but only after everything was returned that can
be read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Final, Generic, TypeVar
from urllib.parse import quote

import msgspec

from versionsync.cma.client import ITEMS_PAGE, UPLOADS_PAGE, VERSIONS_PAGE, Client
from versionsync.cma.errors import CmaError, InvalidRequest, PageShifted, ProtocolError, RepeatedPage, Unavailable
from versionsync.cma.resources import InvalidResource, Item, ItemVersion, Page

__all__ = ["FILTER_BYTES", "iterate_items", "iterate_versions", "model_groups", "upload_groups"]

T = TypeVar("T", bound=Item | ItemVersion)
Ids = tuple[str | None, ...]

FILTER_BYTES: Final = 6000
"""The maximum length of a `filter[type]` or `filter[ids]`: 240 ids of the usual length."""

# An overlap of one entry needs a page of two.
_SMALLEST_PAGE: Final = 2


def model_groups(models: Sequence[str]) -> list[tuple[str, ...]]:
    """Split models into groups, so that the ids of each fit into one `filter[type]`.

    A group takes at most `FILTER_BYTES` of the URL: servers and proxies refuse long ones, many from 8 KB on.
    """
    return _groups(models, most=len(models))


def upload_groups(ids: Sequence[str], *, most: int = UPLOADS_PAGE) -> list[tuple[str, ...]]:
    """Split ids of uploads into groups of at most `most`, so that the ids of each fit into one `filter[ids]`.

    Of ids of 22 characters that is 240, of the short numbers of old projects 500.
    """
    return _groups(ids, most=most)


def _groups(ids: Iterable[str], *, most: int) -> list[tuple[str, ...]]:
    groups: list[list[str]] = []
    room = 0
    for id in ids:
        size = len(quote(f"{id},", safe=""))
        if size > room or len(groups[-1]) == most:
            groups.append([])
            room = FILTER_BYTES
        groups[-1].append(id)
        room -= size
    return [tuple(group) for group in groups]


def iterate_items(
    client: Client, *, models: Sequence[str] = (), order_by: str | None = None, limit: int = ITEMS_PAGE
) -> AsyncIterator[Page[Item]]:
    """Iterate over the pages of a list of records, without the entries that repeat the page before.

    It takes one request if all entries fit into one page. The loop may end early.

    Args:
        client: The client to read with.
        models: Ids of the models to list; without them block records are listed too.
        order_by: As in `items_page`.
        limit: The maximum size of a page.

    Raises:
        PageShifted: At the end, if the list changed or has fewer entries than its count.
        RepeatedPage: At once, if the offset has no effect.
        CmaError: As `items_page`.
    """

    def fetch(offset: int, limit: int) -> Awaitable[Page[Item]]:
        return client.items_page(offset=offset, limit=limit, models=models, order_by=order_by)

    return _Paginator(
        fetch, client.page_limits, kind="items", limit=max(limit, _SMALLEST_PAGE), overlap=1, request="GET /items"
    )


def iterate_versions(client: Client, item_id: str, *, limit: int = VERSIONS_PAGE) -> AsyncIterator[Page[ItemVersion]]:
    """Iterate over the pages of a record's versions, newest first. One request if they fit; the loop may end early.

    Raise as `iterate_items`, and NotFound.
    """

    def fetch(offset: int, limit: int) -> Awaitable[Page[ItemVersion]]:
        return client.versions_page(item_id, offset=offset, limit=limit)

    request = f"GET /items/{item_id}/versions"
    return _Paginator(fetch, client.page_limits, kind="versions", limit=limit, overlap=0, request=request)


def _is_too_large(error: InvalidRequest | Unavailable) -> bool:
    """Return whether a smaller page may work."""
    return error.about_limit if isinstance(error, InvalidRequest) else error.too_slow


class _Paginator(Generic[T]):
    """An iterator over pages; not a generator, so that nothing must be finalized if the loop ends early."""

    def __init__(
        self,
        fetch: Callable[[int, int], Awaitable[Page[T]]],
        limits: dict[str, int],
        *,
        kind: str,
        limit: int,
        overlap: int,
        request: str,
    ) -> None:
        self._fetch = fetch
        self._limits = limits
        self._limit_before = limits.get(kind, limit)  # the limit before one large entry makes the page smaller
        self._kind = kind
        self._limit = limit
        self._overlap = overlap
        self._request = request
        self._position = 0  # the end of the last page in the list
        self._seen = 0  # how many entries were returned
        self._total: int | None = None
        self._last: Ids = ()
        self._ids: set[str] = set()
        self._shift: str | None = None

    def __aiter__(self) -> AsyncIterator[Page[T]]:
        return self

    async def __anext__(self) -> Page[T]:
        if self._total is not None and self._position >= self._total:
            self._finish()
        page = await self._next()
        if self._total is not None and page.total != self._total:
            self._report_shift(f"the list had {self._total} entries, then {page.total}")
        self._total = page.total
        page = self._without_overlap(page)
        if page.ids and page.ids == self._last:
            raise RepeatedPage("the same page came twice: the offset has no effect", request=self._request)
        self._count(page)
        return page

    async def _next(self) -> Page[T]:
        """Return the next page; request an empty one before the end again."""
        overlap = self._overlap if self._is_overlapping else 0
        offset = self._position - overlap
        for _ in range(2):
            page = await self._shrinking(offset)
            if len(page.ids) > overlap or offset + len(page.ids) >= page.total:
                return page
        raise PageShifted(f"no entries at offset {offset}, though upstream counts {page.total}", request=self._request)

    async def _shrinking(self, offset: int) -> Page[T]:
        """Return a page, half as large after each failure because of its size; keep the size that worked.

        A record that is too large by itself is a bad entry, and the pages after it have the previous size.
        """
        smallest = 1 + self._overlap
        while True:
            limit = min(self._limit, self._limits.get(self._kind, self._limit))
            try:
                return await self._fetch(offset, limit)
            except (InvalidRequest, Unavailable) as error:
                if not _is_too_large(error):
                    raise
                if limit <= smallest:
                    if not self._overlap:
                        raise
                    page = await self._singly(offset, error)
                    self._limits[self._kind] = self._limit_before
                    return page
            self._limits[self._kind] = max(smallest, limit // 2)

    async def _singly(self, offset: int, error: CmaError) -> Page[T]:
        """Return two entries, each read by itself; one that is still too large is bad. Raise `error` if both are."""
        pages: list[Page[T] | None] = []
        for position in (offset, offset + 1):
            try:
                pages.append(await self._fetch(position, 1))
            except (InvalidRequest, Unavailable) as second:
                if not _is_too_large(second):
                    raise
                pages.append(None)
        readable = [page for page in pages if page is not None]
        if not readable:
            raise error
        reason = ProtocolError(f"the entry is too large to be read: {error.message}", request=error.request)
        bad = InvalidResource(None, reason)
        return msgspec.structs.replace(
            readable[-1],
            ids=tuple(id for page in pages for id in ((None,) if page is None else page.ids)),
            items=tuple(item for page in readable for item in page.items),
            bad=tuple(each for page in pages for each in ((bad,) if page is None else page.bad)),
        )

    @property
    def _is_overlapping(self) -> bool:
        """Whether the next page starts with the last entry of this one, which needs an id."""
        return bool(self._overlap and self._position and self._last[-1:] != (None,))

    def _without_overlap(self, page: Page[T]) -> Page[T]:
        if not (self._is_overlapping and page.ids):
            self._position += len(page.ids)
            return page
        self._position += len(page.ids) - self._overlap
        if page.ids[0] != self._last[-1]:
            self._report_shift("the pages do not overlap as they should")
            return page
        first = page.ids[0]
        return msgspec.structs.replace(
            page,
            ids=page.ids[1:],
            items=page.items[1:] if page.items and page.items[0].id == first else page.items,
            bad=page.bad[1:] if page.bad and page.bad[0].id == first else page.bad,
        )

    def _count(self, page: Page[T]) -> None:
        self._seen += len(page.ids)
        self._last = page.ids or self._last
        if not self._overlap:
            known = [id for id in page.ids if id is not None]
            if len(set(known)) < len(known) or not self._ids.isdisjoint(known):
                self._report_shift("an entry came twice")
            self._ids.update(known)

    def _report_shift(self, reason: str) -> None:
        self._shift = self._shift or reason

    def _finish(self) -> None:
        if self._seen != self._total:
            self._report_shift(f"{self._seen} entries came, upstream counts {self._total}")
        if self._shift is not None:
            raise PageShifted(f"the list changed while it was read: {self._shift}", request=self._request)
        raise StopAsyncIteration
