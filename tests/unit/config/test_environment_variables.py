"""Variables of the environment that begin like ours and are none of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from versionsync.config import NotificationSettings, Settings, SourceSettings, UnknownSetting
from versionsync.config.environment_variables import unknown_variables


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("VERSIONSYNC_DATABSE_URL", "VERSIONSYNC_DATABASE_URL"),
        ("VERSIONSYNC_DATABASE", "VERSIONSYNC_DATABASE_URL"),
        ("VERSIONSYNC_DATABASE_URI", "VERSIONSYNC_DATABASE_URL"),
        ("VERSIONSYNC_DB_URL", "VERSIONSYNC_DATABASE_URL"),
        ("VERSIONSYNC_DB", "VERSIONSYNC_DATABASE_URL"),
        ("VERSIONSYNC__DATABASE_URL", "VERSIONSYNC_DATABASE_URL"),
        ("VERSION_SYNC_DATABASE_URL", "VERSIONSYNC_DATABASE_URL"),
        ("versionsync_database_url", "VERSIONSYNC_DATABASE_URL"),
        ("VERSIONSYNC_DATABASE_FILE", "VERSIONSYNC_DATABASE_URL_FILE"),
        ("VERSIONSYNC_ENVIROMENT", "VERSIONSYNC_ENVIRONMENT"),
        ("VERSIONSYNC_RATELIMIT", "VERSIONSYNC_RATE_LIMIT"),
        ("VERSIONSYNC_BASEURL", "VERSIONSYNC_BASE_URL"),
        ("VERSIONSYNC_HOST", "VERSIONSYNC_HTTP_HOST"),
        ("VERSIONSYNC_PORT", "VERSIONSYNC_HTTP_PORT"),
        ("VERSIONSYNC_NOTIFY_URL", "VERSIONSYNC_NOTIFICATION_URL"),
        ("VERSIONSYNC_API_TOKEN", "DATOCMS_API_TOKEN"),
        ("VERSIONSYNC_TOKEN", "DATOCMS_API_TOKEN"),
    ],
)
def test_a_misspelt_variable_is_an_error_that_names_the_right_one(name: str, meant: str) -> None:
    with pytest.raises(UnknownSetting, match=f"^there is no variable {name}$") as caught:
        unknown_variables(Settings(), {name: "hunter22"})
    assert caught.value.hint == f"Did you mean {meant}? Rename it, or unset it."


@pytest.mark.parametrize(
    "name",
    [
        "VERSIONSYNC_IMAGE",
        "VERSIONSYNC_VERSION",
        "VERSIONSYNC_HOME",
        "VERSIONSYNC_LOG_LEVEL",
        "VERSIONSYNC_WEBHOOK_PASSWORD",
        "VERSIONSYNC_SHOP_DATABASE_URL",
        "VERSIONSYNC_SHOP_API_TOKEN",
        "VERSIONSYNC_URL",
    ],
)
def test_one_that_resembles_none_of_ours_is_only_told(name: str) -> None:
    assert unknown_variables(Settings(), {name: "x"}) == (name,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VERSIONSYNC_DATABASE_URL", "x"),
        ("VERSIONSYNC_DATABSE_URL", " "),
        ("VERSIONSYNC_TEST_SEED", "7"),
        ("VERSIONSYNC_SOAK_SECONDS", "7"),
        ("VERSIONSYNC_SERVICE_HOST", "10.0.0.7"),
        ("VERSIONSYNC_SERVICE_PORT", "8765"),
        ("VERSIONSYNC_SERVICE_PORT_HTTP", "8765"),
        ("VERSIONSYNC_PORT", "tcp://10.0.0.7:8765"),
        ("VERSIONSYNC_PORT_8765_TCP", "tcp://10.0.0.7:8765"),
        ("VERSIONSYNC_PORT_8765_TCP_PROTO", "tcp"),
        ("VERSIONSYNC_PORT_8765_TCP_PORT", "8765"),
        ("VERSIONSYNC_PORT_8765_TCP_ADDR", "10.0.0.7"),
        ("VERSIONSYNC_SHOP_SERVICE_HOST", "10.0.0.8"),
        ("VERSIONSYNC_SHOP_PORT", "udp://10.0.0.8:1"),
        ("VERSIONSYNC_HTTP_SERVICE_PORT", "8765"),
        ("_VERSIONSYNC_COMPLETE", "complete_bash"),
        ("VERSIONSYNCED", "x"),
        ("PATH", "x"),
    ],
)
def test_what_is_ours_or_meant_for_somebody_else_is_left_alone(name: str, value: str) -> None:
    """Kubernetes' links to services called `versionsync` and `versionsync-shop`, of each protocol."""
    assert unknown_variables(Settings(), {name: value}) == ()


def test_what_the_settings_mention_is_left_alone() -> None:
    """However much it resembles another one."""
    settings = Settings(
        sources=(
            SourceSettings(
                name="web", api_token_env="VERSIONSYNC_API_TOKEN", heartbeat_url_env="VERSIONSYNC_HEARTBEAT_URLS"
            ),
            SourceSettings(name="shop", webhook_password_env="VERSIONSYNC_SHOP_PASSWORD"),
        ),
        notifications=(NotificationSettings(url_env="VERSIONSYNC_NOTICES_URL"),),
    )
    names = ("API_TOKEN", "HEARTBEAT_URLS", "SHOP_PASSWORD", "NOTICES_URL")
    assert unknown_variables(settings, {f"VERSIONSYNC_{name}": "x" for name in names}) == ()


def test_what_our_own_deployment_files_read_is_no_slip() -> None:
    """They are read where a person runs commands, too."""
    root = Path(__file__).parents[3]
    texts = [path.read_text() for path in (root / "deploy").rglob("*") if path.suffix in {".yaml", ".yml", ".service"}]
    named = {name for text in texts for name in re.findall(r"VERSIONSYNC_[A-Z_]+[A-Z]", text)}
    assert "VERSIONSYNC_HTTP_PORT" in named
    environ = dict.fromkeys(named | {"VERSIONSYNC_SIMULATOR_CONTROL_TOKEN"}, "9000")
    assert unknown_variables(Settings(), environ) == ()
