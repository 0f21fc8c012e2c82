"""DatoCMS's Content Management API, and nothing of ours: an asynchronous client that paces itself.

Names are looked up when they are used: whoever needs only the errors does not wait for an HTTP library to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from versionsync.cma.client import BASE_URL, Client
    from versionsync.cma.errors import (
        AuthenticationError,
        CmaError,
        EnvironmentMoved,
        EnvironmentUnknown,
        NotFound,
        PagesMoved,
        PermissionDenied,
        ProtocolError,
        Rejected,
        RepeatedPage,
        Throttled,
        Unavailable,
        Uncertain,
    )
    from versionsync.cma.governor import UNLIMITED, Governor
    from versionsync.cma.paging import model_groups, walk_items, walk_versions
    from versionsync.cma.resources import (
        BadEntry,
        DailyUsage,
        Editor,
        Environment,
        Field,
        HistoryRetention,
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
    from versionsync.cma.roles import Reading, Role
    from versionsync.cma.secret import Secret
    from versionsync.cma.transport import Timeouts, open_http
    from versionsync.cma.usage import Exchange, Result, Usage
    from versionsync.cma.webhooks import WebhookSpec

_HOMES = {
    "client": ("BASE_URL", "Client"),
    "errors": (
        "AuthenticationError",
        "CmaError",
        "EnvironmentMoved",
        "EnvironmentUnknown",
        "NotFound",
        "PagesMoved",
        "PermissionDenied",
        "ProtocolError",
        "Rejected",
        "RepeatedPage",
        "Throttled",
        "Unavailable",
        "Uncertain",
    ),
    "governor": ("UNLIMITED", "Governor"),
    "paging": ("model_groups", "walk_items", "walk_versions"),
    "resources": (
        "BadEntry",
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
    "roles": ("Reading", "Role"),
    "secret": ("Secret",),
    "transport": ("Timeouts", "open_http"),
    "usage": ("Exchange", "Result", "Usage"),
    "webhooks": ("WebhookSpec",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BASE_URL",
    "UNLIMITED",
    "AuthenticationError",
    "BadEntry",
    "Client",
    "CmaError",
    "DailyUsage",
    "Editor",
    "Environment",
    "EnvironmentMoved",
    "EnvironmentUnknown",
    "Exchange",
    "Field",
    "Governor",
    "HistoryRetention",
    "Item",
    "ItemType",
    "ItemVersion",
    "JobResult",
    "NotFound",
    "Page",
    "PagesMoved",
    "PermissionDenied",
    "ProtocolError",
    "Reading",
    "Ref",
    "Rejected",
    "RepeatedPage",
    "Result",
    "Role",
    "Schema",
    "Secret",
    "Site",
    "Throttled",
    "Timeouts",
    "Unavailable",
    "Uncertain",
    "Unreadable",
    "Usage",
    "Webhook",
    "WebhookCall",
    "WebhookEvents",
    "WebhookSpec",
    "model_groups",
    "open_http",
    "walk_items",
    "walk_versions",
]


def __getattr__(name: str) -> object:
    if (home := _HOME_OF.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
