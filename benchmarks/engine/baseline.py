"""The yardstick: what a program of an afternoon does. It lists the records and upserts all of their versions, blindly.

It keeps no history of flags, no events, no deletions, no checkpoint and no pace, and it trusts whatever comes.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
from sqlalchemy import make_url

from benchmarks.processes import in_own_process, peak_memory
from benchmarks.project import TOKEN

__all__ = ["Naive", "copy_all"]

Row = tuple[str, str, str, bool, bool, str]
Write = Callable[[Iterable[Row]], None]

CREATE = """
    CREATE TABLE IF NOT EXISTS naive_versions (
        id text PRIMARY KEY, record_id text, created_at text, is_current boolean, is_published boolean,
        attributes {json}
    )
"""
UPSERT = """
    INSERT INTO naive_versions VALUES ({values})
    ON CONFLICT (id) DO UPDATE SET record_id = excluded.record_id, created_at = excluded.created_at,
        is_current = excluded.is_current, is_published = excluded.is_published, attributes = excluded.attributes
"""


@dataclass(frozen=True, slots=True)
class Naive:
    """What it took, in a process of its own."""

    versions: int
    requests: int
    seconds: float
    cpu: float
    peak: int


def copy_all(upstream: str, database: str, *, at_once: int) -> Naive:
    """Copy everything from `upstream` into a table of `database`, `at_once` records at a time."""
    return in_own_process(_copy_all, upstream, database, at_once)


def _copy_all(upstream: str, database: str, at_once: int) -> Naive:
    began, cpu = time.perf_counter(), time.process_time()
    url = make_url(database)
    if url.get_backend_name() == "postgresql":
        with psycopg.connect(database) as connection:
            connection.execute(CREATE.format(json="jsonb").encode())

            def write(rows: Iterable[Row]) -> None:
                with connection.cursor() as cursor:
                    cursor.executemany(UPSERT.format(values=", ".join(["%s"] * 6)).encode(), list(rows))
                connection.commit()

            versions, requests = asyncio.run(_read_all(upstream, write, at_once))
    else:
        file = sqlite3.connect(url.database or "")
        file.execute(CREATE.format(json="text"))

        def write(rows: Iterable[Row]) -> None:
            file.executemany(UPSERT.format(values=", ".join(["?"] * 6)), list(rows))
            file.commit()

        versions, requests = asyncio.run(_read_all(upstream, write, at_once))
        file.close()
    return Naive(versions, requests, time.perf_counter() - began, time.process_time() - cpu, peak_memory())


async def _read_all(upstream: str, write: Write, at_once: int) -> tuple[int, int]:
    versions = requests = 0
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Api-Version": "3", "Accept": "application/json"}
    async with httpx.AsyncClient(base_url=upstream, headers=headers, timeout=60) as http:

        async def pages(path: str, limit: int) -> list[dict[str, Any]]:
            nonlocal requests
            found: list[dict[str, Any]] = []
            while True:
                params = {"page[offset]": len(found), "page[limit]": limit} | (
                    {"nested": "true"} if "versions" in path else {}
                )
                answer = (await http.get(path, params=params)).raise_for_status().json()
                requests += 1
                found.extend(answer["data"])
                if len(found) >= answer["meta"]["total_count"]:
                    return found

        async def copy(record_id: str) -> None:
            nonlocal versions
            async with turns:
                history = await pages(f"/items/{record_id}/versions", 50)
            write(
                (
                    version["id"],
                    record_id,
                    version["meta"]["created_at"],
                    version["meta"]["is_current"],
                    version["meta"]["is_published"],
                    json.dumps(version["attributes"]),
                )
                for version in history
            )
            versions += len(history)

        turns = asyncio.Semaphore(at_once)
        records = await pages("/items", 500)
        await asyncio.gather(*(copy(record["id"]) for record in records))
    return versions, requests
