"""Hypothesis profiles: `pytest tests/unit/ledger --hypothesis-profile=thorough` looks much longer than the default."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("thorough", max_examples=20_000, deadline=None)
