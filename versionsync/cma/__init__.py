"""An asynchronous client for DatoCMS's Content Management API that keeps its rate limit.

Names are imported on first use: a program that needs only the errors does not load an HTTP library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from versionsync.secret import Secret

if TYPE_CHECKING:
    from versionsync.cma.client import BASE_URL, Client
    from versionsync.cma.content_writer import ContentWriter
    from versionsync.cma.errors import (
        AuthenticationError,
        CmaError,
        EnvironmentChanged,
        EnvironmentNotFound,
        FieldProblem,
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
    from versionsync.cma.pagination import iterate_items, iterate_versions, model_groups, upload_groups
    from versionsync.cma.permissions import ReadAccess, Role
    from versionsync.cma.rate_limiter import UNLIMITED, RateLimiter
    from versionsync.cma.resources import (
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
        Upload,
        Webhook,
        WebhookCall,
        WebhookEvents,
    )
    from versionsync.cma.session import Exchange, Result, Usage
    from versionsync.cma.transport import Timeouts, open_http
    from versionsync.cma.webhooks import WebhookSpec

_HOMES = (
    "errors",
    "resources",
    "permissions",
    "webhooks",
    "rate_limiter",
    "session",
    "transport",
    "client",
    "content_writer",
    "pagination",
)
"""The modules that are searched for a name, those without an HTTP library first."""

__all__ = [
    "BASE_URL",
    "UNLIMITED",
    "AuthenticationError",
    "Client",
    "CmaError",
    "ContentWriter",
    "Editor",
    "Environment",
    "EnvironmentChanged",
    "EnvironmentNotFound",
    "Exchange",
    "Field",
    "FieldProblem",
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
    "Upload",
    "Usage",
    "Webhook",
    "WebhookCall",
    "WebhookEvents",
    "WebhookSpec",
    "iterate_items",
    "iterate_versions",
    "model_groups",
    "open_http",
    "upload_groups",
]


def __getattr__(name: str) -> object:
    for home in _HOMES if name in __all__ else ():
        module = import_module(f"{__name__}.{home}")
        if hasattr(module, name):
            globals()[name] = getattr(module, name)
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
