"""The engine: beacon, sweep, pull, run. It translates between the API, the ledger and the mirror."""

from __future__ import annotations

from versionsync.sync.run import sync_source

__all__ = ["sync_source"]
