"""The form of a project to measure with. A measured process imports this, and not the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["TOKEN", "Project"]

TOKEN = "simulator-full-access"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A number of records with versions of a size in bytes; `long` more records with `long_versions` each.

    `limit`: requests in 3 seconds for the whole project, None for no limit. `late`: what takes 50 to
    300 ms, the answers of requests that were counted at once, or the requests until they are. `windows`: how upstream
    counts; as recorded, in fixed ones.
    """

    records: int
    versions: int = 1
    bytes_per_version: int = 1_000
    long: int = 0
    long_versions: int = 0
    limit: int | None = None
    late: Literal["answers", "requests"] | None = None
    windows: Literal["fixed", "sliding"] = "fixed"

    @property
    def histories(self) -> list[int]:
        """How many versions each record has."""
        return [self.versions] * self.records + [self.long_versions] * self.long

    @property
    def total_versions(self) -> int:
        """Of all records together."""
        return sum(self.histories)
