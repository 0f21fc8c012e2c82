"""A soak: two daemons, one PostgreSQL, and everything that can go wrong, for as long as is asked for.

VERSIONSYNC_SOAK_SECONDS=1800 python -m pytest tests/nightly/soak -s
"""
