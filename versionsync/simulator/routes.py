"""All the routes of the simulated API."""

from __future__ import annotations

from versionsync.simulator import (
    routes_access_tokens,
    routes_audit_log,
    routes_empty_lists,
    routes_environments,
    routes_fieldsets,
    routes_jobs,
    routes_people,
    routes_project,
    routes_record_acts,
    routes_roles,
    routes_schema,
    routes_schema_acts,
    routes_uploads,
    routes_versions,
    routes_webhooks,
)
from versionsync.simulator.calls import Route
from versionsync.simulator.routes_items import item_routes

__all__ = ["all_routes"]


def all_routes() -> tuple[Route, ...]:
    """Every route, those with fixed paths before those with placeholders in the same place."""
    return (
        *routes_schema.ROUTES,
        *routes_environments.ROUTES,
        *item_routes(),
        *routes_versions.ROUTES,
        *routes_people.ROUTES,
        *routes_roles.ROUTES,
        *routes_access_tokens.ROUTES,
        *routes_record_acts.ROUTES,
        *routes_schema_acts.ROUTES,
        *routes_fieldsets.ROUTES,
        *routes_webhooks.ROUTES,
        *routes_uploads.ROUTES,
        *routes_project.ROUTES,
        *routes_audit_log.ROUTES,
        *routes_jobs.ROUTES,
        *routes_empty_lists.ROUTES,
    )
