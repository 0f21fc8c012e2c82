"""An asynchronous client for DatoCMS's Content Management API that keeps its rate limit.

Names are imported on first use: a program that needs only the errors does not load an HTTP library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from versionsync.secret import Secret

if TYPE_CHECKING:
    from versionsync.cma.client import BASE_URL, Client
    from versionsync.cma.errors import (
        AuthenticationError,
        CmaError,
        EnvironmentChanged,
        EnvironmentNotFound,
        InvalidRequest,
        NotFound,
        OutcomeUnknown,
        PageShifted,
        PermissionDenied,
        ProtocolError,
        RepeatedPage,
        Throttled,
        Unavailable,
    )
    from versionsync.cma.pagination import iterate_items, iterate_versions, model_groups
    from versionsync.cma.permissions import ReadAccess, Role
    from versionsync.cma.rate_limiter import UNLIMITED, RateLimiter
    from versionsync.cma.resources import (
        DailyUsage,
        Editor,
        Environment,
        Field,
        HistoryRetention,
        InvalidResource,
        Item,
        ItemType,
        ItemVersion,
        JobResult,
        Page,
        Ref,
        Schema,
        Site,
        Unreadable,
        Webhook,
        WebhookCall,
        WebhookEvents,
    )
    from versionsync.cma.session import Exchange, Result, Usage
    from versionsync.cma.transport import Timeouts, open_http
    from versionsync.cma.webhooks import WebhookSpec

_HOMES = {
    "client": ("BASE_URL", "Client"),
    "errors": (
        "AuthenticationError",
        "CmaError",
        "EnvironmentChanged",
        "EnvironmentNotFound",
        "NotFound",
        "PageShifted",
        "PermissionDenied",
        "ProtocolError",
        "InvalidRequest",
        "RepeatedPage",
        "Throttled",
        "Unavailable",
        "OutcomeUnknown",
    ),
    "rate_limiter": ("UNLIMITED", "RateLimiter"),
    "pagination": ("model_groups", "iterate_items", "iterate_versions"),
    "resources": (
        "InvalidResource",
        "DailyUsage",
        "Editor",
        "Environment",
        "Field",
        "HistoryRetention",
        "Item",
        "ItemType",
        "ItemVersion",
        "JobResult",
        "Page",
        "Ref",
        "Schema",
        "Site",
        "Unreadable",
        "Webhook",
        "WebhookCall",
        "WebhookEvents",
    ),
    "permissions": ("ReadAccess", "Role"),
    "transport": ("Timeouts", "open_http"),
    "session": ("Exchange", "Result", "Usage"),
    "webhooks": ("WebhookSpec",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BASE_URL",
    "UNLIMITED",
    "AuthenticationError",
    "Client",
    "CmaError",
    "DailyUsage",
    "Editor",
    "Environment",
    "EnvironmentChanged",
    "EnvironmentNotFound",
    "Exchange",
    "Field",
    "HistoryRetention",
    "InvalidRequest",
    "InvalidResource",
    "Item",
    "ItemType",
    "ItemVersion",
    "JobResult",
    "NotFound",
    "OutcomeUnknown",
    "Page",
    "PageShifted",
    "PermissionDenied",
    "ProtocolError",
    "RateLimiter",
    "ReadAccess",
    "Ref",
    "RepeatedPage",
    "Result",
    "Role",
    "Schema",
    "Secret",
    "Site",
    "Throttled",
    "Timeouts",
    "Unavailable",
    "Unreadable",
    "Usage",
    "Webhook",
    "WebhookCall",
    "WebhookEvents",
    "WebhookSpec",
    "iterate_items",
    "iterate_versions",
    "model_groups",
    "open_http",
]


def __getattr__(name: str) -> object:
    if (home := _HOME_OF.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
