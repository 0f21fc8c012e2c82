"""The image and the compose files, as far as they can be judged without an engine; real_container.py runs them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from versionsync.config import load
from versionsync.config.checking import settings_of
from versionsync.config.definition import HttpSettings, Settings, SourceSettings

DEPLOY = Path(__file__).parents[3] / "deploy"
CONTAINER = DEPLOY / "container"
DOCKERFILE = CONTAINER / "Dockerfile"
COMPOSE = [CONTAINER / "compose.yaml", CONTAINER / "compose.postgres.yaml"]
HADOLINT = Path(sys.executable).with_name("hadolint")


def composed() -> dict[str, Any]:
    """The services, volumes, networks and secrets of both files together."""
    together: dict[str, dict[str, Any]] = {section: {} for section in ("services", "volumes", "networks", "secrets")}
    for file in COMPOSE:
        said = yaml.safe_load(file.read_text())
        for section, named in together.items():
            for name, value in said.get(section, {}).items():
                named.setdefault(name, {}).update(value or {})
    return together


def services() -> dict[str, dict[str, Any]]:
    """Of both files."""
    found: dict[str, dict[str, Any]] = composed()["services"]
    return found


@pytest.mark.skipif(not HADOLINT.exists(), reason="there is no hadolint for this machine")
def test_the_dockerfile_is_clean() -> None:
    ran = subprocess.run([HADOLINT, DOCKERFILE], text=True, capture_output=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_what_the_image_sets_are_settings() -> None:
    known = {setting.env for struct in (Settings, SourceSettings, HttpSettings) for setting in settings_of(struct)}
    said = set(re.findall(r"\bVERSIONSYNC_\w+(?==)", DOCKERFILE.read_text()))
    assert said
    assert said <= known


def test_the_image_is_built_from_what_the_wheel_needs() -> None:
    """What is not let in cannot be copied, whatever lies in the checkout: a database, a token."""
    ignored = (DEPLOY.parent / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())
    hatch = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*hatch["packages"], *hatch["force-include"], *project["project"]["license-files"], "README.md"}
    assert let_in == needed | {"pyproject.toml"}
    assert "*" in ignored


@pytest.mark.parametrize("name", sorted(services()))
def test_a_service_is_shut_in(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")


@pytest.mark.parametrize("name", sorted(services()))
def test_a_port_is_open_to_this_machine_alone(name: str) -> None:
    """None of them asks for a password."""
    assert all(port.startswith("127.0.0.1:") for port in services()[name].get("ports", []))


def test_no_secret_is_in_a_variable() -> None:
    """Who may look at a container can read its variables."""
    for service in services().values():
        named = {name: value for name, value in service.get("environment", {}).items() if "PASSWORD" in name}
        assert all(str(value).startswith("/run/secrets/") for value in named.values())


def test_what_a_service_uses_is_there() -> None:
    together = composed()
    for service in services().values():
        assert set(service.get("secrets", [])) <= set(together["secrets"])
        assert set(service.get("networks", [])) <= set(together["networks"])
        assert set(service.get("depends_on", {})) <= set(together["services"])
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (CONTAINER / source).exists() if source.startswith(".") else source in together["volumes"]


def test_the_settings_can_be_read() -> None:
    configuration = load(config=CONTAINER / "settings" / "versionsync.toml", environ={})
    assert [source.name for source in configuration.sources] == ["website"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool")
def test_prometheus_takes_its_settings(tmp_path: Path) -> None:
    for file in (CONTAINER / "prometheus" / "prometheus.yml", DEPLOY / "prometheus" / "alerts.yml"):
        shutil.copy(file, tmp_path)
    subprocess.run(["promtool", "check", "config", tmp_path / "prometheus.yml"], check=True, capture_output=True)


def test_grafana_finds_the_dashboard_and_whom_to_ask() -> None:
    """The dashboard asks the default source of data, whatever that is called."""
    (source,) = yaml.safe_load((CONTAINER / "grafana" / "datasource.yaml").read_text())["datasources"]
    assert source["isDefault"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((CONTAINER / "grafana" / "dashboards.yaml").read_text())["providers"]
    mounted = dict(reversed(volume.split(":")[:2]) for volume in services()["grafana"]["volumes"])
    folder = CONTAINER / mounted[provider["options"]["path"]]
    assert json.loads((folder / "versionsync.json").read_text())["templating"]["list"][0]["type"] == "datasource"
