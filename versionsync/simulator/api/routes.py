"""All the routes of the simulated API."""

from __future__ import annotations

from versionsync.simulator.api import (
    access_tokens,
    audit_log,
    empty_lists,
    environments,
    fieldsets,
    job_routes,
    people,
    project,
    record_writes,
    records,
    roles,
    schema,
    uploads,
    webhooks,
)
from versionsync.simulator.api.records import item_routes
from versionsync.simulator.api.request import Route

__all__ = ["all_routes"]


def all_routes() -> tuple[Route, ...]:
    """Every route, those with fixed paths before those with placeholders in the same place."""
    return (
        *schema.ROUTES,
        *environments.ROUTES,
        *item_routes(),
        *records.ROUTES,
        *people.ROUTES,
        *roles.ROUTES,
        *access_tokens.ROUTES,
        *record_writes.ROUTES,
        *schema.WRITE_ROUTES,
        *fieldsets.ROUTES,
        *webhooks.ROUTES,
        *uploads.ROUTES,
        *project.ROUTES,
        *audit_log.ROUTES,
        *job_routes.ROUTES,
        *empty_lists.ROUTES,
    )
