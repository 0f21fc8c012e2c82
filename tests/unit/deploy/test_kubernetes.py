"""The manifests are valid, shut the pods in as far as a cluster can demand, and fit the program."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from versionsync.config import SYSTEM_FILE, load
from versionsync.config.source_files import folder_of
from versionsync.daemon.http.app import App

KUBERNETES = Path(__file__).parents[3] / "deploy" / "kubernetes"
OLDEST = "1.31"
"""Where all that the manifests say is generally available."""
HEARTBEAT_SECONDS = 10
VALID_SECONDS = 30
"""How long a daemon counts as alive after its last heartbeat."""
NOT_OF_THE_CLUSTER = {"Kustomization", "Component", "ServiceMonitor"}
SECRETS = {"api_token": "a-token", "database_url": "postgresql://versionsync@database/versionsync"}


def manifests(folder: Path) -> Iterator[dict[str, Any]]:
    """Of all files below a folder, what a cluster knows by itself."""
    for file in sorted(folder.rglob("*.yaml")):
        yield from (one for one in yaml.safe_load_all(file.read_text()) if one["kind"] not in NOT_OF_THE_CLUSTER)


def manifest(kind: str) -> dict[str, Any]:
    """The only one of its kind."""
    (found,) = (one for one in manifests(KUBERNETES) if one["kind"] == kind)
    return found


def pod() -> dict[str, Any]:
    """The pod that is deployed."""
    found: dict[str, Any] = manifest("Deployment")["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("one", list(manifests(KUBERNETES)), ids=lambda one: one["kind"])
def test_a_manifest_is_valid(one: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(one, version, strict=True)


def test_the_pod_is_as_the_strictest_standard_of_the_cluster_wants_it() -> None:
    """`restricted` of the Pod Security Standards, and a read-only root."""
    whole = pod()["securityContext"]
    assert whole["runAsNonRoot"]
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod()["initContainers"] + pod()["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
    assert not any("hostPath" in volume for volume in pod()["volumes"])
    assert pod()["automountServiceAccountToken"] is False


def test_the_user_is_that_of_the_image() -> None:
    dockerfile = (KUBERNETES.parent / "container" / "Dockerfile").read_text()
    whole = pod()["securityContext"]
    assert f"USER {whole['runAsUser']}:{whole['runAsGroup']}\n" in dockerfile


def test_what_is_probed_is_answered() -> None:
    (container,) = pod()["containers"]
    probed = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert probed == {"/livez", "/readyz"}
    app = App(dict, None, redact=str)  # type: ignore[arg-type]  # nobody asks it for metrics here
    assert probed <= {resource.canonical for resource in app.web.router.resources()}


def test_all_pods_work_and_one_may_be_missing() -> None:
    """A rolling restart begins with a new pod, and waits until it has its share."""
    deployment = manifest("Deployment")["spec"]
    assert deployment["replicas"] == 3
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert deployment["minReadySeconds"] > HEARTBEAT_SECONDS
    assert manifest("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_a_pod_has_the_time_to_hand_its_sources_over() -> None:
    """It waits for the database no longer than that."""
    assert pod()["terminationGracePeriodSeconds"] >= VALID_SECONDS


def test_more_sources_are_where_the_program_looks_for_them() -> None:
    """There need be none."""
    (settings,) = (mount for mount in pod()["containers"][0]["volumeMounts"] if mount["name"] == "settings")
    (sources,) = (mount for mount in pod()["containers"][0]["volumeMounts"] if mount["name"] == "sources")
    assert SYSTEM_FILE.parent == Path(settings["mountPath"])
    assert folder_of(SYSTEM_FILE) == Path(sources["mountPath"])
    (volume,) = (volume for volume in pod()["volumes"] if volume["name"] == "sources")
    assert volume["configMap"]["optional"] is True


def test_everything_selects_the_pods() -> None:
    labels = manifest("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert manifest("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("Service")["spec"]["selector"] == labels
    assert manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels


def test_only_webhooks_come_in_from_outside() -> None:
    rules = manifest("Ingress")["spec"]["rules"]
    assert [path["path"] for rule in rules for path in rule["http"]["paths"]] == ["/webhooks/"]


def test_the_settings_can_be_read() -> None:
    configuration = load(config=KUBERNETES / "base" / "settings" / "versionsync.toml", environ={})
    assert [source.name for source in configuration.sources] == ["website"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl")
def test_kustomize_makes_the_example_of_it(tmp_path: Path) -> None:
    """With the two files that are in no repository."""
    shutil.copytree(KUBERNETES, tmp_path, dirs_exist_ok=True)
    overlay = tmp_path / "overlays" / "example"
    (overlay / "secrets").mkdir()
    for name, secret in SECRETS.items():
        (overlay / "secrets" / name).write_text(secret)
    ran = subprocess.run(["kubectl", "kustomize", overlay], check=True, text=True, stdout=subprocess.PIPE)
    made = {one["kind"]: one for one in yaml.safe_load_all(ran.stdout)}
    assert {"Secret", "ConfigMap", "ServiceMonitor"} < set(made)
    for kind in set(made) - NOT_OF_THE_CLUSTER:
        kubernetes_validate.validate(made[kind], OLDEST, strict=True)
        assert kind == "Namespace" or made[kind]["metadata"]["namespace"] == "versionsync"
    volumes = {volume["name"]: volume for volume in made["Deployment"]["spec"]["template"]["spec"]["volumes"]}
    assert volumes["credentials"]["secret"]["secretName"] == made["Secret"]["metadata"]["name"]
    assert set(made["Secret"]["data"]) == set(SECRETS)
    assert volumes["settings"]["configMap"]["name"] == made["ConfigMap"]["metadata"]["name"]
