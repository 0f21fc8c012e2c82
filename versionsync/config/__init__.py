"""Settings: loading, checks, defaults and the example file all come from one definition.

A secret is read only when it is needed, and shown only by `Secret.reveal`.
"""

from versionsync.config.definition import (
    DaemonSettings,
    HttpSettings,
    MassDeleteSettings,
    NotificationSettings,
    SearchSettings,
    Settings,
    SourceSettings,
)
from versionsync.config.errors import (
    ConfigError,
    FileProblem,
    InvalidSetting,
    MissingExtra,
    SecretProblem,
    UnknownSetting,
    UnknownSource,
)
from versionsync.config.loading import LOCAL_FILE, SYSTEM_FILE, Configuration, load
from versionsync.secret import Secret

__all__ = [
    "LOCAL_FILE",
    "SYSTEM_FILE",
    "ConfigError",
    "Configuration",
    "DaemonSettings",
    "FileProblem",
    "HttpSettings",
    "InvalidSetting",
    "MassDeleteSettings",
    "MissingExtra",
    "NotificationSettings",
    "SearchSettings",
    "Secret",
    "SecretProblem",
    "Settings",
    "SourceSettings",
    "UnknownSetting",
    "UnknownSource",
    "load",
]
