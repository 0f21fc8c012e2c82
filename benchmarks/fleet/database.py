"""What the database says of several daemons: who holds what, what is mirrored, what ran. Light enough to ask often."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from benchmarks.fleet.observations import Span

__all__ = ["FleetDatabase"]

PID = re.compile(r"process (\d+) ")
BY_DAEMON = """
    SELECT (d.holder::json->>'pid')::int, count(*)
    FROM source_claims c JOIN daemons d ON d.id = c.daemon_id
    WHERE d.expires_at > now() GROUP BY 1
"""
BY_CLAIM = """
    SELECT (holder::json->>'pid')::int, count(*)
    FROM source_claims WHERE expires_at > now() GROUP BY 1
"""
SEEN = """
    SELECT DISTINCT e.source_id, e.record_id
    FROM events e JOIN unnest(%s::int[], %s::text[], %s::bigint[]) AS edit (source_id, record_id, after)
        ON e.source_id = edit.source_id AND e.record_id = edit.record_id AND e.id > edit.after
"""
RUNS = """
    SELECT source_id, holder, extract(epoch FROM started_at), extract(epoch FROM coalesce(finished_at, now()))
    FROM runs WHERE started_at >= to_timestamp(%s)
"""


class FleetDatabase:
    """One connection to the database that the daemons share."""

    def __init__(self, url: str) -> None:
        """Connect."""
        self._connection: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(url, autocommit=True)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def held(self) -> Mapping[int, int]:
        """Return how many sources each process holds, by its id. It may have ended since.

        A claim names its daemon, or, in versions before there were daemons in the database, says all itself.
        """
        query = BY_DAEMON if self._one("SELECT to_regclass('daemons')::text") else BY_CLAIM
        return {int(pid): int(sources) for pid, sources in self._all(query)}

    def complete(self) -> int:
        """Return how many sources were mirrored completely."""
        return int(self._one("SELECT count(*) FROM sources WHERE complete_as_of IS NOT NULL"))

    def source_ids(self) -> Mapping[str, int]:
        """Return the id of each source, by its name."""
        return dict(self._all("SELECT name, id FROM sources"))

    def record_ids(self) -> Mapping[int, Sequence[str]]:
        """Return the ids of the records of each source that are not deleted."""
        found: dict[int, list[str]] = {}
        for source_id, record_id in self._all("SELECT source_id, id FROM records WHERE deleted_at IS NULL ORDER BY id"):
            found.setdefault(source_id, []).append(record_id)
        return found

    def first_success(self) -> Mapping[int, float]:
        """Return when the first successful run of each source ended, in seconds of the epoch."""
        query = """
            SELECT source_id, extract(epoch FROM min(finished_at)) FROM runs WHERE outcome = 'succeeded' GROUP BY 1
        """
        return {source_id: float(at) for source_id, at in self._all(query)}

    def runs_since(self, since: float) -> list[Span]:
        """Return the runs that began since then. `daemon` is the process id; a run in progress ends now."""
        return [
            Span(source_id, int(found[1]), float(began), float(ended))
            for source_id, holder, began, ended in self._all(RUNS, since)
            if (found := PID.match(holder)) is not None
        ]

    def outcomes_since(self, since: float) -> Counter[str]:
        """Return how many runs began since then, by outcome and the kind of error."""
        query = """
            SELECT outcome || coalesce(' (' || error_kind || ')', ''), count(*)
            FROM runs WHERE started_at >= to_timestamp(%s) GROUP BY 1
        """
        return Counter(dict(self._all(query, since)))

    def last_event_id(self) -> int:
        """Return the highest id of an event, 0 if there is none."""
        return int(self._one("SELECT coalesce(max(id), 0) FROM events"))

    def seen(self, edits: Sequence[tuple[int, str, int]]) -> set[tuple[int, str]]:
        """Return those of the edits (source, record, an event before it) of which the mirror has an event."""
        columns = [list(column) for column in zip(*edits, strict=True)]
        return {(source_id, record_id) for source_id, record_id in self._all(SEEN, *columns)}

    def transactions(self) -> int:
        """Return how many transactions the database has ended so far. It counts them with a delay of a second."""
        return int(
            self._one("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")
        )

    def connections(self) -> int:
        """Return how many connections there are to this database, this one left out."""
        return int(
            self._one(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )

    def queued(self) -> int:
        """Return how many webhook calls no run has mirrored."""
        return int(self._one("SELECT count(*) FROM webhook_queue"))

    def _all(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(query.encode(), parameters).fetchall()

    def _one(self, query: str) -> Any:
        return self._all(query)[0][0]
